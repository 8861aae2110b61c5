//! Event files that TensorBoard reads.
//!
//! A file is a list of TFRecords: the length of the data as little-endian u64, the masked CRC-32C of those eight bytes, the data, its masked
//! CRC-32C. The data are `Event` messages of TensorFlow's `event.proto`, of which the few fields that are needed are written here. A run that is
//! resumed begins a new file with a session's start at its step: TensorBoard then drops what a killed run wrote beyond it.

use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::metrics::Line;
use crate::{Error, Result};

/// What every event file begins with.
const FILE_VERSION: &str = "brain.Event:2";
/// `SessionLog.SessionStatus.START`.
const START: i32 = 1;

/// `tensorflow.Event`.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session_log: Option<SessionLog>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

/// `tensorflow.Summary.Value` with a scalar.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// `tensorflow.SessionLog`.
#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// An event file that is being written.
#[derive(Debug)]
pub struct EventFile {
    file: fs_err::File,
}

impl EventFile {
    /// A new file in `folder`. With `resumed`, events of an earlier file from that step on no longer count.
    ///
    /// # Errors
    /// The file system's.
    pub fn create(folder: &Path, resumed: Option<u64>) -> Result<Self> {
        let path = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let (seconds, nanos) = (since.as_secs(), since.subsec_nanos());
            folder.join(format!("events.out.tfevents.{seconds}.{nanos:09}.geosurge"))
        };
        let writing = |error| Error::writing(folder, error);
        fs_err::create_dir_all(folder).map_err(writing)?;
        let file = fs_err::OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(path())
            .map_err(writing)?;
        let mut events = Self { file };
        events.append(Event {
            file_version: Some(FILE_VERSION.to_owned()),
            ..Event::default()
        })?;
        if let Some(step) = resumed {
            events.append(Event {
                step: step as i64 + 1,
                session_log: Some(SessionLog { status: START }),
                ..Event::default()
            })?;
        }
        Ok(events)
    }

    /// Writes what of a line is a curve.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&mut self, line: &Line<'_>) -> Result<()> {
        let (step, scalars) = scalars(line);
        if scalars.is_empty() {
            return Ok(());
        }
        let value = |(tag, value): (String, f64)| Value {
            tag,
            simple_value: Some(value as f32),
        };
        self.append(Event {
            step: step as i64,
            summary: Some(Summary {
                value: scalars.into_iter().map(value).collect(),
            }),
            ..Event::default()
        })
    }

    fn append(&mut self, event: Event) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let event = Event {
            wall_time: now.as_secs_f64(),
            ..event
        };
        self.file.write_all(&record(&event.encode_to_vec()))?;
        Ok(())
    }
}

/// The curves of a line: step, and tags with values.
fn scalars(line: &Line<'_>) -> (u64, Vec<(String, f64)>) {
    match line {
        Line::Step {
            step,
            loss,
            learning_rate,
            gradient_norm,
            images_per_second,
            idle,
            ..
        } => {
            let curves = [
                ("train/loss", *loss),
                ("train/learning_rate", *learning_rate),
                ("train/gradient_norm", *gradient_norm),
                ("speed/images_per_second", *images_per_second),
                ("speed/device_idle", *idle),
            ];
            (*step, curves.map(|(tag, value)| (tag.to_owned(), value)).into())
        }
        Line::Validation {
            step,
            accuracy,
            score,
            temperatures,
            ..
        } => {
            let mut curves = vec![
                ("validation/score".to_owned(), *score),
                ("validation/median_km".to_owned(), accuracy.median_km),
            ];
            for (threshold, share) in geocells::THRESHOLDS.iter().zip(accuracy.within) {
                curves.push((format!("validation/within_{}_km", threshold.km.get()), share));
            }
            for (level, temperature) in temperatures.iter().enumerate() {
                curves.push((format!("temperature/level_{level}"), *temperature));
            }
            (*step, curves)
        }
        Line::Stage { .. } => (0, Vec::new()),
    }
}

/// One TFRecord.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked_crc(data).to_le_bytes());
    record
}

/// TensorFlow's masked CRC-32C: rotated right by 15 bits, plus a constant.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// The records of a file, their checksums checked by a CRC of this test's own, bit by bit (RFC 3720, B.4).
    fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
        let crc = |data: &[u8]| {
            let register = data.iter().fold(u32::MAX, |register, byte| {
                (0..8).fold(register ^ u32::from(*byte), |r, _| {
                    if r & 1 == 1 {
                        (r >> 1) ^ 0x82f6_3b78
                    } else {
                        r >> 1
                    }
                })
            });
            let crc = !register;
            crc.rotate_right(15).wrapping_add(0xa282_ead8)
        };
        let mut rest = bytes;
        let mut records = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            assert_eq!(
                u32::from_le_bytes(rest[8..12].try_into().unwrap()),
                crc(&rest[..8])
            );
            let data = &rest[12..12 + length];
            let stated = &rest[12 + length..16 + length];
            assert_eq!(u32::from_le_bytes(stated.try_into().unwrap()), crc(data));
            records.push(data.to_vec());
            rest = &rest[16 + length..];
        }
        records
    }

    #[test]
    fn the_checksum_is_the_published_one() {
        // RFC 3720, B.4: 32 bytes of zeros; and the check value of "123456789".
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        let unmasked = masked_crc(b"123456789").wrapping_sub(0xa282_ead8).rotate_left(15);
        assert_eq!(unmasked, 0xe306_9283);
    }

    #[test]
    fn a_file_holds_framed_events() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(folder.path(), Some(40)).unwrap();
        let step = Line::Step {
            step: 60,
            epoch: 1,
            samples: 600,
            loss: 2.5,
            learning_rate: 1e-3,
            gradient_norm: 0.75,
            images_per_second: 10.0,
            idle: 0.25,
            seconds: 3.0,
        };
        file.write(&step).unwrap();
        file.write(&Line::Stage {
            stage: crate::Stage::Learn,
            seconds: 1.0,
        })
        .unwrap();
        let path = fs_err::read_dir(folder.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        assert!(path.file_name().unwrap().to_string_lossy().contains("tfevents"));
        let events: Vec<Event> = records(&fs_err::read(path).unwrap())
            .iter()
            .map(|record| Event::decode(record.as_slice()).unwrap())
            .collect();
        assert_eq!(events.len(), 3, "a stage is no curve");
        assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
        assert_eq!(
            (events[1].step, events[1].session_log.as_ref().unwrap().status),
            (41, START)
        );
        assert_eq!(events[2].step, 60);
        let values = &events[2].summary.as_ref().unwrap().value;
        let loss = values.iter().find(|value| value.tag == "train/loss").unwrap();
        assert_eq!(loss.simple_value, Some(2.5));
        assert!(events.iter().all(|event| event.wall_time > 1.7e9));
    }
}
