//! Callers of Amazon Connect: Kinesis Video, the bridge, the server, Nova Sonic, and back as a WAV
//! file on S3. Everything but the telephone network is real, or its stand-in on the real wire.

use std::time::Duration;

use serde_json::{Value, json};
use voice_audio::level;
use voice_bridge::{Bridge, BridgeConfig, DuringPrompt};
use voice_emulator::{EmulatorConfig, FaultScope, MediaFault, MediaFaultKind};
use voice_s2s::config::ServerConfig;

use crate::support::{
    Bench, House, TRANSFER,
    contact::{Phone, bridge_config, polly},
    eventually,
    store::Store,
};

const LOOK_UP: &str = r#"{
  "name": "look_up",
  "description": "Looks the balance up.",
  "input_schema": { "type": "object", "properties": {} },
  "execute": { "kind": "static", "rows": [], "default": { "result": { "balance": "27.50" } } }
}"#;

/// What the assistant says to one utterance after the other: the model understands no speech.
const SCENARIO: &str = r#"{
  "name": "phone",
  "start": "open",
  "otherwise": [{ "say": "Hm." }],
  "states": { "open": { "turns": [
    { "when": { "greeting": true }, "do": [{ "say": "Welcome to Meridian Bank." }] },
    { "when": { "text": "story" }, "do": [{ "say":
      "This is the first of two sentences, and it takes its time. And here is the second one." }] },
    { "when": { "text": "balance" }, "do": [{ "call": { "tool": "look_up" } }] },
    { "when": { "results": "look_up" }, "do": [{ "say": "You have twenty seven dollars." }] },
    { "when": { "text": "human" }, "do": [{ "call": { "tool": "transfer_to_agent",
        "input": { "reason": "A disputed charge" } } }] },
    { "when": { "results": "transfer_to_agent" },
      "do": [{ "say": "I am connecting you to a colleague." }], "goto": "over" }
  ] }, "over": { "end": true } }
}"#;

pub(crate) async fn bench(
    change: impl FnOnce(&mut ServerConfig, &mut EmulatorConfig),
) -> (House, Bench, Store) {
    bench_of(SCENARIO, change).await
}

/// A bench whose model plays another script.
pub(crate) async fn bench_of(
    scenario: &str,
    change: impl FnOnce(&mut ServerConfig, &mut EmulatorConfig),
) -> (House, Bench, Store) {
    let house = House::new(&[TRANSFER, ("tools/look_up.json", LOOK_UP)]);
    let bench = house.bench(scenario, change).await;
    (house, bench, Store::start())
}

pub(crate) async fn bridge(
    bench: &Bench,
    store: &Store,
    change: impl FnOnce(&mut BridgeConfig),
) -> Bridge {
    let mut config = bridge_config(bench, store);
    change(&mut config);
    Bridge::start(config).await.expect("a bridge")
}

/// Nothing is left anywhere.
pub(crate) async fn finish(bench: Bench, bridge: Bridge) {
    eventually("no call at the bridge", || bridge.meters().active_calls.get() == 0).await;
    let streams = bench.observer().media();
    eventually("no connection to Kinesis Video", || streams.open_connections() == 0).await;
    assert_eq!(bridge.stop(Duration::from_secs(5)).await, 0);
    bench.finish().await;
}

#[actix_web::test]
async fn a_call_with_three_turns_a_tool_and_a_transfer() {
    let (_house, bench, store) = bench(|_, _| ()).await;
    let bridge = bridge(&bench, &store, |_| ()).await;
    let mut phone = Phone::dial(&bench, store, &bridge);
    let mut greeting = phone.start().await;
    assert_eq!(greeting["status"], "started");
    if greeting["intent"] == "listen" {
        greeting = phone.until_answered().await;
    }
    assert_eq!(greeting["intent"], "continue");
    assert!(phone.seconds(&greeting) > 0.8, "{}", phone.seconds(&greeting));
    assert!(greeting["responseText"].as_str().is_some_and(|text| text.contains("Meridian")));

    phone.say("Would you tell me a story, please?");
    let story = phone.reply().await;
    assert!(story.len() > 1, "the first sentence is played while the second is made: {story:?}");
    assert_eq!(story[0]["more"], "true");
    let long: f64 = story.iter().map(|piece| phone.seconds(piece)).sum();
    assert!((4.0..12.0).contains(&long), "{long} s of story");

    phone.say("How much money do I have in my account?");
    let balance = phone.reply().await;
    assert!(phone.seconds(&balance[0]) > 1.0);

    phone.say("I would like to speak to a human now.");
    let mut last = phone.until_answered().await;
    while last["intent"] == "continue" {
        assert!(level::rms_dbfs(&phone.prompt(&last).samples) > -45.0, "it is heard");
        last = phone.until_answered().await;
    }
    assert_eq!(
        (last["intent"].as_str(), last["reason"].as_str()),
        (Some("transfer"), Some("A disputed charge"))
    );
    assert!(last["summary"].as_str().is_some_and(|text| !text.is_empty()), "{last}");
    let urls: Vec<&Value> = phone.answers.iter().map(|a| &a["responseAudioUrl"]).collect();
    let mut unique: Vec<_> = urls.iter().filter_map(|url| url.as_str()).collect();
    unique.retain(|url| !url.is_empty());
    let all = unique.len();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), all, "no address was used twice");
    assert_eq!(bench.observer().media().connections(), 1, "one connection for the whole call");
    phone.line.hang_up();
    phone.ask("/end", &json!({"sessionId": phone.session_id()})).await;
    finish(bench, bridge).await;
}

#[actix_web::test]
async fn the_same_turn_gets_the_same_answer_and_a_silent_caller_is_listened_to() {
    let (_house, bench, store) = bench(|_, _| ()).await;
    let bridge = bridge(&bench, &store, |config| {
        config.longest_wait = Duration::from_millis(300);
    })
    .await;
    let mut phone = Phone::dial(&bench, store, &bridge);
    phone.start().await;
    let turn = |key: &str| json!({"sessionId": phone.session_id(), "turnKey": key});
    // Twice at a time: Lambda asks again before the first attempt is over.
    let (first, second) = (turn("a"), turn("a"));
    let (one, two): ((u16, Value), (u16, Value)) =
        tokio::join!(phone.ask("/turn", &first), phone.ask("/turn", &second));
    assert_eq!((one.0, &one.1), (200, &two.1));
    assert_eq!(phone.ask("/turn", &first).await, one.clone(), "and afterwards");
    // The greeting, as far as it was not given to those.
    let mut last = one.1;
    while last["intent"] != "continue" || last["more"] == "true" {
        last = phone.turn().await;
    }
    // Nobody speaks: the flow is told to ask again, and again.
    for _ in 0..3 {
        assert_eq!(phone.turn().await["intent"], "listen");
    }
    phone.line.hang_up();
    let end = phone.until_answered().await;
    assert_eq!(end["intent"], "end", "the caller has gone: {end}");
    phone.ask("/end", &json!({"sessionId": phone.session_id()})).await;
    finish(bench, bridge).await;
}

#[actix_web::test]
async fn an_answer_is_given_when_its_turn_ends_and_not_when_its_voice_has_rested() {
    let (_house, bench, store) = bench(|config, _| config.engine.greeting_delay = None).await;
    let bridge = bridge(&bench, &store, |config| {
        config.cut.rest = Duration::from_secs(3_600);
    })
    .await;
    let mut phone = Phone::dial(&bench, store, &bridge);
    phone.start().await;
    // The second one needs a tool.
    for words in ["two sentences", "twenty seven"] {
        phone.say("Whatever is said, the model answers in its order.");
        let answer = phone.reply().await;
        let text = answer[0]["responseText"].as_str().expect("a text");
        assert!(text.contains(words), "{answer:?}");
        assert!(phone.seconds(&answer[0]) > 1.0, "all of it");
    }
    phone.line.hang_up();
    phone.ask("/end", &json!({"sessionId": phone.session_id()})).await;
    finish(bench, bridge).await;
}

#[actix_web::test]
async fn a_caller_who_hangs_up_in_mid_prompt_leaves_nothing_behind() {
    let (_house, bench, store) = bench(|_, _| ()).await;
    let bridge = bridge(&bench, &store, |_| ()).await;
    let mut phone = Phone::dial(&bench, store, &bridge);
    phone.start().await;
    // Nobody asks any more, and nobody says that the call is over.
    phone.line.hang_up();
    finish(bench, bridge).await;
}

#[actix_web::test]
async fn only_signed_requests_are_let_in_and_mistakes_are_named() {
    let (_house, bench, store) = bench(|_, _| ()).await;
    let bridge = bridge(&bench, &store, |_| ()).await;
    let phone = Phone::dial(&bench, store, &bridge);
    let code = |answer: &(u16, Value)| {
        (answer.0, answer.1["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    let unsigned = phone.send("POST", "/start", "", &phone.contact.to_string()).await;
    assert_eq!(code(&unsigned), (401, "unauthorized".to_owned()));
    let unknown = phone.ask("/turn", &json!({"sessionId": "connect-x", "turnKey": "1"})).await;
    assert_eq!(code(&unknown), (404, "unknown_session".to_owned()));
    // Connect has the stream only when streaming was started before.
    let none = json!({"contactId": "c", "streamArn": ""});
    assert_eq!(code(&phone.ask("/start", &none).await), (400, "no_stream".to_owned()));
    let bad = phone.ask("/start", &json!({"contactId": 7})).await;
    assert_eq!(code(&bad), (400, "bad_body".to_owned()));
    let elsewhere = json!({"sessionId": phone.session_id(), "turnKey": "1",
        "owner": "http://10.0.0.9:8081", "contact": phone.contact});
    let elsewhere = phone.ask("/turn", &elsewhere).await;
    assert_eq!(code(&elsewhere), (421, "wrong_owner".to_owned()));
    assert_eq!(elsewhere.1["owner"], "http://10.0.0.9:8081");
    assert_eq!(phone.send("GET", "/health", "", "").await, (200, json!("OK")));
    assert_eq!(phone.send("GET", "/ready", "", "").await.1["ready"], true);
    let metrics = phone.send("GET", "/metrics", "", "").await.1;
    assert!(
        metrics.as_str().is_some_and(|text| text.contains("bridge_refused_total")),
        "{metrics}"
    );
    finish(bench, bridge).await;
}

#[actix_web::test]
async fn a_bridge_that_is_lost_in_mid_call_is_replaced() {
    let (_house, bench, store) = bench(|_, _| ()).await;
    let first = bridge(&bench, &store, |_| ()).await;
    let second = bridge(&bench, &store, |_| ()).await;
    let mut phone = Phone::dial(&bench, store, &first);
    let owner = phone.start().await["owner"].clone();
    // The first bridge is gone; the Lambda asks another one, with all it knows.
    assert_eq!(first.stop(Duration::ZERO).await, 1);
    phone.redirect(&second);
    let turn = json!({"sessionId": phone.session_id(), "turnKey": "1", "owner": owner,
        "contact": phone.contact, "adopt": true});
    let (status, answer) = phone.ask("/turn", &turn).await;
    assert_eq!(status, 200, "{answer}");
    assert_ne!(answer["owner"], owner);
    if answer["intent"] == "listen" || answer["more"] == "true" {
        phone.reply().await;
    }
    phone.say("Would you tell me a story, please?");
    assert_eq!(phone.until_answered().await["intent"], "continue", "the call goes on");
    phone.line.hang_up();
    phone.ask("/end", &json!({"sessionId": phone.session_id()})).await;
    finish(bench, second).await;
}

#[actix_web::test]
async fn a_stream_that_stalls_for_nine_seconds_and_ends_loses_nothing() {
    let (_house, bench, store) = bench(|_, emulator| {
        let fault = |nth, kind| MediaFault {
            after: Duration::from_secs(1),
            kind,
            scope: FaultScope::Nth(nth),
        };
        emulator.media.faults = vec![
            fault(1, MediaFaultKind::Stall(Duration::from_secs(9))),
            fault(2, MediaFaultKind::End),
        ];
    })
    .await;
    let bridge = bridge(&bench, &store, |_| ()).await;
    let mut phone = Phone::dial(&bench, store, &bridge);
    phone.start().await;
    // Said while nothing comes.
    phone.say("Would you tell me a story, please?");
    // The greeting lasts less than two seconds, the story more than four.
    let mut heard = 0.0;
    while heard < 4.0 {
        let answer = phone.until_answered().await;
        assert_eq!(answer["intent"], "continue");
        heard += phone.seconds(&answer);
    }
    assert!(bench.observer().media().connections() >= 3);
    let metrics = phone.send("GET", "/metrics", "", "").await.1;
    let metrics = metrics.as_str().expect("text");
    assert!(metrics.contains("bridge_media_missing_seconds_total 0"), "{metrics}");
    phone.line.hang_up();
    phone.ask("/end", &json!({"sessionId": phone.session_id()})).await;
    finish(bench, bridge).await;
}

#[actix_web::test]
async fn polly_says_what_the_model_has_worked_out() {
    let (_house, bench, store) = bench(|_, _| ()).await;
    let bridge = bridge(&bench, &store, |config| {
        config.polly = Some(polly(config));
        config.during_prompt = DuringPrompt::Drop;
    })
    .await;
    let mut phone = Phone::dial(&bench, store, &bridge);
    let mut greeting = phone.start().await;
    if greeting["intent"] == "listen" {
        greeting = phone.until_answered().await;
    }
    assert_eq!(greeting["responseText"], "Welcome to Meridian Bank.");
    let words = voice_emulator::voice::synthesize(
        "Welcome to Meridian Bank.",
        8_000,
        voice_emulator::voice::Accent::British,
    );
    let spoken = phone.prompt(&greeting).samples.len();
    assert_eq!(spoken, words.expect("a sentence").len(), "by the voice of Polly");
    assert!(bench.observer().media().syntheses() > 0);
    phone.line.hang_up();
    phone.ask("/end", &json!({"sessionId": phone.session_id()})).await;
    finish(bench, bridge).await;
}

#[actix_web::test]
async fn whatever_fails_the_caller_hears_something() {
    let (_house, bench, mut store) = bench(|_, _| ()).await;
    // No bucket: Connect says the words itself.
    store.go_away();
    let lost = bridge(&bench, &store, |_| ()).await;
    let mut phone = Phone::dial(&bench, store, &lost);
    let mut greeting = phone.start().await;
    if greeting["intent"] == "listen" {
        greeting = phone.until_answered().await;
    }
    assert_eq!(greeting["responseAudioUrl"], "");
    assert!(greeting["responseText"].as_str().is_some_and(|text| text.contains("Meridian")));
    phone.ask("/end", &json!({"sessionId": phone.session_id()})).await;
    finish_bridge(&bench, lost).await;
    // No server: an apology, and a human.
    let nowhere = bridge(&bench, &phone.store, |config| {
        config.server = "ws://127.0.0.1:9/sonic".into();
    })
    .await;
    phone.redirect(&nowhere);
    let mut answer = phone.start().await;
    if answer["intent"] == "listen" {
        answer = phone.until_answered().await;
    }
    assert_eq!(answer["intent"], "transfer");
    assert_eq!(answer["responseText"], voice_bridge::APOLOGY);
    phone.line.hang_up();
    phone.ask("/end", &json!({"sessionId": phone.session_id()})).await;
    finish(bench, nowhere).await;
}

async fn finish_bridge(bench: &Bench, bridge: Bridge) {
    eventually("no call at the bridge", || bridge.meters().active_calls.get() == 0).await;
    let streams = bench.observer().media();
    eventually("no connection to Kinesis Video", || streams.open_connections() == 0).await;
    assert_eq!(bridge.stop(Duration::from_secs(5)).await, 0);
}
