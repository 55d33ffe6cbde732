//! The trace of a call: entries of its journal in, finished spans and scores out. Pure.
//!
//! ```text
//! voice-session                     one per session; its trace id is made of the session's id
//! ├── user-input                    generation, one per line of the caller's
//! ├── assistant-response            generation, one per answer, with its tokens and cost
//! ├── tool-<name>                   span, one per call of a tool
//! ├── interruption, error           events
//! ├── unattributed-usage            generation, when tokens are left that belong to no answer
//! └── voice-session-continued       span, for each task that went on with the call; what happened
//!                                   there is below it
//! ```
//!
//! A span leaves when nothing more will be known of it, so a long call can be followed while it
//! lasts; the session's own span, which begins first, leaves last. Its id is known from the start,
//! because it is made of the session's id, so whatever is below it can point to it, also from
//! another task. A task that dies leaves no last span: the next process on its disk finds the
//! journal, and tells it here once more. Every id comes out the same, so nothing is there twice.
//!
//! Texts come clean (`voice_archive::redact`). What is added here is patience: a line waits until
//! it is corrected, and until it cannot be a piece of a longer number any more.

mod answers;
pub(crate) mod attributes;
mod caller;
pub(crate) mod ids;
mod recent;
mod span;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use opentelemetry::{InstrumentationScope, trace::SpanId};
use opentelemetry_sdk::trace::SpanData;
use serde_json::{Map, Value};
use voice_archive::{
    entry::{Began, Entry, Event, PromptUsed, Settings, Speaker, Tokens, Turn},
    price::Prices,
    redact::Redactor,
};

use self::{
    answers::{Answer, Answers},
    caller::{CallerLines, Said},
    ids::{root_id, span_id, trace_id},
    span::{Common, Draft, Kind},
};
use crate::score::Score;

/// How long a line or an answer that is complete waits for corrections, counts and figures, in
/// milliseconds. Transcription comes some seconds after the words.
const SETTLE: u64 = 10_000;

/// How long a line that is not complete waits for its rest.
const STALE: u64 = 60_000;

/// Ends of calls that somebody should look into.
const FAILURES: [&str; 4] = ["sonic_lost", "child_failed", "supervisor_failed", "task_died"];

/// What a trace needs besides the entries.
#[derive(Debug, Clone)]
pub struct TraceRules {
    /// What things cost.
    pub prices: Arc<Prices>,
    /// For numbers that reach over several lines.
    pub redactor: Redactor,
}

/// What became complete.
#[derive(Debug, Default)]
pub struct Finished {
    /// Spans to export.
    pub spans: Vec<SpanData>,
    /// Scores to give.
    pub scores: Vec<Score>,
}

/// The trace of one call, as far as one task has it.
#[derive(Debug)]
pub struct Trace {
    common: Common,
    rules: TraceRules,
    /// Of this part: the session's span, or the one of a part that goes on.
    own: SpanId,
    parent: SpanId,
    began: (u64, Began),
    settings: Settings,
    caller: CallerLines,
    answers: Answers,
    tools: BTreeMap<String, Tool>,
    usage: Usage,
    /// What was said first, and last.
    first_words: String,
    last_words: String,
    counts: Counts,
    seen: u64,
    over: bool,
    finished: Finished,
}

/// What scores are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) figures: Option<Turn>,
    /// Whether there was audio.
    pub(crate) heard: bool,
    pub(crate) interrupted: bool,
    pub(crate) failed_tool: Option<&'a str>,
}

/// A call of a tool that was not answered yet.
#[derive(Debug)]
struct Tool {
    /// From 1: an id may come twice.
    number: u32,
    at: u64,
    name: String,
    input: Value,
}

/// Tokens as the journal has them: sums.
#[derive(Debug, Default)]
struct Usage {
    /// What other tasks have counted.
    before: Tokens,
    counted: Tokens,
}

/// What is told of the whole.
#[derive(Debug, Default)]
struct Counts {
    events: u32,
    tools: u32,
    interruptions: u32,
    errors: u32,
    streams: u32,
    reconnections: u32,
    lost: u64,
    transcribed: f64,
    transferred: bool,
}

impl Trace {
    /// Of the call that began so.
    pub fn begin(at: u64, began: &Began, rules: TraceRules) -> Self {
        let session_id = began.session_id.clone();
        let root = root_id(&session_id);
        let (own, parent) = match began.continued {
            true => (span_id(&session_id, at, "part", ""), root),
            false => (root, SpanId::INVALID),
        };
        let scope = InstrumentationScope::builder("voice-s2s").build();
        let common = Common {
            trace: trace_id(&session_id),
            version: began.program.clone(),
            model: began.model_id.clone(),
            scope,
            session_id,
        };
        Self {
            common,
            rules,
            own,
            parent,
            began: (at, began.clone()),
            settings: Settings::default(),
            caller: CallerLines::default(),
            answers: Answers::default(),
            tools: BTreeMap::new(),
            usage: Usage::default(),
            first_words: String::new(),
            last_words: String::new(),
            counts: Counts::default(),
            seen: at,
            over: false,
            finished: Finished::default(),
        }
    }

    /// Something happened.
    pub fn take(&mut self, Entry { at, event }: &Entry) {
        if self.over {
            return;
        }
        let at = *at;
        self.seen = self.seen.max(at);
        match event {
            Event::Began(_) | Event::Step { .. } | Event::Recording { .. } => {}
            Event::Settings(settings) => self.settings = (**settings).clone(),
            Event::Line(line) => match line.role {
                Speaker::User => self.caller.take(at, line),
                Speaker::Assistant => self.answers.line(at, line, linked_prompt(&self.settings)),
            },
            Event::AnswerBegan => self.answers.begin(at, linked_prompt(&self.settings)),
            Event::AnswerHeard => self.answers.heard(at),
            Event::AnswerEnded { interrupted } => self.answers.end(at, *interrupted),
            Event::Turn(turn) => self.answers.figures(*turn),
            Event::BargeIn => {
                self.counts.interruptions += 1;
                let draft = self.event("interruption", at);
                self.finish(draft);
            }
            Event::ToolCalled { id, name, input } => {
                self.counts.tools += 1;
                let number = self.counts.tools;
                let (name, input) = (name.clone(), input.clone());
                self.tools.insert(id.clone(), Tool { number, at, name, input });
            }
            Event::ToolAnswered { id, result, outcome } => {
                if let Some(tool) = self.tools.remove(id) {
                    self.tool(id, &tool, at, Some(result), outcome);
                }
            }
            Event::Before(tokens) => {
                (self.usage.before, self.usage.counted) = (*tokens, Tokens::default());
            }
            Event::Usage(tokens) => {
                let so_far = tokens.since(&self.usage.before);
                self.answers.count(so_far.since(&self.usage.counted));
                self.usage.counted = so_far;
            }
            Event::Error { code, message } => {
                self.counts.errors += 1;
                let mut draft = self.event("error", at);
                draft.error(&format!("{code}: {message}"));
                draft.metadata("code", code.clone());
                self.finish(draft);
            }
            Event::Feedback(feedback) => {
                let score = Score::of_feedback(&self.common.session_id, feedback);
                self.finished.scores.push(score);
            }
            Event::Stream { .. } => self.counts.streams += 1,
            Event::Connection { state } => {
                self.counts.reconnections += u32::from(state == "back");
            }
            Event::Transfer { .. } => self.counts.transferred = true,
            Event::Transcribed { seconds } => self.counts.transcribed = *seconds,
            Event::Gap { lost } => self.counts.lost += lost,
            Event::Ended { cause, detail } => return self.end(at, cause, detail),
        }
        self.settle(at, false);
    }

    /// Time passes.
    pub fn tick(&mut self, now: u64) {
        if !self.over {
            self.settle(now, false);
        }
    }

    /// When something was last heard of the call, in milliseconds since 1970.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether the call has ended, and all its spans are finished.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Takes what became complete.
    pub fn finished(&mut self) -> Finished {
        std::mem::take(&mut self.finished)
    }

    /// Nothing more will be heard of the call, though it did not say that it ended.
    pub fn abandon(&mut self, cause: &str) {
        if !self.over {
            self.end(self.seen, cause, "");
        }
    }

    // Spans.

    fn settle(&mut self, now: u64, all: bool) {
        while let Some(said) = self.caller.release(now, all, &self.rules.redactor) {
            self.user_input(&said);
        }
        while let Some(answer) = self.answers.release(now, all) {
            self.assistant_response(&answer, now);
        }
    }

    fn user_input(&mut self, said: &Said) {
        let ids = (self.span_id("line", &said.id), self.own);
        let (began, ended) = (said.began, said.ended);
        let mut draft = self.common.draft(Kind::Generation, "user-input", ids, (began, ended));
        draft.text(attributes::INPUT, &said.text);
        draft.model(&self.common.model);
        if self.first_words.is_empty() {
            self.first_words.clone_from(&said.text);
        }
        self.finish(draft);
    }

    fn assistant_response(&mut self, answer: &Answer, now: u64) {
        let id = self.span_id("answer", &answer.number.to_string());
        let times = (answer.began, answer.ended.unwrap_or(now));
        let name = "assistant-response";
        let mut draft = self.common.draft(Kind::Generation, name, (id, self.own), times);
        let text = answer.text();
        draft.text(attributes::OUTPUT, &text);
        draft.model(&self.common.model);
        if let Some(heard) = answer.heard {
            draft.completion_start(heard);
        }
        if let Some(PromptUsed { id, version: Some(version), .. }) = &answer.prompt {
            draft.text(attributes::PROMPT_NAME, id);
            draft.set(attributes::PROMPT_VERSION, i64::from(*version));
        }
        self.usage(&mut draft, &answer.tokens);
        draft.metadata("interrupted", answer.interrupted);
        if let Some(Turn { first_audio_ms, first_written_ms, whole_ms, tools_ms, .. }) =
            answer.figures
        {
            let figures = [
                ("first_audio_ms", first_audio_ms),
                ("first_written_ms", first_written_ms),
                ("whole_ms", whole_ms),
                ("tools_ms", Some(tools_ms)),
            ];
            for (key, ms) in figures {
                if let Some(ms) = ms.and_then(|ms| i64::try_from(ms).ok()) {
                    draft.metadata(key, ms);
                }
            }
        }
        if let Some(tool) = &answer.failed_tool {
            draft.warning(&format!("the tool {tool} failed"));
        }
        if !text.is_empty() {
            self.last_words = text;
        }
        let (trace, observation) = (self.common.trace.to_string(), id.to_string());
        let answered = Answered {
            figures: answer.figures,
            heard: answer.heard.is_some(),
            interrupted: answer.interrupted,
            failed_tool: answer.failed_tool.as_deref(),
        };
        self.finished.scores.extend(Score::of_answer(&trace, &observation, &answered));
        self.finish(draft);
    }

    fn tool(&mut self, id: &str, tool: &Tool, at: u64, result: Option<&Value>, outcome: &str) {
        let ids = (self.span_id("tool", &tool.number.to_string()), self.own);
        let name = format!("tool-{}", tool.name);
        let mut draft = self.common.draft(Kind::Span, name, ids, (tool.at, at));
        draft.text(attributes::INPUT, &tool.input.to_string());
        if let Some(result) = result {
            draft.text(attributes::OUTPUT, &result.to_string());
        }
        draft.metadata("outcome", outcome.to_owned());
        draft.metadata("tool_use_id", id.to_owned());
        match outcome {
            "ok" => {}
            "refused" => draft.warning("refused by the workflow"),
            failure => {
                self.answers.tool_failed(&tool.name);
                draft.error(failure);
            }
        }
        self.finish(draft);
    }

    fn end(&mut self, at: u64, cause: &str, detail: &str) {
        self.answers.end(at, false);
        for (id, tool) in std::mem::take(&mut self.tools) {
            self.tool(&id, &tool, at, None, "unanswered");
        }
        self.settle(at, true);
        if let Some(tokens) = self.answers.rest() {
            let ids = (self.span_id("rest", ""), self.own);
            let name = "unattributed-usage";
            let mut draft = self.common.draft(Kind::Generation, name, ids, (at, at));
            draft.model(&self.common.model);
            self.usage(&mut draft, &tokens);
            self.finish(draft);
        }
        self.session(at, cause, detail);
        self.over = true;
    }

    /// The span of the whole, or of this task's part of it.
    fn session(&mut self, at: u64, cause: &str, detail: &str) {
        let (start, began) = self.began.clone();
        let name = if began.continued { "voice-session-continued" } else { "voice-session" };
        let mut draft = self.common.draft(Kind::Span, name, (self.own, self.parent), (start, at));
        draft.text(attributes::INPUT, &self.first_words);
        draft.text(attributes::OUTPUT, &self.last_words);
        let message = if detail.is_empty() { cause } else { detail };
        if FAILURES.contains(&cause) {
            draft.error(message);
        } else if cause.starts_with("client_") {
            draft.warning(message);
        }
        let Settings { persona, voice, language, channel, .. } = &self.settings;
        let texts = [
            ("end", cause),
            ("backend", &began.backend),
            ("catalog", &began.catalog),
            ("persona", persona.as_deref().unwrap_or_default()),
            ("voice", voice),
            ("language", language.as_deref().unwrap_or_default()),
            ("channel", channel),
        ];
        for (key, text) in texts {
            draft.metadata(key, text.to_owned());
        }
        let prompts = self.settings.prompts.iter().map(|prompt| match prompt.version {
            Some(version) => format!("{} ({} {version})", prompt.id, prompt.source),
            None => format!("{} ({})", prompt.id, prompt.source),
        });
        draft.metadata("prompts", prompts.collect::<Vec<_>>().join(", "));
        let counts = &self.counts;
        for (key, count) in [
            ("tool_calls", counts.tools),
            ("interruptions", counts.interruptions),
            ("errors", counts.errors),
            ("renewals", counts.streams.saturating_sub(1)),
            ("reconnections", counts.reconnections),
        ] {
            draft.metadata(key, i64::from(count));
        }
        draft.metadata("transferred", counts.transferred);
        if counts.transcribed > 0.0 {
            draft.metadata("transcribed_seconds", counts.transcribed);
        }
        if counts.lost > 0 {
            draft.metadata("lost_entries", i64::try_from(counts.lost).unwrap_or(i64::MAX));
        }
        self.finish(draft);
    }

    fn event(&mut self, name: &'static str, at: u64) -> Draft {
        self.counts.events += 1;
        let ids = (self.span_id("event", &self.counts.events.to_string()), self.own);
        self.common.draft(Kind::Event, name, ids, (at, at))
    }

    /// Tokens and their cost, in buckets that have nothing in common (`ops.md` §4.2): Langfuse adds
    /// them up.
    fn usage(&self, draft: &mut Draft, tokens: &Tokens) {
        let only = |pick: fn(&mut Tokens) -> &mut u64| {
            let (mut all, mut one) = (*tokens, Tokens::default());
            *pick(&mut one) = *pick(&mut all);
            one
        };
        let buckets = [
            ("input_audio", only(|t| &mut t.input_speech)),
            ("input_text", only(|t| &mut t.input_text)),
            ("output_audio", only(|t| &mut t.output_speech)),
            ("output_text", only(|t| &mut t.output_text)),
        ];
        let count = |(name, one): &(&str, Tokens)| {
            ((*name).to_owned(), Value::from(one.input() + one.output()))
        };
        let counts: Map<String, Value> = buckets.iter().map(count).collect();
        draft.set(attributes::USAGE, Value::Object(counts).to_string());
        // Langfuse takes every cost for US dollars.
        if self.rules.prices.currency != "USD" {
            return;
        }
        let price = |(name, one): &(&str, Tokens)| {
            let cost = self.rules.prices.of_tokens(&self.common.model, one)?;
            Some(((*name).to_owned(), Value::from(cost)))
        };
        if let Some(costs) = buckets.iter().map(price).collect::<Option<Map<_, _>>>() {
            draft.set(attributes::COST, Value::Object(costs).to_string());
        }
    }

    fn span_id(&self, kind: &str, key: &str) -> SpanId {
        span_id(&self.common.session_id, self.began.0, kind, key)
    }

    fn finish(&mut self, draft: Draft) {
        let span = self.common.finish(draft);
        self.finished.spans.push(span);
    }
}

/// The prompt that Langfuse links an answer to: the persona's, or the first that is Langfuse's.
fn linked_prompt(settings: &Settings) -> Option<PromptUsed> {
    let of_langfuse = || settings.prompts.iter().filter(|prompt| prompt.source == "langfuse");
    let persona = of_langfuse().find(|prompt| prompt.id.starts_with("persona-"));
    persona.or_else(|| of_langfuse().next()).cloned()
}
