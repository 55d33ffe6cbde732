//! Many short calls at once, with faults by chance at both ends: whatever happens, nothing is left
//! behind, and every call has a cause of end.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use voice_actors::Clock;
use voice_emulator::{Chaos, Clocks, RecordLimits};

use crate::support::{Bench, Caller, House, Seen, TRANSFER, puppet, speech};

/// How much faster than real time the calls pass.
const RATE: f64 = 10.0;
const CALLERS: u64 = 200;

/// Chance, the same in every run (the generator of Knuth's MMIX).
struct Dice(u64);

impl Dice {
    fn of(round: u64, caller: u64) -> Self {
        let mut dice = Self(round.wrapping_mul(1_000_003).wrapping_add(caller));
        dice.roll(2);
        dice
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

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
    let heard = tokio::time::timeout(Duration::from_secs(2), async {
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
    for _ in 0..=dice.roll(3) {
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
            for _ in 0..100 {
                caller.send_raw(Message::text("{nonsense")).await;
            }
            caller.closed().await;
        }
        _ => caller.hang_up().await,
    }
}

/// Bytes of memory that the process has now.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4_096
}

#[actix_web::test]
async fn two_hundred_calls_with_faults_by_chance_leave_nothing_behind() {
    let bench = bench().await;
    let pcm = speech::say("Good morning, I would like to know how this works.");
    let sentence: Vec<i16> =
        pcm.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]])).collect();
    let mut memory = Vec::new();
    for round in 0..3 {
        join_all((0..CALLERS).map(|caller| call(&bench, Dice::of(round, caller), &sentence))).await;
        bench.is_clean().await;
        memory.push(resident());
    }
    let meters = bench.meters();
    assert_eq!(meters.calls_started.get(), 3 * CALLERS);
    assert!(meters.stream_restarts.get() > CALLERS / 10, "there was no chaos");
    println!(
        "{} restarts, {} renewals; resident MB after each round: {:?}",
        meters.stream_restarts.get(),
        meters.stream_renewals.get(),
        memory.iter().map(|bytes| bytes >> 20).collect::<Vec<_>>(),
    );
    // The first round warms everything up.
    assert!(memory[2] < memory[0] + (32 << 20), "memory grows: {memory:?}");
    bench.finish().await;
}
