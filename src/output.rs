//! What the command writes: tables for people, JSON for programs.

use std::fmt::Display;
use std::io::{self, Write};

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, Table, TableComponent};
use geocells::{Accuracy, LatLng, THRESHOLDS};
use serde::Serialize;

/// A line on standard output, by [`Answer`].
pub fn line(text: impl Display) {
    // An answer that cannot be written does not come back.
    let _ = writeln!(Answer, "{text}");
}

/// Standard output. The process ends when nobody can read it any more: quietly when the reader has left, as `head` does, and
/// with an error when it could not be written, for instance to a full disk.
pub struct Answer;

impl Write for Answer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().write(bytes).or_else(end_unread)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush().or_else(end_unread)
    }
}

/// Ends the process after a failed write, unless the write is merely to be tried again.
fn end_unread<T>(error: io::Error) -> io::Result<T> {
    match error.kind() {
        io::ErrorKind::Interrupted => Err(error),
        io::ErrorKind::BrokenPipe => std::process::exit(0),
        _ => {
            eprintln!("error: the answer could not be written to standard output: {error}");
            std::process::exit(1)
        }
    }
}

/// One JSON value on one line of standard output.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string(value)?);
    Ok(())
}

/// Lines above, below and under the headings; none between rows.
fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY);
    for between in [
        TableComponent::HorizontalLines,
        TableComponent::MiddleIntersections,
        TableComponent::LeftBorderIntersections,
        TableComponent::RightBorderIntersections,
    ] {
        table.remove_style(between);
    }
    table
}

/// A table with these headings; numbers go to the right.
pub fn table<const N: usize>(headings: [&str; N], numbers: &[usize]) -> Table {
    wide_table(headings.into_iter(), numbers)
}

/// A table with any number of headings; numbers go to the right.
pub fn wide_table<'a>(headings: impl Iterator<Item = &'a str>, numbers: &[usize]) -> Table {
    let mut table = plain();
    table.set_header(headings);
    for column in numbers {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Accuracy at the five thresholds, a row for each `(name, accuracy)`.
pub fn accuracy_table(rows: &[(&str, &Accuracy)]) -> Table {
    let mut table = plain();
    let mut headings = vec![String::new()];
    headings.extend(THRESHOLDS.iter().map(|t| format!("{} {} km", t.name, t.km.get())));
    headings.push("median error".into());
    table.set_header(headings);
    for (name, accuracy) in rows {
        let mut cells = vec![(*name).to_owned()];
        cells.extend(
            accuracy
                .within
                .iter()
                .map(|share| format!("{:.1} %", share * 100.0)),
        );
        cells.push(format!("{:.0} km", accuracy.median_km));
        table.add_row(cells);
    }
    for column in 1..=THRESHOLDS.len() + 1 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// A place as people write it: `48.8584 N, 2.2945 E`.
pub fn place(place: LatLng) -> String {
    let (latitude, longitude) = (place.latitude(), place.longitude());
    format!(
        "{:.4} {}, {:.4} {}",
        latitude.abs(),
        if latitude < 0.0 { 'S' } else { 'N' },
        longitude.abs(),
        if longitude < 0.0 { 'W' } else { 'E' }
    )
}

/// A distance in the unit that fits it.
pub fn distance(km: f64) -> String {
    if km < 1.0 {
        format!("{:.0} m", km * 1000.0)
    } else if km < 100.0 {
        format!("{km:.1} km")
    } else {
        format!("{km:.0} km")
    }
}

/// A number of bytes in the unit that fits it.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 100.0);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// A number of seconds in the unit that fits it.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

/// A share as people write it: `12.3 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_distances_read_naturally() {
        assert_eq!(
            place(LatLng::new(-33.8568, 151.2153).unwrap()),
            "33.8568 S, 151.2153 E"
        );
        assert_eq!(distance(0.4321), "432 m");
        assert_eq!(distance(12.34), "12.3 km");
        assert_eq!(distance(1234.5), "1234 km");
        assert_eq!(
            (bytes(900), bytes(3 << 20)),
            ("900 B".to_owned(), "3.0 MiB".to_owned())
        );
        assert_eq!(
            (duration(90.0), duration(5400.0)),
            ("90 s".to_owned(), "90 min".to_owned())
        );
        assert_eq!(percent(0.1234), "12.3 %");
    }
}
