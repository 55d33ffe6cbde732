//! Two tasks behind a load balancer, and a Redis: one task is killed, and its client goes on at
//! the other. HAProxy and Redis are the real ones, the tasks are processes of the program.
//!
//! Without `haproxy` and `redis-server` on the machine the test is skipped, unless
//! `OUTSIDE=required` says that it has to run; `tests/run` installs both and says so.

use std::time::Duration;

use redis::AsyncCommands;
use serde_json::{Value, json};

use crate::support::{
    Caller, DEADLINE, Task,
    outside::{free_port, listening, run, start_redis, tools},
};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Connects through the load balancer, which may still believe in a dead task.
async fn connect(url: &str) -> Caller {
    let connected = tokio::time::timeout(DEADLINE, async {
        loop {
            match Caller::try_connect(url).await {
                Ok(caller) => return caller,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    });
    connected.await.expect("a connection")
}

#[actix_web::test]
async fn a_client_of_a_killed_task_goes_on_at_another_one() {
    let Some((haproxy, redis_server)) = tools() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let balancer = free_port();
    let (_redis, store) = start_redis(&redis_server).await;
    let settings = [("SESSION_STORE", &*store), ("SESSION_STORE_KEY", KEY)];
    let mut tasks = [Task::start(&settings).await, Task::start(&settings).await];
    let config = format!(
        "defaults\n mode http\n timeout connect 1s\n timeout client 60s\n timeout server 60s\n \
         timeout tunnel 1h\n retries 3\n option redispatch 1\n\
         frontend web\n bind 127.0.0.1:{balancer}\n default_backend tasks\n\
         backend tasks\n balance roundrobin\n option httpchk GET /health\n \
         server one 127.0.0.1:{} check inter 200ms fall 1 rise 1\n \
         server two 127.0.0.1:{} check inter 200ms fall 1 rise 1\n",
        tasks[0].port, tasks[1].port
    );
    let file = dir.path().join("haproxy.cfg");
    std::fs::write(&file, config).expect("a file");
    let _haproxy = run(&haproxy, &["-db", "-f", &file.display().to_string()]);
    listening(balancer).await;

    let url = |query: &str| format!("ws://127.0.0.1:{balancer}/sonic{query}");
    let mut caller = connect(&url("")).await;
    caller.configure(json!({})).await;
    caller.final_line("assistant").await;
    caller.type_text("What is my balance?").await;
    caller.final_line("assistant").await;
    caller.type_text("4021").await;
    caller.final_line("assistant").await;
    let connected = caller.messages("connected")[0].clone();
    let text = |key: &str| connected[key].as_str().expect(key).to_owned();
    let last_seq = caller.all_messages().filter_map(|m| m["seq"].as_u64()).max().expect("numbers");
    let back = format!(
        "?sessionId={}&resumeToken={}&lastSeq={last_seq}&heardBytes={}",
        text("sessionId"),
        text("resumeToken"),
        caller.heard().len() * 2
    );

    // Nobody who reads the store learns what was said, nor how to come back.
    let client = redis::Client::open(store.as_str()).expect("a URL");
    let mut store = client.get_multiplexed_async_connection().await.expect("a connection");
    let keys: Vec<String> = store.keys("*").await.expect("keys");
    assert_eq!(keys.len(), 1, "{keys:?}");
    let state: Vec<u8> = store.get(&keys[0]).await.expect("a state");
    assert!(!state.windows(4).any(|bytes| bytes == b"4021"), "in clear text");
    assert!(!keys[0].contains(&text("resumeToken")));
    assert!(store.ttl::<_, i64>(&keys[0]).await.expect("a time") > 0, "it is kept for ever");

    let mut holder = usize::MAX;
    for (number, task) in tasks.iter().enumerate() {
        if task.metric("voice_s2s_active_calls").await == 1 {
            holder = number;
        }
    }
    tasks[holder].kill().await;
    caller.closed().await;

    let mut caller = connect(&url(&back)).await;
    assert_eq!(caller.message("connected").await["resumed"], true);
    caller.type_text("1188").await;
    let is_balance =
        |m: &Value| m["type"] == "tool_result" && m["toolName"] == "get_account_balance";
    let result = caller.until("the balance", is_balance).await;
    assert!(result["toolResult"]["error"].is_null(), "{result}");
    caller.final_line("assistant").await;
    assert!(caller.messages("session_start").is_empty(), "the chat is not cleared");

    let mut thief = connect(&url(&back)).await;
    thief.error("resume_failed").await;
    thief.hang_up().await;
    caller.hang_up().await;
    let none = tokio::time::timeout(DEADLINE, async {
        while !store.keys::<_, Vec<String>>("*").await.expect("keys").is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    none.await.expect("nothing is kept of a call that ended");
}
