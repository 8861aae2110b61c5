//! `geosurge analytics`: the catalog's views for analysts, as tables and files.

mod csv_file;
mod parquet_file;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use chrono::NaiveDate;
use serde_json::{Map, json};
use storage::Catalog;
use storage::analytics::{AnalyticsQuery, Kind, Value, View, find, views};

use crate::settings::Settings;
use crate::{output, stores};

/// Rows of a table for people, unless they ask for another number.
const ROWS: usize = 100;

#[derive(clap::Args)]
pub struct Args {
    /// The view; `list` tells which there are, `refresh` computes the kept ones anew
    #[arg(value_name = "VIEW|list|refresh")]
    view: String,
    /// Print CSV
    #[arg(long, group = "format")]
    csv: bool,
    /// Write Parquet; needs --out
    #[arg(long, group = "format", requires = "out")]
    parquet: bool,
    /// Print one JSON object a row, a line each
    #[arg(long, group = "format")]
    json: bool,
    /// Write to this file, which appears when it is whole
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only rows of this release
    #[arg(long, value_name = "NAME")]
    release: Option<String>,
    /// Only rows of this day and later ones, like 2026-11-24
    #[arg(long, value_name = "DATE")]
    since: Option<NaiveDate>,
    /// At most so many rows [default: 100 in a table, all otherwise]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Read the rows as of the last refresh, where the database keeps them
    #[arg(long)]
    cached: bool,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    match args.view.as_str() {
        "list" => return list(args.json),
        "refresh" => {
            return stores::runtime()?.block_on(async {
                let catalog = stores::catalog(settings).await?;
                refresh(catalog.as_ref(), args.json).await
            });
        }
        _ => {}
    }
    let view = find(&args.view)?;
    let table = !(args.csv || args.parquet || args.json);
    if table && args.out.is_some() {
        bail!("--out needs a format: add --csv, --json or --parquet");
    }
    let query = AnalyticsQuery {
        view,
        release: args.release.as_deref().map(str::parse).transpose()?,
        since: args.since,
        // One more than is shown tells whether there are more.
        limit: args.limit.or(table.then_some(ROWS + 1)),
        cached: args.cached,
    };
    stores::runtime()?.block_on(async {
        let catalog = stores::catalog(settings).await?;
        let catalog = catalog.as_ref();
        match &args.out {
            None if table => show(catalog, &query, args.limit.is_none()).await,
            None => write(catalog, &query, args, output::Answer).await.map(drop),
            Some(path) => save(catalog, &query, args, path).await,
        }
    })
}

/// Which views there are, with their columns.
fn list(json: bool) -> Result<()> {
    if json {
        return output::json(&views().collect::<Vec<&View>>());
    }
    for view in views() {
        let kept = if view.cached { " (kept: --cached)" } else { "" };
        output::line(format!("{}{kept}\n  {}", view.name, view.about));
        for column in view.columns {
            output::line(format!("    {:<26} {}", column.name, column.about));
        }
    }
    Ok(())
}

async fn refresh(catalog: &dyn Catalog, json: bool) -> Result<()> {
    let refreshed = catalog.refresh_analytics().await?;
    if json {
        return output::json(&refreshed);
    }
    if refreshed.is_empty() {
        output::line("nothing to do: a catalog in SQLite keeps no computed rows");
        return Ok(());
    }
    let mut table = output::table(["view", "rows", "seconds"], &[1, 2]);
    for view in refreshed {
        table.add_row([view.view, view.rows.to_string(), format!("{:.1}", view.seconds)]);
    }
    output::line(table);
    Ok(())
}

/// A table for people; `cut` leaves out what is beyond the usual number of rows, and says so.
async fn show(catalog: &dyn Catalog, query: &AnalyticsQuery, cut: bool) -> Result<()> {
    let columns = query.view.columns;
    let numbers: Vec<usize> = (0..columns.len())
        .filter(|index| matches!(columns[*index].kind, Kind::Integer | Kind::Real))
        .collect();
    let mut table = output::wide_table(columns.iter().map(|column| column.name), &numbers);
    let mut rows = 0;
    let mut add = |values: Vec<Value>| {
        rows += 1;
        if cut && rows > ROWS {
            return ControlFlow::Break(());
        }
        table.add_row(values.iter().map(readable));
        ControlFlow::Continue(())
    };
    catalog.analytics(query, &mut add).await?;
    output::line(table);
    if rows == 0 {
        output::line(format!("no rows: {}", query.view.about));
    } else if cut && rows > ROWS {
        output::line(format!(
            "there are more than {ROWS} rows: ask for more with --limit, or for all with --csv"
        ));
    }
    Ok(())
}

/// As short as it can be told: four significant digits.
fn readable(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Real(number) => {
            let digits = (3 - number.abs().max(1e-3).log10().floor() as i32).clamp(0, 6) as usize;
            format!("{number:.digits$}")
        }
        Value::Time(time) => time.format("%Y-%m-%d %H:%M:%S").to_string(),
        other => plain(other),
    }
}

/// As a program reads it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Boolean(yes) => yes.to_string(),
        Value::Day(day) => day.to_string(),
        Value::Time(time) => time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true),
    }
}

/// Writes a file beside its place and moves it there when it is whole.
async fn save(catalog: &dyn Catalog, query: &AnalyticsQuery, args: &Args, path: &Path) -> Result<()> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    let file =
        fs_err::File::create(&unfinished).context("the file cannot be written; choose another with --out")?;
    let written = write(catalog, query, args, std::io::BufWriter::new(file)).await;
    let rows = match written {
        Ok(rows) => rows,
        Err(error) => {
            // The first error tells more than that of tidying up.
            let _ = fs_err::remove_file(&unfinished);
            return Err(error);
        }
    };
    fs_err::rename(&unfinished, path)?;
    output::line(format!(
        "{rows} rows of {} in {}",
        query.view.name,
        path.display()
    ));
    Ok(())
}

/// Writes all rows in the format asked for, as they come, and returns how many.
async fn write<W: Write + Send>(
    catalog: &dyn Catalog,
    query: &AnalyticsQuery,
    args: &Args,
    to: W,
) -> Result<u64> {
    let mut sink: Box<dyn Sink + Send + '_> = if args.parquet {
        Box::new(parquet_file::ParquetFile::new(query.view, to)?)
    } else if args.csv {
        Box::new(csv_file::CsvFile::new(query.view, to)?)
    } else {
        Box::new(JsonLines { view: query.view, to })
    };
    let (mut rows, mut failed) = (0, None);
    let mut each = |values: Vec<Value>| {
        rows += 1;
        match sink.row(values) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    catalog.analytics(query, &mut each).await?;
    if let Some(error) = failed {
        return Err(error.context("the rows cannot be written"));
    }
    sink.finish().context("the rows cannot be written")?;
    Ok(rows)
}

/// Where rows go.
trait Sink {
    fn row(&mut self, values: Vec<Value>) -> Result<()>;
    fn finish(&mut self) -> Result<()>;
}

struct JsonLines<W> {
    view: &'static View,
    to: W,
}

impl<W: Write> Sink for JsonLines<W> {
    fn row(&mut self, values: Vec<Value>) -> Result<()> {
        let columns = self.view.columns.iter();
        let object: Map<_, _> = columns
            .zip(values)
            .map(|(column, value)| (column.name.to_owned(), json!(value)))
            .collect();
        serde_json::to_writer(&mut self.to, &object)?;
        self.to.write_all(b"\n")?;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(self.to.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_in_tables() {
        let shown = |number: f64| readable(&Value::Real(number));
        assert_eq!(shown(0.123456), "0.1235");
        assert_eq!(shown(1234.5678), "1235");
        assert_eq!(shown(12.345678), "12.35");
        assert_eq!(shown(0.0), "0.000000");
        assert_eq!(shown(-3.0), "-3.000");
    }
}
