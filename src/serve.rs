//! `geosurge serve`: GraphQL, the upload page, health.

use anyhow::Result;
use api::{ServeConfig, Server, Service};
use retrieval::OpenOptions;

use crate::device::DeviceKind;
use crate::segmenter::SegmenterArg;
use crate::settings::Settings;
use crate::stores::Stores;
use crate::{output, stores};

#[derive(clap::Args)]
pub struct Args {
    /// Listen on an address that other machines can reach. There are no API keys yet: whoever reaches it can use it
    #[arg(long)]
    allow_public: bool,
    #[command(flatten)]
    segmenter: SegmenterArg,
    /// Where to compute
    #[arg(long, value_enum, default_value_t = DeviceKind::Auto)]
    device: DeviceKind,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let device = args.device.open()?;
    let open = OpenOptions {
        segmenter: args.segmenter.open(settings, &device)?,
        device,
    };
    stores::runtime()?.block_on(async {
        let stores = stores::open(settings).await?;
        serve(settings, args.allow_public, stores, open).await
    })
}

/// Serves until Ctrl-C or SIGTERM.
pub async fn serve(settings: &Settings, allow_public: bool, stores: Stores, open: OpenOptions) -> Result<()> {
    let config = ServeConfig {
        address: settings.listen,
        allow_public,
        ..ServeConfig::default()
    };
    let service = Service::start(config, stores.vectors, stores.catalog, open).await?;
    match service.localizer() {
        Some(localizer) => output::line(format!("release {} answers", localizer.release().id)),
        None => output::line(
            "no release answers yet; build one with: geosurge index CHECKPOINT DATASET --activate",
        ),
    }
    let server = Server::bind(service).await?;
    output::line(format!(
        "http://{}/ takes photographs; GraphQL at /graphql, its console at /graphiql; Ctrl-C stops",
        server.address()
    ));
    server.run(stopped()).await?;
    Ok(())
}

/// Completes on Ctrl-C or SIGTERM.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
