//! Listening, and stopping in good order.

use std::future::Future;
use std::net::SocketAddr;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::http::router;
use crate::service::Service;
use crate::{Error, Result};

/// A service that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: Service,
}

impl Server {
    /// Takes the address of the service's settings.
    ///
    /// # Errors
    /// [`Error::Listen`] when it cannot be had.
    pub async fn bind(service: Service) -> Result<Self> {
        let wanted = service.config().address;
        let listen = |source| Error::Listen {
            address: wanted,
            source,
        };
        let listener = TcpListener::bind(wanted).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Self {
            listener,
            address,
            service,
        })
    }

    /// The address that it listens on, with the port that was free when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` completes, then lets requests in progress end for at most the time of the settings.
    ///
    /// # Errors
    /// [`Error::Serve`] when the listener fails.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let drain = self.service.config().drain;
        let (stop, mut stopped) = watch::channel(false);
        let mut asked = stopped.clone();
        let graceful = async move {
            // The sender lives until the server has ended.
            let _ = asked.wait_for(|stop| *stop).await;
        };
        let service = self.service.clone();
        let app = router(self.service).into_make_service_with_connect_info::<SocketAddr>();
        // Small answers go out at once: waiting for the client's acknowledgement of the part before costs up to 40 ms each.
        let listener = self.listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "the connection waits before it sends");
            }
        });
        let server = axum::serve(listener, app).with_graceful_shutdown(graceful);
        tracing::info!(address = %self.address, "listening");
        tokio::spawn(async move {
            shutdown.await;
            tracing::info!("stopping");
            service.stop();
            stop.send_replace(true);
        });
        let overdue = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
            tokio::time::sleep(drain).await;
        };
        tokio::select! {
            ended = server => ended.map_err(Error::Serve),
            () = overdue => {
                tracing::warn!(seconds = drain.as_secs_f64(), "requests in progress were cut off");
                Ok(())
            }
        }
    }
}

/// Serves `service` on the address of its settings until `shutdown` completes.
///
/// # Errors
/// [`Error::Listen`] when the address cannot be had, [`Error::Serve`] when the listener fails.
pub async fn serve(service: Service, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<()> {
    Server::bind(service).await?.run(shutdown).await
}
