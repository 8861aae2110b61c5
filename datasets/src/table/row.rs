//! One row of a manifest, and the photo that it means.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use geocells::LatLng;

use super::cell::Cell;
use super::columns::{Columns, Role};
use crate::{Error, Photo, Result};

/// Where a row is in its table, for people: CSV counts lines, Parquet counts rows, both from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    Line(u64),
    Row(u64),
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(formatter, "line {line}"),
            Self::Row(row) => write!(formatter, "row {row}"),
        }
    }
}

/// A row whose cells were found but not yet judged.
#[derive(Debug)]
pub(crate) struct ManifestRow {
    table: Arc<Path>,
    position: Position,
    /// The cells, or what made the row unreadable.
    content: Result<Content, String>,
}

#[derive(Debug)]
struct Content {
    path: Result<Option<String>, String>,
    latitude: Result<f64, String>,
    longitude: Result<f64, String>,
    segmentation: Result<Option<String>, String>,
    uploader: Result<Option<String>, String>,
    captured_at: Result<Option<DateTime<Utc>>, String>,
    sha256: Result<Option<String>, String>,
    place: Option<String>,
}

impl ManifestRow {
    pub(crate) fn new(table: &Arc<Path>, position: Position, columns: &Columns, cells: &mut [Cell]) -> Self {
        let content = Content {
            path: columns.take(Role::Path, cells).text(),
            latitude: columns.take(Role::Latitude, cells).degrees(),
            longitude: columns.take(Role::Longitude, cells).degrees(),
            segmentation: columns.take(Role::Segmentation, cells).text(),
            uploader: columns.take(Role::Uploader, cells).text(),
            captured_at: columns.take(Role::CapturedAt, cells).time(),
            sha256: columns.take(Role::Sha256, cells).text(),
            place: place_name(columns, cells),
        };
        Self {
            table: Arc::clone(table),
            position,
            content: Ok(content),
        }
    }

    pub(crate) fn unreadable(table: &Arc<Path>, position: Position, detail: String) -> Self {
        Self {
            table: Arc::clone(table),
            position,
            content: Err(detail),
        }
    }

    /// What a report calls this row: the photo's path where there is one, else the table and position.
    pub(crate) fn label(&self) -> PathBuf {
        match &self.content {
            Ok(Content {
                path: Ok(Some(path)), ..
            }) => PathBuf::from(path),
            _ => PathBuf::from(format!("{}, {}", self.table.display(), self.position)),
        }
    }

    /// Whether the latitude can only be a longitude.
    pub(crate) fn looks_swapped(&self) -> bool {
        match &self.content {
            Ok(Content {
                latitude: Ok(latitude),
                longitude: Ok(longitude),
                ..
            }) => looks_swapped(*latitude, *longitude),
            _ => false,
        }
    }

    /// The photo that the row means; paths are as the row has them.
    pub(crate) fn photo(self) -> Result<Photo> {
        let Self {
            table,
            position,
            content,
        } = self;
        let bad = |detail: String| Error::BadRow {
            path: table.to_path_buf(),
            position: position.to_string(),
            detail,
        };
        let column = |name: &'static str| move |detail: String| format!("the {name} {detail}");
        let content = content.map_err(bad)?;
        let path = content.path.map_err(column("photo's path")).map_err(bad)?;
        let path = path.ok_or_else(|| bad("the photo's path is missing".into()))?;
        let latitude = content.latitude.map_err(column("latitude")).map_err(bad)?;
        let longitude = content.longitude.map_err(column("longitude")).map_err(bad)?;
        let location = LatLng::new(latitude, longitude).map_err(|error| {
            let hint = if looks_swapped(latitude, longitude) {
                "; are the latitude and longitude columns swapped?"
            } else {
                ""
            };
            bad(format!("{error}{hint}"))
        })?;
        Ok(Photo {
            path: path.into(),
            location,
            segmentation: content
                .segmentation
                .map_err(column("segmentation map's path"))
                .map_err(bad)?
                .map(PathBuf::from),
            uploader: content.uploader.map_err(column("uploader")).map_err(bad)?,
            captured_at: content.captured_at.map_err(column("capture time")).map_err(bad)?,
            sha256: content.sha256.map_err(column("sha256")).map_err(bad)?,
            place: content.place,
        })
    }
}

fn looks_swapped(latitude: f64, longitude: f64) -> bool {
    latitude.abs() > 90.0 && latitude.abs() <= 180.0 && longitude.abs() <= 90.0
}

/// The place's name, or "city, country" as far as the table has them. It is for people only, so nothing in it is an error.
fn place_name(columns: &Columns, cells: &mut [Cell]) -> Option<String> {
    let mut name = |role| columns.take(role, cells).text().ok().flatten();
    name(Role::Place).or_else(|| {
        let parts: Vec<String> = [name(Role::City), name(Role::Country)]
            .into_iter()
            .flatten()
            .collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    })
}
