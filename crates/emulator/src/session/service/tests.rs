//! A stream without its shell: events in, acts out, time as told.

mod arbitrary;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::*;
use crate::config::{EmulatorConfig, Fault, FaultKind, FaultMoment, FaultScope};
use crate::observe::Observer;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

struct Stream {
    service: Service,
    observer: Observer,
}

impl Stream {
    fn open(config: EmulatorConfig) -> Self {
        let observer = Observer::new(config.record);
        let record = observer.open(
            1,
            "rid".into(),
            "amazon.nova-2-sonic-v1:0".into(),
            http::Version::HTTP_2,
        );
        let world = Arc::new(World::new(config, observer.clone()).unwrap());
        Self { service: Service::new(Generation::V2, world, record), observer }
    }

    fn echo(rate_hz: u32) -> Self {
        let mut stream = Self::open(EmulatorConfig { echo: true, ..EmulatorConfig::default() });
        stream.prompt(rate_hz);
        stream.send(json!({"contentStart": {
            "promptName": "p", "contentName": "a", "type": "AUDIO", "interactive": true,
            "role": "USER", "audioInputConfiguration": {
                "mediaType": "audio/lpcm", "sampleRateHertz": 16_000},
        }}));
        stream.acts();
        stream
    }

    fn prompt(&mut self, rate_hz: u32) {
        self.send(json!({"sessionStart": {}}));
        self.send(json!({"promptStart": {
            "promptName": "p", "audioOutputConfiguration": {
                "mediaType": "audio/lpcm", "sampleRateHertz": rate_hz, "voiceId": "amy"},
        }}));
        self.send(json!({"contentStart": {
            "promptName": "p", "contentName": "s", "type": "TEXT", "role": "SYSTEM",
            "textInputConfiguration": {"mediaType": "text/plain"},
        }}));
        self.send(json!({"textInput": {"promptName": "p", "contentName": "s", "content": "x"}}));
        self.send(json!({"contentEnd": {"promptName": "p", "contentName": "s"}}));
    }

    fn send(&mut self, event: Value) {
        self.service.event(ms(0), json!({"event": event}).to_string().as_bytes());
    }

    fn acts(&mut self) -> Vec<Act> {
        std::iter::from_fn(|| self.service.next_act()).collect()
    }

    /// The output events, each with its name.
    fn events(&mut self) -> Vec<(String, Value)> {
        let event = |act| {
            let json: Value = match act {
                Act::Send(Outbound::Event(event)) => event,
                Act::Send(Outbound::Json(json)) => serde_json::from_slice(&json).unwrap(),
                _ => return None,
            };
            let (name, body) = json["event"].as_object().unwrap().iter().next().unwrap();
            Some((name.clone(), body.clone()))
        };
        self.acts().into_iter().filter_map(event).collect()
    }

    fn end(&self) -> String {
        self.observer.sessions()[0].end.clone().unwrap_or_default()
    }
}

fn audio(pcm: &[u8]) -> Value {
    json!({"audioInput": {
        "promptName": "p", "contentName": "a", "content": STANDARD.encode(pcm)}})
}

fn heads(acts: &[Act]) -> usize {
    acts.iter().filter(|act| matches!(act, Act::Send(Outbound::Head))).count()
}

#[test]
fn the_response_head_leaves_at_its_moment() {
    for (head, moment) in [
        (ResponseHead::Immediately, 0),
        (ResponseHead::AfterPromptStart, 2),
        (ResponseHead::AfterFirstContentEnd, 5),
    ] {
        let mut stream = Stream::open(EmulatorConfig { head, ..EmulatorConfig::default() });
        let mut heads = vec![heads(&stream.acts())];
        let events = [
            json!({"sessionStart": {}}),
            json!({"promptStart": {"promptName": "p", "audioOutputConfiguration": {
                "mediaType": "audio/lpcm", "sampleRateHertz": 8000, "voiceId": "amy"}}}),
            json!({"contentStart": {"promptName": "p", "contentName": "s", "type": "TEXT",
                "role": "SYSTEM", "textInputConfiguration": {"mediaType": "text/plain"}}}),
            json!({"textInput": {"promptName": "p", "contentName": "s", "content": "x"}}),
            json!({"contentEnd": {"promptName": "p", "contentName": "s"}}),
        ];
        for event in events {
            stream.send(event);
            heads.push(self::heads(&stream.acts()));
        }
        let expected: Vec<usize> = (0..=5).map(|at| usize::from(at == moment)).collect();
        assert_eq!(heads, expected, "{head:?}");
    }
}

#[test]
fn a_broken_rule_ends_the_stream_with_the_prefix_of_the_service() {
    let mut stream = Stream::open(EmulatorConfig::default());
    stream.send(json!({"sessionStart": {}}));
    stream.send(json!({"sessionEnd": {}}));
    stream.send(json!({"sessionEnd": {}}));
    let acts = stream.acts();
    let [
        Act::Send(Outbound::Head),
        Act::Send(Outbound::Exception(exception)),
        Act::Send(Outbound::End),
        Act::Over,
    ] = &acts[..]
    else {
        panic!("{acts:?}")
    };
    assert_eq!(exception.message, "RequestId=rid : No prompts were received in the sequence");
    assert!(stream.end().starts_with("validationException"), "{}", stream.end());
}

#[test]
fn what_cannot_be_read_is_kept_in_the_record() {
    let mut stream = Stream::open(EmulatorConfig::default());
    stream.service.event(ms(0), b"{oops");
    let session = &stream.observer.sessions()[0];
    assert_eq!(
        (session.received("unparsable"), &session.events[..]),
        (1, &["{oops".to_owned()][..])
    );
    assert!(stream.end().contains("Unable to parse input chunk."));
}

#[test]
fn audio_that_is_no_base64_is_unparsable() {
    let mut stream = Stream::echo(16_000);
    stream.send(json!({"audioInput": {"promptName": "p", "contentName": "a", "content": "???"}}));
    assert!(stream.end().contains("Unable to parse input chunk."));
}

#[test]
fn the_echo_returns_the_same_bytes_inside_one_block() {
    let mut stream = Stream::echo(16_000);
    let pcm: Vec<u8> = (0..1024_u32).map(|n| (n % 251) as u8).collect();
    stream.send(audio(&pcm));
    stream.send(audio(&pcm));
    stream.send(json!({"contentEnd": {"promptName": "p", "contentName": "a"}}));
    stream.send(json!({"promptEnd": {"promptName": "p"}}));
    let events = stream.events();
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "completionStart",
            "contentStart",
            "audioOutput",
            "audioOutput",
            "contentEnd",
            "completionEnd"
        ]
    );
    assert_eq!(events[2].1["content"], STANDARD.encode(&pcm));
    assert_eq!(events[4].1["stopReason"], "END_TURN");
    assert_eq!(stream.observer.sessions()[0].heard_bytes, 2048);
}

#[test]
fn the_echo_lasts_nearly_as_long_when_the_rates_differ() {
    let mut stream = Stream::echo(24_000);
    for _ in 0..100 {
        stream.send(audio(&[0; 1024]));
    }
    stream.send(json!({"contentEnd": {"promptName": "p", "contentName": "a"}}));
    let bytes: usize = stream
        .events()
        .iter()
        .filter_map(|(_, body)| STANDARD.decode(body["content"].as_str()?).ok())
        .map(|pcm| pcm.len())
        .sum();
    assert_eq!(bytes, 100 * (1024 * 3 / 2) * 31 / 32, "a playout that fell behind catches up");
}

#[test]
fn a_configured_fault_strikes_after_its_event() {
    let fault = |moment, kind| Fault { moment, kind, scope: FaultScope::Every };
    let config = EmulatorConfig {
        faults: vec![
            fault(FaultMoment::AfterEvents(1), FaultKind::UnknownEvent),
            fault(FaultMoment::AfterEvents(2), FaultKind::Garbage(vec![1, 2, 3])),
            fault(FaultMoment::AfterEvents(4), FaultKind::ResetStream),
        ],
        ..EmulatorConfig::default()
    };
    let mut stream = Stream::open(config);
    stream.prompt(8_000);
    let acts = stream.acts();
    let [
        Act::Send(Outbound::Head),
        Act::Send(Outbound::Event(_)),
        Act::Send(Outbound::Raw(_)),
        Act::Send(Outbound::Reset),
        Act::Over,
    ] = &acts[..]
    else {
        panic!("{acts:?}")
    };
    assert_eq!(stream.end(), "fault: reset");
}

#[test]
fn typed_text_needs_fresh_audio_but_is_billed_without() {
    let mut stream = Stream::open(EmulatorConfig::default());
    stream.prompt(8_000);
    stream.send(json!({"contentStart": {
        "promptName": "p", "contentName": "a", "type": "AUDIO", "interactive": true,
        "role": "USER", "audioInputConfiguration": {
            "mediaType": "audio/lpcm", "sampleRateHertz": 16_000},
    }}));
    // 66 ms are not enough.
    stream.send(audio(&[0; 66 * 32]));
    let names = |stream: &mut Stream| -> Vec<String> {
        for event in [
            json!({"contentStart": {"promptName": "p", "contentName": "t", "type": "TEXT",
                "interactive": true, "role": "USER",
                "textInputConfiguration": {"mediaType": "text/plain"}}}),
            json!({"textInput": {"promptName": "p", "contentName": "t", "content": "hi"}}),
            json!({"contentEnd": {"promptName": "p", "contentName": "t"}}),
        ] {
            stream.send(event);
        }
        stream.events().into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(&mut stream), ["usageEvent"]);
    stream.send(audio(&[0; 2 * 32]));
    assert_eq!(names(&mut stream)[0], "completionStart");
    assert_eq!(names(&mut stream), ["usageEvent"], "the same audio does not serve twice");
}

#[test]
fn a_prompt_after_the_prompt_is_closed_without_a_word() {
    let mut stream = Stream::echo(16_000);
    stream.send(audio(&[0; 64]));
    stream.send(json!({"contentEnd": {"promptName": "p", "contentName": "a"}}));
    stream.send(json!({"promptEnd": {"promptName": "p"}}));
    stream.acts();
    stream.send(json!({"promptStart": {
        "promptName": "q", "audioOutputConfiguration": {
            "mediaType": "audio/lpcm", "sampleRateHertz": 8_000, "voiceId": "amy"},
    }}));
    assert_eq!(stream.service.deadline(), ms(200));
    stream.service.tick(ms(200));
    let acts = stream.acts();
    assert!(matches!(acts[..], [Act::Send(Outbound::End), Act::Over]), "{acts:?}");
}

#[test]
fn a_stream_that_hangs_is_silent_and_open_whatever_comes() {
    for (kind, deaf) in [(FaultKind::Hang, ms(0)), (FaultKind::Deaf(ms(9)), ms(9))] {
        let fault = Fault { moment: FaultMoment::AfterEvents(3), kind, scope: FaultScope::Every };
        let mut stream =
            Stream::open(EmulatorConfig { faults: vec![fault], ..EmulatorConfig::default() });
        stream.prompt(16_000);
        let acts = stream.acts();
        let [Act::Send(Outbound::Head), Act::Hang { deaf: told }] = acts[..] else {
            panic!("{acts:?}")
        };
        assert_eq!(told, deaf);
        assert_eq!(stream.service.deadline(), Duration::MAX);
        stream.service.tick(ms(1_000_000));
        stream.send(json!({"nonsense": {}}));
        assert!(stream.acts().is_empty());
        assert!(stream.end().starts_with("fault: "), "{}", stream.end());
    }
}

#[test]
fn a_history_is_read_and_the_answer_goes_on_from_it() {
    let scenario = r#"{"name": "shop", "start": "open", "states": {
        "open": {"turns": [{"when": {"text": "order"}, "do": [{"say": "Yes?"}], "goto": "ask"}]},
        "ask": {"turns": [{"when": {"text": "4021"}, "do": [{"say": "Well?"}], "goto": "what"}]},
        "what": {"end": true, "turns": [{"when": {"text": "where"}, "do": [{"call": {"tool": "track"}}]}]}
    }}"#;
    let scenario = Arc::new(crate::script::Scenario::parse(scenario).unwrap());
    let mut stream = Stream::open(EmulatorConfig { scenario, ..EmulatorConfig::default() });
    stream.prompt(16_000);
    for (number, (role, text)) in
        [("USER", "My order"), ("ASSISTANT", "Yes?"), ("USER", "4021")].into_iter().enumerate()
    {
        let name = format!("h{number}");
        stream.send(json!({"contentStart": {
            "promptName": "p", "contentName": name, "type": "TEXT", "role": role,
            "textInputConfiguration": {"mediaType": "text/plain"}}}));
        stream.send(json!({"textInput": {
            "promptName": "p", "contentName": name, "content": text}}));
        stream.send(json!({"contentEnd": {"promptName": "p", "contentName": name}}));
    }
    assert!(stream.events().is_empty(), "history is read in silence");
    stream.send(json!({"contentStart": {
        "promptName": "p", "contentName": "a", "type": "AUDIO", "interactive": true,
        "role": "USER", "audioInputConfiguration": {
            "mediaType": "audio/lpcm", "sampleRateHertz": 16_000}}}));
    stream.send(audio(&[0; 4096]));
    stream.send(json!({"contentStart": {
        "promptName": "p", "contentName": "t", "type": "TEXT", "interactive": true,
        "role": "USER", "textInputConfiguration": {"mediaType": "text/plain"}}}));
    stream.send(
        json!({"textInput": {"promptName": "p", "contentName": "t", "content": "Where is it?"}}),
    );
    stream.send(json!({"contentEnd": {"promptName": "p", "contentName": "t"}}));
    let events = stream.events();
    let call = events.iter().find(|(name, _)| name == "toolUse").expect("a call");
    assert_eq!(call.1["toolName"], "track");
}
