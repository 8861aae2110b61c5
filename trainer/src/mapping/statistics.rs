//! Pixels by photo and class, as a Parquet table: `file`, `map` (relative to the folder), `class` (ADE20K id, 255
//! unlabelled), `name`, `pixels`, `share` of the photo's pixels.

use std::path::Path;
use std::sync::Arc;

use datasets::ade20k;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::journal::Done;
use crate::{Error, Result};

const SCHEMA: &str = "
message classes {
    required binary file (STRING);
    required binary map (STRING);
    required int32 class;
    required binary name (STRING);
    required int64 pixels;
    required double share;
}";

/// Photos a row group.
const ROW_GROUP: usize = 10_000;

/// Writes the table; it appears whole or not at all.
pub(super) fn write(path: &Path, done: &[Done]) -> Result<()> {
    let mut bytes = Vec::new();
    fill(&mut bytes, done).map_err(|error| Error::Run {
        path: path.to_path_buf(),
        reason: format!("the statistics could not be written: {error}"),
    })?;
    crate::run::write_atomically(path, &bytes)
}

fn fill(bytes: &mut Vec<u8>, done: &[Done]) -> std::result::Result<(), ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by("geosurge".into())
        .build();
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut writer = SerializedFileWriter::new(bytes, schema, Arc::new(properties))?;
    for photos in done.chunks(ROW_GROUP) {
        let mut group = writer.next_row_group()?;
        write_group(&mut group, photos)?;
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

/// One photo's class.
struct Row<'a> {
    done: &'a Done,
    class: u8,
    pixels: u64,
}

fn write_group(
    group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    photos: &[Done],
) -> std::result::Result<(), ParquetError> {
    let rows: Vec<Row<'_>> = photos
        .iter()
        .flat_map(|done| {
            done.pixels.iter().map(move |(class, pixels)| Row {
                done,
                class: *class,
                pixels: *pixels,
            })
        })
        .collect();
    let texts = |text: &dyn Fn(&Row<'_>) -> String| -> Vec<ByteArray> {
        rows.iter()
            .map(|row| ByteArray::from(text(row).as_str()))
            .collect()
    };
    text(group, &texts(&|row| row.done.file.to_string_lossy().into_owned()))?;
    text(group, &texts(&|row| row.done.map.clone()))?;
    let classes: Vec<i32> = rows.iter().map(|row| i32::from(row.class)).collect();
    let mut column = next(group)?;
    column.typed::<Int32Type>().write_batch(&classes, None, None)?;
    column.close()?;
    text(
        group,
        &texts(&|row| ade20k::name(row.class).unwrap_or("unknown").to_owned()),
    )?;
    let pixels: Vec<i64> = rows.iter().map(|row| row.pixels as i64).collect();
    let mut column = next(group)?;
    column.typed::<Int64Type>().write_batch(&pixels, None, None)?;
    column.close()?;
    let shares: Vec<f64> = rows
        .iter()
        .map(|row| row.pixels as f64 / (f64::from(row.done.width) * f64::from(row.done.height)))
        .collect();
    let mut column = next(group)?;
    column.typed::<DoubleType>().write_batch(&shares, None, None)?;
    column.close()
}

fn text(
    group: &mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
    values: &[ByteArray],
) -> std::result::Result<(), ParquetError> {
    let mut column = next(group)?;
    column.typed::<ByteArrayType>().write_batch(values, None, None)?;
    column.close()
}

fn next<'a>(
    group: &'a mut SerializedRowGroupWriter<'_, &mut Vec<u8>>,
) -> std::result::Result<parquet::file::writer::SerializedColumnWriter<'a>, ParquetError> {
    group
        .next_column()?
        .ok_or_else(|| ParquetError::General("the schema has fewer columns than are written".into()))
}
