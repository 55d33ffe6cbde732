//! Fuzzes a session: any bytes from the service between any calls of the engine.
//!
//! The input is a list of records parted by a zero byte. The first byte of a record chooses the
//! call, the rest is its argument; everything that is no call is a payload of the service. What
//! the session sends is checked by the order rules of the tests.
//!
//! ```text
//! cd crates/sonic
//! RUSTC_BOOTSTRAP=1 cargo fuzz run session
//! ```
//! The golden traces make a good corpus: copy `tests/traces/*.jsonl` to `fuzz/corpus/session`.

#![no_main]

#[path = "../../tests/sonic/order_checker.rs"]
mod order_checker;

use libfuzzer_sys::fuzz_target;
use order_checker::OrderChecker;
use voice_call::{AudioChunk, SampleRate};
use voice_sonic::{Session, SessionEvent, SessionSettings, Transmit};

fuzz_target!(|data: &[u8]| {
    let mut session = Session::new(SessionSettings {
        greeting: Some("hi".to_owned()),
        ..SessionSettings::default()
    });
    let mut order = OrderChecker::default();
    // A trace is text: its lines are records as well.
    for record in data.split(|byte| matches!(byte, 0 | b'\n')) {
        let Some((call, argument)) = record.split_first() else { continue };
        let text = String::from_utf8_lossy(argument);
        match call {
            b'o' => session.stream_opened(),
            b'a' => {
                let ms = u32::from(argument.first().copied().unwrap_or(32));
                let _ = session.push_audio(&AudioChunk::silence(SampleRate::Hz16000, ms));
            }
            b't' => drop(session.push_text(&text)),
            b'r' => {
                let open = session.open_tool_calls().next().map(str::to_owned);
                let id = open.unwrap_or_default();
                let _ = session.push_tool_result(&id, &serde_json::Value::String(text.into()));
            }
            b'g' => session.cancel_greeting(),
            b'i' => session.declare_interruption(),
            b'f' => session.finish(),
            b'p' => {
                if let Some(transmit) = session.poll_transmit() {
                    order.check(&transmit);
                }
            }
            _ => session.receive(record),
        }
        while let Some(event) = session.poll_event() {
            match event {
                SessionEvent::ToolCall { tool_use_id, .. } => order.tool_calls.push(tool_use_id),
                SessionEvent::Malformed { reason } => assert!(!reason.contains("withheld")),
                _ => {}
            }
        }
    }
    session.finish();
    let mut last = None;
    while let Some(transmit) = session.poll_transmit() {
        order.check(&transmit);
        last = Some(transmit);
    }
    assert!(last.is_none_or(|last| last == Transmit::Close));
});
