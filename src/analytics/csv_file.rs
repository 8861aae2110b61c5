//! Rows as CSV.

use std::io::Write;

use anyhow::Result;
use storage::analytics::{Value, View};

use super::{Sink, plain};

/// CSV with a heading; null is the empty field.
pub(super) struct CsvFile<W: Write>(csv::Writer<W>);

impl<W: Write> CsvFile<W> {
    pub(super) fn new(view: &View, to: W) -> Result<Self> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record(view.columns.iter().map(|column| column.name))?;
        Ok(Self(writer))
    }
}

impl<W: Write> Sink for CsvFile<W> {
    fn row(&mut self, values: Vec<Value>) -> Result<()> {
        Ok(self.0.write_record(values.iter().map(plain))?)
    }

    fn finish(&mut self) -> Result<()> {
        Ok(self.0.flush()?)
    }
}
