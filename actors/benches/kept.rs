//! What it costs to keep one minute of a call: the journal, and the recording.
//!
//! `cargo bench -p voice-actors --bench kept`. A call takes about 150 ms of CPU a minute when there
//! are fifty of them; three per cent of that are 4.5 ms.

#![expect(clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::json;
use voice_actors::client::mixer::Mixer;
use voice_archive::{
    document::SessionLog,
    entry::{Began, Entry, Event, Line, Speaker, Tokens, Turn},
    price::Prices,
    redact::Redactor,
};

/// A lively minute: six questions, answers that grow by sentences, two tools.
fn minute() -> Vec<Event> {
    let line = |id: String, role, text: &str, is_final| {
        let text = text.to_owned();
        Event::Line(Line { id, role, text, is_final, interrupted: false, heard: None })
    };
    let mut events = Vec::new();
    for turn in 0..6 {
        let question = "I would like to know what became of the payment of last Tuesday, please";
        events.push(line(format!("1.{turn}0"), Speaker::User, question, true));
        let mut answer = String::new();
        for sentence in ["One moment, please.", "I have found it.", "It was booked at noon."] {
            answer.push_str(sentence);
            events.push(line(format!("1.{turn}1"), Speaker::Assistant, &answer, false));
        }
        events.push(line(format!("1.{turn}1"), Speaker::Assistant, &answer, true));
        events.push(Event::Turn(Turn { first_audio_ms: Some(600), ..Turn::default() }));
        events.push(Event::Usage(Tokens { input_speech: turn * 300, ..Tokens::default() }));
    }
    for id in ["a", "b"] {
        let input = json!({"accountId": "4021", "limit": 5});
        events.push(Event::ToolCalled { id: id.into(), name: "transactions".into(), input });
        let result = json!({"transactions": [{"amount": -12.5, "to": "Cloudgate"}, {"amount": 3}]});
        events.push(Event::ToolAnswered { id: id.into(), result, outcome: "ok".into() });
    }
    events
}

fn journal(criterion: &mut Criterion) {
    let redactor = Redactor::default();
    let events = minute();
    criterion.bench_function("journal of a call-minute: clean and write", |bench| {
        bench.iter(|| {
            let mut bytes = Vec::with_capacity(32 * 1024);
            for event in &events {
                let mut entry = Entry::now(event.clone());
                voice_archive::clean(&redactor, &mut entry.event);
                serde_json::to_writer(&mut bytes, &entry).expect("it is JSON");
            }
            black_box(bytes)
        });
    });
    let began = Event::Began(Box::new(Began { session_id: "x".into(), ..Began::default() }));
    let hour: Vec<Entry> = std::iter::once(began)
        .chain((0..60).flat_map(|_| minute()))
        .map(|event| Entry { at: 1_764_194_210_000, event })
        .collect();
    criterion.bench_function("session log of an hour", |bench| {
        bench.iter(|| {
            let (_, log) = SessionLog::of(&hour, &Prices::default(), &redactor).expect("a log");
            black_box(serde_json::to_vec(&log).expect("it is JSON"))
        });
    });
}

fn recording(criterion: &mut Criterion) {
    let (caller, assistant): (Vec<i16>, Vec<i16>) =
        ((0..512).map(|n| n * 31).collect(), (0..960).map(|n| n * 17).collect());
    for rate in [8_000, 16_000] {
        let name = format!("recording of a call-minute at {rate} Hz: mix");
        criterion.bench_function(&name, |bench| {
            bench.iter(|| {
                let start = Instant::now();
                let mut mixer = Mixer::new(rate, start);
                let mut bytes = 0;
                for tenth in 1..=600_u64 {
                    let now = start + Duration::from_millis(tenth * 100);
                    for _ in 0..3 {
                        mixer.caller(&caller, now);
                    }
                    // The assistant has the word for two fifths of the time.
                    let frames = if tenth % 50 < 20 { 2 } else { 0 };
                    for frame in 0..frames {
                        mixer.assistant(&assistant, now + Duration::from_millis(frame * 40));
                    }
                    bytes += mixer.take(now).len();
                }
                black_box(bytes)
            });
        });
    }
}

criterion_group!(benches, journal, recording);
criterion_main!(benches);
