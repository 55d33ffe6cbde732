//! `voice-s2s load` against the real server and an echo.

use std::time::Duration;

use serde_json::Value;
use voice_load::{Limits, Plan, Refusal, Report, Scenario};

use crate::support::Bench;

/// Tests share their machine, so how well time is kept is not what they are about.
const UNJUDGED: Limits = Limits { jitter: None, others: None };

fn plan(bench: &Bench, scenario: Scenario) -> Plan {
    Plan {
        ramp: Duration::from_millis(100),
        settle: Duration::from_millis(300),
        scenario,
        short_call: Duration::from_millis(100),
        pids: if cfg!(target_os = "linux") { vec![std::process::id()] } else { Vec::new() },
        limits: UNJUDGED,
        ..Plan::new(bench.sonic(""), 4, Duration::from_secs(1))
    }
}

/// The callers block their thread, as they do in a process of their own.
async fn run(plan: Plan) -> anyhow::Result<Report> {
    tokio::task::spawn_blocking(move || voice_load::run(plan)).await.expect("no panic")
}

async fn echoing() -> Bench {
    Bench::with(|config, emulator| {
        emulator.echo = true;
        config.engine.greeting_delay = None;
        // Lost callers are not waited for.
        config.engine.resume_window = None;
    })
    .await
}

#[actix_web::test]
async fn callers_are_held_and_every_frame_comes_back_once() {
    let bench = echoing().await;
    let report = run(plan(&bench, Scenario::Echo)).await.expect("a report");
    let json: Value = serde_json::from_str(&report.to_json()).expect("JSON");
    assert_eq!(json["lost_frames"], 0, "{json}");
    for key in [
        "cpu_s_per_call_minute",
        "p50_ms",
        "p95_ms",
        "p99_ms",
        "lost_frames",
        "late_frames",
        "kib_per_call",
    ] {
        assert!(json[key].is_number() || cfg!(not(target_os = "linux")), "{key}: {json}");
    }
    // 4 calls, 31.25 frames a second.
    assert!((120..=130).contains(&report.frames.frames), "{json}");
    assert_eq!((report.frames.echoes, report.frames.doubled), (report.frames.frames, 0), "{json}");
    assert_eq!((report.started_calls, report.start.count), (4, 4), "{json}");
    assert_eq!((report.refused_calls, report.broken_calls), (0, 0), "{json}");
    assert!(voice_load::html::page(&report).expect("a page").contains("<svg"));
    assert_eq!(bench.ended("hung_up"), 4, "callers say goodbye");
    bench.finish().await;
}

#[actix_web::test]
async fn short_calls_follow_each_other() {
    let bench = echoing().await;
    let report = run(plan(&bench, Scenario::Churn)).await.expect("a report");
    assert!(report.started_calls > 8, "{}", report.to_json());
    assert_eq!(report.refused_calls, 0, "{}", report.to_json());
    bench.finish().await;
}

#[actix_web::test]
async fn callers_of_a_conversation_are_answered() {
    let bench = Bench::start().await;
    let plan = Plan { settle: Duration::from_secs(4), ..plan(&bench, Scenario::Conversation) };
    let report = run(plan).await.expect("a report");
    assert!(report.audio_bytes > 0, "{}", report.to_json());
    assert!(report.lost_frames.is_none(), "nobody follows frames here");
    bench.finish().await;
}

#[actix_web::test]
async fn figures_that_mean_nothing_are_not_told() {
    let bench = echoing().await;
    let impossible = Limits { jitter: Some(Duration::ZERO), others: None };
    let plan = Plan { limits: impossible, ..plan(&bench, Scenario::Echo) };
    let error = run(plan).await.expect_err("no clock is that good");
    assert!(matches!(error.downcast_ref(), Some(Refusal::Jitter { .. })), "{error:#}");
    bench.finish().await;
}

#[actix_web::test]
async fn a_server_that_refuses_is_told_of() {
    let bench = Bench::with(|config, emulator| {
        emulator.echo = true;
        config.max_calls = 2;
    })
    .await;
    let report = run(plan(&bench, Scenario::Echo)).await.expect("a report");
    assert_eq!((report.started_calls, report.refused_calls), (2, 2), "{}", report.to_json());
    assert!(report.refused_because.as_deref().is_some_and(|why| why.contains("503")), "{report:?}");
    bench.finish().await;
}
