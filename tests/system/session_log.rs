//! What is kept of a call: the log that it leaves, also when its process is killed, and what is
//! not in it.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use crate::support::{Bench, Caller, DEADLINE, Task, eventually};

/// A GET of the server, as JSON.
pub(crate) async fn get(bench: &Bench, path: &str) -> Value {
    let (status, _, body) = crate::pages::get(bench, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

/// The log of the only call there was, once it is kept.
pub(crate) async fn only_log(bench: &Bench) -> Value {
    eventually("nothing waits", || bench.meters().spool_files.get() == 0).await;
    let kept = tokio::time::timeout(DEADLINE, async {
        loop {
            let list = get(bench, "/api/history").await;
            if let Some(id) = list[0]["id"].as_str() {
                assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
                return get(bench, &format!("/api/history/{id}")).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    kept.await.expect("a log in time")
}

/// Roles and texts of a log.
fn story(log: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let said = log["transcript"].as_array().expect("a transcript").iter();
    said.map(|said| (text(&said["role"]), text(&said["text"]))).collect()
}

#[actix_web::test]
async fn a_call_leaves_a_log_of_all_that_was_said_and_done() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    caller.type_text("What is my balance?").await;
    caller.final_line("assistant").await;
    caller.type_text("4021").await;
    caller.final_line("assistant").await;
    caller.type_text("1188").await;
    let is_balance =
        |m: &Value| m["type"] == "tool_result" && m["toolName"] == "get_account_balance";
    caller.until("the balance", is_balance).await;
    caller.final_line("assistant").await;
    let usage = caller.message("token_usage").await;
    assert_eq!(usage["currency"], "USD", "{usage}");
    caller
        .send(json!({"type": "session_feedback", "score": 1, "comment": "mail ann@example.com"}))
        .await;
    caller.hang_up().await;

    let log = only_log(&bench).await;
    let story = story(&log);
    let at = |role: &str, text: &str| {
        let found = story.iter().position(|said| said.0 == role && said.1.contains(text));
        found.unwrap_or_else(|| panic!("no {role} says {text:?}: {story:?}"))
    };
    assert_eq!(story[0].0, "assistant", "the greeting is first: {story:?}");
    assert!(at("user", "What is my balance?") < at("tool_use", "get_account_balance"));
    assert!(at("tool_use", "get_account_balance") < at("tool_result", "get_account_balance"));
    assert!(log["steps"].as_array().is_some_and(|steps| !steps.is_empty()), "{log}");
    assert!(
        log["transcript"]
            .as_array()
            .expect("a list")
            .iter()
            .all(|said| said["type"] != "speculative")
    );
    let tool = log["tools"].as_array().expect("tools").last().expect("one").clone();
    assert_eq!(tool["outcome"], "ok");
    assert!(tool["durationMs"].is_u64() && tool["result"].is_object(), "{tool}");
    assert_eq!((&log["complete"], &log["end"]["cause"]), (&true.into(), &"hung_up".into()));
    assert_eq!(
        (&log["brainMode"], &log["modelId"]),
        (&"raw_nova".into(), &"amazon.nova-2-sonic-v1:0".into())
    );
    assert_eq!(log["catalog"], bench.server.catalog().snapshot().hash());
    assert!(
        log["prompts"].as_array().is_some_and(|prompts| prompts
            .iter()
            .any(|p| p["id"] == "core-guardrails" && p["source"] == "local")),
        "{log}"
    );
    assert_eq!(log["feedback"]["comment"], "mail [e-mail]");
    let usage = &log["usage"];
    assert!(usage["totalTokens"].as_u64().is_some_and(|tokens| tokens > 0), "{usage}");
    assert!(usage["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{usage}");
    let turns = log["turns"].as_array().expect("turns");
    assert!(turns.iter().any(|turn| turn["firstWrittenMs"].is_u64()), "{turns:?}");
    assert!(turns.iter().any(|turn| turn["cost"].as_f64().is_some_and(|cost| cost > 0.0)));
    let item = get(&bench, "/api/history").await[0].clone();
    assert_eq!(item["summary"], "What is my balance?");
    assert!(item["finalMessages"].as_u64() == item["totalMessages"].as_u64());
    let metrics = crate::pages::get(&bench, "/metrics").await.2;
    for metric in [
        "voice_s2s_cost_total ",
        "voice_s2s_tokens_total{kind=\"input_text\"}",
        "voice_s2s_turn_first_written_seconds_count",
        "voice_s2s_turn_first_audio_recent_seconds{quantile=\"0.95\"}",
    ] {
        assert!(metrics.contains(metric), "{metric} is not in {metrics}");
    }
    bench.finish().await;
}

#[actix_web::test]
async fn personal_data_reaches_no_disk() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    for text in [
        "my card is 4111 1111 1111 1111",
        "I mean five five oh oh, oh oh oh oh, oh oh oh oh, oh oh oh four",
        "write to ann@example.com",
    ] {
        caller.type_text(text).await;
        caller.final_line("assistant").await;
    }
    // It is in the journal by now, while the call goes on.
    let dir = bench.data.path().to_owned();
    eventually("the journal", || all_text(&dir).contains("[e-mail]")).await;
    caller.hang_up().await;
    let log = only_log(&bench).await.to_string();
    assert!(log.contains("my card is [card number]"), "{log}");
    let disk = all_text(bench.data.path());
    for secret in ["4111", "five five oh", "ann@example"] {
        assert!(!log.contains(secret) && !disk.contains(secret), "{secret} was kept");
    }
    bench.finish().await;
}

/// Every file below a folder, as one text.
fn all_text(dir: &Path) -> String {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let text = |path: &Path| match path.is_dir() {
        true => all_text(path),
        false => String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned(),
    };
    entries.map(|entry| text(&entry.path())).collect()
}

/// Whoever reads the log of the process learns nothing of a conversation, and with `debug` nothing
/// that must not be kept.
#[actix_web::test]
async fn nothing_of_a_conversation_is_in_the_log_of_the_process() {
    for (level, secrets) in
        [("info", &["zebrafish", "4111", "1188", "Meridian"][..]), ("debug", &["4111 1111"][..])]
    {
        let filter = format!(
            "warn,voice_s2s={level},voice_actors={level},voice_archive={level},voice_aws={level},voice_emulator={level},voice_catalog={level}"
        );
        let mut task = Task::start(&[("RUST_LOG", filter.as_str())]).await;
        let mut caller = Caller::connect(&task.sonic("")).await;
        caller.configure(json!({})).await;
        caller.final_line("assistant").await;
        for text in ["zebrafish 4111 1111 1111 1111", "What is my balance?", "4021", "1188"] {
            caller.type_text(text).await;
            caller.final_line("assistant").await;
        }
        // A mistake that quotes what was said, a barge-in, and a person at the end.
        let quoted = r#"{"type":"textInput","text":["zebrafish 4111 1111 1111 1111"]}"#;
        caller.send_raw(tokio_tungstenite::tungstenite::Message::text(quoted)).await;
        caller.type_text("I want to speak to a human, zebrafish").await;
        caller.message("transferToAgent").await;
        caller.hang_up().await;
        task.signal("TERM");
        task.ended().await;
        let log = task.log();
        assert!(log.contains("call started") && log.contains("tool finished"), "{log}");
        for secret in secrets {
            let line = log.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{level}: {secret} is in the log");
        }
    }
}

#[actix_web::test]
async fn a_killed_process_leaves_a_log_up_to_its_last_second() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().display().to_string();
    let settings = [("DATA_DIR", folder.as_str())];
    let mut task = Task::start(&settings).await;
    let mut caller = Caller::connect(&task.sonic("?sessionId=the-unlucky-one")).await;
    caller.configure(json!({})).await;
    caller.final_line("assistant").await;
    caller.type_text("What is my balance?").await;
    caller.final_line("assistant").await;
    eventually("the journal", || all_text(data.path()).contains("What is my balance?")).await;
    task.kill().await;

    let task = Task::start(&settings).await;
    let kept = tokio::time::timeout(DEADLINE, async {
        loop {
            let list: Value = serde_json::from_str(&task.get("/api/history").await).expect("JSON");
            if list[0].is_object() {
                return list[0].clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let item = kept.await.expect("a log in time");
    assert_eq!(
        (&item["sessionId"], &item["end"]["cause"]),
        (&"the-unlucky-one".into(), &"task_died".into())
    );
    assert!(item["transcript"].to_string().contains("What is my balance?"), "{item}");
    assert!(!all_text(&data.path().join("instances")).contains("What is my balance?"));

    // A second start finds nothing more to do, and the log can be erased.
    task.signal("TERM");
    assert_eq!(task.exit_code().await, Some(0));
    let erase = || {
        std::process::Command::new(env!("CARGO_BIN_EXE_voice-s2s"))
            .args(["erase", "--session", "the-unlucky-one", "--data-dir", &folder])
            .output()
            .expect("the program runs")
    };
    let output = erase();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 erased, 0 in progress"), "{text}");
    assert!(!all_text(data.path()).contains("What is my balance?"));
    assert!(String::from_utf8_lossy(&erase().stdout).contains("0 erased"));
}

#[actix_web::test]
async fn logs_of_the_system_before_are_served_and_nothing_else_is() {
    let bench = Bench::start().await;
    let folder = bench.data.path().join("sessions");
    fs::create_dir_all(&folder).expect("a folder");
    for name in [
        "session_2025-03-01T09-00-00-000Z_old-1.json",
        "session_2025-03-02T09-00-00-000Z_old-2.json",
    ] {
        let old = include_str!("fixtures/session_of_the_system_before.json");
        fs::write(folder.join(name), old).expect("a file");
    }
    fs::write(bench.data.path().join("secret.json"), "{\"secret\": true}").expect("a file");
    let list = get(&bench, "/api/history").await;
    let ids: Vec<&str> =
        list.as_array().expect("a list").iter().filter_map(|i| i["id"].as_str()).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids[0].contains("old-2"), "newest first: {ids:?}");
    assert_eq!((&list[0]["totalMessages"], &list[0]["usage"]["cost"]), (&4.into(), &0.0123.into()));
    let log = get(&bench, &format!("/api/history/{}", ids[1])).await;
    assert_eq!(log["sessionId"], "6e0f2c1a-9b1c-4d2e-8a77-1f0c5b8d9e21");
    let (_, head, page) = crate::pages::get(&bench, "/api/history?limit=1").await;
    assert!(head.contains("rel=\"next\"") && page.contains("old-2"), "{head}");
    let next = format!("/api/history?limit=1&after={}", ids[0]);
    assert!(get(&bench, &next).await[0]["id"].as_str().is_some_and(|id| id.contains("old-1")));
    for path in [
        "/api/history/..%2Fsecret.json",
        "/api/history/%2e%2e%2fsecret.json",
        "/api/history/../secret.json",
        "/api/history/nothing.json",
        "/api/history/.json",
    ] {
        assert_eq!(crate::pages::get(&bench, path).await.0, 404, "{path}");
    }
    assert_eq!(crate::pages::get(&bench, "/api/history?limit=0").await.0, 400);
    assert_eq!(crate::pages::get(&bench, "/api/history?after=../x").await.0, 400);
    bench.finish().await;
}
