//! Tables in Parquet, from us and from pandas, pyarrow or DuckDB.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use chrono::DateTime;
use parquet::basic::{Compression, LogicalType, TimeUnit, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::record::Field;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;

use super::cell::Cell;
use super::columns::Columns;
use super::row::{ManifestRow, Position};
use crate::{Error, Photo, Result};

/// The manifest's columns, in this order.
const SCHEMA: &str = "
message photos {
    required binary path (STRING);
    required double latitude;
    required double longitude;
    optional binary segmentation (STRING);
    optional binary uploader (STRING);
    optional int64 captured_at (TIMESTAMP(MICROS,true));
    optional binary sha256 (STRING);
    optional binary place (STRING);
}";

/// Photos in one row group: large enough to compress, small enough to hold in memory.
const ROW_GROUP: usize = 100_000;

/// Reads a Parquet file's rows; columns of other meanings are not decoded at all.
pub(crate) fn read_parquet(path: &Path, each: &mut dyn FnMut(ManifestRow) -> Result<()>) -> Result<()> {
    let unreadable = |error: ParquetError| Error::BadManifest {
        path: path.to_path_buf(),
        detail: format!(
            "it cannot be read as Parquet ({error}); write it again, with snappy, zstd or no compression"
        ),
    };
    let file = fs_err::File::open(path).map_err(Error::io("read", path))?;
    let reader = SerializedFileReader::new(file.into_parts().0).map_err(unreadable)?;
    let schema = reader.metadata().file_metadata().schema();
    let headers: Vec<String> = schema
        .get_fields()
        .iter()
        .map(|field| field.name().to_owned())
        .collect();
    let found = Columns::find(&headers, path)?;
    let mut used: Vec<usize> = found.used().collect();
    used.sort_unstable();
    let fields: Vec<Arc<Type>> = used
        .iter()
        .map(|position| Arc::clone(&schema.get_fields()[*position]))
        .collect();
    let names: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
    let columns = Columns::find(&names, path)?;
    let nanoseconds: Vec<bool> = fields.iter().map(|field| is_nanoseconds(field)).collect();
    let projection = Type::group_type_builder(schema.name())
        .with_fields(fields)
        .build()
        .map_err(unreadable)?;

    let table: Arc<Path> = Arc::from(path);
    let rows = reader.get_row_iter(Some(projection)).map_err(unreadable)?;
    for (row, number) in rows.zip(1..) {
        let row = row.map_err(unreadable)?;
        let mut cells: Vec<Cell> = row
            .get_column_iter()
            .zip(&nanoseconds)
            .map(|((_, field), nanoseconds)| cell(field, *nanoseconds))
            .collect();
        each(ManifestRow::new(
            &table,
            Position::Row(number),
            &columns,
            &mut cells,
        ))?;
    }
    Ok(())
}

/// Whether a column holds nanosecond timestamps, which the row reader hands out as plain integers.
fn is_nanoseconds(field: &Type) -> bool {
    matches!(
        field.get_basic_info().logical_type_ref(),
        Some(LogicalType::Timestamp(timestamp)) if timestamp.unit == TimeUnit::NANOS
    )
}

fn cell(field: &Field, nanoseconds: bool) -> Cell {
    match field {
        Field::Null => Cell::Empty,
        Field::Str(text) => Cell::from_text(text),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Cell::from_text(text),
            Err(_) => Cell::Strange("binary data".into()),
        },
        Field::Long(value) if nanoseconds => Cell::Time(DateTime::from_timestamp_nanos(*value)),
        Field::Long(value) => Cell::Integer(*value),
        Field::Byte(value) => Cell::Integer(i64::from(*value)),
        Field::Short(value) => Cell::Integer(i64::from(*value)),
        Field::Int(value) => Cell::Integer(i64::from(*value)),
        Field::UByte(value) => Cell::Integer(i64::from(*value)),
        Field::UShort(value) => Cell::Integer(i64::from(*value)),
        Field::UInt(value) => Cell::Integer(i64::from(*value)),
        Field::ULong(value) => Cell::Text(value.to_string()),
        Field::Float16(value) => Cell::Number(f64::from(f32::from(*value))),
        Field::Float(value) => Cell::Number(f64::from(*value)),
        Field::Double(value) => Cell::Number(*value),
        Field::Decimal(_) => Cell::Text(field.to_string()),
        Field::Date(days) => timestamp(DateTime::from_timestamp(i64::from(*days) * 86_400, 0), field),
        Field::TimestampMillis(value) => timestamp(DateTime::from_timestamp_millis(*value), field),
        Field::TimestampMicros(value) => timestamp(DateTime::from_timestamp_micros(*value), field),
        Field::Bool(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::Group(_)
        | Field::ListInternal(_)
        | Field::MapInternal(_) => Cell::Strange(format!("{field}")),
    }
}

fn timestamp(time: Option<DateTime<chrono::Utc>>, field: &Field) -> Cell {
    time.map_or_else(
        || Cell::Strange(format!("the impossible time {field}")),
        Cell::Time,
    )
}

/// Writes the manifest of `photos` to `file`; `path` is its name in errors.
pub(crate) fn write_parquet<W: Write + Send>(path: &Path, file: W, photos: &[Photo]) -> Result<()> {
    let failed = |error: ParquetError| Error::io("write", path)(std::io::Error::other(error));
    let texts = texts(photos)?;
    let schema = Arc::new(parse_message_type(SCHEMA).map_err(failed)?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by("geosurge".into())
        .build();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(failed)?;
    for (photos, texts) in photos.chunks(ROW_GROUP).zip(texts.chunks(ROW_GROUP)) {
        let mut group = writer.next_row_group().map_err(failed)?;
        write_row_group(&mut group, photos, texts).map_err(failed)?;
        group.close().map_err(failed)?;
    }
    writer.close().map_err(failed)?;
    Ok(())
}

fn write_row_group<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    photos: &[Photo],
    texts: &[PathTexts<'_>],
) -> Result<(), ParquetError> {
    write_text(group, texts.iter().map(|text| Some(text.path)), true)?;
    write_degrees(group, photos.iter().map(|photo| photo.location.latitude()))?;
    write_degrees(group, photos.iter().map(|photo| photo.location.longitude()))?;
    write_text(group, texts.iter().map(|text| text.segmentation), false)?;
    write_text(group, photos.iter().map(|photo| photo.uploader.as_deref()), false)?;
    write_times(group, photos)?;
    write_text(group, photos.iter().map(|photo| photo.sha256.as_deref()), false)?;
    write_text(group, photos.iter().map(|photo| photo.place.as_deref()), false)
}

/// A photo's paths as text.
struct PathTexts<'a> {
    path: &'a str,
    segmentation: Option<&'a str>,
}

fn texts(photos: &[Photo]) -> Result<Vec<PathTexts<'_>>> {
    fn utf8(path: &Path) -> Result<&str> {
        path.to_str().ok_or_else(|| Error::BadManifest {
            path: path.to_path_buf(),
            detail: "its name is not UTF-8, which a manifest cannot hold; rename it".into(),
        })
    }
    photos
        .iter()
        .map(|photo| {
            Ok(PathTexts {
                path: utf8(&photo.path)?,
                segmentation: photo.segmentation.as_deref().map(utf8).transpose()?,
            })
        })
        .collect()
}

fn write_text<'a, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: impl Iterator<Item = Option<&'a str>> + Clone,
    required: bool,
) -> Result<(), ParquetError> {
    let present: Vec<ByteArray> = values.clone().flatten().map(ByteArray::from).collect();
    let levels: Vec<i16> = values.map(|value| i16::from(value.is_some())).collect();
    let mut column = next_column(group)?;
    column
        .typed::<ByteArrayType>()
        .write_batch(&present, (!required).then_some(levels.as_slice()), None)?;
    column.close()
}

fn write_degrees<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: impl Iterator<Item = f64>,
) -> Result<(), ParquetError> {
    let values: Vec<f64> = values.collect();
    let mut column = next_column(group)?;
    column.typed::<DoubleType>().write_batch(&values, None, None)?;
    column.close()
}

fn write_times<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    photos: &[Photo],
) -> Result<(), ParquetError> {
    let present: Vec<i64> = photos
        .iter()
        .filter_map(|photo| photo.captured_at)
        .map(|time| time.timestamp_micros())
        .collect();
    let levels: Vec<i16> = photos
        .iter()
        .map(|photo| i16::from(photo.captured_at.is_some()))
        .collect();
    let mut column = next_column(group)?;
    column
        .typed::<Int64Type>()
        .write_batch(&present, Some(&levels), None)?;
    column.close()
}

fn next_column<'a, W: Write + Send>(
    group: &'a mut SerializedRowGroupWriter<'_, W>,
) -> Result<parquet::file::writer::SerializedColumnWriter<'a>, ParquetError> {
    group
        .next_column()?
        .ok_or_else(|| ParquetError::General("the schema has fewer columns than are written".into()))
}
