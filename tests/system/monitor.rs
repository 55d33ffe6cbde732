//! What operators see of calls, and what they can do: `/monitor` and `/api/calls`.

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use voice_archive::entry::{Event, Line, Speaker};

use crate::support::{Bench, Caller, eventually};

/// Somebody who watches.
async fn watch(bench: &Bench) -> Caller {
    Caller::connect(&format!("ws://{}/monitor", bench.server.addr())).await
}

async fn calls(bench: &Bench) -> Value {
    let (status, _, body) = crate::pages::get(bench, "/api/calls").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

async fn hang_up(bench: &Bench, id: &str) -> u16 {
    let address = bench.server.addr();
    let mut tcp = TcpStream::connect(address).await.expect("connect");
    let request = format!(
        "DELETE /api/calls/{id} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: 0\r\n\r\n"
    );
    tcp.write_all(request.as_bytes()).await.expect("the request");
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.expect("the answer");
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
}

#[actix_web::test]
async fn a_call_is_seen_from_its_beginning_to_its_end() {
    let bench = Bench::start().await;
    let mut watcher = watch(&bench).await;
    let snapshot = watcher.message("sbc_snapshot").await;
    assert_eq!(snapshot["calls"], json!([]));

    let mut caller = Caller::connect(&bench.sonic("?sessionId=seen")).await;
    caller.configure(json!({"voiceId": "amy", "personaId": "persona-banking"})).await;
    let start = watcher.message("sbc_call_start").await;
    assert_eq!(
        (&start["callId"], &start["from"], &start["voice"], &start["persona"]),
        (&"seen".into(), &"web".into(), &"amy".into(), &"persona-banking".into())
    );
    caller.final_line("assistant").await;
    caller.type_text("What is my balance?").await;
    let is_said = |m: &Value| m["type"] == "sbc_transcript" && m["text"] == "What is my balance?";
    let line = watcher.until("what the caller typed", is_said).await;
    assert_eq!((&line["callId"], &line["role"]), (&"seen".into(), &"user".into()));
    caller.final_line("assistant").await;
    caller.type_text("4021").await;
    caller.final_line("assistant").await;
    caller.type_text("1188").await;
    let tool = watcher.until("the tool", |m| m["toolName"] == "verify_identity").await;
    assert_eq!(tool["type"], "sbc_tool_use");
    let result = watcher.until("its answer", |m| m["type"] == "sbc_tool_result").await;
    assert_eq!(result["toolName"], "verify_identity");

    // Somebody who comes later has the same picture.
    let snapshot = watch(&bench).await.message("sbc_snapshot").await;
    let call = &snapshot["calls"][0];
    assert_eq!((&call["callId"], &call["voice"]), (&"seen".into(), &"amy".into()));
    let lines = call["lines"].as_array().expect("lines");
    assert!(lines.iter().any(|line| line["text"] == "What is my balance?"), "{snapshot}");

    let listed = calls(&bench).await;
    assert_eq!((&listed["activeCalls"], &listed["draining"]), (&1.into(), &false.into()));
    assert_eq!(listed["calls"][0]["callId"], "seen");
    assert!(listed["calls"][0].get("lines").is_none(), "a list has no words: {listed}");
    assert!(listed["queues"].as_array().is_some_and(|queues| queues.len() > 4));

    caller.hang_up().await;
    let end = watcher.message("sbc_call_end").await;
    let waits = watcher.messages("sbc_latency");
    assert!(waits.iter().all(|wait| wait["ttft_ms"].is_u64()) && !waits.is_empty(), "{waits:?}");
    assert_eq!((&end["callId"], &end["cause"]), (&"seen".into(), &"hung_up".into()));
    assert!(end["durationMs"].as_u64().is_some_and(|ms| ms > 0));
    watcher.vanish();
    eventually("no watcher", || bench.meters().monitors.get() == 0).await;
    bench.finish().await;
}

#[actix_web::test]
async fn what_a_log_must_not_keep_is_not_shown_either() {
    let bench = Bench::start().await;
    let mut watcher = watch(&bench).await;
    let mut caller = bench.greeted().await;
    caller.type_text("My card is 4111 1111 1111 1111, please block it").await;
    let is_said = |m: &Value| m["type"] == "sbc_transcript" && m["role"] == "user";
    let line = watcher.until("what the caller typed", is_said).await;
    let text = line["text"].as_str().expect("a text");
    assert!(text.starts_with("My card is") && !text.contains("4111"), "{text}");
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn an_operator_hangs_up_and_the_log_says_so() {
    let bench = Bench::start().await;
    let mut caller = Caller::connect(&bench.sonic("?sessionId=unlucky")).await;
    caller.message("session_start").await;
    assert_eq!(hang_up(&bench, "nobody").await, 404);
    assert_eq!(hang_up(&bench, "..%2Fx").await, 400);
    assert_eq!(hang_up(&bench, "unlucky").await, 202);
    assert_eq!(caller.closed().await, (1000, "Ended by an operator".into()));
    eventually("the end is counted", || bench.ended("operator") == 1).await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_watcher_that_does_not_read_holds_up_no_call_and_catches_up() {
    let bench = Bench::start().await;
    let (mut slow, _) =
        tokio_tungstenite::connect_async(format!("ws://{}/monitor", bench.server.addr()))
            .await
            .expect("the upgrade");
    let first = slow.next().await.expect("a message").expect("a frame");
    assert!(first.to_text().expect("text").contains("sbc_snapshot"));

    // More than all buffers on the way hold.
    let flood = bench.server.monitor().call("flood");
    let text = "a long story ".repeat(300);
    for number in 0..1_500 {
        let (id, text) = (format!("u{number}"), text.clone());
        flood.note(&Event::Line(Line {
            id,
            role: Speaker::User,
            text,
            is_final: true,
            interrupted: false,
            heard: None,
        }));
    }
    let mut caller = bench.greeted().await;
    caller.type_text("What are your opening hours?").await;
    caller.final_line("assistant").await;
    caller.hang_up().await;
    flood.end("hung_up");
    eventually("all of it is handed out", || bench.server.monitor().calls().is_empty()).await;

    // Now it reads on: what it missed it gets as a snapshot.
    let deadline = std::time::Duration::from_secs(60);
    let caught_up = tokio::time::timeout(deadline, async {
        loop {
            let message = slow.next().await.expect("a message").expect("a frame");
            if message.to_text().is_ok_and(|text| text.contains("\"sbc_snapshot\"")) {
                break;
            }
        }
    });
    caught_up.await.expect("a second snapshot");
    assert!(bench.meters().monitor_lags.get() > 0);
    drop(slow);
    eventually("no watcher", || bench.meters().monitors.get() == 0).await;
    bench.finish().await;
}

#[actix_web::test]
async fn setup_names_what_is_missing_and_no_secret() {
    let bench = Bench::start().await;
    let (status, _, body) = crate::pages::get(&bench, "/api/setup").await;
    let report: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &report["model"]["aws"]), (200, &"emulator".into()));
    let parts = report["parts"].as_array().expect("parts");
    let langfuse = parts.iter().find(|part| part["id"] == "langfuse").expect("langfuse");
    assert_eq!(langfuse["standing"], "off");
    assert!(langfuse["says"].as_str().is_some_and(|says| says.contains("LANGFUSE_PUBLIC_KEY")));
    assert!(report["catalog"]["tools"].as_u64().is_some_and(|tools| tools > 5));
    bench.finish().await;
}

#[actix_web::test]
async fn every_page_has_its_address_and_the_client_may_be_loaded_by_others() {
    let bench = Bench::start().await;
    for page in ["/history", "/live", "/setup"] {
        let (status, head, body) = crate::pages::get(&bench, page).await;
        assert_eq!(status, 200, "{page}");
        assert!(head.contains("content-type: text/html") && body.contains("<title>"), "{page}");
        assert!(head.contains("content-security-policy"), "{page}");
    }
    for (path, anybody) in [
        ("/voice-s2s.js", true),
        ("/voice-s2s-call.js", true),
        ("/client/capture-worklet.js", true),
        ("/js/talk.js", false),
        ("/", false),
    ] {
        let (status, head, _) = crate::pages::get(&bench, path).await;
        assert_eq!(status, 200, "{path}");
        assert_eq!(head.contains("access-control-allow-origin: *"), anybody, "{path}");
        let policy = if anybody { "cross-origin" } else { "same-origin" };
        assert!(
            head.contains(&format!("cross-origin-resource-policy: {policy}")),
            "{path}: {head}"
        );
    }
    assert_eq!(crate::pages::get(&bench, "/client/../../Cargo.toml").await.0, 404);
    bench.finish().await;
}
