//! `geosurge keys`: who may use a service that asks for keys.

use anyhow::{Result, bail};
use chrono::{SubsecRound, Utc};
use clap::Subcommand;
use serde_json::json;
use storage::{ApiKey, AuditEntry, Catalog, Scope};
use uuid::Uuid;

use crate::settings::Settings;
use crate::{output, stores};

/// How the audit log names this command.
const ACTOR: &str = "geosurge keys";

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a key and show it, this once: the catalog keeps its SHA-256 alone
    Create(Create),
    /// List keys with their last use
    List {
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Refuse a key from now on; running services notice within seconds
    Revoke {
        /// Its id, as `keys list` shows it
        id: Uuid,
    },
}

#[derive(clap::Args)]
struct Create {
    /// Who will have it: 1 to 64 characters without `/`; predictions belong to this name
    name: String,
    /// Make one more key for a name that has a working one, to replace it without a gap: both see the same predictions
    #[arg(long)]
    another: bool,
    /// What it permits, and all narrower ones: reader (localize, look), analyst (everyone's predictions, analytics, ground truth), contributor
    /// (reference images), admin (activate, roll back, audit log)
    #[arg(long, value_name = "SCOPE")]
    scope: Scope,
    /// Requests a minute; a photo counts as one [default: the service's requests_per_minute]
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// Tell places to about so many kilometres only
    #[arg(long, value_name = "KM")]
    coarsen: Option<f64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    stores::runtime()?.block_on(async {
        let catalog = stores::catalog(settings).await?;
        match &args.what {
            What::Create(create) => make(create, catalog.as_ref()).await,
            What::List { json } => list(*json, catalog.as_ref()).await,
            What::Revoke { id } => revoke(*id, catalog.as_ref()).await,
        }
    })
}

async fn make(create: &Create, catalog: &dyn Catalog) -> Result<()> {
    if !create.another {
        let keys = catalog.api_keys().await?;
        let working = |key: &&ApiKey| key.name == create.name && key.revoked_at.is_none();
        if let Some(other) = keys.iter().find(working) {
            bail!(
                "{:?} has a working key already ({}), and keys of one name see each other's predictions: choose another name, revoke that key, or pass --another to replace it without a gap",
                create.name,
                other.id
            );
        }
    }
    let (text, sha256) = api::new_key();
    let key = ApiKey {
        requests_per_minute: create.rate,
        coarsen_km: create.coarsen,
        ..ApiKey::new(&create.name, sha256, create.scope)
    };
    let details = json!({
        "scope": key.scope,
        "requests_per_minute": key.requests_per_minute,
        "coarsen_km": key.coarsen_km,
    });
    let entry = AuditEntry::new("keys.create", format!("API key {}", key.id), details).by(ACTOR);
    catalog.insert_api_key(&key, Some(&entry)).await?;
    if create.json {
        return output::json(&json!({ "key": text, "id": key.id, "name": key.name, "scope": key.scope }));
    }
    output::line(&text);
    eprintln!(
        "Keep it now: it is not shown again. Send it as `Authorization: Bearer {text}`; revoke it with `geosurge keys revoke {}`.",
        key.id
    );
    Ok(())
}

async fn list(json: bool, catalog: &dyn Catalog) -> Result<()> {
    let keys = catalog.api_keys().await?;
    if json {
        for key in keys {
            output::json(&json!({
                "id": key.id, "name": key.name, "scope": key.scope,
                "requests_per_minute": key.requests_per_minute, "coarsen_km": key.coarsen_km,
                "created_at": key.created_at, "last_used_at": key.last_used_at, "revoked_at": key.revoked_at,
            }))?;
        }
        return Ok(());
    }
    if keys.is_empty() {
        output::line("no keys; make one with: geosurge keys create NAME --scope reader");
        return Ok(());
    }
    let mut table = output::table(
        [
            "id",
            "name",
            "scope",
            "a minute",
            "to km",
            "made",
            "last used",
            "revoked",
        ],
        &[3, 4],
    );
    let day = |time: chrono::DateTime<Utc>| time.format("%Y-%m-%d %H:%M").to_string();
    for key in keys {
        table.add_row([
            key.id.to_string(),
            key.name,
            key.scope.to_string(),
            key.requests_per_minute
                .map_or_else(String::new, |rate| rate.to_string()),
            key.coarsen_km.map_or_else(String::new, |km| km.to_string()),
            day(key.created_at),
            key.last_used_at.map_or_else(|| "never".to_owned(), day),
            key.revoked_at.map_or_else(String::new, day),
        ]);
    }
    output::line(table);
    Ok(())
}

async fn revoke(id: Uuid, catalog: &dyn Catalog) -> Result<()> {
    let keys = catalog.api_keys().await?;
    match keys.iter().find(|key| key.id == id) {
        Some(key) if key.revoked_at.is_some() => bail!("key {id} ({}) was revoked before", key.name),
        _ => {}
    }
    let entry = AuditEntry::new("keys.revoke", format!("API key {id}"), json!({})).by(ACTOR);
    let key = catalog
        .revoke_api_key(id, Utc::now().trunc_subsecs(6), Some(&entry))
        .await?;
    output::line(format!("key {id} ({}) is revoked", key.name));
    Ok(())
}
