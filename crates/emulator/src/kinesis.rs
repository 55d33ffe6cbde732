//! The stand-in for Kinesis Video Streams, as Amazon Connect fills it: streams, the calls on them,
//! and the connections that read them.
//!
//! [`MediaStreams`] is the far side's switchboard: a test, or the command line, begins a call on a
//! stream and lets its caller speak; GetMedia (`front::media`) reads what has been said by now. No
//! task runs here: what there is depends on the time. There is no PutMedia: Connect alone writes.

mod mkv;
mod reader;
mod timeline;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

pub(crate) use self::reader::{Reader, Selector, Step};
use self::timeline::Timeline;
use crate::config::{Clocks, EmulatorConfig, MediaConfig, MediaFaultKind, MediaShape};

/// The streams of one emulator. Cloning shares them.
#[derive(Debug, Clone)]
pub struct MediaStreams(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// The moment at which the emulator's clock was set, and what it showed.
    origin: (Instant, u64),
    clocks: Clocks,
    config: MediaConfig,
    streams: HashMap<String, Stream>,
    /// GetMedia connections that were asked for since the start.
    connections: u64,
    endpoint_requests: u64,
    synthesized: u64,
}

#[derive(Debug)]
struct Stream {
    timeline: Timeline,
    open: usize,
    /// When GetMedia and GetDataEndpoint were called lately.
    media_calls: Vec<u64>,
    endpoint_calls: Vec<u64>,
}

impl Default for MediaStreams {
    fn default() -> Self {
        let shown = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let state = State {
            origin: (Instant::now(), u64::try_from(shown.as_millis()).unwrap_or(0)),
            clocks: Clocks::default(),
            config: MediaConfig::default(),
            streams: HashMap::new(),
            connections: 0,
            endpoint_requests: 0,
            synthesized: 0,
        };
        Self(Arc::new(Mutex::new(state)))
    }
}

/// Why a request for media is refused: the type of the exception, and a text.
pub(crate) type MediaRefusal = (&'static str, String);

impl MediaStreams {
    /// Takes the settings over, before anything is asked.
    pub(crate) fn configure(&self, config: &EmulatorConfig) {
        let mut state = self.lock();
        state.clocks = config.clocks.clone();
        state.config = config.media.clone();
        drop(state);
        for source in &config.media.sources {
            let arn = self.create(&source.name, source.shape.clone());
            if let Some(line) = self.begin_call(&arn, &source.contact_id) {
                line.say(&source.samples);
                line.hang_up_after_all();
            }
        }
    }

    /// Creates a stream, or takes the one of this name. Returns its ARN.
    pub fn create(&self, name: &str, shape: MediaShape) -> String {
        let mut state = self.lock();
        let now = state.now_ms();
        let arn = format!("arn:aws:kinesisvideo:us-east-1:111122223333:stream/{name}/{now}");
        let found = state.streams.values().find(|stream| stream.timeline.name == name);
        if let Some(stream) = found {
            return stream.timeline.arn.clone();
        }
        let timeline = Timeline::new(name, arn.clone(), shape);
        let stream =
            Stream { timeline, open: 0, media_calls: Vec::new(), endpoint_calls: Vec::new() };
        state.streams.insert(arn.clone(), stream);
        arn
    }

    /// Begins a call on a stream; the one before it ends. `None` when there is no such stream.
    pub fn begin_call(&self, arn: &str, contact_id: &str) -> Option<Line> {
        let mut state = self.lock();
        let now = state.now_ms();
        let call = state.streams.get_mut(arn)?.timeline.begin(contact_id, now);
        Some(Line {
            streams: self.clone(),
            arn: arn.to_owned(),
            contact_id: contact_id.to_owned(),
            call,
        })
    }

    /// GetMedia connections that are open now, over all streams.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.lock().streams.values().map(|stream| stream.open).sum()
    }

    /// GetMedia connections that were asked for since the start.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.lock().connections
    }

    /// How often somebody asked for an endpoint.
    #[must_use]
    pub fn endpoint_requests(&self) -> u64 {
        self.lock().endpoint_requests
    }

    /// How often Polly was asked to speak.
    #[must_use]
    pub fn syntheses(&self) -> u64 {
        self.lock().synthesized
    }

    /// Milliseconds since 1970 by the emulator's clock.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.lock().now_ms()
    }

    /// Counts a request to Polly, from 1.
    pub(crate) fn synthesis(&self) -> u64 {
        let mut state = self.lock();
        state.synthesized += 1;
        state.synthesized
    }

    /// Whether a stream may be asked for its endpoint.
    pub(crate) fn endpoint(&self, wanted: &Wanted) -> Result<(), MediaRefusal> {
        let mut state = self.lock();
        state.endpoint_requests += 1;
        let (now, most) = (state.now_ms(), state.config.calls_per_second);
        let stream = state.find(wanted)?;
        let busy = busy(&mut stream.endpoint_calls, now, most);
        if busy { Err(too_fast("GetDataEndpoint")) } else { Ok(()) }
    }

    /// Opens a connection.
    pub(crate) fn open(
        &self,
        wanted: &Wanted,
        selector: &Selector,
    ) -> Result<Connection, MediaRefusal> {
        let mut state = self.lock();
        state.connections += 1;
        let (number, now) = (state.connections, state.now_ms());
        let (most, rate) = (state.config.connections, state.config.calls_per_second);
        let faults = state.config.faults.iter().filter(|fault| fault.scope.includes(number));
        let faults: Vec<_> = faults.cloned().collect();
        let stream = state.find(wanted)?;
        if busy(&mut stream.media_calls, now, rate) {
            return Err(too_fast("GetMedia"));
        }
        if stream.open >= most {
            let text = format!("There are already {most} connections to this stream.");
            return Err(("ConnectionLimitExceededException", text));
        }
        if let Some(kind) = faults.iter().find_map(|fault| match fault.kind {
            MediaFaultKind::Refuse(kind) => Some(kind),
            _ => None,
        }) {
            return Err((kind, "A refusal that was asked for.".to_owned()));
        }
        stream.open += 1;
        let reader = Reader::new(&stream.timeline, selector, faults, now);
        let arn = stream.timeline.arn.clone();
        Ok(Connection { streams: self.clone(), arn, reader })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn now_ms(&self) -> u64 {
        let (instant, shown) = self.origin;
        let passed = self.clocks.emulated(instant.elapsed());
        shown + u64::try_from(passed.as_millis()).unwrap_or(0)
    }

    fn find(&mut self, wanted: &Wanted) -> Result<&mut Stream, MediaRefusal> {
        let fits = |stream: &Stream| match wanted {
            Wanted::Arn(arn) => stream.timeline.arn == *arn,
            Wanted::Name(name) => stream.timeline.name == *name,
        };
        self.streams.values_mut().find(|stream| fits(stream)).ok_or_else(|| {
            let (Wanted::Arn(what) | Wanted::Name(what)) = wanted;
            ("ResourceNotFoundException", format!("The requested stream {what} is not found."))
        })
    }
}

/// Whether there were too many calls within a second; one that is not refused counts.
fn busy(calls: &mut Vec<u64>, now: u64, most: usize) -> bool {
    calls.retain(|at| now < at + 1_000);
    let busy = calls.len() >= most;
    if !busy {
        calls.push(now);
    }
    busy
}

fn too_fast(operation: &str) -> MediaRefusal {
    ("ClientLimitExceededException", format!("Rate of {operation} exceeded. Try again later."))
}

/// Which stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    Arn(String),
    Name(String),
}

/// The caller's side of one call on a stream.
#[derive(Debug, Clone)]
pub struct Line {
    streams: MediaStreams,
    arn: String,
    contact_id: String,
    call: usize,
}

impl Line {
    /// ARN of the stream.
    #[must_use]
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Contact id of the call.
    #[must_use]
    pub fn contact_id(&self) -> &str {
        &self.contact_id
    }

    /// What Connect hands on as `StartFragmentNumber` and `StartTimestamp` (milliseconds since
    /// 1970).
    #[must_use]
    pub fn start(&self) -> (String, u64) {
        self.with(|timeline, call, _| timeline.start_of(call)).flatten().unwrap_or_default()
    }

    /// Says something, mono at 8 kHz: now, or after what is being said.
    pub fn say(&self, samples: &[i16]) {
        self.with(|timeline, call, now| timeline.say(call, samples, now));
    }

    /// Hangs up at once.
    pub fn hang_up(&self) {
        self.with(|timeline, call, now| timeline.hang_up(call, now));
    }

    /// Hangs up when everything has been said.
    pub fn hang_up_after_all(&self) {
        self.with(|timeline, call, _| timeline.hang_up_after_all(call));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Timeline, usize, u64) -> T) -> Option<T> {
        let mut state = self.streams.lock();
        let now = state.now_ms();
        let stream = state.streams.get_mut(&self.arn)?;
        Some(act(&mut stream.timeline, self.call, now))
    }
}

/// A GetMedia connection. Dropping it gives its place free.
#[derive(Debug)]
pub(crate) struct Connection {
    streams: MediaStreams,
    arn: String,
    reader: Reader,
}

impl Connection {
    /// What comes next, and how long a wait is in real time.
    pub(crate) fn step(&mut self) -> (Step, std::time::Duration) {
        let state = self.streams.lock();
        let now = state.now_ms();
        let Some(stream) = state.streams.get(&self.arn) else {
            return (Step::End, std::time::Duration::ZERO);
        };
        let step = self.reader.step(&stream.timeline, &state.config, now);
        let wait = match step {
            Step::Wait(until) => std::time::Duration::from_millis(until.saturating_sub(now)),
            _ => std::time::Duration::ZERO,
        };
        (step, state.clocks.real(wait))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(stream) = self.streams.lock().streams.get_mut(&self.arn) {
            stream.open -= 1;
        }
    }
}
