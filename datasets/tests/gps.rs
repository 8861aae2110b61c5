//! Places in EXIF: what counts as one, and what does not.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use exif::{SRational, Tag, Value};
use geosurge_datasets::{Error, GpsReading, read_gps, read_gps_bytes};
use support::{angle, field, gps, jpeg_at, jpeg_with, text};

fn read(fields: &[exif::Field]) -> Result<GpsReading, Error> {
    read_gps_bytes(&jpeg_with(1, fields), "photo.jpg")
}

fn reason(fields: &[exif::Field]) -> String {
    let error = read(fields).unwrap_err();
    assert!(error.to_string().contains("photo.jpg"), "{error}");
    error.reason().to_owned()
}

fn whole() -> [(u32, u32); 3] {
    [(51, 1), (30, 1), (36, 1)]
}

#[test]
fn every_hemisphere_in_upper_and_lower_case() {
    for (south, west, latitude, longitude) in [
        ("N", "E", 51.51, 0.125),
        ("S", "W", -51.51, -0.125),
        ("s", "w", -51.51, -0.125),
        ("n", "e", 51.51, 0.125),
        ("North", "West", 51.51, -0.125),
    ] {
        let reading = read(&gps(
            angle(&whole()),
            south,
            angle(&[(0, 1), (7, 1), (30, 1)]),
            west,
        ))
        .unwrap();
        assert!(
            (reading.location.latitude() - latitude).abs() < 1e-9,
            "{south} {west}"
        );
        assert!(
            (reading.location.longitude() - longitude).abs() < 1e-9,
            "{south} {west}"
        );
    }
}

#[test]
fn degrees_may_come_as_decimals_without_minutes() {
    let reading = read(&gps(angle(&[(5_151, 100)]), "N", angle(&[(0, 1), (75, 10)]), "W")).unwrap();
    assert!((reading.location.latitude() - 51.51).abs() < 1e-9);
    assert!((reading.location.longitude() + 0.125).abs() < 1e-9);
}

#[test]
fn a_missing_half_or_hemisphere_is_no_place() {
    let fields = gps(angle(&whole()), "N", angle(&whole()), "E");
    for (missing, expected) in [
        (Tag::GPSLatitude, "bad-gps"),
        (Tag::GPSLongitude, "bad-gps"),
        (Tag::GPSLatitudeRef, "bad-gps"),
        (Tag::GPSLongitudeRef, "bad-gps"),
    ] {
        let rest: Vec<_> = fields
            .iter()
            .filter(|field| field.tag != missing)
            .cloned()
            .collect();
        assert_eq!(reason(&rest), expected, "{missing}");
    }
    assert_eq!(reason(&[field(Tag::Make, text("Camera"))]), "no-gps");
}

#[test]
fn hemispheres_of_the_wrong_axis_are_not_guessed_at() {
    assert_eq!(
        reason(&gps(angle(&whole()), "E", angle(&whole()), "N")),
        "bad-gps"
    );
    assert_eq!(
        reason(&gps(angle(&whole()), "X", angle(&whole()), "E")),
        "bad-gps"
    );
}

#[test]
fn impossible_numbers_are_no_place() {
    let zero_by_zero = angle(&[(0, 0), (0, 0), (0, 0)]);
    assert_eq!(
        reason(&gps(zero_by_zero.clone(), "N", zero_by_zero, "E")),
        "bad-gps"
    );
    assert_eq!(
        reason(&gps(angle(&[(51, 0), (0, 1), (0, 1)]), "N", angle(&whole()), "E")),
        "bad-gps"
    );
    assert_eq!(
        reason(&gps(angle(&[(91, 1), (0, 1), (0, 1)]), "N", angle(&whole()), "E")),
        "bad-gps"
    );
    assert_eq!(
        reason(&gps(
            angle(&whole()),
            "N",
            angle(&[(181, 1), (0, 1), (0, 1)]),
            "E"
        )),
        "bad-gps"
    );
    assert_eq!(
        reason(&gps(
            angle(&[(51, 1), (99, 1), (0, 1)]),
            "N",
            angle(&whole()),
            "E"
        )),
        "bad-gps"
    );
    let negative = Value::SRational(vec![SRational { num: -51, denom: 1 }]);
    assert_eq!(reason(&gps(negative, "N", angle(&whole()), "E")), "bad-gps");
    assert_eq!(
        reason(&gps(Value::Double(vec![f64::NAN]), "N", angle(&whole()), "E")),
        "bad-gps"
    );
    assert_eq!(reason(&gps(text("51.5"), "N", angle(&whole()), "E")), "bad-gps");
}

#[test]
fn exactly_zero_zero_counts_as_no_fix() {
    let zero = || angle(&[(0, 1), (0, 1), (0, 1)]);
    assert_eq!(reason(&gps(zero(), "N", zero(), "E")), "no-gps");
    // On the equator, or on the meridian of Greenwich, there are people.
    assert!(read(&gps(zero(), "N", angle(&whole()), "E")).is_ok());
    assert!(read(&gps(angle(&whole()), "N", zero(), "E")).is_ok());
}

#[test]
fn the_time_is_the_gps_clocks_or_one_with_an_offset() {
    let place = gps(angle(&whole()), "N", angle(&whole()), "E");
    let clock = [
        field(Tag::GPSDateStamp, text("2026:11:22")),
        field(Tag::GPSTimeStamp, angle(&[(14, 1), (3, 1), (5450, 100)])),
    ];
    let local = [
        field(Tag::DateTimeOriginal, text("2026:11:22 16:03:54")),
        field(Tag::OffsetTimeOriginal, text("+02:00")),
    ];
    let time = |extra: &[exif::Field]| {
        let reading = read(&[place.as_slice(), extra].concat()).unwrap();
        reading.captured_at.map(|time| time.to_rfc3339())
    };
    assert_eq!(time(&clock).as_deref(), Some("2026-11-22T14:03:54+00:00"));
    assert_eq!(time(&local).as_deref(), Some("2026-11-22T14:03:54+00:00"));
    assert_eq!(time(&local[..1]), None);
}

#[test]
fn cut_off_files_never_panic_and_always_name_a_reason() {
    let whole = jpeg_at(1, 51.5, -0.125);
    let mut places = 0;
    for length in 0..whole.len() {
        match read_gps_bytes(&whole[..length], "cut.jpg") {
            Ok(_) => places += 1,
            Err(error) => assert!(
                ["no-gps", "bad-gps"].contains(&error.reason()),
                "{length}: {error}"
            ),
        }
    }
    assert!(places > 0, "a file cut behind its EXIF still has its place");
}

#[test]
fn other_files_have_no_place() {
    assert_eq!(read_gps_bytes(b"", "empty.jpg").unwrap_err().reason(), "no-gps");
    assert_eq!(
        read_gps_bytes(b"path,latitude,longitude\n", "a.csv")
            .unwrap_err()
            .reason(),
        "no-gps"
    );
    assert_eq!(read_gps("/no/such/photo.jpg").unwrap_err().reason(), "unreadable");
}

#[test]
fn pointers_of_the_type_ifd_are_followed() {
    let mut jpeg = jpeg_at(1, 51.5, -0.125);
    // The GPS directory's entry in the big-endian block: tag 0x8825, type LONG (4), one value.
    let long = [0x88, 0x25, 0, 4, 0, 0, 0, 1];
    let at = jpeg
        .windows(long.len())
        .position(|window| window == long)
        .expect("a pointer to the GPS directory");
    jpeg[at + 3] = 13;
    let reading = read_gps_bytes(&jpeg, "photo.jpg").unwrap();
    assert!((reading.location.latitude() - 51.5).abs() < 1e-6);
}
