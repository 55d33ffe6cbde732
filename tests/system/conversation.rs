//! A call from the greeting to goodbye: spoken, typed, with a tool, with a transfer.

use std::time::Duration;

use serde_json::json;

use crate::support::{Bench, Caller, Seen, speech};

#[actix_web::test]
async fn the_assistant_speaks_first_and_is_heard() {
    let bench = Bench::start().await;
    let mut caller = Caller::connect(&bench.sonic("?sessionId=first-call")).await;
    let connected = caller.message("connected").await;
    assert_eq!(connected["sessionId"], "first-call");
    assert_eq!(connected["backend"], "emulator", "it never pretends to be the real model");
    assert_eq!(connected["version"]["name"], "voice-s2s");
    let start = caller.message("session_start").await;
    assert_eq!(start["sessionId"], "first-call");
    let greeting = caller.final_line("assistant").await;
    assert!(greeting.contains("Meridian Bank"), "{greeting}");
    caller.audio().await;
    while caller.heard().len() < 24_000 {
        caller.audio().await;
    }
    assert!(speech::loudness(&caller.heard()) > 100.0, "the greeting is not silence");
    assert!(caller.messages("transcript").iter().any(|m| m["isStreaming"] == true));
    assert!(caller.messages("latency_update").is_empty(), "nobody asked anything yet");
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn three_spoken_turns_are_answered_and_words_are_not_invented() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    for sentence in ["What is my balance?", "Four, zero, two, one.", "Thank you very much."] {
        caller.speak(&speech::say(sentence)).await;
        let heard = caller.final_line("user").await;
        assert_eq!(heard, "(speech detected, not recognised)");
        assert!(!caller.final_line("assistant").await.is_empty());
    }
    let latency = caller.messages("latency_update");
    assert!(!latency.is_empty(), "an answered turn has a latency:\n{}", caller.story());
    caller.hang_up().await;
    bench.finish().await;
}

/// Runs where the Debian package `pocketsphinx-testdata` is installed; `./tests/run` does so.
#[actix_web::test]
async fn a_human_voice_is_heard_too() {
    let clips = speech::human_clips();
    if clips.is_empty() {
        eprintln!("skipped: pocketsphinx-testdata is not installed");
        return;
    }
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    for clip in clips.iter().take(2) {
        caller.speak(clip).await;
        caller.final_line("user").await;
        caller.final_line("assistant").await;
    }
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn what_is_typed_is_shown_once_and_answered_aloud() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    let before = caller.heard().len();
    caller.type_text("What are your opening hours?").await;
    assert_eq!(caller.final_line("user").await, "What are your opening hours?");
    caller.final_line("assistant").await;
    while caller.heard().len() < before + 24_000 {
        caller.audio().await;
    }
    let shown = caller.messages("transcript");
    let typed: Vec<_> = shown.iter().filter(|m| m["role"] == "user").collect();
    assert_eq!(typed.len(), 1, "{typed:?}");
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_tool_is_called_and_its_answer_spoken() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    caller.type_text("What is my balance?").await;
    caller.final_line("assistant").await;
    caller.type_text("4021").await;
    caller.final_line("assistant").await;
    caller.type_text("1188").await;
    let is_balance = |m: &serde_json::Value| m["toolName"] == "get_account_balance";
    let call = caller.until("the look-up", |m| m["type"] == "tool_use" && is_balance(m)).await;
    assert_eq!(call["toolInput"]["accountId"], "4021");
    let result = caller.until("its end", |m| m["type"] == "tool_result" && is_balance(m)).await;
    assert_eq!(result["toolUseId"], call["toolUseId"]);
    assert!(result["toolResult"]["error"].is_null(), "{result}");
    let answer = caller.final_line("assistant").await;
    assert!(answer.contains("2,481.36") || answer.contains("2481.36"), "{answer}");
    let usage = caller.message("token_usage").await;
    assert!(usage["outputTokens"].as_u64() > Some(0), "{usage}");
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_caller_who_wants_a_human_is_handed_over() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    caller.type_text("I want to speak to a human").await;
    let transfer = caller.message("transferToAgent").await;
    assert!(transfer["reason"].as_str().is_some_and(|r| !r.is_empty()), "{transfer}");
    let summary = transfer["summary"].as_str().unwrap_or_default();
    assert!(summary.contains("Caller: I want to speak to a human"), "{summary}");
    assert_eq!(caller.messages("transferToAgent").len(), 1);
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn audio_before_any_settings_is_kept_and_reaches_the_model() {
    let bench = Bench::with(|config, _| config.engine.greeting_delay = None).await;
    let mut caller = Caller::connect(&bench.sonic("")).await;
    // No sessionConfig at all: the call starts by itself, and nothing said before is lost.
    let speech = speech::say("Hello, is anybody there?");
    caller.speak(&speech).await;
    caller.message("session_start").await;
    caller.final_line("user").await;
    caller.hang_up().await;
    let sessions = bench.observer().sessions();
    let heard = &sessions.first().expect("a session").heard;
    let spoken = speech.iter().filter(|byte| **byte != 0).count();
    let arrived = heard.iter().filter(|byte| **byte != 0).count();
    assert_eq!(arrived, spoken, "every sample that was spoken reached the model");
    bench.finish().await;
}

#[actix_web::test]
async fn a_ping_is_answered_in_every_phase() {
    let bench = Bench::start().await;
    let mut caller = Caller::connect(&bench.sonic("")).await;
    caller.send(json!({"type": "ping"})).await;
    caller.message("pong").await;
    caller.message("session_start").await;
    caller.send(json!({"type": "ping"})).await;
    caller.message("pong").await;
    caller.send(json!({"type": "session_feedback", "score": 5, "comment": "fine"})).await;
    caller.send(json!({"type": "ping"})).await;
    caller.message("pong").await;
    assert!(caller.messages("error").is_empty());
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_typing_client_that_sends_no_audio_is_fed_with_silence() {
    let bench = Bench::start().await;
    let caller = bench.greeted().await;
    let observer = bench.observer();
    let fed = observer.wait_for(
        |sessions| sessions.iter().any(|s| s.heard_bytes > 32_000),
        Duration::from_secs(20),
    );
    fed.await.expect("a second of silence");
    assert!(!caller.log.iter().any(|seen| matches!(seen, Seen::Closed(..))));
    caller.hang_up().await;
    bench.finish().await;
}
