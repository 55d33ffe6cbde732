//! Brings finished spans to Langfuse, or to any collector that speaks OTLP over HTTP.
//!
//! A task of its own takes them from a bounded queue, a batch at a time, and sends a batch until it
//! is taken. While it cannot, the queue fills, and the newest are dropped and counted: whoever
//! makes spans never waits.

mod batches;
mod courier;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Compression, Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use tokio::{
    sync::mpsc::Receiver,
    time::{Instant, timeout_at},
};
use voice_archive::Pauses;
use voice_call::{
    Meters,
    meters::{Queue, ReasonLabel},
};

pub(crate) use self::batches::{Batches, Step, Verdict};
use self::courier::Courier;
use crate::{client::SetupError, closing::Closing, target::OtlpTarget};

/// Spans of all calls that may wait.
pub(crate) const QUEUE: usize = 4 * 1024;

/// Most spans in a request. With the longest texts that is some megabytes.
const BATCH: usize = 128;

/// How often the process log says that nothing arrives.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// How spans are sent.
#[derive(Debug, Clone, Copy)]
pub struct ExportOptions {
    /// How long a span waits for others to go with it.
    pub interval: Duration,
    /// Longest wait for an answer.
    pub deadline: Duration,
    /// How long to wait after a failure.
    pub pauses: Pauses,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            deadline: Duration::from_secs(10),
            pauses: Pauses::default(),
        }
    }
}

/// The task's side.
#[derive(Debug)]
pub(crate) struct Exporter {
    otlp: opentelemetry_otlp::SpanExporter,
    courier: Courier,
    target: String,
    options: ExportOptions,
    closing: Closing,
    meters: Meters,
    said: Option<Instant>,
}

impl Exporter {
    pub(crate) fn new(
        target: OtlpTarget,
        resource: &[(String, String)],
        options: ExportOptions,
        closing: Closing,
        meters: Meters,
    ) -> Result<Self, SetupError> {
        let (url, name) = (target.url().to_string(), target.to_string());
        let courier = Courier::new(target, options.deadline)?;
        // All that the exporter would look up in the environment is said here.
        let mut otlp = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(url)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(options.deadline)
            .with_compression(Compression::Gzip)
            .with_retry_policy(RetryPolicy::disabled())
            .with_http_client(courier.clone())
            .build()
            .map_err(|error| SetupError::Exporter(error.to_string()))?;
        let attributes =
            resource.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        otlp.set_resource(&Resource::builder_empty().with_attributes(attributes).build());
        Ok(Self { otlp, courier, target: name, options, closing, meters, said: None })
    }

    /// Works until nobody makes spans any more, and all have arrived.
    pub(crate) async fn run(mut self, mut spans: Receiver<SpanData>) {
        let mut batches = Batches::new(self.options.pauses);
        loop {
            let batch = match batches.next() {
                Some(batch) => batch,
                None => match self.gather(&mut spans).await {
                    batch if batch.is_empty() => return,
                    batch => batch,
                },
            };
            let verdict = self.send(batch.clone()).await;
            let Step { sent, rejected, pause } = batches.answered(batch, verdict);
            self.count("exported", sent);
            self.count("rejected", rejected);
            if batches.failures() == 0 && self.said.take().is_some() {
                tracing::info!(target = self.target, "traces arrive again");
            }
            if let Some(pause) = pause {
                self.closing.pause(pause).await;
            }
        }
    }

    /// The next batch; empty when there will be none.
    async fn gather(&self, spans: &mut Receiver<SpanData>) -> Vec<SpanData> {
        let mut batch = Vec::with_capacity(BATCH);
        if spans.recv_many(&mut batch, BATCH).await == 0 {
            return batch;
        }
        let until = Instant::now() + self.options.interval;
        while batch.len() < BATCH && !self.closing.is_now() {
            let room = BATCH - batch.len();
            let more = tokio::select! {
                more = timeout_at(until, spans.recv_many(&mut batch, room)) => more,
                () = self.closing.begun() => Ok(spans.recv_many(&mut batch, room).await),
            };
            if !matches!(more, Ok(1..)) {
                break;
            }
        }
        batch
    }

    async fn send(&mut self, batch: Vec<SpanData>) -> Verdict {
        let spans = batch.len();
        let outcome = self.otlp.export(batch).await;
        let (verdict, what) = match (self.courier.heard(), outcome) {
            (Some(heard), _) => (heard.verdict, heard.what),
            (None, Ok(())) => (Verdict::Taken { rejected: 0 }, String::new()),
            // It never left: it could not be encoded, or is too large.
            (None, Err(error)) => (Verdict::Refused, error.to_string()),
        };
        let reason = match &verdict {
            Verdict::Taken { .. } => "ok",
            Verdict::Refused => "refused",
            Verdict::Later(_) => "unavailable",
        };
        self.meters.trace_exports.get_or_create(&ReasonLabel { reason }).inc();
        match &verdict {
            Verdict::Refused if spans == 1 => {
                tracing::warn!(target = self.target, what, "a span is not wanted; it is dropped");
            }
            Verdict::Later(_) if self.said.is_none_or(|at| at.elapsed() >= SAY_EVERY) => {
                self.said = Some(Instant::now());
                tracing::error!(target = self.target, what, "traces do not arrive; they wait");
            }
            _ => {}
        }
        verdict
    }

    fn count(&self, reason: &'static str, spans: u64) {
        if spans > 0 {
            self.meters.spans.get_or_create(&ReasonLabel { reason }).inc_by(spans);
            self.meters.depth(Queue::Spans).dec_by(i64::try_from(spans).unwrap_or(0));
        }
    }
}
