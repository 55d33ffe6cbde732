//! The board: every call in progress and what it does. Pure.
//!
//! Events of calls go in, the messages of `/monitor` come out. The names are those of the panel
//! that phone calls have had (`contract.md` §2); what it does not know it leaves aside.
//!
//! ```text
//! starting ──stream──▶ listening ──words──▶ caller ──final──▶ thinking ──┬──▶ assistant ──▶ listening
//!                                                              ▲         └──▶ tool ──┐
//!                                                              └─────────────────────┘
//!   any ──connection lost──▶ away ──back──▶ listening;   any ──transfer──▶ transferred
//! ```

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::Value;

use super::update::{Spoken, Update};
use crate::entry::{Entry, Event, Line, Settings, Speaker};

/// Lines of a call that a new watcher gets.
const LINES: usize = 40;

/// Longest text that is passed on, in bytes.
const LONGEST_TEXT: usize = 4 * 1024;

/// Largest value of a tool that is passed on, in bytes.
const LARGEST_VALUE: usize = 8 * 1024;

/// What a call is at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The model's stream is not up yet.
    #[default]
    Starting,
    /// The caller may speak.
    Listening,
    /// The caller speaks.
    Caller,
    /// The model owes an answer.
    Thinking,
    /// A tool is at work.
    Tool,
    /// The assistant speaks.
    Assistant,
    /// The client's connection is lost; it may come back.
    Away,
    /// A person takes over.
    Transferred,
}

/// A call in progress.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallView {
    /// The call's id.
    pub call_id: String,
    /// Where it comes from: `web` or `phone`.
    pub from: String,
    /// Milliseconds since 1970.
    pub started_at: u64,
    /// What it is at.
    pub state: State,
    /// The voice.
    pub voice: String,
    /// The persona.
    pub persona: Option<String>,
    /// The workflow that it is in, or the first one that is linked.
    pub workflow: Option<String>,
    /// The step of the workflow.
    pub step_id: Option<String>,
    /// The wait of the last turn until the first audio, milliseconds.
    #[serde(rename = "ttft_ms")]
    pub ttft_ms: Option<u64>,
    /// Until its answer was whole, milliseconds.
    #[serde(rename = "latency_ms")]
    pub latency_ms: Option<u64>,
    /// Turns of the assistant's.
    pub turns: u32,
    /// Tool calls.
    pub tools: u32,
    /// To the model.
    pub input_tokens: u64,
    /// From the model.
    pub output_tokens: u64,
    /// How often something went wrong.
    pub errors: u32,
    /// What went wrong last: its stable word.
    pub last_error: Option<String>,
    /// The stream to the model, from 1.
    pub stream: u32,
    /// The latest lines; left out where only the call itself is asked for.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    pub lines: VecDeque<Spoken>,
    /// Whether watchers have been told of it.
    #[serde(skip)]
    is_told: bool,
    /// Names of the tools at work, by call of the tool.
    #[serde(skip)]
    working: BTreeMap<String, String>,
}

impl CallView {
    /// What may be listed: the call without its words.
    pub(super) fn without_lines(&self) -> Self {
        let mut call = self.clone();
        call.lines.clear();
        call
    }

    /// A line has grown, or is new.
    fn line(&mut self, line: Spoken) {
        match self.lines.iter_mut().rev().find(|known| known.id == line.id) {
            Some(known) => *known = line,
            None => {
                if self.lines.len() == LINES {
                    self.lines.pop_front();
                }
                self.lines.push_back(line);
            }
        }
    }
}

/// All calls in progress.
#[derive(Debug, Default)]
pub struct Board {
    calls: BTreeMap<String, CallView>,
}

impl Board {
    /// The calls, oldest first.
    pub fn calls(&self) -> impl Iterator<Item = &CallView> {
        let mut calls: Vec<&CallView> = self.calls.values().collect();
        calls.sort_by_key(|call| call.started_at);
        calls.into_iter()
    }

    /// All of it, for a new watcher.
    pub fn snapshot(&self) -> Update {
        Update::Snapshot { calls: self.calls().cloned().collect() }
    }

    /// Something happened in a call.
    pub fn apply(&mut self, id: &str, Entry { at, event }: &Entry) -> Vec<Update> {
        let call_id = || id.to_owned();
        match event {
            Event::Began(_) => {
                let call = CallView {
                    call_id: call_id(),
                    from: "web".into(),
                    started_at: *at,
                    ..CallView::default()
                };
                self.calls.insert(call_id(), call);
                return Vec::new();
            }
            Event::Ended { cause, .. } => {
                let Some(call) = self.calls.remove(id) else { return Vec::new() };
                let duration_ms = at.saturating_sub(call.started_at);
                return vec![Update::End { call_id: call_id(), duration_ms, cause: cause.clone() }];
            }
            _ => {}
        }
        let Some(call) = self.calls.get_mut(id) else { return Vec::new() };
        let mut updates = Vec::new();
        let before = call.state;
        if let Some(update) = happened(call, event) {
            updates.push(update);
        }
        call.state = next_state(before, event, call.working.is_empty());
        if call.state != before && call.is_told {
            updates.push(Update::State { call_id: call_id(), state: call.state });
        }
        updates
    }
}

/// What an event changes, and what watchers hear of it.
fn happened(call: &mut CallView, event: &Event) -> Option<Update> {
    let call_id = call.call_id.clone();
    match event {
        Event::Settings(settings) => Some(settled(call, settings)),
        Event::Line(Line { id, role, text, is_final, interrupted, .. }) => {
            let (id, role, text) = (id.clone(), *role, shortened(text));
            let (is_final, interrupted) = (*is_final, *interrupted);
            let line = Spoken { id, role, text, is_final, interrupted };
            call.line(line.clone());
            Some(match line.is_final {
                true => Update::Transcript { call_id, line },
                false => Update::Growing { call_id, line },
            })
        }
        Event::ToolCalled { id, name, input } => {
            call.tools += 1;
            call.working.insert(id.clone(), name.clone());
            let (tool_name, tool_use_id) = (name.clone(), id.clone());
            Some(Update::ToolUse { call_id, tool_name, args: bounded(input), tool_use_id })
        }
        Event::ToolAnswered { id, result, outcome } => {
            let tool_name = call.working.remove(id).unwrap_or_default();
            let (result, outcome) = (bounded(result), outcome.clone());
            let tool_use_id = id.clone();
            Some(Update::ToolResult { call_id, tool_name, result, tool_use_id, outcome })
        }
        Event::Step { workflow, step } => {
            call.workflow = Some(workflow.clone());
            call.step_id = Some(step.clone());
            let (step_id, workflow_id) = (step.clone(), workflow.clone());
            Some(Update::Step { call_id, step_id, workflow_id })
        }
        Event::Turn(turn) => {
            call.turns += 1;
            call.ttft_ms = turn.first_audio_ms;
            call.latency_ms = turn.whole_ms;
            let (ttft_ms, latency_ms) = (turn.first_audio_ms?, turn.whole_ms?);
            Some(Update::Latency { call_id, ttft_ms, latency_ms })
        }
        Event::Usage(tokens) => {
            (call.input_tokens, call.output_tokens) = (tokens.input(), tokens.output());
            let (input_tokens, output_tokens) = (call.input_tokens, call.output_tokens);
            Some(Update::Usage { call_id, input_tokens, output_tokens })
        }
        Event::Stream { number, .. } => {
            call.stream = *number;
            None
        }
        Event::Error { code, message } => {
            call.errors += 1;
            call.last_error = Some(code.clone());
            Some(Update::Error { call_id, code: code.clone(), message: shortened(message) })
        }
        Event::Began(_)
        | Event::BargeIn
        | Event::AnswerBegan
        | Event::AnswerHeard
        | Event::AnswerEnded { .. }
        | Event::Before(_)
        | Event::Connection { .. }
        | Event::Transfer { .. }
        | Event::Feedback(_)
        | Event::Transcribed { .. }
        | Event::Recording { .. }
        | Event::Gap { .. }
        | Event::Ended { .. } => None,
    }
}

fn settled(call: &mut CallView, settings: &Settings) -> Update {
    call.is_told = true;
    call.from.clone_from(&settings.channel);
    call.voice.clone_from(&settings.voice);
    call.persona.clone_from(&settings.persona);
    if call.step_id.is_none() {
        call.workflow = settings.workflows.first().cloned();
    }
    Update::Start {
        call_id: call.call_id.clone(),
        from: call.from.clone(),
        voice: call.voice.clone(),
        persona: call.persona.clone(),
        workflow: call.workflow.clone(),
        started_at: call.started_at,
    }
}

/// The chart above.
fn next_state(now: State, event: &Event, idle: bool) -> State {
    match event {
        Event::Connection { state } if state == "lost" => State::Away,
        Event::Connection { .. } => State::Listening,
        Event::Transfer { .. } => State::Transferred,
        // What comes late changes nothing any more.
        _ if matches!(now, State::Away | State::Transferred) => now,
        Event::Stream { .. } if now == State::Starting => State::Listening,
        Event::Line(line) => match (line.role, line.is_final) {
            (Speaker::User, false) => State::Caller,
            (Speaker::User, true) => State::Thinking,
            (Speaker::Assistant, false) => State::Assistant,
            // What was cut off is complete when somebody speaks already.
            (Speaker::Assistant, true) if line.interrupted && now != State::Assistant => now,
            (Speaker::Assistant, true) => State::Listening,
        },
        Event::BargeIn if now == State::Assistant => State::Caller,
        Event::ToolCalled { .. } => State::Tool,
        Event::ToolAnswered { .. } if idle && now == State::Tool => State::Thinking,
        Event::Turn(_) if now == State::Assistant => State::Listening,
        _ => now,
    }
}

/// A text of a length that can be passed on.
fn shortened(text: &str) -> String {
    if text.len() <= LONGEST_TEXT {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST_TEXT)])
}

/// A value of a size that can be passed on.
fn bounded(value: &Value) -> Value {
    let size = serde_json::to_vec(value).map_or(0, |bytes| bytes.len());
    if size <= LARGEST_VALUE {
        return value.clone();
    }
    Value::String(format!("… ({size} bytes)"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::entry::{Tokens, Turn};

    fn at(at: u64, event: Event) -> Entry {
        Entry { at, event }
    }

    fn line(id: &str, role: Speaker, text: &str, is_final: bool) -> Event {
        let (id, text) = (id.to_owned(), text.to_owned());
        Event::Line(Line { id, role, text, is_final, interrupted: false, heard: None })
    }

    fn cut(id: &str, text: &str) -> Event {
        let (id, text) = (id.to_owned(), text.to_owned());
        let role = Speaker::Assistant;
        Event::Line(Line { id, role, text, is_final: true, interrupted: true, heard: None })
    }

    /// A board with the call `a` since 1,000, told to watchers.
    fn board() -> Board {
        let mut board = Board::default();
        board.apply("a", &at(1_000, Event::Began(Box::default())));
        let settings = Settings {
            persona: Some("persona-banking".into()),
            voice: "amy".into(),
            channel: "phone".into(),
            workflows: vec!["banking".into()],
            ..Settings::default()
        };
        let told = board.apply("a", &at(1_300, Event::Settings(Box::new(settings))));
        assert_eq!(
            serde_json::to_value(&told).expect("JSON"),
            json!([{"type": "sbc_call_start", "callId": "a", "from": "phone", "voice": "amy",
                "persona": "persona-banking", "workflow": "banking", "startedAt": 1_000}])
        );
        board
    }

    fn state(board: &Board) -> State {
        board.calls["a"].state
    }

    #[test]
    fn a_turn_passes_through_its_states() {
        let mut board = board();
        let events = [
            (Event::Stream { number: 1, reason: "first".into() }, State::Listening),
            (line("u1", Speaker::User, "my bal", false), State::Caller),
            (line("u1", Speaker::User, "my balance", true), State::Thinking),
            (
                Event::ToolCalled { id: "t1".into(), name: "balance".into(), input: json!({}) },
                State::Tool,
            ),
            (
                Event::ToolAnswered { id: "t1".into(), result: json!(1), outcome: "ok".into() },
                State::Thinking,
            ),
            (line("a1", Speaker::Assistant, "It is", false), State::Assistant),
            (Event::BargeIn, State::Caller),
            (cut("a1", "It is"), State::Caller),
            (line("u2", Speaker::User, "stop", true), State::Thinking),
            (Event::BargeIn, State::Thinking),
            (Event::Connection { state: "lost".into() }, State::Away),
            (line("a1", Speaker::Assistant, "It is", true), State::Away),
            (Event::Connection { state: "back".into() }, State::Listening),
        ];
        for (number, (event, expected)) in events.into_iter().enumerate() {
            let before = state(&board);
            let updates = board.apply("a", &at(2_000, event));
            assert_eq!(state(&board), expected, "event {number}");
            let told = updates.iter().any(|update| matches!(update, Update::State { .. }));
            assert_eq!(told, before != expected, "event {number}");
        }
    }

    #[test]
    fn messages_have_the_contracts_names() {
        let mut board = board();
        let mut first = |event| {
            let updates = board.apply("a", &at(2_000, event));
            serde_json::to_value(updates.first().expect("an update")).expect("JSON")
        };
        let turn = Turn { first_audio_ms: Some(700), whole_ms: Some(1_900), ..Turn::default() };
        assert_eq!(
            first(Event::Turn(turn)),
            json!({"type": "sbc_latency", "callId": "a", "ttft_ms": 700, "latency_ms": 1_900})
        );
        let tokens = Tokens { input_speech: 7, input_text: 1, output_speech: 3, output_text: 2 };
        assert_eq!(
            first(Event::Usage(tokens)),
            json!({"type": "sbc_usage", "callId": "a", "inputTokens": 8, "outputTokens": 5})
        );
        assert_eq!(
            first(Event::Step { workflow: "banking".into(), step: "ask".into() }),
            json!({"type": "sbc_workflow_step", "callId": "a", "stepId": "ask",
                "workflowId": "banking"})
        );
        let text = first(line("u1", Speaker::User, "hello", true));
        assert_eq!(
            (&text["type"], &text["role"], &text["text"]),
            (&"sbc_transcript".into(), &"user".into(), &"hello".into())
        );
        assert_eq!(first(line("u2", Speaker::User, "he", false))["type"], "sbc_line");
        let tool = Event::ToolCalled { id: "t".into(), name: "n".into(), input: json!({"a": 1}) };
        let tool = first(tool);
        assert_eq!((&tool["toolName"], &tool["args"]), (&"n".into(), &json!({"a": 1})));
        let answer =
            Event::ToolAnswered { id: "t".into(), result: json!("x"), outcome: "ok".into() };
        let answer = first(answer);
        assert_eq!((&answer["toolName"], &answer["result"]), (&"n".into(), &"x".into()));
        let end = first(Event::Ended { cause: "hung_up".into(), detail: String::new() });
        assert_eq!(
            end,
            json!({"type": "sbc_call_end", "callId": "a", "durationMs": 1_000, "cause": "hung_up"})
        );
    }

    #[test]
    fn a_snapshot_has_the_latest_lines_and_the_list_has_none() {
        let mut board = board();
        for number in 0..100 {
            let id = format!("u{number}");
            board.apply("a", &at(2_000, line(&id, Speaker::User, "he", false)));
            board.apply("a", &at(2_000, line(&id, Speaker::User, "hello", true)));
        }
        let Update::Snapshot { calls } = board.snapshot() else { panic!("a snapshot") };
        assert_eq!(calls[0].lines.len(), LINES);
        assert_eq!(calls[0].lines.back().map(|line| line.id.as_str()), Some("u99"));
        assert!(calls[0].without_lines().lines.is_empty());
    }

    #[test]
    fn what_is_too_large_is_cut() {
        let mut board = board();
        let long = "ü".repeat(LONGEST_TEXT);
        let updates = board.apply("a", &at(2_000, line("u", Speaker::User, &long, true)));
        let Some(Update::Transcript { line, .. }) = updates.first() else { panic!("a line") };
        assert!(line.text.len() <= LONGEST_TEXT + 3);
        assert_eq!(bounded(&json!("x".repeat(LARGEST_VALUE))), json!("… (8194 bytes)"));
    }

    #[test]
    fn events_of_an_unknown_call_change_nothing() {
        let mut board = Board::default();
        assert_eq!(board.apply("x", &at(1, Event::BargeIn)), []);
        let ended = Event::Ended { cause: "hung_up".into(), detail: String::new() };
        assert_eq!(board.apply("x", &at(1, ended)), []);
        assert_eq!(board.calls().count(), 0);
    }
}
