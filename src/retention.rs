//! `geosurge retention`: the policy of the settings, and doing as it says.

use anyhow::{Context, Result};
use chrono::{DateTime, Days, SecondsFormat, Utc};
use clap::Subcommand;
use serde::Serialize;
use storage::{DeletedPredictions, PredictionSelection};

use crate::predictions::remove;
use crate::settings::Settings;
use crate::{output, stores};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show the policy, and what is older than it allows
    Show {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Delete what is older than the policy allows; says what would go unless --yes is given
    Run {
        /// Really delete
        #[arg(long)]
        yes: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// The policy, as programs read it.
#[derive(Serialize)]
struct Policy {
    /// Days that predictions are kept; none for ever.
    predictions_days: Option<u32>,
    /// Predictions from before this moment are to go.
    before: Option<DateTime<Utc>>,
    /// How many these are.
    due: Option<DeletedPredictions>,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let days = settings.retention.predictions_days;
    let before = days.map(oldest_kept).transpose()?;
    let which = before.map(|before| PredictionSelection {
        before: Some(before),
        ..PredictionSelection::default()
    });
    stores::runtime()?.block_on(async {
        let catalog = stores::catalog(settings).await?;
        match &args.action {
            Action::Show { json } => {
                let due = match &which {
                    Some(which) => Some(catalog.delete_predictions(which, true, None).await?),
                    None => None,
                };
                let policy = Policy {
                    predictions_days: days,
                    before,
                    due,
                };
                match json {
                    true => output::json(&policy),
                    false => {
                        show(&policy);
                        Ok(())
                    }
                }
            }
            Action::Run { yes, json } => {
                let which = which.context(
                    "there is no policy: set predictions_days under [retention] of the settings file",
                )?;
                if *yes {
                    catalog.make_months_ahead().await?;
                }
                remove(catalog.as_ref(), &which, "retention.run", *yes, *json).await
            }
        }
    })
}

fn oldest_kept(days: u32) -> Result<DateTime<Utc>> {
    Utc::now()
        .checked_sub_days(Days::new(days.into()))
        .context("predictions_days is out of range")
}

fn show(policy: &Policy) {
    let (Some(days), Some(before), Some(due)) = (policy.predictions_days, policy.before, policy.due) else {
        output::line(
            "predictions are kept for ever; set predictions_days under [retention] of the settings file",
        );
        return;
    };
    output::line(format!("predictions are kept for {days} days"));
    output::line(format!(
        "from before {}: {} predictions, {} shadow answers, {} places of ground truth",
        before.to_rfc3339_opts(SecondsFormat::Secs, true),
        due.predictions,
        due.shadows,
        due.ground_truth
    ));
}
