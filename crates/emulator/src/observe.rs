//! What happened in the emulator: a bounded record of every session, and waiting on it.
//!
//! Tests and the status page read it through [`Observer`]; the session writes through
//! [`SessionRecord`]. It decides nothing. Waiting is by notification, never by polling.

pub(crate) mod metrics;
pub(crate) mod transcriptions;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use self::metrics::Metrics;
use self::transcriptions::Transcriptions;
use crate::config::RecordLimits;
use crate::kinesis::MediaStreams;

/// Refused requests kept; the oldest go first.
const REFUSALS_KEPT: usize = 64;
/// An event longer than this is recorded by name only.
const LONGEST_EVENT: usize = 256 * 1024;

/// Reads what the emulator heard. Cheap to clone; outlives the emulator.
#[derive(Debug, Clone)]
pub struct Observer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    limits: RecordLimits,
    state: Mutex<State>,
    /// Counts changes; waiters watch it.
    changes: watch::Sender<u64>,
    transcriptions: Transcriptions,
    metrics: Metrics,
    media: MediaStreams,
}

#[derive(Debug, Default)]
struct State {
    attempts: u64,
    opened: u64,
    sessions: Vec<SessionSnapshot>,
    refused: Vec<RefusedRequest>,
}

/// One session as far as it has come.
#[derive(Clone, Default, PartialEq)]
pub struct SessionSnapshot {
    /// Number of the attempt to open a stream, from 1; refused ones count as well.
    pub ordinal: u64,
    /// The `x-amzn-requestid` of its response.
    pub id: String,
    /// Model id.
    pub model: String,
    /// Protocol the stream came over: `HTTP/1.1` or `HTTP/2.0`.
    pub protocol: String,
    /// Whether the stream is still open.
    pub open: bool,
    /// Input events by name, every one counted.
    pub received: BTreeMap<String, u64>,
    /// Raw JSON of the input events other than `audioInput`, the first ones (see
    /// [`RecordLimits::events`]).
    pub events: Vec<String>,
    /// Output events by name, every one counted; an exception under its `:exception-type`.
    pub sent: BTreeMap<String, u64>,
    /// The figures of the latest `usageEvent`.
    pub usage: Option<serde_json::Value>,
    /// Bytes of audio heard in all.
    pub heard_bytes: u64,
    /// Audio heard, PCM16 little-endian mono; the latest part (see [`RecordLimits::audio_bytes`]).
    pub heard: Vec<u8>,
    /// Why it ended, in words, once known.
    pub end: Option<String>,
}

impl SessionSnapshot {
    /// How many input events of this name arrived.
    #[must_use]
    pub fn received(&self, name: &str) -> u64 {
        self.received.get(name).copied().unwrap_or(0)
    }

    /// How many output events (or exceptions) of this name left.
    #[must_use]
    pub fn sent(&self, name: &str) -> u64 {
        self.sent.get(name).copied().unwrap_or(0)
    }
}

impl fmt::Debug for SessionSnapshot {
    /// All but the audio, which nobody wants to read in the output of a test.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SessionSnapshot")
            .field("ordinal", &self.ordinal)
            .field("id", &self.id)
            .field("model", &self.model)
            .field("protocol", &self.protocol)
            .field("open", &self.open)
            .field("received", &self.received)
            .field("events", &self.events)
            .field("sent", &self.sent)
            .field("heard_bytes", &self.heard_bytes)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// A request that got no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRequest {
    /// Path as it came.
    pub path: String,
    /// HTTP status of the answer.
    pub status: u16,
    /// `x-amzn-errortype` of the answer.
    pub error_type: String,
    /// Message of the answer.
    pub message: String,
}

/// What was waited for did not happen in time.
#[derive(Debug, thiserror::Error)]
#[error("the emulator's sessions did not reach the expected state within {waited:?}: {sessions}")]
pub struct WaitTimeout {
    /// How long was waited.
    pub waited: Duration,
    /// The sessions at the end of the wait, in brief.
    pub sessions: String,
}

impl Observer {
    pub(crate) fn new(limits: RecordLimits) -> Self {
        let (changes, _) = watch::channel(0);
        Self {
            shared: Arc::new(Shared {
                limits,
                state: Mutex::default(),
                changes,
                transcriptions: Transcriptions::default(),
                metrics: Metrics::new(limits.metric_data),
                media: MediaStreams::default(),
            }),
        }
    }

    /// The streams to Transcribe.
    #[must_use]
    pub fn transcriptions(&self) -> Transcriptions {
        self.shared.transcriptions.clone()
    }

    /// What was put to CloudWatch.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.shared.metrics.clone()
    }

    /// The streams of Kinesis Video: where calls of Amazon Connect are made.
    #[must_use]
    pub fn media(&self) -> MediaStreams {
        self.shared.media.clone()
    }

    /// All sessions that are kept, in order of opening.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionSnapshot> {
        self.shared.lock().sessions.clone()
    }

    /// Requests that were refused at the door, latest last (bounded).
    #[must_use]
    pub fn refused(&self) -> Vec<RefusedRequest> {
        self.shared.lock().refused.clone()
    }

    /// Streams open now.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.shared.lock().sessions.iter().filter(|session| session.open).count()
    }

    /// Sessions opened since the start.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.shared.lock().opened
    }

    /// Waits until `reached` holds for the kept sessions, and returns them as they were then.
    ///
    /// Needs a tokio runtime with time. `reached` runs under the record's lock: keep it short,
    /// and do not call the observer from inside it.
    ///
    /// # Errors
    /// [`WaitTimeout`] when it does not hold within `deadline`.
    pub async fn wait_for(
        &self,
        mut reached: impl FnMut(&[SessionSnapshot]) -> bool,
        deadline: Duration,
    ) -> Result<Vec<SessionSnapshot>, WaitTimeout> {
        let mut changes = self.shared.changes.subscribe();
        let wait = async {
            loop {
                changes.mark_unchanged();
                {
                    let state = self.shared.lock();
                    if reached(&state.sessions) {
                        return state.sessions.clone();
                    }
                }
                if changes.changed().await.is_err() {
                    // Cannot happen while `self` holds the sender; wait for the deadline.
                    std::future::pending::<()>().await;
                }
            }
        };
        match tokio::time::timeout(deadline, wait).await {
            Ok(sessions) => Ok(sessions),
            Err(_) => {
                Err(WaitTimeout { waited: deadline, sessions: brief(&self.shared.lock().sessions) })
            }
        }
    }

    /// Waits until no stream is open.
    ///
    /// # Errors
    /// [`WaitTimeout`] when one is still open after `deadline`.
    pub async fn wait_until_idle(&self, deadline: Duration) -> Result<(), WaitTimeout> {
        self.wait_for(|sessions| sessions.iter().all(|session| !session.open), deadline)
            .await
            .map(drop)
    }

    /// Numbers an attempt to open a stream, from 1.
    pub(crate) fn attempt(&self) -> u64 {
        let mut state = self.shared.lock();
        state.attempts += 1;
        state.attempts
    }

    /// Opens a record. It is closed when the last clone of what is returned is dropped.
    pub(crate) fn open(
        &self,
        ordinal: u64,
        id: String,
        model: String,
        protocol: http::Version,
    ) -> SessionRecord {
        self.shared.change(|state, _| {
            state.opened += 1;
            let at = state.sessions.partition_point(|session| session.ordinal < ordinal);
            let id = id.clone();
            let opened = SessionSnapshot {
                ordinal,
                id,
                model,
                protocol: format!("{protocol:?}"),
                open: true,
                ..SessionSnapshot::default()
            };
            state.sessions.insert(at, opened);
        });
        SessionRecord { entry: Arc::new(Entry { observer: self.clone(), ordinal, id }) }
    }

    pub(crate) fn refuse(&self, refused: RefusedRequest) {
        self.shared.change(|state, _| {
            if state.refused.len() == REFUSALS_KEPT {
                state.refused.remove(0);
            }
            state.refused.push(refused);
        });
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A predicate of a test may panic under the lock; the data is whole all the same.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State, &RecordLimits) -> T) -> T {
        let result = change(&mut self.lock(), &self.limits);
        self.changes.send_modify(|count| *count += 1);
        result
    }
}

/// The pen of one session. Clones write to the same record.
#[derive(Debug, Clone)]
pub(crate) struct SessionRecord {
    entry: Arc<Entry>,
}

#[derive(Debug)]
struct Entry {
    observer: Observer,
    ordinal: u64,
    id: String,
}

impl SessionRecord {
    /// Number of the attempt, from 1. What [`crate::config::FaultScope`] counts.
    pub(crate) fn ordinal(&self) -> u64 {
        self.entry.ordinal
    }

    /// The request id, for the `RequestId=...` prefix of messages.
    pub(crate) fn id(&self) -> &str {
        &self.entry.id
    }

    /// An input event other than audio.
    pub(crate) fn event(&self, name: &str, raw: &[u8]) {
        self.write(|session, limits| {
            count(&mut session.received, name);
            if session.events.len() < limits.events && raw.len() <= LONGEST_EVENT {
                session.events.push(String::from_utf8_lossy(raw).into_owned());
            }
        });
    }

    /// An `audioInput` event: its PCM.
    pub(crate) fn audio(&self, pcm: &[u8]) {
        self.write(|session, limits| {
            count(&mut session.received, "audioInput");
            session.heard_bytes += pcm.len() as u64;
            session.heard.extend_from_slice(pcm);
            // Cut only when twice the limit is reached, so that a byte is moved once on average.
            if session.heard.len() > limits.audio_bytes.saturating_mul(2) {
                let surplus = session.heard.len() - limits.audio_bytes;
                session.heard.drain(..surplus);
            }
        });
    }

    /// A `usageEvent` leaves. Called by the front.
    pub(crate) fn usage(&self, event: &serde_json::Value) {
        self.write(|session, _| session.usage = Some(event.clone()));
    }

    /// An output event or exception, by name. Called by the front.
    pub(crate) fn sent(&self, name: &str) {
        self.write(|session, _| count(&mut session.sent, name));
    }

    /// Why the session ends; the first reason given stays.
    pub(crate) fn end(&self, reason: impl Into<String>) {
        self.write(|session, _| {
            session.end.get_or_insert_with(|| reason.into());
        });
    }

    fn write(&self, write: impl FnOnce(&mut SessionSnapshot, &RecordLimits)) {
        self.entry.write(write);
    }
}

impl Entry {
    fn write(&self, write: impl FnOnce(&mut SessionSnapshot, &RecordLimits)) {
        self.observer.shared.change(|state, limits| {
            // Ordinals rise along the list.
            if let Ok(at) =
                state.sessions.binary_search_by_key(&self.ordinal, |session| session.ordinal)
            {
                write(&mut state.sessions[at], limits);
            }
        });
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.write(|session, _| session.open = false);
        self.observer.shared.change(|state, limits| {
            let closed = state.sessions.iter().filter(|session| !session.open).count();
            let mut surplus = closed.saturating_sub(limits.closed_sessions);
            state.sessions.retain(|session| {
                let drop = !session.open && surplus > 0;
                surplus -= usize::from(drop);
                !drop
            });
        });
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    /// Names come from the client: only so many different ones are kept.
    const NAMES: usize = 64;
    if let Some(count) = counts.get_mut(name) {
        *count += 1;
    } else if counts.len() < NAMES {
        counts.insert(name.chars().take(64).collect(), 1);
    }
}

fn brief(sessions: &[SessionSnapshot]) -> String {
    let lines: Vec<String> = sessions
        .iter()
        .rev()
        .take(8)
        .map(|session| {
            format!(
                "#{} {} received {:?} sent {:?} end {:?}",
                session.ordinal,
                if session.open { "open" } else { "closed" },
                session.received,
                session.sent,
                session.end
            )
        })
        .collect();
    if lines.is_empty() { "no session was opened".to_owned() } else { lines.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observer() -> Observer {
        Observer::new(RecordLimits {
            closed_sessions: 2,
            events: 1,
            audio_bytes: 4,
            metric_data: 0,
        })
    }

    fn open(observer: &Observer) -> SessionRecord {
        let ordinal = observer.attempt();
        observer.open(ordinal, "id".into(), "model".into(), http::Version::HTTP_2)
    }

    #[test]
    fn a_session_is_open_as_long_as_anybody_writes() {
        let observer = observer();
        let pen = open(&observer);
        let other = pen.clone();
        drop(pen);
        assert_eq!(observer.open_streams(), 1);
        drop(other);
        assert_eq!(observer.open_streams(), 0);
    }

    #[test]
    fn the_oldest_closed_sessions_are_forgotten_and_open_ones_are_not() {
        let observer = observer();
        let first = open(&observer);
        for _ in 0..5 {
            drop(open(&observer));
        }
        let kept: Vec<u64> = observer.sessions().iter().map(|session| session.ordinal).collect();
        assert_eq!(kept, [1, 5, 6]);
        first.event("sessionStart", b"{}");
        assert_eq!(observer.sessions()[0].received("sessionStart"), 1);
        assert_eq!(observer.opened(), 6);
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_counted_is_not() {
        let observer = observer();
        let pen = open(&observer);
        for _ in 0..3 {
            pen.event("textInput", b"{}");
        }
        for sample in 0..5_u8 {
            pen.audio(&[sample, sample]);
        }
        pen.end("first");
        pen.end("second");
        let session = &observer.sessions()[0];
        assert_eq!(session.events.len(), 1);
        assert_eq!(session.received("textInput"), 3);
        assert_eq!(session.received("audioInput"), 5);
        assert_eq!(session.heard_bytes, 10);
        // The latest stay, at most twice the limit.
        assert_eq!(session.heard, [3, 3, 4, 4]);
        assert_eq!(session.end.as_deref(), Some("first"));
    }

    #[test]
    fn a_flood_of_names_does_not_grow_the_record() {
        let observer = observer();
        let pen = open(&observer);
        for number in 0..1000 {
            pen.event(&format!("name{number}"), b"{}");
        }
        assert!(observer.sessions()[0].received.len() <= 64);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_the_change_or_says_what_there_was() {
        let observer = observer();
        let waiting = {
            let observer = observer.clone();
            tokio::spawn(async move {
                let read = |sessions: &[SessionSnapshot]| {
                    sessions.iter().any(|session| session.received("sessionStart") == 1)
                };
                observer.wait_for(read, Duration::from_secs(60)).await
            })
        };
        let pen = open(&observer);
        pen.event("sessionStart", b"{}");
        assert_eq!(waiting.await.unwrap().unwrap().len(), 1);

        let late = observer.wait_until_idle(Duration::from_secs(1)).await.unwrap_err();
        assert!(late.to_string().contains("#1 open received {\"sessionStart\": 1}"), "{late}");
    }
}
