//! What an import did, and what it left out and why.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{Error, Result, atomic};

/// What an import did. As JSON: `{"imported": n, "skipped": [{"file", "reason"}], "ignored": n}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Photos in the dataset.
    pub imported: usize,
    /// Photos and rows that could not be used, in the sources' order.
    pub skipped: Vec<Skipped>,
    /// Files in folders that are no photos and were passed over.
    pub ignored: usize,
}

/// A photo or row that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The photo's file, or the table and position of a row that names none.
    pub file: PathBuf,
    /// The stable code of the reason, as [`Error::reason`] has them.
    #[serde(skip)]
    pub code: &'static str,
    /// The code and then, for people, what is wrong and what to do.
    pub reason: String,
}

impl Skipped {
    pub(super) fn new(file: &Path, error: &Error) -> Self {
        let code = error.reason();
        let text = error.to_string();
        Self {
            file: file.to_path_buf(),
            code,
            reason: if text.starts_with(code) {
                text
            } else {
                format!("{code}: {text}")
            },
        }
    }
}

/// The report's file name inside a dataset.
const SKIPPED: &str = "skipped.csv";

impl ImportReport {
    /// How many photos and rows were skipped for each reason, by code.
    #[must_use]
    pub fn skipped_by_reason(&self) -> BTreeMap<&'static str, usize> {
        count(&self.skipped)
    }

    /// Writes `skipped.csv` (`file,code,reason`) into the dataset's directory; header only when nothing was skipped.
    pub(super) fn write_skipped(&self, out: &Path) -> Result<()> {
        let path = out.join(SKIPPED);
        atomic::write(&path, |file| {
            let failed = |error: csv::Error| Error::io("write", &path)(error.into());
            let mut writer = csv::Writer::from_writer(file);
            writer.write_record(["file", "code", "reason"]).map_err(failed)?;
            for skipped in &self.skipped {
                let record = [
                    &skipped.file.to_string_lossy(),
                    skipped.code,
                    skipped.reason.as_str(),
                ];
                writer.write_record(record).map_err(failed)?;
            }
            writer.flush().map_err(Error::io("write", &path))
        })
    }
}

fn count(skipped: &[Skipped]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for item in skipped {
        *counts.entry(item.code).or_insert(0) += 1;
    }
    counts
}

/// Why an import has nothing to show.
pub(super) fn nothing_usable(sources: &[PathBuf], skipped: Vec<Skipped>, ignored: usize) -> Error {
    let names: Vec<String> = sources
        .iter()
        .take(3)
        .map(|source| source.display().to_string())
        .collect();
    let more = if sources.len() > names.len() { ", …" } else { "" };
    let place = format!("{}{more}", names.join(", "));
    let detail = match skipped.first() {
        None if sources.is_empty() => {
            "nothing to import was given; name photos, folders, or CSV or Parquet files of places".into()
        }
        None => format!(
            "no photo was found in {place} ({ignored} other files were passed over); give photos, folders of photos, or a table of places"
        ),
        Some(first) => {
            let reasons: Vec<String> = count(&skipped)
                .iter()
                .map(|(code, count)| format!("{count} {code}"))
                .collect();
            format!(
                "none of the {} photos in {place} can be used ({}); the first: {}",
                skipped.len(),
                reasons.join(", "),
                first.reason
            )
        }
    };
    let report = ImportReport {
        imported: 0,
        skipped,
        ignored,
    };
    Error::NothingImported {
        detail,
        report: Box::new(report),
    }
}
