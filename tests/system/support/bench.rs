//! The server under test, with the emulator behind it.

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;
use voice_aws::Credentials;
use voice_call::{
    Meters,
    meters::{Queue, ReasonLabel},
};
use voice_emulator::{Emulator, EmulatorConfig, Observer, script::Scenario};
use voice_s2s::{
    Running, Server,
    config::{Backend, ServerConfig},
    telemetry::{self, LogFormat},
};

use super::{Caller, FaultProxy, Weather, eventually};

/// A running server.
pub(crate) struct Bench {
    pub(crate) server: Running,
    /// What it keeps, unless a test said where.
    pub(crate) data: TempDir,
    /// The stand-in, where it is not the server's own.
    far: Option<Emulator>,
    /// The folders it reads, where they are not the demo's.
    pub(super) house: Option<Arc<TempDir>>,
}

/// A script in which the assistant says long things, for tests that talk over it.
pub(crate) const TALKATIVE: &str = include_str!("../scenarios/talkative.json");

impl Bench {
    /// The server as a newcomer gets it, except that the greeting comes sooner.
    pub(crate) async fn start() -> Self {
        Self::with(|_, _| ()).await
    }

    /// A server whose assistant speaks at length.
    pub(crate) async fn talkative() -> Self {
        Self::with(|_, emulator| {
            emulator.scenario = Scenario::parse(TALKATIVE).expect("the script").into();
        })
        .await
    }

    /// A server with changed settings.
    pub(crate) async fn with(change: impl FnOnce(&mut ServerConfig, &mut EmulatorConfig)) -> Self {
        let (mut config, emulator, data) = Self::settings(change);
        config.backend = Backend::Emulator(Box::new(emulator));
        Self {
            server: Server::build(config).await.expect("a server"),
            data,
            far: None,
            house: None,
        }
    }

    /// A server whose stand-in is at the end of a line with such weather.
    pub(crate) async fn over(
        weather: Weather,
        seed: u64,
        change: impl FnOnce(&mut ServerConfig, &mut EmulatorConfig),
    ) -> (Self, FaultProxy) {
        let (mut config, emulator, data) = Self::settings(change);
        let keys = emulator.credentials.clone();
        let emulator = Emulator::start(emulator).expect("the stand-in");
        let address = emulator.endpoint().trim_start_matches("http://").parse();
        let line = FaultProxy::start(address.expect("its address"), weather, seed).await;
        config.backend = Backend::Bedrock {
            credentials: Credentials::Keys {
                access_key_id: keys.access_key_id,
                secret_access_key: keys.secret_access_key,
                session_token: None,
            },
            endpoint: Some(format!("http://{}", line.addr())),
            extra_ca: None,
        };
        let server = Server::build(config).await.expect("a server");
        (Self { server, data, far: Some(emulator), house: None }, line)
    }

    fn settings(
        change: impl FnOnce(&mut ServerConfig, &mut EmulatorConfig),
    ) -> (ServerConfig, EmulatorConfig, TempDir) {
        if let Ok(filter) = std::env::var("RUST_LOG") {
            let _ = telemetry::start(LogFormat::Text, &filter, telemetry::Output::Stderr);
        }
        let mut config = ServerConfig { workers: 1, ..ServerConfig::default() };
        config.engine.greeting_delay = Some(Duration::from_millis(50));
        config.engine.resume_window = Some(Duration::from_millis(500));
        // Callers in tests speak faster than people, and on a busy machine all at once.
        config.engine.audio_burst = Duration::from_secs(3_600);
        let data = tempfile::tempdir().expect("a temporary folder");
        data.path().clone_into(&mut config.data_dir);
        let mut emulator = EmulatorConfig::embedded();
        change(&mut config, &mut emulator);
        (config, emulator, data)
    }

    pub(crate) fn meters(&self) -> &Meters {
        self.server.meters()
    }

    pub(crate) fn observer(&self) -> &Observer {
        let emulator = self.far.as_ref().or_else(|| self.server.emulator());
        emulator.map(Emulator::observer).expect("a stand-in")
    }

    /// The address of `/sonic`, with a query such as `?sessionId=x` or none.
    pub(crate) fn sonic(&self, query: &str) -> String {
        format!("ws://{}/sonic{query}", self.server.addr())
    }

    /// A caller who is connected and has heard `session_start`.
    pub(crate) async fn call(&self) -> Caller {
        let mut caller = Caller::connect(&self.sonic("")).await;
        caller.configure(serde_json::json!({})).await;
        caller.message("session_start").await;
        caller
    }

    /// A caller who has been greeted as well.
    pub(crate) async fn greeted(&self) -> Caller {
        let mut caller = self.call().await;
        caller.final_line("assistant").await;
        caller
    }

    /// Nothing is left: no call, no socket, no stream, no actor, no task, nothing in a queue.
    pub(crate) async fn is_clean(&self) {
        let meters = self.meters();
        let server = &self.server;
        let gauges = [
            ("active call", &meters.active_calls),
            ("parked call", &meters.parked_calls),
            ("open socket", &meters.open_sockets),
            ("open stream", &meters.open_streams),
            ("live child", &meters.live_children),
            ("live task", &meters.live_tasks),
        ];
        for (name, gauge) in gauges {
            eventually(&format!("no {name} (now {})", gauge.get()), || gauge.get() == 0).await;
        }
        let queues = [
            Queue::FromSocket,
            Queue::CallerAudio,
            Queue::AssistantAudio,
            Queue::Playout,
            Queue::ToSocket,
        ];
        for queue in queues {
            let depth = meters.depth(queue);
            eventually(&format!("an empty queue {queue:?}"), || depth.get() == 0).await;
        }
        eventually("no active call", || server.registry().active() == 0).await;
        eventually("no open stream at the emulator", || self.observer().open_streams() == 0).await;
        let (started, ended) = (meters.calls_started.get(), self.ended_calls());
        assert_eq!(started, ended, "every call that began has a cause of end");
    }

    fn ended_calls(&self) -> u64 {
        let causes = [
            "hung_up",
            "inactivity",
            "time_limit",
            "budget_spent",
            "transferred",
            "completed",
            "operator",
            "draining",
            "client_protocol",
            "client_stalled",
            "sonic_lost",
            "child_failed",
            "supervisor_failed",
        ];
        causes.iter().map(|reason| self.ended(reason)).sum()
    }

    /// How many calls ended for this cause.
    pub(crate) fn ended(&self, reason: &'static str) -> u64 {
        self.meters().calls_ended.get_or_create(&ReasonLabel { reason }).get()
    }

    /// How many mistakes of this code clients made.
    pub(crate) fn client_errors(&self, reason: &'static str) -> u64 {
        self.meters().client_errors.get_or_create(&ReasonLabel { reason }).get()
    }

    /// Checks that nothing is left, then stops the server.
    pub(crate) async fn finish(self) {
        self.is_clean().await;
        let report = self.server.stop(Duration::from_secs(5)).await;
        assert_eq!((report.active, report.left), (0, 0));
    }
}
