//! Graceful shutdown: in-process, and of the real program by a signal.

use std::{process::Command, time::Duration};

use crate::support::{Bench, Caller, Task};

#[actix_web::test]
async fn a_drain_ends_every_call_in_order_and_refuses_new_ones() {
    let bench = Bench::start().await;
    let mut callers = vec![bench.greeted().await, bench.call().await];
    let url = bench.sonic("");
    let registry = bench.server.registry().clone();
    let report = registry.drain(Duration::from_secs(10)).await;
    assert_eq!((report.active, report.left), (2, 0));
    for caller in &mut callers {
        assert_eq!(caller.closed().await.0, 1012);
    }
    let (status, body) = Caller::refusal(&url).await;
    assert_eq!((status, body["error"]["code"].as_str()), (503, Some("draining")));
    assert_eq!(bench.ended("draining"), 2);
    bench.finish().await;
}

#[actix_web::test]
async fn sigterm_with_calls_in_progress_ends_them_in_order_and_exits_with_zero() {
    let program = Task::start(&[("WORKERS", "1")]).await;
    let mut callers = Vec::new();
    for _ in 0..3 {
        let mut caller = Caller::connect(&program.sonic("")).await;
        caller.message("session_start").await;
        callers.push(caller);
    }
    program.signal("TERM");
    for caller in &mut callers {
        assert_eq!(caller.closed().await.0, 1012, "{}", caller.story());
    }
    assert_eq!(program.exit_code().await, Some(0));
}

#[actix_web::test]
async fn sigint_without_calls_exits_with_zero() {
    let program = Task::start(&[("WORKERS", "1")]).await;
    program.signal("INT");
    assert_eq!(program.exit_code().await, Some(0));
}

#[actix_web::test]
async fn a_wrong_value_is_named_and_exits_with_64() {
    let output = Command::new(env!("CARGO_BIN_EXE_voice-s2s"))
        .args(["serve"])
        .env("PORT", "eighty")
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("PORT") && text.contains("eighty"), "{text}");
}
