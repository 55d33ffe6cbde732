//! One call: the caller's line, the conversation with the server, and the flow's questions.
//!
//! A task per call. It owns the task of the line and that of the conversation and hears of their
//! ends; what is decided is decided by the machines: [`Turns`], [`Cutter`], [`Sentences`], [`Floor`].
//!
//! ```text
//!  Kinesis Video ──▶ line ──▶ ┌──────┐ ──▶ conversation ──▶ /sonic
//!                             │ call │
//!  flow ──▶ /turn ──────────▶ └──────┘ ◀── conversation ◀── /sonic
//!        ◀── WAV on S3 ◀── voice ◀─┘
//! ```

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::{JoinHandle, JoinSet},
};
use voice_access::signature::RequestKey;
use voice_audio::{Resampler, UtteranceConfig, UtteranceEvent, Utterances, utterance::Cause};
use voice_aws::KinesisPort;

use crate::{
    cutter::{Cutter, LINE_HZ, VOICE_HZ, bytes_of},
    floor::Floor,
    hush::Hush,
    line::{self, FromLine, LineConfig, LineEnd},
    meters::Meters,
    resume::Point,
    sentences::Sentences,
    settings::CallSettings,
    sonic::{self, FromSonic, Known, SonicConfig, SonicEnd},
    turns::{Answer, Asked, Ending, Intent, KEPT, Turns},
    voice::{Piece, Voice},
};

/// Questions that may wait; a flow has one at a time, and Lambda asks again.
const QUESTIONS: usize = 16;
/// Frames of one reply follow each other more closely than this.
const REPLY_PAUSE: Duration = Duration::from_millis(150);
/// The words of a turn may come a moment after its end.
const LAST_WORDS: Duration = Duration::from_millis(40);
/// The server sends a call on the phone its audio ten seconds ahead. A turn that is shorter is here
/// when its end is; of a longer one the rest follows in time.
const SENT_AT_ONCE: u64 = 8 * VOICE_HZ as u64 * 2;
/// A flow that has not asked for so long after its last prompt is gone.
const FLOW_GONE: Duration = Duration::from_secs(60);
/// The same when the caller has hung up: his flow ends as well.
const CALLER_GONE: Duration = Duration::from_secs(10);
/// How long a call that is over still answers to those who ask again.
const LINGER: Duration = Duration::from_secs(30);
/// The rate that the server hears, in Hz.
const SONIC_HZ: u32 = 16_000;

/// What a call is asked.
pub(crate) enum Question {
    /// What comes next?
    Turn { key: String, wait: Duration, answer: oneshot::Sender<Reply> },
    /// The call is over.
    End,
    /// This task stops: another one goes on with the call.
    Leave,
}

/// An answer, and where another task would go on after it, sealed.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) resume: String,
}

/// The way to a call.
#[derive(Debug, Clone)]
pub(crate) struct CallHandle {
    pub(crate) questions: mpsc::Sender<Question>,
}

/// What a call is made of.
pub(crate) struct CallParts {
    pub(crate) contact_id: String,
    pub(crate) settings: CallSettings,
    pub(crate) line: LineConfig,
    pub(crate) sonic: SonicConfig,
    pub(crate) kinesis: KinesisPort,
    pub(crate) voice: Voice,
    /// Seals where another task would go on.
    pub(crate) key: Option<RequestKey>,
    pub(crate) meters: Meters,
}

/// Starts a call. The task ends by itself; whoever holds its handle of joining hears of it.
pub(crate) fn start(parts: CallParts) -> Option<(CallHandle, JoinHandle<&'static str>)> {
    let (ask, questions) = mpsc::channel(QUESTIONS);
    let call = Call::new(parts, questions)?;
    Some((CallHandle { questions: ask }, tokio::spawn(call.run())))
}

/// The running call.
struct Call {
    contact_id: String,
    settings: CallSettings,
    meters: Meters,
    questions: mpsc::Receiver<Question>,
    from_line: mpsc::Receiver<FromLine>,
    from_sonic: mpsc::Receiver<FromSonic>,
    /// `None` once the conversation is over.
    to_sonic: Option<mpsc::Sender<Vec<i16>>>,
    line: JoinHandle<()>,
    /// Ends by itself when it is let go of, so that the server hears of it.
    conversation: JoinHandle<()>,
    /// What is known of the conversation, for whoever goes on with it.
    known: watch::Receiver<Known>,
    key: Option<RequestKey>,
    session_id: String,
    /// What went with the answers that are kept, by their keys.
    sealed: VecDeque<(String, String)>,
    /// Bytes of the assistant's voice that came.
    voice_bytes: u64,
    /// The last message of which nothing is left to be done.
    settled_seq: u64,
    upsampler: Resampler,
    hush: Hush,
    utterances: Utterances,
    cutter: Cutter,
    sentences: Sentences,
    turns: Turns,
    floor: Floor,
    voice: Voice,
    placing: JoinSet<(u64, Option<String>, Duration)>,
    answering: HashMap<String, Vec<oneshot::Sender<Reply>>>,
    /// The assistant's words that went with no piece yet.
    words: Words,
    /// When the reply in hand counts as over.
    reply_over: Option<Instant>,
    /// Of its voice, so far.
    reply_bytes: u64,
    last_voice: Instant,
    /// When a flow that does not ask is given up.
    flow_gone: Instant,
    /// When a call that has ended is over for good.
    linger: Option<Instant>,
    stopwatch: Stopwatch,
    cause: &'static str,
}

impl Call {
    fn new(parts: CallParts, questions: mpsc::Receiver<Question>) -> Option<Self> {
        let CallParts { contact_id, settings, line, sonic, kinesis, voice, key, meters } = parts;
        let session_id = sonic.session_id.clone();
        let upsampler = Resampler::new(LINE_HZ, SONIC_HZ).ok()?;
        let cutter = Cutter::new(settings.cut)?;
        let (line_out, from_line) = mpsc::channel(line::WAITING);
        let line = tokio::spawn(line::read(kinesis, line, line_out, meters.clone()));
        let (to_sonic, to_server) = mpsc::channel(sonic::UNSENT);
        let (sonic_out, from_sonic) = mpsc::channel(sonic::UNHEARD);
        let settled_seq = sonic.point.as_ref().map_or(0, |point| point.seq);
        let (tell, known) = watch::channel(Known::default());
        let conversation =
            tokio::spawn(sonic::converse(sonic, to_server, sonic_out, tell, meters.clone()));
        let floor = Floor::new(settings.during_prompt);
        let now = Instant::now();
        Some(Self {
            contact_id,
            meters,
            questions,
            from_line,
            from_sonic,
            to_sonic: Some(to_sonic),
            line,
            conversation,
            known,
            key,
            session_id,
            sealed: VecDeque::new(),
            voice_bytes: 0,
            settled_seq,
            upsampler,
            hush: Hush::default(),
            utterances: Utterances::new(UtteranceConfig::default()),
            cutter,
            sentences: Sentences::default(),
            turns: Turns::default(),
            floor,
            voice,
            placing: JoinSet::new(),
            answering: HashMap::new(),
            words: Words::default(),
            reply_over: None,
            reply_bytes: 0,
            last_voice: now,
            flow_gone: now + FLOW_GONE,
            linger: None,
            stopwatch: Stopwatch::default(),
            cause: "flow_gone",
            settings,
        })
    }

    /// Runs the call to its end and says why it ended.
    async fn run(mut self) -> &'static str {
        loop {
            let until = self.next_timer();
            tokio::select! {
                question = self.questions.recv() => match question {
                    Some(Question::Turn { key, wait, answer }) => self.asked(key, wait, answer),
                    Some(Question::End) | None => {
                        self.cause = "ended_by_flow";
                        break;
                    }
                    Some(Question::Leave) => {
                        // Without a goodbye: the server keeps the call for whoever comes.
                        self.conversation.abort();
                        self.cause = "left";
                        break;
                    }
                },
                Some(heard) = self.from_line.recv() => self.heard(heard),
                Some(said) = self.from_sonic.recv() => self.said(said),
                Some(placed) = self.placing.join_next() => {
                    // A task that panicked leaves its piece to the question's deadline.
                    if let Ok((id, url, duration)) = placed {
                        self.turns.placed(id, url, duration);
                        self.stopwatch.placed(&self.meters);
                    }
                }
                () = tokio::time::sleep_until(until.into()) => {}
            }
            if !self.drive(Instant::now()) {
                break;
            }
        }
        // Letting go of the way up makes the conversation say goodbye; the line has nobody to hear
        // it.
        self.to_sonic = None;
        self.line.abort();
        self.from_sonic.close();
        let _ = (&mut self.conversation).await;
        self.cause
    }

    /// Whatever is due. `false` when the call is over.
    fn drive(&mut self, now: Instant) -> bool {
        if self.reply_over.is_some_and(|at| now >= at) {
            self.reply_rests();
        }
        while let Some((key, answer)) = self.turns.poll(now) {
            self.answer(&key, answer);
        }
        if self.turns.is_over() && self.linger.is_none() {
            self.linger = Some(now + LINGER);
            self.to_sonic = None;
        }
        match self.linger {
            Some(until) => now < until,
            None => now < self.flow_gone || self.turns.is_waiting(),
        }
    }

    fn next_timer(&self) -> Instant {
        let timers = [self.reply_over, self.turns.next_poll(), self.linger, Some(self.flow_gone)];
        let now = Instant::now();
        let next = timers.into_iter().flatten().filter(|at| *at > now).min();
        next.unwrap_or(now + FLOW_GONE)
    }

    // The flow.

    fn asked(&mut self, key: String, wait: Duration, answer: oneshot::Sender<Reply>) {
        let now = Instant::now();
        self.floor.asked(now_ms());
        self.flow_gone = now + wait + FLOW_GONE;
        match self.turns.ask(&key, now + wait) {
            // Whoever asked has gone if it cannot be sent.
            Asked::Known(known) => {
                let resume = self.sealed.iter().find(|(of, _)| *of == key);
                let resume = resume.map_or_else(String::new, |(_, sealed)| sealed.clone());
                let _ = answer.send(Reply { answer: known, resume });
            }
            Asked::Waits(before) => {
                self.answering.entry(key).or_default().push(answer);
                if let Some((key, listen)) = before {
                    self.answer(&key, listen);
                }
            }
        }
    }

    fn answer(&mut self, key: &str, answer: Answer) {
        Meters::count(&self.meters.answers, answer.intent.name());
        if answer.url.is_some() || !answer.text.is_empty() {
            self.floor.prompt(now_ms(), answer.duration);
            self.flow_gone = Instant::now() + answer.duration + FLOW_GONE;
            self.stopwatch.answered(&self.meters);
        }
        match answer.intent {
            Intent::Transfer => self.cause = "transferred",
            Intent::End => self.cause = "completed",
            Intent::Continue | Intent::Listen => {}
        }
        if self.turns.is_settled() {
            self.settled_seq = self.known.borrow().last_seq;
        }
        let point = self.point();
        let sealed = point.and_then(|point| point.seal(self.key.as_ref(), &self.session_id));
        let resume = sealed.unwrap_or_default();
        self.sealed.push_back((key.to_owned(), resume.clone()));
        if self.sealed.len() > KEPT {
            self.sealed.pop_front();
        }
        for waiting in self.answering.remove(key).unwrap_or_default() {
            let _ = waiting.send(Reply { answer: answer.clone(), resume: resume.clone() });
        }
    }

    /// Where another task would go on: what the flow was given counts as heard, since Connect plays a
    /// prompt to its end.
    fn point(&self) -> Option<Point> {
        let known = self.known.borrow();
        let unheard = self.turns.unplayed_bytes() + self.cutter.in_hand_bytes();
        Some(Point {
            id: known.id.clone(),
            token: known.token.clone()?,
            seq: self.settled_seq,
            bytes: known.before + self.voice_bytes.saturating_sub(unheard),
        })
    }

    // The caller.

    fn heard(&mut self, heard: FromLine) {
        match heard {
            FromLine::Voice { at_ms, mut samples } => {
                self.meters.voice_seconds.inc_by(samples.len() as f64 / f64::from(LINE_HZ));
                if !self.floor.hears(at_ms) {
                    Meters::count(&self.meters.voice_dropped, "prompt");
                    samples.fill(0);
                }
                let end_ms = at_ms + samples.len() as u64 * 1_000 / u64::from(LINE_HZ);
                self.caller(&samples, end_ms);
            }
            FromLine::Missing { ms } => {
                let samples = vec![0; (ms * u64::from(LINE_HZ) / 1_000) as usize];
                // In blocks, as if they had come.
                samples.chunks(512).for_each(|block| self.caller(block, 0));
            }
            FromLine::Over(LineEnd::HungUp) => {
                self.cause = "hung_up";
                self.to_sonic = None;
                self.flow_gone = Instant::now() + CALLER_GONE;
                self.end(Ending::End);
            }
            FromLine::Over(LineEnd::Failed) => self.fail("The caller's line cannot be heard."),
        }
    }

    /// Hands the caller's voice on; `end_ms` is when it ended, by the clock.
    fn caller(&mut self, samples: &[i16], end_ms: u64) {
        let wide = self.upsampler.push(samples);
        let was_hushed = self.hush.is_on(self.utterances.position_ms());
        let events = self.utterances.push(&wide);
        let mut gated = Vec::new();
        for event in events {
            match event {
                UtteranceEvent::Voice(voice) => gated.push(voice),
                UtteranceEvent::Began { .. } => {
                    self.hush.caller_speaks();
                    self.stopwatch.caller_speaks();
                }
                UtteranceEvent::Ended { offset_ms, cause, .. } => {
                    self.hush.caller_done(offset_ms);
                    let ago = self.utterances.position_ms().saturating_sub(offset_ms);
                    if end_ms > 0 && cause != Cause::TooLong {
                        self.stopwatch.caller_done(end_ms.saturating_sub(ago), &self.meters);
                    }
                }
            }
        }
        let hushed = was_hushed || self.hush.is_on(self.utterances.position_ms());
        match (self.settings.gate, hushed) {
            (false, false) => self.send(wide),
            // What begins now begins with what was held back before it.
            (true, _) | (_, true) if !gated.is_empty() => {
                gated.into_iter().for_each(|voice| self.send(voice));
            }
            (true, _) => {}
            (false, true) => self.send(vec![0; wide.len()]),
        }
    }

    fn send(&mut self, samples: Vec<i16>) {
        let Some(to_sonic) = &self.to_sonic else { return };
        // 64 ms a frame, whatever came together.
        for frame in samples.chunks(1_024) {
            if to_sonic.try_send(frame.to_vec()).is_err() {
                Meters::count(&self.meters.voice_dropped, "full");
            }
        }
    }

    // The assistant.

    fn said(&mut self, said: FromSonic) {
        match said {
            FromSonic::Voice(samples) => {
                self.hush.assistant_speaks();
                self.voice_bytes += samples.len() as u64 * 2;
                if self.settings.polly {
                    return;
                }
                self.stopwatch.first_voice(&self.meters);
                for piece in self.cutter.push(&samples) {
                    self.piece(Piece::Samples(piece));
                }
                self.turns.set_growing(self.cutter.is_growing());
                self.reply_bytes += samples.len() as u64 * 2;
                self.last_voice = Instant::now();
                self.reply_over = Some(self.last_voice + self.settings.cut.rest);
            }
            FromSonic::Line { id, text, is_final } => {
                if self.settings.polly {
                    self.stopwatch.first_voice(&self.meters);
                    for sentence in self.sentences.hear(&id, &text, is_final) {
                        self.words.push(&sentence);
                        self.piece(Piece::Words(sentence));
                    }
                    self.turns.set_growing(!is_final);
                    // A line that never becomes final is not waited for.
                    self.reply_over = (!is_final).then(|| Instant::now() + FLOW_GONE / 10);
                } else {
                    // The voice of the reply before has ended: these words are the next one's.
                    let rests =
                        self.reply_over.is_some() && self.last_voice.elapsed() > REPLY_PAUSE;
                    self.words.line(&id, &text, rests);
                }
            }
            FromSonic::Interrupted => {
                self.cutter.forget();
                self.words = Words::default();
                self.turns.interrupted();
                (self.reply_over, self.reply_bytes) = (None, 0);
            }
            FromSonic::TurnEnded { model } => {
                self.meters.stage("model", model);
                if !self.settings.polly && self.reply_bytes <= SENT_AT_ONCE {
                    let soon = Instant::now() + LAST_WORDS;
                    self.reply_over = self.reply_over.map(|over| over.min(soon));
                }
            }
            FromSonic::Transfer(handover) => self.end(Ending::Transfer(handover)),
            FromSonic::Over(SonicEnd::Ended(reason)) => {
                tracing::info!(contact = self.contact_id, reason, "the server ends the call");
                self.end(Ending::End);
            }
            FromSonic::Over(SonicEnd::Lost(why)) => {
                tracing::error!(contact = self.contact_id, why, "the server is lost");
                self.fail("The assistant cannot be reached.");
            }
        }
    }

    /// Nothing more has come for a while.
    fn reply_rests(&mut self) {
        (self.reply_over, self.reply_bytes) = (None, 0);
        if let Some(piece) = self.cutter.finish() {
            self.piece(Piece::Samples(piece));
        }
        self.words.next_reply();
        self.turns.set_growing(false);
    }

    fn piece(&mut self, piece: Piece) {
        self.stopwatch.cut(&self.meters);
        let bytes = match &piece {
            Piece::Samples(samples) => bytes_of(samples.len()),
            Piece::Words(_) => 0,
        };
        let id = self.turns.piece(self.words.take(), bytes);
        let (voice, contact_id) = (self.voice.clone(), self.contact_id.clone());
        self.placing.spawn(async move {
            let (url, duration) = voice.place(&contact_id, id, piece).await;
            (id, url, duration)
        });
    }

    fn end(&mut self, ending: Ending) {
        if self.reply_over.is_some() {
            self.reply_rests();
        }
        self.turns.end(ending);
    }

    fn fail(&mut self, reason: &'static str) {
        self.end(Ending::Failed { words: self.settings.apology.clone(), reason });
    }
}

/// The assistant's words, until they go with a piece of its voice. The text runs ahead of the
/// voice, so a piece may say less than its words: they are what Connect says when the voice cannot
/// be played, and too many are better than none.
#[derive(Debug, Default)]
struct Words {
    line: String,
    /// Bytes of the line that are in `waiting` or were taken.
    known: usize,
    waiting: String,
    /// Those of a reply whose voice has not begun.
    next: String,
}

impl Words {
    fn line(&mut self, id: &str, text: &str, is_next: bool) {
        if self.line != id {
            id.clone_into(&mut self.line);
            self.known = 0;
        }
        if let Some(more) = text.get(self.known..) {
            append(if is_next { &mut self.next } else { &mut self.waiting }, more);
            self.known = text.len();
        }
    }

    fn push(&mut self, words: &str) {
        append(&mut self.waiting, words);
    }

    fn next_reply(&mut self) {
        let next = std::mem::take(&mut self.next);
        append(&mut self.waiting, &next);
    }

    fn take(&mut self) -> String {
        std::mem::take(&mut self.waiting).trim().to_owned()
    }
}

fn append(text: &mut String, words: &str) {
    let is_glued = text.is_empty() || words.is_empty() || words.starts_with(' ');
    text.push_str(if is_glued { "" } else { " " });
    text.push_str(words);
}

/// How long a caller waits, stage by stage, from the end of his speech: `heard` (the line, and our ear
/// is sure of it), `voice` (the first of the assistant's voice is here), `cut` (the first piece is
/// whole, at 8 kHz), `placed` (it is on S3), `answered` (the flow has it). Only the first piece of an
/// answer counts. Beside them `model`: what the server says of its part of `voice`.
#[derive(Debug, Default)]
struct Stopwatch {
    /// When the caller had spoken, in milliseconds since 1970.
    done: Option<u64>,
    stage: u8,
}

impl Stopwatch {
    fn caller_speaks(&mut self) {
        *self = Self::default();
    }

    fn caller_done(&mut self, at_ms: u64, meters: &Meters) {
        *self = Self { done: Some(at_ms), stage: 0 };
        self.reach(1, "heard", meters);
    }

    fn first_voice(&mut self, meters: &Meters) {
        self.reach(2, "voice", meters);
    }

    fn cut(&mut self, meters: &Meters) {
        self.reach(3, "cut", meters);
    }

    fn placed(&mut self, meters: &Meters) {
        self.reach(4, "placed", meters);
    }

    fn answered(&mut self, meters: &Meters) {
        self.reach(5, "answered", meters);
        self.done = None;
    }

    fn reach(&mut self, stage: u8, name: &'static str, meters: &Meters) {
        if let Some(done) = self.done
            && self.stage < stage
        {
            self.stage = stage;
            meters.stage(name, Duration::from_millis(now_ms().saturating_sub(done)));
        }
    }
}

pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
