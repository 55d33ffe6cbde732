//! One stream of the service: the rules, the clocks, the ear, the script and the conversation,
//! put together. Still without I/O and without a clock of its own: `run` feeds it events, audio of
//! the voice and the time since the stream opened, and carries out its [`Act`]s.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::clocks::Patience;
use super::conversation::{Act, Conversation};
use super::echo::Echo;
use super::faults::{self, Blow, PendingFaults};
use super::input::ClientEvent;
use super::order::{Accepted, Order, Prompt, Sensitivity};
use super::reply::Reply;
use super::violation::Violation;
use super::{Exception, Outbound};
use crate::config::{Generation, ResponseHead};
use crate::ear::{EarEvent, MIN_TURN_MS};
use crate::listener::{Listener, Noticed, Understood};
use crate::observe::SessionRecord;
use crate::script::{Heard, NOT_RECOGNISED, Script, typed};
use crate::world::World;

/// Audio that must have come since the last interactive text for the next one to be answered
/// (`nova-sonic.md` §2.7).
const FRESH_AUDIO: Duration = Duration::from_millis(68);
/// How soon the service closes after a prompt that follows the prompt's end (§2.2).
const CLOSE_AFTER_SECOND_PROMPT: Duration = Duration::from_millis(200);
/// How long the service waits for the client's end of input after `sessionEnd`.
const CLOSE_AFTER_SESSION_END: Duration = Duration::from_secs(1);

/// What became of the prompt.
#[derive(Debug)]
enum Talk {
    /// None yet.
    None,
    /// The scenario is played.
    Scripted(Box<Scripted>),
    /// The caller's audio comes back.
    Echo(Box<Echo>),
    /// It is over.
    Finished,
}

#[derive(Debug)]
struct Scripted {
    conversation: Conversation,
    script: Script,
    listener: Option<Listener>,
    rate_hz: u32,
}

/// The caller's audio, counted.
#[derive(Debug, Default)]
struct AudioIn {
    rate_hz: u32,
    /// Bytes since the last interactive text.
    fresh: usize,
    /// Bytes in all.
    heard: usize,
    /// Decoded audio of the event at hand; kept for its capacity.
    scratch: Vec<u8>,
}

impl AudioIn {
    fn is_fresh(&self) -> bool {
        self.rate_hz > 0 && self.duration(self.fresh) >= FRESH_AUDIO
    }

    fn heard(&self) -> Duration {
        self.duration(self.heard)
    }

    fn duration(&self, bytes: usize) -> Duration {
        let samples = bytes as u64 / 2;
        Duration::from_micros(samples * 1_000_000 / u64::from(self.rate_hz.max(1)))
    }
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Service {
    model: Generation,
    world: Arc<World>,
    record: SessionRecord,
    order: Order,
    patience: Patience,
    faults: PendingFaults,
    talk: Talk,
    sensitivity: Sensitivity,
    audio: AudioIn,
    events: u64,
    head_sent: bool,
    closing_at: Option<Duration>,
    /// Silent for good; the stream stays open until the client leaves.
    hung: bool,
    over: bool,
    acts: VecDeque<Act>,
    /// Kept for its capacity.
    echoed: VecDeque<Outbound>,
}

impl Service {
    /// A stream that opened just now.
    pub(crate) fn new(model: Generation, world: Arc<World>, record: SessionRecord) -> Self {
        let mut service = Self {
            model,
            order: Order::new(model),
            patience: Patience::new(&world.config.clocks),
            faults: PendingFaults::of(world.config.faults_of(record.ordinal())),
            talk: Talk::None,
            sensitivity: Sensitivity::default(),
            audio: AudioIn::default(),
            events: 0,
            head_sent: false,
            closing_at: None,
            hung: false,
            over: false,
            acts: VecDeque::new(),
            echoed: VecDeque::new(),
            world,
            record,
        };
        service.release_head(ResponseHead::Immediately);
        service
    }

    /// The next thing to do, in order. Nothing follows [`Act::Over`].
    pub(crate) fn next_act(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// When [`Service::tick`] is wanted, at the latest.
    pub(crate) fn deadline(&self) -> Duration {
        if self.hung {
            return Duration::MAX;
        }
        let talk = match &self.talk {
            Talk::Scripted(scripted) => scripted.conversation.deadline(),
            _ => None,
        };
        [talk, self.closing_at].into_iter().flatten().fold(self.patience.deadline(), Ord::min)
    }

    /// Rate of the voice.
    pub(crate) fn voice_rate_hz(&self) -> u32 {
        match &self.talk {
            Talk::Scripted(scripted) => scripted.rate_hz,
            _ => 0,
        }
    }

    /// The JSON of one client event.
    pub(crate) fn event(&mut self, now: Duration, json: &[u8]) {
        // After `sessionEnd` nothing is read any more.
        if self.over || self.closing_at.is_some() {
            return;
        }
        if self.hung {
            return self.hear_to_no_effect(json);
        }
        if let Err(violation) = self.take(now, json) {
            self.refuse(violation.to_string());
        }
        self.events += 1;
        let blows =
            [self.faults.after_events(self.events), self.faults.after_audio(self.audio.heard())];
        for blow in blows.into_iter().flatten() {
            self.strike(blow);
        }
        self.collect();
    }

    /// What a stream that hangs has heard all the same goes into its record.
    fn hear_to_no_effect(&mut self, json: &[u8]) {
        if let Ok(ClientEvent::AudioInput(data)) = ClientEvent::parse(json) {
            self.audio.scratch.clear();
            if STANDARD.decode_vec(&*data.content, &mut self.audio.scratch).is_ok() {
                self.record.audio(&self.audio.scratch);
            }
        }
    }

    /// A frame without an event in it.
    pub(crate) fn malformed(&mut self, what: String) {
        self.refuse(what);
    }

    /// The client ended its input.
    pub(crate) fn input_ended(&mut self) {
        let reason = if self.closing_at.is_some() {
            "ended in order"
        } else {
            self.finish();
            "the client ended its input without sessionEnd"
        };
        self.close(reason);
    }

    /// Audio of the sentence last asked for.
    pub(crate) fn voice(&mut self, now: Duration, pcm: &[u8]) {
        if let Talk::Scripted(scripted) = &mut self.talk {
            scripted.conversation.voice(now, pcm);
        }
        self.collect();
    }

    /// The sentence last asked for is spoken.
    pub(crate) fn voice_ended(&mut self, now: Duration) {
        if let Talk::Scripted(scripted) = &mut self.talk {
            scripted.conversation.voice_ended(now);
        }
        self.collect();
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Duration) {
        if self.hung {
            return;
        }
        if self.closing_at.is_some_and(|at| now >= at) {
            return self.close("ended in order; the client kept its input open");
        }
        if let Some(expiry) = self.patience.expired(now) {
            let mut exception = self.patience.exception(expiry);
            if exception.kind == super::ExceptionKind::Validation {
                exception.message = self.prefixed(&exception.message);
            }
            return self.fail(exception);
        }
        if let Talk::Scripted(scripted) = &mut self.talk {
            scripted.conversation.tick(now);
        }
        self.collect();
    }

    fn take(&mut self, now: Duration, json: &[u8]) -> Result<(), Violation> {
        let event = match ClientEvent::parse(json) {
            Ok(event) => event,
            Err(violation) => {
                self.record.event("unparsable", json);
                return Err(violation);
            }
        };
        let name = event.name();
        if name != "audioInput" {
            self.record.event(name, json);
        }
        match self.order.accept(event)? {
            Accepted::Audio(base64) => self.audio(now, &base64)?,
            Accepted::Noted => {}
            Accepted::SessionStarted(sensitivity) => self.sensitivity = sensitivity,
            Accepted::PromptStarted(prompt) => {
                self.begin(prompt);
                self.release_head(ResponseHead::AfterPromptStart);
            }
            Accepted::ContextEnded { bytes } => {
                if let Talk::Scripted(scripted) = &mut self.talk {
                    scripted.conversation.read(bytes);
                }
            }
            Accepted::History { by_caller, text } => {
                if let Talk::Scripted(scripted) = &mut self.talk {
                    scripted.conversation.read(text.len());
                    match by_caller {
                        true => scripted.script.recall_caller(&text),
                        false => scripted.script.recall_assistant(&text),
                    }
                }
            }
            Accepted::AudioOpened { rate_hz } => self.audio_opened(rate_hz),
            Accepted::AudioClosed => self.audio_closed(now),
            Accepted::Text(text) => self.text(now, &text),
            Accepted::ToolResult { id, result } => self.tool_result(now, &id, &result),
            Accepted::PromptEnded => self.finish(),
            Accepted::PromptAfterEnd => {
                self.closing_at = Some(now + CLOSE_AFTER_SECOND_PROMPT);
            }
            Accepted::SessionEnded => {
                self.finish();
                self.closing_at = Some(now + CLOSE_AFTER_SESSION_END);
            }
        }
        if name == "contentEnd" {
            self.release_head(ResponseHead::AfterFirstContentEnd);
        }
        Ok(())
    }

    fn begin(&mut self, prompt: Prompt) {
        let reply = Reply::new(prompt.name, prompt.rate_hz);
        let config = &self.world.config;
        self.talk = if config.echo {
            Talk::Echo(Box::new(Echo::new(reply)))
        } else {
            let faults = PendingFaults::of(config.faults_of(self.record.ordinal()));
            let mut conversation = Conversation::new(reply, self.model, faults);
            conversation.read(prompt.tool_bytes);
            Talk::Scripted(Box::new(Scripted {
                conversation,
                script: Script::new(Arc::clone(&config.scenario)),
                listener: None,
                rate_hz: prompt.rate_hz,
            }))
        };
    }

    fn audio_opened(&mut self, rate_hz: u32) {
        self.audio.rate_hz = rate_hz;
        match &mut self.talk {
            Talk::Scripted(scripted) => {
                let pause = &self.world.config.clocks.pause;
                let pause = match self.sensitivity {
                    Sensitivity::High => pause.high,
                    Sensitivity::Medium => pause.medium,
                    Sensitivity::Low => pause.low,
                };
                let ears = self.world.ears.as_deref();
                scripted.listener = Some(Listener::new(rate_hz, pause, ears));
            }
            Talk::Echo(echo) => {
                if let Err(error) = echo.opened(rate_hz) {
                    // Cannot happen: `order` lets only rates through that the resampler has.
                    tracing::error!(%error, "the echo stays silent");
                }
            }
            Talk::None | Talk::Finished => {}
        }
    }

    fn audio(&mut self, now: Duration, base64: &str) -> Result<(), Violation> {
        self.audio.scratch.clear();
        STANDARD.decode_vec(base64, &mut self.audio.scratch).map_err(|_| Violation::Unparsable)?;
        let pcm = &self.audio.scratch;
        self.audio.fresh = self.audio.fresh.saturating_add(pcm.len());
        self.audio.heard = self.audio.heard.saturating_add(pcm.len());
        self.patience.heard_input(now);
        self.record.audio(pcm);
        match &mut self.talk {
            Talk::Echo(echo) => echo.audio(base64, pcm, &mut self.echoed),
            Talk::Scripted(scripted) => {
                let Scripted { listener, script, .. } = &mut **scripted;
                let ears = self.world.ears.as_deref();
                let domain = || ears.and_then(|ears| ears.in_state(script.place()));
                let noticed = listener.as_mut().map(|listener| listener.push(pcm, &domain));
                for noticed in noticed.unwrap_or_default() {
                    self.noticed(now, noticed);
                }
            }
            Talk::None | Talk::Finished => {}
        }
        Ok(())
    }

    fn audio_closed(&mut self, now: Duration) {
        match &mut self.talk {
            Talk::Echo(echo) => echo.closed(&mut self.echoed),
            Talk::Scripted(scripted) => {
                let ended = scripted.listener.take().and_then(|mut listener| listener.force_end());
                if let Some(ended) = ended {
                    self.noticed(now, ended);
                }
            }
            Talk::None | Talk::Finished => {}
        }
    }

    fn noticed(&mut self, now: Duration, noticed: Noticed) {
        self.patience.heard_user(now);
        let Talk::Scripted(scripted) = &mut self.talk else { return };
        let Scripted { conversation, script, .. } = &mut **scripted;
        match noticed {
            Noticed::Started { offset_ms } => conversation.user_speech_started(now, offset_ms),
            // The service has no partial texts of the caller's.
            Noticed::Partial { .. } => {}
            Noticed::Ended { end, said, .. } => {
                let EarEvent::SpeechEnded { offset_ms, detected_ms, speech_ms } = end else {
                    return;
                };
                let heard = match &said {
                    Understood::Words(heard) => Some(heard.text()),
                    Understood::Deaf | Understood::Unclear => None,
                };
                // A short word that was understood is a turn, a short noise is not.
                let is_turn = end.is_turn() || heard.is_some();
                let text = heard.as_deref().unwrap_or(NOT_RECOGNISED);
                let text = is_turn.then_some(text);
                conversation.user_speech_ended(now, offset_ms, detected_ms, speech_ms, text);
                if is_turn {
                    let ms = speech_ms.max(MIN_TURN_MS);
                    let steps = script.hear(match said {
                        Understood::Deaf => Heard::Speech { ms, words: None },
                        Understood::Unclear => Heard::Unclear { ms },
                        Understood::Words(_) => Heard::Speech { ms, words: heard.as_deref() },
                    });
                    conversation.begin(now, steps);
                }
            }
        }
    }

    fn text(&mut self, now: Duration, text: &str) {
        self.patience.heard_input(now);
        self.patience.heard_user(now);
        let Talk::Scripted(scripted) = &mut self.talk else { return };
        let Scripted { conversation, script, .. } = &mut **scripted;
        // The first generation is not moved by text (§2.8).
        if self.model == Generation::V1 {
            return conversation.read(text.len());
        }
        if !self.audio.is_fresh() {
            return conversation.typed_in_vain(text);
        }
        self.audio.fresh = 0;
        // A bare greeting as the first text is the cue to speak first (§2.8), unless an earlier
        // stream is continued. Anything else is a question, and is answered.
        let first = !conversation.has_begun() && !self.order.has_history();
        let cue = first && is_bare_greeting(text);
        conversation.typed(now, text);
        let mut steps = if cue { script.hear(Heard::Greeting) } else { Vec::new() };
        if steps.is_empty() {
            steps = match script.hear_left_over(text) {
                Some(steps) => steps,
                None => script.hear(typed(text)),
            };
        }
        conversation.begin(now, steps);
    }

    fn tool_result(&mut self, now: Duration, id: &str, result: &serde_json::Value) {
        let Talk::Scripted(scripted) = &mut self.talk else { return };
        let Scripted { conversation, script, .. } = &mut **scripted;
        let Some(tool) = conversation.take_call(id) else { return };
        let steps = script.hear(Heard::ToolResult { tool_use_name: &tool, result });
        conversation.begin(now, steps);
    }

    fn finish(&mut self) {
        match &mut self.talk {
            Talk::Scripted(scripted) => scripted.conversation.finish(),
            Talk::Echo(echo) => echo.finish(&mut self.echoed),
            Talk::None | Talk::Finished => {}
        }
        self.collect();
        self.talk = Talk::Finished;
    }

    fn strike(&mut self, blow: Blow) {
        self.collect();
        match blow {
            Blow::Bytes(bytes) => self.send(Outbound::Raw(bytes)),
            Blow::UnknownEvent => self.send(Outbound::Event(faults::unknown_event())),
            Blow::Hang { deaf } => self.hang(deaf),
            Blow::Fatal { sent, end } => {
                for outbound in sent {
                    self.send(outbound);
                }
                self.end(end);
            }
        }
    }

    fn hang(&mut self, deaf: Duration) {
        self.hung = true;
        self.record.end(if deaf.is_zero() { "fault: hung" } else { "fault: deaf" });
        self.acts.push_back(Act::Hang { deaf });
    }

    /// Answers a broken rule: the text with the prefix of the real service, and the end (§1.5).
    fn refuse(&mut self, text: String) {
        let exception = Exception::validation(self.prefixed(&text));
        self.fail(exception);
    }

    fn fail(&mut self, exception: Exception) {
        self.collect();
        let end = format!("{}: {}", exception.kind.wire_name(), exception.message);
        self.send(Outbound::Exception(exception));
        self.send(Outbound::End);
        self.end(&end);
    }

    fn close(&mut self, reason: &str) {
        self.collect();
        self.send(Outbound::End);
        self.end(reason);
    }

    fn end(&mut self, reason: &str) {
        if !self.over {
            self.over = true;
            self.record.end(reason);
            self.acts.push_back(Act::Over);
        }
    }

    fn prefixed(&self, text: &str) -> String {
        format!("RequestId={} : {text}", self.record.id())
    }

    /// Takes over what the conversation or the echo wants done.
    fn collect(&mut self) {
        if self.hung {
            return;
        }
        while let Some(outbound) = self.echoed.pop_front() {
            self.send(outbound);
        }
        loop {
            let Talk::Scripted(scripted) = &mut self.talk else { return };
            if scripted.conversation.has_begun() {
                self.order.conversation_began();
            }
            let Some(act) = scripted.conversation.next_act() else { return };
            match act {
                Act::Send(outbound) => self.send(outbound),
                Act::Called(id) => self.order.tool_called(&id),
                Act::Struck(end) => self.end(end),
                Act::Hang { deaf } => self.hang(deaf),
                act => {
                    if !self.over {
                        self.acts.push_back(act);
                    }
                }
            }
        }
    }

    /// Every output but a break needs the head first (§1.7).
    fn send(&mut self, outbound: Outbound) {
        if self.over || self.hung {
            return;
        }
        if !self.head_sent && !matches!(outbound, Outbound::Reset | Outbound::Cut) {
            self.head_sent = true;
            if !matches!(outbound, Outbound::Head) {
                self.acts.push_back(Act::Send(Outbound::Head));
            }
        }
        self.acts.push_back(Act::Send(outbound));
    }

    fn release_head(&mut self, moment: ResponseHead) {
        if self.world.config.head == moment && !self.head_sent {
            self.send(Outbound::Head);
        }
    }
}

/// Whether a text says hello and nothing else.
fn is_bare_greeting(text: &str) -> bool {
    let word = text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    matches!(word.as_str(), "hi" | "hello" | "hey")
}

#[cfg(test)]
mod tests;
