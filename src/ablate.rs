//! `geosurge ablate`: one choice of the method changed at a time, and the baselines, over several seeds.

use std::path::PathBuf;

use anyhow::{Context, Result};
use datasets::Dataset;
use geocells::THRESHOLDS;
use trainer::ablation::{Ablation, AblationOptions, AblationReport, Estimate, StudyTable};
use trainer::benchmark::Bootstrap;
use trainer::{TrainingConfig, ablation};

use crate::device::DeviceKind;
use crate::progress::Bar;
use crate::{interrupt, output, train};

#[derive(clap::Args)]
pub struct Args {
    /// Dataset folder (photos.parquet) or manifest
    dataset: PathBuf,
    /// Folder of the trials and the tables
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The configuration that everything is changed from: a file, or demo, paper, clip
    #[arg(long, value_name = "FILE|NAME", default_value = "demo")]
    config: String,
    /// Seeds: the configuration's own and the ones after it
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Studies, separated by commas [default: all; a wrong name lists them]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Photographs that every training sees: the same for all, so that a faster machine changes no number
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    photos_seen: u64,
    /// Share of the photographs, by uploader or place, that no training sees and all are judged on
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    test_fraction: f64,
    /// Go on with what --out holds: finished trials are not repeated
    #[arg(long)]
    resume: bool,
    /// Tell what it will cost, and end
    #[arg(long)]
    plan: bool,
    /// Threads of a training step [default: the configuration's; the arithmetic of a run depends on their number]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Samples for the bootstrap intervals
    #[arg(long, value_name = "N", default_value_t = Bootstrap::default().resamples)]
    resamples: usize,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceKind::Auto)]
    device: DeviceKind,
    /// Print the tables as JSON
    #[arg(long)]
    json: bool,
    /// Print the tables as CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let dataset = Dataset::open(&args.dataset)?;
    let mut config: TrainingConfig = train::read_config(&args.config)?;
    if let Some(threads) = args.threads {
        config.threads = threads;
    }
    let options = AblationOptions {
        out: args.out.clone(),
        config,
        seeds: args.seeds,
        only: args.only.clone(),
        photos_seen: args.photos_seen,
        test_fraction: args.test_fraction,
        // A plan changes nothing but the cache of photographs.
        resume: args.resume || args.plan,
        device: args.device.open()?,
        bootstrap: Bootstrap {
            resamples: args.resamples,
            ..Bootstrap::default()
        },
    };
    let cancel = interrupt::flag()?;
    let quiet = args.json || args.csv;
    let bar = Bar::new(quiet);
    let show = |p: &trainer::Progress| train::show(&bar, p);
    let ablation = Ablation::open(&dataset, options, &show, &cancel)?;
    let estimate = ablation.estimate(&cancel)?;
    bar.finish();
    if args.plan {
        if args.json {
            return output::json(&estimate);
        }
        tell(&estimate, output::line);
        return Ok(());
    }
    if !quiet {
        tell(&estimate, |text| eprintln!("{text}"));
    }
    let starting = |done: ablation::Done<'_>| {
        if !quiet {
            bar.finish();
            eprintln!("trial {} of {}: {}", done.finished + 1, done.trials, done.next);
        }
    };
    let report = ablation.run(&starting, &show, &cancel).with_context(|| {
        format!(
            "finished trials are kept in {}: go on with --resume",
            args.out.display()
        )
    })?;
    bar.finish();
    if args.json {
        return output::json(&report);
    }
    if args.csv {
        output::line(ablation::report::csv(&report).trim_end());
        return Ok(());
    }
    print(&report);
    output::line(format!(
        "tables.md, tables.csv and tables.json are in {}",
        args.out.display()
    ));
    Ok(())
}

fn tell(estimate: &Estimate, say: impl Fn(String)) {
    say(format!(
        "{} trainings, {} of them finished; the others see {} photographs, at about {:.0} a second {}",
        estimate.trainings,
        estimate.finished,
        estimate.photos,
        estimate.images_per_second,
        output::duration(estimate.seconds)
    ));
}

fn print(report: &AblationReport) {
    output::line(format!(
        "{} photographs seen by each training, {} test photographs, {} seeds; ± is half of the {} interval",
        report.photos_seen,
        report.test_photos,
        report.seeds.len(),
        output::percent(report.bootstrap.level)
    ));
    for table in &report.tables {
        print_table(table);
    }
}

fn print_table(study: &StudyTable) {
    let mut headings = vec![format!("{}: {}", study.name, study.title)];
    headings.extend(THRESHOLDS.iter().map(|t| format!("{} km", t.km.get())));
    headings.push("median error".to_owned());
    let mut table = output::wide_table(headings.iter().map(String::as_str), &[1, 2, 3, 4, 5, 6]);
    for row in &study.rows {
        let mut cells = vec![row.label.clone()];
        cells.extend((0..THRESHOLDS.len()).map(|k| {
            let half = row.intervals.map_or(0.0, |all| (all[k].high - all[k].low) / 2.0);
            format!("{:.1} ± {:.1}", row.within[k] * 100.0, half * 100.0)
        }));
        cells.push(format!("{:.0} km", row.median_km));
        table.add_row(cells);
    }
    output::line(table);
}
