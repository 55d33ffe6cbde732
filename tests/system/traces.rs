//! Traces and scores on their way out: what arrives at Langfuse, what must not, and what becomes of
//! it when Langfuse or the collector is away, busy, slow or strict.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use voice_archive::Pauses;
use voice_call::meters::{Queue, ReasonLabel};
use voice_langfuse::{ExportOptions, LangfuseConfig, OtlpTarget, SecretKey, TracesConfig};
use voice_s2s::config::{Keep, ServerConfig};

use crate::{
    session_log::{get, only_log},
    support::{
        Bench, Caller, Task,
        collector::{Arrived, Collector, Mood},
        eventually,
    },
};

/// `pk-lf-1` and `sk-lf-1` as basic auth.
const AUTH: &str = "Basic cGstbGYtMTpzay1sZi0x";

const INPUT: &str = "langfuse.observation.input";
const OUTPUT: &str = "langfuse.observation.output";
const USAGE: &str = "langfuse.observation.usage_details";

/// A project of Langfuse's at the collector, and nobody who waits long.
fn langfuse(collector: &Collector) -> TracesConfig {
    let project = LangfuseConfig {
        host: collector.url(),
        public_key: "pk-lf-1".into(),
        secret_key: SecretKey::new("sk-lf-1"),
    };
    TracesConfig {
        target: OtlpTarget::langfuse(&project).expect("a target"),
        scores: Some(project),
        resource: vec![("service.name".into(), "voice-test".into())],
        options: ExportOptions {
            interval: Duration::from_millis(20),
            // Under load an answer takes its time, and what is sent twice is not what is tested.
            deadline: Duration::from_secs(3),
            pauses: Pauses {
                first: Duration::from_millis(10),
                longest: Duration::from_millis(100),
            },
        },
    }
}

async fn bench(collector: &Collector, change: impl FnOnce(&mut ServerConfig)) -> Bench {
    let traces = langfuse(collector);
    Bench::with(|config, _| {
        config.traces = Some(traces);
        change(config);
    })
    .await
}

/// The balance of the demo bank, from the greeting to the answer.
async fn ask_for_the_balance(caller: &mut Caller) {
    caller.type_text("What is my balance?").await;
    caller.final_line("assistant").await;
    caller.type_text("4021").await;
    caller.final_line("assistant").await;
    caller.type_text("1188").await;
    caller.until("the balance", is_balance).await;
    caller.final_line("assistant").await;
    caller.message("token_usage").await;
}

fn is_balance(message: &Value) -> bool {
    message["type"] == "tool_result" && message["toolName"] == "get_account_balance"
}

/// Sessions whose own span has arrived.
fn complete(collector: &Collector) -> usize {
    collector.named("voice-session").len()
}

async fn arrives(collector: &Collector, sessions: usize) {
    eventually(&format!("{sessions} sessions"), || complete(collector) >= sessions).await;
}

/// A POST of the server's API: status and body.
async fn post(bench: &Bench, kind: &str, body: &str) -> (u16, Value) {
    let address = bench.server.addr();
    let mut tcp = TcpStream::connect(address).await.expect("connect");
    let length = body.len();
    let request = format!(
        "POST /api/feedback HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    tcp.write_all(request.as_bytes()).await.expect("the request");
    let mut answer = Vec::new();
    // A body that is refused unread may end in a reset, after the answer.
    let _ = tcp.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or_default())
}

async fn rate(bench: &Bench, body: Value) -> (u16, Value) {
    post(bench, "application/json", &body.to_string()).await
}

fn spans_counted(bench: &Bench, reason: &'static str) -> u64 {
    bench.meters().spans.get_or_create(&ReasonLabel { reason }).get()
}

/// What holds of every span (`ops.md` §4.1 and §4.2), as the far side sees it.
fn is_sound(spans: &[Arrived], session: &str) {
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.span_id.as_str()).collect();
    assert_eq!(ids.len(), spans.len(), "a span arrived twice");
    for span in spans {
        assert_eq!(span.trace_id, voice_langfuse::trace_id_of(session), "{}", span.name);
        assert!(span.start > 0 && span.end >= span.start, "{}", span.name);
        assert_eq!(span.text("langfuse.session.id"), session, "{}", span.name);
        assert_eq!(span.text("langfuse.trace.name"), "voice-session");
        assert_eq!(span.attributes["langfuse.trace.tags"], json!(["voice", "nova-sonic"]));
        let kind = span.text("langfuse.observation.type");
        assert!(["span", "generation", "event"].contains(&kind), "{}: {kind}", span.name);
        let is_top = span.name == "voice-session";
        assert_eq!(span.parent_id.is_empty(), is_top, "{}", span.name);
        assert!(is_top || ids.contains(span.parent_id.as_str()), "{} hangs nowhere", span.name);
        assert!(span.attributes.keys().all(|key| !key.starts_with("gen_ai.usage")));
    }
}

#[actix_web::test]
async fn a_call_becomes_a_trace_with_scores() {
    let collector = Collector::start();
    collector.want(AUTH);
    let bench = bench(&collector, |_| ()).await;
    let mut caller = Caller::connect(&bench.sonic("?sessionId=the-traced-one")).await;
    caller.configure(json!({"personaId": "banking"})).await;
    let metadata = caller.message("metadata").await;
    caller.final_line("assistant").await;
    ask_for_the_balance(&mut caller).await;
    caller.send(json!({"type": "session_feedback", "score": 4, "comment": "quick"})).await;
    caller.hang_up().await;
    arrives(&collector, 1).await;

    let spans = collector.spans();
    is_sound(&spans, "the-traced-one");
    assert_eq!(metadata["data"]["traceId"], spans[0].trace_id.as_str(), "{metadata}");
    assert_eq!(collector.resource()["service.name"], "voice-test");
    assert!(collector.versions().iter().all(|version| version == "4"));
    let said: Vec<String> =
        collector.named("user-input").iter().map(|span| span.text(INPUT).to_owned()).collect();
    assert_eq!(said, ["What is my balance?", "4021", "1188"]);
    let answers = collector.named("assistant-response");
    assert!(answers.len() >= 4 && answers.iter().all(|span| !span.text(OUTPUT).is_empty()));
    let heard = "langfuse.observation.completion_start_time";
    for answer in &answers {
        assert_eq!(answer.text("langfuse.observation.type"), "generation");
        assert!(answer.text("langfuse.observation.model.name").starts_with("amazon.nova"));
        let at: jiff::Timestamp = answer.text(heard).parse().expect("a time");
        let at = u64::try_from(at.as_nanosecond()).expect("after 1970");
        assert!((answer.start..=answer.end).contains(&at), "{at} in {answer:?}");
    }
    let tool = &collector.named("tool-get_account_balance")[0];
    assert!(tool.json(INPUT).is_object() && tool.json(OUTPUT).is_object(), "{tool:?}");
    let session = &collector.named("voice-session")[0];
    assert_eq!(session.text("langfuse.observation.metadata.end"), "hung_up");
    assert_eq!(session.text("langfuse.observation.metadata.persona"), "banking");

    // The trace costs what the log says.
    let log = only_log(&bench).await;
    let sum = |name: &str, bucket: &str| -> f64 {
        spans.iter().filter_map(|span| span.json(name)[bucket].as_f64()).sum()
    };
    let details = &log["usage"]["details"];
    for (bucket, of_log) in [
        ("input_audio", "inputSpeech"),
        ("input_text", "inputText"),
        ("output_audio", "outputSpeech"),
        ("output_text", "outputText"),
    ] {
        assert_eq!(Some(sum(USAGE, bucket)), details[of_log].as_f64(), "{bucket}: {details}");
    }
    let cost = "langfuse.observation.cost_details";
    let total: f64 = ["input_audio", "input_text", "output_audio", "output_text"]
        .iter()
        .map(|bucket| sum(cost, bucket))
        .sum();
    let of_log = log["usage"]["cost"].as_f64().expect("a price");
    assert!((total - of_log).abs() < 1e-9, "{total} and {of_log}");

    eventually("the scores", || collector.scores("user-feedback").len() == 1).await;
    eventually("one for each answer", || collector.scores("turn-success").len() == answers.len())
        .await;
    assert_eq!(collector.scores("user-feedback")[0]["comment"], "quick");
    assert!(collector.scores("turn-success").iter().all(|score| score["value"] == 1.0));
    let latency = collector.scores("latency-score");
    assert!(!latency.is_empty());
    for score in latency {
        let of = answers.iter().find(|span| score["observationId"] == span.span_id.as_str());
        assert!(of.is_some() && score["value"].as_f64().is_some_and(|v| (0.0..=1.0).contains(&v)));
    }
    bench.finish().await;
    collector.stop().await;
}

#[actix_web::test]
async fn a_barge_in_and_an_error_are_in_the_trace() {
    let collector = Collector::start();
    let traces = langfuse(&collector);
    let bench = Bench::with(|config, emulator| {
        config.traces = Some(traces);
        let script = crate::support::bench::TALKATIVE;
        emulator.scenario =
            voice_emulator::script::Scenario::parse(script).expect("the script").into();
    })
    .await;
    let mut caller = bench.greeted().await;
    caller.type_text("Tell me a story").await;
    caller.final_line("user").await;
    caller.audio().await;
    let said = crate::support::speech::say("Wait, stop, I have another question for you.");
    caller.speak(&said).await;
    caller.message("interruption").await;
    caller.message("transcriptCancelled").await;
    caller.type_text(&"x".repeat(5_000)).await;
    caller.error("invalid_text").await;
    caller.hang_up().await;
    arrives(&collector, 1).await;
    let interruption = &collector.named("interruption")[0];
    assert_eq!(interruption.text("langfuse.observation.type"), "event");
    let cut = "langfuse.observation.metadata.interrupted";
    let answers = collector.named("assistant-response");
    assert!(answers.iter().any(|span| span.attributes[cut] == true), "{answers:?}");
    let error = &collector.named("error")[0];
    assert_eq!(error.text("langfuse.observation.level"), "ERROR");
    assert!(error.text("langfuse.observation.status_message").starts_with("invalid_text"));
    bench.finish().await;
    collector.stop().await;
}

#[actix_web::test]
async fn personal_data_leaves_nowhere() {
    let collector = Collector::start();
    let bench = bench(&collector, |_| ()).await;
    let mut caller = bench.greeted().await;
    for text in [
        "my card is 4111 1111 1111 1111",
        "I mean five five oh oh, oh oh oh oh, oh oh oh oh, oh oh oh four",
        "write to ann@example.com",
        "again, it is 4000 0566",
        "5566",
        "5556",
        "thank you, zebrafish",
    ] {
        caller.type_text(text).await;
        caller.final_line("assistant").await;
    }
    caller
        .send(json!({"type": "session_feedback", "score": 1, "comment": "mail bob@example.com"}))
        .await;
    caller.hang_up().await;
    arrives(&collector, 1).await;
    eventually("the feedback", || collector.scores("user-feedback").len() == 1).await;
    let (_, answer) =
        rate(&bench, json!({"sessionId": "gone", "score": 1, "comment": "call 0044 20 7946 0958"}))
            .await;
    assert_eq!(answer["success"], true, "{answer}");
    eventually("the other feedback", || collector.scores("user-feedback").len() == 2).await;
    let all = collector.raw();
    assert!(all.contains("zebrafish") && all.contains("[card number]"), "what may leave does");
    for secret in ["4111", "five five", "@example.com", "4000 0566", "5566", "5556", "7946"] {
        assert!(!all.contains(secret), "{secret} has left");
    }
    bench.finish().await;
    collector.stop().await;
}

#[actix_web::test]
async fn whatever_the_collector_does_calls_go_on_and_sound_spans_arrive() {
    let collector = Collector::start();
    let bench = bench(&collector, |_| ()).await;
    let call = async || {
        let before = Instant::now();
        let mut caller = bench.greeted().await;
        ask_for_the_balance(&mut caller).await;
        caller.hang_up().await;
        before.elapsed()
    };
    let calm = call().await;
    arrives(&collector, 1).await;

    // Busy, out of order, slow: all of it arrives later, once.
    let moods =
        [Mood::Status(429, Some(0)), Mood::Status(503, None), Mood::Status(401, None), Mood::Slow];
    for (n, mood) in moods.into_iter().enumerate() {
        println!("{mood:?}");
        collector.feel(mood);
        let before = collector.requests();
        let took = call().await;
        println!("a call took {took:?}, and {calm:?} in calm times");
        eventually("it is tried again", || collector.requests() >= before + 2).await;
        assert_eq!(complete(&collector), n + 1, "nothing was taken");
        collector.feel(Mood::Well);
        arrives(&collector, n + 2).await;
    }

    // Away, and back at the same address.
    let (port, sessions) = (collector.addr.port(), complete(&collector));
    collector.stop().await;
    call().await;
    let exports = &bench.meters().trace_exports;
    let failed = exports.get_or_create(&ReasonLabel { reason: "unavailable" }).clone();
    let before = failed.get();
    eventually("it is missed", || failed.get() > before).await;
    let collector = Collector::back(port, &collector);
    arrives(&collector, sessions + 1).await;
    let ids: Vec<String> = collector.spans().into_iter().map(|span| span.span_id).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "each arrived once");
    assert_eq!(spans_counted(&bench, "rejected"), 0);
    let all = ids.len() as u64;
    eventually("all are counted", || spans_counted(&bench, "exported") == all).await;

    // One span that is not wanted takes none along.
    collector.feel(Mood::Strict("tool-get_account_balance"));
    let tools = collector.named("tool-get_account_balance").len();
    let before = collector.spans().len();
    call().await;
    arrives(&collector, sessions + 2).await;
    eventually("one is given up", || spans_counted(&bench, "rejected") == 1).await;
    assert_eq!(collector.named("tool-get_account_balance").len(), tools);
    assert!(collector.spans().len() > before + 8, "the others are there");
    collector.feel(Mood::Partial(1));
    call().await;
    eventually("another", || spans_counted(&bench, "rejected") > 1).await;

    let metrics = crate::pages::get(&bench, "/metrics").await.2;
    for metric in [
        "voice_s2s_spans_total{reason=\"exported\"}",
        "voice_s2s_trace_exports_total{reason=\"refused\"}",
        "voice_s2s_queue_depth{queue=\"Spans\"}",
    ] {
        assert!(metrics.contains(metric), "{metric} is not in {metrics}");
    }
    bench.finish().await;
    collector.stop().await;
}

#[actix_web::test]
async fn what_waits_is_sent_at_the_stop_and_a_dead_collector_delays_it_little() {
    let collector = Collector::start();
    let patient = |config: &mut ServerConfig| {
        let traces = config.traces.as_mut().expect("traces");
        traces.options.interval = Duration::from_secs(600);
    };
    let bench = bench(&collector, patient).await;
    bench.greeted().await.hang_up().await;
    assert_eq!(complete(&collector), 0);
    bench.finish().await;
    assert_eq!(complete(&collector), 1);
    assert!(!collector.scores("turn-success").is_empty());

    let bench = self::bench(&collector, patient).await;
    bench.greeted().await.hang_up().await;
    bench.is_clean().await;
    collector.stop().await;
    let (before, meters) = (Instant::now(), bench.meters().clone());
    bench.server.stop(Duration::from_secs(1)).await;
    assert!(before.elapsed() < Duration::from_secs(15), "{:?}", before.elapsed());
    assert!(meters.spans.get_or_create(&ReasonLabel { reason: "unsent" }).get() > 0);
}

#[actix_web::test]
async fn calls_are_traced_also_when_no_log_is_kept() {
    let collector = Collector::start();
    let bench = bench(&collector, |config| config.archive.keep = Keep::Off).await;
    bench.greeted().await.hang_up().await;
    arrives(&collector, 1).await;
    assert_eq!(get(&bench, "/api/history").await, json!([]));
    assert_eq!(std::fs::read_dir(bench.data.path()).expect("the folder").count(), 0);
    bench.finish().await;
    collector.stop().await;
}

#[actix_web::test]
async fn without_traces_nobody_is_told_of_one() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    ask_for_the_balance(&mut caller).await;
    assert!(caller.messages("metadata").is_empty());
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn feedback_reaches_the_log_and_langfuse_during_and_after_the_call() {
    let collector = Collector::start();
    let bench = bench(&collector, |_| ()).await;
    let mut caller = Caller::connect(&bench.sonic("?sessionId=rated")).await;
    caller.configure(json!({})).await;
    let trace_id = caller.message("metadata").await["data"]["traceId"].clone();
    caller.final_line("assistant").await;
    let early = json!({"sessionId": "rated", "traceId": trace_id, "score": 2, "comment": "slow"});
    assert_eq!(rate(&bench, early).await, (200, json!({"success": true})));
    let of = |name: &str| collector.scores(name).into_iter().next().unwrap_or_default();
    eventually("the score", || of("user-feedback")["comment"] == "slow").await;
    caller.hang_up().await;

    // Most callers rate a call after it, and some think again.
    let late = json!({"sessionId": "rated", "score": 5, "comment": "in the end it was good"});
    assert_eq!(rate(&bench, late).await.0, 200);
    eventually("the better score", || of("user-feedback")["value"] == 5.0).await;
    assert_eq!(collector.scores("user-feedback").len(), 1, "it replaces the first");
    assert_eq!(of("user-feedback")["traceId"], trace_id);
    let log = only_log(&bench).await;
    assert_eq!(
        (&log["feedback"]["score"], &log["feedback"]["comment"]),
        (&5.0.into(), &"in the end it was good".into())
    );
    assert_eq!(log["end"]["cause"], "hung_up", "the rest is as it was");
    let named = json!({"sessionId": "rated", "score": 9, "name": "nps", "traceId": "rated"});
    assert_eq!(rate(&bench, named).await.0, 200);
    eventually("the other score", || of("nps")["value"] == 9.0).await;

    // What is wrong is said, and nothing of it arrives.
    eventually("nothing waits", || bench.meters().depth(Queue::Scores).get() == 0).await;
    let sent = bench.meters().scores.get_or_create(&ReasonLabel { reason: "given" }).get();
    for (body, what) in [
        (json!({"score": 1}), "sessionId"),
        (json!({"sessionId": "rated"}), "score"),
        (json!({"sessionId": "rated", "score": "good"}), "f64"),
        (json!({"sessionId": "../x", "score": 1}), "sessionId"),
        (json!({"sessionId": "rated", "score": 1, "traceId": "0af7"}), "traceId"),
        (json!({"sessionId": "rated", "score": 1, "name": "a b"}), "name"),
        (json!({"sessionId": "rated", "score": 1, "comment": "x".repeat(2_001)}), "comment"),
    ] {
        let (status, answer) = rate(&bench, body).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &"invalid_feedback".into()));
        assert!(answer["error"]["message"].to_string().contains(what), "{what}: {answer}");
    }
    let long = json!({"sessionId": "rated", "score": 1, "comment": "x".repeat(20_000)});
    assert_eq!(rate(&bench, long).await.0, 413);
    assert_eq!(post(&bench, "text/plain", r#"{"sessionId":"rated","score":1}"#).await.0, 415);
    assert_eq!(bench.meters().scores.get_or_create(&ReasonLabel { reason: "given" }).get(), sent);
    bench.finish().await;
    collector.stop().await;
}

#[actix_web::test]
async fn without_langfuse_feedback_is_for_calls_that_are_known() {
    let bench = Bench::start().await;
    let unknown = json!({"sessionId": "nobody", "score": 1});
    let (status, answer) = rate(&bench, unknown.clone()).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &"unknown_session".into()));
    let mut caller = Caller::connect(&bench.sonic("?sessionId=known")).await;
    caller.message("session_start").await;
    caller.hang_up().await;
    let known = json!({"sessionId": "known", "score": 1, "comment": "mail ann@example.com"});
    assert_eq!(rate(&bench, known).await.0, 200);
    assert_eq!(only_log(&bench).await["feedback"]["comment"], "mail [e-mail]");
    bench.finish().await;

    let bench = Bench::with(|config, _| config.archive.keep = Keep::Off).await;
    let (status, answer) = rate(&bench, unknown).await;
    assert_eq!((status, &answer["error"]["code"]), (404, &"not_kept".into()));
    bench.finish().await;
}

#[actix_web::test]
async fn the_trace_of_a_killed_process_is_completed_by_the_next_one() {
    let collector = Collector::start();
    collector.want("Bearer canary-7");
    let data = tempfile::tempdir().expect("a folder");
    let (folder, url) = (data.path().display().to_string(), collector.url());
    let settings = [
        ("DATA_DIR", folder.as_str()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20canary-7"),
        ("OTEL_SERVICE_NAME", "bank"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("RUST_LOG", "info,voice_langfuse=debug"),
    ];
    let mut task = Task::start(&settings).await;
    let mut caller = Caller::connect(&task.sonic("?sessionId=the-unlucky-one")).await;
    caller.configure(json!({})).await;
    caller.final_line("assistant").await;
    caller.type_text("What is my balance?").await;
    caller.final_line("assistant").await;
    caller.type_text("4021").await;
    caller.final_line("assistant").await;
    caller.type_text("1188").await;
    caller.until("the balance", is_balance).await;
    eventually("the first span", || !collector.spans().is_empty()).await;
    let early: BTreeSet<String> = collector.spans().into_iter().map(|span| span.span_id).collect();
    // What the journal has not written is lost.
    let on_disk = || {
        let journals = walk(data.path()).into_iter();
        journals.into_iter().any(|text| text.contains(r#""name":"get_account_balance""#))
    };
    eventually("the journal", on_disk).await;
    assert!(!task.log().contains("canary"), "the log has no header");
    task.kill().await;

    let task = Task::start(&settings).await;
    arrives(&collector, 1).await;
    let session = &collector.named("voice-session")[0];
    assert_eq!(session.text("langfuse.observation.metadata.end"), "task_died");
    assert_eq!(session.text("langfuse.observation.level"), "ERROR");
    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.trace_id == session.trace_id));
    // What was sent before comes once more, under the id that it had.
    let ids: BTreeSet<String> = spans.iter().map(|span| span.span_id.clone()).collect();
    assert!(early.is_subset(&ids) && spans.len() >= ids.len());
    assert_eq!(collector.named("user-input").len(), 3);
    assert_eq!(collector.resource()["service.name"], "bank");
    assert_eq!(collector.resource()["deployment.environment.name"], "test");
    assert!(collector.versions().is_empty(), "that header is Langfuse's");
    task.signal("TERM");
    assert_eq!(task.exit_code().await, Some(0));
    collector.stop().await;
}

/// The texts of all files below a folder.
fn walk(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let texts = |path: std::path::PathBuf| match path.is_dir() {
        true => walk(&path),
        false => vec![String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into()],
    };
    entries.flat_map(|entry| texts(entry.path())).collect()
}
