//! Photographs made on the spot, for tests.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "tests; each test file uses its share"
)]

use std::io::Cursor;
use std::path::{Path, PathBuf};

use exif::experimental::Writer;
use exif::{Field, In, Rational, Tag, Value};
use image::{ImageFormat, Rgb, RgbImage};

/// A small picture that differs with `seed`.
pub fn picture(seed: u32) -> RgbImage {
    RgbImage::from_fn(32, 24, |x, y| {
        Rgb([(x * 8) as u8, (y * 10) as u8, (seed * 37 % 256) as u8])
    })
}

/// `picture(seed)` encoded.
pub fn encoded(seed: u32, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture(seed).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// One field of the EXIF block's first directory or one that hangs from it.
pub fn field(tag: Tag, value: Value) -> Field {
    Field {
        tag,
        ifd_num: In::PRIMARY,
        value,
    }
}

/// Degrees, minutes and hundredths of seconds as EXIF fractions.
pub fn angle(parts: &[(u32, u32)]) -> Value {
    Value::Rational(parts.iter().copied().map(Rational::from).collect())
}

/// An EXIF text.
pub fn text(text: &str) -> Value {
    Value::Ascii(vec![text.as_bytes().to_vec()])
}

/// The GPS fields of a whole position.
pub fn gps(latitude: Value, south: &str, longitude: Value, west: &str) -> Vec<Field> {
    vec![
        field(Tag::GPSLatitude, latitude),
        field(Tag::GPSLatitudeRef, text(south)),
        field(Tag::GPSLongitude, longitude),
        field(Tag::GPSLongitudeRef, text(west)),
    ]
}

/// A JPEG with these EXIF fields: the block goes into an APP1 segment right behind the start marker.
pub fn jpeg_with(seed: u32, fields: &[Field]) -> Vec<u8> {
    let mut block = Cursor::new(Vec::new());
    let mut writer = Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    writer.write(&mut block, false).unwrap();
    let block = block.into_inner();
    let jpeg = encoded(seed, ImageFormat::Jpeg);
    let length = u16::try_from(2 + 6 + block.len()).unwrap();
    [
        &jpeg[..2],
        &[0xff, 0xe1],
        &length.to_be_bytes(),
        b"Exif\0\0",
        &block,
        &jpeg[2..],
    ]
    .concat()
}

/// A JPEG taken at a place, to a hundredth of a second of arc.
pub fn jpeg_at(seed: u32, latitude: f64, longitude: f64) -> Vec<u8> {
    let dms = |degrees: f64| {
        let hundredths = (degrees.abs() * 360_000.0).round() as u32;
        angle(&[
            (hundredths / 360_000, 1),
            (hundredths / 6000 % 60, 1),
            (hundredths % 6000, 100),
        ])
    };
    let south = if latitude < 0.0 { "S" } else { "N" };
    let west = if longitude < 0.0 { "W" } else { "E" };
    jpeg_with(seed, &gps(dms(latitude), south, dms(longitude), west))
}

/// Writes a file, with the folders above it, and returns its path.
pub fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = path.as_ref();
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, bytes).unwrap();
    path.to_path_buf()
}

/// A folder of the shared data, or `None` (with a line that says so) where it is not at hand.
pub fn shared(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("GEOSURGE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    eprintln!(
        "skipped: no shared data at {} (set GEOSURGE_SHARED)",
        path.display()
    );
    None
}
