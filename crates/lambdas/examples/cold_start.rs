//! How long the functions take from the start of their process until they ask for an event, and for
//! the first answer: medians, with Lambda's runtime and the bridge as the tests have them.
//!
//!     cargo build --profile lambda --package voice-lambdas --bins
//!     cargo run --package voice-lambdas --example cold_start -- [FOLDER]
//!
//! FOLDER is where the functions are, and `target/lambda` unless told otherwise. No test: it
//! measures, and prints.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a tool for whoever looks at it")]

#[path = "../tests/functions/bridge.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod bridge;
#[path = "../../../tests/system/support/runtime_api.rs"]
mod runtime_api;

use std::{path::PathBuf, time::Instant};

use serde_json::json;

use bridge::{Bridge, Reaction};
use runtime_api::Function;

/// With it requests are signed, as in earnest.
const KEY: &str = "a key of the bridge";
/// Starts of each function; the median is one of them.
const STARTS: usize = 21;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "target/lambda".into()));
    let event = json!({"Details": {"ContactData": {"ContactId": "c-1",
        "MediaStreams": {"Customer": {"Audio": {"StreamARN": "arn:aws:kinesisvideo:x"}}}},
        "Parameters": {"sessionId": "connect-c-1"}}});
    for name in ["start-bot-session", "process-bot-turn"] {
        let bridge = Bridge::start(std::iter::repeat_n(Reaction::Greet, STARTS)).await;
        let (url, mut starts, mut firsts) = (bridge.url(), Vec::new(), Vec::new());
        for _ in 0..STARTS {
            let variables = [("BRIDGE_URL", url.as_str()), ("BRIDGE_KEY", KEY)];
            let function = Function::start(&folder.join(name), &variables).await;
            starts.push(function.cold_start().await);
            let began = Instant::now();
            function.invoke(&event).await.expect("an answer");
            firsts.push(began.elapsed());
        }
        starts.sort_unstable();
        firsts.sort_unstable();
        let (start, first) = (starts[STARTS / 2], firsts[STARTS / 2]);
        println!("{name}: start {start:?}, first answer {first:?} (medians of {STARTS})");
    }
}
