//! Who is let in, for how long, and how a server that stops sends its callers on.

use std::time::Duration;

use serde_json::{Value, json};
use voice_actors::Clock;
use voice_emulator::Clocks;

use crate::support::{Bench, Caller, Task, bench::TALKATIVE};

#[actix_web::test]
async fn a_full_server_refuses_calls_before_the_upgrade_and_stays_healthy() {
    let bench = Bench::with(|config, _| config.max_calls = 2).await;
    let first = bench.greeted().await;
    let second = bench.greeted().await;
    let (status, body) = Caller::refusal(&bench.sonic("")).await;
    assert_eq!((status, body["error"]["code"].as_str()), (503, Some("full")));
    let (status, _, body) = crate::pages::get(&bench, "/ready").await;
    let ready: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &ready["full"], &ready["maxCalls"]), (503, &true.into(), &2.into()));
    assert_eq!(crate::pages::get(&bench, "/health").await.0, 200, "it must not be ended for it");
    first.hang_up().await;
    crate::support::eventually("a place", || !bench.server.registry().is_full()).await;
    assert_eq!(crate::pages::get(&bench, "/ready").await.0, 200);
    let third = bench.greeted().await;
    second.hang_up().await;
    third.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_call_that_is_too_long_is_warned_and_said_goodbye_to() {
    let bench = Bench::with(|config, emulator| {
        config.engine.clock = Clock::scaled(10.0);
        emulator.clocks = Clocks { scale: 10.0, ..Clocks::default() };
        config.engine.call_limit = Some(Duration::from_secs(60));
        config.engine.call_warning = Duration::from_secs(30);
    })
    .await;
    let mut caller = bench.call().await;
    let (code, reason) = caller.closed().await;
    assert_eq!((code, reason.as_str()), (1000, "Time limit"), "{}", caller.story());
    assert_eq!(bench.ended("time_limit"), 1);
    let sessions = bench.observer().sessions();
    let told = sessions.iter().flat_map(|session| &session.events).cloned().collect::<String>();
    assert!(told.contains("The call ends in 1 minute(s)"), "{told}");
    bench.finish().await;
}

#[actix_web::test]
async fn a_server_that_stops_lets_the_assistant_finish() {
    let bench = Bench::with(|_, emulator| {
        emulator.scenario =
            voice_emulator::script::Scenario::parse(TALKATIVE).expect("the script").into();
    })
    .await;
    let mut caller = bench.greeted().await;
    caller.type_text("enough").await;
    caller.final_line("user").await;
    let before = caller.heard().len();
    caller.audio().await;
    let registry = bench.server.registry().clone();
    let draining = tokio::spawn(async move { registry.drain(Duration::from_secs(25)).await });
    let told = caller.message("draining").await;
    assert_eq!(told["deadlineMs"], 20_000);
    let (status, _) = Caller::refusal(&bench.sonic("")).await;
    assert_eq!(status, 503);
    assert_eq!(caller.closed().await.0, 1012);
    // It takes a second and a half; a part of it is no answer.
    let answer = caller.heard().len() - before;
    assert!(answer > 30_000, "{answer} samples were heard");
    assert!(caller.messages("interruption").len() <= 1, "{}", caller.story());
    let said = caller.messages("transcript");
    let last = said.iter().rfind(|m| m["role"] == "assistant").expect("an answer");
    assert_eq!((&last["text"], &last["isFinal"]), (&json!("As you like."), &json!(true)));
    assert_eq!(draining.await.expect("no panic").left, 0);
    bench.finish().await;
}

/// The process lives and says so; what it lacks is for people and orchestrators.
#[actix_web::test]
async fn a_server_without_credentials_is_alive_and_not_ready() {
    let nowhere = [
        ("SONIC_BACKEND", "bedrock"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/nonexistent"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"),
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("WORKERS", "1"),
    ];
    let task = Task::start(&nowhere).await;
    let ready: Value = serde_json::from_str(&task.get("/ready").await).expect("JSON");
    assert_eq!((&ready["ready"], &ready["reasons"]), (&false.into(), &json!(["no_credentials"])));
    assert_eq!(task.get("/health").await, "OK");
    task.signal("TERM");
    assert_eq!(task.exit_code().await, Some(0));
}
