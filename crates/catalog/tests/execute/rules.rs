//! The rules of a tool's file, with a back end made of a closure.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Map, Value, json};
use voice_catalog::{
    Snapshot, SourceFile, Sources, Tool,
    execute::{Backend, Executors, Fault, Run},
};

use crate::{one_tool, run, told};

type Answers = dyn Fn(usize) -> Result<Value, Fault> + Send + Sync;

/// Answers its n-th run by a closure, `delay` later.
struct Scripted {
    answers: Box<Answers>,
    delay: Duration,
    runs: AtomicUsize,
    arguments: Mutex<Vec<Value>>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Backend for Scripted {
    fn run<'a>(&'a self, _: &'a Tool, arguments: &'a Map<String, Value>) -> Run<'a> {
        Box::pin(async move {
            let run = self.runs.fetch_add(1, Ordering::SeqCst);
            self.arguments.lock().unwrap().push(Value::Object(arguments.clone()));
            tokio::time::sleep(self.delay).await;
            (self.answers)(run)
        })
    }
}

fn scripted(
    delay_ms: u64,
    answers: impl Fn(usize) -> Result<Value, Fault> + Send + Sync + 'static,
) -> (Arc<Scripted>, Executors) {
    let scripted = Arc::new(Scripted {
        answers: Box::new(answers),
        delay: Duration::from_millis(delay_ms),
        runs: AtomicUsize::new(0),
        arguments: Mutex::default(),
    });
    let executors = Executors::new(Arc::clone(&scripted) as Arc<dyn Backend>);
    (scripted, executors)
}

fn tool(rules: Value) -> Arc<Snapshot> {
    let mut execute = json!({"kind": "http", "url": "https://a.example/"});
    execute.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
    one_tool(execute)
}

#[tokio::test(start_paused = true)]
async fn all_attempts_together_end_in_time() {
    let (scripted, executors) = scripted(3000, |_| Err(Fault::passing("busy", "busy")));
    let catalog = tool(json!({"idempotent": true, "retries": 5}));
    let begun = tokio::time::Instant::now();
    let error = run(&executors, &catalog, json!({})).await.unwrap_err();
    assert_eq!(error.as_str(), "timed_out");
    assert_eq!(begun.elapsed(), Duration::from_secs(8), "the default");
    assert_eq!(scripted.runs.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn only_what_may_pass_is_tried_again() {
    let answers = |run| match run {
        0 => Err(Fault::passing("busy", "busy")),
        1 => Ok(json!([1])),
        _ => Err(Fault::lasting("no".repeat(9000), "no")),
    };
    let (scripted, executors) = scripted(0, answers);
    let catalog = tool(json!({"idempotent": true, "retries": 3}));
    let answer = run(&executors, &catalog, json!({})).await.unwrap();
    assert_eq!(answer, json!({"result": [1]}), "a result is an object");
    let long = told(run(&executors, &catalog, json!({})).await);
    assert_eq!(long.chars().count(), 1001, "a failure is told in short");
    assert_eq!(scripted.runs.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_remembered_answer_is_given_until_it_is_too_old() {
    let (scripted, executors) = scripted(0, |run| match run {
        1 => Err(Fault::lasting("no", "no")),
        run => Ok(json!({"run": run})),
    });
    let catalog = tool(json!({"cache_ttl_s": 60}));
    let one = run(&executors, &catalog, json!({"a": 1, "b": 2})).await.unwrap();
    // Another order of keys, and once more encoded.
    assert_eq!(run(&executors, &catalog, json!("{\"b\": 2, \"a\": 1}")).await.unwrap(), one);
    assert_eq!(scripted.runs.load(Ordering::SeqCst), 1);
    run(&executors, &catalog, json!({"a": 2})).await.unwrap_err();
    let fresh = run(&executors, &catalog, json!({"a": 2})).await.unwrap();
    assert_eq!(fresh, json!({"run": 2}), "failures are not remembered");
    let changed = tool(json!({"cache_ttl_s": 61}));
    let other = run(&executors, &changed, json!({"a": 2})).await.unwrap();
    assert_eq!(other, json!({"run": 3}), "nor answers of an older definition");
    tokio::time::advance(Duration::from_secs(60)).await;
    let later = run(&executors, &catalog, json!({"a": 1, "b": 2})).await.unwrap();
    assert_eq!(later, json!({"run": 4}));
}

#[tokio::test(start_paused = true)]
async fn more_runs_than_allowed_are_refused_and_places_come_back() {
    let (_, executors) = scripted(1000, |_| Ok(json!({})));
    let catalog = tool(json!({"concurrency": 2}));
    let one = || run(&executors, &catalog, json!({}));
    let (a, b, c) = futures::join!(one(), one(), one());
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(c.unwrap_err().as_str(), "busy");
    assert!(one().await.is_ok());
    let cut = tokio::time::timeout(Duration::from_millis(10), one()).await;
    assert!(cut.is_err());
    let (a, b) = futures::join!(one(), one());
    assert!(a.is_ok() && b.is_ok(), "a cancelled run gives its place back");
}

#[tokio::test]
async fn without_clients_a_remote_tool_is_not_available() {
    let error = run(&Executors::default(), &tool(json!({})), json!({})).await.unwrap_err();
    assert_eq!(error.to_result()["error"], "not available");
}

#[test]
fn rules_are_read_and_mistakes_in_them_found() {
    let catalog = tool(json!({
        "timeout_ms": 2000, "announce": "One moment.", "announce_after_ms": 700,
        "redact": {"arguments": ["pin"], "result": ["/iban"]}
    }));
    let tool = catalog.tool("t").unwrap();
    assert_eq!(tool.rules.timeout, Duration::from_secs(2));
    assert_eq!(tool.announce().unwrap().after, Duration::from_millis(700));
    assert_eq!(tool.redacted_arguments(&json!({"PIN": 1, "iban": 2}))["iban"], 2);
    assert_eq!(tool.redacted_arguments(&json!({"PIN": 1}))["PIN"], "[redacted]");
    assert_eq!(tool.redacted_result(&json!({"iban": 1, "pin": 2}))["iban"], "[redacted]");

    let wrong = [
        (r#""retries": 2"#, "`retries` without `idempotent`"),
        (r#""timeout_ms": 1"#, "`timeout_ms` must be"),
        (r#""cache_ttl_s": -1"#, "`cache_ttl_s` must be"),
        (r#""max_result_bytes": "8k""#, "`max_result_bytes` must be"),
        (r#""concurrency": 0"#, "`concurrency` must be"),
        (r#""announce_after_ms": 900"#, "without `announce`"),
        (r#""redact": ["a", 1]"#, "a field to hide must be"),
        (r#""headers": {"Host": "x"}"#, "is set by the program"),
        (r#""headers": {"X": "${env:AWS_SECRET_ACCESS_KEY}"}"#, "is the program's own"),
        (r#""headers": {"X": "${env:OPEN"}"#, "must be followed by the name"),
        (r#""method": "FETCH""#, "there is no method"),
        (r#""result": "data""#, "is not a JSON pointer"),
        (r#""body": {"x": "{nobody}"}"#, "`nobody` is not an argument"),
        (r#""timeout": 5"#, "`timeout` means nothing here"),
    ];
    for (key, expected) in wrong {
        let text = format!(
            r#"{{"name": "t", "description": "d",
                "input_schema": {{"type": "object", "properties": {{"a": {{}}}}}},
                "execute": {{"kind": "http", "url": "https://a.example/", {key}}}}}"#
        );
        let tools = vec![SourceFile::new("t.json", text)];
        let found = match Snapshot::build(&Sources { tools, ..Sources::default() }) {
            Ok((_, warnings)) => warnings,
            Err(problems) => problems.0,
        };
        assert!(found.iter().any(|found| found.what.contains(expected)), "{key}: {found:?}");
        assert!(found.iter().all(|found| found.line == Some(3)), "{found:?}");
    }
}
