//! `geosurge predictions`: deleting them.

use anyhow::{Context, Result, bail};
use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};
use clap::Subcommand;
use serde::Serialize;
use storage::{AuditEntry, Catalog, DeletedPredictions, PredictionSelection, ReleaseId};

use crate::settings::Settings;
use crate::{output, stores};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Delete predictions with their candidates and ground truth; says what would go unless --yes is given
    Delete(Delete),
}

#[derive(clap::Args)]
struct Delete {
    /// Those that this client asked for
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Those made before this day (UTC, 2026-11-24) or moment (2026-11-24T10:00:00Z)
    #[arg(long, value_name = "DATE", value_parser = moment)]
    before: Option<DateTime<Utc>>,
    /// Those that this release answered
    #[arg(long, value_name = "RELEASE")]
    release: Option<ReleaseId>,
    /// Really delete
    #[arg(long)]
    yes: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let Action::Delete(delete) = &args.action;
    let which = PredictionSelection {
        before: delete.before,
        client: delete.client.clone(),
        release: delete.release.clone(),
    };
    stores::runtime()?.block_on(async {
        let catalog = stores::catalog(settings).await?;
        remove(
            catalog.as_ref(),
            &which,
            "predictions.delete",
            delete.yes,
            delete.json,
        )
        .await
    })
}

/// What was deleted, or would be, as programs read it.
#[derive(Serialize)]
struct Report {
    /// Whether it was deleted.
    deleted: bool,
    #[serde(flatten)]
    counts: DeletedPredictions,
}

/// Deletes with `yes`, otherwise only says what would go.
pub async fn remove(
    catalog: &dyn Catalog,
    which: &PredictionSelection,
    action: &str,
    yes: bool,
    json: bool,
) -> Result<()> {
    let audit = audit(which, action);
    let counts = catalog.delete_predictions(which, !yes, Some(&audit)).await?;
    if json {
        return output::json(&Report { deleted: yes, counts });
    }
    let verb = if yes { "deleted" } else { "would delete" };
    output::line(format!(
        "{verb} {} predictions and {} shadow answers, with {} places of ground truth",
        counts.predictions, counts.shadows, counts.ground_truth
    ));
    if counts.months_dropped > 0 {
        output::line(format!("  {} months of them as a whole", counts.months_dropped));
    }
    if !yes {
        output::line("nothing was changed; add --yes to delete");
    }
    Ok(())
}

/// The log's line. It tells which predictions went and never whose they were: the log outlives them.
fn audit(which: &PredictionSelection, action: &str) -> AuditEntry {
    let subject = match (&which.client, &which.release) {
        (Some(_), _) => "predictions of one client".to_owned(),
        (None, Some(release)) => format!("predictions of release {release}"),
        (None, None) => "predictions".to_owned(),
    };
    let details = serde_json::json!({
        "before": which.before.map(|before| before.to_rfc3339_opts(SecondsFormat::Micros, true)),
        "release": which.release,
        "of_one_client": which.client.is_some(),
    });
    AuditEntry::new(action, subject, details)
}

/// A day, which begins at midnight UTC, or a moment.
fn moment(text: &str) -> Result<DateTime<Utc>> {
    let moment = match text.parse::<NaiveDate>() {
        Ok(day) => day.and_time(NaiveTime::MIN).and_utc(),
        Err(_) => DateTime::parse_from_rfc3339(text)
            .with_context(|| {
                format!("{text:?} is neither a day (2026-11-24) nor a moment (2026-11-24T10:00:00Z)")
            })?
            .with_timezone(&Utc),
    };
    if moment > Utc::now() {
        bail!("{text} is still to come");
    }
    Ok(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_does_not_say_whose_predictions_went() {
        let which = PredictionSelection {
            client: Some("Jane Doe".into()),
            before: Some(moment("2026-01-31").unwrap()),
            ..PredictionSelection::default()
        };
        let text = serde_json::to_string(&audit(&which, "predictions.delete")).unwrap();
        assert!(!text.contains("Jane"), "{text}");
        assert!(text.contains("2026-01-31T00:00:00"), "{text}");
    }

    #[test]
    fn days_and_moments_are_read() {
        assert_eq!(
            moment("2026-01-31").unwrap(),
            moment("2026-01-31T01:00:00+01:00").unwrap()
        );
        for bad in ["yesterday", "2026-02-30", "3026-01-01", "3026-01-01T00:00:00Z"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
