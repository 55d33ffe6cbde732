//! What CloudWatch is told: by the real SDK, at the stand-in on a real socket, while it answers and
//! while it does not.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use voice_call::meters::ReasonLabel;
use voice_emulator::{
    CloudWatchFault, CloudWatchFaultKind, Emulator, EmulatorConfig, FaultScope, Metrics, TakenDatum,
};
use voice_s2s::config::ServerConfig;

use crate::support::{Bench, Caller, Task, eventually};

/// How often the servers of these tests tell.
const INTERVAL: Duration = Duration::from_millis(100);

const CONTRACT: &str = "ActiveWebSocketConnections";

async fn bench(change: impl FnOnce(&mut ServerConfig, &mut EmulatorConfig)) -> Bench {
    Bench::with(|config, emulator| {
        config.metrics.interval = INTERVAL;
        change(config, emulator);
    })
    .await
}

fn fault(kind: CloudWatchFaultKind, requests: u32) -> CloudWatchFault {
    CloudWatchFault { kind, scope: FaultScope::First(requests) }
}

fn told(bench: &Bench) -> Metrics {
    bench.observer().metrics()
}

fn requests(bench: &Bench, outcome: &'static str) -> u64 {
    bench.meters().cloudwatch_requests.get_or_create(&ReasonLabel { reason: outcome }).get()
}

fn sum(metrics: &Metrics, name: &str) -> f64 {
    metrics.of(name).iter().map(TakenDatum::sum).sum()
}

/// Those of one metric that have no dimension.
fn bare(metrics: &Metrics, name: &str) -> Vec<TakenDatum> {
    metrics.of(name).into_iter().filter(|datum| datum.dimensions.is_empty()).collect()
}

#[actix_web::test]
async fn an_idle_server_says_zero_each_interval_exactly_as_documented() {
    let dimensions = vec![("Environment", "test".to_owned()), ("Service", "voice".to_owned())];
    let bench = bench(|config, _| config.metrics.dimensions = dimensions.clone()).await;
    let metrics = told(&bench);
    eventually("three intervals are told", || bare(&metrics, CONTRACT).len() >= 3).await;

    for datum in bare(&metrics, CONTRACT) {
        let expected = TakenDatum {
            namespace: "VoiceS2S".into(),
            name: CONTRACT.into(),
            dimensions: BTreeMap::new(),
            at: datum.at,
            values: vec![(0.0, 1.0)],
            many: false,
            unit: "Count".into(),
            storage_resolution: 60,
        };
        assert_eq!(datum, expected);
    }
    let times: Vec<_> = bare(&metrics, CONTRACT).iter().map(|datum| datum.at).collect();
    // A late tick may be followed by one that is in time, but never by two at once.
    let apart = |pair: &[jiff::Timestamp]| pair[1].duration_since(pair[0]).as_millis() >= 50;
    assert!(times.windows(2).all(apart), "{times:?}");

    let fleet: BTreeMap<String, String> =
        dimensions.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    for datum in metrics.data() {
        let mut rest = datum.dimensions.clone();
        rest.remove("Source");
        let is_of_contract = datum.name == CONTRACT && rest.is_empty();
        assert!(is_of_contract || rest == fleet, "no dimension names a task: {datum:?}");
    }
    assert_eq!(metrics.of(CONTRACT).len(), 2 * bare(&metrics, CONTRACT).len());
    bench.finish().await;
}

#[actix_web::test]
async fn connections_calls_turns_and_errors_are_told() {
    let bench = bench(|config, _| config.max_calls = 4).await;
    let metrics = told(&bench);
    let mut first = bench.greeted().await;
    let second = bench.call().await;
    let says = |name: &'static str, value: f64| {
        let metrics = metrics.clone();
        move || metrics.of(name).last().is_some_and(|datum| datum.values == [(value, 1.0)])
    };
    eventually("two connections", says(CONTRACT, 2.0)).await;
    eventually("half of the capacity", says("CapacityUsed", 50.0)).await;
    first.type_text("What are your opening hours?").await;
    first.message("latency_update").await;
    first.send_raw(tokio_tungstenite::tungstenite::Message::text("no json")).await;
    first.error("malformed_message").await;
    first.hang_up().await;
    second.hang_up().await;
    eventually("no connection", says(CONTRACT, 0.0)).await;

    eventually("turns", || sum(&metrics, "TurnFirstAudio") > 0.0).await;
    let turn = &metrics.of("TurnFirstAudio")[0];
    assert!(turn.many && turn.unit == "Seconds", "a distribution: {turn:?}");
    let errors = |source: &str| -> f64 {
        let all = metrics.of("Errors").into_iter();
        all.filter(|datum| datum.dimensions["Source"] == source).map(|datum| datum.sum()).sum()
    };
    assert_eq!((errors("client"), errors("sonic"), errors("ours")), (1.0, 0.0, 0.0));
    assert_eq!(sum(&metrics, "CallsStarted"), 2.0);
    assert!(sum(&metrics, "Tokens") > 0.0 && sum(&metrics, "Cost") > 0.0);
    bench.finish().await;
}

#[actix_web::test]
async fn an_outage_loses_nothing_and_nothing_is_counted_twice() {
    let bench = bench(|_, emulator| {
        emulator.cloudwatch.faults = vec![fault(CloudWatchFaultKind::Cut, 2)];
    })
    .await;
    let metrics = told(&bench);
    for _ in 0..3 {
        bench.call().await.hang_up().await;
    }
    eventually("data wait", || bench.meters().cloudwatch_waiting.get() > 0).await;
    eventually("CloudWatch is back", || !metrics.data().is_empty()).await;
    bench.call().await.hang_up().await;
    eventually("all calls are told", || sum(&metrics, "CallsStarted") >= 4.0).await;
    assert_eq!(sum(&metrics, "CallsStarted"), 4.0);
    assert_eq!((requests(&bench, "unanswered"), bench.meters().cloudwatch_lost.get()), (2, 0));

    // What waited kept its time: the first two pauses take 1.5 s at least.
    let connections = metrics.of(CONTRACT);
    let taken = metrics.requests().into_iter().find(|request| request.taken > 0).expect("one");
    let age = taken.at.duration_since(connections[0].at);
    assert!(age.as_millis() > 1_400, "{age:?}");
    let times: Vec<_> = connections.iter().map(|datum| datum.at).collect();
    assert!(times.is_sorted() && times.len() >= 10, "an interval each: {times:?}");
    bench.finish().await;
}

#[actix_web::test]
async fn throttling_is_met_with_pauses_that_grow() {
    let bench = bench(|_, emulator| {
        emulator.cloudwatch.faults = vec![fault(CloudWatchFaultKind::Throttling, 3)];
    })
    .await;
    let metrics = told(&bench);
    let mut caller = bench.greeted().await;
    eventually("it is taken", || !metrics.data().is_empty()).await;
    let all = metrics.requests();
    assert_eq!(all[0].error, Some("Throttling"));
    let gaps = all.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at).as_millis());
    for (gap, least) in gaps.zip([500, 1_000, 2_000]) {
        assert!(gap >= least, "{gap} ms where at least {least} ms are due");
    }
    assert_eq!(requests(&bench, "throttled"), 3);
    // Meanwhile the call went on as if nothing were.
    caller.type_text("What are your opening hours?").await;
    caller.final_line("assistant").await;
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn high_resolution_is_told_more_often_and_the_contract_is_not() {
    let bench = bench(|config, _| {
        config.metrics.fast = Some(INTERVAL / 4);
        config.max_calls = 8;
    })
    .await;
    let metrics = told(&bench);
    eventually("some intervals", || metrics.of(CONTRACT).len() >= 3).await;
    let (shares, connections) = (metrics.of("CapacityUsed"), metrics.of(CONTRACT));
    assert!(shares.len() >= 3 * connections.len(), "{} {}", shares.len(), connections.len());
    assert!(shares.iter().all(|datum| datum.storage_resolution == 1 && datum.unit == "Percent"));
    assert!(connections.iter().all(|datum| datum.storage_resolution == 60));
    bench.finish().await;
}

#[actix_web::test]
async fn a_task_that_drains_leaves_scaling_to_the_others() {
    let bench = bench(|config, _| config.max_calls = 8).await;
    let metrics = told(&bench);
    eventually("it is told", || !metrics.of(CONTRACT).is_empty()).await;
    bench.server.registry().drain(Duration::ZERO).await;
    // A request may be under way; what is said after the next tick counts.
    let ticks = metrics.of("ActiveCalls").len();
    eventually("a tick", || metrics.of("ActiveCalls").len() > ticks + 1).await;
    let before = (metrics.of(CONTRACT).len(), metrics.of("CapacityUsed").len());
    let ticks = metrics.of("ActiveCalls").len();
    eventually("more ticks", || metrics.of("ActiveCalls").len() >= ticks + 3).await;
    assert_eq!((metrics.of(CONTRACT).len(), metrics.of("CapacityUsed").len()), before);
    bench.finish().await;
}

/// A process that tells another CloudWatch than its own emulator, and holds a short call.
async fn call_of(settings: &[(&str, &str)]) -> Task {
    let task = Task::start(settings).await;
    let mut caller = Caller::connect(&task.sonic("")).await;
    caller.configure(serde_json::json!({})).await;
    caller.final_line("assistant").await;
    caller.type_text("What are your opening hours?").await;
    caller.message("latency_update").await;
    caller.hang_up().await;
    task
}

#[actix_web::test]
async fn what_was_counted_last_is_told_before_the_process_ends() {
    let cloudwatch = Emulator::start(EmulatorConfig::default()).expect("a stand-in");
    let endpoint = cloudwatch.endpoint();
    let task = call_of(&[
        ("AWS_ENDPOINT_URL_CLOUDWATCH", endpoint.as_str()),
        ("NOVA_AWS_ACCESS_KEY_ID", voice_emulator::ACCESS_KEY_ID),
        ("NOVA_AWS_SECRET_ACCESS_KEY", voice_emulator::SECRET_ACCESS_KEY),
        ("CLOUDWATCH_NAMESPACE", "Elsewhere"),
    ])
    .await;
    task.signal("TERM");
    assert_eq!(task.exit_code().await, Some(0));
    let metrics = cloudwatch.observer().metrics();
    assert_eq!(sum(&metrics, "CallsStarted"), 1.0);
    assert!(sum(&metrics, "TurnFirstAudio") > 0.0);
    assert!(metrics.of(CONTRACT).is_empty(), "the interval was not over: {:?}", metrics.data());
    assert!(metrics.data().iter().all(|datum| datum.namespace == "Elsewhere"));
}

#[actix_web::test]
async fn wrong_keys_are_said_in_the_log_and_felt_nowhere_else() {
    let cloudwatch = Emulator::start(EmulatorConfig::default()).expect("a stand-in");
    let (endpoint, secret) = (cloudwatch.endpoint(), "canary-of-a-wrong-secret");
    let mut task = call_of(&[
        ("AWS_ENDPOINT_URL_CLOUDWATCH", endpoint.as_str()),
        ("NOVA_AWS_ACCESS_KEY_ID", voice_emulator::ACCESS_KEY_ID),
        ("NOVA_AWS_SECRET_ACCESS_KEY", secret),
    ])
    .await;
    task.signal("TERM");
    task.ended().await;
    let log = task.log();
    let line = log.lines().find(|line| line.contains("CloudWatch does not take metrics"));
    let line: Value = serde_json::from_str(line.expect("a warning")).expect("JSON");
    assert_eq!((&line["level"], &line["kind"]), (&"WARN".into(), &"denied".into()), "{line}");
    let error = line["error"].as_str().unwrap_or_default();
    assert!(error.starts_with("SignatureDoesNotMatch"), "{line}");
    assert!(log.contains("metrics that nobody has taken"), "{log}");
    assert!(!log.contains(secret), "a secret in the log");
    assert_eq!(task.exit_code().await, Some(0));
    assert!(cloudwatch.observer().metrics().data().is_empty());
}

#[actix_web::test]
async fn waits_go_to_the_log_as_pure_lines_instead_when_asked_for() {
    let cloudwatch = Emulator::start(EmulatorConfig::default()).expect("a stand-in");
    let endpoint = cloudwatch.endpoint();
    let mut task = call_of(&[
        ("EMF", "on"),
        ("METRICS_SERVICE", "voice"),
        ("AWS_ENDPOINT_URL_CLOUDWATCH", endpoint.as_str()),
        ("NOVA_AWS_ACCESS_KEY_ID", voice_emulator::ACCESS_KEY_ID),
        ("NOVA_AWS_SECRET_ACCESS_KEY", voice_emulator::SECRET_ACCESS_KEY),
    ])
    .await;
    task.signal("TERM");
    task.ended().await;
    let log = task.log();
    let lines: Vec<Value> = log
        .lines()
        .filter(|line| line.contains("_aws"))
        .map(|line| serde_json::from_str(line).expect("pure JSON"))
        .collect();
    assert_eq!(lines.len(), 1, "{log}");
    let line = &lines[0];
    assert!(line.get("level").is_none() && line.get("message").is_none(), "no log line: {line}");
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!((&directive["Namespace"], &line["Service"]), (&"VoiceS2S".into(), &"voice".into()));
    assert!(line["TurnFirstAudio"].as_array().is_some_and(|waits| !waits.is_empty()), "{line}");
    let metrics = cloudwatch.observer().metrics();
    assert_eq!(sum(&metrics, "CallsStarted"), 1.0);
    assert!(metrics.of("TurnFirstAudio").is_empty(), "told once, not twice");
}
