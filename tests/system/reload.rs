//! Changed tools, workflows and prompts under a running server.

use std::{fs, path::Path, time::Duration};

use serde_json::Value;
use voice_catalog::{Dirs, Snapshot};
use voice_s2s::Server;

use crate::support::{Bench, DEADLINE};

/// Folders with one persona and one tool.
pub(crate) fn folders() -> (tempfile::TempDir, Dirs) {
    let root = tempfile::tempdir().expect("a temporary folder");
    let dirs = Dirs {
        tools: root.path().join("tools"),
        workflows: root.path().join("workflows"),
        prompts: root.path().join("prompts"),
    };
    for dir in [&dirs.tools, &dirs.workflows, &dirs.prompts] {
        fs::create_dir(dir).expect("a folder");
    }
    write(&dirs.prompts, "persona-a.txt", "You keep the first lighthouse.");
    write(&dirs.tools, "lamp.json", &tool("lamp"));
    (root, dirs)
}

pub(crate) fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).expect("a file");
}

fn tool(name: &str) -> String {
    format!(
        r#"{{"name": "{name}", "description": "The {name}.", "parameters": {{}},
            "execute": {{"kind": "static", "result": {{"{name}": "lit"}}}}}}"#
    )
}

async fn bench(dirs: &Dirs) -> Bench {
    let dirs = dirs.clone();
    Bench::with(move |config, _| {
        config.dirs = dirs;
        config.catalog_reload = Some(Duration::from_millis(10));
    })
    .await
}

/// Waits until the catalog of the server is as wanted: the watcher itself says when.
pub(crate) async fn until(
    bench: &Bench,
    what: &str,
    holds: impl FnMut(&voice_catalog::Current) -> bool,
) -> voice_catalog::Current {
    let mut changes = bench.server.catalog().subscribe();
    let waited = tokio::time::timeout(DEADLINE, changes.wait_for(holds)).await;
    waited.unwrap_or_else(|_| panic!("did not come about: {what}")).expect("the catalog").clone()
}

async fn ready(bench: &Bench) -> Value {
    let (status, _, body) = crate::pages::get(bench, "/ready").await;
    let ready: Value = serde_json::from_str(&body).expect("JSON");
    let refused = !ready["catalog"]["refused"].is_null();
    let reasons =
        if refused { serde_json::json!(["invalid_catalog"]) } else { serde_json::json!([]) };
    assert_eq!((status, &ready["reasons"]), (if refused { 503 } else { 200 }, &reasons));
    ready
}

async fn metrics(bench: &Bench) -> String {
    crate::pages::get(bench, "/metrics").await.2
}

pub(crate) fn opened_with(bench: &Bench, session: usize) -> String {
    bench.observer().sessions()[session].events.join("\n")
}

#[actix_web::test]
async fn new_calls_get_what_changed_and_a_call_in_progress_does_not() {
    let (_root, dirs) = folders();
    let bench = bench(&dirs).await;
    let mut early = bench.greeted().await;
    assert!(opened_with(&bench, 0).contains("the first lighthouse"));

    write(&dirs.prompts, "persona-a.txt", "You keep the second lighthouse.");
    write(&dirs.tools, "horn.json", &tool("horn"));
    let current = until(&bench, "a new snapshot", |c| c.snapshot.tools().len() == 2).await;
    assert!(current.generation >= 2);
    let late = bench.greeted().await;
    let events = opened_with(&bench, 1);
    assert!(events.contains("the second lighthouse") && events.contains("horn"), "{events}");

    // Another stream within the early call: it is still the call that it was.
    early.configure(serde_json::json!({"voiceId": "amy"})).await;
    crate::support::eventually("a third stream", || bench.observer().sessions().len() == 3).await;
    crate::support::eventually("its opening", || opened_with(&bench, 2).contains("lighthouse"))
        .await;
    let events = opened_with(&bench, 2);
    assert!(events.contains("the first lighthouse") && !events.contains("horn"), "{events}");

    assert_eq!(ready(&bench).await["catalog"]["tools"], 2);
    early.hang_up().await;
    late.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_wrong_change_is_refused_seen_and_can_be_put_right() {
    let (_root, dirs) = folders();
    let bench = bench(&dirs).await;
    write(&dirs.tools, "horn.json", "{\n  \"name\": \"horn\",\n}");
    until(&bench, "a refusal", |c| c.refused.is_some()).await;
    let catalog = ready(&bench).await["catalog"].clone();
    assert_eq!((&catalog["generation"], &catalog["tools"]), (&1.into(), &1.into()));
    let problem = &catalog["refused"]["problems"][0];
    assert_eq!((&problem["file"], &problem["line"]), (&"tools/horn.json".into(), &3.into()));
    crate::support::eventually("the gauge", || bench.meters().catalog_stale.get() == 1).await;
    let text = metrics(&bench).await;
    assert!(text.contains("voice_s2s_catalog_stale 1"), "{text}");
    assert!(text.contains(r#"voice_s2s_catalog_reloads_total{reason="refused"}"#), "{text}");

    let caller = bench.greeted().await;
    assert!(opened_with(&bench, 0).contains("the first lighthouse"), "calls go on as before");
    caller.hang_up().await;

    write(&dirs.tools, "horn.json", &tool("horn"));
    until(&bench, "the correction", |c| c.refused.is_none() && c.generation == 2).await;
    crate::support::eventually("the gauge", || bench.meters().catalog_stale.get() == 0).await;
    assert_eq!(ready(&bench).await["catalog"]["refused"], Value::Null);
    bench.finish().await;
}

#[actix_web::test]
async fn a_server_does_not_start_on_files_with_errors() {
    let (_root, dirs) = folders();
    write(&dirs.tools, "horn.json", "{");
    assert!(Snapshot::load(&dirs).is_err());
    let config = voice_s2s::config::ServerConfig { dirs, ..Default::default() };
    let error = Server::build(config).await.err().expect("a refusal");
    assert!(error.is_usage() && error.to_string().contains("tools/horn.json:1:"), "{error}");
}
