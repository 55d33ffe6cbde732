//! The calls of the session and what they send. What the service says is in the golden traces.

use serde_json::{Value, json};

use super::*;
use crate::{HistoryMessage, Sensitivity, Speaker, ToolSpec};

/// What was queued, as `(name, body)`; the close is `("close", null)`.
fn sent(session: &mut Session) -> Vec<(String, Value)> {
    std::iter::from_fn(|| session.poll_transmit())
        .map(|transmit| match transmit {
            Transmit::Close => ("close".to_owned(), Value::Null),
            Transmit::Event(json) => {
                let value: Value = serde_json::from_slice(&json).unwrap();
                let (name, body) = value["event"].as_object().unwrap().iter().next().unwrap();
                (name.clone(), body.clone())
            }
        })
        .collect()
}

fn names(events: &[(String, Value)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

fn live(settings: SessionSettings) -> Session {
    let mut session = Session::new(settings);
    sent(&mut session);
    session.stream_opened();
    sent(&mut session);
    session
}

fn service(session: &mut Session, name: &str, body: Value) {
    session.receive(json!({ "event": { name: body } }).to_string().as_bytes());
}

fn silence(ms: u32) -> AudioChunk {
    AudioChunk::silence(SampleRate::Hz16000, ms)
}

const TEXT_BLOCK: [&str; 3] = ["contentStart", "textInput", "contentEnd"];

#[test]
fn the_opening_is_complete_before_the_service_answers() {
    let said = |role, text: &str| HistoryMessage { role, text: text.into() };
    let mut session = Session::new(SessionSettings {
        sensitivity: Some(Sensitivity::High),
        system_prompt: "word ".repeat(500).into(),
        tools: vec![ToolSpec {
            name: "getWeather".into(),
            description: "d".into(),
            input_schema: json!({ "type": "object" }).into(),
        }],
        history: vec![said(Speaker::User, "Hi"), said(Speaker::Assistant, "Hello")],
        greeting: Some("hi".into()),
        ..Default::default()
    });
    let opening = sent(&mut session);
    let mut expected = vec!["sessionStart", "promptStart", "contentStart"];
    expected.extend(["textInput"; 3]);
    expected.push("contentEnd");
    expected.extend(TEXT_BLOCK);
    expected.extend(TEXT_BLOCK);
    assert_eq!(names(&opening), expected);
    let (start, prompt) = (&opening[0].1, &opening[1].1);
    assert_eq!(start["turnDetectionConfiguration"]["endpointingSensitivity"], "HIGH");
    let schema = &prompt["toolConfiguration"]["tools"][0]["toolSpec"]["inputSchema"]["json"];
    assert_eq!(schema, "{\"type\":\"object\"}");
    let system: String =
        opening[3..6].iter().map(|(_, body)| body["content"].as_str().unwrap()).collect();
    assert_eq!(system, "word ".repeat(500));
    assert!(opening[3..6].iter().all(|(_, b)| b["content"].as_str().unwrap().len() <= 1000));
    assert_eq!(opening[10].1["role"], "ASSISTANT");
    assert_eq!(opening[10].1["interactive"], false);
    assert_eq!(session.phase(), Phase::Opening);
}

#[test]
fn the_first_generation_gets_neither_turn_detection_nor_text() {
    let settings = SessionSettings {
        model: ModelFamily::Sonic1,
        sensitivity: Some(Sensitivity::Low),
        greeting: Some("hi".into()),
        ..Default::default()
    };
    let mut session = Session::new(settings);
    let opening = sent(&mut session);
    assert!(opening[0].1.get("turnDetectionConfiguration").is_none());
    session.stream_opened();
    assert_eq!(names(&sent(&mut session)), ["contentStart"]);
    assert_eq!(session.push_text("hi"), Err(PushRefused::Unsupported));
    assert_eq!(session.turn(), Turn::Idle);
}

#[test]
fn the_greeting_follows_silence_in_the_open_audio() {
    let settings = SessionSettings { greeting: Some("hi".into()), ..Default::default() };
    let mut session = Session::new(settings);
    sent(&mut session);
    session.stream_opened();
    session.stream_opened();
    let events = sent(&mut session);
    assert_eq!(
        names(&events),
        ["contentStart", "audioInput", "contentStart", "textInput", "contentEnd"]
    );
    assert_eq!(events[0].1["type"], "AUDIO");
    // 100 ms at 16 kHz are 3,200 bytes, and base64 needs four characters for three bytes.
    assert_eq!(events[1].1["content"].as_str().unwrap().len(), 3_200_usize.div_ceil(3) * 4);
    assert_eq!((&events[2].1["role"], &events[2].1["interactive"]), (&json!("USER"), &json!(true)));
    assert_eq!(session.turn(), Turn::AwaitingAssistant);
    assert_eq!(session.input_position(), 1_600);
}

#[test]
fn a_greeting_can_be_taken_back_until_its_text_is_handed_out() {
    let settings = SessionSettings { greeting: Some("hi".into()), ..Default::default() };
    let mut early = Session::new(settings.clone());
    early.cancel_greeting();
    sent(&mut early);
    early.stream_opened();
    assert_eq!(names(&sent(&mut early)), ["contentStart"]);

    let mut queued = Session::new(settings.clone());
    sent(&mut queued);
    queued.stream_opened();
    queued.cancel_greeting();
    assert_eq!(names(&sent(&mut queued)), ["contentStart", "audioInput"]);
    assert_eq!(queued.turn(), Turn::Idle);

    let mut begun = Session::new(settings);
    sent(&mut begun);
    begun.stream_opened();
    for _ in 0..3 {
        begun.poll_transmit();
    }
    begun.cancel_greeting();
    assert_eq!(names(&sent(&mut begun)), ["textInput", "contentEnd"], "a begun block is completed");
}

#[test]
fn audio_is_refused_outside_of_the_call_and_at_another_rate() {
    let mut session = Session::new(SessionSettings::default());
    assert_eq!(session.push_audio(&silence(32)), Err(PushRefused::NotOpen));
    session.stream_opened();
    let wrong = AudioChunk::silence(SampleRate::Hz8000, 32);
    let refused =
        PushRefused::WrongRate { expected: SampleRate::Hz16000, actual: SampleRate::Hz8000 };
    assert_eq!(session.push_audio(&wrong), Err(refused));
    sent(&mut session);
    session.push_audio(&silence(0)).unwrap();
    assert_eq!(sent(&mut session), []);
    session.push_audio(&silence(32)).unwrap();
    assert_eq!(sent(&mut session).len(), 1);
    session.push_audio(&silence(250)).unwrap();
    assert_eq!(sent(&mut session).len(), 3, "long audio goes in parts");
    session.finish();
    assert_eq!(session.push_audio(&silence(32)), Err(PushRefused::Finished));
}

#[test]
fn typed_text_brings_its_silence_and_is_not_shown_when_told_back() {
    let mut session = live(SessionSettings::default());
    assert_eq!(session.push_text(" \n"), Err(PushRefused::Empty));
    session.push_text("what time is it").unwrap();
    assert_eq!(names(&sent(&mut session))[1..], TEXT_BLOCK);
    let start = json!({ "contentId": "u", "type": "TEXT", "role": "USER" });
    service(&mut session, "contentStart", start);
    let text = json!({ "contentId": "u", "content": "what time is it" });
    service(&mut session, "textOutput", text.clone());
    assert_eq!(session.poll_event(), None);
    // Said once more, it was really said.
    service(&mut session, "textOutput", text);
    assert!(matches!(session.poll_event(), Some(SessionEvent::Line(_))));
}

#[test]
fn a_tool_call_gets_exactly_one_result() {
    let mut session = live(SessionSettings::default());
    let call = json!({ "toolName": "t", "toolUseId": "id-1", "content": "{}" });
    service(&mut session, "toolUse", call.clone());
    service(&mut session, "toolUse", call);
    let expected =
        SessionEvent::ToolCall { tool_use_id: "id-1".into(), name: "t".into(), input: json!({}) };
    assert_eq!(session.poll_event(), Some(expected));
    assert_eq!(session.poll_event(), None, "the same call twice is one call");
    assert_eq!(session.open_tool_calls().collect::<Vec<_>>(), ["id-1"]);
    let unknown = Err(PushRefused::UnknownToolUse("id-2".into()));
    assert_eq!(session.push_tool_result("id-2", &json!({})), unknown);
    session.push_tool_result("id-1", &json!("done")).unwrap();
    let events = sent(&mut session);
    assert_eq!(names(&events), ["contentStart", "toolResult", "contentEnd"]);
    assert_eq!(events[0].1["toolResultInputConfiguration"]["toolUseId"], "id-1");
    assert_eq!(events[1].1["content"], r#"{"result":"done"}"#);
    assert!(session.push_tool_result("id-1", &json!({})).is_err());
    assert_eq!(session.open_tool_calls().next(), None);
}

#[test]
fn the_end_closes_everything_once() {
    let mut session = live(SessionSettings::default());
    session.finish();
    session.finish();
    let end = sent(&mut session);
    let expected = ["audioInput", "contentEnd", "promptEnd", "sessionEnd", "close"];
    assert_eq!(names(&end), expected, "an empty audio content cannot be closed");
    assert_eq!(session.phase(), Phase::Finishing);
    service(&mut session, "completionEnd", json!({ "stopReason": "END_TURN" }));
    assert_eq!(session.poll_event(), Some(SessionEvent::Completed));
    assert_eq!(session.phase(), Phase::Ended);
}

#[test]
fn before_the_stream_is_open_the_end_only_closes() {
    let mut session = Session::new(SessionSettings::default());
    session.poll_transmit();
    session.finish();
    session.stream_opened();
    assert_eq!(names(&sent(&mut session)), ["close"]);
    assert_eq!(session.phase(), Phase::Ended);
}

#[test]
fn a_sample_cut_in_two_is_put_together_within_its_content() {
    let mut session = live(SessionSettings::default());
    let start = |id: &str| json!({ "contentId": id, "type": "AUDIO", "role": "ASSISTANT" });
    service(&mut session, "contentStart", start("a"));
    // 01 02 03 | 04 05 06
    service(&mut session, "audioOutput", json!({ "contentId": "a", "content": "AQID" }));
    service(&mut session, "audioOutput", json!({ "contentId": "a", "content": "BAUG" }));
    service(&mut session, "contentEnd", json!({ "contentId": "a", "type": "AUDIO" }));
    service(&mut session, "contentStart", start("b"));
    service(&mut session, "audioOutput", json!({ "contentId": "b", "content": "BwgJ" }));
    let audio: Vec<_> = std::iter::from_fn(|| session.poll_event())
        .filter_map(|event| match event {
            SessionEvent::Audio(chunk) => Some(chunk.bytes().to_vec()),
            _ => None,
        })
        .collect();
    assert_eq!(audio, [vec![1, 2], vec![3, 4, 5, 6], vec![7, 8]]);
}

#[test]
fn noise_during_the_assistants_turn_leaves_it_the_turn() {
    let mut session = live(SessionSettings::default());
    service(&mut session, "audioOutput", json!({ "contentId": "a", "content": "AAAA" }));
    service(&mut session, "userSpeechStart", json!({ "inputAudioOffsetMs": 10 }));
    assert_eq!(session.turn(), Turn::AssistantSpeaking);
    assert!(session.user_is_speaking());
    service(&mut session, "userSpeechEnd", json!({}));
    let end = json!({ "contentId": "a", "type": "AUDIO", "stopReason": "END_TURN" });
    service(&mut session, "contentEnd", end);
    assert_eq!(session.turn(), Turn::Idle);
}

#[test]
fn an_interruption_can_be_declared_and_a_late_marker_adds_nothing() {
    let mut session = live(SessionSettings::default());
    session.declare_interruption();
    assert_eq!(session.poll_event(), None, "there is nothing to interrupt");
    service(&mut session, "audioOutput", json!({ "contentId": "a", "content": "AAAA" }));
    session.declare_interruption();
    let marker = json!({ "contentId": "m", "content": "{ \"interrupted\" : true }" });
    service(&mut session, "textOutput", marker);
    // The rest of the cut audio is not played.
    service(&mut session, "audioOutput", json!({ "contentId": "a", "content": "AAAA" }));
    let events: Vec<_> = std::iter::from_fn(|| session.poll_event()).skip(2).collect();
    let ended = SessionEvent::AssistantTurnEnded { interrupted: true };
    assert_eq!(events, [SessionEvent::Interrupted, ended]);
}

#[test]
fn usage_is_complete_even_when_the_report_is_not() {
    let mut session = live(SessionSettings::default());
    let delta = json!({ "input": { "speechTokens": 5 }, "output": { "textTokens": 2 } });
    service(&mut session, "usageEvent", json!({ "details": { "delta": delta } }));
    service(&mut session, "usageEvent", json!({ "totalInputTokens": 9, "totalOutputTokens": 2 }));
    let usages: Vec<_> = std::iter::from_fn(|| session.poll_event())
        .map(|event| match event {
            SessionEvent::Usage(usage) => (usage.delta.input(), usage.total.input()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(usages, [(5, 5), (4, 9)]);
}

#[test]
fn a_standby_takes_over_with_the_history_of_that_moment() {
    let said = |role, text: &str| HistoryMessage { role, text: text.into() };
    let history = [said(Speaker::User, "Hi"), said(Speaker::Assistant, "Hello")];
    let opening = ["sessionStart", "promptStart", "contentStart", "textInput", "contentEnd"];
    let mut told = TEXT_BLOCK.to_vec();
    told.extend(TEXT_BLOCK);

    // The service answers first.
    let mut session = Session::standby(SessionSettings::default());
    assert_eq!(names(&sent(&mut session)), opening);
    session.stream_opened();
    assert_eq!(session.phase(), Phase::Standby);
    assert_eq!(session.push_audio(&silence(32)), Err(PushRefused::NotOpen));
    session.begin(&history);
    session.begin(&history);
    assert_eq!(session.phase(), Phase::Live);
    assert_eq!(names(&sent(&mut session)), [told.as_slice(), &["contentStart"]].concat());

    // It is wanted before that.
    let mut session = Session::standby(SessionSettings::default());
    sent(&mut session);
    session.begin(&history);
    assert_eq!(names(&sent(&mut session)), told);
    session.stream_opened();
    assert_eq!(names(&sent(&mut session)), ["contentStart"]);
}

#[test]
fn a_standby_that_is_not_needed_just_closes() {
    let mut session = Session::standby(SessionSettings::default());
    sent(&mut session);
    session.stream_opened();
    session.finish();
    assert_eq!(names(&sent(&mut session)), ["close"]);
    session.begin(&[]);
    assert_eq!(session.phase(), Phase::Ended);
}

#[test]
fn what_a_lost_stream_began_to_say_ends_there() {
    let mut session = live(SessionSettings::default());
    let start = json!({"contentId": "c", "type": "TEXT", "role": "ASSISTANT",
        "additionalModelFields": "{\"generationStage\":\"SPECULATIVE\"}"});
    service(&mut session, "contentStart", start);
    service(&mut session, "textOutput", json!({"contentId": "c", "content": "I was about"}));
    while session.poll_event().is_some() {}
    session.cut_off();
    session.cut_off();
    let events: Vec<_> = std::iter::from_fn(|| session.poll_event()).collect();
    let [SessionEvent::Line(line)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((line.text.as_str(), line.state), ("I was about", crate::LineState::Final));
    assert!(line.interrupted);
    assert_eq!(session.turn(), Turn::Idle);
}
