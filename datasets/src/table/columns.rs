//! Which column means what, by the names that the field uses.

use std::path::Path;

use super::cell::Cell;
use crate::{Error, Result};

/// What a column can mean to a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Path,
    Latitude,
    Longitude,
    Segmentation,
    Uploader,
    CapturedAt,
    Sha256,
    Place,
    City,
    Country,
}

/// How many roles there are.
const ROLES: usize = 10;

/// Every role with its names: lower case, without spaces, dashes and underscores; the first that is present wins.
const NAMES: [(Role, &[&str]); ROLES] = [
    (
        Role::Path,
        &[
            "path",
            "imagepath",
            "filepath",
            "photopath",
            "file",
            "filename",
            "image",
            "imagename",
            "photo",
            "img",
            "imgpath",
            "imgid",
            "imageid",
            "photoid",
            "id",
        ],
    ),
    (Role::Latitude, &["latitude", "lat", "gpslatitude", "gpslat"]),
    (
        Role::Longitude,
        &[
            "longitude",
            "lon",
            "lng",
            "long",
            "gpslongitude",
            "gpslon",
            "gpslng",
        ],
    ),
    (
        Role::Segmentation,
        &[
            "segmentation",
            "segmentationmap",
            "segmentationpath",
            "map",
            "mask",
            "labels",
        ],
    ),
    (
        Role::Uploader,
        &[
            "uploader",
            "author",
            "user",
            "userid",
            "username",
            "owner",
            "photographer",
        ],
    ),
    (
        Role::CapturedAt,
        &[
            "capturedat",
            "datetaken",
            "takenat",
            "captured",
            "datetime",
            "timestamp",
            "date",
        ],
    ),
    (Role::Sha256, &["sha256"]),
    (Role::Place, &["place", "placename", "location", "locationname"]),
    (Role::City, &["city", "town"]),
    (Role::Country, &["country", "countryname"]),
];

/// The columns of a table that mean something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    index: [Option<usize>; ROLES],
}

impl Columns {
    /// Finds the columns of a table's header; photo, latitude and longitude are necessary.
    pub(crate) fn find(headers: &[String], table: &Path) -> Result<Self> {
        let normal: Vec<String> = headers.iter().map(|header| normalise(header)).collect();
        let index = NAMES.map(|(_, names)| {
            names
                .iter()
                .find_map(|name| normal.iter().position(|header| header == name))
        });
        let columns = Self { index };
        let missing: Vec<&str> = [
            (Role::Path, "the photo (path, file, image, IMG_ID, …)"),
            (Role::Latitude, "the latitude (latitude, LAT, …)"),
            (Role::Longitude, "the longitude (longitude, LON, lng, …)"),
        ]
        .into_iter()
        .filter(|(role, _)| columns.position(*role).is_none())
        .map(|(_, what)| what)
        .collect();
        if missing.is_empty() {
            return Ok(columns);
        }
        Err(Error::BadManifest {
            path: table.to_path_buf(),
            detail: format!(
                "it has no column for {}; its columns are {}; name them in its first row",
                missing.join(" and for "),
                headers
                    .iter()
                    .map(|header| format!("{header:?}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        })
    }

    /// The column's position in the header.
    pub(crate) fn position(&self, role: Role) -> Option<usize> {
        let slot = NAMES.iter().position(|(known, _)| *known == role)?;
        self.index[slot]
    }

    /// The positions of all columns that mean something.
    pub(crate) fn used(&self) -> impl Iterator<Item = usize> {
        self.index.iter().flatten().copied()
    }

    /// Takes the role's cell out of a row; [`Cell::Empty`] when there is no such column.
    pub(crate) fn take(&self, role: Role, cells: &mut [Cell]) -> Cell {
        let cell = self.position(role).and_then(|position| cells.get_mut(position));
        cell.map_or(Cell::Empty, |cell| std::mem::replace(cell, Cell::Empty))
    }
}

fn normalise(header: &str) -> String {
    header
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn find(header: &str) -> Result<Columns> {
        let headers: Vec<String> = header.split(',').map(str::to_owned).collect();
        Columns::find(&headers, Path::new("table.csv"))
    }

    #[test]
    fn the_benchmarks_headers_are_understood() {
        for (header, expected) in [
            ("IMG_ID,AUTHOR,LAT,LON,S3_Label,S16_Label", [0, 2, 3]),
            ("path,lat,lon", [0, 1, 2]),
            ("IMG_ID,LAT,LON", [0, 1, 2]),
            ("file,latitude,longitude,country,city", [0, 1, 2]),
            ("Longitude,Latitude,Image Path", [2, 1, 0]),
            ("id,path,lng,lat", [1, 3, 2]),
        ] {
            let columns = find(header).unwrap();
            let found =
                [Role::Path, Role::Latitude, Role::Longitude].map(|role| columns.position(role).unwrap());
            assert_eq!(found, expected, "{header}");
        }
        assert_eq!(
            find("IMG_ID,AUTHOR,LAT,LON").unwrap().position(Role::Uploader),
            Some(1)
        );
    }

    #[test]
    fn a_missing_column_is_named_with_those_that_are_there() {
        let text = find("file,latitude,country").unwrap_err().to_string();
        assert!(
            text.contains("longitude") && text.contains("\"country\"") && text.contains("table.csv"),
            "{text}"
        );
        assert!(!text.contains("for the latitude"), "{text}");
    }
}
