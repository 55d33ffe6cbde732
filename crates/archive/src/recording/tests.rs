//! From pairs of samples to a file in the store.

use std::{
    sync::mpsc::sync_channel,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::*;
use crate::{
    folder::Folder,
    spool::{Pauses, Spool},
};

struct Place {
    root: tempfile::TempDir,
    spool: Spool,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        for folder in ["parts", "spool"] {
            fs::create_dir(root.path().join(folder)).expect("a folder");
        }
        let spool = Spool {
            dir: root.path().join("spool"),
            parts: root.path().join("parts"),
            store: Arc::new(Folder::new(root.path().join("store"))),
            pauses: Pauses::default(),
            meters: Meters::default(),
            wake: Arc::new(Notify::new()),
        };
        Self { root, spool }
    }

    fn writer(&self) -> Writer {
        Writer {
            parts: self.spool.parts.clone(),
            limit: u64::MAX,
            meters: self.spool.meters.clone(),
            calls: HashMap::new(),
            ready: Arc::new(|| ()),
        }
    }

    fn samples(&self) -> Vec<i16> {
        let file = self.root.path().join("store").join(name().recording_key());
        let mut wav = hound::WavReader::open(file).expect("a WAV file");
        assert_eq!((wav.spec().channels, wav.spec().sample_rate), (2, 8_000));
        wav.samples().map(|sample| sample.expect("a sample")).collect()
    }

    fn left(&self) -> usize {
        entries(&self.spool.parts).count()
    }
}

fn name() -> LogName {
    LogName::new(1_764_194_210_123, "recorded.call")
}

fn pairs(count: usize) -> Vec<i16> {
    (0..count * 2).map(|n| (n % 30_011) as i16).collect()
}

/// Writes with a thread, as a process does.
fn write(place: &Place, all: &[i16], end: bool) {
    let (jobs, receiver) = sync_channel(QUEUE);
    let mut writer = place.writer();
    let meters = place.spool.meters.clone();
    let recorder = Recorder::begin(1, jobs.clone(), meters, name(), 8_000);
    let thread = std::thread::spawn(move || {
        if end {
            writer.run(&receiver);
        } else {
            // A process that dies: what it had not written is gone, nothing is finished.
            while let Ok(Job::Begin { .. } | Job::Samples { .. }) =
                receiver.recv().inspect(|job| match job {
                    Job::Begin { call, name, rate, broken } => {
                        let open = writer.begin(name, *rate, broken).expect("a file");
                        writer.calls.insert(*call, open);
                    }
                    Job::Samples { call, pairs } => {
                        let open = writer.calls.get_mut(call).expect("it is open");
                        open.buffer.extend(pairs.iter().flat_map(|sample| sample.to_le_bytes()));
                        writer.flush(*call).expect("written");
                    }
                    _ => {}
                })
            {}
        }
    });
    for block in all.chunks(40_000) {
        let started = Instant::now();
        while !recorder.write(block.to_vec()) {
            assert!(started.elapsed() < Duration::from_secs(20), "the thread does not keep up");
        }
    }
    drop(recorder);
    let _ = jobs.send(Job::Close);
    thread.join().expect("no panic");
}

#[tokio::test]
async fn a_short_recording_is_one_file() {
    let place = Place::new();
    write(&place, &pairs(12_345), true);
    assert_eq!(place.spool.round().await, []);
    assert!(place.samples() == pairs(12_345));
    assert_eq!(place.left(), 0);
}

#[tokio::test]
async fn a_long_one_comes_in_parts_and_is_whole() {
    let place = Place::new();
    // Twenty megabytes: three parts.
    let all = pairs(5_000_000);
    write(&place, &all, true);
    assert_eq!(place.left(), 4, "three parts and the end");
    assert_eq!(place.spool.round().await, []);
    assert!(place.samples() == all);
    assert_eq!(place.left(), 0);
}

#[tokio::test]
async fn a_recording_that_finds_no_room_breaks_off_and_is_kept_as_far_as_it_came() {
    let place = Place::new();
    let (jobs, receiver) = sync_channel(QUEUE);
    // No part may wait: the second is the last that has room.
    let writer = Writer { limit: 0, ..place.writer() };
    let meters = place.spool.meters.clone();
    let recorder = Recorder::begin(1, jobs.clone(), meters, name(), 8_000);
    let thread = std::thread::spawn(move || writer.run(&receiver));
    let all = pairs(6_600_000);
    // A little more than three parts; then it is told sooner or later that there is no point.
    for block in all.chunks(40_000).take(330) {
        recorder.write(block.to_vec());
    }
    let started = Instant::now();
    while recorder.write(Vec::new()) {
        assert!(started.elapsed() < Duration::from_secs(20), "it is never told");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(recorder);
    let _ = jobs.send(Job::Close);
    thread.join().expect("no panic");
    assert_eq!(place.spool.meters.recording_errors.get(), 1);
    assert_eq!(place.spool.round().await, []);
    let kept = place.samples();
    assert_eq!(kept.len() as u64 * 2 + HEADER, 3 * PART);
    assert!(all.starts_with(&kept));
}

#[tokio::test]
async fn what_a_dead_process_left_is_finished_and_goes_on_where_the_store_is() {
    let place = Place::new();
    let all = pairs(5_000_000);
    write(&place, &all, false);
    // The part in the middle is with the store already.
    assert_eq!(place.spool.round().await, []);
    assert_eq!(place.left(), 3, "the first, the last, and what the store has");
    let next = Place::new();
    adopt(&place.spool.parts, &next.spool.parts).expect("adopted");
    assert_eq!(place.left(), 0);
    let spool = Spool { store: place.spool.store.clone(), ..next.spool };
    assert_eq!(spool.round().await, []);
    assert!(place.samples() == all);
    assert_eq!(entries(&spool.parts).count(), 0);
}

#[tokio::test]
async fn parts_that_the_store_has_forgotten_are_said_and_harm_nothing() {
    let place = Place::new();
    write(&place, &pairs(5_000_000), false);
    assert_eq!(place.spool.round().await, []);
    let store = place.root.path().join("store/2025/11/26");
    for folder in entries(&store) {
        fs::remove_dir_all(folder).expect("removed");
    }
    let stem = name().stem().to_owned();
    finish(&place.spool.parts, &stem).expect("finished");
    assert_eq!(place.spool.round().await, []);
    assert_eq!(place.spool.meters.recording_errors.get(), 1);
    assert_eq!(place.left(), 0);
    let listing = place.spool.store.list("2025/11/26".into()).await.expect("a list");
    assert!(listing.objects.is_empty());
}
