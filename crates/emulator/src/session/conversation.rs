//! Who speaks, and what goes out for it: turns, barge-in, tool calls, FINAL texts
//! (`nova-sonic.md` §2.7, §3.3–§3.9). Pure: the time since the stream opened is an argument, the
//! voice is somebody else's, and what is to be done comes out as [`Act`]s.
//!
//! It does not decide what to say: `service` asks the script and hands the steps in. It does not
//! hear: `service` has the ear.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use super::Outbound;
use super::faults::{self, Blow, PendingFaults};
use super::playout::{Playout, Spoken};
use super::reply::{AudioBlock, Reply, StopReason, TextKind};
use super::usage::Usage;
use crate::config::Generation;
use crate::script::{BargeIn, Finals, Step};

/// What the shell is to do.
#[derive(Debug)]
pub(crate) enum Act {
    /// Send this.
    Send(Outbound),
    /// Speak this text: its audio comes back through [`Conversation::voice`].
    Say(String),
    /// Stop speaking: nothing more comes back for the last [`Act::Say`].
    Hush,
    /// A tool was called: from now on its result is in order.
    Called(String),
    /// A fault ended the stream: how, for the record. What it sends was said before.
    Struck(&'static str),
    /// Say nothing more, and read nothing for a while; the stream stays open.
    Hang {
        /// How long nothing is read.
        deaf: Duration,
    },
    /// The stream is over. Nothing follows; only `service` says it.
    Over,
}

/// The assistant's mouth.
///
/// ```text
///            begin: next step is Say                 voice ends: no step left
///   ┌─────┐ ────────────────────────► ┌──────────┐ ─────────────────────────► Quiet
///   │Quiet│                           │ Speaking │ ──┐ voice ends: next Say
///   └─────┘ ◄──────────────────────── └──────────┘ ◄─┘
///      │      barge-in, end            ▲      │
///      │ Pause                         │ Say  │ Pause
///      ▼            time is up         │      ▼
///   ┌─────────┐ ───────────────────────┘  Pausing
///   │ Pausing │ ── barge-in ──► Quiet
///   └─────────┘
/// ```
#[derive(Debug)]
enum Mouth {
    Quiet,
    Speaking(Sentence),
    Pausing { until: Duration },
}

/// The sentence in the making.
#[derive(Debug)]
struct Sentence {
    text: String,
    /// The AUDIO block, once the voice gave its first chunk.
    block: Option<AudioBlock>,
    /// When its playout begins.
    from: Duration,
    audio: Duration,
}

/// The conversation of one prompt.
#[derive(Debug)]
pub(crate) struct Conversation {
    reply: Reply,
    generation: Generation,
    barge_in: BargeIn,
    finals: Finals,
    finals_due: Option<Duration>,
    mouth: Mouth,
    /// What is left of the answer under way.
    steps: VecDeque<Step>,
    /// Answers that wait until mouth and caller are quiet.
    waiting: VecDeque<Vec<Step>>,
    user_speaks: bool,
    playout: Playout,
    usage: Usage,
    faults: PendingFaults,
    completing: bool,
    /// Answers begun.
    turns: u32,
    /// Sentences of the answer under way.
    sentences: u32,
    calls: HashMap<String, String>,
    over: bool,
    acts: VecDeque<Act>,
}

impl Conversation {
    /// A conversation before its first word.
    pub(crate) fn new(reply: Reply, generation: Generation, faults: PendingFaults) -> Self {
        Self {
            reply,
            generation,
            barge_in: BargeIn::default(),
            finals: Finals::default(),
            finals_due: None,
            mouth: Mouth::Quiet,
            steps: VecDeque::new(),
            waiting: VecDeque::new(),
            user_speaks: false,
            playout: Playout::default(),
            usage: Usage::default(),
            faults,
            completing: false,
            turns: 0,
            sentences: 0,
            calls: HashMap::new(),
            over: false,
            acts: VecDeque::new(),
        }
    }

    /// The next thing to do, in order.
    pub(crate) fn next_act(&mut self) -> Option<Act> {
        self.acts.pop_front()
    }

    /// When [`Conversation::tick`] is wanted.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let pause = match self.mouth {
            Mouth::Pausing { until } => Some(until),
            _ => None,
        };
        [pause, self.finals_due].into_iter().flatten().min()
    }

    /// Whether the first turn, of either side, has begun.
    pub(crate) fn has_begun(&self) -> bool {
        self.completing
    }

    /// Text that the model reads as context.
    pub(crate) fn read(&mut self, bytes: usize) {
        self.usage.read(bytes);
    }

    /// The caller began to speak, which interrupts the assistant.
    pub(crate) fn user_speech_started(&mut self, now: Duration, offset_ms: u64) {
        self.user_speaks = true;
        if self.generation != Generation::V1 {
            let event = self.reply.user_speech_start(offset_ms, self.completing);
            self.send(event);
        }
        self.input_began(now);
        if self.generation != Generation::V1 {
            self.complete();
        }
    }

    /// The caller has finished. `heard` is what the USER text says; `None` for noise, which is
    /// not a turn. The answer follows by [`Conversation::begin`].
    pub(crate) fn user_speech_ended(
        &mut self,
        now: Duration,
        offset_ms: u64,
        detected_ms: u64,
        speech_ms: u64,
        heard: Option<&str>,
    ) {
        self.user_speaks = false;
        if self.generation != Generation::V1 {
            let event = self.reply.user_speech_end(offset_ms, detected_ms);
            self.send(event);
        }
        if let Some(text) = heard {
            self.complete();
            self.usage.heard(Duration::from_millis(speech_ms));
            self.report_usage();
            self.send_text(TextKind::User, text, StopReason::PartialTurn);
            self.usage.read(text.len());
        } else {
            self.next_waiting(now);
        }
    }

    /// Interactive text. It interrupts the assistant like speech, but has no USER text of its own
    /// (§3.8). The answer follows by [`Conversation::begin`].
    pub(crate) fn typed(&mut self, now: Duration, text: &str) {
        self.usage.read(text.len());
        self.input_began(now);
        self.complete();
    }

    /// Interactive text that gets no answer, for want of audio: it is billed all the same (§2.7).
    pub(crate) fn typed_in_vain(&mut self, text: &str) {
        self.usage.read(text.len());
        self.usage.answering();
        self.report_usage();
    }

    /// The tool that was called under `id`, once.
    pub(crate) fn take_call(&mut self, id: &str) -> Option<String> {
        self.calls.remove(id)
    }

    /// Carries out an answer, at once or when mouth and caller are quiet.
    pub(crate) fn begin(&mut self, now: Duration, steps: Vec<Step>) {
        if steps.is_empty() || self.over {
            self.next_waiting(now);
            return;
        }
        if self.user_speaks || !self.is_quiet() {
            self.waiting.push_back(steps);
            return;
        }
        self.steps = steps.into();
        self.turns += 1;
        self.sentences = 0;
        self.complete();
        self.usage.answering();
        self.advance(now);
    }

    /// Audio of the sentence that was last asked for, PCM16 at the reply's rate.
    pub(crate) fn voice(&mut self, now: Duration, pcm: &[u8]) {
        let Mouth::Speaking(sentence) = &mut self.mouth else { return };
        let samples = pcm.len() as u64 / 2;
        let audio = Duration::from_micros(samples * 1_000_000 / u64::from(self.reply.rate_hz));
        let from = self.playout.sent(now, audio);
        sentence.audio += audio;
        if let Some(block) = &sentence.block {
            self.acts.push_back(Act::Send(Outbound::Json(block.pcm(pcm))));
            return;
        }
        sentence.from = from;
        let (start, block) = self.reply.audio();
        self.acts.push_back(Act::Send(Outbound::Event(start)));
        self.acts.push_back(Act::Send(Outbound::Json(block.pcm(pcm))));
        sentence.block = Some(block);
        if let Some(blow) = self.faults.mid_turn(self.turns) {
            self.strike(blow);
        }
    }

    /// The sentence is spoken.
    pub(crate) fn voice_ended(&mut self, now: Duration) {
        let Mouth::Speaking(sentence) = std::mem::replace(&mut self.mouth, Mouth::Quiet) else {
            return;
        };
        let more = self.steps.iter().any(|step| matches!(step, Step::Say(_) | Step::Call { .. }));
        let stop = if more { StopReason::PartialTurn } else { StopReason::EndTurn };
        // A voice that failed still ends its turn: clients wait for it.
        let end = if let Some(block) = &sentence.block {
            self.reply.audio_end(block, stop)
        } else {
            let (start, block) = self.reply.audio();
            self.send(start);
            self.reply.audio_end(&block, stop)
        };
        self.send(end);
        self.sentence_over(sentence);
        self.advance(now);
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Duration) {
        if self.finals_due.is_some_and(|due| now >= due) {
            self.send_finals();
        }
        if matches!(self.mouth, Mouth::Pausing { until } if now >= until) {
            self.mouth = Mouth::Quiet;
            self.advance(now);
        }
    }

    /// The client ended the prompt: what is outstanding, and the end of the completion (§3.9).
    pub(crate) fn finish(&mut self) {
        self.steps.clear();
        self.waiting.clear();
        self.cut_sentence(StopReason::EndTurn);
        self.send_finals();
        self.report_usage();
        if self.completing {
            let end = self.reply.completion_end();
            self.send(end);
        }
    }

    /// A fault strikes.
    pub(crate) fn strike(&mut self, blow: Blow) {
        match blow {
            Blow::Bytes(bytes) => self.acts.push_back(Act::Send(Outbound::Raw(bytes))),
            Blow::UnknownEvent => self.send(faults::unknown_event()),
            Blow::Hang { deaf } => {
                self.over = true;
                self.steps.clear();
                self.waiting.clear();
                self.acts.push_back(Act::Hang { deaf });
            }
            Blow::Fatal { sent, end } => {
                self.over = true;
                self.steps.clear();
                self.waiting.clear();
                self.acts.extend(sent.into_iter().map(Act::Send));
                self.acts.push_back(Act::Struck(end));
            }
        }
    }

    /// Carries out steps until the voice or the clock has to go on.
    fn advance(&mut self, now: Duration) {
        while let Some(step) = self.steps.pop_front() {
            match step {
                Step::Say(text) => return self.say(text),
                Step::Call { tool, input, double_encoded } => {
                    self.call(tool, &input, double_encoded);
                }
                Step::Pause { ms } => {
                    let pause = Duration::from_millis(ms);
                    self.mouth = Mouth::Pausing { until: now + pause };
                    return;
                }
                Step::BargeIn(barge_in) => self.barge_in = barge_in,
                Step::Finals(finals) => self.finals = finals,
                Step::Fault(fault) => self.strike(Blow::of_step(&fault)),
                Step::End => {}
            }
        }
        self.report_usage();
        if let Finals::After { ms } = self.finals {
            let delay = Duration::from_millis(ms);
            self.finals_due = Some(self.playout.until().max(now) + delay);
        }
        self.next_waiting(now);
    }

    fn say(&mut self, text: String) {
        // A continuation begins with blanks, so that texts can be joined as they are (§3.3).
        let written = if self.sentences == 0 { text.clone() } else { format!("  {text}") };
        self.sentences += 1;
        self.usage.wrote(written.len());
        self.send_text(TextKind::Speculative, &written, StopReason::PartialTurn);
        self.acts.push_back(Act::Say(text));
        self.mouth = Mouth::Speaking(Sentence {
            text: written,
            block: None,
            from: Duration::ZERO,
            audio: Duration::ZERO,
        });
    }

    fn call(&mut self, tool: String, input: &Value, double_encoded: bool) {
        let tool_use_id = Uuid::new_v4().to_string();
        let mut content = input.to_string();
        if double_encoded {
            content = Value::String(content).to_string();
        }
        self.usage.wrote(content.len());
        for event in self.reply.tool_use(&tool, &tool_use_id, &content) {
            self.send(event);
        }
        self.acts.push_back(Act::Called(tool_use_id.clone()));
        self.calls.insert(tool_use_id, tool);
    }

    /// The caller's next input has begun: it interrupts, or else brings the FINAL texts.
    fn input_began(&mut self, now: Duration) {
        if self.is_quiet() && !self.playout.is_playing(now) {
            if self.finals != Finals::Never {
                self.send_finals();
            }
        } else if self.barge_in != BargeIn::Ignored {
            self.interrupt(now);
        }
    }

    /// Takes the word from the assistant (§3.5). What it was about to say is dropped; a tool that
    /// it was about to call is called, because the script reckons with the result.
    fn interrupt(&mut self, now: Duration) {
        let dropped = std::mem::take(&mut self.steps);
        self.cut_sentence(match self.barge_in {
            BargeIn::Interrupted => StopReason::Interrupted,
            BargeIn::SpeechStartOnly => StopReason::PartialTurn,
            BargeIn::Marker | BargeIn::MarkerTwice | BargeIn::Ignored => StopReason::EndTurn,
        });
        let markers = match self.barge_in {
            BargeIn::SpeechStartOnly | BargeIn::Ignored => 0,
            BargeIn::Marker | BargeIn::Interrupted => 1,
            BargeIn::MarkerTwice => 2,
        };
        for _ in 0..markers {
            for event in self.reply.interruption() {
                self.send(event);
            }
        }
        self.finals_due = None;
        let texts = self.playout.cut(now);
        if self.finals != Finals::Never {
            self.send_final_texts(&texts);
        }
        for step in dropped {
            if let Step::Call { tool, input, double_encoded } = step {
                self.call(tool, &input, double_encoded);
            }
        }
        self.report_usage();
    }

    /// Stops the voice, and closes the AUDIO block of the sentence it was at.
    fn cut_sentence(&mut self, stop: StopReason) {
        let Mouth::Speaking(sentence) = std::mem::replace(&mut self.mouth, Mouth::Quiet) else {
            return;
        };
        self.acts.push_back(Act::Hush);
        if let Some(block) = &sentence.block {
            let end = self.reply.audio_end(block, stop);
            self.send(end);
            self.sentence_over(sentence);
        }
    }

    /// A sentence, whole or cut, waits for its FINAL text.
    fn sentence_over(&mut self, sentence: Sentence) {
        self.usage.spoke(sentence.audio);
        let (from, to) = (sentence.from, sentence.from + sentence.audio);
        self.playout.keep(Spoken { text: sentence.text, from, to });
    }

    fn is_quiet(&self) -> bool {
        matches!(self.mouth, Mouth::Quiet)
    }

    fn next_waiting(&mut self, now: Duration) {
        if !self.user_speaks
            && self.is_quiet()
            && let Some(steps) = self.waiting.pop_front()
        {
            self.begin(now, steps);
        }
    }

    /// The one `completionStart` of the session (§3.3).
    fn complete(&mut self) {
        if !self.completing {
            self.completing = true;
            let event = self.reply.completion_start();
            self.send(event);
        }
    }

    fn send_finals(&mut self) {
        self.finals_due = None;
        let texts = self.playout.take_all();
        if self.finals != Finals::Never {
            self.send_final_texts(&texts);
        }
    }

    fn send_final_texts(&mut self, texts: &[String]) {
        for (index, text) in texts.iter().enumerate() {
            // The reasons come in no useful order; this one was captured (§3.4).
            let stop = if index == 0 { StopReason::EndTurn } else { StopReason::PartialTurn };
            self.send_text(TextKind::Final, text, stop);
        }
    }

    fn send_text(&mut self, kind: TextKind, text: &str, stop: StopReason) {
        for event in self.reply.text(kind, text, stop) {
            self.send(event);
        }
    }

    fn report_usage(&mut self) {
        if let Some(report) = self.usage.report() {
            let event = self.reply.usage(&report);
            self.send(event);
        }
    }

    fn send(&mut self, event: Value) {
        self.acts.push_back(Act::Send(Outbound::Event(event)));
    }
}

#[cfg(test)]
mod tests;
