//! Tells CloudWatch, and the log, what the process counts. Off every call's way.
//!
//! What is told and what becomes of it is decided by `voice_metrics`; here are the clock, the
//! requests and the words for the log. Started by [`crate::Server::build`]; [`Teller::finish`] sends
//! the last word.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::future::OptionFuture;
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout},
};
use voice_actors::Registry;
use voice_aws::{CloudWatch, CloudWatchFault, CloudWatchFaultKind};
use voice_call::{Meters, meters::ReasonLabel};
use voice_metrics::{Publisher, Reading, Scope, emf};

use crate::{config::MetricsSettings, http::Exposition, telemetry::outlet};

/// How long the last word may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// The pause between tries of the last word.
const LAST_PAUSE: Duration = Duration::from_millis(250);

/// How often a trouble that goes on is told to the log again.
const REMINDER: Duration = Duration::from_secs(3600);

/// What is read, and of whom.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) exposition: Arc<Exposition>,
    pub(crate) meters: Meters,
    pub(crate) registry: Registry,
}

impl Source {
    fn read(&self) -> Reading {
        Reading::of(&self.exposition.text().unwrap_or_default(), &self.meters)
    }
}

/// The tasks that tell.
pub(crate) struct Teller {
    cloudwatch: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    lines: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Teller {
    /// Starts them, as the settings say. `cloudwatch` is absent when it is not told.
    pub(crate) fn start(
        settings: &MetricsSettings,
        source: Source,
        cloudwatch: Option<CloudWatch>,
    ) -> Self {
        let cloudwatch = cloudwatch.map(|cloudwatch| {
            let (stop, stopped) = oneshot::channel();
            let errand = Errand::new(settings, source.clone(), cloudwatch);
            (stop, tokio::spawn(errand.run(stopped)))
        });
        let lines = settings.emf.then(|| {
            let (stop, stopped) = oneshot::channel();
            let (namespace, dimensions) = (settings.namespace.clone(), settings.dimensions.clone());
            let lines = emf::Lines::new(namespace, dimensions, source.read());
            let interval = settings.interval;
            (stop, tokio::spawn(write_lines(lines, interval, source, stopped)))
        });
        Self { cloudwatch, lines }
    }

    /// Says the last word, within five seconds.
    pub(crate) async fn finish(self) {
        for (stop, mut task) in self.cloudwatch.into_iter().chain(self.lines) {
            // Gone already: nothing to wait for but its end.
            let _ = stop.send(());
            if timeout(FAREWELL + Duration::from_secs(1), &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

/// Ticks, requests and pauses of one server.
struct Errand {
    publisher: Publisher,
    interval: Duration,
    source: Source,
    cloudwatch: CloudWatch,
    trouble: Option<Trouble>,
}

/// A trouble that goes on.
struct Trouble {
    kind: CloudWatchFaultKind,
    since: Instant,
    told: Instant,
}

type Request = Pin<Box<dyn Future<Output = Result<(), CloudWatchFault>> + Send>>;

impl Errand {
    fn new(settings: &MetricsSettings, source: Source, cloudwatch: CloudWatch) -> Self {
        let full = settings.interval.max(Duration::from_millis(1));
        let fast = settings.fast.map(|fast| fast.clamp(Duration::from_millis(1), full));
        let every = fast.map(|fast| (full.as_secs_f64() / fast.as_secs_f64()).round() as u32);
        let scope = Scope {
            dimensions: settings.dimensions.clone(),
            fast: every,
            without_waits: settings.emf,
        };
        let publisher = Publisher::new(scope, source.read());
        Self { publisher, interval: fast.unwrap_or(full), source, cloudwatch, trouble: None }
    }

    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        // As the document of the contract has it: the first time after an interval.
        let mut clock = interval_at(Instant::now() + self.interval, self.interval);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut request: Option<Request> = None;
        let mut pause_until: Option<Instant> = None;
        loop {
            if request.is_none() && pause_until.is_none() {
                request = self.request();
            }
            let answer = OptionFuture::from(request.as_mut());
            let pause = OptionFuture::from(pause_until.map(sleep_until));
            tokio::select! {
                _ = clock.tick() => {
                    let draining = self.source.registry.is_draining();
                    self.publisher.tick(SystemTime::now(), self.source.read(), draining);
                }
                Some(answer) = answer => {
                    request = None;
                    pause_until = self.note(answer).map(|pause| Instant::now() + pause);
                }
                Some(()) = pause => pause_until = None,
                _ = &mut stopped => break,
            }
            self.show();
        }
        if timeout(FAREWELL, self.say_last_word(request)).await.is_err() {
            tracing::warn!(waiting = self.publisher.waiting(), "metrics that nobody has taken");
        }
        self.show();
    }

    fn request(&mut self) -> Option<Request> {
        let batch = self.publisher.batch()?;
        let cloudwatch = self.cloudwatch.clone();
        Some(Box::pin(async move { cloudwatch.put(&batch).await }))
    }

    async fn say_last_word(&mut self, request: Option<Request>) {
        if let Some(request) = request {
            // What it was about is in the backlog until its answer is known.
            let answer = request.await;
            self.note(answer);
        }
        self.publisher.last(SystemTime::now(), self.source.read());
        while let Some(request) = self.request() {
            let answer = request.await;
            if self.note(answer).is_some() {
                tokio::time::sleep(LAST_PAUSE).await;
            }
        }
    }

    /// Takes note of an answer. Says how long to pause after a failure.
    fn note(&mut self, answer: Result<(), CloudWatchFault>) -> Option<Duration> {
        let reason = answer.as_ref().err().map_or("taken", |fault| fault.kind.as_str());
        let requests = &self.source.meters.cloudwatch_requests;
        requests.get_or_create(&ReasonLabel { reason }).inc();
        match answer {
            Ok(()) => {
                let failures = self.publisher.taken();
                if let Some(trouble) = self.trouble.take() {
                    let seconds = trouble.since.elapsed().as_secs();
                    tracing::info!(failures, seconds, "CloudWatch takes metrics again");
                }
                None
            }
            Err(fault) => {
                self.tell(&fault);
                Some(self.publisher.failed(fault.kind.outcome(), fastrand::f64()))
            }
        }
    }

    /// Tells the log of a fault: the first of its kind, and then now and again.
    fn tell(&mut self, fault: &CloudWatchFault) {
        let now = Instant::now();
        let known = self.trouble.as_ref().is_some_and(|trouble| {
            trouble.kind == fault.kind && now.duration_since(trouble.told) < REMINDER
        });
        if known {
            return;
        }
        tracing::warn!(
            kind = fault.kind.as_str(),
            error = fault.message,
            "CloudWatch does not take metrics; they wait"
        );
        let since = self.trouble.as_ref().map_or(now, |trouble| trouble.since);
        self.trouble = Some(Trouble { kind: fault.kind, since, told: now });
    }

    /// Brings the meters up to date.
    fn show(&self) {
        let meters = &self.source.meters;
        let waiting = i64::try_from(self.publisher.waiting()).unwrap_or(i64::MAX);
        meters.cloudwatch_waiting.set(waiting);
        let told = meters.cloudwatch_lost.get();
        meters.cloudwatch_lost.inc_by(self.publisher.lost().saturating_sub(told));
    }
}

/// Writes lines each `interval`, and what is left at the end.
async fn write_lines(
    mut lines: emf::Lines,
    interval: Duration,
    source: Source,
    mut stopped: oneshot::Receiver<()>,
) {
    let interval = interval.max(Duration::from_millis(1));
    let mut clock = interval_at(Instant::now() + interval, interval);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut going = true;
    while going {
        tokio::select! {
            _ = clock.tick() => {}
            _ = &mut stopped => going = false,
        }
        for line in lines.tick(SystemTime::now(), source.read()) {
            outlet::stdout().say(line);
        }
    }
}
