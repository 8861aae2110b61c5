//! `geosurge references`: reference photographs added, removed and listed, without training.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Subcommand;
use datasets::{Dataset, DecodeLimits, ImportOptions};
use indexer::references::{self, AddOptions, Added};
use retrieval::{Localizer, OpenOptions};
use storage::{Catalog, ReleaseId};
use uuid::Uuid;

use crate::device::Compute;
use crate::progress::Bar;
use crate::segmenter::SegmenterArg;
use crate::settings::Settings;
use crate::stores::Stores;
use crate::{interrupt, output, stores};

#[derive(clap::Args)]
pub struct Args {
    /// The release [default: the one that answers]
    #[arg(long, value_name = "NAME", global = true)]
    release: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Add photographs with known places; those that the release has already are told and left out
    Add {
        /// Photo files, folders of them (places from EXIF GPS), or CSV or Parquet files that name images and places
        #[arg(required = true, value_name = "PHOTOS|FOLDER|TABLE")]
        sources: Vec<PathBuf>,
        /// Folder that a table's image paths start from [default: the table's own folder]
        #[arg(long, value_name = "DIR")]
        images: Option<PathBuf>,
        /// Copy the photographs into the data folder instead of referring to them where they are
        #[arg(long)]
        copy: bool,
        #[command(flatten)]
        segmenter: SegmenterArg,
        #[command(flatten)]
        compute: Compute,
    },
    /// Delete reference photographs: vectors, rows, and copies in the data folder; the audit log keeps what was done
    Remove {
        /// Ids, as `references list` and answers tell them
        #[arg(required = true)]
        ids: Vec<Uuid>,
    },
    /// Reference photographs in the order of their ids
    List {
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Go on after this id
        #[arg(long)]
        after: Option<Uuid>,
    },
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    stores::runtime()?.block_on(async {
        match &args.action {
            Action::Add {
                sources,
                images,
                copy,
                segmenter,
                compute,
            } => {
                let import = ImportOptions {
                    images: images.clone(),
                    ..ImportOptions::default()
                };
                let device = compute.open()?;
                let open = OpenOptions {
                    segmenter: segmenter.open(settings, &device)?,
                    device,
                    precision: compute.precision(),
                    checkpoints: stores::checkpoints(settings),
                };
                add(args, settings, sources, &import, *copy, open).await
            }
            Action::Remove { ids } => remove(args, settings, ids).await,
            Action::List { limit, after } => list(args, settings, *limit, *after).await,
        }
    })
}

async fn add(
    args: &Args,
    settings: &Settings,
    sources: &[PathBuf],
    import: &ImportOptions,
    copy: bool,
    open: OpenOptions,
) -> Result<()> {
    let cancel = interrupt::flag()?;
    let bar = Bar::new(args.json);
    // The import's manifest is only a means here: what is wrong with a photo is told, and its place is checked.
    let manifest = tempfile::tempdir().context("no temporary folder could be made")?;
    let imported = datasets::import(sources, manifest.path(), import, &|p| {
        bar.show("reading photographs", p.done as u64, p.total as u64, "");
    })?;
    let dataset = Dataset::open(manifest.path())?;
    let stores = open_stores(settings).await?;
    let release = named_or_active(args, stores.catalog.as_ref()).await?;
    let (store, catalog) = (Arc::clone(&stores.vectors), Arc::clone(&stores.catalog));
    let photos = settings.references_dir();
    stores::settle(settings, store.as_ref(), catalog.as_ref(), &release).await?;
    let localizer = Localizer::open(Some(&release), store.clone(), catalog.clone(), &open).await?;
    let options = AddOptions {
        encoder: localizer.encoder(),
        hierarchy: Arc::new(localizer.searcher().model().cells.hierarchy().clone()),
        photos,
        copy,
        batch: 64,
        limits: DecodeLimits::default(),
        actor: Some("command".to_owned()),
    };
    let show = |p: &indexer::Progress| bar.show(p.stage.phrase(), p.done as u64, p.total as u64, "");
    let added = references::add(
        &release,
        &dataset,
        store.as_ref(),
        catalog.as_ref(),
        &options,
        &show,
        &cancel,
    )
    .await?;
    bar.finish();
    let skipped = imported
        .skipped
        .iter()
        .map(|s| (s.file.clone(), s.reason.clone()));
    let skipped: Vec<(PathBuf, String)> = skipped
        .chain(added.skipped.iter().map(|s| (s.file.clone(), s.reason.clone())))
        .collect();
    tell_added(args, &release, &added, &skipped)
}

fn tell_added(args: &Args, release: &ReleaseId, added: &Added, skipped: &[(PathBuf, String)]) -> Result<()> {
    if args.json {
        let skipped: Vec<_> = skipped
            .iter()
            .map(|(file, reason)| serde_json::json!({ "file": file, "reason": reason }))
            .collect();
        return output::json(&serde_json::json!({
            "release": release,
            "added": added.added,
            "duplicates": added.duplicates,
            "outside": added.outside,
            "skipped": skipped,
        }));
    }
    output::line(format!(
        "{} reference photographs added to release {release}, {} were there already, {} are outside every finest geocell, {} could not be used",
        added.added.len(),
        added.duplicates.len(),
        added.outside,
        skipped.len()
    ));
    for duplicate in added.duplicates.iter().take(10) {
        let apart = if duplicate.apart_km < 0.1 {
            String::new()
        } else {
            format!(
                ", which is said to be {} away",
                output::distance(duplicate.apart_km)
            )
        };
        eprintln!(
            "has already {}: {}{apart}",
            duplicate.file.display(),
            duplicate.of
        );
    }
    for (file, reason) in skipped.iter().take(10) {
        eprintln!("left out {}: {reason}", file.display());
    }
    Ok(())
}

async fn remove(args: &Args, settings: &Settings, ids: &[Uuid]) -> Result<()> {
    let stores = open_stores(settings).await?;
    let (store, catalog) = (stores.vectors.as_ref(), stores.catalog.as_ref());
    let release = named_or_active(args, catalog).await?;
    let photos = settings.references_dir();
    let removed = references::remove(&release, ids, Some("command"), &photos, store, catalog).await?;
    if args.json {
        return output::json(&removed);
    }
    output::line(format!(
        "{} reference photographs removed from release {release}",
        removed.removed.len()
    ));
    for unknown in &removed.unknown {
        eprintln!("release {release} has no reference photograph {unknown}");
    }
    Ok(())
}

async fn list(args: &Args, settings: &Settings, limit: usize, after: Option<Uuid>) -> Result<()> {
    let catalog = stores::catalog(settings).await?;
    let release = named_or_active(args, catalog.as_ref()).await?;
    let images = catalog.list_reference_images(&release, after, limit).await?;
    if args.json {
        return output::json(&images);
    }
    let mut table = output::table(["id", "place", "geocell", "taken", "photograph"], &[]);
    for image in &images {
        table.add_row([
            image.id.to_string(),
            output::place(image.location),
            image
                .geocell
                .map_or_else(|| "outside".to_owned(), |cell| cell.token()),
            image
                .captured_at
                .map_or_else(String::new, |at| at.format("%Y-%m-%d").to_string()),
            image.path.clone(),
        ]);
    }
    output::line(table);
    let total = catalog.counts(&release).await?.reference_images;
    output::line(format!(
        "{} of {total} reference photographs of release {release}",
        images.len()
    ));
    if let Some(last) = images.last().filter(|_| images.len() == limit) {
        output::line(format!("go on with --after {}", last.id));
    }
    Ok(())
}

/// Opens the stores. A running service that has the embedded store open is named together with the other way.
async fn open_stores(settings: &Settings) -> Result<Stores> {
    let opened = stores::open(settings).await;
    opened.map_err(|error| {
        if !stores::is_locked(&error) {
            return error;
        }
        error.context(
            "the embedded vector store serves one process at a time: stop `geosurge serve` first, or send the change to the \
             running service with the GraphQL mutations addReferenceImages and removeReferenceImages",
        )
    })
}

async fn named_or_active(args: &Args, catalog: &dyn Catalog) -> Result<ReleaseId> {
    match &args.release {
        Some(name) => Ok(catalog.release(&name.parse()?).await?.id),
        None => {
            let active = catalog.active_release().await?;
            let active = active.context("no release is active; name one with --release")?;
            Ok(active.id)
        }
    }
}
