//! All calls of this task: who they are, how many there may be, and the end of all of them.
//!
//! The state of a call is in the memory of one task, its owner. Called by [`crate::http`].

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use voice_aws::KinesisPort;

use crate::{
    call::{self, CallHandle, CallParts, Question},
    line::LineConfig,
    meters::Meters,
    resume::Point,
    settings::{BridgeConfig, CallSettings},
    sonic::SonicConfig,
    voice::Voice,
};

/// A call as the flow knows it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Contact {
    pub(crate) contact_id: String,
    /// Where the caller's voice is.
    pub(crate) stream_arn: String,
    /// When streaming began, in milliseconds since 1970: text in Connect's events.
    #[serde(default)]
    pub(crate) start_timestamp: Option<Timestamp>,
    /// What is known of the caller, for prompts.
    #[serde(default)]
    pub(crate) attributes: Map<String, Value>,
    /// BCP 47.
    #[serde(default)]
    pub(crate) language: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Timestamp {
    Number(u64),
    Text(String),
}

impl Timestamp {
    fn millis(&self) -> u64 {
        match self {
            Self::Number(ms) => *ms,
            Self::Text(text) => text.parse().unwrap_or(0),
        }
    }
}

/// Why a call is not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoCall {
    #[error("contactId has to be 1 to 64 letters, digits, dots, dashes or underscores")]
    BadContact,
    #[error("streamArn is no ARN of a stream: is streaming started before the Lambda?")]
    NoStream,
    #[error("this bridge has as many calls as it may have")]
    Full,
    #[error("this bridge stops")]
    Draining,
    #[error("the call cannot be made")]
    Internal,
}

/// The calls of one task. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Calls(Arc<Shared>);

struct Shared {
    config: BridgeConfig,
    kinesis: KinesisPort,
    voice: Voice,
    meters: Meters,
    calls: Mutex<HashMap<String, CallHandle>>,
    draining: AtomicBool,
    /// A call has ended.
    ended: Notify,
}

impl Calls {
    pub(crate) fn new(
        config: BridgeConfig,
        kinesis: KinesisPort,
        voice: Voice,
        meters: Meters,
    ) -> Self {
        Self(Arc::new(Shared {
            config,
            kinesis,
            voice,
            meters,
            calls: Mutex::default(),
            draining: AtomicBool::new(false),
            ended: Notify::new(),
        }))
    }

    /// The id under which a contact's call goes, here and at the server.
    pub(crate) fn session_id(contact_id: &str) -> String {
        format!("connect-{contact_id}")
    }

    /// The call of a session, if it is here.
    pub(crate) fn find(&self, session_id: &str) -> Option<CallHandle> {
        let calls = self.lock();
        calls.get(session_id).filter(|handle| !handle.questions.is_closed()).cloned()
    }

    /// Begins a contact's call, where another task left it if that is known, or finds it.
    pub(crate) fn begin(
        &self,
        contact: &Contact,
        point: Option<Point>,
    ) -> Result<CallHandle, NoCall> {
        let is_id = (1..=64).contains(&contact.contact_id.len())
            && contact.contact_id.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
        if !is_id {
            return Err(NoCall::BadContact);
        }
        if !contact.stream_arn.starts_with("arn:") || contact.stream_arn.len() > 1_024 {
            return Err(NoCall::NoStream);
        }
        let session_id = Self::session_id(&contact.contact_id);
        if let Some(handle) = self.find(&session_id) {
            return Ok(handle);
        }
        if self.is_draining() {
            return Err(NoCall::Draining);
        }
        let mut calls = self.lock();
        if calls.len() >= self.0.config.max_calls {
            return Err(NoCall::Full);
        }
        let parts = self.parts(contact, &session_id, point);
        let (handle, task) = call::start(parts).ok_or(NoCall::Internal)?;
        calls.insert(session_id.clone(), handle.clone());
        drop(calls);
        self.0.meters.calls_started.inc();
        self.0.meters.active_calls.inc();
        let all = self.clone();
        tokio::spawn(async move {
            // A task that panicked has ended as well.
            let cause = task.await.unwrap_or("panicked");
            all.ended(&session_id, cause);
        });
        Ok(handle)
    }

    /// Whether new calls are refused.
    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count() >= self.0.config.max_calls
    }

    /// Refuses new calls, waits until those that are have ended, and after `grace` leaves the rest to
    /// another task. Returns how many those were.
    pub(crate) async fn drain(&self, grace: Duration) -> usize {
        self.0.draining.store(true, Ordering::Relaxed);
        if tokio::time::timeout(grace, self.all_ended()).await.is_ok() {
            return 0;
        }
        let left: Vec<CallHandle> = self.lock().values().cloned().collect();
        for handle in &left {
            let _ = handle.questions.try_send(Question::Leave);
        }
        let _ = tokio::time::timeout(Duration::from_secs(3), self.all_ended()).await;
        left.len()
    }

    async fn all_ended(&self) {
        loop {
            // Listening begins before looking, so that no end is missed.
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            ended.await;
        }
    }

    fn ended(&self, session_id: &str, cause: &'static str) {
        tracing::info!(session = session_id, cause, "a call has ended");
        self.lock().remove(session_id);
        self.0.meters.active_calls.dec();
        Meters::count(&self.0.meters.calls_ended, cause);
        self.0.ended.notify_waiters();
    }

    fn parts(&self, contact: &Contact, session_id: &str, point: Option<Point>) -> CallParts {
        let config = &self.0.config;
        let mut settings = config.session.clone();
        settings.insert("channel".to_owned(), json!("phone"));
        let mut attributes = contact.attributes.clone();
        if let Some(language) = &contact.language {
            attributes.insert("language".to_owned(), json!(language));
        }
        settings.insert("attributes".to_owned(), Value::Object(attributes));
        CallParts {
            contact_id: contact.contact_id.clone(),
            settings: CallSettings {
                polly: config.polly.is_some(),
                during_prompt: config.during_prompt,
                gate: config.gate,
                cut: config.cut,
                apology: config.apology.clone(),
            },
            line: LineConfig {
                stream_arn: contact.stream_arn.clone(),
                contact_id: contact.contact_id.clone(),
                since_ms: contact.start_timestamp.as_ref().map_or(0, Timestamp::millis),
                encoding: config.encoding,
                limits: config.line,
            },
            sonic: SonicConfig {
                url: config.server.clone(),
                key: config.server_key.clone(),
                session_id: session_id.to_owned(),
                point,
                settings: Value::Object(settings),
            },
            kinesis: self.0.kinesis.clone(),
            voice: self.0.voice.clone(),
            key: config.key.clone(),
            meters: self.0.meters.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, CallHandle>> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
