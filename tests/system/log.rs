//! The log of the process: what becomes of a call when nobody takes it.

use std::time::Duration;

use crate::support::{Caller, DEADLINE, Task, speech};

#[actix_web::test]
async fn a_log_that_nobody_takes_is_not_felt_in_a_call() {
    // One worker: were it to wait for the log, nothing would be answered any more.
    let settings = [("WORKERS", "1"), ("RUST_LOG", "trace")];
    let task = Task::start_untaken(&settings).await;
    let mut caller = Caller::connect(&task.sonic("")).await;
    caller.configure(serde_json::json!({})).await;
    caller.final_line("assistant").await;
    let flood = async {
        while task.metric("voice_s2s_log_lines_lost_total").await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, flood).await.expect("the pipe and the queue are full");
    caller.speak(&speech::say("I have another question for you.")).await;
    caller.final_line("assistant").await;
    caller.type_text("What are your opening hours?").await;
    caller.final_line("assistant").await;
    caller.hang_up().await;
    task.signal("TERM");
    assert_eq!(task.exit_code().await, Some(0), "nor does it hold up the end");
}
