//! How calls end: the caller hangs up in any phase, falls silent, or is told goodbye.

use std::time::Duration;

use serde_json::json;
use voice_emulator::{Fault, FaultKind, Refusal, script::Scenario};

use crate::support::{Bench, Caller, eventually, speech};

#[actix_web::test]
async fn hanging_up_at_once_leaves_nothing() {
    let bench = Bench::start().await;
    Caller::connect(&bench.sonic("")).await.hang_up().await;
    assert_eq!(bench.meters().calls_started.get(), 1);
    bench.finish().await;
}

#[actix_web::test]
async fn hanging_up_while_the_stream_opens_cancels_it() {
    let bench = Bench::with(|_, emulator| {
        emulator.faults = vec![Fault::at_open(FaultKind::HangHead)];
    })
    .await;
    let mut caller = Caller::connect(&bench.sonic("")).await;
    caller.configure(json!({})).await;
    eventually("a stream that is being opened", || bench.meters().open_streams.get() == 1).await;
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn hanging_up_while_the_assistant_speaks() {
    let bench = Bench::talkative().await;
    let mut caller = bench.greeted().await;
    caller.type_text("Tell me a story").await;
    caller.audio().await;
    caller.hang_up().await;
    assert_eq!(bench.ended("hung_up"), 1);
    bench.finish().await;
}

#[actix_web::test]
async fn hanging_up_while_the_caller_speaks() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    let speech = speech::say("I would like to know");
    caller.speak(&speech[..speech.len() / 2]).await;
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_connection_that_is_lost_is_a_hang_up() {
    let bench = Bench::start().await;
    bench.greeted().await.vanish();
    eventually("the end of the call", || bench.ended("hung_up") == 1).await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_silent_caller_is_asked_after_and_then_told_goodbye() {
    let bench = Bench::start().await;
    let mut caller = Caller::connect(&bench.sonic("")).await;
    caller.configure(json!({"inactivityTimeout": 0.2, "inactivityMaxChecks": 2})).await;
    assert_eq!(caller.closed().await, (1000, "Inactivity timeout".into()));
    // Greeting, two questions, goodbye: none of them because the caller said anything.
    let lines = caller.messages("transcript");
    let finals = lines.iter().filter(|m| m["role"] == "assistant" && m["isFinal"] == true);
    let ids: std::collections::HashSet<_> = finals.map(|m| m["id"].to_string()).collect();
    assert_eq!(ids.len(), 4, "{}", caller.story());
    assert!(!lines.iter().any(|m| m["role"] == "user"), "no stage direction is shown");
    assert_eq!(bench.ended("inactivity"), 1);
    bench.finish().await;
}

#[actix_web::test]
async fn inactivity_can_be_switched_off() {
    let bench = Bench::with(|config, _| {
        config.engine.idle_timeout = Some(Duration::from_millis(50));
        config.engine.greeting_delay = None;
    })
    .await;
    let mut caller = Caller::connect(&bench.sonic("")).await;
    caller.configure(json!({"inactivityEnabled": false})).await;
    caller.message("session_start").await;
    // The second of silence that is fed meanwhile is twenty times the timeout.
    let fed = bench.observer().wait_for(
        |sessions| sessions.iter().any(|s| s.heard_bytes > 32_000),
        Duration::from_secs(20),
    );
    let sessions = fed.await.expect("a second of silence");
    let asked = sessions[0].events.iter().any(|event| event.contains("The caller has been silent"));
    assert!(!asked, "{:?}", sessions[0].events);
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn goodbye_ends_the_call_after_it_was_heard() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    caller.type_text("goodbye").await;
    assert_eq!(caller.closed().await, (1000, "Call completed".into()));
    assert!(speech::loudness(&caller.heard()) > 100.0);
    assert_eq!(bench.ended("completed"), 1);
    bench.finish().await;
}

#[actix_web::test]
async fn hanging_up_while_a_tool_runs_stops_the_tool() {
    let (tools, empty) = (tempfile::tempdir(), tempfile::tempdir());
    let (tools, empty) = (tools.expect("a folder"), empty.expect("a folder"));
    let slow = json!({
        "name": "ponder",
        "description": "Thinks for a minute.",
        "input_schema": {"type": "object", "properties": {}},
        "execute": {"kind": "static", "default": {"result": {"done": true}, "delay_ms": 60_000}},
    });
    std::fs::write(tools.path().join("ponder.json"), slow.to_string()).expect("a tool file");
    let script = json!({
        "name": "pondering",
        "start": "open",
        "states": {
            "open": {
                "turns": [{"when": {"any": true}, "do": [{"call": {"tool": "ponder"}}], "goto": "over"}],
            },
            "over": {"end": true},
        },
    });
    let bench = Bench::with(|config, emulator| {
        config.engine.greeting_delay = None;
        config.dirs.tools = tools.path().to_owned();
        config.dirs.workflows = empty.path().to_owned();
        config.dirs.prompts = empty.path().to_owned();
        emulator.scenario = Scenario::parse(&script.to_string()).expect("the script").into();
    })
    .await;
    let mut caller = bench.call().await;
    caller.type_text("Think about it").await;
    caller.message("tool_use").await;
    eventually("the tool at work", || bench.meters().live_tasks.get() == 1).await;
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn hanging_up_while_the_stream_is_opened_anew() {
    let bench = Bench::with(|_, emulator| {
        emulator.faults = vec![Fault::at_open(FaultKind::Refuse(Refusal::Throttling))];
    })
    .await;
    let mut caller = Caller::connect(&bench.sonic("")).await;
    caller.configure(json!({})).await;
    eventually("the second attempt", || bench.meters().stream_restarts.get() >= 1).await;
    caller.hang_up().await;
    bench.finish().await;
}
