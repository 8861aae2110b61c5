//! `geosurge models`: published weights, fetched, listed and checked.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Subcommand;
use hub::{HubSettings, KNOWN, ModelsFolder, Purpose};
use models::published::{Verification, verify};
use serde_json::json;

use crate::progress::Bar;
use crate::settings::Settings;
use crate::{interrupt, output};

/// Tensors named in a message; --json names all.
const TOLD: usize = 5;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Fetch a published model by name, or take it from a folder; what was interrupted goes on
    ///
    /// HF_ENDPOINT names another hub, HF_TOKEN opens gated models, HF_HUB_OFFLINE=1 uses no network, HTTPS_PROXY and
    /// NO_PROXY are heeded, and HF_HUB_DOWNLOAD_TIMEOUT is how many seconds nothing may arrive [default: 30].
    Pull {
        /// owner/model, such as openai/clip-vit-large-patch14-336
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Branch, tag or commit
        #[arg(long, default_value = "main")]
        revision: String,
        /// Take the model from this folder instead of a hub: config.json, preprocessor_config.json and the weights
        #[arg(long, value_name = "DIR", conflicts_with = "revision")]
        from: Option<PathBuf>,
        /// Print one JSON object a model
        #[arg(long)]
        json: bool,
    },
    /// List the known models, and those that are here with their sizes
    List {
        /// Print one JSON object a model
        #[arg(long)]
        json: bool,
    },
    /// Check every tensor of a model, by name and shape, against the layout that its config.json means
    Verify {
        /// Name of a pulled model, or a folder
        #[arg(required = true, value_name = "NAME|DIR")]
        models: Vec<String>,
        /// Print one JSON object a model, with every tensor that is missing, extra or misshapen
        #[arg(long)]
        json: bool,
    },
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let folder = ModelsFolder::new(settings.models_dir());
    match &args.action {
        Action::Pull {
            names,
            revision,
            from,
            json,
        } => pull(&folder, names, revision, from.as_deref(), *json),
        Action::List { json } => list(&folder, *json),
        Action::Verify { models, json } => check(&folder, models, *json),
    }
}

fn pull(
    folder: &ModelsFolder,
    names: &[String],
    revision: &str,
    from: Option<&Path>,
    json: bool,
) -> Result<()> {
    let settings = HubSettings::read(|name| std::env::var(name).ok())?;
    let cancel = interrupt::flag()?;
    for name in names {
        let bar = Bar::new(json);
        let report = match from {
            Some(source) => hub::import(folder, name, source, &cancel)?,
            None => hub::pull(
                folder,
                name,
                revision,
                &settings,
                &|p| bar.show(p.file, p.done, p.total, "bytes"),
                &cancel,
            )?,
        };
        bar.finish();
        let verification = verify(&report.folder)?;
        if json {
            output::json(&json!({ "name": name, "pulled": report, "verified": verification }))?;
        } else {
            let commit = report
                .record
                .commit
                .as_deref()
                .map_or(String::new(), |c| format!(" at {c}"));
            let how = if report.was_here {
                "was here already"
            } else {
                "is here"
            };
            output::line(format!("{name}{commit} {how}: {}", report.folder.display()));
            tell(name, &verification);
        }
        refuse(name, &verification)?;
    }
    Ok(())
}

fn list(folder: &ModelsFolder, json: bool) -> Result<()> {
    let held = folder.list()?;
    let of = |name: &str| held.iter().find(|held| held.name == name);
    let others = held
        .iter()
        .filter(|held| KNOWN.iter().all(|known| known.name != held.name));
    if json {
        for known in KNOWN {
            output::json(&json!({ "name": known.name, "known": known, "here": of(known.name) }))?;
        }
        for other in others {
            output::json(&json!({ "name": other.name, "known": null, "here": other }))?;
        }
        return Ok(());
    }
    let mut table = output::table(["model", "for", "what", "licence", "here"], &[4]);
    let here = |held: Option<&hub::Held>| match held {
        None => String::new(),
        Some(held) if held.record.is_none() => "not whole: pull again".to_owned(),
        Some(held) => size(held.bytes),
    };
    for known in KNOWN {
        let purpose = match known.purpose {
            Purpose::Tower => "train",
            Purpose::Segmenter => "segment",
        };
        let cells = [known.name, purpose, known.description, known.licence].map(str::to_owned);
        table.add_row(cells.into_iter().chain([here(of(known.name))]));
    }
    for other in others {
        let cells = [
            other.name.clone(),
            String::new(),
            "your own".to_owned(),
            String::new(),
        ];
        table.add_row(cells.into_iter().chain([here(Some(other))]));
    }
    output::line(table);
    output::line(format!(
        "{} in {}; fetch with `geosurge models pull NAME`",
        size(held.iter().map(|held| held.bytes).sum()),
        folder.root().display()
    ));
    Ok(())
}

fn check(folder: &ModelsFolder, models: &[String], json: bool) -> Result<()> {
    let mut broken = Vec::new();
    for name in models {
        let verification = verify(&folder.locate(name)?)?;
        if json {
            output::json(
                &json!({ "name": name, "whole": verification.is_whole(), "verified": verification }),
            )?;
        } else {
            tell(name, &verification);
        }
        if !verification.is_whole() {
            broken.push(name.as_str());
        }
    }
    match broken[..] {
        [] => Ok(()),
        _ => bail!(
            "{} not as config.json means it; pull again, or name the model's own config.json",
            broken.join(", ")
        ),
    }
}

/// A pulled model must be usable; tensors beyond its layout are told and harmless.
fn refuse(name: &str, verification: &Verification) -> Result<()> {
    if verification.is_usable() {
        return Ok(());
    }
    bail!(
        "{name} arrived as its hub has it, but its tensors are not those of the {} that its config.json describes; ask its publisher",
        verification.family.name()
    )
}

fn tell(name: &str, found: &Verification) {
    let kind = if found.pickle {
        ", a PyTorch pickle, of which nothing is executed"
    } else {
        ""
    };
    output::line(format!(
        "{name}: {} with {} tensors ({} needed), {:.1} million values, {} in {}{kind}",
        found.family.name(),
        found.tensors,
        found.needed,
        found.parameters as f64 / 1e6,
        size(found.bytes),
        found.files.join(", "),
    ));
    let misshapen: Vec<String> = found
        .misshapen
        .iter()
        .map(|tensor| {
            format!(
                "{} is {:?} and should be {:?}",
                tensor.name, tensor.found, tensor.expected
            )
        })
        .collect();
    for (what, tensors) in [
        ("missing", &found.missing),
        ("extra", &found.extra),
        ("misshapen", &misshapen),
    ] {
        if tensors.is_empty() {
            continue;
        }
        output::line(format!("  {} {what}:", tensors.len()));
        for tensor in tensors.iter().take(TOLD) {
            output::line(format!("    {tensor}"));
        }
        if tensors.len() > TOLD {
            output::line(format!(
                "    and {} more (--json names all)",
                tensors.len() - TOLD
            ));
        }
    }
    if found.is_whole() {
        output::line("  every tensor is there, at its shape, and no other");
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
