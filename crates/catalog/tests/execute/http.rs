//! `http` tools: what is sent, what comes back, and where they may not go.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use voice_catalog::execute::{ClientOptions, Executors, HttpPolicy, Secrets};

use crate::{
    backend::{Backend, Reply},
    one_tool, only, run, told,
};

fn executors(http: HttpPolicy) -> Executors {
    let secrets = Secrets::new(|name| (name == "BANK_TOKEN").then(|| "hush".to_owned()));
    Executors::with_clients(ClientOptions { http, secrets, ..ClientOptions::default() }).unwrap()
}

#[tokio::test]
async fn a_request_carries_arguments_and_secrets_and_the_result_is_taken_from_the_answer() {
    let backend = Backend::start(|_| Reply::Json(200, json!({"data": {"balance": 7}}))).await;
    let catalog = one_tool(json!({
        "kind": "http", "method": "post", "url": backend.url("/a/{id}?lang={lang}&x={x}"),
        "headers": {"Authorization": "Bearer ${env:BANK_TOKEN}", "X-Id": "{id}"},
        "body": {"account": "{id}", "note": "{note}", "limit": "{limit}"},
        "result": "/data"
    }));
    let executors = executors(only(&backend.host()));
    let given = json!({"id": "40/21", "lang": "de", "limit": 3});
    assert_eq!(run(&executors, &catalog, given).await.unwrap(), json!({"balance": 7}));
    let seen = &backend.seen()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/a/40%2F21?lang=de"));
    assert_eq!(seen.header("authorization"), Some("Bearer hush"));
    assert_eq!(seen.header("x-id"), Some("40/21"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body, json!({"account": "40/21", "limit": 3}));
    run(&executors, &catalog, json!({"id": "1"})).await.unwrap();
    assert_eq!(backend.connections(), 1, "the connection is used again");
}

#[tokio::test]
async fn without_a_body_the_arguments_are_sent_and_a_form_is_encoded() {
    let backend = Backend::start(|_| Reply::Text(204, vec![], String::new())).await;
    let executors = executors(only(&backend.host()));
    let plain = one_tool(json!({"kind": "http", "method": "POST", "url": backend.url("/")}));
    let done = run(&executors, &plain, json!({"a": [1]})).await.unwrap();
    assert_eq!(done, json!({"status": "done"}));
    assert_eq!(backend.seen()[0].body, r#"{"a":[1]}"#);
    let form = one_tool(json!({
        "kind": "http", "method": "POST", "url": backend.url("/"),
        "form": {"q": "{q}", "none": "{none}"}
    }));
    run(&executors, &form, json!({"q": "a&b=c"})).await.unwrap();
    assert_eq!(backend.seen()[1].body, "q=a%26b%3Dc");
}

#[tokio::test]
async fn every_bad_answer_becomes_one_that_the_model_can_use() {
    let backend = Backend::start(|seen| match seen.target.as_str() {
        "/500" => Reply::Json(500, json!({"secret": "stack trace"})),
        "/404" => Reply::Json(404, json!({})),
        "/401" => Reply::Json(401, json!({})),
        "/html" => Reply::Text(
            200,
            vec![("content-type", "text/html".to_owned())],
            "<html>oops</html>".to_owned(),
        ),
        "/huge" => Reply::Text(200, vec![], "x".repeat(2 * 1024 * 1024)),
        "/close" => Reply::Close,
        "/never" => Reply::Never,
        _ => Reply::Json(200, json!({"other": 1})),
    })
    .await;
    let executors = executors(only(&backend.host()));
    for (path, expected) in [
        ("/500", "The service has a problem (HTTP 500)."),
        ("/404", "The service found nothing for these arguments."),
        ("/401", "The service refused access."),
        ("/html", "The service gave no answer that can be read."),
        ("/huge", "The service gave an answer that is too long. Ask for less."),
        ("/close", "The service cannot be reached."),
        ("/never", "The tool did not answer within 0.3 s."),
        ("/no-data", "The service did not give what was asked for."),
    ] {
        let catalog = one_tool(json!({
            "kind": "http", "url": backend.url(path), "result": "/data", "timeout_ms": 300
        }));
        assert_eq!(told(run(&executors, &catalog, json!({})).await), expected, "{path}");
    }
}

#[tokio::test]
async fn plain_text_is_an_answer_and_a_long_one_is_cut() {
    let backend = Backend::start(|seen| match seen.target.as_str() {
        "/text" => Reply::Text(
            200,
            vec![("content-type", "text/plain; charset=utf-8".to_owned())],
            "open until six".to_owned(),
        ),
        _ => Reply::Json(200, (0..5000).map(|id| json!({"id": id})).collect()),
    })
    .await;
    let executors = executors(only(&backend.host()));
    let text = one_tool(json!({"kind": "http", "url": backend.url("/text")}));
    let answer = run(&executors, &text, json!({})).await.unwrap();
    assert_eq!(answer, json!({"text": "open until six"}));
    let list = one_tool(json!({"kind": "http", "url": backend.url("/list")}));
    let answer = run(&executors, &list, json!({})).await.unwrap();
    assert!(answer.to_string().len() <= 8192, "the default limit");
    assert_eq!(answer["result"][1]["id"], 1);
    assert!(answer["_truncated"].is_string());
}

#[tokio::test]
async fn repetition_is_for_idempotent_tools_only() {
    let backend = Backend::start(|_| Reply::Json(503, json!({}))).await;
    let executors = executors(only(&backend.host()));
    let once = one_tool(json!({"kind": "http", "url": backend.url("/once")}));
    run(&executors, &once, json!({})).await.unwrap_err();
    assert_eq!(backend.seen().len(), 1);
    let thrice = one_tool(json!({
        "kind": "http", "url": backend.url("/thrice"), "idempotent": true, "retries": 2
    }));
    run(&executors, &thrice, json!({})).await.unwrap_err();
    assert_eq!(backend.seen().len(), 4);
}

#[tokio::test]
async fn a_redirect_is_followed_on_the_same_host_only() {
    let elsewhere = Backend::start(|_| Reply::Json(200, json!({"reached": true}))).await;
    let target = elsewhere.url("/");
    let backend = Backend::start(move |seen| {
        let to =
            |place: &str| Reply::Text(302, vec![("location", place.to_owned())], String::new());
        match seen.target.as_str() {
            "/same" => to("/here"),
            "/here" => Reply::Json(200, json!({"here": true})),
            "/other-port" => to(&target),
            "/metadata" => to("http://169.254.169.254/latest/meta-data/"),
            "/localhost" => to("http://localhost/"),
            _ => to("/loop"),
        }
    })
    .await;
    // The second place is allowed by itself: what is refused is being sent there.
    let executors = executors(only(&format!("{} {}", backend.host(), elsewhere.host())));
    let tool = |path| one_tool(json!({"kind": "http", "url": backend.url(path)}));
    let here = run(&executors, &tool("/same"), json!({})).await.unwrap();
    assert_eq!(here, json!({"here": true}));
    for path in ["/other-port", "/metadata", "/localhost", "/loop"] {
        let error = told(run(&executors, &tool(path), json!({})).await);
        assert_eq!(error, "The tool is not set up here.", "{path}");
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn addresses_that_are_not_allowed_are_never_connected_to() {
    let backend = Backend::start(|_| Reply::Json(200, json!({}))).await;
    let port = backend.address.port();
    // Public hosts may not turn out to be private ones, however they are written.
    let hosts = ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"];
    let listed: Vec<String> = hosts.iter().map(|host| format!("{host}:{port}")).collect();
    let public = executors(HttpPolicy::parse(&listed.join(","), "").unwrap());
    for host in hosts.iter().copied().chain(["2130706433", "0x7f.1"]) {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            let catalog = one_tool(json!({"kind": "http", "url": url}));
            let error = told(run(&public, &catalog, json!({})).await);
            assert_eq!(error, "The tool is not set up here.", "{url}");
        }
    }
    // Link-local stays out even where private hosts are allowed.
    let private = executors(only(&format!("169.254.169.254:80 {}", backend.host())));
    let catalog = one_tool(json!({"kind": "http", "url": "http://169.254.169.254/"}));
    assert_eq!(told(run(&private, &catalog, json!({})).await), "The tool is not set up here.");
    let nowhere = executors(HttpPolicy::default());
    let catalog = one_tool(json!({"kind": "http", "url": backend.url("/")}));
    assert_eq!(told(run(&nowhere, &catalog, json!({})).await), "The tool is not set up here.");
    assert!(backend.seen().is_empty());
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn a_secret_that_is_missing_sends_nothing() {
    let backend = Backend::start(|_| Reply::Json(200, json!({}))).await;
    let catalog = one_tool(json!({
        "kind": "http", "url": backend.url("/"), "headers": {"X-Key": "${env:NOT_SET}"}
    }));
    let error = told(run(&executors(only(&backend.host())), &catalog, json!({})).await);
    assert_eq!(error, "The tool is not set up here.");
    assert!(backend.seen().is_empty());
}

#[tokio::test]
async fn dropping_a_run_lets_its_request_go() {
    let backend = Backend::start(|_| Reply::Never).await;
    let catalog = one_tool(json!({
        "kind": "http", "url": backend.url("/"), "concurrency": 1, "timeout_ms": 60000
    }));
    let executors = executors(only(&backend.host()));
    let begun = Instant::now();
    {
        let mut first = Box::pin(run(&executors, &catalog, json!({})));
        while backend.seen().is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(20));
            let _ = tokio::time::timeout(Duration::from_millis(10), &mut first).await;
        }
        let error = run(&executors, &catalog, json!({})).await.unwrap_err();
        assert_eq!(error.as_str(), "busy");
        assert_eq!(error.to_result()["error"], "The tool is busy; nothing was done.");
    }
    let again = Box::pin(run(&executors, &catalog, json!({})));
    assert!(
        tokio::time::timeout(Duration::from_millis(50), again).await.is_err(),
        "a place is free"
    );
}
