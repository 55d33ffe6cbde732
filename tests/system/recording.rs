//! The recording of a call: the caller left, the assistant right as it was heard.

use std::io::Cursor;

use serde_json::{Value, json};
use voice_audio::Resampler;

use crate::{
    session_log::{get, only_log},
    support::{
        Bench, Caller, House, Seen, bench::TALKATIVE, eventually, puppet, speech, store::Store,
    },
};

/// Left and right channel of the only recording there is, and its rate.
async fn recording(bench: &Bench) -> (Vec<i16>, Vec<i16>, u32) {
    only_log(bench).await;
    let id = get(bench, "/api/history").await[0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/history/{}.wav", id.trim_end_matches(".json"));
    eventually("nothing waits", || bench.meters().spool_files.get() == 0).await;
    let wav = tokio::time::timeout(crate::support::DEADLINE, async {
        loop {
            let (status, wav) = bytes(bench, &path).await;
            if status == 200 {
                return wav;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    });
    let mut wav =
        hound::WavReader::new(Cursor::new(wav.await.expect("a recording"))).expect("a WAV");
    let rate = wav.spec().sample_rate;
    assert_eq!(wav.spec().channels, 2);
    let samples: Vec<i16> = wav.samples().map(|sample| sample.expect("a sample")).collect();
    let channel = |n: usize| samples.iter().skip(n).step_by(2).copied().collect();
    (channel(0), channel(1), rate)
}

async fn bytes(bench: &Bench, path: &str) -> (u16, Vec<u8>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = bench.server.addr();
    let mut tcp = tokio::net::TcpStream::connect(address).await.expect("connect");
    // HTTP/1.0: the body comes as it is, without chunks.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.expect("the request");
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.expect("the answer");
    let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    let status = String::from_utf8_lossy(&answer[9..12]).parse().expect("a status");
    (status, answer.split_off(head + 4))
}

/// The assistant's audio as the client got it, in pieces that a barge-in or a pause ends.
fn answers(caller: &Caller) -> Vec<Vec<i16>> {
    let mut answers = vec![Vec::new()];
    for seen in &caller.log {
        match seen {
            Seen::Audio(bytes) => {
                let samples = bytes.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]]));
                answers.last_mut().expect("one").extend(samples);
            }
            Seen::Message(message) if message["type"] == "interruption" => answers.push(Vec::new()),
            _ => {}
        }
    }
    answers
}

/// Where something is loud first.
fn onset(samples: &[i16]) -> Option<usize> {
    samples.iter().position(|sample| sample.abs() > 150)
}

/// Samples that are compared at once: 20 ms.
const WINDOW: usize = 320;

/// How far `recorded` is what was sent, in samples, by how loud it is. Where an answer began between
/// two samples of the recording, the samples themselves differ by a fraction of one.
fn common(recorded: &[i16], sent: &[i16]) -> usize {
    let windows = recorded.chunks_exact(WINDOW).zip(sent.chunks_exact(WINDOW));
    let is_same = |(a, b): &(&[i16], &[i16])| {
        let (a, b) = (speech::loudness(a), speech::loudness(b));
        (a - b).abs() < 0.1 * b + 60.0
    };
    windows.take_while(is_same).count() * WINDOW
}

#[actix_web::test]
async fn a_call_with_two_barge_ins_is_recorded_as_it_was_heard() {
    let bench = Bench::with(|config, emulator| {
        config.engine.record = true;
        config.engine.record_rate = 16_000;
        emulator.scenario =
            voice_emulator::script::Scenario::parse(TALKATIVE).expect("the script").into();
    })
    .await;
    let mut caller = Caller::connect(&bench.sonic("")).await;
    caller.configure(json!({"greetingEnabled": false})).await;
    caller.message("session_start").await;
    let line = caller.open_line(1.0);
    for text in ["Wait, stop, I have another question.", "Hold on, one more thing."] {
        caller.type_text("Tell me a story").await;
        let before = caller.heard().len();
        while caller.heard().len() < before + 24_000 {
            caller.audio().await;
        }
        line.say(&speech::samples(text)).await;
        caller.message("interruption").await;
        caller.final_line("user").await;
    }
    line.pause(1_000).await;
    let heard = answers(&caller);
    caller.hang_up().await;
    let said = line.close();

    let (left, right, rate) = recording(&bench).await;
    assert_eq!((rate, left.len()), (16_000, right.len()));

    // Every sample of the caller's, in order. The marks of the line leave few zeros; silence that
    // was filled in has nothing else.
    let loud = |samples: &[i16]| samples.iter().copied().filter(|s| *s != 0).collect::<Vec<_>>();
    let (recorded, said) = (loud(&left), loud(&said));
    assert!(recorded.len() + 16_000 > said.len(), "{} of {}", recorded.len(), said.len());
    assert!(said.starts_with(&recorded), "the caller's samples are not those that were sent");

    // Each answer as far as it was heard, and nothing else: all that is loud is explained.
    assert!(heard.len() > 2, "{:?}", heard.iter().map(Vec::len).collect::<Vec<_>>());
    let mut rest = &right[..];
    let (mut cut, mut whole) = (0, 0);
    for answer in &heard {
        let mut resampler = Resampler::new(24_000, 16_000).expect("the rates");
        let mut sent = resampler.push(answer);
        sent.extend(resampler.flush());
        // Where the client ran dry for a moment the answer goes on after a gap.
        let mut left = &sent[..];
        while let (Some(from), Some(loud)) = (onset(rest), onset(left)) {
            let length = common(&rest[from..], &left[loud..]);
            if length < 2 * WINDOW {
                break;
            }
            left = &left[(loud + length).min(left.len())..];
            rest = &rest[(from + length).min(rest.len())..];
        }
        if onset(left).is_none() {
            whole += 1;
        } else if left.len() < sent.len() {
            cut += 1;
            // The client had at most 200 ms and a frame or two that it never played.
            assert!(left.len() <= 16 * 320, "{} of {} are missing", left.len(), sent.len());
            // The cut lies within a window, and the resampler rings for a few samples.
            rest = &rest[(WINDOW + 64).min(rest.len())..];
        }
    }
    assert!(cut >= 2, "{cut} answers were cut, {whole} were not");
    // The last answer was still being said when the test stopped listening.
    assert!(whole >= 1, "something is audible after the cut: {cut} answers were cut");
    bench.finish().await;
}

const KEYPAD: &str = r#"{"name": "pause_recording", "description": "d", "parameters": {}, "execute": {"kind": "builtin"}}"#;
const GO_ON: &str = r#"{"name": "resume_recording", "description": "d", "parameters": {}, "execute": {"kind": "builtin"}}"#;

#[actix_web::test]
async fn nothing_is_recorded_while_a_tool_says_so() {
    let house = House::new(&[
        ("tools/pause.json", KEYPAD),
        ("tools/resume.json", GO_ON),
        ("prompts/persona-a.txt", "You ask for cards.\n---\n{\"recording\": true}"),
    ]);
    let script = puppet(
        r#"{"when": {"text": "pause"}, "do": [{"call": {"tool": "pause_recording"}}, {"say": "Go ahead."}]},
           {"when": {"text": "resume"}, "do": [{"call": {"tool": "resume_recording"}}, {"say": "Thank you."}]},
           {"when": {"any": true}, "do": [{"say": "I see."}]}"#,
    );
    let bench = house.bench(&script, |config, _| config.engine.record_rate = 16_000).await;
    let mut caller = bench.greeted().await;
    let line = caller.open_line(1.0);
    line.say(&speech::samples("This may be kept.")).await;
    line.pause(700).await;
    caller.type_text("pause").await;
    caller.until("the pause", |m| m["type"] == "tool_result").await;
    line.say(&speech::samples("four one one one")).await;
    caller.type_text("resume").await;
    caller.until("the end of it", |m| m["type"] == "tool_result").await;
    line.pause(1_300).await;
    line.say(&speech::samples("And this as well.")).await;
    line.pause(300).await;
    caller.hang_up().await;
    line.close();
    let (left, _, _) = recording(&bench).await;
    let log = only_log(&bench).await;
    let states: Vec<&Value> = log["recording"]["states"]
        .as_array()
        .expect("states")
        .iter()
        .map(|s| &s["state"])
        .collect();
    assert_eq!(states, ["on", "paused", "resumed"]);
    // Two pieces of speech, with digital silence where the third was.
    let silence = left.split(|sample| *sample != 0).map(<[i16]>::len).max().unwrap_or(0);
    let secret = speech::samples("four one one one").len();
    assert!(silence >= secret, "{silence} samples of silence for {secret} of a secret");
    let loud = left.chunks(1_600).map(|piece| speech::loudness(piece) > 300.0).collect::<Vec<_>>();
    assert!(loud[..loud.len() / 3].contains(&true) && loud[loud.len() * 2 / 3..].contains(&true));
    bench.finish().await;
}

#[actix_web::test]
async fn a_recording_comes_to_the_bucket_and_is_served_in_parts() {
    let store = Store::start();
    let bench = Bench::with(|config, _| {
        store.keep(config);
        (config.engine.record, config.engine.record_rate) = (true, 8_000);
    })
    .await;
    let mut caller = bench.greeted().await;
    caller.speak(&speech::say("Hello there.")).await;
    caller.configure(json!({})).await;
    caller.hang_up().await;
    let (left, _, rate) = recording(&bench).await;
    assert_eq!(rate, 8_000);
    assert!(speech::loudness(&left) > 50.0);
    let id = get(&bench, "/api/history").await[0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/history/{}.wav", id.trim_end_matches(".json"));
    let (status, head, _) = crate::pages::ask(&bench, &path, "Range: bytes=0-43\r\n").await;
    assert_eq!(status, 206, "{head}");
    assert!(head.contains("content-range: bytes 0-43/"), "{head}");
    bench.finish().await;
}
