//! `geosurge migrate`: the catalog's schema, up to date.

use anyhow::{Result, bail};
use serde::Serialize;
use storage::{MigrationInfo, MigrationState, PostgresCatalog, SqliteCatalog};

use crate::settings::Settings;
use crate::{output, stores};

#[derive(clap::Args)]
pub struct Args {
    /// Change nothing: say what is pending, and fail where something is
    #[arg(long)]
    check: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was done, as programs read it.
#[derive(Serialize)]
struct Report {
    /// The catalog.
    catalog: String,
    /// Migrations that were applied now.
    applied: Vec<MigrationInfo>,
    /// Months of predictions that were made ahead.
    months_made: u64,
    /// Predictions that no month takes.
    strays: u64,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    stores::runtime()?.block_on(async {
        match args.check {
            true => check(args, settings).await,
            false => migrate(args, settings).await,
        }
    })
}

async fn check(args: &Args, settings: &Settings) -> Result<()> {
    let (catalog, state) = match &settings.database {
        Some(database) => (database.name(), PostgresCatalog::migration_state(database).await?),
        None => {
            let file = settings.catalog_file();
            (
                file.display().to_string(),
                SqliteCatalog::migration_state(file).await?,
            )
        }
    };
    if args.json {
        output::json(&state)?;
    } else {
        show(&catalog, &state);
    }
    match state.pending.len() {
        0 => Ok(()),
        1 => bail!("1 migration is pending: run `geosurge migrate`"),
        pending => bail!("{pending} migrations are pending: run `geosurge migrate`"),
    }
}

fn show(catalog: &str, state: &MigrationState) {
    let mut table = output::table(["migration", "what it brings", "state"], &[0]);
    for (migrations, word) in [(&state.applied, "applied"), (&state.pending, "pending")] {
        for migration in migrations {
            table.add_row([
                migration.version.to_string(),
                migration.description.clone(),
                word.to_owned(),
            ]);
        }
    }
    output::line(format!("{catalog}\n{table}"));
}

async fn migrate(args: &Args, settings: &Settings) -> Result<()> {
    let report = match &settings.database {
        Some(database) => {
            let done = PostgresCatalog::migrate(database).await?;
            Report {
                catalog: database.name(),
                applied: done.applied,
                months_made: done.months_made,
                strays: done.strays,
            }
        }
        None => Report {
            catalog: settings.catalog_file().display().to_string(),
            applied: SqliteCatalog::migrate(settings.catalog_file()).await?,
            months_made: 0,
            strays: 0,
        },
    };
    if args.json {
        return output::json(&report);
    }
    for migration in &report.applied {
        output::line(format!(
            "applied {}: {}",
            migration.version, migration.description
        ));
    }
    if report.applied.is_empty() {
        output::line(format!("{} is up to date", report.catalog));
    }
    if report.months_made > 0 {
        output::line(format!("made {} months for predictions", report.months_made));
    }
    if report.strays > 0 {
        output::line(format!(
            "{} predictions lie outside the months that are kept, in the table predictions_other: their times are far off",
            report.strays
        ));
    }
    Ok(())
}
