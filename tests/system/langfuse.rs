//! Prompts from Langfuse: taken at the start, refreshed, judged as files are, and never missed.

use std::time::Duration;

use serde_json::{Value, json};
use voice_catalog::Dirs;
use voice_langfuse::{LangfuseConfig, PromptOptions, SecretKey};
use voice_s2s::config::LangfuseSettings;

use crate::{
    reload::{folders, opened_with, until, write},
    support::{Bench, eventually, langfuse::Langfuse},
};

const REFRESH: Duration = Duration::from_millis(20);

fn settings(langfuse: &Langfuse, secret: &str) -> LangfuseSettings {
    LangfuseSettings {
        project: LangfuseConfig {
            host: langfuse.url(),
            public_key: "pk-lf-1".into(),
            secret_key: SecretKey::new(secret),
        },
        prompts: Some(PromptOptions {
            first_wait: Duration::from_secs(20),
            ..PromptOptions::default()
        }),
        refresh: Some(REFRESH),
    }
}

async fn bench(dirs: &Dirs, langfuse: &Langfuse) -> Bench {
    let (dirs, settings) = (dirs.clone(), settings(langfuse, "sk-lf-1"));
    Bench::with(move |config, _| {
        config.dirs = dirs;
        config.catalog_reload = Some(Duration::from_millis(10));
        config.langfuse = Some(settings);
    })
    .await
}

async fn prompts(bench: &Bench) -> Vec<Value> {
    let (status, _, body) = crate::pages::get(bench, "/api/prompts").await;
    assert_eq!(status, 200);
    serde_json::from_str(&body).expect("a list")
}

/// Source, version and text of a prompt in use; `Null` when there is none.
async fn shown(bench: &Bench, id: &str) -> Value {
    let all = prompts(bench).await;
    let found = all.iter().find(|prompt| prompt["id"] == id);
    found.map_or(Value::Null, |p| json!([p["source"], p["version"], p["content"]]))
}

#[actix_web::test]
async fn the_labelled_version_is_what_new_calls_speak_by() {
    let (_root, dirs) = folders();
    let langfuse = Langfuse::start();
    langfuse.publish("production", "persona-a", 3, "You keep the third lighthouse.", json!({}));
    langfuse.publish("staging", "persona-a", 4, "You keep no lighthouse.", json!({}));
    langfuse.publish("production", "persona-b", 1, "You sell maps.", json!({"voiceId": "amy"}));
    langfuse.publish("production", "marketing-mail", 9, "Buy now.", json!({}));
    let bench = bench(&dirs, &langfuse).await;
    let early = bench.greeted().await;
    assert!(opened_with(&bench, 0).contains("the third lighthouse"));
    assert_eq!(
        shown(&bench, "persona-a").await,
        json!(["langfuse", 3, "You keep the third lighthouse."])
    );
    assert_eq!(shown(&bench, "persona-b").await, json!(["langfuse", 1, "You sell maps."]));
    assert_eq!(shown(&bench, "marketing-mail").await, Value::Null, "not a prompt of ours");

    // The label moves on while the server runs.
    langfuse.publish("production", "persona-a", 5, "You keep the fifth lighthouse.", json!({}));
    let of_five = |c: &voice_catalog::Current| {
        c.snapshot.persona("a").is_some_and(|persona| persona.origin.version() == Some(5))
    };
    until(&bench, "version 5", of_five).await;
    let late = bench.greeted().await;
    assert!(opened_with(&bench, 1).contains("the fifth lighthouse"));

    // It is taken away: the local file is back.
    langfuse.remove("persona-a");
    let is_local = |c: &voice_catalog::Current| {
        c.snapshot.persona("a").is_some_and(|persona| persona.origin.version().is_none())
    };
    until(&bench, "the local file", is_local).await;
    assert_eq!(
        shown(&bench, "persona-a").await,
        json!(["local", null, "You keep the first lighthouse."])
    );
    early.hang_up().await;
    late.hang_up().await;
    bench.finish().await;
    langfuse.stop().await;
}

#[actix_web::test]
async fn without_langfuse_the_last_prompts_and_then_the_local_files_are_used() {
    let (_root, dirs) = folders();
    let langfuse = Langfuse::start();
    langfuse.fail_with(Some(500));
    langfuse.publish("production", "persona-a", 3, "You keep the third lighthouse.", json!({}));
    let bench = bench(&dirs, &langfuse).await;
    assert_eq!(shown(&bench, "persona-a").await[0], "local", "it starts all the same");

    langfuse.fail_with(None);
    let of_three = |c: &voice_catalog::Current| {
        c.snapshot.persona("a").is_some_and(|p| p.origin.version() == Some(3))
    };
    until(&bench, "version 3", of_three).await;
    langfuse.fail_with(Some(503));
    let before = langfuse.asked();
    eventually("more questions", || langfuse.asked() > before + 2).await;
    // A changed file is judged with what is held; nobody waits for Langfuse.
    write(&dirs.prompts, "persona-c.txt", "You sing.");
    until(&bench, "the new file", |c| c.snapshot.persona("c").is_some()).await;
    assert_eq!(shown(&bench, "persona-a").await[1], 3, "what was heard last stays good");
    let text = crate::pages::get(&bench, "/metrics").await.2;
    assert!(text.contains(r#"prompt_refreshes_total{reason="failed"}"#), "{text}");
    bench.finish().await;
    langfuse.stop().await;
}

#[actix_web::test]
async fn a_faulty_prompt_leaves_the_local_one_in_its_place() {
    let (_root, dirs) = folders();
    let langfuse = Langfuse::start();
    langfuse.publish("production", "persona-a", 2, "Hello {{nobody}}.", json!({}));
    langfuse.publish("production", "persona-b", 1, "You sell maps.", json!({"tools": ["lamp"]}));
    langfuse.publish("production", "persona-d", 1, "You sell caps.", json!({"tools": ["no"]}));
    let chat = json!([{"role": "system", "content": "You chat."}]);
    langfuse.publish("production", "persona-e", 1, chat, json!({}));
    let bench = bench(&dirs, &langfuse).await;
    assert_eq!(shown(&bench, "persona-a").await[0], "local");
    assert_eq!(shown(&bench, "persona-b").await[0], "langfuse", "the sound ones are used");
    assert_eq!(shown(&bench, "persona-d").await, Value::Null);
    assert_eq!(shown(&bench, "persona-e").await, Value::Null);
    bench.finish().await;
    langfuse.stop().await;
}

#[actix_web::test]
async fn check_finds_what_is_wrong_in_langfuse() {
    let (root, _) = folders();
    let langfuse = Langfuse::start();
    langfuse.publish("production", "persona-a", 2, "Hello\n{{nobody}}.", json!({}));
    let host = format!("--langfuse-host={}", langfuse.url());
    let check = async |secret: &'static str| {
        let (root, host) = (root.path().to_owned(), host.clone());
        let checking = tokio::task::spawn_blocking(move || {
            let flags = ["--json", &host, "--langfuse-public-key=pk-lf-1", secret];
            crate::check::check_folders(&root, &flags)
        });
        let output = checking.await.expect("no panic");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        assert_eq!(output.status.code(), Some(0), "a server would start: {report}");
        report["problems"].as_array().cloned().unwrap_or_default()
    };
    let found = check("--langfuse-secret-key=sk-lf-1").await;
    let of_a = found.iter().find(|p| p["file"] == "langfuse/persona-a (version 2)");
    let of_a = of_a.unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!((&of_a["line"], &of_a["severity"]), (&2.into(), &"warning".into()));

    let found = check("--langfuse-secret-key=wrong").await;
    let names_the_key = |p: &Value| p["what"].to_string().contains("LANGFUSE_SECRET_KEY");
    assert!(found.iter().any(names_the_key), "{found:?}");
    langfuse.stop().await;
}

#[actix_web::test]
async fn more_than_a_page_of_prompts_is_heard() {
    let (_root, dirs) = folders();
    let langfuse = Langfuse::start();
    for number in 0..130 {
        let text = format!("You are number {number}.");
        langfuse.publish("production", &format!("persona-{number:03}"), 1, text, json!({}));
    }
    let bench = bench(&dirs, &langfuse).await;
    assert_eq!(bench.server.catalog().snapshot().personas().count(), 131);
    bench.finish().await;
    langfuse.stop().await;
}
