//! A process is taken out of service: by an operator, with and without a deadline, and by a signal
//! that comes on top. Those who talk go on, nobody new is let in, and what can be undone is.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use voice_s2s::store::{MemoryShelf, Shelf, StoreConfig};

use crate::support::{Bench, Caller, Task, eventually};

/// One request to `/api/drain`: status and answer.
async fn ask(port: u16, method: &str, body: &str) -> (u16, Value) {
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    let request = format!(
        "{method} /api/drain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    tcp.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).expect("JSON"))
}

/// An operator drains a process.
pub(crate) async fn drain(port: u16, order: Value) -> Value {
    let (status, state) = ask(port, "POST", &order.to_string()).await;
    assert_eq!(status, 202, "{state}");
    state
}

fn port(bench: &Bench) -> u16 {
    bench.server.addr().port()
}

async fn ready(bench: &Bench) -> (u16, Value) {
    let (status, _, body) = crate::pages::get(bench, "/ready").await;
    (status, serde_json::from_str(&body).expect("JSON"))
}

#[actix_web::test]
async fn an_operators_drain_lets_calls_go_on_and_can_be_taken_back() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    let (status, state) = ask(port(&bench), "GET", "").await;
    assert_eq!((status, &state["state"], &state["since"]), (200, &json!("open"), &Value::Null));

    let state = drain(port(&bench), json!({})).await;
    assert_eq!((&state["state"], &state["cause"]), (&json!("draining"), &json!("operator")));
    assert_eq!((&state["leaveBy"], &state["activeCalls"]), (&Value::Null, &json!(1)));
    assert!(caller.message("draining").await["deadlineMs"].is_null(), "nobody has to leave");
    let (status, body) = Caller::refusal(&bench.sonic("")).await;
    assert_eq!((status, body["error"]["code"].as_str()), (503, Some("draining")));
    let (status, told) = ready(&bench).await;
    assert_eq!((status, &told["reasons"]), (503, &json!(["draining"])));
    assert_eq!(
        (&told["drain"]["cause"], &told["drain"]["since"]),
        (&json!("operator"), &state["since"])
    );
    assert_eq!(crate::pages::get(&bench, "/health").await.0, 200);
    // The call notices nothing.
    caller.type_text("What are your opening hours?").await;
    caller.final_line("assistant").await;

    let (status, state) = ask(port(&bench), "DELETE", "").await;
    assert_eq!((status, &state["state"]), (200, &json!("open")));
    caller.message("drainCancelled").await;
    assert_eq!(ready(&bench).await.0, 200);
    let other = bench.greeted().await;
    let (status, error) = ask(port(&bench), "DELETE", "").await;
    assert_eq!((status, error["error"]["code"].as_str()), (409, Some("not_draining")));
    other.hang_up().await;
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_deadline_sends_calls_away_in_good_time() {
    let bench = Bench::with(|config, _| {
        config.engine.drain_patience = Duration::from_millis(500);
        config.engine.end_deadline = Duration::from_millis(500);
    })
    .await;
    let mut caller = bench.greeted().await;
    let begin = std::time::Instant::now();
    drain(port(&bench), json!({"leaveWithinSeconds": 3})).await;
    let told = caller.message("draining").await["deadlineMs"].as_u64().expect("a deadline");
    assert!((2_500..=3_000).contains(&told), "{told} ms");
    // A call that is quiet goes as soon as it is asked to.
    let asked = caller.message("draining").await["deadlineMs"].as_u64().expect("a deadline");
    assert!((300..=500).contains(&asked), "{asked} ms");
    assert!(begin.elapsed() >= Duration::from_millis(1_900), "{:?}", begin.elapsed());
    assert_eq!(caller.closed().await.0, 1012);
    eventually("the end", || bench.server.registry().active() == 0).await;
    let (_, state) = ask(port(&bench), "GET", "").await;
    assert_eq!(state["state"], "done");
    // The process is empty and waits for its operator.
    assert_eq!(ask(port(&bench), "DELETE", "").await.0, 200);
    bench.greeted().await.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn what_an_operator_cannot_mean_is_refused_and_changes_nothing() {
    let bench = Bench::start().await;
    for body in ["now", r#"{"leaveWithinSeconds": -1}"#, r#"{"deadline": 5}"#] {
        let (status, error) = ask(port(&bench), "POST", body).await;
        assert_eq!((status, error["error"]["code"].as_str()), (400, Some("bad_order")), "{body}");
    }
    assert_eq!(ask(port(&bench), "PUT", "").await.0, 405);
    assert_eq!(ready(&bench).await.0, 200);
    bench.finish().await;
}

/// A task that is drained must not take over a call: the token is good once, and would be lost.
#[actix_web::test]
async fn a_call_that_comes_to_a_drained_task_can_still_go_to_another_one() {
    let store = StoreConfig { shelf: Shelf::Memory(MemoryShelf::default()), key: [7; 32] };
    let task = || Bench::with(|config, _| config.store = store.clone());
    let (first, second, third) = (task().await, task().await, task().await);
    let caller = first.greeted().await;
    let connected = caller.messages("connected")[0].clone();
    let text = |key: &str| connected[key].as_str().expect(key).to_owned();
    let back = format!("?sessionId={}&resumeToken={}", text("sessionId"), text("resumeToken"));
    first.server.registry().drain(Duration::from_secs(5)).await;
    drain(port(&second), json!({})).await;
    let (status, _) = Caller::refusal(&second.sonic(&back)).await;
    assert_eq!(status, 503);
    let mut caller = Caller::connect(&third.sonic(&back)).await;
    assert_eq!(caller.message("connected").await["resumed"], true);
    caller.hang_up().await;
    for bench in [first, second, third] {
        bench.finish().await;
    }
}

#[actix_web::test]
async fn a_process_that_is_drained_with_exit_ends_when_its_last_call_has() {
    let task = Task::start(&[("WORKERS", "1")]).await;
    let mut caller = Caller::connect(&task.sonic("")).await;
    caller.message("session_start").await;
    let state = drain(task.port, json!({"exit": true})).await;
    assert_eq!((&state["state"], &state["exit"]), (&json!("draining"), &json!(true)));
    caller.final_line("assistant").await;
    caller.hang_up().await;
    assert_eq!(task.exit_code().await, Some(0));
}

#[actix_web::test]
async fn a_signal_ends_what_an_operator_has_begun() {
    let task = Task::start(&[("WORKERS", "1")]).await;
    let mut caller = Caller::connect(&task.sonic("")).await;
    caller.message("session_start").await;
    drain(task.port, json!({})).await;
    caller.message("draining").await;
    task.signal("TERM");
    assert!(caller.message("draining").await["deadlineMs"].is_u64());
    assert_eq!(caller.closed().await.0, 1012, "{}", caller.story());
    assert_eq!(task.exit_code().await, Some(0));
}

/// Whoever does not want to wait sends the signal again.
#[actix_web::test]
async fn a_second_signal_forces() {
    let task = Task::start(&[("WORKERS", "1"), ("DRAIN_PATIENCE", "60")]).await;
    let mut caller = Caller::connect(&task.sonic("")).await;
    caller.message("session_start").await;
    // Something to say, for longer than anybody waits.
    caller.final_line("assistant").await;
    caller.type_text("What are your opening hours?").await;
    caller.audio().await;
    task.signal("TERM");
    caller.message("draining").await;
    task.signal("TERM");
    assert_eq!(task.exit_code().await, Some(1));
}
