//! The place and time that a camera wrote into a photo.

use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, TimeZone, Utc};
use exif::{Exif, In, Tag, Value};
use geocells::LatLng;

use crate::decode::guarded;
use crate::{Error, Result};

/// Where and when a photo was taken, by its own EXIF.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GpsReading {
    /// The place, in degrees (WGS 84).
    pub location: LatLng,
    /// The time, where EXIF says it unambiguously; see [`read_gps`].
    pub captured_at: Option<DateTime<Utc>>,
}

/// Reads the GPS position from the EXIF of a JPEG, TIFF, PNG, WebP or HEIF (HEIC, AVIF) file.
///
/// A position counts only when it is whole: latitude and longitude with their hemispheres (upper or lower case), finite,
/// in range, minutes and seconds at most 60. Exactly 0°, 0° counts as none: cameras write it when they have no fix, and
/// nobody photographs that spot of ocean. Nothing is guessed: a latitude that claims to be east or west is an error.
///
/// The time is the GPS clock's, or else the capture time when its offset from UTC is recorded; a clock time without an
/// offset could be off by half a day and is left out.
///
/// # Errors
/// [`Error::NoGps`] when there is no position, [`Error::BadGps`] when there is one that cannot be used (which
/// includes EXIF that is too damaged to read), [`Error::Io`] when the file cannot be read.
pub fn read_gps(path: impl AsRef<Path>) -> Result<GpsReading> {
    let path = path.as_ref();
    let file = fs_err::File::open(path).map_err(Error::io("read", path))?;
    gps_of(&parse(&mut BufReader::new(file), path)?, path)
}

/// Reads the GPS position from an image file's bytes, as [`read_gps`] does; `name` stands for it in errors.
///
/// # Errors
/// As [`read_gps`].
pub fn read_gps_bytes(bytes: &[u8], name: impl AsRef<Path>) -> Result<GpsReading> {
    let name = name.as_ref();
    gps_of(&parse(&mut Cursor::new(bytes), name)?, name)
}

/// Only the time, as [`read_gps`] tells it, of a photo whose place is known from elsewhere.
pub(crate) fn captured_at_bytes(bytes: &[u8], name: &Path) -> Option<DateTime<Utc>> {
    captured_at(&parse(&mut Cursor::new(bytes), name).ok()?)
}

/// Parses EXIF out of its container, keeping what is readable of a damaged one.
fn parse<R: BufRead + Seek>(reader: &mut R, name: &Path) -> Result<Exif> {
    guarded(name, || {
        let mut parser = exif::Reader::new();
        parser.continue_on_error(true);
        let exif = readable_part(parser.read_from_container(reader), name).map_err(|error| match error {
            exif::Error::NotFound(_) => no_gps(name, "it has no EXIF"),
            exif::Error::InvalidFormat("Unknown image format") => no_gps(name, "its format carries no EXIF"),
            exif::Error::Io(source) if source.kind() != std::io::ErrorKind::UnexpectedEof => {
                Error::io("read", name)(source)
            }
            other => bad_gps(name, format!("its EXIF is damaged ({other})")),
        })?;
        match with_plain_pointers(&exif) {
            None => Ok(exif),
            // What was readable before is the answer when the repaired block turns out worse.
            Some(block) => Ok(readable_part(parser.read_raw(block), name).unwrap_or(exif)),
        }
    })
}

fn readable_part(parsed: Result<Exif, exif::Error>, name: &Path) -> Result<Exif, exif::Error> {
    parsed.or_else(|error| {
        error.distill_partial_result(|errors| {
            tracing::debug!(file = %name.display(), errors = errors.len(), "damaged exif, readable in part");
        })
    })
}

/// The EXIF block with its pointers to the Exif and GPS directories as the parser wants them: type LONG.
///
/// TIFF writers may give them the type IFD (13, TIFF Technical Note 1), which holds the same 32-bit offset but which the parser
/// does not follow. `None` when there is no such pointer.
fn with_plain_pointers(exif: &Exif) -> Option<Vec<u8>> {
    const ENTRY: usize = 12;
    const IFD: u16 = 13;
    const LONG: u16 = 4;
    let pointers = [Tag::ExifIFDPointer.number(), Tag::GPSInfoIFDPointer.number()];
    if exif.get_field(Tag::GPSLatitude, In::PRIMARY).is_some() {
        return None;
    }
    let block = exif.buf();
    let little = exif.little_endian();
    let short = |at: usize| {
        let bytes: [u8; 2] = block.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let start: [u8; 4] = block.get(4..8)?.try_into().ok()?;
    let start = if little {
        u32::from_le_bytes(start)
    } else {
        u32::from_be_bytes(start)
    } as usize;
    let entries = (0..usize::from(short(start)?)).map(|index| start + 2 + index * ENTRY);
    let to_fix: Vec<usize> = entries
        .filter(|at| short(*at).is_some_and(|tag| pointers.contains(&tag)) && short(*at + 2) == Some(IFD))
        .collect();
    if to_fix.is_empty() {
        return None;
    }
    let long = if little {
        LONG.to_le_bytes()
    } else {
        LONG.to_be_bytes()
    };
    let mut fixed = block.to_vec();
    for at in to_fix {
        fixed.get_mut(at + 2..at + 4)?.copy_from_slice(&long);
    }
    Some(fixed)
}

fn gps_of(exif: &Exif, name: &Path) -> Result<GpsReading> {
    let latitude = angle(exif, Tag::GPSLatitude, "GPSLatitude", name)?;
    let longitude = angle(exif, Tag::GPSLongitude, "GPSLongitude", name)?;
    let (latitude, longitude) = match (latitude, longitude) {
        (Some(latitude), Some(longitude)) => (latitude, longitude),
        (None, None) => return Err(no_gps(name, "its EXIF has no GPSLatitude and GPSLongitude")),
        (Some(_), None) => return Err(bad_gps(name, "it has a GPSLatitude but no GPSLongitude".into())),
        (None, Some(_)) => return Err(bad_gps(name, "it has a GPSLongitude but no GPSLatitude".into())),
    };
    // Before the hemispheres are asked for: an empty record often lacks them too.
    if latitude == 0.0 && longitude == 0.0 {
        return Err(no_gps(
            name,
            "its position is exactly 0°, 0°, which cameras write when they have no fix",
        ));
    }
    let south = hemisphere(exif, Tag::GPSLatitudeRef, "GPSLatitudeRef", ['N', 'S'], name)?;
    let west = hemisphere(exif, Tag::GPSLongitudeRef, "GPSLongitudeRef", ['E', 'W'], name)?;
    let signed = |value: f64, negative: bool| if negative { -value } else { value };
    let location = LatLng::new(signed(latitude, south), signed(longitude, west))
        .map_err(|error| bad_gps(name, error.to_string()))?;
    Ok(GpsReading {
        location,
        captured_at: captured_at(exif),
    })
}

/// Degrees, minutes and seconds as degrees; `None` when the tag is absent or has no value.
fn angle(exif: &Exif, tag: Tag, label: &str, name: &Path) -> Result<Option<f64>> {
    let Some(field) = exif.get_field(tag, In::PRIMARY) else {
        return Ok(None);
    };
    let parts: Vec<f64> = match &field.value {
        Value::Rational(parts) => parts.iter().map(exif::Rational::to_f64).collect(),
        Value::SRational(parts) => parts.iter().map(exif::SRational::to_f64).collect(),
        Value::Float(parts) => parts.iter().copied().map(f64::from).collect(),
        Value::Double(parts) => parts.clone(),
        _ => return Err(bad_gps(name, format!("{label} is not made of fractions"))),
    };
    if parts.is_empty() {
        return Ok(None);
    }
    if let Some(part) = parts.iter().find(|part| !part.is_finite()) {
        let what = if part.is_nan() {
            "0/0, which is not a number"
        } else {
            "a division by zero"
        };
        return Err(bad_gps(name, format!("{label} holds {what}")));
    }
    if parts.len() > 3
        || parts.iter().any(|part| *part < 0.0)
        || parts.iter().skip(1).any(|part| *part > 60.0)
    {
        return Err(bad_gps(
            name,
            format!("{label} is {parts:?}, not degrees, minutes and seconds"),
        ));
    }
    let degrees = parts
        .iter()
        .zip([1.0, 60.0, 3600.0])
        .map(|(part, unit)| part / unit)
        .sum();
    Ok(Some(degrees))
}

/// Whether the reference is the second (negative) of `letters`.
fn hemisphere(exif: &Exif, tag: Tag, label: &str, letters: [char; 2], name: &Path) -> Result<bool> {
    let text = ascii(exif, tag).unwrap_or_default();
    let [positive, negative] = letters;
    match text
        .trim()
        .chars()
        .next()
        .map(|letter| letter.to_ascii_uppercase())
    {
        Some(letter) if letter == positive => Ok(false),
        Some(letter) if letter == negative => Ok(true),
        Some(_) => Err(bad_gps(
            name,
            format!("{label} is {text:?}, neither {positive} nor {negative}"),
        )),
        None => Err(bad_gps(
            name,
            format!("{label} is missing, so the hemisphere is unknown"),
        )),
    }
}

fn captured_at(exif: &Exif) -> Option<DateTime<Utc>> {
    gps_clock(exif).or_else(|| {
        let offset: FixedOffset = ascii(exif, Tag::OffsetTimeOriginal)?.trim().parse().ok()?;
        let local =
            NaiveDateTime::parse_from_str(ascii(exif, Tag::DateTimeOriginal)?.trim(), "%Y:%m:%d %H:%M:%S")
                .ok()?;
        Some(offset.from_local_datetime(&local).single()?.to_utc())
    })
}

fn gps_clock(exif: &Exif) -> Option<DateTime<Utc>> {
    let date = NaiveDate::parse_from_str(ascii(exif, Tag::GPSDateStamp)?.trim(), "%Y:%m:%d").ok()?;
    let Value::Rational(time) = &exif.get_field(Tag::GPSTimeStamp, In::PRIMARY)?.value else {
        return None;
    };
    let [hour, minute, second] = time.get(..3)?.try_into().ok()?;
    let whole = |part: exif::Rational, below: f64| {
        let value = part.to_f64();
        (0.0..below).contains(&value).then_some(value as u32)
    };
    let time = date.and_hms_opt(whole(hour, 24.0)?, whole(minute, 60.0)?, whole(second, 60.0)?)?;
    Some(time.and_utc())
}

fn ascii(exif: &Exif, tag: Tag) -> Option<String> {
    match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Ascii(lines) => Some(
            String::from_utf8_lossy(lines.first()?)
                .trim_end_matches('\0')
                .to_owned(),
        ),
        _ => None,
    }
}

fn no_gps(name: &Path, detail: &str) -> Error {
    Error::NoGps {
        path: name.to_path_buf(),
        detail: detail.into(),
    }
}

fn bad_gps(name: &Path, detail: String) -> Error {
    Error::BadGps {
        path: name.to_path_buf(),
        detail,
    }
}
