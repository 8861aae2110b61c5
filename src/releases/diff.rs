//! `geosurge releases diff`: what moves when another release answers.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use datasets::{Dataset, DecodeLimits};
use indexer::diff::{self, Diff, Probe, ProbeOptions};
use retrieval::{Localizer, OpenOptions};
use storage::{Catalog, ReleaseId};

use crate::device::Compute;
use crate::progress::Bar;
use crate::segmenter::SegmenterArg;
use crate::settings::Settings;
use crate::{interrupt, output, stores};

/// Regions told.
const REGIONS: usize = 10;

#[derive(clap::Args)]
pub struct Args {
    /// The release that answers now, or did
    a: String,
    /// The release to compare it with
    b: String,
    /// Photographs with known places that both answer [default: reference photographs of the first release, which flatter
    /// both]
    #[arg(long, value_name = "DATASET", conflicts_with = "from_shadow")]
    probe: Option<PathBuf>,
    /// Compare what both answered to the same queries of a service that ran with `--shadow`
    #[arg(long)]
    from_shadow: bool,
    /// Photographs or queries at most
    #[arg(long, default_value_t = 500)]
    photos: usize,
    #[command(flatten)]
    segmenter: SegmenterArg,
    #[command(flatten)]
    compute: Compute,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let (a, b): (ReleaseId, ReleaseId) = (args.a.parse()?, args.b.parse()?);
    let diff = stores::runtime()?.block_on(async {
        if !args.from_shadow {
            return of_probe(args, settings, a, b).await;
        }
        let catalog = stores::catalog(settings).await?;
        for release in [&a, &b] {
            catalog.release(release).await?;
        }
        let pairs = diff::from_shadow(&a, &b, catalog.as_ref(), args.photos).await?;
        Ok(diff::compare(a, b, "queries that both answered", &pairs)?)
    })?;
    if args.json {
        return output::json(&diff);
    }
    tell(&diff);
    Ok(())
}

async fn of_probe(args: &Args, settings: &Settings, a: ReleaseId, b: ReleaseId) -> Result<Diff> {
    let dataset = args.probe.as_ref().map(Dataset::open).transpose()?;
    let cancel = interrupt::flag()?;
    let stores = stores::open(settings).await?;
    let device = args.compute.open()?;
    let open = OpenOptions {
        segmenter: args.segmenter.open(settings, &device)?,
        device,
        precision: args.compute.precision(),
        checkpoints: stores::checkpoints(settings),
    };
    let first = localizer(&a, settings, &stores, &open).await?;
    let second = localizer(&b, settings, &stores, &open).await?;
    let bar = Bar::new(args.json);
    let show = |p: &indexer::Progress| bar.show(p.stage.phrase(), p.done as u64, p.total as u64, "");
    let probe = Probe {
        dataset: dataset.as_ref(),
        photos: args.photos,
    };
    let options = ProbeOptions {
        batch: 16,
        limits: DecodeLimits::default(),
    };
    let catalog: &dyn Catalog = stores.catalog.as_ref();
    let pairs = diff::probe(&first, &second, &probe, catalog, options, &show, &cancel).await?;
    bar.finish();
    let source = match &args.probe {
        Some(path) => path.display().to_string(),
        None => format!("reference photographs of {a}, which it was built from"),
    };
    Ok(diff::compare(a, b, source, &pairs)?)
}

/// Opens a release after what was interrupted in its gallery has been settled.
async fn localizer(
    release: &ReleaseId,
    settings: &Settings,
    stores: &stores::Stores,
    open: &OpenOptions,
) -> Result<Localizer> {
    let (store, catalog) = (Arc::clone(&stores.vectors), Arc::clone(&stores.catalog));
    stores::settle(settings, store.as_ref(), catalog.as_ref(), release).await?;
    Ok(Localizer::open(Some(release), store, catalog, open).await?)
}

fn tell(diff: &Diff) {
    output::line(format!(
        "{} → {}: {} photographs ({})",
        diff.a, diff.b, diff.photos, diff.source
    ));
    let mut table = output::table(
        ["answers within", "1 km", "25 km", "200 km", "750 km", "2500 km"],
        &[1, 2, 3, 4, 5],
    );
    let mut row = vec!["of each other".to_owned()];
    row.extend(diff.agreement.iter().map(|share| output::percent(*share)));
    table.add_row(row);
    output::line(table);
    if !diff.same_geocell.is_empty() {
        let shares: Vec<String> = diff
            .same_geocell
            .iter()
            .map(|share| output::percent(*share))
            .collect();
        output::line(format!(
            "same geocell by level, coarsest first: {}",
            shares.join(", ")
        ));
    }
    let moved = &diff.moved;
    output::line(format!(
        "{} answers unchanged; moved by {} (median), {} (90 %), {} (99 %), {} (farthest)",
        moved.unchanged,
        output::distance(moved.median_km),
        output::distance(moved.p90_km),
        output::distance(moved.p99_km),
        output::distance(moved.largest_km)
    ));
    output::line(format!(
        "mean confidence {} → {}; cannot tell {} → {}",
        output::percent(diff.confidence[0]),
        output::percent(diff.confidence[1]),
        output::percent(diff.cannot_tell[0]),
        output::percent(diff.cannot_tell[1])
    ));
    if let (Some(a), Some(b)) = (&diff.accuracy_a, &diff.accuracy_b) {
        output::line(output::accuracy_table(&[
            (diff.a.as_str(), a),
            (diff.b.as_str(), b),
        ]));
        output::line(format!(
            "within 200 km of the truth: {} won, {} lost",
            diff.won, diff.lost
        ));
    }
    if diff.regions.is_empty() {
        return;
    }
    let mut table = output::table(
        ["region (S2)", "centre", "photographs", "moved over 200 km"],
        &[2, 3],
    );
    for region in diff.regions.iter().take(REGIONS) {
        table.add_row([
            region.token.token(),
            output::place(region.center),
            region.photos.to_string(),
            region.moved.to_string(),
        ]);
    }
    output::line(table);
    if diff.regions.len() > REGIONS {
        output::line(format!(
            "and {} regions more; --json has all",
            diff.regions.len() - REGIONS
        ));
    }
}
