//! `geosurge releases`: which releases there are, which one answers, and what becomes of the others.

mod diff;
mod tables;

use anyhow::Result;
use clap::Subcommand;

use crate::settings::Settings;
use crate::{output, stores};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// All releases, newest first
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Everything about one release
    Show {
        /// The release's name
        release: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make a release the one that answers; running services follow within seconds
    Activate {
        /// The release's name
        release: String,
    },
    /// Make the release answer that did before the present one
    Rollback {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Delete vectors, rows and copied photographs of old releases; the one that answers and the one that a rollback
    /// would activate always stay
    Prune {
        /// How many of the newest others stay
        #[arg(long, value_name = "N")]
        keep: usize,
        /// Tell what would go, and delete nothing
        #[arg(long)]
        dry_run: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// What moves when the second release answers instead of the first
    Diff(diff::Args),
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    if let Action::Diff(args) = &args.action {
        return diff::run(args, settings);
    }
    stores::runtime()?.block_on(act(&args.action, settings))
}

async fn act(action: &Action, settings: &Settings) -> Result<()> {
    let checkpoints = stores::checkpoints(settings);
    match action {
        Action::List { json } => {
            let releases = indexer::list(stores::catalog(settings).await?.as_ref()).await?;
            if *json {
                return output::json(&releases);
            }
            tables::list(&releases);
        }
        Action::Show { release, json } => {
            let (store, catalog) = stores::open_beside_service(settings).await?;
            let release = release.parse()?;
            let details = indexer::show(&release, store.as_deref(), catalog.as_ref(), &checkpoints).await?;
            if *json {
                return output::json(&details);
            }
            tables::details(&details);
        }
        Action::Activate { release } => {
            let (store, catalog) = stores::open_beside_service(settings).await?;
            let release = release.parse()?;
            if let Some(store) = &store {
                stores::settle(settings, store.as_ref(), catalog.as_ref(), &release).await?;
            }
            let release =
                indexer::activate(&release, store.as_deref(), catalog.as_ref(), &checkpoints).await?;
            output::line(format!("release {} is {}", release.id, release.status));
        }
        Action::Rollback { json } => {
            let (store, catalog) = stores::open_beside_service(settings).await?;
            let done = indexer::rollback(store.as_deref(), catalog.as_ref(), &checkpoints).await?;
            if *json {
                return output::json(&done);
            }
            for (release, reason) in &done.passed_over {
                eprintln!("passed over {release}: {reason}");
            }
            let from = done
                .from
                .map_or_else(String::new, |from| format!(" instead of {from}"));
            output::line(format!("release {} answers{from}", done.release.id));
        }
        Action::Prune { keep, dry_run, json } => {
            let stores = stores::open(settings).await?;
            let (store, catalog) = (stores.vectors.as_ref(), stores.catalog.as_ref());
            let plan = indexer::plan_prune(*keep, store, catalog, &checkpoints).await?;
            let pruned = if *dry_run {
                Vec::new()
            } else {
                let photos = settings.references_dir();
                indexer::prune(&plan, &photos, store, catalog, &checkpoints).await?
            };
            if *json {
                return output::json(
                    &serde_json::json!({ "dry_run": dry_run, "plan": plan, "pruned": pruned }),
                );
            }
            tables::pruning(&plan, *dry_run);
        }
        Action::Diff(_) => {}
    }
    Ok(())
}
