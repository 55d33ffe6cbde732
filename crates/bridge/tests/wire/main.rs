//! A caller's voice over the real SDK and a real socket: what the emulator writes with its own
//! hands is what the reader hears, sample for sample.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::time::Duration;

use voice_aws::{Credentials, KinesisConfig, KinesisPort, MediaStart};
use voice_bridge::fragments::{Encoding, Follower, Heard};
use voice_bridge::mkv::MkvReader;
use voice_emulator::{
    ACCESS_KEY_ID, Clocks, Emulator, EmulatorConfig, FaultScope, Line, MediaConfig, MediaFault,
    MediaFaultKind, MediaShape, SECRET_ACCESS_KEY, Untagged,
};

/// No step takes longer; a hang fails instead of waiting for ever.
const DEADLINE: Duration = Duration::from_secs(20);

fn emulator(media: MediaConfig) -> Emulator {
    // A minute of a call passes in two seconds.
    let clocks = Clocks { scale: 30.0, ..Clocks::default() };
    Emulator::start(EmulatorConfig { media, clocks, ..EmulatorConfig::default() }).unwrap()
}

async fn port(emulator: &Emulator) -> KinesisPort {
    KinesisPort::new(KinesisConfig {
        region: "us-east-1".to_owned(),
        endpoint: Some(emulator.endpoint()),
        credentials: Credentials::Keys {
            access_key_id: ACCESS_KEY_ID.to_owned(),
            secret_access_key: SECRET_ACCESS_KEY.to_owned(),
            session_token: None,
        },
    })
    .await
}

/// Noise of `ms` in which the head of a document hides now and then.
fn noise(ms: usize) -> Vec<i16> {
    let mut state = 42_u64;
    let mut samples: Vec<i16> = (0..ms * 8)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 48) as i16
        })
        .collect();
    for chunk in samples.chunks_mut(3_001) {
        if let [first, second, ..] = chunk {
            (*first, *second) = (0x451A, 0xA3DF_u16 as i16);
        }
    }
    samples
}

fn call(emulator: &Emulator, shape: MediaShape, samples: &[i16]) -> Line {
    let streams = emulator.observer().media();
    let arn = streams.create("bank-connect-demo-contact-0", shape);
    let line = streams.begin_call(&arn, "contact-1").unwrap();
    line.say(samples);
    line.hang_up_after_all();
    line
}

/// What was said after the moments of silence before it: whoever begins a call does not speak in the
/// very millisecond.
fn said(voice: &[i16], length: usize) -> &[i16] {
    let (silence, said) = voice.split_at(voice.len().saturating_sub(length));
    assert!(silence.iter().all(|sample| *sample == 0), "something before what was said");
    said
}

/// Reads a call to its end, connection after connection. Gives what was heard, what was missing in
/// milliseconds, and how many connections there were.
async fn follow(emulator: &Emulator, line: &Line) -> (Vec<i16>, u64, usize) {
    let port = port(emulator).await;
    let mut follower = Follower::new("contact-1", line.start().1, Encoding::Pcm16);
    let (mut voice, mut missing, mut connections, mut idle) = (Vec::new(), 0, 0, 0);
    // One end may be a connection that was ended; two in a row without news are the end.
    while idle < 2 {
        connections += 1;
        let mut news = false;
        let start = follower.start();
        if let Ok(mut media) = port.open(line.arn(), &start).await {
            let mut reader = MkvReader::new();
            while let Ok(Some(bytes)) = tokio::time::timeout(DEADLINE, media.next()).await.unwrap()
            {
                let mut heard = Vec::new();
                let read = reader.push(&bytes, |element| {
                    follower.take(element, &mut |what| heard.push(what));
                });
                for what in heard {
                    match what {
                        Heard::Voice { samples, .. } => {
                            news = true;
                            voice.extend(samples);
                        }
                        Heard::Missing { ms } => missing += ms,
                        Heard::Behind { .. } | Heard::OtherContact => {}
                        Heard::Failed { code } if code == "4000" => follower.lose_place(),
                        Heard::Failed { .. } => {}
                        other => panic!("{other:?}"),
                    }
                }
                if read.is_err() {
                    break;
                }
            }
        }
        follower.disconnected();
        idle = if news { 0 } else { idle + 1 };
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (voice, missing, connections)
}

#[tokio::test]
async fn every_shape_of_connects_streams_is_heard_sample_for_sample() {
    let samples = noise(5_000);
    let shapes = [
        ("as it was seen most", MediaShape::default()),
        ("both tracks", MediaShape { both_tracks: true, ..MediaShape::default() }),
        ("odd blocks", MediaShape { odd_blocks: true, both_tracks: true, ..MediaShape::default() }),
        (
            "split samples",
            MediaShape { split_samples: true, odd_blocks: true, ..MediaShape::default() },
        ),
        ("tags first", MediaShape { tags_first: true, ..MediaShape::default() }),
        ("no tags at the end", MediaShape { untagged: Untagged::Last, ..MediaShape::default() }),
        ("few tags", MediaShape { untagged: Untagged::AllButFirst, ..MediaShape::default() }),
        (
            "block by block",
            MediaShape { by_block: true, both_tracks: true, ..MediaShape::default() },
        ),
        ("sized clusters", MediaShape { sized_clusters: true, ..MediaShape::default() }),
        (
            "an old name",
            MediaShape { track_name: Some("Track_audio/L16".into()), ..MediaShape::default() },
        ),
        ("no name", MediaShape { track_name: Some(String::new()), ..MediaShape::default() }),
    ];
    for (what, shape) in shapes {
        let emulator = emulator(MediaConfig::default());
        let line = call(&emulator, shape, &samples);
        let (voice, missing, _) = follow(&emulator, &line).await;
        assert_eq!(missing, 0, "{what}");
        assert!(said(&voice, samples.len()) == samples, "{what}: other samples");
        assert_eq!(emulator.observer().media().endpoint_requests(), 1, "{what}: the door is known");
    }
}

#[tokio::test]
async fn connections_that_end_break_off_stall_or_fail_lose_nothing() {
    let samples = noise(12_000);
    for by_block in [false, true] {
        let fault = |nth, ms, kind| MediaFault {
            after: Duration::from_millis(ms),
            kind,
            scope: FaultScope::Nth(nth),
        };
        let emulator = emulator(MediaConfig {
            faults: vec![
                fault(1, 900, MediaFaultKind::Cut),
                fault(2, 1_300, MediaFaultKind::End),
                fault(3, 700, MediaFaultKind::Error(5_000)),
                fault(4, 500, MediaFaultKind::Stall(Duration::from_secs(9))),
                fault(4, 12_000, MediaFaultKind::Cut),
                fault(5, 0, MediaFaultKind::Refuse("ClientLimitExceededException")),
                fault(6, 2_000, MediaFaultKind::Cut),
            ],
            calls_per_second: 1_000,
            ..MediaConfig::default()
        });
        let line = call(&emulator, MediaShape { by_block, ..MediaShape::default() }, &samples);
        let (voice, missing, connections) = follow(&emulator, &line).await;
        assert_eq!(missing, 0);
        assert!(said(&voice, samples.len()) == samples, "other samples");
        assert!(connections >= 5, "{connections} connections are too few to prove anything");
    }
}

#[tokio::test]
async fn a_lost_fragment_is_a_gap_of_its_length() {
    let samples = noise(5_000);
    let emulator = emulator(MediaConfig::default());
    let line = call(&emulator, MediaShape { gaps: vec![1], ..MediaShape::default() }, &samples);
    let (voice, missing, _) = follow(&emulator, &line).await;
    assert_eq!(missing, 1_088);
    let before = vec![0; voice.len() + 8_704 - samples.len()];
    let whole = [before, samples].concat();
    assert!(voice == [&whole[..8_704], &whole[2 * 8_704..]].concat());
}

#[tokio::test]
async fn a_stream_that_others_used_gives_our_call_alone() {
    let emulator = emulator(MediaConfig::default());
    let streams = emulator.observer().media();
    let arn = streams.create("bank-connect-demo-contact-0", MediaShape::default());
    let before = streams.begin_call(&arn, "contact-0").unwrap();
    before.say(&noise(3_000));
    let samples = noise(4_000);
    let line = streams.begin_call(&arn, "contact-1").unwrap();
    line.say(&samples);
    line.hang_up_after_all();
    let port = port(&emulator).await;
    // Even when it is read from its very beginning.
    let mut follower = Follower::new("contact-1", 0, Encoding::Pcm16);
    let mut voice = Vec::new();
    let mut media = port.open(&arn, &MediaStart::At(1)).await.unwrap();
    let mut reader = MkvReader::new();
    while let Some(bytes) = tokio::time::timeout(DEADLINE, media.next()).await.unwrap().unwrap() {
        let push = |element| {
            follower.take(element, &mut |what| {
                if let Heard::Voice { samples, .. } = what {
                    voice.extend(samples);
                }
            });
        };
        reader.push(&bytes, push).unwrap();
    }
    assert!(said(&voice, samples.len()) == samples);
}
