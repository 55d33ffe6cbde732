//! The hot paths of a call through its machines, once each time they are called: what `hot` times
//! and `instructions` counts.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::json;
use voice_actors::client::{
    limits::AudioLimit,
    playout::Playout,
    replay::Replay,
    tail::{Tail, TailLimits},
};
use voice_archive::{
    entry::{Entry, Event, Line, Speaker},
    redact::Redactor,
};
use voice_audio::{Resampler, g711};
use voice_call::{AudioChunk, Epoch, SampleRate};
use voice_sonic::{
    Session, SessionEvent, SessionSettings, Transmit, input::AudioEncoder, output::parse,
};
use voice_wire::{Frame, ServerMessage, server::Role};

/// 32 ms of audio, as long as a frame on the wire.
const PERIOD: Duration = Duration::from_millis(32);

/// One path: its name, and what makes it ready to run.
pub(crate) type Path = (&'static str, fn() -> Box<dyn FnMut()>);

/// All of them.
pub(crate) const ALL: &[Path] = &[
    ("audio frame in", frame_in),
    ("audio frame out", frame_out),
    ("audioInput encode", audio_encode),
    ("audioOutput decode", audio_decode),
    ("textOutput decode", text_decode),
    ("base64 encode 1024", base64_encode),
    ("base64 decode 2048", base64_decode),
    ("playout", playout),
    ("mu-law 20 ms both ways", mu_law),
    ("resample 8 to 16 kHz 20 ms", resample_up),
    ("resample 24 to 8 kHz 20 ms", resample_down),
    ("journal entry", journal_entry),
    ("wire decode sessionConfig", wire_decode),
    ("wire encode transcript", wire_encode),
];

fn pcm(bytes: usize) -> Vec<u8> {
    (0..bytes / 2)
        .map(|n| ((n as f64 * 0.21).sin() * 150.0) as i16)
        .flat_map(i16::to_le_bytes)
        .collect()
}

fn live_session() -> Session {
    let mut session = Session::new(SessionSettings::default());
    session.stream_opened();
    while session.poll_transmit().is_some() {}
    while session.poll_event().is_some() {}
    session
}

/// From the bytes of the socket to the event for the service.
fn frame_in() -> Box<dyn FnMut()> {
    let bytes = Bytes::from(pcm(1024));
    let start = Instant::now();
    let mut now = start;
    let mut limit = AudioLimit::new(Duration::from_secs(35), start);
    let mut tail =
        Tail::new(TailLimits { window: Duration::from_secs(3), longest: Duration::from_secs(30) });
    tail.attach();
    let mut session = live_session();
    Box::new(move || {
        now += PERIOD;
        let Ok(Frame::Audio(chunk)) = Frame::from_binary(bytes.clone()) else { return };
        black_box(limit.judge(chunk.duration(), now));
        black_box(tail.push(chunk.clone()));
        black_box(session.push_audio(&chunk).is_ok());
        while let Some(Transmit::Event(event)) = session.poll_transmit() {
            black_box(event);
        }
    })
}

fn audio_output(bytes: usize) -> Bytes {
    let content = STANDARD.encode(pcm(bytes));
    Bytes::from(format!(
        r#"{{"event":{{"audioOutput":{{"completionId":"0b6f0f5e-6b35-4b5b-9f7e-5a3b9d3c1f00","content":"{content}","contentId":"9a7f0c56-1f6b-44a8-8d2e-6f5e4d3c2b1a","promptName":"4c1d2e3f-5a6b-4c7d-8e9f-0a1b2c3d4e5f","role":"ASSISTANT","sessionId":"d3b07384-d113-4ec5-a0c4-3f1f6c7d8e9a"}}}}}}"#
    ))
}

/// From the event of the service to the frame for the socket.
fn frame_out() -> Box<dyn FnMut()> {
    let event = audio_output(1536);
    let mut session = live_session();
    session.receive(
        br#"{"event":{"contentStart":{"completionId":"0b6f0f5e-6b35-4b5b-9f7e-5a3b9d3c1f00","contentId":"9a7f0c56-1f6b-44a8-8d2e-6f5e4d3c2b1a","promptName":"4c1d2e3f-5a6b-4c7d-8e9f-0a1b2c3d4e5f","role":"ASSISTANT","sessionId":"d3b07384-d113-4ec5-a0c4-3f1f6c7d8e9a","type":"AUDIO","audioOutputConfiguration":{"mediaType":"audio/lpcm","sampleRateHertz":24000}}}}"#,
    );
    let mut now = Instant::now();
    let mut playout = Playout::new(
        Duration::from_millis(200),
        Duration::from_millis(40),
        Duration::from_secs(300),
    );
    let mut replay = Replay::default();
    Box::new(move || {
        now += PERIOD;
        session.receive(&event);
        while let Some(event) = session.poll_event() {
            if let SessionEvent::Audio(chunk) = event {
                black_box(playout.push(Epoch::default(), chunk));
            }
        }
        while let Some(frame) = playout.release(now) {
            replay.audio(&frame);
            black_box(frame);
        }
        black_box(playout.next_release(now));
    })
}

fn audio_encode() -> Box<dyn FnMut()> {
    let encoder = AudioEncoder::new(
        "4c1d2e3f-5a6b-4c7d-8e9f-0a1b2c3d4e5f",
        "9a7f0c56-1f6b-44a8-8d2e-6f5e4d3c2b1a",
    );
    let pcm = pcm(1024);
    Box::new(move || drop(black_box(encoder.encode(&pcm))))
}

fn audio_decode() -> Box<dyn FnMut()> {
    let event = audio_output(1536);
    Box::new(move || drop(black_box(parse(&event))))
}

fn text_decode() -> Box<dyn FnMut()> {
    let event = json!({"event": {"textOutput": {
        "completionId": "0b6f0f5e", "contentId": "9a7f0c56", "promptName": "4c1d2e3f",
        "role": "ASSISTANT", "sessionId": "d3b07384",
        "content": "We are open from nine to five, Monday to Friday.",
    }}});
    let event = event.to_string();
    Box::new(move || drop(black_box(parse(event.as_bytes()))))
}

fn base64_encode() -> Box<dyn FnMut()> {
    let (pcm, mut text) = (pcm(1024), String::new());
    Box::new(move || {
        text.clear();
        STANDARD.encode_string(&pcm, &mut text);
        black_box(&text);
    })
}

fn base64_decode() -> Box<dyn FnMut()> {
    let (text, mut pcm) = (STANDARD.encode(pcm(1536)), Vec::new());
    Box::new(move || {
        pcm.clear();
        black_box(STANDARD.decode_vec(&text, &mut pcm).is_ok());
    })
}

/// The model is faster than real time: what waits is cut into frames and released by time.
fn playout() -> Box<dyn FnMut()> {
    let burst = AudioChunk::silence(SampleRate::Hz24000, 400);
    let mut now = Instant::now();
    let mut playout = Playout::new(
        Duration::from_millis(200),
        Duration::from_millis(40),
        Duration::from_secs(300),
    );
    Box::new(move || {
        playout.push(Epoch::default(), burst.clone());
        for _ in 0..10 {
            now += Duration::from_millis(40);
            black_box(playout.release(now));
            black_box(playout.next_release(now));
            black_box(playout.heard_by(now));
        }
    })
}

fn mu_law() -> Box<dyn FnMut()> {
    let line: Vec<i16> = (0..160).map(|n| ((f64::from(n) * 0.21).sin() * 9_000.0) as i16).collect();
    Box::new(move || {
        for sample in &line {
            black_box(g711::mulaw_decode(g711::mulaw_encode(*sample)));
        }
    })
}

fn resample(from: u32, to: u32) -> Box<dyn FnMut()> {
    let input: Vec<i16> =
        (0..from / 50).map(|n| ((f64::from(n) * 0.21).sin() * 9_000.0) as i16).collect();
    let Ok(mut resampler) = Resampler::new(from, to) else { return Box::new(|| ()) };
    Box::new(move || drop(black_box(resampler.push(&input))))
}

fn resample_up() -> Box<dyn FnMut()> {
    resample(8_000, 16_000)
}

fn resample_down() -> Box<dyn FnMut()> {
    resample(24_000, 8_000)
}

/// What a line costs the journal's thread, but for the disk.
fn journal_entry() -> Box<dyn FnMut()> {
    let redactor = Redactor::default();
    let line = Line {
        id: "u7".to_owned(),
        role: Speaker::User,
        text: "My number is 0151 23456789, and I would like an appointment.".to_owned(),
        is_final: true,
        interrupted: false,
        heard: None,
    };
    Box::new(move || {
        let mut event = Event::Line(line.clone());
        voice_archive::clean(&redactor, &mut event);
        drop(black_box(serde_json::to_string(&Entry { at: 1_700_000_000_000, event })));
    })
}

fn wire_decode() -> Box<dyn FnMut()> {
    let message = json!({"type": "sessionConfig", "config": {
        "brainMode": "raw_nova", "voiceId": "matthew", "systemPrompt": "Be brief.",
        "selectedTools": ["check_balance"], "inactivityTimeout": 45, "userTimezone": "Europe/Berlin",
    }});
    let message = message.to_string();
    Box::new(move || drop(black_box(Frame::from_text(message.as_bytes()))))
}

fn wire_encode() -> Box<dyn FnMut()> {
    let message = ServerMessage::Transcript {
        id: "a7".to_owned(),
        role: Role::Assistant,
        text: "We are open from nine to five, Monday to Friday.".to_owned(),
        is_final: true,
        is_streaming: false,
        interrupted: false,
        timestamp: "2026-01-01T00:00:00Z".to_owned(),
    };
    Box::new(move || drop(black_box(message.to_json())))
}
