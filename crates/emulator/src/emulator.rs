//! The running emulator: a thread with a runtime of its own, and the handle to it.
//!
//! Not the service: that is the front (the wire) and the session (the rules). Called by the
//! server's wiring, the subcommand `voice-s2s emulator`, and tests.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use voice_ears::ModelError;

use crate::agent::TaskAgent;
use crate::config::EmulatorConfig;
use crate::ears::Ears;
use crate::front::{self, AGENT_BASE, Listener, tls};
use crate::observe::Observer;
use crate::world::World;

/// How long blocking work of the sessions may hold up the end of the thread.
const FAREWELL: Duration = Duration::from_secs(2);

/// A running emulator. Dropping it stops it, as [`Emulator::shutdown`] does.
#[derive(Debug)]
pub struct Emulator {
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    ca_pem: String,
    observer: Observer,
    agent: TaskAgent,
    ears: Option<Arc<Ears>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The emulator could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener could not be bound.
    #[error("the emulator cannot listen on {address}: {source}")]
    Bind {
        /// What was to be bound.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The thread or its runtime could not be made.
    #[error("cannot start the emulator's thread: {0}")]
    Thread(#[source] io::Error),
    /// The test CA or its certificate could not be made.
    #[error("cannot make the emulator's certificate: {0}")]
    Certificate(String),
    /// The acoustic model cannot be read.
    #[error("the acoustic model cannot be used: {0}")]
    Model(#[from] ModelError),
}

impl Emulator {
    /// Binds the listeners and serves them on a thread with a current-thread runtime. Callable
    /// from any runtime or from none; returns when the ports are known and accept connections.
    ///
    /// # Errors
    /// [`StartError`] when a port is taken, or the thread or certificate cannot be made.
    pub fn start(mut config: EmulatorConfig) -> Result<Self, StartError> {
        let (plain, address) = bind(config.listen)?;
        let mut sockets = vec![(plain, None)];
        let (mut tls_address, mut ca_pem) = (None, String::new());
        if let Some(wanted) = config.tls_listen {
            let (socket, address) = bind(wanted)?;
            let authority = tls::make_authority(address.ip()).map_err(StartError::Certificate)?;
            (tls_address, ca_pem) = (Some(address), authority.ca_pem);
            sockets.push((socket, Some(authority.acceptor)));
            // GetDataEndpoint tells its callers where they are.
            config.tls_listen = Some(address);
        }

        let observer = Observer::new(config.record);
        let world = Arc::new(World::new(config, observer.clone())?);
        let ears = world.ears.clone();
        let agent = world.agent.clone();
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let listeners = {
            let _context = runtime.enter();
            sockets
                .into_iter()
                .map(|(socket, tls)| listen(socket, tls))
                .collect::<io::Result<Vec<_>>>()
                .map_err(StartError::Thread)?
        };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("emulator".to_owned())
            .spawn(move || run(runtime, listeners, world, stopped))
            .map_err(StartError::Thread)?;
        Ok(Self {
            address,
            tls_address,
            ca_pem,
            observer,
            agent,
            ears,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// `http://127.0.0.1:PORT`: for `endpoint_url` of any SDK.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", reachable(self.address))
    }

    /// `https://127.0.0.1:PORT`, when a TLS listener was asked for.
    #[must_use]
    pub fn tls_endpoint(&self) -> Option<String> {
        self.tls_address.map(|address| format!("https://{}", reachable(address)))
    }

    /// The CA that signed the TLS certificate, PEM. Empty without a TLS listener.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// What a container on Amazon ECS is given as `ECS_AGENT_URI`.
    #[must_use]
    pub fn agent_uri(&self) -> String {
        format!("{}{AGENT_BASE}", self.endpoint())
    }

    /// The stand-in for the ECS agent.
    #[must_use]
    pub fn agent(&self) -> &TaskAgent {
        &self.agent
    }

    /// What the emulator hears.
    #[must_use]
    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    /// Who understands what is said; `None` if the emulator hears that somebody speaks and no words.
    #[must_use]
    pub fn ears(&self) -> Option<&Ears> {
        self.ears.as_deref()
    }

    /// Stops listening, cuts what is open, and joins the thread.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        // Dropping the sender is the signal.
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the emulator's thread had panicked");
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.stop();
    }
}

fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Bind { address, source };
    let socket = TcpListener::bind(address).map_err(failed)?;
    socket.set_nonblocking(true).map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?;
    Ok((socket, bound))
}

fn listen(socket: TcpListener, tls: Option<TlsAcceptor>) -> io::Result<Listener> {
    Ok(Listener { tcp: tokio::net::TcpListener::from_std(socket)?, tls })
}

/// An unspecified address is no place to connect to; its loopback is.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn run(
    runtime: Runtime,
    listeners: Vec<Listener>,
    world: Arc<World>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(front::serve(listeners, world, stopped));
    // Drops the tasks, and with them the connections and the records of their sessions.
    runtime.shutdown_timeout(FAREWELL);
}
