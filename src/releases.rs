//! `geosurge releases`: which releases there are, and which one answers.

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
    /// Make a release the one that answers; running services follow within seconds
    Activate {
        /// The release's name
        release: String,
    },
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    stores::runtime()?.block_on(async {
        let catalog = stores::catalog(settings).await?;
        match &args.action {
            Action::List { json } => {
                let releases = indexer::list(catalog.as_ref()).await?;
                if *json {
                    return output::json(&releases);
                }
                if releases.is_empty() {
                    output::line("there is no release yet; build one with: geosurge index CHECKPOINT DATASET --activate");
                    return Ok(());
                }
                let mut table = output::table(["release", "status", "levels", "geocells", "references", "ready"], &[2, 3, 4]);
                for release in releases {
                    let counts = release.counts.unwrap_or_default();
                    table.add_row([
                        release.id.to_string(),
                        release.status.to_string(),
                        release.levels.to_string(),
                        counts.geocells.to_string(),
                        counts.reference_images.to_string(),
                        release.ready_at.map_or_else(|| release.message.unwrap_or_default(), |at| at.format("%Y-%m-%d %H:%M").to_string()),
                    ]);
                }
                output::line(table);
                Ok(())
            }
            Action::Activate { release } => {
                let release = indexer::activate(catalog.as_ref(), &release.parse()?).await?;
                output::line(format!("release {} is {}", release.id, release.status));
                Ok(())
            }
        }
    })
}
