//! The session log: one JSON document per call, made of what its journal holds. Pure.
//!
//! The format is that of the system before (`contract.md` §4), with fields of our own beside:
//! whoever reads the old ones reads these.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    entry::{Began, Entry, Event, Heard, Line, PromptUsed, Settings, Speaker, Tokens, Turn},
    name::LogName,
    price::Prices,
    redact::{
        Redactor,
        across::{self, Reach},
    },
};

/// Changes whenever a reader has to know.
const SCHEMA_VERSION: u32 = 1;

/// The document.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionLog {
    /// Of our own fields.
    pub schema_version: u32,
    /// The call's id.
    pub session_id: String,
    /// Milliseconds since 1970.
    pub start_time: u64,
    /// Milliseconds since 1970.
    pub end_time: u64,
    /// Always `raw_nova`.
    pub brain_mode: &'static str,
    /// What was said and done, in order.
    pub transcript: Vec<Said>,
    /// Every tool call.
    pub tools: Vec<ToolCall>,
    /// Tokens and cost of the call.
    pub usage: UsageReport,
    /// The caller's opinion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback: Option<Value>,
    /// Whether the call ended in order; otherwise its task died, and this is what was left.
    pub complete: bool,
    /// Why it ended.
    pub end: End,
    /// Program, backend, model, catalog.
    #[serde(flatten)]
    pub origin: Origin,
    /// The settings of the end.
    pub settings: Settings,
    /// All prompts that were in use, with their versions.
    pub prompts: Vec<PromptUsed>,
    /// The steps of workflows.
    pub steps: Vec<StepReached>,
    /// The assistant's turns.
    pub turns: Vec<TurnReport>,
    /// Percentiles over the turns.
    pub latency: Map<String, Value>,
    /// The streams to the model.
    pub streams: Vec<StreamOpened>,
    /// How often a stream was replaced.
    pub renewals: usize,
    /// Losses and returns of the client's connection.
    pub connections: Vec<Value>,
    /// What went wrong.
    pub errors: Vec<Value>,
    /// The hand-over to a human.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Value>,
    /// Recording: states and where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<Value>,
    /// Entries that were lost because the disk did not keep up.
    #[serde(skip_serializing_if = "is_zero")]
    pub lost_entries: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Where a call was held.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// Program and version.
    pub program: String,
    /// `emulator` or `bedrock`.
    pub backend: String,
    /// The model.
    pub model_id: String,
    /// Hash of the tools, workflows and prompts that it held.
    pub catalog: String,
    /// Whether it went on from another task, which has a log of its own.
    pub continued: bool,
}

/// How a call ended.
#[derive(Debug, Clone, Default, Serialize)]
pub struct End {
    /// A stable word; `task_died` when nobody was left to say.
    pub cause: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// An entry of the transcript (`contract.md` §4).
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// `user`, `assistant`, `tool_use`, `tool_result`, `system`.
    pub role: &'static str,
    /// What.
    pub text: String,
    /// Milliseconds since 1970.
    pub timestamp: u64,
    /// When a line was complete, or had grown last: milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// `speculative`, `final` or `workflow_step`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// `{stepId}` of a workflow step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Which tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_name: Option<String>,
    /// With what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_input: Option<Value>,
    /// What it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Which call of the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_use_id: Option<String>,
    /// Whether the caller cut it short.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Whose words the text has: `nova` or `transcribe`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'static str>,
    /// What Amazon Transcribe heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transcription: Option<Heard>,
}

/// A call of a tool.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolCall {
    /// Which call of it.
    pub tool_use_id: String,
    /// Which tool.
    pub tool_name: String,
    /// With what.
    pub tool_input: Value,
    /// What it answered; absent when it never did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// `ok`, `error`, `refused`, `timeout` …; `unanswered`.
    pub outcome: String,
    /// Milliseconds since 1970.
    pub started_at: u64,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// A step of a workflow.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepReached {
    /// The workflow.
    pub workflow_id: String,
    /// The step.
    pub step_id: String,
    /// Milliseconds since 1970.
    pub timestamp: u64,
}

/// A turn of the assistant's.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnReport {
    /// When it ended, milliseconds since 1970.
    pub timestamp: u64,
    /// Its times.
    #[serde(flatten)]
    pub turn: Turn,
    /// The tokens that it took.
    pub tokens: Tokens,
    /// What they cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
}

/// A stream to the model.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamOpened {
    /// From 1.
    pub number: u32,
    /// `first`, `renewed`, `recovered` …
    pub reason: String,
    /// Milliseconds since 1970.
    pub timestamp: u64,
}

/// What a call took and cost.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageReport {
    /// To the model.
    pub input_tokens: u64,
    /// From the model.
    pub output_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// In the currency of the table; absent when the table does not know the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// ISO 4217.
    pub currency: String,
    /// By kind and direction.
    pub details: Tokens,
    /// Audio that was transcribed.
    pub transcribe_seconds: f64,
    /// Where the prices are from, and when.
    pub prices: Value,
}

impl SessionLog {
    /// Makes the document of a call's entries. `None` when they do not begin with a beginning.
    pub fn of(entries: &[Entry], prices: &Prices, redactor: &Redactor) -> Option<(LogName, Self)> {
        let first = entries.first()?;
        let Event::Began(began) = &first.event else { return None };
        let name = LogName::new(first.at, &began.session_id);
        let mut fold = Fold::new(first.at, began);
        entries.iter().for_each(|entry| fold.take(entry));
        Some((name.clone(), fold.finish(entries.last()?.at, &name, prices, redactor)))
    }
}

/// The document while it is made.
struct Fold {
    log: SessionLog,
    /// Where the lines of each id are.
    lines: BTreeMap<String, usize>,
    usage: Tokens,
    /// What is in the log of another task.
    before: Tokens,
    /// The usage when the turn before was counted.
    counted: Tokens,
    recorded: Vec<Value>,
}

impl Fold {
    fn new(at: u64, began: &Began) -> Self {
        let Began { session_id, program, backend, model_id, catalog, continued } = began.clone();
        let log = SessionLog {
            schema_version: SCHEMA_VERSION,
            session_id,
            start_time: at,
            brain_mode: "raw_nova",
            end: End { cause: "task_died".into(), detail: String::new() },
            origin: Origin { program, backend, model_id, catalog, continued },
            ..SessionLog::default()
        };
        Self {
            log,
            lines: BTreeMap::new(),
            usage: Tokens::default(),
            before: Tokens::default(),
            counted: Tokens::default(),
            recorded: Vec::new(),
        }
    }

    fn take(&mut self, Entry { at, event }: &Entry) {
        let (at, log) = (*at, &mut self.log);
        match event {
            Event::Began(_)
            | Event::BargeIn
            | Event::AnswerBegan
            | Event::AnswerHeard
            | Event::AnswerEnded { .. } => {}
            Event::Settings(settings) => {
                for prompt in &settings.prompts {
                    if !log.prompts.contains(prompt) {
                        log.prompts.push(prompt.clone());
                    }
                }
                log.settings = (**settings).clone();
            }
            Event::Line(line) => self.line(at, line),
            Event::ToolCalled { id, name, input } => {
                log.tools.push(ToolCall {
                    tool_use_id: id.clone(),
                    tool_name: name.clone(),
                    tool_input: input.clone(),
                    result: None,
                    outcome: "unanswered".into(),
                    started_at: at,
                    duration_ms: None,
                });
                log.transcript.push(Said {
                    role: "tool_use",
                    text: name.clone(),
                    timestamp: at,
                    tool_name: Some(name.clone()),
                    tool_input: Some(input.clone()),
                    tool_use_id: Some(id.clone()),
                    ..Said::default()
                });
            }
            Event::ToolAnswered { id, result, outcome } => {
                let mut tool_name = None;
                if let Some(call) = log.tools.iter_mut().rev().find(|c| c.tool_use_id == *id) {
                    call.result = Some(result.clone());
                    call.outcome.clone_from(outcome);
                    call.duration_ms = Some(at.saturating_sub(call.started_at));
                    tool_name = Some(call.tool_name.clone());
                }
                log.transcript.push(Said {
                    role: "tool_result",
                    text: tool_name.clone().unwrap_or_default(),
                    timestamp: at,
                    tool_name,
                    result: Some(result.clone()),
                    tool_use_id: Some(id.clone()),
                    ..Said::default()
                });
            }
            Event::Step { workflow, step } => {
                log.steps.push(StepReached {
                    workflow_id: workflow.clone(),
                    step_id: step.clone(),
                    timestamp: at,
                });
                log.transcript.push(Said {
                    role: "system",
                    text: step.clone(),
                    timestamp: at,
                    kind: Some("workflow_step"),
                    metadata: Some(json!({"stepId": step, "workflowId": workflow})),
                    ..Said::default()
                });
            }
            Event::Turn(turn) => log.turns.push(TurnReport {
                timestamp: at,
                turn: *turn,
                tokens: Tokens::default(),
                cost: None,
            }),
            Event::Before(tokens) => self.before = *tokens,
            Event::Usage(tokens) => {
                let tokens = &tokens.since(&self.before);
                self.usage = *tokens;
                // The model counts a turn a moment after it (`nova-sonic.md` §3.3).
                if let Some(turn) = log.turns.last_mut() {
                    let since = tokens.since(&self.counted);
                    turn.tokens = Tokens {
                        input_speech: turn.tokens.input_speech + since.input_speech,
                        input_text: turn.tokens.input_text + since.input_text,
                        output_speech: turn.tokens.output_speech + since.output_speech,
                        output_text: turn.tokens.output_text + since.output_text,
                    };
                    self.counted = *tokens;
                }
            }
            Event::Stream { number, reason } => log.streams.push(StreamOpened {
                number: *number,
                reason: reason.clone(),
                timestamp: at,
            }),
            Event::Error { code, message } => {
                log.errors.push(json!({"timestamp": at, "code": code, "message": message}));
            }
            Event::Connection { state } => {
                log.connections.push(json!({"timestamp": at, "state": state}));
            }
            Event::Transfer { reason, summary, attributes } => {
                log.transfer = Some(json!({"timestamp": at, "reason": reason, "summary": summary,
                    "attributes": attributes}));
            }
            Event::Feedback(feedback) => log.feedback = Some(feedback.to_json(at)),
            Event::Transcribed { seconds } => log.usage.transcribe_seconds = *seconds,
            Event::Recording { state } => {
                self.recorded.push(json!({"timestamp": at, "state": state}));
            }
            Event::Gap { lost } => log.lost_entries += lost,
            Event::Ended { cause, detail } => {
                log.complete = true;
                log.end = End { cause: cause.clone(), detail: detail.clone() };
            }
        }
    }

    fn line(&mut self, at: u64, line: &Line) {
        let heard = line.heard.clone();
        // Where personal data was taken out, those are the words that may be kept.
        let redacted =
            heard.as_ref().filter(|heard| heard.redacted).map(|heard| heard.text.clone());
        let source = if redacted.is_some() { "transcribe" } else { "nova" };
        let said = Said {
            role: match line.role {
                Speaker::User => "user",
                Speaker::Assistant => "assistant",
            },
            text: redacted.unwrap_or_else(|| line.text.clone()),
            timestamp: at,
            until: Some(at),
            kind: Some(if line.is_final { "final" } else { "speculative" }),
            interrupted: line.interrupted,
            source: Some(source),
            transcription: heard,
            ..Said::default()
        };
        match self.lines.get(&line.id) {
            Some(index) => {
                let known = &mut self.log.transcript[*index];
                let transcription = said.transcription.or(known.transcription.take());
                *known = Said { timestamp: known.timestamp, transcription, ..said };
            }
            None => {
                self.lines.insert(line.id.clone(), self.log.transcript.len());
                self.log.transcript.push(said);
            }
        }
    }

    fn finish(
        mut self,
        end: u64,
        name: &LogName,
        prices: &Prices,
        redactor: &Redactor,
    ) -> SessionLog {
        hide_across(&mut self.log.transcript, redactor);
        let log = &mut self.log;
        log.end_time = end;
        log.renewals = log.streams.iter().filter(|stream| stream.reason != "first").count();
        for turn in &mut log.turns {
            turn.cost = prices.of_tokens(&log.origin.model_id, &turn.tokens);
        }
        let transcription = prices.of_transcription(log.usage.transcribe_seconds);
        let cost = prices.of_tokens(&log.origin.model_id, &self.usage);
        log.usage = UsageReport {
            input_tokens: self.usage.input(),
            output_tokens: self.usage.output(),
            total_tokens: self.usage.input() + self.usage.output(),
            cost: cost.map(|cost| cost + transcription),
            currency: prices.currency.clone(),
            details: self.usage,
            transcribe_seconds: log.usage.transcribe_seconds,
            prices: json!({"source": prices.source, "date": prices.date}),
        };
        log.latency = percentiles(&log.turns);
        if !self.recorded.is_empty() {
            log.recording = Some(json!({"key": name.recording_key(), "states": self.recorded}));
        }
        self.log
    }
}

/// Cleans the caller's lines of numbers that reach over several of them.
fn hide_across(transcript: &mut [Said], redactor: &Redactor) {
    let mut spoken: Vec<&mut Said> = transcript.iter_mut().filter(|s| s.role == "user").collect();
    let mut first = 0;
    while first < spoken.len() {
        let lines = spoken[first..].iter().map(|said| said.text.as_str());
        let Reach::Over(count, mark) = across::reach(lines, redactor) else {
            first += 1;
            continue;
        };
        for said in &mut spoken[first..first + count] {
            said.text = mark.to_owned();
            if let Some(heard) = &mut said.transcription {
                heard.text = mark.to_owned();
            }
        }
        first += count;
    }
}

fn percentiles(turns: &[TurnReport]) -> Map<String, Value> {
    let of = |pick: fn(&Turn) -> Option<u64>| {
        let mut all: Vec<u64> = turns.iter().filter_map(|report| pick(&report.turn)).collect();
        all.sort_unstable();
        let at = |percent: usize| all.get((all.len() * percent).div_ceil(100).max(1) - 1);
        json!({"p50": at(50), "p95": at(95), "p99": at(99), "turns": all.len()})
    };
    let mut map = Map::new();
    map.insert("firstAudioMs".into(), of(|turn| turn.first_audio_ms));
    map.insert("firstWrittenMs".into(), of(|turn| turn.first_written_ms));
    map
}

#[cfg(test)]
mod tests;
