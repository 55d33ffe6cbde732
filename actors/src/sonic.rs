//! The Sonic stream: one stream to Nova Sonic, from its opening to its end.
//!
//! A shell around [`voice_sonic::Session`]: what arrives is fed to the machine, what the machine
//! wants sent goes to the port, what it has to tell goes to the client (audio) or to the
//! supervisor (everything else). A stream that ends, in whatever way, is not opened anew here:
//! the supervisor starts the next one.

pub mod feeder;
pub mod patience;
pub mod position;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient,
    SpawnHandle, StreamHandler, WrapFuture,
};
use bytes::Bytes;
use prometheus_client::metrics::gauge::Gauge;
use serde_json::Value;
use voice_archive::redact::Redactor;
use voice_call::{
    AudioChunk, Epoch, FaultKind, Meters, SampleRate, SonicPort, SonicStream, StreamFault,
    port::{SendRefused, SonicSender},
};
use voice_sonic::{
    HistoryMessage, Line, Phase, Session, SessionEvent, SessionSettings, Speaker, Transmit, Usage,
};

use self::{
    feeder::Feeder,
    patience::{Patience, Silence},
    position::Positions,
};
use crate::{
    client::{Heed, Listened, Playback},
    clock::Clock,
    mailbox::{Outbox, Queued, control},
    supervise::answer_probes,
};

/// The most caller audio that goes into one event (`nova-sonic.md` §4.2: 10 to 100 ms work).
const LARGEST_EVENT_MS: u32 = 100;

/// How long the caller speaks over audio that the model believes to be heard before it is
/// flushed all the same (`nova-sonic.md` §3.5: some barge-ins come without their marker).
const SILENT_BARGE_IN: Duration = Duration::from_millis(500);

/// A piece of the caller's voice.
#[derive(Debug)]
pub struct CallerAudio {
    /// Where it stands in the caller's audio, in samples since the call began.
    pub(crate) position: u64,
    pub(crate) chunk: AudioChunk,
}

/// Take the conversation over: this is what was said so far.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct TakeOver {
    pub(crate) history: Vec<HistoryMessage>,
}

/// Another stream has taken over: end in order, be heard no more, but report what still comes of
/// what was said.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct Retire;

/// Say this to the model in the caller's place.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct SendText(pub(crate) String);

/// A tool call was answered.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct AnswerTool {
    pub(crate) tool_use_id: String,
    pub(crate) result: Value,
}

/// The caller took the turn, although the model has not said so.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct DeclareInterruption;

/// End the stream in order.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct FinishStream;

/// Something happened on the stream of this number.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct StreamEvent {
    pub(crate) stream: u32,
    pub(crate) event: StreamNews,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum StreamNews {
    /// The service answered. A stream that stands by is ready; any other hears the caller.
    Opened {
        /// When its credentials expire.
        valid_until: Option<Instant>,
    },
    /// The caller began to speak.
    SpeechStarted,
    /// The caller stopped speaking, that long ago.
    SpeechEnded { ago: Duration },
    /// The transcript has a new line, or a line changed.
    Line(Line),
    /// The assistant begins a turn.
    TurnStarted,
    /// The first audio of an assistant turn arrived.
    FirstAudio,
    /// The assistant's turn is complete, or was cut.
    TurnEnded { interrupted: bool },
    /// The caller barged in.
    Interrupted,
    /// The model wants a tool.
    ToolCall { tool_use_id: String, name: String, input: Value },
    /// Tokens, so far on this stream.
    Usage(Usage),
    /// The service does not react to a caller who is loud and clear.
    Suspicious,
    /// The stream is over: with a fault, or in order.
    Ended(Option<StreamFault>),
}

/// Where a stream's words go, and what it lives on.
pub(crate) struct Surroundings {
    pub(crate) port: Arc<dyn SonicPort>,
    pub(crate) playback: Outbox<Playback>,
    pub(crate) ears: Recipient<Heed>,
    pub(crate) call: Recipient<StreamEvent>,
    pub(crate) meters: Meters,
    pub(crate) clock: Clock,
    /// How long a service that owes an answer may say nothing at all.
    pub(crate) answer_deadline: Duration,
    /// A gap in the caller's audio that is not filled.
    pub(crate) gap: Duration,
}

/// The actor.
pub(crate) struct SonicActor {
    number: u32,
    session: Session,
    around: Surroundings,
    sender: Option<Box<dyn SonicSender>>,
    open: GaugeGuard,
    epoch: Epoch,
    positions: Positions,
    feeder: Feeder,
    patience: Patience,
    /// Runs while the caller speaks over audio that may be unheard.
    silent_barge_in: Option<SpawnHandle>,
    turn_has_audio: bool,
    /// The newest line of the transcript.
    last_line: u64,
    life: Life,
}

/// What is expected of the stream.
///
/// ```text
///   Serving ──Retire──▶ Retired ──▶ Over
///      └──FinishStream──▶ Finishing ──▶ Over
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    /// The call's stream, or about to become it.
    Serving,
    /// It ends in order, and the call with it.
    Finishing,
    /// It ends in order, and another one speaks.
    Retired,
    /// It has ended.
    Over,
}

/// Counts one more as long as it lives.
struct GaugeGuard(Gauge);

impl GaugeGuard {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl SonicActor {
    /// The call's stream of this number, which serves at once.
    pub(crate) fn serving(number: u32, settings: SessionSettings, around: Surroundings) -> Self {
        Self::new(number, Session::new(settings), around)
    }

    /// A stream that waits for [`TakeOver`].
    pub(crate) fn standby(number: u32, settings: SessionSettings, around: Surroundings) -> Self {
        Self::new(number, Session::standby(settings), around)
    }

    fn new(number: u32, session: Session, around: Surroundings) -> Self {
        let now = around.clock.now();
        Self {
            number,
            session,
            sender: None,
            open: GaugeGuard::new(&around.meters.open_streams),
            epoch: Epoch::of_stream(number),
            positions: Positions::default(),
            feeder: Feeder::new(around.gap, now),
            patience: Patience::new(around.answer_deadline, now),
            silent_barge_in: None,
            turn_has_audio: false,
            last_line: 0,
            life: Life::Serving,
            around,
        }
    }

    fn tell(&self, event: StreamNews) {
        control(&self.around.call, StreamEvent { stream: self.number, event });
    }

    /// Tells the client actor what the model makes of the caller's audio.
    fn heed(&self, what: Listened) {
        control(&self.around.ears, Heed { stream: self.number, what });
    }

    /// Ends the actor, once, and says why.
    fn end(&mut self, fault: Option<StreamFault>, ctx: &mut Context<Self>) {
        if self.life != Life::Over {
            // What it was saying ends here.
            self.session.cut_off();
            self.drive_events(ctx);
            self.life = Life::Over;
            self.sender = None;
            self.tell(StreamNews::Ended(fault));
            ctx.stop();
        }
    }

    fn opened(&mut self, result: Result<SonicStream, StreamFault>, ctx: &mut Context<Self>) {
        let stream = match result {
            Ok(stream) => stream,
            Err(fault) => return self.end(Some(fault), ctx),
        };
        self.sender = Some(stream.sender);
        ctx.add_stream(stream.receiver);
        self.session.stream_opened();
        self.begin_if_live();
        ctx.run_interval(self.around.clock.wait(feeder::INTERVAL), |actor, ctx| actor.tick(ctx));
        self.tell(StreamNews::Opened { valid_until: stream.valid_until });
        self.drive(ctx);
    }

    /// The audio content has just been opened, or is not open yet.
    fn begin_if_live(&mut self) {
        let now = self.around.clock.now();
        self.feeder = Feeder::new(self.around.gap, now);
        self.patience.heard(now);
    }

    /// Fills the caller's silence, and watches the service's.
    fn tick(&mut self, ctx: &mut Context<Self>) {
        if self.life != Life::Serving || self.session.phase() != Phase::Live {
            return;
        }
        let now = self.around.clock.now();
        if let Some(silence) = self.feeder.due(now) {
            let silence = AudioChunk::silence(SampleRate::Hz16000, silence.as_millis() as u32);
            // Refused only when the session is over, and then silence is not missed.
            let _ = self.session.push_audio(&silence);
            self.drive(ctx);
        }
        match self.patience.judge(now) {
            Some(Silence::Dead) => {
                let seconds = self.around.answer_deadline.as_secs_f32();
                let why = format!("the service owes an answer and said nothing for {seconds} s");
                self.end(Some(StreamFault::new(FaultKind::Hung, why)), ctx);
            }
            Some(Silence::Suspicious) => self.tell(StreamNews::Suspicious),
            None => {}
        }
    }

    /// Carries out what the machine wants, until it wants nothing more.
    fn drive(&mut self, ctx: &mut Context<Self>) {
        self.drive_transmit(ctx);
        self.drive_events(ctx);
        self.drive_transmit(ctx);
    }

    fn drive_events(&mut self, ctx: &mut Context<Self>) {
        while let Some(event) = self.session.poll_event() {
            match self.life {
                Life::Serving | Life::Finishing => self.on_session_event(event, ctx),
                Life::Retired => self.on_late_event(event),
                Life::Over => {}
            }
        }
    }

    fn drive_transmit(&mut self, ctx: &mut Context<Self>) {
        // Before the stream is open, what is queued goes out with `opened`.
        while self.sender.is_some()
            && let Some(transmit) = self.session.poll_transmit()
        {
            let sent = match (transmit, self.sender.as_mut()) {
                (Transmit::Event(event), Some(sender)) => sender.send(event),
                (Transmit::Close, _) | (_, None) => {
                    self.sender = None;
                    Ok(())
                }
            };
            match sent {
                // The receiver knows why it is closed and will say so.
                Ok(()) | Err(SendRefused::Closed) => {}
                Err(refused @ SendRefused::Stalled) => {
                    let fault = StreamFault::new(FaultKind::Stalled, refused.to_string());
                    return self.end(Some(fault), ctx);
                }
            }
        }
    }

    fn on_session_event(&mut self, event: SessionEvent, ctx: &mut Context<Self>) {
        match event {
            SessionEvent::Audio(chunk) => self.on_audio(chunk, ctx),
            SessionEvent::Interrupted => self.interrupt(ctx),
            SessionEvent::UserSpeechStarted { offset_ms } => {
                self.heed_at(offset_ms, Listened::SpeechStarted);
                self.tell(StreamNews::SpeechStarted);
                self.expect_barge_in(ctx);
            }
            SessionEvent::UserSpeechEnded { offset_ms, detected_ms } => {
                self.forget_barge_in(ctx);
                self.heed_at(offset_ms, Listened::SpeechEnded);
                let ago = Duration::from_millis(detected_ms.saturating_sub(offset_ms));
                self.tell(StreamNews::SpeechEnded { ago });
            }
            SessionEvent::Line(line) => {
                if line.speaker == Speaker::User {
                    self.patience.owed(self.around.clock.now());
                }
                self.last_line = self.last_line.max(line.id);
                self.tell(StreamNews::Line(line));
            }
            SessionEvent::AssistantTurnStarted => {
                self.turn_has_audio = false;
                self.answered();
                self.patience.owed(self.around.clock.now());
                self.tell(StreamNews::TurnStarted);
            }
            SessionEvent::AssistantTurnEnded { interrupted } => {
                self.patience.answered();
                self.tell(StreamNews::TurnEnded { interrupted });
            }
            SessionEvent::ToolCall { tool_use_id, name, input } => {
                self.answered();
                self.tell(StreamNews::ToolCall { tool_use_id, name, input });
            }
            SessionEvent::Usage(usage) => self.tell(StreamNews::Usage(usage)),
            SessionEvent::Completed => tracing::debug!("the service completed the stream"),
            SessionEvent::Unknown { name } => {
                self.around.meters.unknown_events.inc();
                tracing::debug!(name, "unknown event of the service");
            }
            SessionEvent::Malformed { reason } => {
                self.around.meters.unknown_events.inc();
                // The reason may quote what was said.
                tracing::warn!("malformed event of the service");
                tracing::debug!(reason = &*Redactor::default().text(&reason), "malformed event");
            }
        }
    }

    /// Of a stream that was replaced only this counts: corrections of what was said on it, and
    /// what it cost. Whatever it begins now, the next one begins as well.
    fn on_late_event(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Line(line) if line.id <= self.last_line => {
                self.tell(StreamNews::Line(line));
            }
            SessionEvent::Usage(usage) => self.tell(StreamNews::Usage(usage)),
            _ => tracing::debug!(stream = self.number, "news of a replaced stream: ignored"),
        }
    }

    fn answered(&mut self) {
        self.patience.answered();
        self.heed(Listened::Answered);
    }

    /// Reports a position of the stream as one of the caller's audio.
    fn heed_at(&self, offset_ms: u64, what: impl FnOnce(u64) -> Listened) {
        let samples = offset_ms * u64::from(SampleRate::Hz16000.hertz()) / 1_000;
        if let Some(position) = self.positions.caller_at(samples) {
            self.heed(what(position));
        }
    }

    fn on_audio(&mut self, chunk: AudioChunk, ctx: &mut Context<Self>) {
        // The model speaks on, so what the caller says is no barge-in as yet.
        self.forget_barge_in(ctx);
        if !std::mem::replace(&mut self.turn_has_audio, true) {
            self.tell(StreamNews::FirstAudio);
        }
        self.around.playback.offer(Playback::Audio { epoch: self.epoch, chunk });
    }

    /// Barge-in: from here on, older audio is stale everywhere.
    fn interrupt(&mut self, ctx: &mut Context<Self>) {
        self.forget_barge_in(ctx);
        self.around.meters.barge_ins.inc();
        self.flush(false);
        self.tell(StreamNews::Interrupted);
    }

    fn flush(&mut self, unheard_only: bool) {
        self.epoch = self.epoch.next();
        self.around.playback.control(Playback::Flush { epoch: self.epoch, unheard_only });
    }

    /// The caller speaks. If the model neither marks an interruption nor speaks on, whatever
    /// the caller has not heard yet is flushed after a grace.
    fn expect_barge_in(&mut self, ctx: &mut Context<Self>) {
        self.forget_barge_in(ctx);
        let grace = self.around.clock.wait(SILENT_BARGE_IN);
        self.silent_barge_in = Some(ctx.run_later(grace, |actor, _| {
            actor.silent_barge_in = None;
            if actor.session.user_is_speaking() {
                actor.flush(true);
            }
        }));
    }

    fn forget_barge_in(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.silent_barge_in.take() {
            ctx.cancel_future(timer);
        }
    }
}

impl Actor for SonicActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let mut opening = Vec::new();
        while let Some(Transmit::Event(event)) = self.session.poll_transmit() {
            opening.push(event);
        }
        tracing::debug!(
            stream = self.number,
            events = opening.len(),
            open = self.open.0.get(),
            "opening a stream"
        );
        let opened = self.around.port.open(opening).into_actor(self);
        ctx.spawn(opened.map(|result, actor, ctx| actor.opened(result, ctx)));
    }
}

answer_probes!(SonicActor);

impl StreamHandler<Result<Bytes, StreamFault>> for SonicActor {
    fn handle(&mut self, item: Result<Bytes, StreamFault>, ctx: &mut Self::Context) {
        match item {
            Ok(event) => {
                self.patience.heard(self.around.clock.now());
                self.session.receive(&event);
                self.drive(ctx);
            }
            Err(fault) => self.end(Some(fault), ctx),
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        let unasked = || StreamFault::new(FaultKind::Closed, "the service closed the stream");
        self.end((self.life == Life::Serving).then(unasked), ctx);
    }
}

impl Handler<Queued<CallerAudio>> for SonicActor {
    type Result = ();

    fn handle(&mut self, queued: Queued<CallerAudio>, ctx: &mut Self::Context) {
        let Some(CallerAudio { mut position, chunk: mut audio }) = queued.take() else { return };
        if self.life != Life::Serving {
            return;
        }
        self.feeder.sent(audio.duration(), self.around.clock.now());
        self.patience.fed(&audio, self.around.clock.now());
        while !audio.is_empty() {
            let piece = audio.split_to(audio.rate().bytes_in_ms(LARGEST_EVENT_MS));
            let (heard, samples) = (self.session.input_position(), piece.samples() as u64);
            match self.session.push_audio(&piece) {
                Ok(()) => self.positions.sent(heard, position, samples),
                Err(refused) => tracing::debug!(%refused, "caller audio was not taken"),
            }
            position += samples;
        }
        self.drive(ctx);
    }
}

impl Handler<TakeOver> for SonicActor {
    type Result = ();

    fn handle(&mut self, TakeOver { history }: TakeOver, ctx: &mut Self::Context) {
        self.session.begin(&history);
        self.begin_if_live();
        self.drive(ctx);
    }
}

impl Handler<Retire> for SonicActor {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        if self.sender.is_none() {
            return self.end(None, ctx);
        }
        self.forget_barge_in(ctx);
        self.session.cut_off();
        self.drive_events(ctx);
        self.life = Life::Retired;
        self.session.finish();
        self.drive(ctx);
    }
}

impl Handler<SendText> for SonicActor {
    type Result = ();

    fn handle(&mut self, SendText(text): SendText, ctx: &mut Self::Context) {
        match self.session.push_text(&text) {
            Ok(()) => self.patience.owed(self.around.clock.now()),
            Err(refused) => tracing::warn!(%refused, "a text was not sent to the model"),
        }
        self.drive(ctx);
    }
}

impl Handler<AnswerTool> for SonicActor {
    type Result = ();

    fn handle(&mut self, answer: AnswerTool, ctx: &mut Self::Context) {
        match self.session.push_tool_result(&answer.tool_use_id, &answer.result) {
            Ok(()) => self.patience.owed(self.around.clock.now()),
            // Unknown: the model was answered already.
            Err(refused) => {
                tracing::info!(%refused, tool_use_id = answer.tool_use_id, "tool result dropped");
            }
        }
        self.drive(ctx);
    }
}

impl Handler<DeclareInterruption> for SonicActor {
    type Result = ();

    fn handle(&mut self, _: DeclareInterruption, ctx: &mut Self::Context) {
        self.session.declare_interruption();
        self.drive(ctx);
    }
}

impl Handler<FinishStream> for SonicActor {
    type Result = ();

    fn handle(&mut self, _: FinishStream, ctx: &mut Self::Context) {
        if self.life == Life::Serving {
            self.life = Life::Finishing;
        }
        if self.sender.is_none() {
            // Still opening: dropping the request cancels it.
            return self.end(None, ctx);
        }
        self.session.finish();
        self.drive(ctx);
    }
}
