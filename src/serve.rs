//! `geosurge serve`: GraphQL, the map, health.

use anyhow::Result;
use api::{ServeConfig, Server, Service, ShadowConfig, Tiles};
use retrieval::OpenOptions;

use crate::device::Compute;
use crate::segmenter::SegmenterArg;
use crate::settings::Settings;
use crate::stores::Stores;
use crate::{output, stores, telemetry};

/// Queries that wait for the shadow; more are dropped and counted.
const SHADOW_QUEUE: usize = 64;

#[derive(clap::Args)]
pub struct Args {
    /// Listen on an address that other machines can reach without asking for API keys: whoever reaches it can use it
    #[arg(long)]
    allow_public: bool,
    /// Ask for API keys (`geosurge keys`) on this machine's own address too; on others they are always asked for, unless --allow-public
    #[arg(long, conflicts_with = "allow_public")]
    keys: bool,
    #[command(flatten)]
    segmenter: SegmenterArg,
    /// A release that answers a share of the queries too, unseen, so that `releases diff --from-shadow` can compare it
    #[arg(long, value_name = "RELEASE")]
    shadow: Option<String>,
    /// Share of the queries that the shadow answers, above 0 and at most 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, requires = "shadow")]
    shadow_share: f64,
    /// Address of raster tiles for the map, with {z}, {x} and {y}; without it the map is drawn from its own outlines, offline
    #[arg(long, value_name = "URL", env = "GEOSURGE_TILES")]
    tiles: Option<String>,
    /// Whose the tiles are, shown on the map
    #[arg(
        long,
        value_name = "TEXT",
        env = "GEOSURGE_TILES_ATTRIBUTION",
        default_value = "",
        requires = "tiles"
    )]
    tiles_attribution: String,
    #[command(flatten)]
    compute: Compute,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let device = args.compute.open()?;
    let open = OpenOptions {
        segmenter: args.segmenter.open(settings, &device)?,
        device,
        precision: args.compute.precision(),
        checkpoints: stores::checkpoints(settings),
    };
    let tiles = args
        .tiles
        .as_deref()
        .map(|url| Tiles::new(url, &args.tiles_attribution))
        .transpose()?;
    let release = args.shadow.as_deref().map(str::parse).transpose()?;
    let shadow = release.map(|release| ShadowConfig {
        release,
        share: args.shadow_share,
        queue: SHADOW_QUEUE,
    });
    stores::runtime()?.block_on(async {
        let stores = stores::open(settings).await?;
        if let Some(shadow) = &shadow {
            stores::settle(
                settings,
                stores.vectors.as_ref(),
                stores.catalog.as_ref(),
                &shadow.release,
            )
            .await?;
        }
        let local = settings.listen.ip().is_loopback();
        let config = ServeConfig {
            allow_public: args.allow_public,
            require_keys: args.keys || settings.serve.keys() || !(local || args.allow_public),
            tiles,
            shadow,
            ..config(settings)
        };
        serve(config, settings, stores, open).await
    })
}

/// What the settings say about a service.
pub fn config(settings: &Settings) -> ServeConfig {
    ServeConfig {
        address: settings.listen,
        photos: Some(settings.references_dir()),
        ..settings.serve.config()
    }
}

/// Serves until Ctrl-C or SIGTERM; SIGHUP reads the settings file again.
pub async fn serve(
    config: ServeConfig,
    settings: &Settings,
    stores: Stores,
    open: OpenOptions,
) -> Result<()> {
    let service = Service::start(config, stores.vectors, stores.catalog, open).await?;
    match service.localizer() {
        Some(localizer) => output::line(format!("release {} answers", localizer.release().id)),
        None => output::line(
            "no release answers yet; build one with: geosurge index CHECKPOINT DATASET --activate",
        ),
    }
    let reloading = tokio::spawn(reload(service.clone(), settings.clone()));
    let server = Server::bind(service).await?;
    output::line(format!(
        "http://{}/ is the map and takes photographs; GraphQL at /graphql, its console at /graphiql; Ctrl-C stops",
        server.address()
    ));
    let ended = server.run(stopped()).await;
    reloading.abort();
    Ok(ended?)
}

/// Reads the settings file again on each SIGHUP. A file that cannot be used changes nothing.
async fn reload(service: Service, settings: Settings) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangups) = signal(SignalKind::hangup()) else {
        return;
    };
    while hangups.recv().await.is_some() {
        if let Err(error) = reload_once(&service, &settings) {
            tracing::error!(
                error = format!("{error:#}"),
                "the settings could not be read again; the ones before hold"
            );
        }
    }
}

fn reload_once(service: &Service, settings: &Settings) -> Result<()> {
    let (log, serve) = settings.read_again()?;
    service.reload(serve.live())?;
    if let Some(log) = log {
        telemetry::set_log(&log)?;
    }
    tracing::info!("settings read again");
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
