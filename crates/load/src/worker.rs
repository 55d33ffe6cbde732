//! One thread of callers: a runtime, a ring, and the books of its calls.
//!
//! A shell: `pace` says when, `marker` and `ledger` know which frame is which, `persona` says what;
//! here that is sent and received. Started by `run`, a thread each.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use bytes::{Bytes, BytesMut};
use futures::{Sink as _, SinkExt, StreamExt, task::noop_waker};
use hdrhistogram::Histogram;
use tokio::task::LocalSet;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    alarm::Alarm,
    caller::{self, Sink, Source, dial},
    ledger::{Ledger, Sums},
    marker::{FRAME, Mark, Scanner},
    pace::{Due, Ring, Timeline, due_at},
    persona::{Persona, Say},
    plan::{Plan, Scenario},
};

/// Frames that are sent before the echoes are looked at.
const FRAMES_PER_TURN: usize = 16;
/// How long echoes of the last frames are waited for.
const DRAIN: Duration = Duration::from_secs(2);
/// How long an orderly goodbye may take.
const GOODBYE: Duration = Duration::from_secs(3);
/// How long a caller of [`Scenario::Parked`] speaks before its connection is lost.
const BEFORE_LOSS: Duration = Duration::from_secs(3);
/// The typed question that the scripted assistant needs a tool for.
const QUESTION: &str = r#"{"type":"textInput","text":"What are your opening hours?"}"#;

/// What all threads share, for whoever looks on.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// Calls that began.
    pub(crate) started: AtomicU64,
    /// Calls that are up.
    pub(crate) active: AtomicU64,
}

/// A latency in whole microseconds, up to a minute.
pub(crate) type Delays = Histogram<u64>;

#[expect(clippy::expect_used, reason = "the bounds are constants, and good ones")]
pub(crate) fn delays() -> Delays {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("bounds")
}

pub(crate) fn note(histogram: &mut Delays, delay: Duration) {
    histogram.saturating_record(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX).max(1));
}

/// What a thread has seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// From the moment a frame was due to its echo.
    pub(crate) echoes: Delays,
    /// The same for each second of the window.
    pub(crate) seconds: Vec<Delays>,
    /// How late frames were sent.
    pub(crate) jitter: Delays,
    /// From connecting to `session_start`.
    pub(crate) starts: Delays,
    /// From the end of the caller's sentence to the first sound of the answer.
    pub(crate) answers: Delays,
    pub(crate) sums: Sums,
    /// Calls that did not begin, and the first reason.
    pub(crate) refused: u64,
    pub(crate) why: Option<String>,
    /// Calls that ended before they should.
    pub(crate) broken: u64,
    /// Frames for which the connection had no room.
    pub(crate) blocked: u64,
    pub(crate) interruptions: u64,
    pub(crate) tools: u64,
    pub(crate) audio_bytes: u64,
}

impl Seen {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            echoes: delays(),
            seconds: (0..window.as_secs() + 1).map(|_| delays()).collect(),
            jitter: delays(),
            starts: delays(),
            answers: delays(),
            sums: Sums::default(),
            refused: 0,
            why: None,
            broken: 0,
            blocked: 0,
            interruptions: 0,
            tools: 0,
            audio_bytes: 0,
        }
    }

    /// Adds what another thread has seen.
    pub(crate) fn add(&mut self, other: Self) {
        // All have the same bounds, so they always fit.
        let fits = [
            self.echoes.add(&other.echoes),
            self.jitter.add(&other.jitter),
            self.starts.add(&other.starts),
            self.answers.add(&other.answers),
        ];
        debug_assert!(fits.iter().all(Result::is_ok));
        for (mine, theirs) in self.seconds.iter_mut().zip(&other.seconds) {
            let _ = mine.add(theirs);
        }
        self.sums.add(other.sums);
        self.refused += other.refused;
        self.why = self.why.take().or(other.why);
        self.broken += other.broken;
        self.blocked += other.blocked;
        self.interruptions += other.interruptions;
        self.tools += other.tools;
        self.audio_bytes += other.audio_bytes;
    }
}

/// What a thread is given.
pub(crate) struct Job {
    pub(crate) plan: Arc<Plan>,
    pub(crate) timeline: Timeline,
    pub(crate) slots: Vec<u32>,
    pub(crate) epoch: Instant,
    pub(crate) board: Arc<Board>,
    /// The sentence that callers speak, in frames.
    pub(crate) sentence: Arc<Vec<Bytes>>,
}

/// Runs the calls of one thread from the first to the last.
pub(crate) fn run(job: Job) -> Result<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Between frames that are due at once, echoes are looked for often.
        .event_interval(13)
        .build()
        .context("a runtime for the callers")?;
    let desk = Rc::new(Desk::new(job));
    let local = LocalSet::new();
    let pacing = local.block_on(&runtime, async {
        for place in 0..desk.job.slots.len() {
            tokio::task::spawn_local(desk.clone().caller(place));
        }
        desk.pace().await
    });
    pacing.context("the clock of the callers")?;
    drop(local);
    drop(runtime);
    Ok(desk.take())
}

/// One call's place.
#[derive(Default)]
struct Slot {
    sink: Option<Sink>,
    ledger: Ledger,
    persona: Option<Persona>,
    /// When the sentence ended, while no answer was heard.
    asked: Option<Duration>,
    /// Whether it has begun: its frames are due from then on, whatever becomes of it.
    begun: bool,
}

struct Desk {
    job: Job,
    slots: RefCell<Vec<Slot>>,
    seen: RefCell<Seen>,
    /// Where frames are made.
    ground: RefCell<BytesMut>,
}

impl Desk {
    fn new(job: Job) -> Self {
        let slots = job.slots.iter().map(|_| Slot::default()).collect();
        let seen = Seen::new(job.plan.window);
        Self {
            job,
            slots: RefCell::new(slots),
            seen: RefCell::new(seen),
            ground: RefCell::default(),
        }
    }

    fn now(&self) -> Duration {
        self.job.epoch.elapsed()
    }

    /// The sums, at the end.
    fn take(&self) -> Seen {
        let mut seen = self.seen.replace(Seen::new(Duration::ZERO));
        for slot in &*self.slots.borrow() {
            seen.sums.add(slot.ledger.sums);
        }
        seen
    }

    fn is_over(&self) -> bool {
        self.now() >= self.job.timeline.window_ends() + DRAIN
    }

    // Sending.

    /// Sends every frame at its moment until the run is over, then says goodbye.
    async fn pace(&self) -> Result<()> {
        let places = 0..u32::try_from(self.job.slots.len()).unwrap_or(u32::MAX);
        // The ring knows places on this desk; the phases are those of the slots.
        let mut ring =
            Ring::of(places.map(|at| (at, self.job.slots[at as usize])), self.job.plan.seed);
        let mut alarm = Alarm::new()?;
        let silent = matches!(self.job.plan.scenario, Scenario::Idle);
        while !self.is_over() {
            let mut sent = 0;
            while !silent
                && sent < FRAMES_PER_TURN
                && let Some(due) = ring.pop(self.now())
            {
                self.send(due);
                sent += 1;
            }
            let pause = match ring.next_at() {
                Some(next) if !silent => next.saturating_sub(self.now()),
                _ => Duration::from_millis(20),
            };
            if pause.is_zero() {
                tokio::task::yield_now().await;
            } else {
                alarm.sleep(pause).await?;
            }
        }
        self.say_goodbye().await;
        Ok(())
    }

    fn send(&self, due: Due) {
        let place = due.slot as usize;
        let Ok(mut slots) = self.slots.try_borrow_mut() else { return };
        let slot = &mut slots[place];
        let timeline = &self.job.timeline;
        if !slot.begun {
            return;
        }
        // The last frames before the end only keep the echoes coming.
        let counts = timeline.counts(due.at);
        let scenario = self.job.plan.scenario;
        let follow = counts && scenario.echoes() && scenario.reads(self.job.slots[place]);
        if follow {
            slot.ledger.due(due.round);
        }
        if counts {
            note(&mut self.seen.borrow_mut().jitter, self.now().saturating_sub(due.at));
        }
        let Some(sink) = &mut slot.sink else { return };
        let frame = match &mut slot.persona {
            None => self.marked(self.job.slots[place], due.round),
            Some(persona) => {
                let say = persona.round();
                if say == Say::Question && !post(sink, Message::text(QUESTION)) {
                    self.seen.borrow_mut().blocked += 1;
                }
                if matches!(say, Say::Speech(_)) && persona.is_listening() {
                    slot.asked = Some(due.at + crate::pace::PERIOD);
                }
                match say {
                    Say::Speech(at) => self.job.sentence[at as usize].clone(),
                    Say::Silence | Say::Question => Bytes::from_static(&[0; FRAME]),
                }
            }
        };
        if !post(sink, Message::Binary(frame)) {
            self.seen.borrow_mut().blocked += 1;
        }
    }

    fn marked(&self, slot: u32, round: u32) -> Bytes {
        let mut ground = self.ground.borrow_mut();
        if ground.capacity() < FRAME {
            ground.reserve(64 * FRAME);
        }
        ground.resize(FRAME, 0);
        Mark { slot, round }.write(&mut ground);
        ground.split().freeze()
    }

    async fn say_goodbye(&self) {
        let sinks: Vec<Sink> =
            self.slots.borrow_mut().iter_mut().filter_map(|slot| slot.sink.take()).collect();
        let goodbyes = sinks.into_iter().map(|mut sink| async move {
            let _ = sink.close().await;
        });
        let _ = tokio::time::timeout(GOODBYE, futures::future::join_all(goodbyes)).await;
        // The close frames of the server.
        let patience = Instant::now() + GOODBYE;
        while self.job.board.active.load(Relaxed) > 0 && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    // Receiving.

    /// The caller at one place, from its beginning to its end.
    async fn caller(self: Rc<Self>, place: usize) {
        let slot = self.job.slots[place];
        let begins = self.job.timeline.begins(slot);
        tokio::time::sleep(begins.saturating_sub(self.now())).await;
        while !self.is_over() {
            let begun = Instant::now();
            let (sink, source) = match dial(&self.job.plan).await {
                Ok(both) => both,
                Err(error) => {
                    let mut seen = self.seen.borrow_mut();
                    seen.refused += 1;
                    seen.why.get_or_insert_with(|| format!("{error:#}"));
                    return;
                }
            };
            note(&mut self.seen.borrow_mut().starts, begun.elapsed());
            let guard = OnBoard::new(self.job.board.clone());
            self.begin(place, sink);
            self.serve(place, source).await;
            drop(guard);
            if self.job.plan.scenario != Scenario::Churn {
                return;
            }
        }
    }

    fn begin(&self, place: usize, sink: Sink) {
        let sentence = u32::try_from(self.job.sentence.len()).unwrap_or(u32::MAX);
        let slot = &mut self.slots.borrow_mut()[place];
        slot.sink = Some(sink);
        slot.begun = true;
        if self.job.plan.scenario == Scenario::Conversation {
            slot.persona = Some(Persona::new(sentence));
        }
    }

    /// One call while it is up.
    async fn serve(&self, place: usize, source: Source) {
        match self.job.plan.scenario {
            Scenario::Parked => {
                let listening = self.listen(place, source);
                // Dropping both halves drops the connection, without a word.
                let _ = tokio::time::timeout(BEFORE_LOSS, listening).await;
                self.slots.borrow_mut()[place].sink = None;
                while !self.is_over() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            Scenario::Churn => {
                let mut source = source;
                let listening = self.listen_to(place, &mut source);
                let _ = tokio::time::timeout(self.job.plan.short_call, listening).await;
                let sink = self.slots.borrow_mut()[place].sink.take();
                if let Some(mut sink) = sink {
                    let _ = sink.close().await;
                    // Until the server has closed as well.
                    let rest = async { while let Some(Ok(_)) = source.next().await {} };
                    let _ = tokio::time::timeout(GOODBYE, rest).await;
                }
            }
            scenario if !scenario.reads(self.job.slots[place]) => {
                // Keeps the connection and reads nothing.
                while !self.is_over() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                drop(source);
            }
            _ => self.listen(place, source).await,
        }
    }

    async fn listen(&self, place: usize, mut source: Source) {
        self.listen_to(place, &mut source).await;
    }

    /// Reads until the connection ends.
    async fn listen_to(&self, place: usize, source: &mut Source) {
        let mut scanner = Scanner::default();
        while let Some(Ok(message)) = source.next().await {
            match message {
                Message::Binary(audio) => self.hear(place, &mut scanner, &audio),
                Message::Text(text) => self.read(&text),
                _ => {}
            }
        }
        let mut slots = self.slots.borrow_mut();
        if slots[place].sink.take().is_some() {
            self.seen.borrow_mut().broken += 1;
        }
    }

    fn hear(&self, place: usize, scanner: &mut Scanner, audio: &[u8]) {
        let now = self.now();
        let plan = &self.job.plan;
        let mut slots = self.slots.borrow_mut();
        let mut seen = self.seen.borrow_mut();
        let slot = &mut slots[place];
        seen.audio_bytes += audio.len() as u64;
        if let Some(persona) = &mut slot.persona {
            if persona.is_listening()
                && let Some(asked) = slot.asked.take()
                && self.job.timeline.counts(asked)
            {
                note(&mut seen.answers, now.saturating_sub(asked));
            }
            persona.hear();
        }
        if !plan.scenario.echoes() {
            return;
        }
        scanner.read(audio, |mark| {
            if mark.slot != self.job.slots[place] {
                return;
            }
            let due = due_at(mark.slot, mark.round, plan.seed);
            let delay = now.saturating_sub(due);
            if slot.ledger.echo(mark.round, delay, plan.late) {
                note(&mut seen.echoes, delay);
                let second = due.saturating_sub(self.job.timeline.window_begins()).as_secs();
                if let Some(histogram) = seen.seconds.get_mut(second as usize) {
                    note(histogram, delay);
                }
            }
        });
    }

    fn read(&self, text: &str) {
        let mut seen = self.seen.borrow_mut();
        match caller::kind(text) {
            "interruption" => seen.interruptions += 1,
            "tool_result" => seen.tools += 1,
            _ => {}
        }
    }
}

/// Hands a message to the connection without waiting; `false` if there is no room.
fn post(sink: &mut Sink, message: Message) -> bool {
    let waker = noop_waker();
    let mut context = Context::from_waker(&waker);
    let mut sink = Pin::new(sink);
    match sink.as_mut().poll_ready(&mut context) {
        Poll::Ready(Ok(())) => {}
        // The reader hears of an error as well.
        Poll::Ready(Err(_)) => return true,
        Poll::Pending => return false,
    }
    // What does not leave now leaves with the next frame.
    let _ = sink.as_mut().start_send(message);
    let _ = sink.poll_flush(&mut context);
    true
}

/// Counts a call while it is up.
struct OnBoard(Arc<Board>);

impl OnBoard {
    fn new(board: Arc<Board>) -> Self {
        board.started.fetch_add(1, Relaxed);
        board.active.fetch_add(1, Relaxed);
        Self(board)
    }
}

impl Drop for OnBoard {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Relaxed);
    }
}
