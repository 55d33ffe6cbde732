//! What becomes of a call's entries.

use serde_json::json;

use super::*;
use crate::entry;

fn began() -> Event {
    Event::Began(Box::new(Began {
        session_id: "abc".into(),
        model_id: "amazon.nova-2-sonic-v1:0".into(),
        ..Began::default()
    }))
}

fn line(id: &str, role: Speaker, text: &str, is_final: bool) -> Event {
    Event::Line(Line {
        id: id.into(),
        role,
        text: text.into(),
        is_final,
        interrupted: false,
        heard: None,
    })
}

fn log(events: impl IntoIterator<Item = Event>) -> SessionLog {
    let entries: Vec<Entry> = std::iter::once(began())
        .chain(events)
        .enumerate()
        .map(|(n, event)| Entry { at: 1_764_194_210_000 + n as u64 * 100, event })
        .collect();
    SessionLog::of(&entries, &Prices::default(), &Redactor::default()).expect("a log").1
}

fn texts(log: &SessionLog) -> Vec<(&str, &str)> {
    log.transcript.iter().map(|said| (said.role, said.text.as_str())).collect()
}

#[test]
fn the_fields_of_the_contract_are_there() {
    let log = log([
        line("1", Speaker::Assistant, "Good morning.", true),
        line("2", Speaker::User, "my balance", true),
        Event::ToolCalled { id: "t".into(), name: "get_balance".into(), input: json!({"a": 1}) },
        Event::Step { workflow: "banking".into(), step: "identified".into() },
        Event::ToolAnswered { id: "t".into(), result: json!({"b": 2}), outcome: "ok".into() },
        line("3", Speaker::Assistant, "You have", false),
        line("3", Speaker::Assistant, "You have ten pounds.", true),
        Event::Usage(Tokens { input_text: 1_000_000, ..Tokens::default() }),
        Event::Feedback(entry::Feedback { score: 1.0, comment: None, name: None }),
        Event::Ended { cause: "hung_up".into(), detail: String::new() },
    ]);
    let document = serde_json::to_value(&log).expect("JSON");
    assert_eq!(document["sessionId"], "abc");
    assert_eq!(document["brainMode"], "raw_nova");
    assert_eq!(
        (&document["startTime"], &document["endTime"]),
        (&1_764_194_210_000_u64.into(), &1_764_194_211_000_u64.into())
    );
    let usage = &document["usage"];
    assert_eq!(
        (&usage["inputTokens"], &usage["totalTokens"]),
        (&1_000_000.into(), &1_000_000.into())
    );
    assert!(usage["cost"].as_f64().is_some_and(|cost| (cost - 0.33).abs() < 1e-9), "{usage}");
    let transcript = document["transcript"].as_array().expect("a list");
    let roles: Vec<&str> = transcript.iter().filter_map(|said| said["role"].as_str()).collect();
    assert_eq!(roles, ["assistant", "user", "tool_use", "system", "tool_result", "assistant"]);
    assert_eq!(transcript[2]["toolInput"]["a"], 1);
    assert_eq!(
        (&transcript[3]["type"], &transcript[3]["metadata"]["stepId"]),
        (&"workflow_step".into(), &"identified".into())
    );
    assert_eq!(transcript[4]["result"]["b"], 2);
    assert_eq!(
        (&transcript[5]["text"], &transcript[5]["type"]),
        (&"You have ten pounds.".into(), &"final".into())
    );
    assert_eq!(
        (&document["tools"][0]["durationMs"], &document["tools"][0]["outcome"]),
        (&200.into(), &"ok".into())
    );
    assert_eq!(
        (&document["complete"], &document["end"]["cause"]),
        (&true.into(), &"hung_up".into())
    );
    assert_eq!(document["feedback"]["score"], 1.0);
}

#[test]
fn a_call_whose_task_died_is_told_as_far_as_it_came() {
    let log = log([line("1", Speaker::Assistant, "Good mor", false)]);
    assert_eq!((log.complete, log.end.cause.as_str()), (false, "task_died"));
    assert_eq!(log.transcript[0].kind, Some("speculative"));
    assert!(SessionLog::of(&[], &Prices::default(), &Redactor::default()).is_none());
}

#[test]
fn tokens_belong_to_the_turn_before_they_were_counted() {
    let tokens = |n| Event::Usage(Tokens { output_speech: n, ..Tokens::default() });
    let turn = |ms| Event::Turn(Turn { first_audio_ms: Some(ms), ..Turn::default() });
    let log = log([turn(300), tokens(10), tokens(30), turn(500), tokens(40), turn(900)]);
    let counted: Vec<u64> = log.turns.iter().map(|report| report.tokens.output_speech).collect();
    assert_eq!(counted, [30, 10, 0]);
    assert_eq!(
        log.latency["firstAudioMs"],
        json!({"p50": 500, "p95": 900, "p99": 900, "turns": 3})
    );
}

#[test]
fn what_transcribe_redacted_is_what_is_kept() {
    let heard = |redacted| Heard {
        text: "my name is [NAME]".into(),
        start: 1.0,
        end: 2.0,
        language: None,
        redacted,
    };
    let with = |redacted| {
        let heard = Some(heard(redacted));
        let text = "my name is ann".into();
        let role = Speaker::User;
        Event::Line(Line { id: "1".into(), role, text, is_final: true, interrupted: false, heard })
    };
    let kept = log([line("1", Speaker::User, "my name is ann", true), with(true)]);
    assert_eq!(texts(&kept), [("user", "my name is [NAME]")]);
    assert_eq!(kept.transcript[0].source, Some("transcribe"));
    let beside = log([with(false), line("1", Speaker::User, "my name is anne", true)]);
    assert_eq!(texts(&beside), [("user", "my name is anne")]);
    assert!(beside.transcript[0].transcription.is_some(), "a later word of Nova's keeps it");
}

#[test]
fn a_card_number_in_pieces_goes_from_all_of_them() {
    let user = |id: &str, text: &str| line(id, Speaker::User, text, true);
    let said = log([
        user("1", "it's four one one one."),
        line("2", Speaker::Assistant, "Yes?", true),
        user("3", "one one one one"),
        user("4", "1111, 1111."),
        user("5", "and thank you"),
    ]);
    let card = ("user", "[card number]");
    let expected = [card, ("assistant", "Yes?"), card, card, ("user", "and thank you")];
    assert_eq!(texts(&said), expected);
    let other = log([user("1", "I have two"), user("2", "three four five")]);
    assert_eq!(texts(&other), [("user", "I have two"), ("user", "three four five")]);
}
