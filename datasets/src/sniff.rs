//! What kind of file some bytes are, by their content and never by their name.

use image::ImageFormat;

/// What the first bytes of a file say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An image that can be decoded.
    Image(ImageFormat),
    /// A known kind that cannot be decoded, by its name for people.
    Unsupported(&'static str),
    /// Nothing known.
    Unknown,
}

/// How many first bytes [`sniff`] wants to see.
pub(crate) const SNIFF_BYTES: usize = 64;

/// The formats that this build decodes.
const DECODABLE: [ImageFormat; 6] = [
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::WebP,
    ImageFormat::Tiff,
    ImageFormat::Gif,
    ImageFormat::Bmp,
];

/// Tells the kind of a file from its first [`SNIFF_BYTES`] bytes.
pub(crate) fn sniff(bytes: &[u8]) -> Kind {
    if let Some(name) = iso_media(bytes)
        .or_else(|| raw_camera(bytes))
        .or_else(|| other(bytes))
    {
        return Kind::Unsupported(name);
    }
    match image::guess_format(bytes) {
        Ok(format) if DECODABLE.contains(&format) => Kind::Image(format),
        Ok(ImageFormat::Ico) => Kind::Unsupported("ICO"),
        Ok(ImageFormat::OpenExr) => Kind::Unsupported("OpenEXR"),
        Ok(ImageFormat::Hdr) => Kind::Unsupported("Radiance HDR"),
        Ok(ImageFormat::Dds) => Kind::Unsupported("DDS"),
        Ok(ImageFormat::Pnm) => Kind::Unsupported("PNM"),
        Ok(ImageFormat::Qoi) => Kind::Unsupported("QOI"),
        Ok(_) => Kind::Unsupported("an image of a rare kind"),
        Err(_) => Kind::Unknown,
    }
}

/// ISO base media files name their kind in the `ftyp` box.
fn iso_media(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8)? != b"ftyp" {
        return None;
    }
    Some(match bytes.get(8..12)? {
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => "HEIC",
        b"mif1" | b"msf1" => "HEIF",
        b"avif" | b"avis" => "AVIF",
        b"crx " => "Canon CR3",
        b"jp2 " => "JPEG 2000",
        _ => "a video (MP4 or QuickTime)",
    })
}

/// Raw camera files that look like TIFF or stand for themselves.
fn raw_camera(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"II*\0") && bytes.get(8..10) == Some(b"CR") {
        return Some("Canon CR2");
    }
    if bytes.starts_with(b"FUJIFILMCCD-RAW") {
        return Some("Fujifilm RAF");
    }
    if bytes.starts_with(b"IIRO") || bytes.starts_with(b"IIRS") {
        return Some("Olympus ORF");
    }
    bytes.starts_with(b"IIU\0").then_some("Panasonic RW2")
}

fn other(bytes: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 5] = [
        (b"\0\0\0\x0cjP  ", "JPEG 2000"),
        (b"\0\0\0\x0cJXL ", "JPEG XL"),
        (b"\xff\x0a", "JPEG XL"),
        (b"8BPS", "Photoshop PSD"),
        (b"%PDF-", "PDF"),
    ];
    MAGIC
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic))
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_images_from_other_files() {
        assert_eq!(sniff(b"\xff\xd8\xff\xe0rest"), Kind::Image(ImageFormat::Jpeg));
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\nrest"), Kind::Image(ImageFormat::Png));
        assert_eq!(sniff(b"\0\0\0\x18ftypheicrest"), Kind::Unsupported("HEIC"));
        assert_eq!(sniff(b"\0\0\0\x18ftypavifrest"), Kind::Unsupported("AVIF"));
        assert_eq!(
            sniff(b"\0\0\0\x18ftypqt  rest"),
            Kind::Unsupported("a video (MP4 or QuickTime)")
        );
        assert_eq!(sniff(b"II*\0\x10\0\0\0CR\x02\0"), Kind::Unsupported("Canon CR2"));
        assert_eq!(sniff(b"path,latitude,longitude"), Kind::Unknown);
        assert_eq!(sniff(b""), Kind::Unknown);
    }
}
