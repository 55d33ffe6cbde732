//! The server: page, API and the `/sonic` WebSocket in front of the call engine.
//!
//! [`Server::build`] makes a [`Running`] server, for `main.rs` and for system tests alike. What
//! happens in a call is the engine's (`voice-actors`); here bytes are moved, requests are
//! answered, and the parts are wired together.

mod access;
pub mod check;
pub mod config;
pub mod erase;
pub mod healthcheck;
mod http;
pub mod load;
mod metrics;
mod protection;
mod reload;
mod setup;
pub mod shutdown;
mod sources;
pub mod store;
pub mod telemetry;
mod wiring;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{App, HttpServer, dev::ServerHandle, middleware::from_fn};
use tokio::task::JoinHandle;
use voice_actors::{DrainReport, Engine, Identity, Ports, Registry};
use voice_archive::Monitor;
use voice_call::Meters;
use voice_catalog::{Catalog, execute::Executors};
use voice_emulator::Emulator;
use voice_wire::server::Version;

pub use access::AccessError;

use access::Access;
use config::{BadSetting, ServerConfig};
use http::{Exposition, State};
use metrics::{Source, Teller};
use protection::Keeper;
use sources::{OpenError, Opened, Sources};
use store::Vault;
use wiring::Traced;

/// How long open connections get after the last call has ended.
const CONNECTION_GRACE_SECONDS: u64 = 3;

/// How long an idle HTTP connection is kept: longer than a load balancer's idle timeout (120 s in
/// `ops.md` §1.6), or the balancer would now and then use one that is just being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(130);

/// What of the time to stop is for calls; the rest brings home what they left. All of it has to fit
/// into what ECS allows, 120 s.
const SHARE_OF_CALLS: f64 = 0.7;

/// How long the last session logs get to reach their store.
const ARCHIVE_GRACE: Duration = Duration::from_secs(20);

/// How long the last spans and scores get to arrive.
const TRACES_GRACE: Duration = Duration::from_secs(10);

/// Builds servers.
pub struct Server;

/// A server that accepts calls. Dropping it does not stop it: see [`Running::stop`].
pub struct Running {
    addr: SocketAddr,
    backend: &'static str,
    tools: usize,
    workflows: usize,
    state: Arc<State>,
    handle: ServerHandle,
    serving: JoinHandle<std::io::Result<()>>,
    /// Looks for changed tools, workflows and prompts, on disk and in Langfuse.
    reloading: Vec<JoinHandle<()>>,
    /// Tells CloudWatch and the log what is counted.
    teller: Teller,
    /// Asks ECS not to end this task.
    protecting: Option<JoinHandle<()>>,
    emulator: Option<Emulator>,
}

/// Why a server could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Tools, workflows or prompts have errors.
    #[error("the catalog has errors:\n{0}")]
    Catalog(voice_catalog::Problems),
    /// The embedded emulator did not start.
    #[error("the embedded emulator did not start")]
    Emulator(#[from] voice_emulator::StartError),
    /// The port to Bedrock could not be set up.
    #[error("the port to Amazon Bedrock could not be set up")]
    Bedrock(#[from] voice_aws::SetupError),
    /// The address cannot be listened on.
    #[error("HOST and PORT: cannot listen on {host}:{port}")]
    Listen {
        /// The address as configured.
        host: String,
        /// The port as configured.
        port: u16,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The clients of the tools could not be set up.
    #[error("the clients of the tools could not be set up")]
    Tools(#[from] voice_catalog::execute::SetupError),
    /// The place for what is not finished could not be taken.
    #[error("DATA_DIR: {dir} cannot be used")]
    Archive {
        /// The folder as configured.
        dir: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The live view could not be started.
    #[error("the live view of calls could not be started")]
    Monitor(#[source] std::io::Error),
    /// The client of Langfuse could not be set up.
    #[error("the client of Langfuse could not be set up")]
    Langfuse(#[from] voice_langfuse::SetupError),
    /// The session store does not answer.
    #[error("SESSION_STORE cannot be used")]
    Store(#[from] voice_call::StoreError),
    /// Access could not be set up.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Settings do not go with the files they name.
    #[error(transparent)]
    Setting(#[from] BadSetting),
}

impl BuildError {
    /// Whether the configuration or an input file is at fault (exit code 64).
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Catalog(_) | Self::Setting(_) | Self::Bedrock(_))
    }
}

impl Server {
    /// Loads the catalog, wires the ports, and starts to listen. Must be called inside an actix
    /// system; the workers are threads of their own.
    pub async fn build(config: ServerConfig) -> Result<Running, BuildError> {
        let Opened { catalog, warnings, clients, prompts } = Sources::from(&config).open().await?;
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let contradictions = config::contradictions(&config, Some(&catalog.snapshot()));
        if let Some(bad) = contradictions.into_iter().next() {
            return Err(bad.into());
        }
        let wiring = wiring::wire(&config).await?;
        let meters = Meters::default();
        let registry = Registry::start(
            meters.clone(),
            config.engine.probe_interval,
            config.max_calls,
            config.access.limits.clone(),
        );
        let vault = Arc::new(Vault::open(&config.store).await?);
        let Traced { traces, witnesses } = wiring::traces(&config, &meters)?;
        let kept = wiring::archive(&config, &meters, witnesses).await?;
        let redactor = config.archive.redactor.clone();
        let monitor = Monitor::start(redactor, meters.clone()).map_err(BuildError::Monitor)?;
        let identity = Identity {
            version: version(),
            backend: wiring.backend,
            has_credentials: wiring.has_credentials,
        };
        let ports = Ports {
            sonic: wiring.sonic,
            catalog: catalog.clone(),
            executors: Arc::new(Executors::new(clients)),
            store: vault.clone(),
            transcription: Some(wiring.transcription),
            archive: kept.as_ref().map(|kept| kept.archive.clone()),
            monitor: monitor.clone(),
        };
        let archive = ports.archive.clone();
        let model = config.engine.model;
        let mut settings = config.engine.clone();
        settings.trace_id = traces.is_some().then_some(voice_langfuse::trace_id_of);
        let engine = Engine::new(settings, ports, meters.clone(), identity.clone());
        let loaded = catalog.snapshot();
        let (tools, workflows) = (loaded.tools().len(), loaded.workflows().len());
        let watching = catalog.clone();
        let state = Arc::new(State {
            access: Access::new(&config.access, vault)?,
            engine,
            registry,
            catalog,
            metrics: Arc::new(Exposition::of(&meters)),
            meters,
            identity,
            status: wiring.status,
            model,
            archive,
            history: kept.and_then(|kept| kept.history),
            traces,
            monitor,
            setup: setup::parts(&config),
            warnings,
        });

        let (shared, static_dir) = (state.clone(), config.static_dir.clone());
        let mut server = HttpServer::new(move || {
            let (shared, static_dir) = (shared.clone(), static_dir.clone());
            App::new()
                .wrap(from_fn(http::guard::guard))
                .wrap(http::headers::cors(shared.clone()))
                .wrap(http::headers::security())
                .configure(move |routes| http::routes(routes, shared, &static_dir))
        })
        .on_connect(http::socket::keep_handle)
        // The signals are ours: a call ends in order before its connection does.
        .disable_signals()
        .shutdown_timeout(CONNECTION_GRACE_SECONDS)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(Duration::from_secs(5));
        if config.workers > 0 {
            server = server.workers(config.workers);
        }
        let (host, port) = (config.host, config.port);
        let server = server.bind((host.as_str(), port)).map_err(|source| BuildError::Listen {
            host: host.clone(),
            port,
            source,
        })?;
        let addr = server.addrs().first().copied().ok_or_else(|| BuildError::Listen {
            host,
            port,
            source: std::io::Error::other("no address was bound"),
        })?;
        let server = server.run();
        let handle = server.handle();
        let looking = config
            .catalog_reload
            .map(|interval| reload::start(watching.clone(), interval, state.meters.clone()));
        let asking = prompts.zip(config.langfuse.and_then(|langfuse| langfuse.refresh)).map(
            |(prompts, interval)| {
                reload::start_refreshing(watching, prompts, interval, state.meters.clone())
            },
        );
        let protecting = config.operations.protection.map(|protection| {
            let keeper = Keeper {
                agent: protection.agent,
                times: protection.times,
                registry: state.registry.clone(),
                exit: config.operations.exit_when_drained,
                meters: state.meters.clone(),
            };
            keeper.start()
        });
        let reloading = looking.into_iter().chain(asking).collect();
        let serving = tokio::task::spawn_local(server);
        let source = Source {
            exposition: state.metrics.clone(),
            meters: state.meters.clone(),
            registry: state.registry.clone(),
        };
        let teller = Teller::start(&config.metrics, source, wiring.cloudwatch);
        Ok(Running {
            addr,
            backend: wiring.backend,
            tools,
            workflows,
            state,
            handle,
            serving,
            reloading,
            teller,
            protecting,
            emulator: wiring.emulator,
        })
    }
}

impl From<OpenError> for BuildError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Files(problems) => Self::Catalog(problems),
            OpenError::Tools(error) => Self::Tools(error),
            OpenError::Langfuse(error) => Self::Langfuse(error),
        }
    }
}

fn version() -> Version {
    Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build_time: option_env!("BUILD_TIME").unwrap_or_default().to_owned(),
        name: "voice-s2s".to_owned(),
    }
}

impl Running {
    /// The address that is listened on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where a browser on this machine finds the page.
    pub fn url(&self) -> String {
        let mut reachable = self.addr;
        if reachable.ip().is_unspecified() {
            reachable.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        format!("http://{reachable}")
    }

    /// `emulator` or `bedrock`.
    pub fn backend(&self) -> &'static str {
        self.backend
    }

    /// The embedded emulator, when it answers.
    pub fn emulator(&self) -> Option<&Emulator> {
        self.emulator.as_ref()
    }

    /// The registry of active calls.
    pub fn registry(&self) -> &Registry {
        &self.state.registry
    }

    /// Tools, workflows and prompts.
    pub fn catalog(&self) -> &Catalog {
        &self.state.catalog
    }

    /// What operators see of calls.
    pub fn monitor(&self) -> &Monitor {
        &self.state.monitor
    }

    /// What the server counts.
    pub fn meters(&self) -> &Meters {
        &self.state.meters
    }

    /// The line that says it is ready: URL, backend, number of tools and workflows. JSON for
    /// machines, a sentence for people.
    pub fn ready_line(&self, json: bool) -> String {
        let (url, backend) = (self.url(), self.backend);
        let (tools, workflows) = (self.tools, self.workflows);
        if json {
            let line = serde_json::json!({"level": "INFO", "message": "ready", "url": url, "backend": backend,
                "tools": tools, "workflows": workflows});
            return line.to_string();
        }
        format!("ready: {url} (backend: {backend}, {tools} tools, {workflows} workflows)")
    }

    /// Resolves when the server has stopped by itself, which it should not.
    pub async fn failed(&mut self) -> std::io::Error {
        match (&mut self.serving).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) => std::io::Error::other("the HTTP server stopped by itself"),
            Err(panic) => std::io::Error::other(panic),
        }
    }

    async fn close_archive(&self, grace: Duration) {
        let Some(archive) = &self.state.archive else { return };
        let left = archive.close(grace.min(ARCHIVE_GRACE)).await;
        if left > 0 {
            tracing::error!(left, "session logs wait on the disk for the next start");
        }
    }

    async fn close_traces(&self, grace: Duration) {
        let Some(traces) = &self.state.traces else { return };
        let left = traces.close(grace.min(TRACES_GRACE)).await;
        if left > 0 {
            tracing::warn!(left, "spans and scores did not arrive; they are lost");
        }
    }

    /// Stops in order: no new calls, every call ends within `grace`, then the connections, the last
    /// logs, spans and figures, and the embedded emulator.
    pub async fn stop(mut self, grace: Duration) -> DrainReport {
        let deadline = Instant::now() + grace;
        self.reloading.iter().for_each(JoinHandle::abort);
        let report = self.state.registry.drain(grace.mul_f64(SHARE_OF_CALLS)).await;
        self.protecting.iter().for_each(JoinHandle::abort);
        self.handle.stop(true).await;
        let _ = (&mut self.serving).await;
        // The traces end when the journal, which they listen to, has ended.
        let left = deadline.saturating_duration_since(Instant::now());
        tokio::join!(self.close_archive(left), self.close_traces(left));
        self.teller.finish().await;
        if let Some(emulator) = self.emulator {
            emulator.shutdown();
        }
        report
    }
}
