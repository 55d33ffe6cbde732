//! The protection of an ECS task: on with the first call, renewed, off with the last; whatever the
//! agent does, no call notices. If somebody else ends it, the task takes no new calls.
//!
//! The agent is the stand-in's, over HTTP on loopback; what takes minutes takes a fraction here.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use voice_call::meters::ReasonLabel;
use voice_emulator::{AgentFault, AgentRequest, Emulator, EmulatorConfig, TaskAgent};
use voice_s2s::config::ProtectionSettings;

use crate::support::{Bench, Caller, DEADLINE, Task, eventually};

const ON: &str = r#"{"ProtectionEnabled":true,"ExpiresInMinutes":60}"#;
const OFF: &str = r#"{"ProtectionEnabled":false}"#;

/// How often protection is renewed here.
const RENEWAL: Duration = Duration::from_millis(200);

/// A host with an agent.
fn host() -> Emulator {
    Emulator::start(EmulatorConfig::default()).expect("the stand-in")
}

/// A server whose task is protected by the agent at this address.
async fn bench(agent: &str) -> Bench {
    let mut protection = ProtectionSettings::of(agent).expect("an address");
    protection.times.renew = RENEWAL;
    protection.times.first_pause = Duration::from_millis(20);
    protection.times.longest_pause = Duration::from_millis(100);
    Bench::with(|config, _| config.operations.protection = Some(protection)).await
}

async fn asked(agent: &TaskAgent, what: &str, reached: impl FnMut(&[AgentRequest]) -> bool) {
    let reached = agent.wait_for(reached, DEADLINE).await;
    assert!(reached, "did not come about: {what}: {:?}", agent.requests());
}

fn outcomes(bench: &Bench, reason: &'static str) -> u64 {
    bench.meters().task_protection.get_or_create(&ReasonLabel { reason }).get()
}

#[actix_web::test]
async fn a_task_is_protected_from_its_first_call_to_its_last() {
    let host = host();
    let agent = host.agent();
    let bench = bench(&host.agent_uri()).await;
    assert!(agent.requests().is_empty(), "an idle task asks for nothing");
    let first = bench.greeted().await;
    asked(agent, "protection", |requests| !requests.is_empty()).await;
    eventually("the gauge", || bench.meters().task_protected.get() == 1).await;
    assert!(agent.is_protected());
    let second = bench.greeted().await;
    asked(agent, "two renewals", |requests| requests.len() >= 5).await;
    first.hang_up().await;
    assert!(agent.is_protected(), "one is still talking");
    second.hang_up().await;
    asked(agent, "the end", |requests| requests.last().is_some_and(|last| last.body == OFF)).await;
    eventually("the gauge", || bench.meters().task_protected.get() == 0).await;
    assert!(!agent.is_protected());
    let requests = agent.requests();
    let (last, rest) = requests.split_last().expect("requests");
    assert_eq!((last.method.as_str(), last.body.as_str()), ("PUT", OFF));
    let said: Vec<&str> = rest.iter().map(|request| request.body.as_str()).collect();
    // On; then, each time, a look and the renewal. The last look may have been overtaken.
    for (number, body) in said.iter().enumerate() {
        assert_eq!(*body, if number % 2 == 0 { ON } else { "" }, "{said:?}");
    }
    assert!(requests.iter().all(|request| request.status == 200));
    bench.finish().await;
}

#[actix_web::test]
async fn whatever_the_agent_answers_no_call_notices_and_it_is_tried_again() {
    let host = host();
    let agent = host.agent();
    let faults = [
        AgentFault::Refuse("DEPLOYMENT_BLOCKED"),
        AgentFault::Refuse("TASK_NOT_VALID"),
        AgentFault::NoRole,
        AgentFault::Ecs(400, "ThrottlingException", "Rate exceeded"),
        AgentFault::UnknownTask,
        AgentFault::Broken,
        AgentFault::TimedOut,
    ];
    let count = faults.len();
    agent.fail_next(faults);
    let bench = bench(&host.agent_uri()).await;
    let mut caller = bench.greeted().await;
    asked(agent, "another try after each", |requests| requests.len() > count).await;
    eventually("protection", || bench.meters().task_protected.get() == 1).await;
    assert_eq!((outcomes(&bench, "refused"), outcomes(&bench, "error")), (2, 5));
    caller.type_text("What are your opening hours?").await;
    caller.final_line("assistant").await;
    assert!(caller.messages("error").is_empty());
    assert!(!bench.server.registry().is_draining());
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_dead_agent_and_a_slow_one_are_never_felt() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}/api/x", nobody.local_addr().expect("an address"));
    drop(nobody);
    let slow = host();
    slow.agent().fail_always(Some(AgentFault::Late(Duration::from_secs(3_600))));
    for agent in [address, slow.agent_uri()] {
        let bench = bench(&agent).await;
        let begin = Instant::now();
        let mut caller = bench.greeted().await;
        caller.type_text("What are your opening hours?").await;
        caller.final_line("assistant").await;
        println!("a call with {agent}: {:?} to the first answer", begin.elapsed());
        assert_eq!(bench.meters().task_protected.get(), 0);
        caller.hang_up().await;
        let begin = Instant::now();
        bench.finish().await;
        assert!(begin.elapsed() < Duration::from_secs(5), "the end waits for nobody");
    }
    assert_eq!(slow.agent().requests().len(), 1, "one request at a time");
}

#[actix_web::test]
async fn protection_that_is_withdrawn_drains_the_task() {
    let host = host();
    let agent = host.agent();
    let bench = bench(&host.agent_uri()).await;
    let mut caller = bench.greeted().await;
    // Not between a look and the renewal that follows it.
    let before = agent.requests().len();
    let renewed =
        |requests: &[AgentRequest]| requests[before..].last().is_some_and(|last| last.body == ON);
    asked(agent, "a renewal", renewed).await;
    // As whoever deploys does, before ECS replaces the task.
    agent.withdraw();
    assert!(caller.message("draining").await["deadlineMs"].is_null());
    let asked_by_then = agent.requests();
    assert_eq!(asked_by_then.last().map(|last| last.method.as_str()), Some("GET"));
    assert_eq!(Caller::refusal(&bench.sonic("")).await.0, 503);
    let (status, _, body) = crate::pages::get(&bench, "/ready").await;
    let ready: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((status, &ready["drain"]["cause"]), (503, &json!("protection_withdrawn")));
    // The call goes on, to its own end; then the process wants to end as well.
    caller.type_text("What are your opening hours?").await;
    caller.final_line("assistant").await;
    caller.hang_up().await;
    let exit = tokio::time::timeout(DEADLINE, bench.server.registry().exit_wanted()).await;
    assert!(exit.is_ok(), "an empty task waits for nobody");
    assert_eq!(agent.requests(), asked_by_then, "nothing is asked for any more");
    bench.finish().await;
}

#[actix_web::test]
async fn a_real_process_ends_by_itself_when_its_protection_is_withdrawn() {
    let host = host();
    let uri = host.agent_uri();
    let settings = [("WORKERS", "1"), ("ECS_AGENT_URI", &*uri), ("TASK_PROTECTION_RENEWAL", "0.2")];
    let task = Task::start(&settings).await;
    let mut caller = Caller::connect(&task.sonic("")).await;
    caller.message("session_start").await;
    asked(host.agent(), "protection", |requests| !requests.is_empty()).await;
    host.agent().withdraw();
    caller.message("draining").await;
    caller.hang_up().await;
    assert_eq!(task.exit_code().await, Some(0));
}
