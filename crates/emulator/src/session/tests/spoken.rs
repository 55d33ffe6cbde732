//! Conversations in which Pico speaks on both sides: the sequences of `nova-sonic.md` §3.4–§3.9.

use super::*;
use crate::config::EndpointingPauses;
use crate::script::Scenario;
use crate::voice::{Accent, synthesize};

const SCENARIO: &str = r#"{
  "name": "session test",
  "start": "open",
  "states": {
    "open": {
      "turns": [
        {"when": {"greeting": true}, "do": [{"say": "Good day. How can I help you?"}]},
        {"when": {"text": "weather"}, "do": [
          {"say": "Let me check."},
          {"call": {"tool": "getWeather", "input": {"city": "Rome"}}}]},
        {"when": {"text": "time"}, "do": [{"say": "It is noon."}]},
        {"when": {"text": "both"}, "do": [
          {"call": {"tool": "slow"}}, {"call": {"tool": "quick"}}]},
        {"when": {"results": ["getWeather"]}, "do": [{"say": "It is sunny."}]},
        {"when": {"results": ["quick"]}, "do": [{"say": "That was quick."}]},
        {"when": {"results": ["slow"]}, "do": [{"say": "That was slow."}]},
        {"when": {"text": "goodbye"}, "do": [{"say": "Goodbye."}], "goto": "bye"}
      ]
    },
    "bye": {"end": true}
  }
}"#;

fn config() -> EmulatorConfig {
    let pause = Duration::from_millis(300);
    EmulatorConfig {
        scenario: Arc::new(Scenario::parse(SCENARIO).unwrap()),
        clocks: Clocks {
            pause: EndpointingPauses { high: pause, medium: pause, low: pause },
            ..Clocks::default()
        },
        ..EmulatorConfig::default()
    }
}

/// An output event: its name and its body.
type Event = (String, Value);

impl Client {
    /// The next event; the head is passed over.
    async fn event(&mut self) -> Event {
        loop {
            let json: Value = match self.next().await.expect("the stream goes on") {
                Outbound::Event(event) => event,
                Outbound::Json(json) => serde_json::from_slice(&json).unwrap(),
                Outbound::Head => continue,
                other => panic!("{other:?}"),
            };
            let (name, body) = json["event"].as_object().unwrap().iter().next().unwrap();
            return (name.clone(), body.clone());
        }
    }

    /// The events up to one that fits, which is the last.
    async fn until(&mut self, fits: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.event().await;
            let last = fits(&event);
            events.push(event);
            if last {
                return events;
            }
        }
    }

    async fn until_end_of_turn(&mut self) -> Vec<Event> {
        self.until(|(name, body)| {
            name == "contentEnd" && body["type"] == "AUDIO" && body["stopReason"] == "END_TURN"
        })
        .await
    }

    async fn until_tool_use(&mut self) -> (Vec<Event>, String) {
        let events = self.until(|(name, _)| name == "toolUse").await;
        let id = events.last().unwrap().1["toolUseId"].as_str().unwrap().to_owned();
        (events, id)
    }

    /// Interactive text, after the audio it needs.
    async fn type_text(&self, content_name: &str, text: &str) {
        self.silence(100).await;
        self.send(json!({"contentStart": {
            "promptName": "p", "contentName": content_name, "type": "TEXT", "interactive": true,
            "role": "USER", "textInputConfiguration": {"mediaType": "text/plain"}}}))
            .await;
        self.send(json!({"textInput": {
            "promptName": "p", "contentName": content_name, "content": text}}))
            .await;
        self.send(json!({"contentEnd": {"promptName": "p", "contentName": content_name}})).await;
    }

    async fn tool_result(&self, id: &str, result: &Value) {
        self.send(json!({"contentStart": {
            "promptName": "p", "contentName": id, "type": "TOOL", "interactive": false,
            "role": "TOOL", "toolResultInputConfiguration": {
                "toolUseId": id, "type": "TEXT",
                "textInputConfiguration": {"mediaType": "text/plain"}}}}))
            .await;
        self.send(json!({"toolResult": {
            "promptName": "p", "contentName": id, "content": result.to_string()}}))
            .await;
        self.send(json!({"contentEnd": {"promptName": "p", "contentName": id}})).await;
    }

    /// A sentence of speech and the silence after it, as fast as the service reads.
    async fn speak(&self, text: &str) {
        let speech = synthesize(text, 16_000, Accent::British).unwrap();
        let pcm: Vec<u8> = speech.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.silence(200).await;
        for chunk in pcm.chunks(1_024) {
            self.audio(chunk).await;
        }
        for _ in 0..20 {
            self.silence(32).await;
        }
    }
}

fn texts(events: &[Event]) -> Vec<&str> {
    let written = events.iter().filter(|(name, _)| name == "textOutput");
    written.filter_map(|(_, body)| body["content"].as_str()).collect()
}

fn count(events: &[Event], wanted: &str) -> usize {
    events.iter().filter(|(name, _)| name == wanted).count()
}

#[tokio::test]
async fn the_greeting_follows_the_cue_and_is_audible() {
    let mut client = Client::connect(config());
    client.open(24_000).await;
    client.type_text("cue", "hi").await;
    let events = client.until_end_of_turn().await;
    assert_eq!(texts(&events), ["Good day.", "  How can I help you?"]);
    let pcm: Vec<u8> = events
        .iter()
        .filter(|(name, _)| name == "audioOutput")
        .flat_map(|(_, body)| STANDARD.decode(body["content"].as_str().unwrap()).unwrap())
        .collect();
    assert!(pcm.len() > 24_000 * 2, "{} bytes of audio", pcm.len());
    assert!(pcm.iter().any(|&byte| byte != 0));
}

#[tokio::test]
async fn speech_is_answered_and_no_words_are_invented() {
    let mut client = Client::connect(config());
    client.open(8_000).await;
    let (answer, ()) = tokio::join!(
        client_events(&mut client.out),
        speak_through(client.events.clone().unwrap(), "What is the weather like in Rome?")
    );
    let names: Vec<&str> = answer.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..4], ["userSpeechStart", "completionStart", "userSpeechEnd", "usageEvent"]);
    let (_, ended) = &answer[2];
    assert!(ended["inputAudioDetectionOffsetMs"].as_u64() > ended["inputAudioOffsetMs"].as_u64());
    assert_eq!(texts(&answer)[..2], ["(speech detected, not recognised)", "Let me check."]);
    assert!(answer[3].1["details"]["delta"]["input"]["speechTokens"].as_u64() > Some(10));
}

/// The events up to the first tool call.
async fn client_events(out: &mut mpsc::Receiver<Outbound>) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(outbound) = out.recv().await {
        let json: Value = match outbound {
            Outbound::Event(event) => event,
            Outbound::Json(json) => serde_json::from_slice(&json).unwrap(),
            _ => continue,
        };
        let (name, body) = json["event"].as_object().unwrap().iter().next().unwrap();
        events.push((name.clone(), body.clone()));
        if name == "toolUse" {
            break;
        }
    }
    events
}

/// Speech into a stream whose other half is being read.
async fn speak_through(events: mpsc::Sender<Inbound>, text: &str) {
    let (_, out) = mpsc::channel(1);
    let observer = Observer::new(EmulatorConfig::default().record);
    Client { events: Some(events), out, observer }.speak(text).await;
}

#[tokio::test]
async fn the_first_generation_hears_without_saying_so_and_ignores_text() {
    let mut client = Client::connect_to(Generation::V1, config());
    client.open(8_000).await;
    client.type_text("cue", "hi").await;
    let (answer, ()) = tokio::join!(
        client_events(&mut client.out),
        speak_through(client.events.clone().unwrap(), "What is the weather like in Rome?")
    );
    assert_eq!(answer[0].0, "completionStart");
    assert_eq!(count(&answer, "userSpeechStart") + count(&answer, "userSpeechEnd"), 0);
    assert_eq!(texts(&answer)[0], "(speech detected, not recognised)");
}

#[tokio::test]
async fn speech_over_the_answer_interrupts_it() {
    let mut client = Client::connect(config());
    client.open(8_000).await;
    client.type_text("cue", "hi").await;
    client.until(|(name, _)| name == "audioOutput").await;
    let (answer, ()) = tokio::join!(
        client_events(&mut client.out),
        speak_through(client.events.clone().unwrap(), "What is the weather like in Rome?")
    );
    let at = |wanted: &dyn Fn(&Event) -> bool| answer.iter().position(wanted).unwrap();
    let speech = at(&|(name, _)| name == "userSpeechStart");
    let marker = at(&|(_, body)| body["content"] == r#"{ "interrupted" : true }"#);
    let stopped = at(&|(_, body)| body["stopReason"] == "INTERRUPTED");
    let heard = at(&|(_, body)| body["content"] == "(speech detected, not recognised)");
    assert!(speech < marker && marker < stopped && stopped < heard);
    assert!(!answer[speech..heard].iter().any(|(name, _)| name == "audioOutput"));
    assert_eq!(count(&answer, "completionStart"), 0, "there is one completion in a session");
}

#[tokio::test]
async fn a_tool_call_is_answered_with_its_result() {
    let mut client = Client::connect(config());
    client.open(8_000).await;
    client.type_text("cue", "hi").await;
    client.until_end_of_turn().await;
    client.type_text("q", "What is the weather?").await;
    let (events, id) = client.until_tool_use().await;
    assert_eq!(events.last().unwrap().1["content"], r#"{"city":"Rome"}"#);
    client.tool_result(&id, &json!({"temp": 21})).await;
    let events = client.until_end_of_turn().await;
    assert_eq!(texts(&events), ["It is sunny."]);
}

#[tokio::test]
async fn results_come_in_any_order_and_the_talk_goes_on_meanwhile() {
    let mut client = Client::connect(config());
    client.open(8_000).await;
    client.type_text("cue", "hi").await;
    client.until_end_of_turn().await;
    client.type_text("q1", "both please").await;
    let (_, slow) = client.until_tool_use().await;
    let (_, quick) = client.until_tool_use().await;
    client.type_text("q2", "What time is it?").await;
    assert!(texts(&client.until_end_of_turn().await).contains(&"It is noon."));
    client.tool_result(&quick, &json!({})).await;
    assert!(texts(&client.until_end_of_turn().await).contains(&"That was quick."));
    client.tool_result(&slow, &json!({})).await;
    assert!(texts(&client.until_end_of_turn().await).contains(&"That was slow."));
}

#[tokio::test]
async fn a_result_for_an_unknown_call_is_fatal() {
    let mut client = Client::connect(config());
    client.open(8_000).await;
    client.silence(100).await;
    client.tool_result("nobody-asked", &json!({})).await;
    let exception = client.exception().await;
    assert_eq!(exception.kind, ExceptionKind::Validation);
    assert!(exception.message.contains("nobody-asked"));
}

#[tokio::test]
async fn the_orderly_end_brings_the_final_texts_and_the_completion() {
    let mut client = Client::connect(config());
    client.open(8_000).await;
    client.type_text("cue", "hi").await;
    client.until_end_of_turn().await;
    client.end().await;
    let events = client.until(|(name, _)| name == "completionEnd").await;
    assert_eq!(texts(&events), ["Good day.", "  How can I help you?"]);
    assert!(matches!(client.next().await, Some(Outbound::End)));
    assert!(client.next().await.is_none());
    assert_eq!(client.reason(), "ended in order");
}
