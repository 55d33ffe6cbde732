//! The client actor: the caller's side of a call.
//!
//! It reads what the socket received, keeps the caller's audio until it is answered, plays the
//! assistant's audio out by time, and notices when the client is gone or does not read. The
//! socket itself only copies bytes; it may freeze, and this actor goes on.

mod alarm;
pub mod connection;
mod inbound;
pub mod limits;
pub mod mixer;
pub mod playout;
pub mod replay;
pub mod stored;
pub mod tail;
pub(crate) mod taps;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient, SpawnHandle};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use voice_call::{
    AudioChunk, CloseCode, Epoch, Meters,
    meters::{Queue, ReasonLabel},
};
use voice_wire::{Feedback, Frame, FrameError, ServerMessage, SessionConfig};

pub use self::connection::{Connection, FromSocket, Seen, SocketSide, ToSocket};
use self::{
    alarm::Alarm,
    limits::{AudioLimit, MessageLimit},
    playout::{Playout, Pushed},
    replay::Replay,
    tail::{Tail, TailLimits},
};
use crate::{
    clock::Clock,
    engine::EngineConfig,
    mailbox::{Offered, Outbox, Queued, control},
    pace::Pace,
    sonic::CallerAudio,
    supervise::answer_probes,
};

/// Messages that may wait for a socket that does not take them. A client that lets more
/// accumulate is cut off.
const OUTGOING_LIMIT: usize = 512;
/// Frames that are written per turn of the actor.
const FRAMES_PER_TURN: usize = 16;
/// How soon a socket without room is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// From the Sonic stream: what the caller is to hear.
#[derive(Debug)]
pub(crate) enum Playback {
    /// Assistant audio.
    Audio { epoch: Epoch, chunk: AudioChunk },
    /// Barge-in: forget what is older than `epoch`. With `unheard_only` nothing happens unless
    /// the caller has still something to hear.
    Flush { epoch: Epoch, unheard_only: bool },
}

/// Tell the client.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct Tell(pub(crate) ServerMessage);

/// A stream is up: it hears the caller from now on, and first what nobody has answered.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AttachStream {
    pub(crate) number: u32,
    pub(crate) audio: Outbox<CallerAudio>,
}

/// The stream is gone: keep the caller's audio.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct DetachStream;

/// What the caller said so far must not be said to another stream.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct ForgetCaller;

/// What the stream of this number makes of the caller's audio.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct Heed {
    pub(crate) stream: u32,
    pub(crate) what: Listened,
}

/// What a stream heard; positions are samples of the caller's audio since the call began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listened {
    /// Speech begins here.
    SpeechStarted(u64),
    /// Speech ends here.
    SpeechEnded(u64),
    /// What was said, and has ended, is answered.
    Answered,
}

/// Close the socket in order.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct FinishClient {
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
}

/// Report [`ClientEvent::HeardAll`] once the caller has heard all that was sent so far.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct ReportHeard;

/// Report by [`ClientEvent::Unheard`] whether the caller says something that no stream has noticed.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct AskUnheard;

/// What the client did.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) enum ClientEvent {
    /// `sessionConfig` arrived.
    Configured(Box<SessionConfig>),
    /// The caller typed.
    Typed(String),
    /// The caller's opinion arrived.
    Rated(Feedback),
    /// There is assistant audio to be heard, or there is none any more.
    Hearing(bool),
    /// The caller has heard everything, as was asked.
    HeardAll,
    /// Whether the caller is or was loud and no stream has said what it makes of it, as was asked.
    Unheard(bool),
    /// Unheard audio was flushed although the model has not marked an interruption.
    FlushedUnmarked,
    /// The client hung up, or is gone for good.
    HungUp,
    /// The connection is gone; the client may come back.
    Lost,
    /// The recording broke off.
    RecordingFailed,
    /// The client does not read.
    Stalled,
    /// The client broke the protocol beyond repair.
    Broken(String),
}

/// The actor.
pub(crate) struct ClientActor {
    call: Recipient<ClientEvent>,
    socket: Outbox<ToSocket>,
    /// Which socket that is.
    connection: Connection,
    /// Whether it is gone, and another one may come.
    parked: bool,
    meters: Meters,
    playout: Playout,
    replay: Replay,
    outgoing: VecDeque<ToSocket>,
    clock: Clock,
    /// The stream that hears the caller.
    stream: Option<AttachStream>,
    tail: Tail,
    limit: MessageLimit,
    audio_limit: AudioLimit,
    /// Whether anything came that is not a mere sign of life, and until when something has to.
    heard_from: bool,
    first_word: Option<Duration>,
    alarm: Alarm,
    /// Since when the socket takes nothing.
    blocked_since: Option<Instant>,
    stall_limit: Duration,
    last_sign: Instant,
    ping_interval: Duration,
    dead_after: Duration,
    hearing: bool,
    asked_when_heard: bool,
    /// Whether the client may hold audio that it was not told to flush.
    flushable: bool,
    closing: bool,
    /// Who listens in, and the timer that serves them.
    taps: Vec<taps::Tap>,
    tapping: Option<SpawnHandle>,
    /// What the playout gauge counts of this call.
    metered: i64,
    /// Looked up once.
    gauges: Gauges,
}

/// The meters that every frame moves.
struct Gauges {
    playout: Gauge,
    caller_audio_drops: Counter,
}

impl Drop for ClientActor {
    fn drop(&mut self) {
        self.gauges.playout.dec_by(self.metered);
    }
}

impl ClientActor {
    pub(crate) fn new(
        config: &EngineConfig,
        socket: Recipient<Queued<ToSocket>>,
        meters: &Meters,
        call: Recipient<ClientEvent>,
        seen: Seen,
    ) -> Self {
        let now = Instant::now();
        Self {
            call,
            socket: Outbox::new(socket, Queue::ToSocket, meters),
            connection: Connection::FIRST,
            parked: false,
            replay: Replay::after(seen.last_seq, seen.heard_bytes.unwrap_or(0)),
            meters: meters.clone(),
            playout: Playout::new(config.playout_lead, config.playout_frame, config.playout_limit),
            outgoing: VecDeque::new(),
            clock: config.clock,
            stream: None,
            tail: Tail::new(TailLimits {
                window: config.replay_window,
                longest: config.caller_audio_limit,
            }),
            limit: MessageLimit::new(now),
            audio_limit: AudioLimit::new(config.audio_burst, config.clock.now()),
            heard_from: seen != Seen::default(),
            first_word: config.first_word_deadline,
            alarm: Alarm::default(),
            blocked_since: None,
            stall_limit: config.stall_limit,
            last_sign: now,
            ping_interval: config.ping_interval,
            dead_after: config.dead_after,
            hearing: false,
            asked_when_heard: false,
            flushable: false,
            closing: false,
            taps: Vec::new(),
            tapping: None,
            metered: 0,
            gauges: Gauges {
                playout: meters.depth(Queue::Playout),
                caller_audio_drops: meters.drops(Queue::CallerAudio),
            },
        }
    }

    fn report(&self, event: ClientEvent) {
        control(&self.call, event);
    }

    // To the socket.

    /// Tells the client, now or when it is back.
    fn tell(&mut self, message: &ServerMessage) {
        let numbered = self.replay.message(&message.to_json());
        self.send(ToSocket::Text(numbered));
    }

    fn send(&mut self, message: ToSocket) {
        if self.parked {
            return;
        }
        if self.outgoing.len() >= OUTGOING_LIMIT {
            return self.report(ClientEvent::Stalled);
        }
        self.outgoing.push_back(message);
        self.pump();
    }

    /// Writes what can be written now, and comes back when more can.
    fn pump(&mut self) {
        if self.parked {
            return self.meter_playout();
        }
        let now = self.clock.now();
        let room = self.drive_messages() && self.drive_playout(now);
        self.meter_playout();
        self.watch_stall(room, Instant::now());
        self.watch_hearing(now);
        let pause = if room {
            let next = [self.playout.next_release(now), self.playout.heard_by(now)];
            let next = next.into_iter().flatten().min();
            next.map(|at| self.clock.wait(at.saturating_duration_since(now)))
        } else {
            Some(RETRY)
        };
        let pause = pause.map(|pause| pause.max(Duration::from_millis(1)));
        self.alarm.set(pause.map(|pause| Instant::now() + pause));
    }

    /// Writes the waiting messages. Answers whether the socket has room for more.
    fn drive_messages(&mut self) -> bool {
        while let Some(message) = self.outgoing.pop_front() {
            match self.socket.try_offer(message) {
                Offered::Taken => {}
                Offered::Full(message) => {
                    self.outgoing.push_front(message);
                    return false;
                }
                Offered::Closed(_) => self.outgoing.clear(),
            }
        }
        true
    }

    /// Writes the audio whose time has come. Answers whether the socket has room for more.
    fn drive_playout(&mut self, now: Instant) -> bool {
        if self.closing {
            return true;
        }
        for _ in 0..FRAMES_PER_TURN {
            let Some(frame) = self.playout.release(now) else { break };
            match self.socket.try_offer(ToSocket::Audio(frame.bytes().clone())) {
                Offered::Taken => {
                    self.flushable = true;
                    self.replay.audio(&frame);
                    self.tap_assistant(&frame);
                    self.meters.playout_frames.inc();
                }
                Offered::Full(_) => {
                    self.playout.put_back(frame);
                    return false;
                }
                Offered::Closed(_) => break,
            }
        }
        true
    }

    fn meter_playout(&mut self) {
        let depth = self.playout.queued_bytes() as i64;
        if depth != self.metered {
            self.gauges.playout.inc_by(depth - self.metered);
            self.metered = depth;
        }
    }

    fn watch_stall(&mut self, room: bool, now: Instant) {
        if room {
            self.blocked_since = None;
            return;
        }
        let since = *self.blocked_since.get_or_insert(now);
        if now.saturating_duration_since(since) >= self.stall_limit {
            // Said once: the clock starts again.
            self.blocked_since = None;
            self.report(ClientEvent::Stalled);
        }
    }

    fn watch_hearing(&mut self, now: Instant) {
        let hearing = self.playout.heard_by(now).is_some();
        if std::mem::replace(&mut self.hearing, hearing) != hearing {
            self.report(ClientEvent::Hearing(hearing));
        }
        if !hearing && std::mem::take(&mut self.asked_when_heard) {
            self.report(ClientEvent::HeardAll);
        }
    }

    fn watch_liveness(&mut self) {
        if self.parked {
            return;
        }
        if self.last_sign.elapsed() >= self.dead_after {
            tracing::info!("no sign of life from the client");
            return self.lose(self.connection);
        }
        self.send(ToSocket::Ping);
    }

    /// Barge-in.
    fn flush(&mut self, epoch: Epoch, unheard_only: bool) {
        let unheard = self.playout.heard_by(self.clock.now()).is_some();
        let taken_back = self.playout.flush(epoch);
        self.replay.forget_audio();
        self.tap_flush();
        // A flush that finds nothing says nothing: what was flushed a moment ago needs no second
        // word, and a cough into silence is no interruption.
        if !self.flushable || (unheard_only && !unheard) {
            return self.pump();
        }
        tracing::debug!(?taken_back, %epoch, "barge-in");
        self.flushable = false;
        if unheard_only {
            self.report(ClientEvent::FlushedUnmarked);
        }
        self.tell(&ServerMessage::Interruption);
    }
}

impl Actor for ClientActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.alarm.install(ctx);
        ctx.run_interval(self.ping_interval, |actor, _| actor.watch_liveness());
        self.watch_first_word(ctx);
    }
}

answer_probes!(ClientActor);

impl Handler<Queued<FromSocket>> for ClientActor {
    type Result = ();

    fn handle(&mut self, queued: Queued<FromSocket>, ctx: &mut Self::Context) {
        let Some(frame) = queued.take() else { return };
        self.last_sign = Instant::now();
        match frame {
            FromSocket::HungUp(connection) | FromSocket::Closed(connection)
                if connection != self.connection => {}
            FromSocket::HungUp(_) => {
                self.report(ClientEvent::HungUp);
                self.finish_taps();
                ctx.stop();
            }
            FromSocket::Closed(_) if self.closing => ctx.stop(),
            FromSocket::Closed(connection) => self.lose(connection),
            _ if self.closing => {}
            FromSocket::Pong => {}
            FromSocket::TooLarge => {
                let code = FrameError::AudioTooLarge(0).code();
                self.meters.client_errors.get_or_create(&ReasonLabel { reason: code }).inc();
            }
            FromSocket::Text(bytes) => self.on_text(&bytes),
            FromSocket::Binary(bytes) => self.on_frame(Frame::from_binary(bytes)),
        }
    }
}

impl Handler<Queued<Playback>> for ClientActor {
    type Result = ();

    fn handle(&mut self, queued: Queued<Playback>, _: &mut Self::Context) {
        match queued.take() {
            Some(Playback::Audio { epoch, chunk }) => {
                if self.playout.push(epoch, chunk) == Pushed::Full {
                    self.meters.drops(Queue::Playout).inc();
                }
                self.pump();
            }
            Some(Playback::Flush { epoch, unheard_only }) => self.flush(epoch, unheard_only),
            None => {}
        }
    }
}

impl Handler<Pace> for ClientActor {
    type Result = ();

    fn handle(&mut self, pace: Pace, _: &mut Self::Context) {
        self.playout.set_lead(pace.lead);
        self.replay.set_lead(pace.lead);
        self.pump();
    }
}

impl Handler<Tell> for ClientActor {
    type Result = ();

    fn handle(&mut self, Tell(message): Tell, _: &mut Self::Context) {
        if !self.closing {
            self.tell(&message);
        }
    }
}

impl Handler<AttachStream> for ClientActor {
    type Result = ();

    fn handle(&mut self, stream: AttachStream, _: &mut Self::Context) {
        // From one stream to the next without a sample between them.
        for (position, chunk) in self.tail.replay() {
            stream.audio.offer(CallerAudio { position, chunk });
        }
        self.tail.attach();
        self.stream = Some(stream);
    }
}

impl Handler<DetachStream> for ClientActor {
    type Result = ();

    fn handle(&mut self, _: DetachStream, _: &mut Self::Context) {
        self.stream = None;
        self.tail.detach();
    }
}

impl Handler<ForgetCaller> for ClientActor {
    type Result = ();

    fn handle(&mut self, _: ForgetCaller, _: &mut Self::Context) {
        self.tail.forget();
    }
}

impl Handler<Heed> for ClientActor {
    type Result = ();

    fn handle(&mut self, Heed { stream, what }: Heed, _: &mut Self::Context) {
        // Late news of a stream that was replaced.
        if self.stream.as_ref().is_none_or(|attached| attached.number != stream) {
            return;
        }
        match what {
            Listened::SpeechStarted(at) => self.tail.speech_started(at),
            Listened::SpeechEnded(at) => self.tail.speech_ended(at),
            Listened::Answered => self.tail.answered(),
        }
    }
}

impl Handler<ReportHeard> for ClientActor {
    type Result = ();

    fn handle(&mut self, _: ReportHeard, _: &mut Self::Context) {
        self.asked_when_heard = true;
        self.pump();
    }
}

impl Handler<AskUnheard> for ClientActor {
    type Result = ();

    fn handle(&mut self, _: AskUnheard, _: &mut Self::Context) {
        self.report(ClientEvent::Unheard(self.tail.is_unheard()));
    }
}

impl Handler<FinishClient> for ClientActor {
    type Result = ();

    fn handle(&mut self, finish: FinishClient, ctx: &mut Self::Context) {
        if !std::mem::replace(&mut self.closing, true) {
            let FinishClient { code, reason } = finish;
            self.finish_taps();
            if self.parked {
                // There is nobody to say goodbye to.
                return ctx.stop();
            }
            self.outgoing.push_back(ToSocket::Close { code, reason });
        }
        // The actor stays until the socket reports its end, or the supervisor loses patience.
        self.pump();
    }
}
