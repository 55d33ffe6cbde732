//! The sequences of `nova-sonic.md` §3.4–§3.9 with steps handed in and a voice of zeroes.

use serde_json::json;

use super::*;
use crate::script::{self, FaultStep};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn conversation(generation: Generation) -> Conversation {
    let reply = Reply::new("p".into(), 8_000);
    Conversation::new(reply, generation, PendingFaults::of(Vec::new()))
}

fn say(text: &str) -> Step {
    Step::Say(text.to_owned())
}

fn call(tool: &str, double_encoded: bool) -> Step {
    Step::Call { tool: tool.to_owned(), input: json!({"city": "Rome"}), double_encoded }
}

/// What came out, a short line each.
fn trace(conversation: &mut Conversation) -> Vec<String> {
    std::iter::from_fn(|| conversation.next_act()).map(|act| line(&act)).collect()
}

fn line(act: &Act) -> String {
    let json = match act {
        Act::Send(Outbound::Event(event)) => event.clone(),
        Act::Send(Outbound::Json(json)) => serde_json::from_slice(json).unwrap(),
        Act::Send(Outbound::Exception(exception)) => return exception.kind.wire_name().to_owned(),
        Act::Say(text) => return format!("say {text}"),
        Act::Called(_) => return "called".to_owned(),
        Act::Send(other) => return format!("{other:?}"),
        Act::Hush => return "hush".to_owned(),
        Act::Struck(end) => return format!("struck {end}"),
        Act::Hang { deaf } => return format!("hang, deaf for {deaf:?}"),
        Act::Over => return "over".to_owned(),
    };
    let (name, body) = json["event"].as_object().unwrap().iter().next().unwrap();
    let word = |key: &str| body[key].as_str().unwrap_or_default();
    let stage = word("additionalModelFields").split('"').nth(3).unwrap_or_default();
    let words = match name.as_str() {
        "contentStart" => vec![word("type"), word("role"), stage],
        "contentEnd" => vec![word("type"), word("stopReason")],
        "textOutput" => vec![word("content")],
        "toolUse" => vec![word("toolName"), word("content")],
        "completionEnd" => vec![word("stopReason")],
        _ => vec![],
    };
    format!("{name} {}", words.join(" ")).trim_end().to_owned()
}

/// `ms` of audio at 8 kHz.
fn pcm(ms: usize) -> Vec<u8> {
    vec![0; ms * 16]
}

/// Speaks the sentence asked for, in two chunks.
fn speak(conversation: &mut Conversation, now: Duration, each_ms: usize) {
    conversation.voice(now, &pcm(each_ms));
    conversation.voice(now, &pcm(each_ms));
    conversation.voice_ended(now);
}

/// A turn of speech that ends at `now`.
fn user_turn(conversation: &mut Conversation, now: Duration, steps: Vec<Step>) {
    conversation.user_speech_started(now, 0);
    conversation.user_speech_ended(now, 1_920, 2_400, 1_900, Some("words"));
    conversation.begin(now, steps);
}

#[test]
fn a_plain_turn_goes_as_captured() {
    let mut c = conversation(Generation::V2);
    user_turn(&mut c, ms(0), vec![say("One."), say("Two.")]);
    speak(&mut c, ms(10), 100);
    speak(&mut c, ms(20), 100);
    assert_eq!(
        trace(&mut c),
        [
            "userSpeechStart",
            "completionStart",
            "userSpeechEnd",
            "usageEvent",
            "contentStart TEXT USER FINAL",
            "textOutput words",
            "contentEnd TEXT PARTIAL_TURN",
            "contentStart TEXT ASSISTANT SPECULATIVE",
            "textOutput One.",
            "contentEnd TEXT PARTIAL_TURN",
            "say One.",
            "contentStart AUDIO ASSISTANT",
            "audioOutput",
            "audioOutput",
            "contentEnd AUDIO PARTIAL_TURN",
            "contentStart TEXT ASSISTANT SPECULATIVE",
            "textOutput   Two.",
            "contentEnd TEXT PARTIAL_TURN",
            "say Two.",
            "contentStart AUDIO ASSISTANT",
            "audioOutput",
            "audioOutput",
            "contentEnd AUDIO END_TURN",
            "usageEvent",
        ]
    );
    assert_eq!(c.deadline(), None);
    // The next input, after all was played, brings the FINAL texts.
    c.user_speech_started(ms(500), 5_000);
    assert_eq!(
        trace(&mut c),
        [
            "userSpeechStart",
            "contentStart TEXT ASSISTANT FINAL",
            "textOutput One.",
            "contentEnd TEXT END_TURN",
            "contentStart TEXT ASSISTANT FINAL",
            "textOutput   Two.",
            "contentEnd TEXT PARTIAL_TURN",
        ]
    );
}

#[test]
fn the_first_generation_tells_nothing_of_speech() {
    let mut c = conversation(Generation::V1);
    user_turn(&mut c, ms(0), vec![]);
    assert_eq!(
        trace(&mut c),
        [
            "completionStart",
            "usageEvent",
            "contentStart TEXT USER FINAL",
            "textOutput words",
            "contentEnd TEXT PARTIAL_TURN"
        ]
    );
}

#[test]
fn noise_is_reported_and_not_answered() {
    let mut c = conversation(Generation::V2);
    c.user_speech_started(ms(0), 0);
    c.user_speech_ended(ms(0), 100, 600, 90, None);
    assert_eq!(trace(&mut c), ["userSpeechStart", "completionStart", "userSpeechEnd"]);
}

/// What is sent when speech comes at `at` into two sentences of 200 ms each, the second of which
/// is half made.
fn barge_in(manner: BargeIn, at: u64) -> Vec<String> {
    let mut c = conversation(Generation::V2);
    c.typed(ms(0), "cue");
    c.begin(ms(0), vec![Step::BargeIn(manner), say("One two."), say("Three four.")]);
    speak(&mut c, ms(0), 100);
    c.voice(ms(0), &pcm(100));
    trace(&mut c);
    c.user_speech_started(ms(at), 0);
    trace(&mut c)
}

#[test]
fn speech_over_unplayed_audio_takes_the_word() {
    let marker = [
        "contentStart TEXT ASSISTANT FINAL",
        r#"textOutput { "interrupted" : true }"#,
        "contentEnd TEXT INTERRUPTED",
    ];
    let one = ["contentStart TEXT ASSISTANT FINAL", "textOutput One", "contentEnd TEXT END_TURN"];
    let start = ["userSpeechStart", "hush"];
    let joined = |parts: &[&[&str]]| {
        let mut all: Vec<String> = parts.concat().iter().map(ToString::to_string).collect();
        all.push("usageEvent".to_owned());
        all
    };
    let cases: Vec<(BargeIn, Vec<String>)> = vec![
        (BargeIn::Marker, joined(&[&start, &["contentEnd AUDIO END_TURN"], &marker, &one])),
        (BargeIn::Interrupted, joined(&[&start, &["contentEnd AUDIO INTERRUPTED"], &marker, &one])),
        (
            BargeIn::MarkerTwice,
            joined(&[&start, &["contentEnd AUDIO END_TURN"], &marker, &marker, &one]),
        ),
        (BargeIn::SpeechStartOnly, joined(&[&start, &["contentEnd AUDIO PARTIAL_TURN"], &one])),
        (BargeIn::Ignored, vec!["userSpeechStart".to_owned()]),
    ];
    for (manner, expected) in cases {
        assert_eq!(barge_in(manner, 120), expected, "{manner:?}");
    }
}

#[test]
fn audio_that_is_made_but_not_played_can_be_interrupted_too() {
    let mut c = conversation(Generation::V2);
    c.typed(ms(0), "cue");
    c.begin(ms(0), vec![say("One two.")]);
    speak(&mut c, ms(0), 500);
    trace(&mut c);
    c.user_speech_started(ms(999), 0);
    let events = trace(&mut c);
    assert!(events.contains(&"contentEnd TEXT INTERRUPTED".to_owned()), "{events:?}");
    assert!(!events.contains(&"hush".to_owned()), "{events:?}");
    assert!(events.contains(&"textOutput One".to_owned()), "{events:?}");
    // Once is enough: nothing is left to interrupt.
    c.user_speech_ended(ms(999), 1, 2, 1, None);
    trace(&mut c);
    c.user_speech_started(ms(1_000), 0);
    assert_eq!(trace(&mut c), ["userSpeechStart"]);
}

#[test]
fn nothing_of_a_cut_sentence_comes_after_the_interruption() {
    let mut c = conversation(Generation::V2);
    c.typed(ms(0), "cue");
    c.begin(ms(0), vec![say("One."), call("t", false), say("Two.")]);
    c.voice(ms(0), &pcm(100));
    c.user_speech_started(ms(10), 0);
    trace(&mut c);
    c.voice(ms(20), &pcm(100));
    c.voice_ended(ms(30));
    assert_eq!(trace(&mut c), Vec::<String>::new());
    // The answer to what was said comes when the caller has finished.
    c.begin(ms(40), vec![say("Late.")]);
    assert_eq!(trace(&mut c), Vec::<String>::new());
    c.user_speech_ended(ms(50), 1, 2, 400, Some("words"));
    c.begin(ms(50), vec![say("Answer.")]);
    assert!(trace(&mut c).contains(&"say Answer.".to_owned()));
    speak(&mut c, ms(60), 10);
    assert!(trace(&mut c).contains(&"say Late.".to_owned()));
}

#[test]
fn typed_text_interrupts_and_has_no_user_text() {
    let mut c = conversation(Generation::V2);
    c.typed(ms(0), "hi");
    c.begin(ms(0), vec![say("Good day.")]);
    c.voice(ms(0), &pcm(100));
    trace(&mut c);
    c.typed(ms(10), "stop");
    c.begin(ms(10), vec![say("As you wish.")]);
    let events = trace(&mut c);
    assert_eq!(
        events[..5],
        [
            "hush",
            "contentEnd AUDIO END_TURN",
            "contentStart TEXT ASSISTANT FINAL",
            r#"textOutput { "interrupted" : true }"#,
            "contentEnd TEXT INTERRUPTED"
        ]
    );
    assert!(events.contains(&"say As you wish.".to_owned()));
    assert!(!events.iter().any(|event| event.contains("USER")), "{events:?}");
}

#[test]
fn a_tool_is_called_after_the_filler_and_waits_for_its_result() {
    let mut c = conversation(Generation::V2);
    user_turn(&mut c, ms(0), vec![say("Let me check."), call("getWeather", false)]);
    trace(&mut c);
    speak(&mut c, ms(0), 10);
    assert_eq!(
        trace(&mut c),
        [
            "contentStart AUDIO ASSISTANT",
            "audioOutput",
            "audioOutput",
            "contentEnd AUDIO PARTIAL_TURN",
            "contentStart TOOL TOOL",
            r#"toolUse getWeather {"city":"Rome"}"#,
            "contentEnd TOOL TOOL_USE",
            "called",
            "usageEvent",
        ]
    );
    c.begin(ms(700), vec![say("Sunny.")]);
    speak(&mut c, ms(700), 10);
    let events = trace(&mut c);
    assert!(events.contains(&"contentEnd AUDIO END_TURN".to_owned()));
    assert!(!events.contains(&"completionStart".to_owned()));
}

#[test]
fn arguments_can_be_encoded_twice_and_a_call_is_answered_once() {
    let mut c = conversation(Generation::V2);
    c.begin(ms(0), vec![call("t", true)]);
    let mut id = String::new();
    while let Some(act) = c.next_act() {
        if let Act::Called(called) = &act {
            id.clone_from(called);
        }
        if let Act::Send(Outbound::Event(event)) = &act
            && let Some(content) = event["event"]["toolUse"]["content"].as_str()
        {
            let once: String = serde_json::from_str(content).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&once).unwrap(), json!({"city": "Rome"}));
        }
    }
    assert_eq!(c.take_call(&id).as_deref(), Some("t"));
    assert_eq!(c.take_call(&id), None);
}

#[test]
fn an_answer_that_comes_while_the_assistant_speaks_waits() {
    let mut c = conversation(Generation::V2);
    c.begin(ms(0), vec![say("First.")]);
    c.begin(ms(0), vec![say("Second.")]);
    assert!(!trace(&mut c).contains(&"say Second.".to_owned()));
    speak(&mut c, ms(0), 10);
    let events = trace(&mut c);
    assert!(events.contains(&"contentEnd AUDIO END_TURN".to_owned()));
    assert!(events.contains(&"say Second.".to_owned()));
}

#[test]
fn final_texts_can_come_by_the_clock_or_never() {
    let mut c = conversation(Generation::V2);
    c.begin(ms(0), vec![Step::Finals(Finals::After { ms: 2_600 }), say("One.")]);
    speak(&mut c, ms(0), 500);
    trace(&mut c);
    assert_eq!(c.deadline(), Some(ms(3_600)));
    c.tick(ms(3_599));
    assert!(trace(&mut c).is_empty());
    c.tick(ms(3_600));
    assert_eq!(trace(&mut c)[1], "textOutput One.");
    assert_eq!(c.deadline(), None);

    let mut c = conversation(Generation::V2);
    c.begin(ms(0), vec![Step::Finals(Finals::Never), say("One.")]);
    speak(&mut c, ms(0), 500);
    trace(&mut c);
    c.user_speech_started(ms(2_000), 0);
    c.finish();
    assert_eq!(trace(&mut c), ["userSpeechStart", "completionEnd END_TURN"]);
}

#[test]
fn a_pause_lasts_its_time_and_yields_to_the_caller() {
    let mut c = conversation(Generation::V2);
    c.begin(ms(0), vec![Step::Pause { ms: 300 }, say("One.")]);
    assert_eq!(c.deadline(), Some(ms(300)));
    c.tick(ms(299));
    assert!(!trace(&mut c).contains(&"say One.".to_owned()));
    c.tick(ms(300));
    assert!(trace(&mut c).contains(&"say One.".to_owned()));

    let mut c = conversation(Generation::V2);
    c.begin(ms(0), vec![Step::Pause { ms: 300 }, say("One.")]);
    c.user_speech_started(ms(100), 0);
    assert_eq!(c.deadline(), None);
}

#[test]
fn the_end_brings_what_is_outstanding_and_closes_what_is_open() {
    let mut c = conversation(Generation::V2);
    c.typed(ms(0), "hi");
    c.begin(ms(0), vec![say("One."), say("Two.")]);
    speak(&mut c, ms(0), 100);
    c.voice(ms(0), &pcm(100));
    trace(&mut c);
    c.finish();
    assert_eq!(
        trace(&mut c),
        [
            "hush",
            "contentEnd AUDIO END_TURN",
            "contentStart TEXT ASSISTANT FINAL",
            "textOutput One.",
            "contentEnd TEXT END_TURN",
            "contentStart TEXT ASSISTANT FINAL",
            "textOutput   Two.",
            "contentEnd TEXT PARTIAL_TURN",
            "usageEvent",
            "completionEnd END_TURN",
        ]
    );
    let mut c = conversation(Generation::V2);
    c.finish();
    assert!(trace(&mut c).is_empty());
}

#[test]
fn a_voice_that_fails_still_ends_its_turn() {
    let mut c = conversation(Generation::V2);
    c.begin(ms(0), vec![say("One.")]);
    trace(&mut c);
    c.voice_ended(ms(0));
    let events = trace(&mut c);
    assert_eq!(events[..2], ["contentStart AUDIO ASSISTANT", "contentEnd AUDIO END_TURN"]);
}

#[test]
fn a_fatal_fault_stops_the_answer() {
    let fault = |kind| Step::Fault(FaultStep { kind, message: None });
    let mut c = conversation(Generation::V2);
    c.begin(ms(0), vec![fault(script::FaultKind::UnknownEvent), say("One.")]);
    let events = trace(&mut c);
    assert_eq!(events[1], "futureEvent");
    assert!(events.contains(&"say One.".to_owned()));

    let mut c = conversation(Generation::V2);
    c.begin(ms(0), vec![fault(script::FaultKind::ContentFilter), say("One.")]);
    assert_eq!(trace(&mut c)[1..4], ["validationException", "End", "struck validationException"]);
    c.begin(ms(1), vec![say("Two.")]);
    assert!(!trace(&mut c).contains(&"say Two.".to_owned()));
}

#[test]
fn a_configured_fault_strikes_inside_the_answer_it_names() {
    use crate::config::{Fault, FaultKind, FaultMoment, FaultScope};
    let fault = Fault {
        moment: FaultMoment::MidTurn(2),
        kind: FaultKind::SilentEnd,
        scope: FaultScope::Every,
    };
    let reply = Reply::new("p".into(), 8_000);
    let faults = PendingFaults::of(vec![fault]);
    let mut c = Conversation::new(reply, Generation::V2, faults);
    c.begin(ms(0), vec![say("One.")]);
    speak(&mut c, ms(0), 10);
    c.begin(ms(0), vec![say("Two.")]);
    trace(&mut c);
    c.voice(ms(0), &pcm(10));
    let events = trace(&mut c);
    assert_eq!(events[1..], ["audioOutput", "End", "struck fault: closed without a word"]);
}

#[test]
fn a_tool_that_was_about_to_be_called_is_called_all_the_same() {
    let mut c = conversation(Generation::V2);
    c.begin(ms(0), vec![say("Let me see."), call("getWeather", false), say("Well.")]);
    speak(&mut c, ms(0), 1_000);
    trace(&mut c);
    let mut c = conversation(Generation::V2);
    c.begin(ms(0), vec![say("Let me see."), call("getWeather", false), say("Well.")]);
    c.voice(ms(0), &pcm(100));
    trace(&mut c);
    c.user_speech_started(ms(50), 0);
    let events = trace(&mut c);
    assert!(events.iter().any(|event| event.starts_with("toolUse getWeather")), "{events:?}");
    assert!(!events.contains(&"say Well.".to_owned()), "{events:?}");
}
