//! What the tests stand on: a bench with the real server, and callers who speak and type.

pub(crate) mod balancer;
pub(crate) mod bench;
pub(crate) mod caller;
pub(crate) mod collector;
pub(crate) mod contact;
pub(crate) mod dice;
pub(crate) mod fault_proxy;
pub(crate) mod flow;
pub(crate) mod functions;
pub(crate) mod house;
pub(crate) mod langfuse;
pub(crate) mod line;
pub(crate) mod outside;
pub(crate) mod phone;
pub(crate) mod publisher;
pub(crate) mod runtime_api;
pub(crate) mod speech;
pub(crate) mod store;
pub(crate) mod task;

pub(crate) use bench::Bench;
pub(crate) use caller::{Caller, Seen};
pub(crate) use dice::Dice;
pub(crate) use fault_proxy::{FaultProxy, Weather};
pub(crate) use house::{House, TRANSFER, puppet};
pub(crate) use phone::Phone;
pub(crate) use task::Task;

use std::time::Duration;

/// No wait of a test is longer. It is a limit for the broken case, never a measure of speed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `holds`, and says what did not come about.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(DEADLINE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "did not come about: {what}");
}

/// Tests that need a core for themselves do not run beside each other.
static HEAVY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Waits until no other heavy test runs. Held to the end of the test.
pub(crate) async fn heavy() -> tokio::sync::MutexGuard<'static, ()> {
    HEAVY.lock().await
}
