//! `geosurge health`: asks a running service how it does, for containers whose image has no HTTP client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::output;
use crate::settings::Settings;

#[derive(clap::Args)]
pub struct Args {
    /// Ask only whether the process answers, not whether a release is open and its stores answer
    #[arg(long)]
    live: bool,
    /// Seconds to wait for an answer
    #[arg(long, default_value_t = 3, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let path = if args.live { "live" } else { "ready" };
    let url = format!("http://{}/health/{path}", reachable(settings.listen));
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(args.timeout)))
        .http_status_as_error(false)
        .build()
        .into();
    let mut answer = agent.get(&url).call().with_context(|| {
        format!("no service answers at {url}; start it with `geosurge serve`, or give its --listen")
    })?;
    let text = answer.body_mut().read_to_string().unwrap_or_default();
    if !answer.status().is_success() {
        bail!("{url} answers {}: {text}", answer.status());
    }
    output::line(text);
    Ok(())
}

/// Where a service that listens on `address` can be asked from this machine: loopback for the unspecified address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::reachable;

    #[test]
    fn an_unspecified_address_is_asked_on_loopback() {
        for (listen, asked) in [
            ("0.0.0.0:8080", "127.0.0.1:8080"),
            ("[::]:9000", "[::1]:9000"),
            ("127.0.0.1:1", "127.0.0.1:1"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
        }
    }
}
