//! Fifty callers at once.

use futures::future::join_all;
use voice_call::meters::Queue;

use crate::support::{Bench, eventually};

#[actix_web::test]
async fn fifty_calls_at_once_are_all_answered_and_leave_nothing() {
    let bench = Bench::with(|config, _| config.workers = 2).await;
    let calls = (0..50).map(|_| async {
        let mut caller = bench.greeted().await;
        caller.type_text("What are your opening hours?").await;
        caller.final_line("user").await;
        caller.final_line("assistant").await;
        assert!(!caller.heard().is_empty(), "the answer was spoken");
        caller
    });
    let callers = join_all(calls).await;
    assert_eq!(bench.server.registry().active(), 50);
    assert_eq!(bench.meters().open_streams.get(), 50);
    join_all(callers.into_iter().map(|caller| caller.hang_up())).await;
    eventually("fifty ends", || bench.ended("hung_up") == 50).await;
    assert_eq!(bench.meters().stream_restarts.get(), 0);
    for queue in [Queue::FromSocket, Queue::CallerAudio, Queue::AssistantAudio, Queue::Playout] {
        assert_eq!(bench.meters().drops(queue).get(), 0, "{queue:?}");
    }
    bench.finish().await;
}
