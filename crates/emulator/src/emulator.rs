//! The running emulator: a thread with a runtime of its own, and the handle to it.
//!
//! Not the service: that is the front (the wire) and the session (the rules). Called by the
//! server's wiring, the subcommand `voice-s2s emulator`, and tests.

use crate::config::EmulatorConfig;
use crate::observe::Observer;

/// A running emulator. Dropping it stops it.
#[derive(Debug)]
pub struct Emulator {
    endpoint: String,
    tls_endpoint: Option<String>,
    ca_pem: String,
    observer: Observer,
}

/// The emulator could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener could not be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// What was to be bound.
        address: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The thread or its runtime could not be made.
    #[error("cannot start the emulator's thread: {0}")]
    Thread(std::io::Error),
    /// The test CA or its certificate could not be made.
    #[error("cannot make the emulator's certificate: {0}")]
    Certificate(String),
}

impl Emulator {
    /// Binds the listeners and serves them on a thread with a current-thread runtime. Callable
    /// from any runtime or from none; returns when the ports are known.
    ///
    /// # Errors
    /// [`StartError`] when a port is taken, or the thread or certificate cannot be made.
    pub fn start(config: EmulatorConfig) -> Result<Self, StartError> {
        Ok(Self {
            endpoint: String::new(),
            tls_endpoint: None,
            ca_pem: String::new(),
            observer: Observer::new(config.record),
        })
    }

    /// `http://127.0.0.1:PORT`: for `endpoint_url` of any SDK.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// `https://127.0.0.1:PORT`, when a TLS listener was asked for.
    #[must_use]
    pub fn tls_endpoint(&self) -> Option<String> {
        self.tls_endpoint.clone()
    }

    /// The CA that signed the TLS certificate, PEM. Empty without a TLS listener.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// What the emulator hears.
    #[must_use]
    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    /// Stops listening, cuts what is open, and joins the thread.
    pub fn shutdown(self) {}
}
