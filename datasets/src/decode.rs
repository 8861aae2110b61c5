//! Pixels from files that nobody vouches for.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use crate::sniff::{Kind, sniff};
use crate::{Error, Result};

/// What an image may cost at most. Both limits are checked before anything is allocated for its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Most pixels (width x height); 100 million by default, which is every camera's photo and 0.3 GB as RGB.
    pub max_pixels: u64,
    /// Most bytes of the file; 256 MiB by default.
    pub max_bytes: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            max_pixels: 100_000_000,
            max_bytes: 256 * 1024 * 1024,
        }
    }
}

/// Decodes an image file to upright 8-bit RGB.
///
/// JPEG, PNG, WebP, TIFF, GIF and BMP, told by content, not by name. The EXIF orientation is applied; alpha is dropped, not
/// blended, as the published models' processors do; of 16-bit samples the upper eight bits are taken; greyscale and CMYK become RGB; of an
/// animation the first frame is taken.
///
/// # Errors
/// Missing, empty, truncated or corrupt files, unknown or unsupported formats, and images above `limits`; see [`Error::reason`].
pub fn decode_image(path: impl AsRef<Path>, limits: &DecodeLimits) -> Result<RgbImage> {
    let path = path.as_ref();
    let bytes = read_limited(path, limits)?;
    decode_bytes(&bytes, path, limits)
}

/// Decodes an image in memory, as [`decode_image`] does; `name` stands for it in errors.
///
/// # Errors
/// As [`decode_image`].
pub fn decode_bytes(bytes: &[u8], name: impl AsRef<Path>, limits: &DecodeLimits) -> Result<RgbImage> {
    Ok(to_rgb8(decode_upright(bytes, name.as_ref(), limits)?))
}

/// RGB of 8 bits. Of 16 bits the upper eight are taken, as Pillow does with colour (rounding would differ by one for half of
/// all values). Pillow cuts 16-bit greyscale off at 255 instead, which leaves a white image: that is not followed.
fn to_rgb8(image: DynamicImage) -> RgbImage {
    let upper = |sample: u16| (sample >> 8) as u8;
    let (width, height) = (image.width(), image.height());
    let samples: Vec<u8> = match &image {
        DynamicImage::ImageRgb16(pixels) => pixels.as_raw().iter().map(|sample| upper(*sample)).collect(),
        DynamicImage::ImageRgba16(pixels) => pixels
            .pixels()
            .flat_map(|pixel| [pixel[0], pixel[1], pixel[2]].map(upper))
            .collect(),
        DynamicImage::ImageLuma16(pixels) => pixels.pixels().flat_map(|pixel| [upper(pixel[0]); 3]).collect(),
        DynamicImage::ImageLumaA16(pixels) => {
            pixels.pixels().flat_map(|pixel| [upper(pixel[0]); 3]).collect()
        }
        _ => return image.into_rgb8(),
    };
    RgbImage::from_raw(width, height, samples).unwrap_or_else(|| image.into_rgb8())
}

/// Reads a whole file, refusing it unread above `limits.max_bytes`.
pub(crate) fn read_limited(path: &Path, limits: &DecodeLimits) -> Result<Vec<u8>> {
    let metadata = fs_err::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::Missing {
            path: path.to_path_buf(),
            remedy: "check the path".into(),
        },
        _ => Error::io("read", path)(source),
    })?;
    check_bytes(path, metadata.len(), limits)?;
    fs_err::read(path).map_err(Error::io("read", path))
}

fn check_bytes(path: &Path, bytes: u64, limits: &DecodeLimits) -> Result<()> {
    if bytes <= limits.max_bytes {
        return Ok(());
    }
    Err(Error::TooManyBytes {
        path: path.to_path_buf(),
        bytes,
        max_bytes: limits.max_bytes,
    })
}

/// Decodes to whatever samples the file has, with the EXIF orientation applied.
fn decode_upright(bytes: &[u8], name: &Path, limits: &DecodeLimits) -> Result<DynamicImage> {
    check_bytes(name, bytes.len() as u64, limits)?;
    let format = decodable_format(bytes, name)?;
    if format == ImageFormat::Jpeg && !jpeg_has_end(bytes) {
        // The JPEG decoder paints what is missing grey and says nothing.
        return Err(Error::Truncated {
            path: name.to_path_buf(),
            detail: "the JPEG data stop before the end-of-image marker".into(),
        });
    }
    guarded(name, || {
        let mut decoder = open_decoder(bytes, format, name, limits)?;
        let orientation = decoder.orientation().map_err(|error| explain(error, name))?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(|error| explain(error, name))?;
        image.apply_orientation(orientation);
        Ok(image)
    })
}

/// The format of an image that can be decoded, or the reason why it cannot.
pub(crate) fn decodable_format(bytes: &[u8], name: &Path) -> Result<ImageFormat> {
    let path = || name.to_path_buf();
    if bytes.is_empty() {
        return Err(Error::Empty { path: path() });
    }
    match sniff(bytes) {
        Kind::Image(format) => Ok(format),
        Kind::Unsupported(format) => Err(Error::UnsupportedFormat {
            path: path(),
            format: format.into(),
            note: String::new(),
        }),
        Kind::Unknown => Err(Error::NotAnImage { path: path() }),
    }
}

/// Reads the header only and holds the size against the limits.
pub(crate) fn open_decoder<'a>(
    bytes: &'a [u8],
    format: ImageFormat,
    name: &Path,
    limits: &DecodeLimits,
) -> Result<impl ImageDecoder + 'a> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut allocation = Limits::default();
    // Up to 16-bit RGBA, twice: animations keep a canvas beside the frame.
    allocation.max_alloc = Some(limits.max_pixels.saturating_mul(16));
    reader.limits(allocation);
    let decoder = reader.into_decoder().map_err(|error| explain(error, name))?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (u64::from(width), u64::from(height));
    if width * height > limits.max_pixels {
        return Err(Error::TooManyPixels {
            path: name.to_path_buf(),
            width,
            height,
            max_pixels: limits.max_pixels,
        });
    }
    if width == 0 || height == 0 {
        return Err(Error::Corrupt {
            path: name.to_path_buf(),
            detail: format!("its size is {width} x {height} pixels"),
        });
    }
    Ok(decoder)
}

/// Runs a decoder so that a panic inside it (a bug met by a malformed file) becomes an error about that file.
pub(crate) fn guarded<T>(name: &Path, decode: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        Err(Error::Corrupt {
            path: name.to_path_buf(),
            detail: "the decoder gave up on its malformed data".into(),
        })
    })
}

/// Sorts a decoder's error into truncated, corrupt, unsupported or too large.
pub(crate) fn explain(error: ImageError, name: &Path) -> Error {
    let path = name.to_path_buf();
    let detail = error.to_string();
    let lower = detail.to_lowercase();
    let ends_early = [
        "unexpected end",
        "unexpected eof",
        "failed to fill",
        "truncated",
        "not enough",
        "no more bytes",
        "exhausted data",
    ];
    match error {
        ImageError::IoError(io)
            if io.kind() != std::io::ErrorKind::UnexpectedEof && !lower.contains("fill") =>
        {
            Error::Corrupt { path, detail }
        }
        ImageError::IoError(_) => Error::Truncated { path, detail },
        ImageError::Limits(_) => Error::TooCostly { path, detail },
        ImageError::Unsupported(_) => Error::UnsupportedFormat {
            path,
            format: "an image of an unusual variant".into(),
            note: format!(" ({detail})"),
        },
        _ if ends_early.iter().any(|words| lower.contains(words)) => Error::Truncated { path, detail },
        _ => Error::Corrupt { path, detail },
    }
}

/// Whether a JPEG's entropy-coded data are followed by an end-of-image marker.
///
/// Walks the segments by their lengths, so that the end of an embedded thumbnail is not taken for the image's.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // To the next marker: inside a scan this skips the coded data; `FF 00` is a stuffed byte, `FF FF` is fill.
        let Some(offset) = bytes
            .get(at..)
            .and_then(|rest| rest.iter().position(|byte| *byte == 0xff))
        else {
            return false;
        };
        at += offset + 1;
        match bytes.get(at) {
            None => return false,
            Some(0xff) => {}
            Some(0x00 | 0x01 | 0xd0..=0xd8) => at += 1,
            Some(0xd9) => return true,
            Some(_) => {
                let Some(length) = bytes.get(at + 1..at + 3) else {
                    return false;
                };
                at += 1 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
}
