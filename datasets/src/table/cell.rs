//! One cell of a table, before anybody knows what it should mean.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

/// A cell as the file holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Empty,
    Text(String),
    Number(f64),
    Integer(i64),
    Time(DateTime<Utc>),
    /// A value of a type that no column of ours can have, by its name.
    Strange(String),
}

impl Cell {
    /// Text as a CSV has it: trimmed, and empty is [`Cell::Empty`].
    pub(crate) fn from_text(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            Self::Empty
        } else {
            Self::Text(text.to_owned())
        }
    }

    /// A name: text, or a number that serves as one. `None` when empty.
    pub(crate) fn text(self) -> Result<Option<String>, String> {
        match self {
            Self::Empty => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            Self::Integer(number) => Ok(Some(number.to_string())),
            Self::Number(number) => Ok(Some(number.to_string())),
            Self::Time(time) => Ok(Some(time.to_rfc3339())),
            Self::Strange(kind) => Err(format!("is {kind}, not text")),
        }
    }

    /// A number of degrees. Range and finiteness are somebody else's question.
    pub(crate) fn degrees(self) -> Result<f64, String> {
        match self {
            Self::Empty => Err("is missing".into()),
            Self::Number(number) => Ok(number),
            Self::Integer(number) => Ok(number as f64),
            Self::Text(text) => text
                .parse()
                .map_err(|_| format!("is {text:?}, not a number of degrees")),
            Self::Time(_) => Err("is a time, not a number of degrees".into()),
            Self::Strange(kind) => Err(format!("is {kind}, not a number of degrees")),
        }
    }

    /// A moment: a timestamp, an ISO 8601 or EXIF date (UTC where it names no offset), or seconds since 1970.
    pub(crate) fn time(self) -> Result<Option<DateTime<Utc>>, String> {
        let unusable = |text: String| format!("is {text:?}; write it like 2026-11-22T14:03:54Z");
        match self {
            Self::Empty => Ok(None),
            Self::Time(time) => Ok(Some(time)),
            Self::Integer(seconds) => match DateTime::from_timestamp(seconds, 0) {
                Some(time) => Ok(Some(time)),
                None => Err(unusable(seconds.to_string())),
            },
            Self::Number(number) => Err(unusable(number.to_string())),
            Self::Text(text) => match parse_time(&text) {
                Some(time) => Ok(Some(time)),
                None => Err(unusable(text)),
            },
            Self::Strange(kind) => Err(unusable(kind)),
        }
    }
}

fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    const WITH_OFFSET: [&str; 3] = [
        "%Y-%m-%d %H:%M:%S%.f%#z",
        "%Y-%m-%dT%H:%M:%S%.f%#z",
        "%Y-%m-%d %H:%M:%S%.f %#z",
    ];
    const LOCAL: [&str; 3] = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y:%m:%d %H:%M:%S",
    ];
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    if let Some(time) = WITH_OFFSET
        .iter()
        .find_map(|format| DateTime::parse_from_str(text, format).ok())
    {
        return Some(time.to_utc());
    }
    if let Some(time) = LOCAL
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    {
        return Some(time.and_utc());
    }
    let midnight = NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()?
        .and_hms_opt(0, 0, 0)?;
    Some(midnight.and_utc())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn times_are_read_as_people_and_programs_write_them() {
        let expected = DateTime::parse_from_rfc3339("2026-11-22T14:03:54Z")
            .unwrap()
            .to_utc();
        for text in [
            "2026-11-22T14:03:54Z",
            "2026-11-22T16:03:54+02:00",
            "2026-11-22 14:03:54",
            "2026-11-22 14:03:54+00:00",
            "2026-11-22T14:03:54.000",
            "2026:11:22 14:03:54",
        ] {
            assert_eq!(Cell::from_text(text).time().unwrap(), Some(expected), "{text}");
        }
        assert_eq!(
            Cell::Integer(expected.timestamp()).time().unwrap(),
            Some(expected)
        );
        assert_eq!(Cell::from_text(" ").time().unwrap(), None);
        assert!(
            Cell::from_text("last summer")
                .time()
                .unwrap_err()
                .contains("last summer")
        );
    }

    #[test]
    fn degrees_must_be_numbers() {
        assert_eq!(Cell::from_text(" 51.5 ").degrees().unwrap(), 51.5);
        assert!(Cell::from_text("51,5").degrees().unwrap_err().contains("51,5"));
        assert!(Cell::Empty.degrees().is_err());
    }
}
