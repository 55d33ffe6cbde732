//! The page, the API and the probes, over HTTP.

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::Bench;

/// Status, head and body of a GET.
pub(crate) async fn get(bench: &Bench, path: &str) -> (u16, String, String) {
    ask(bench, path, "").await
}

/// The same, with further lines of the request's head.
pub(crate) async fn ask(bench: &Bench, path: &str, more: &str) -> (u16, String, String) {
    let address = bench.server.addr();
    let mut tcp = TcpStream::connect(address).await.expect("connect");
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{more}\r\n");
    tcp.write_all(request.as_bytes()).await.expect("the request");
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.expect("the answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, head.to_lowercase(), body.to_owned())
}

async fn json(bench: &Bench, path: &str) -> Value {
    let (status, head, body) = get(bench, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    assert!(head.contains("application/json"), "{path}: {head}");
    // The bodies are small enough to come unchunked.
    serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"))
}

#[actix_web::test]
async fn the_api_says_what_there_is() {
    let bench = Bench::start().await;
    assert_eq!(json(&bench, "/api/version").await["name"], "voice-s2s");
    assert_eq!(json(&bench, "/api/system/status").await["aws"], "emulator");
    let voices = json(&bench, "/api/voices").await;
    assert!(voices.as_array().is_some_and(|v| v.iter().any(|v| v["id"] == "matthew")));
    let tools = json(&bench, "/api/tools").await;
    assert!(tools.as_array().is_some_and(|t| t.iter().any(|t| t["name"] == "transfer_to_agent")));
    let personas = json(&bench, "/api/personas").await;
    assert!(personas.as_array().is_some_and(|p| p.iter().any(|p| p["id"] == "persona-banking")));
    let workflows = json(&bench, "/api/workflows").await;
    let id = workflows[0]["id"].as_str().expect("a workflow").to_owned();
    assert!(json(&bench, &format!("/api/workflow/{id}")).await["nodes"].is_array());
    assert!(json(&bench, "/api/prompts").await.is_array());
    for unknown in ["/api/nothing", "/api/workflow/nothing", "/api/workflow/..%2F..%2FCargo"] {
        let (status, head, _) = get(&bench, unknown).await;
        assert!(status == 404 && head.contains("application/json"), "{unknown}: {status}");
    }
    bench.finish().await;
}

#[actix_web::test]
async fn the_page_is_served_with_a_strict_policy() {
    let bench = Bench::start().await;
    let (status, head, body) = get(&bench, "/").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-security-policy: default-src 'self'"), "{head}");
    assert!(head.contains("x-content-type-options: nosniff"));
    assert!(body.contains("<title>") && !body.contains("<script>"), "no inline script");
    let (status, ..) = get(&bench, "/../Cargo.toml").await;
    assert!(status == 400 || status == 404, "{status}");
    bench.finish().await;
}

#[actix_web::test]
async fn health_readiness_and_metrics() {
    let bench = Bench::start().await;
    let (status, _, body) = get(&bench, "/health").await;
    assert_eq!((status, body.trim()), (200, "OK"));
    assert_eq!(get(&bench, "/ready").await.0, 200);
    let caller = bench.greeted().await;
    let (_, _, metrics) = get(&bench, "/metrics").await;
    assert!(metrics.lines().any(|line| line.ends_with("active_calls 1")), "{metrics}");
    caller.hang_up().await;
    bench.is_clean().await;
    bench.server.registry().drain(std::time::Duration::from_secs(1)).await;
    assert_eq!(get(&bench, "/ready").await.0, 503, "draining");
    assert_eq!(get(&bench, "/health").await.0, 200, "alive all the same");
    bench.finish().await;
}
