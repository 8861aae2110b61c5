//! Rows as Parquet.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Result, bail};
use chrono::NaiveDate;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use storage::analytics::{Kind, Value, View};

use super::Sink;

/// Rows in one row group: large enough to compress, small enough to hold in memory.
const ROW_GROUP: usize = 50_000;

/// A Parquet file with a nullable column for each of the view's.
pub(super) struct ParquetFile<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    view: &'static View,
    rows: Vec<Vec<Value>>,
}

impl<W: Write + Send> ParquetFile<W> {
    pub(super) fn new(view: &'static View, to: W) -> Result<Self> {
        let mut schema = format!("message {} {{", view.name);
        for column in view.columns {
            let (physical, logical) = match column.kind {
                Kind::Text => ("binary", " (STRING)"),
                Kind::Integer => ("int64", ""),
                Kind::Real => ("double", ""),
                Kind::Boolean => ("boolean", ""),
                Kind::Day => ("int32", " (DATE)"),
                Kind::Time => ("int64", " (TIMESTAMP(MICROS,true))"),
            };
            schema.push_str(&format!("optional {physical} {}{logical};", column.name));
        }
        schema.push('}');
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let schema = Arc::new(parse_message_type(&schema)?);
        Ok(Self {
            writer: SerializedFileWriter::new(to, schema, Arc::new(properties))?,
            view,
            rows: Vec::new(),
        })
    }

    fn write_group(&mut self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for (index, column) in self.view.columns.iter().enumerate() {
            let values = self.rows.iter().map(|row| &row[index]);
            match column.kind {
                Kind::Text => write_column::<ByteArrayType, _>(&mut group, values, |value| match value {
                    Value::Text(text) => Some(ByteArray::from(text.as_str())),
                    _ => None,
                })?,
                Kind::Integer => write_column::<Int64Type, _>(&mut group, values, |value| match value {
                    Value::Integer(number) => Some(*number),
                    _ => None,
                })?,
                Kind::Real => write_column::<DoubleType, _>(&mut group, values, |value| match value {
                    Value::Real(number) => Some(*number),
                    _ => None,
                })?,
                Kind::Boolean => write_column::<BoolType, _>(&mut group, values, |value| match value {
                    Value::Boolean(yes) => Some(*yes),
                    _ => None,
                })?,
                Kind::Day => write_column::<Int32Type, _>(&mut group, values, |value| match value {
                    Value::Day(day) => i32::try_from((*day - NaiveDate::default()).num_days()).ok(),
                    _ => None,
                })?,
                Kind::Time => write_column::<Int64Type, _>(&mut group, values, |value| match value {
                    Value::Time(time) => Some(time.timestamp_micros()),
                    _ => None,
                })?,
            }
        }
        group.close()?;
        self.rows.clear();
        Ok(())
    }
}

/// The values that are not null, and for each row whether it has one.
fn write_column<'a, T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: impl Iterator<Item = &'a Value>,
    convert: impl Fn(&Value) -> Option<T::T>,
) -> Result<()> {
    let converted: Vec<Option<T::T>> = values.map(convert).collect();
    let levels: Vec<i16> = converted.iter().map(|value| i16::from(value.is_some())).collect();
    let there: Vec<T::T> = converted.into_iter().flatten().collect();
    let Some(mut column) = group.next_column()? else {
        bail!("the Parquet writer has fewer columns than the view");
    };
    column.typed::<T>().write_batch(&there, Some(&levels), None)?;
    column.close()?;
    Ok(())
}

impl<W: Write + Send> Sink for ParquetFile<W> {
    fn row(&mut self, values: Vec<Value>) -> Result<()> {
        self.rows.push(values);
        match self.rows.len() {
            ROW_GROUP => self.write_group(),
            _ => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.write_group()?;
        self.writer.finish()?;
        Ok(())
    }
}
