//! Any bytes, any events in any order, any calls: nothing panics, and what is sent stays in the
//! order that the service accepts.

use proptest::prelude::*;
use serde_json::{Value, json};
use voice_call::{AudioChunk, SampleRate};
use voice_sonic::{
    HistoryMessage, LineState, ModelFamily, Phase, Session, SessionEvent, SessionSettings, Speaker,
    Transmit,
};

use crate::order_checker::OrderChecker;

/// A call of the engine or an event of the service.
#[derive(Debug, Clone)]
enum Step {
    Service(Value),
    Bytes(Vec<u8>),
    Open,
    Audio(u32),
    WrongAudio,
    Text(String),
    Result(u8),
    CancelGreeting,
    DeclareInterruption,
    Finish,
    Poll(usize),
}

fn tool_use_id(n: u8) -> String {
    format!("call-{n}")
}

fn service_event() -> impl Strategy<Value = Value> {
    let content = (0..6_u8).prop_map(|n| format!("c{n}"));
    let kind = prop::sample::select(vec!["TEXT", "AUDIO", "TOOL", "MOOD"]);
    let role = prop::sample::select(vec!["USER", "ASSISTANT", "TOOL", "NOBODY"]);
    let stage = prop::sample::select(vec!["SPECULATIVE", "FINAL", "LATER"]);
    let stop =
        prop::sample::select(vec!["PARTIAL_TURN", "END_TURN", "INTERRUPTED", "TOOL_USE", ""]);
    let text = prop_oneof![
        3 => prop::sample::select(vec!["It is sunny.", "  Take a hat.", "It is", "sunny take", ""]),
        1 => Just("{ \"interrupted\" : true }"),
        1 => Just("{\"interrupted\":false}"),
    ];
    let name = prop::sample::select(vec![
        "contentStart",
        "contentStart",
        "textOutput",
        "textOutput",
        "audioOutput",
        "contentEnd",
        "contentEnd",
        "toolUse",
        "usageEvent",
        "userSpeechStart",
        "userSpeechEnd",
        "completionStart",
        "completionEnd",
        "moodEvent",
    ]);
    (name, content, kind, role, stage, stop, text, 0..4_u8, any::<u32>()).prop_map(
        |(name, content, kind, role, stage, stop, text, tool, number)| {
            let content_text = match name {
                "audioOutput" => ["", "AQ==", "AQID", "?"][usize::from(tool)],
                _ => text,
            };
            json!({ "event": { name: {
                "contentId": content, "type": kind, "role": role, "stopReason": stop,
                "additionalModelFields": format!("{{\"generationStage\":\"{stage}\"}}"),
                "content": content_text, "toolUseId": tool_use_id(tool), "toolName": "t",
                "inputAudioOffsetMs": number,
                "details": { "total": { "input": { "speechTokens": number } } },
            }}})
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => service_event().prop_map(Step::Service),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Bytes),
        2 => Just(Step::Open),
        4 => (0..300_u32).prop_map(Step::Audio),
        1 => Just(Step::WrongAudio),
        2 => ".{0,20}".prop_map(Step::Text),
        2 => (0..4_u8).prop_map(Step::Result),
        3 => Just(Step::CancelGreeting),
        1 => Just(Step::DeclareInterruption),
        1 => Just(Step::Finish),
        6 => (1..10_usize).prop_map(Step::Poll),
    ]
}

fn settings() -> impl Strategy<Value = SessionSettings> {
    let family =
        prop::sample::select(vec![ModelFamily::Sonic1, ModelFamily::Sonic2, ModelFamily::Sonic2_5]);
    let history = prop::collection::vec((any::<bool>(), ".{0,30}"), 0..8);
    (family, history, prop::option::of(".{0,10}"), ".{0,1200}").prop_map(
        |(model, history, greeting, system_prompt)| SessionSettings {
            model,
            greeting,
            system_prompt: system_prompt.into(),
            history: history
                .into_iter()
                .map(|(user, text)| HistoryMessage {
                    role: if user { Speaker::User } else { Speaker::Assistant },
                    text,
                })
                .collect(),
            ..Default::default()
        },
    )
}

/// What the engine may rely on in the order of events.
#[derive(Debug, Default)]
struct EventChecker {
    turn_is_open: bool,
    can_be_interrupted: bool,
}

impl EventChecker {
    fn check(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::AssistantTurnStarted => {
                assert!(!self.turn_is_open, "a turn within a turn");
                self.turn_is_open = true;
                self.can_be_interrupted = true;
            }
            SessionEvent::AssistantTurnEnded { .. } => {
                assert!(self.turn_is_open, "the end of no turn");
                self.turn_is_open = false;
            }
            SessionEvent::Audio(chunk) => {
                assert!(self.turn_is_open, "audio outside of a turn");
                assert!(!chunk.is_empty());
            }
            SessionEvent::Interrupted => {
                assert!(self.can_be_interrupted, "two interruptions of one turn");
                self.can_be_interrupted = false;
            }
            SessionEvent::Line(line) => {
                assert!(!line.text.contains("interrupted"), "the marker is shown");
                assert!(!line.text.is_empty());
                assert!(self.turn_is_open || line.state == LineState::Final);
            }
            SessionEvent::Malformed { reason } => {
                assert!(!reason.contains("withheld"), "{reason}");
            }
            _ => {}
        }
    }
}

fn perform(session: &mut Session, step: Step) {
    // Refusals are answers, not failures.
    match step {
        Step::Service(event) => session.receive(event.to_string().as_bytes()),
        Step::Bytes(bytes) => session.receive(&bytes),
        Step::Open => session.stream_opened(),
        Step::Audio(ms) => {
            let refused =
                session.push_audio(&AudioChunk::silence(SampleRate::Hz16000, ms)).is_err();
            assert_eq!(refused, session.phase() != Phase::Live);
        }
        Step::WrongAudio => {
            let audio = AudioChunk::silence(SampleRate::Hz24000, 10);
            assert!(session.push_audio(&audio).is_err());
        }
        Step::Text(text) => drop(session.push_text(&text)),
        Step::Result(n) => {
            let id = tool_use_id(n);
            let open = session.open_tool_calls().any(|call| call == id);
            let taken = session.push_tool_result(&id, &json!(n)).is_ok();
            assert_eq!(taken, open && session.phase() == Phase::Live);
        }
        Step::CancelGreeting => session.cancel_greeting(),
        Step::DeclareInterruption => session.declare_interruption(),
        Step::Finish => session.finish(),
        Step::Poll(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_order_of_events_and_calls_breaks_the_order_of_what_is_sent(
        settings in settings(),
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut session = Session::new(settings);
        let mut order = OrderChecker::default();
        let mut events = EventChecker::default();
        let mut closes = 0;
        let mut send = |session: &mut Session, order: &mut OrderChecker, most: usize| {
            for transmit in std::iter::from_fn(|| session.poll_transmit()).take(most) {
                closes += usize::from(transmit == Transmit::Close);
                order.check(&transmit);
            }
        };
        for step in steps {
            // What is queued need not be sent at once: the order must hold nevertheless.
            let most = if let Step::Poll(most) = step { most } else { 0 };
            perform(&mut session, step);
            for event in std::iter::from_fn(|| session.poll_event()) {
                if let SessionEvent::ToolCall { tool_use_id, .. } = &event {
                    order.tool_calls.push(tool_use_id.clone());
                }
                events.check(&event);
            }
            send(&mut session, &mut order, most);
        }
        session.finish();
        send(&mut session, &mut order, usize::MAX);
        prop_assert_eq!(closes, 1);
    }

    #[test]
    fn arbitrary_bytes_are_survived(payloads in prop::collection::vec(any::<Vec<u8>>(), 0..20)) {
        let mut session = Session::new(SessionSettings::default());
        for payload in payloads {
            session.receive(&payload);
            let event = session.poll_event();
            let told = matches!(event, Some(SessionEvent::Malformed { .. }));
            prop_assert!(told, "{:?}", event);
        }
    }

    #[test]
    fn damaged_events_are_survived(event in service_event(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut session = Session::new(SessionSettings::default());
        session.stream_opened();
        let mut payload = event.to_string().into_bytes();
        let at = at.index(payload.len());
        payload[at] = byte;
        session.receive(&payload);
        session.receive(&payload[..at]);
    }
}
