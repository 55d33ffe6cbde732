//! Long and hard calls on the phone: an hour, a bridge that is replaced in mid-reply, a noisy line,
//! speech during a prompt, a Polly without µ-law.

use std::time::Duration;

use serde_json::{Value, json};
use voice_audio::level;
use voice_bridge::DuringPrompt;
use voice_emulator::{Clocks, EndpointingPauses};
use voice_s2s::config::ServerConfig;

use crate::{
    phone::{bench, bench_of, bridge, finish},
    support::{Bench, Caller, contact::Phone, contact::polly, eventually, heavy},
};

/// A model that tells stories, for as long as somebody wants them.
const STORIES: &str = r#"{
  "name": "stories",
  "start": "open",
  "states": { "open": { "turns": [
    { "when": { "greeting": true }, "do": [{ "say": "Welcome to Meridian Bank." }] },
    { "when": { "text": "enough" }, "do": [{ "say": "Good." }], "goto": "over", "unheard": false },
    { "when": { "any": true },
      "do": [{ "say": "Once upon a time there was a bank, and it was in a small town." }] }
  ] }, "over": { "end": true } }
}"#;

/// How much faster than real time the hour passes.
const RATE: f64 = 30.0;

async fn metrics(phone: &Phone) -> String {
    let text = phone.send("GET", "/metrics", "", "").await.1;
    text.as_str().expect("text").to_owned()
}

/// A figure of the bridge, 0 where it was not counted yet.
async fn figure(phone: &Phone, name: &str) -> f64 {
    let text = metrics(phone).await;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |figure| figure.parse().expect("a number"))
}

/// The greeting has been played.
async fn greeted(phone: &mut Phone) {
    let answer = phone.start().await;
    if answer["intent"] == "listen" || answer["more"] == "true" {
        phone.reply().await;
    }
}

async fn hang_up(phone: &Phone) {
    phone.line.hang_up();
    phone.ask("/end", &json!({"sessionId": phone.session_id()})).await;
}

fn scaled(config: &mut ServerConfig) {
    config.engine.clock = voice_actors::Clock::scaled(RATE);
    config.engine.call_limit = None;
    config.engine.idle_timeout = None;
    // Fragments come every 36 ms of this machine's time; a busy one is late for that.
    config.engine.phone_gap = Duration::from_secs(30);
}

#[actix_web::test]
async fn an_hour_on_the_phone_loses_nothing_and_every_question_is_answered() {
    let _core = heavy().await;
    let (_house, bench, store) = bench_of(STORIES, |config, emulator| {
        scaled(config);
        emulator.clocks = Clocks { scale: RATE, ..Clocks::default() };
    })
    .await;
    let bridge = bridge(&bench, &store, |_| ()).await;
    let mut phone = Phone::dial(&bench, store, &bridge);
    greeted(&mut phone).await;
    let began = bench.observer().media().now_ms();
    let minutes = || (bench.observer().media().now_ms() - began) / 60_000;
    let mut replies = 0;
    while minutes() < 60 {
        phone.say("Would you tell me a story, please?");
        for piece in phone.reply().await {
            assert_eq!(piece["intent"], "continue", "after {} minutes: {piece}", minutes());
            assert!(phone.seconds(&piece) > 0.3);
        }
        replies += 1;
        // Two minutes of nothing between two questions; the flow goes on asking.
        let until = bench.observer().media().now_ms() + 120_000;
        while bench.observer().media().now_ms() < until {
            let answer = phone.turn().await;
            assert!(["listen", "continue"].contains(&answer["intent"].as_str().expect("text")));
        }
    }
    assert!(replies > 10, "{replies}");
    // The service ends a connection after 45 minutes, and a stream to the model after 8.
    assert!(bench.observer().media().connections() >= 2);
    assert!(bench.observer().sessions().len() >= 8);
    assert_eq!(figure(&phone, "bridge_media_missing_seconds_total").await, 0.0);
    assert!(figure(&phone, "bridge_voice_seconds_total").await > 3_500.0);
    assert!(!metrics(&phone).await.contains("bridge_voice_dropped_total{"));
    hang_up(&phone).await;
    finish(bench, bridge).await;
}

#[actix_web::test]
async fn another_bridge_goes_on_with_the_same_conversation_and_what_was_not_played() {
    let (_house, bench, store) = bench(|config, _| {
        config.engine.resume_window = Some(Duration::from_secs(20));
    })
    .await;
    let first = bridge(&bench, &store, |_| ()).await;
    let second = bridge(&bench, &store, |_| ()).await;
    let mut phone = Phone::dial(&bench, store, &first);
    greeted(&mut phone).await;
    phone.say("Would you tell me a story, please?");
    let piece = phone.until_answered().await;
    assert_eq!(piece["more"], "true", "the second sentence is at the bridge, or on its way");
    let played = phone.seconds(&piece);
    // It stops while the caller hears the first sentence. The Lambda asks the other one.
    assert_eq!(first.stop(Duration::ZERO).await, 1);
    phone.redirect(&second);
    let turn = json!({"sessionId": phone.session_id(), "turnKey": "2", "owner": piece["owner"],
        "contact": phone.contact, "adopt": true, "resume": piece["resume"]});
    let mut rest = 0.0;
    let (status, mut answer) = phone.ask("/turn", &turn).await;
    assert_eq!(status, 200, "{answer}");
    loop {
        if answer["intent"] == "continue" {
            rest += phone.seconds(&answer);
            if answer["more"] == "false" {
                break;
            }
        }
        answer = phone.turn().await;
    }
    assert!(rest > 0.8 && played + rest > 4.0, "{played} s, and {rest} s after the change");
    assert_eq!(bench.meters().calls_started.get(), 1, "it is the same call for the server");
    // And it is still a conversation.
    phone.say("How much money do I have in my account?");
    assert_eq!(phone.until_answered().await["intent"], "continue");
    hang_up(&phone).await;
    finish(bench, second).await;
}

#[actix_web::test]
async fn a_conversation_that_the_server_has_given_up_begins_anew() {
    let (_house, bench, store) = bench(|config, _| {
        config.engine.resume_window = Some(Duration::from_millis(10));
    })
    .await;
    let first = bridge(&bench, &store, |_| ()).await;
    let second = bridge(&bench, &store, |_| ()).await;
    let mut phone = Phone::dial(&bench, store, &first);
    greeted(&mut phone).await;
    let last = phone.answers.last().cloned().expect("an answer");
    assert_eq!(first.stop(Duration::ZERO).await, 1);
    let parked = bench.meters();
    eventually("the call is over", || parked.active_calls.get() == 0).await;
    phone.redirect(&second);
    let turn = json!({"sessionId": phone.session_id(), "turnKey": "9", "owner": last["owner"],
        "contact": phone.contact, "adopt": true, "resume": last["resume"]});
    assert_eq!(phone.ask("/turn", &turn).await.0, 200);
    phone.say("How much money do I have in my account?");
    assert_eq!(phone.until_answered().await["intent"], "continue");
    hang_up(&phone).await;
    finish(bench, second).await;
}

#[actix_web::test]
async fn what_is_said_during_a_prompt_is_not_heard_where_the_line_has_an_echo() {
    let (_house, bench, store) = bench(|_, _| ()).await;
    let bridge = bridge(&bench, &store, |config| {
        config.during_prompt = DuringPrompt::Drop;
        config.longest_wait = Duration::from_millis(500);
    })
    .await;
    let mut phone = Phone::dial(&bench, store, &bridge);
    let mut greeting = phone.start().await;
    if greeting["intent"] == "listen" {
        greeting = phone.until_answered().await;
    }
    assert_eq!(greeting["more"], "false");
    // The prompt is being played; its echo is as long as a word.
    phone.say("Welcome.");
    let dropped = "bridge_voice_dropped_total{reason=\"prompt\"}";
    let heard = async {
        while figure(&phone, dropped).await < 20.0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), heard).await.expect("it is dropped");
    // Nobody answers to it.
    for _ in 0..6 {
        assert_eq!(phone.turn().await["intent"], "listen");
    }
    phone.say("How much money do I have in my account?");
    assert_eq!(phone.until_answered().await["intent"], "continue", "and afterwards it is heard");
    hang_up(&phone).await;
    finish(bench, bridge).await;
}

#[actix_web::test]
async fn a_polly_without_mulaw_speaks_all_the_same() {
    let (_house, bench, store) = bench(|_, emulator| {
        emulator.polly.without_g711 = vec!["neural".to_owned()];
    })
    .await;
    let bridge = bridge(&bench, &store, |config| config.polly = Some(polly(config))).await;
    let mut phone = Phone::dial(&bench, store, &bridge);
    let mut greeting = phone.start().await;
    if greeting["intent"] == "listen" {
        greeting = phone.until_answered().await;
    }
    let words = voice_emulator::voice::synthesize(
        "Welcome to Meridian Bank.",
        8_000,
        voice_emulator::voice::Accent::British,
    );
    let spoken = phone.prompt(&greeting).samples;
    assert_eq!(spoken.len(), words.expect("a sentence").len(), "µ-law made of PCM here");
    assert!(level::rms_dbfs(&spoken) > -40.0);
    hang_up(&phone).await;
    finish(bench, bridge).await;
}

#[actix_web::test]
async fn a_noisy_line_is_hushed_when_the_model_does_not_find_the_end_of_a_turn() {
    let (_house, bench, store) = bench(|_, emulator| {
        // A model that waits for the end of a turn longer than anybody would.
        let never = Duration::from_secs(60);
        let pause = EndpointingPauses { high: never, medium: never, low: never };
        emulator.clocks = Clocks { pause, ..Clocks::default() };
        emulator.record.audio_bytes = usize::MAX;
    })
    .await;
    let bridge = bridge(&bench, &store, |config| {
        config.longest_wait = Duration::from_millis(200);
    })
    .await;
    let mut phone = Phone::dial(&bench, store, &bridge);
    greeted(&mut phone).await;
    let mut state = 7_u32;
    let noise: Vec<i16> = (0..6 * 8_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16 / 128
        })
        .collect();
    phone.say("How much money do I have in my account?");
    phone.line.say(&noise);
    // The noise is heard for a moment, and then there is quiet although the line is as loud as before.
    let quiet_after_noise = || {
        let sessions = bench.observer().sessions();
        let heard = sessions.last().map(|session| session.heard.clone()).unwrap_or_default();
        let samples = voice_audio::pcm::samples(&heard);
        let blocks: Vec<f64> = samples.chunks(1_600).map(level::rms_dbfs).collect();
        let noisy = |level: &f64| (-60.0..-30.0).contains(level);
        let last_noisy = blocks.iter().rposition(noisy);
        last_noisy.is_some_and(|at| blocks.len() > at + 20 && at > 10)
    };
    eventually("quiet", quiet_after_noise).await;
    let sessions = bench.observer().sessions();
    let heard = voice_audio::pcm::samples(&sessions.last().expect("a stream").heard);
    let noisy =
        heard.chunks(1_600).filter(|b| (-60.0..-30.0).contains(&level::rms_dbfs(b))).count();
    assert!((8..45).contains(&noisy), "{noisy} tenths of a second of noise, of 60");
    hang_up(&phone).await;
    finish(bench, bridge).await;
}

#[actix_web::test]
async fn operators_see_a_call_on_the_phone() {
    let (_house, bench, store) = bench(|_, _| ()).await;
    let bridge = bridge(&bench, &store, |_| ()).await;
    let mut watcher = watch(&bench).await;
    watcher.message("sbc_snapshot").await;
    let mut phone = Phone::dial(&bench, store, &bridge);
    let id = phone.session_id();
    greeted(&mut phone).await;
    let start = watcher.message("sbc_call_start").await;
    assert_eq!((&start["callId"], &start["from"]), (&json!(id), &json!("phone")));
    phone.say("How much money do I have in my account?");
    phone.reply().await;
    let is_reply = |m: &Value| m["type"] == "sbc_transcript" && m["role"] == "assistant";
    assert_eq!(watcher.until("a line", is_reply).await["callId"], json!(id));
    hang_up(&phone).await;
    let end = watcher.message("sbc_call_end").await;
    assert_eq!(end["callId"], json!(id));
    drop(watcher);
    finish(bench, bridge).await;
}

async fn watch(bench: &Bench) -> Caller {
    Caller::connect(&format!("ws://{}/monitor", bench.server.addr())).await
}
