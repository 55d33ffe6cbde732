//! The Sonic stream: one stream to Nova Sonic, from its opening to its end.
//!
//! A shell around [`voice_sonic::Session`]: what arrives is fed to the machine, what the machine
//! wants sent goes to the port, what it has to tell goes to the client (audio) or to the
//! supervisor (everything else). A stream that ends, in whatever way, is not opened anew here:
//! the supervisor starts the next one.

pub mod feeder;

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
use voice_call::{
    AudioChunk, Epoch, FaultKind, Meters, SonicPort, SonicStream, StreamFault,
    port::{SendRefused, SonicSender},
};
use voice_sonic::{Line, Session, SessionEvent, SessionSettings, Transmit, Usage};

use self::feeder::Feeder;
use crate::{
    client::Playback,
    mailbox::{Outbox, Queued, control},
};

/// The most caller audio that goes into one event (`nova-sonic.md` §4.2: 10 to 100 ms work).
const LARGEST_EVENT_MS: u32 = 100;

/// How long the caller speaks over audio that the model believes to be heard before it is
/// flushed all the same (`nova-sonic.md` §3.5: some barge-ins come without their marker).
const SILENT_BARGE_IN: Duration = Duration::from_millis(500);

/// A piece of the caller's voice.
#[derive(Debug)]
pub struct CallerAudio(pub(crate) AudioChunk);

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
    /// The service answered; the audio container is open.
    Opened,
    /// The caller began to speak.
    SpeechStarted,
    /// The caller stopped speaking, that long ago.
    SpeechEnded { ago: Duration },
    /// The transcript has a new line, or a line changed.
    Line(Line),
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
    /// The stream is over: with a fault, or in order.
    Ended(Option<StreamFault>),
}

/// The actor.
pub(crate) struct SonicActor {
    number: u32,
    session: Session,
    port: Arc<dyn SonicPort>,
    sender: Option<Box<dyn SonicSender>>,
    playback: Outbox<Playback>,
    call: Recipient<StreamEvent>,
    meters: Meters,
    open: GaugeGuard,
    epoch: Epoch,
    feeder: Option<Feeder>,
    /// Runs while the caller speaks over audio that may be unheard.
    silent_barge_in: Option<SpawnHandle>,
    turn_has_audio: bool,
    finishing: bool,
    over: bool,
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
    /// The call's stream of this number.
    pub(crate) fn new(
        number: u32,
        settings: SessionSettings,
        port: Arc<dyn SonicPort>,
        playback: Outbox<Playback>,
        call: Recipient<StreamEvent>,
        meters: Meters,
    ) -> Self {
        Self {
            number,
            session: Session::new(settings),
            port,
            sender: None,
            playback,
            call,
            open: GaugeGuard::new(&meters.open_streams),
            meters,
            epoch: Epoch::of_stream(number),
            feeder: None,
            silent_barge_in: None,
            turn_has_audio: false,
            finishing: false,
            over: false,
        }
    }

    fn tell(&self, event: StreamNews) {
        control(&self.call, StreamEvent { stream: self.number, event });
    }

    /// Ends the actor, once, and says why.
    fn end(&mut self, fault: Option<StreamFault>, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.over, true) {
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
        self.feeder = Some(Feeder::new(Instant::now()));
        ctx.run_interval(feeder::INTERVAL, |actor, ctx| actor.feed(ctx));
        self.tell(StreamNews::Opened);
        self.drive(ctx);
    }

    /// Fills the caller's silence.
    fn feed(&mut self, ctx: &mut Context<Self>) {
        let due = self.feeder.as_mut().and_then(|feeder| feeder.due(Instant::now()));
        if let Some(silence) = due.filter(|_| !self.finishing) {
            let rate = voice_call::SampleRate::Hz16000;
            let silence = AudioChunk::silence(rate, silence.as_millis() as u32);
            // Refused only when the session is over, and then silence is not missed.
            let _ = self.session.push_audio(&silence);
            self.drive(ctx);
        }
    }

    /// Carries out what the machine wants, until it wants nothing more.
    fn drive(&mut self, ctx: &mut Context<Self>) {
        self.drive_transmit(ctx);
        while let Some(event) = self.session.poll_event() {
            self.on_session_event(event, ctx);
        }
        self.drive_transmit(ctx);
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
            SessionEvent::UserSpeechStarted { .. } => {
                self.tell(StreamNews::SpeechStarted);
                self.expect_barge_in(ctx);
            }
            SessionEvent::UserSpeechEnded { offset_ms, detected_ms } => {
                self.forget_barge_in(ctx);
                let ago = Duration::from_millis(detected_ms.saturating_sub(offset_ms));
                self.tell(StreamNews::SpeechEnded { ago });
            }
            SessionEvent::Line(line) => self.tell(StreamNews::Line(line)),
            SessionEvent::AssistantTurnStarted => self.turn_has_audio = false,
            SessionEvent::AssistantTurnEnded { interrupted } => {
                self.tell(StreamNews::TurnEnded { interrupted });
            }
            SessionEvent::ToolCall { tool_use_id, name, input } => {
                self.tell(StreamNews::ToolCall { tool_use_id, name, input });
            }
            SessionEvent::Usage(usage) => self.tell(StreamNews::Usage(usage)),
            SessionEvent::Completed => tracing::debug!("the service completed the stream"),
            SessionEvent::Unknown { name } => {
                self.meters.unknown_events.inc();
                tracing::debug!(name, "unknown event of the service");
            }
            SessionEvent::Malformed { reason } => {
                self.meters.unknown_events.inc();
                tracing::warn!(reason, "malformed event of the service");
            }
        }
    }

    fn on_audio(&mut self, chunk: AudioChunk, ctx: &mut Context<Self>) {
        // The model speaks on, so what the caller says is no barge-in as yet.
        self.forget_barge_in(ctx);
        if !std::mem::replace(&mut self.turn_has_audio, true) {
            self.tell(StreamNews::FirstAudio);
        }
        self.playback.offer(Playback::Audio { epoch: self.epoch, chunk });
    }

    /// Barge-in: from here on, older audio is stale everywhere.
    fn interrupt(&mut self, ctx: &mut Context<Self>) {
        self.forget_barge_in(ctx);
        self.meters.barge_ins.inc();
        self.epoch = self.epoch.next();
        self.playback.control(Playback::Flush { epoch: self.epoch, unheard_only: false });
        self.tell(StreamNews::Interrupted);
    }

    /// The caller speaks. If the model neither marks an interruption nor speaks on, whatever
    /// the caller has not heard yet is flushed after a grace.
    fn expect_barge_in(&mut self, ctx: &mut Context<Self>) {
        self.forget_barge_in(ctx);
        self.silent_barge_in = Some(ctx.run_later(SILENT_BARGE_IN, |actor, _| {
            actor.silent_barge_in = None;
            if actor.session.user_is_speaking() {
                actor.epoch = actor.epoch.next();
                actor.playback.control(Playback::Flush { epoch: actor.epoch, unheard_only: true });
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
        let opened = self.port.open(opening).into_actor(self);
        ctx.spawn(opened.map(|result, actor, ctx| actor.opened(result, ctx)));
    }
}

impl StreamHandler<Result<Bytes, StreamFault>> for SonicActor {
    fn handle(&mut self, item: Result<Bytes, StreamFault>, ctx: &mut Self::Context) {
        match item {
            Ok(event) => {
                self.session.receive(&event);
                self.drive(ctx);
            }
            Err(fault) => self.end(Some(fault), ctx),
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        let asked = self.finishing;
        let unasked = || StreamFault::new(FaultKind::Closed, "the service closed the stream");
        self.end((!asked).then(unasked), ctx);
    }
}

impl Handler<Queued<CallerAudio>> for SonicActor {
    type Result = ();

    fn handle(&mut self, queued: Queued<CallerAudio>, ctx: &mut Self::Context) {
        let Some(CallerAudio(mut audio)) = queued.take() else { return };
        if let Some(feeder) = &mut self.feeder {
            feeder.sent(audio.duration(), Instant::now());
        }
        while !audio.is_empty() {
            let piece = audio.split_to(audio.rate().bytes_in_ms(LARGEST_EVENT_MS));
            if let Err(refused) = self.session.push_audio(&piece) {
                tracing::debug!(%refused, "caller audio was not taken");
            }
        }
        self.drive(ctx);
    }
}

impl Handler<SendText> for SonicActor {
    type Result = ();

    fn handle(&mut self, SendText(text): SendText, ctx: &mut Self::Context) {
        if let Err(refused) = self.session.push_text(&text) {
            tracing::warn!(%refused, "a text was not sent to the model");
        }
        self.drive(ctx);
    }
}

impl Handler<AnswerTool> for SonicActor {
    type Result = ();

    fn handle(&mut self, answer: AnswerTool, ctx: &mut Self::Context) {
        if let Err(refused) = self.session.push_tool_result(&answer.tool_use_id, &answer.result) {
            // Late or unknown: the stream that asked is gone.
            tracing::info!(%refused, tool_use_id = answer.tool_use_id, "tool result dropped");
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
        self.finishing = true;
        if self.sender.is_none() {
            // Still opening: dropping the request cancels it.
            return self.end(None, ctx);
        }
        self.session.finish();
        self.drive(ctx);
    }
}
