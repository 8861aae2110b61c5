//! `geosurge import`: photographs with known places become a dataset.

use std::path::PathBuf;

use anyhow::Result;
use datasets::{DecodeLimits, ImportOptions};

use crate::output;
use crate::progress::Bar;
use crate::settings::Settings;

#[derive(clap::Args)]
pub struct Args {
    /// Photo files, folders of them (places from EXIF GPS), or CSV or Parquet files that name images and places
    #[arg(required = true, value_name = "PHOTOS|FOLDER|TABLE")]
    sources: Vec<PathBuf>,
    /// Folder of the dataset: photos.parquet, and skipped.csv with the reason of everything left out
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder that a table's image paths start from [default: the table's own folder]
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Copy the photos into the dataset instead of referring to them where they are
    #[arg(long)]
    copy: bool,
    /// Stop at the first photo or row that cannot be used
    #[arg(long)]
    strict: bool,
    /// Print {"imported": n, "skipped": [{"file", "reason"}]} as the last line
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, _settings: &Settings) -> Result<()> {
    let options = ImportOptions {
        images: args.images.clone(),
        copy: args.copy,
        strict: args.strict,
        limits: DecodeLimits::default(),
    };
    let bar = Bar::new(args.json);
    let imported = datasets::import(&args.sources, &args.out, &options, &|p| {
        bar.show("reading photographs", p.done as u64, p.total as u64, "");
    });
    bar.finish();
    // A program learns why nothing was usable in the same form as why a part was not.
    if let (true, Err(datasets::Error::NothingImported { report, .. })) = (args.json, &imported) {
        output::json(report)?;
    }
    let report = imported?;
    if args.json {
        return output::json(&report);
    }
    output::line(format!(
        "{} photographs imported into {}",
        report.imported,
        args.out.display()
    ));
    if report.skipped.is_empty() {
        return Ok(());
    }
    let mut table = output::table(["left out because", "photos or rows"], &[1]);
    for (reason, count) in report.skipped_by_reason() {
        table.add_row([reason.to_owned(), count.to_string()]);
    }
    output::line(table);
    output::line(format!(
        "each one is listed in {}",
        args.out.join("skipped.csv").display()
    ));
    Ok(())
}
