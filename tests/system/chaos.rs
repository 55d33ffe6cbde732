//! Many short calls at once, with faults by chance at both ends: whatever happens, nothing is left
//! behind, and every call has a cause of end.

use std::{alloc::System, time::Duration};

use futures::future::join_all;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio_tungstenite::tungstenite::Message;
use voice_actors::Clock;
use voice_emulator::{Chaos, Clocks, RecordLimits};

use crate::support::{Bench, Caller, Dice, House, Seen, TRANSFER, puppet, speech};

/// How much faster than real time the calls pass.
const RATE: f64 = 5.0;
const CALLERS: u64 = 200;

async fn bench() -> Bench {
    let story = "Once upon a time there was a river. It wanted to see the mountains from above.";
    let script = puppet(&format!(
        r#"{{ "when": {{ "text": "a story" }}, "do": [{{ "say": "{story}" }}] }},
        {{ "when": {{ "any": true }}, "do": [{{ "say": "I see." }}] }}"#
    ));
    House::new(&[TRANSFER])
        .bench(&script, |config, emulator| {
            config.workers = 2;
            config.engine.clock = Clock::scaled(RATE);
            config.engine.answer_deadline = Duration::from_secs(12);
            config.engine.stall_limit = Duration::from_secs(1);
            config.sonic_open_deadline = Duration::from_secs(2);
            emulator.clocks = Clocks { scale: RATE, ..Clocks::default() };
            emulator.chaos = Some(Chaos { seed: 42, percent: 40 });
            emulator.record = RecordLimits::nothing();
        })
        .await
}

/// Reads on for a while, or until the assistant has said something whole; `false` when the call
/// is over.
async fn listen(caller: &mut Caller) -> bool {
    let heard = tokio::time::timeout(Duration::from_secs(1), async {
        loop {
            match caller.next().await {
                Seen::Closed(..) => return false,
                Seen::Message(m) if m["role"] == "assistant" && m["isFinal"] == true => {
                    return true;
                }
                _ => {}
            }
        }
    });
    heard.await.unwrap_or(true)
}

/// One call of a caller who does this and that and leaves in one way or another.
async fn call(bench: &Bench, mut dice: Dice, sentence: &[i16]) {
    let mut caller = Caller::connect(&bench.sonic("")).await;
    caller.configure(json!({})).await;
    let line = caller.open_line(RATE);
    for _ in 0..=dice.roll(2) {
        match dice.roll(5) {
            0 => caller.type_text("a story").await,
            1 => caller.type_text("Good morning.").await,
            2 => {
                // Talks over whatever is said.
                caller.type_text("a story").await;
                line.say(&sentence[..sentence.len() / 2]).await;
            }
            3 => caller.configure(json!({"voiceId": "amy"})).await,
            _ => line.say(sentence).await,
        }
        if !listen(&mut caller).await {
            break;
        }
    }
    line.close();
    match dice.roll(5) {
        0 => caller.vanish(),
        1 => {
            // Breaks off within a message.
            caller.send_raw(Message::binary(vec![1_u8; 63])).await;
            caller.vanish();
        }
        2 => {
            // More than is put up with.
            for _ in 0..1_500 {
                caller.send_raw(Message::text("{nonsense")).await;
            }
            caller.closed().await;
        }
        _ => caller.hang_up().await,
    }
}

/// Counts what is allocated and not freed, in the process of this test.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are in use now.
fn in_use() -> i64 {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated as i64 - stats.bytes_deallocated as i64
}

/// Set where the test runs as its own child, alone in its process.
const ALONE: &str = "CHAOS_ALONE";

#[actix_web::test]
async fn two_hundred_calls_with_faults_by_chance_leave_nothing_behind() {
    let _alone = crate::support::heavy().await;
    if std::env::var_os(ALONE).is_none() {
        return alone().await;
    }
    let bench = bench().await;
    let sentence = speech::samples("Good morning, I would like to know how this works.");
    let mut memory = Vec::new();
    // The first round warms everything up.
    for (round, callers) in [(0, 40), (1, CALLERS)] {
        join_all(
            (0..callers)
                .map(|caller| call(&bench, Dice::of(round * 1_000_003 + caller), &sentence)),
        )
        .await;
        bench.is_clean().await;
        memory.push(in_use());
    }
    let meters = bench.meters();
    assert_eq!(meters.calls_started.get(), 40 + CALLERS);
    assert!(meters.stream_restarts.get() > CALLERS / 10, "there was no chaos");
    println!(
        "{} restarts, {} renewals; KB in use after each round: {:?}",
        meters.stream_restarts.get(),
        meters.stream_renewals.get(),
        memory.iter().map(|bytes| bytes >> 10).collect::<Vec<_>>(),
    );
    // A call that leaves 32 KB behind, a second of its audio, is found.
    assert!(memory[1] < memory[0] + 200 * 32_000, "memory grows: {memory:?}");
    bench.finish().await;
}

/// Runs this test once more in a process of its own, where nobody else allocates.
async fn alone() {
    let this = std::env::current_exe().expect("the path of this program");
    let name = "chaos::two_hundred_calls_with_faults_by_chance_leave_nothing_behind";
    let output = tokio::process::Command::new(this)
        .args([name, "--exact", "--nocapture"])
        .env(ALONE, "1")
        .kill_on_drop(true)
        .output()
        .await
        .expect("this program starts");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{errors}");
}
