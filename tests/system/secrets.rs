//! Nothing that the process writes or answers has a secret in it: canaries are planted in every
//! setting that holds one, and searched for in everything that comes out.

use serde_json::json;
use voice_access::{ApiKeys, Roles};

use crate::support::{Caller, Task};

/// Settings that hold secrets, each with a canary that is well-formed for it.
const PLANTED: [(&str, &str); 6] = [
    ("NOVA_AWS_ACCESS_KEY_ID", "AKIACANARY0000000001"),
    ("NOVA_AWS_SECRET_ACCESS_KEY", "canary-secret-access-key"),
    ("LANGFUSE_PUBLIC_KEY", "pk-lf-canary-public"),
    ("LANGFUSE_SECRET_KEY", "sk-lf-canary-secret"),
    ("SESSION_STORE_KEY", "ca4a19000000000000000000000000000000000000000000000000000000ca4a"),
    ("TICKET_SECRET", "ca4a1a000000000000000000000000000000000000000000000000000000ca4b"),
];

#[actix_web::test]
async fn no_secret_comes_out_of_a_full_run() {
    let made = ApiKeys::make("bank", Roles::ALL).expect("a key");
    let hash = made.entry.rsplit(':').next().expect("a hash").to_owned();
    let mut settings = PLANTED.to_vec();
    settings.extend([
        ("API_KEYS", made.entry.as_str()),
        // Nobody answers there, which is a reason for log lines.
        ("LANGFUSE_HOST", "http://127.0.0.1:9"),
        ("RUST_LOG", "debug"),
    ]);
    let mut task = Task::start(&settings).await;
    let client = reqwest::Client::new();
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", task.port);
    let asked = client.post(url("/api/ticket")).bearer_auth(&made.key).send().await;
    let issued: serde_json::Value = asked.expect("an answer").json().await.expect("JSON");
    let ticket = issued["ticket"].as_str().expect("a ticket").to_owned();
    let mut caller = Caller::connect(&task.sonic("?sessionId=canary-call")).await;
    caller.send(json!({"type": "authenticate", "ticket": ticket})).await;
    let resume = caller.message("connected").await["resumeToken"].clone();
    caller.configure(json!({})).await;
    caller.type_text("What are your opening hours?").await;
    caller.final_line("assistant").await;
    caller.hang_up().await;
    let mut answers = String::new();
    let paths = [
        "/health",
        "/ready",
        "/metrics",
        "/api/auth",
        "/api/version",
        "/api/voices",
        "/api/personas",
        "/api/prompts",
        "/api/tools",
        "/api/workflows",
        "/api/history",
        "/api/system/status",
        "/api/openapi.json",
        "/api/nothing",
        "/",
    ];
    for path in paths {
        for credential in [made.key.as_str(), "wrong-canary-credential"] {
            let answer = client.get(url(path)).bearer_auth(credential).send().await;
            answers.push_str(&answer.expect("an answer").text().await.expect("a body"));
        }
    }
    task.signal("TERM");
    task.ended().await;
    let log = task.log();
    assert!(log.lines().count() > 20 && answers.len() > 10_000, "there is something to search");
    let own = [
        made.key.as_str(),
        &hash,
        &ticket,
        resume.as_str().expect("a token"),
        "wrong-canary-credential",
    ];
    for secret in PLANTED.iter().map(|(_, secret)| *secret).chain(own) {
        // What is public at the other side may be named by it, but not by us.
        assert!(!log.contains(secret), "{secret} is in the log");
        assert!(!answers.contains(secret), "{secret} is in an answer");
    }
}
