//! A line that is always open: a microphone that never stops, and proof of what became of each
//! of its samples.
//!
//! Every sample that the microphone sends is different from zero, and no two stretches of it are
//! alike. What the engine puts in of its own is digital silence. So what a stream heard, without
//! its zeros, is a piece of what was said, and its place can be found.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::sync::oneshot;
use voice_emulator::SessionSnapshot;

/// Samples of a frame: 64 ms.
const FRAME: usize = 1_024;
/// How far a stream may begin before the end of the one before: more than is ever replayed.
const LONGEST_REPLAY: usize = 40 * 16_000;
/// The noise of the line.
const NOISE: i16 = 16;
/// As many samples as are surely unlike all others.
const FINGERPRINT: usize = 48;

#[derive(Default)]
struct Voice {
    /// What is to be said next, and who waits for its end.
    next: VecDeque<(VecDeque<i16>, oneshot::Sender<()>)>,
    /// All that was sent.
    said: Vec<i16>,
    /// Whether the connection is gone: nobody waits for the end of anything any more.
    gone: bool,
}

/// The microphone of a caller.
pub(crate) struct Line {
    voice: Arc<Mutex<Voice>>,
    task: tokio::task::JoinHandle<()>,
}

impl Line {
    /// Opens the line. `rate`: how much faster than real time its clock runs. `send` takes a frame,
    /// and says whether there will be another one.
    pub(crate) fn open(
        send: impl Fn(Vec<u8>) -> BoxFuture<'static, bool> + Send + Sync + 'static,
        rate: f64,
    ) -> Self {
        let voice = Arc::new(Mutex::new(Voice::default()));
        let frames = voice.clone();
        let pace = Duration::from_secs_f64(FRAME as f64 / 16_000.0 / rate);
        let task = tokio::spawn(async move {
            let mut pace = tokio::time::interval(pace);
            loop {
                pace.tick().await;
                let frame = lock(&frames).frame();
                if !send(frame).await {
                    let mut voice = lock(&frames);
                    voice.gone = true;
                    return voice.next.clear();
                }
            }
        });
        Self { voice, task }
    }

    /// Says something; it has been sent when this returns.
    pub(crate) async fn say(&self, pcm: &[i16]) {
        let (done, said) = oneshot::channel();
        {
            let mut voice = lock(&self.voice);
            if voice.gone {
                return;
            }
            voice.next.push_back((pcm.iter().copied().collect(), done));
        }
        let _ = said.await;
    }

    /// Says nothing for a while.
    pub(crate) async fn pause(&self, ms: usize) {
        self.say(&vec![0; ms * 16]).await;
    }

    /// How many samples were sent.
    pub(crate) fn position(&self) -> usize {
        lock(&self.voice).said.len()
    }

    /// All that was sent so far.
    pub(crate) fn said(&self) -> Vec<i16> {
        lock(&self.voice).said.clone()
    }

    /// Nothing more is sent.
    pub(crate) fn end(&self) {
        self.task.abort();
    }

    /// Closes the line; returns all that was sent.
    pub(crate) fn close(self) -> Vec<i16> {
        self.end();
        std::mem::take(&mut lock(&self.voice).said)
    }
}

impl Voice {
    /// The next frame: what is to be said, or quiet.
    fn frame(&mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FRAME * 2);
        for _ in 0..FRAME {
            let sample = self.next_sample();
            let sample = marked(sample, self.said.len() as u64);
            self.said.push(sample);
            bytes.extend_from_slice(&sample.to_le_bytes());
        }
        bytes
    }

    fn next_sample(&mut self) -> i16 {
        while let Some((pcm, _)) = self.next.front_mut() {
            if let Some(sample) = pcm.pop_front() {
                return sample;
            }
            if let Some((_, done)) = self.next.pop_front() {
                let _ = done.send(());
            }
        }
        0
    }
}

fn lock(voice: &Mutex<Voice>) -> MutexGuard<'_, Voice> {
    voice.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sample with a noise that depends on its place, and never zero. The noise is far below what
/// counts as speech.
fn marked(sample: i16, place: u64) -> i16 {
    let mut hash = place.wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let noise = ((hash >> 59) as i16) - NOISE;
    match sample.saturating_add(noise) {
        0 => 1,
        marked => marked,
    }
}

/// What became of what was said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// Samples that no stream heard, although a later one was heard.
    pub(crate) lost: usize,
    /// Those of them that are more than the line's own noise.
    pub(crate) lost_speech: usize,
    /// Where they were: the first sample of each stretch, and the first one after it.
    pub(crate) gaps: Vec<(usize, usize)>,
    /// Samples that a later stream heard again: the replayed tails, by stream.
    pub(crate) replayed: Vec<usize>,
    /// The end of what was heard.
    pub(crate) heard: usize,
    /// Streams that heard anything.
    pub(crate) streams: usize,
}

/// Follows what was said through the streams that heard it. Panics where a stream heard something
/// that was not said, or not in this order.
pub(crate) fn trace(said: &[i16], sessions: &[SessionSnapshot]) -> Fate {
    let mut fate = Fate::default();
    for session in sessions {
        assert_eq!(session.heard.len() as u64, session.heard_bytes, "the record is whole");
        let samples = session.heard.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]]));
        let mut rest: &[i16] = &samples.filter(|sample| *sample != 0).collect::<Vec<_>>();
        while rest.len() >= FINGERPRINT {
            let first = fate.heard.saturating_sub(LONGEST_REPLAY);
            let mark = &rest[..FINGERPRINT];
            let place = said[first..].windows(FINGERPRINT).position(|window| window == mark);
            let from = first
                + place.unwrap_or_else(|| {
                    panic!("stream {} heard what was not said", session.ordinal)
                });
            let same = rest.iter().zip(&said[from..]).take_while(|(a, b)| a == b).count();
            let lost = said.get(fate.heard..from).unwrap_or_default();
            fate.lost += lost.len();
            if !lost.is_empty() {
                fate.gaps.push((fate.heard, from));
            }
            fate.lost_speech += lost.iter().filter(|sample| sample.abs() > 2 * NOISE).count();
            if from < fate.heard {
                fate.replayed.push(fate.heard - from);
            }
            fate.heard = fate.heard.max(from + same);
            rest = &rest[same..];
        }
        assert!(rest.is_empty(), "stream {} heard what was not said", session.ordinal);
        fate.streams += usize::from(session.heard_bytes > 0);
    }
    fate
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(ordinal: u64, parts: &[&[i16]]) -> SessionSnapshot {
        let heard: Vec<u8> = parts.concat().iter().flat_map(|s| s.to_le_bytes()).collect();
        let heard_bytes = heard.len() as u64;
        SessionSnapshot { ordinal, heard, heard_bytes, ..SessionSnapshot::default() }
    }

    #[test]
    fn the_tracer_finds_what_is_lost_and_what_is_heard_twice() {
        let said: Vec<i16> = (0..100_000).map(|place| marked(0, place)).collect();
        let streams = [
            stream(1, &[&[0; 160], &said[..40_000]]),
            stream(2, &[&[0; 99], &said[30_000..60_000], &[0; 7], &said[60_000..70_000]]),
            stream(3, &[&said[70_500..90_000]]),
        ];
        let fate = trace(&said, &streams);
        let expected = Fate {
            lost: 500,
            lost_speech: 0,
            gaps: vec![(70_000, 70_500)],
            replayed: vec![10_000],
            heard: 90_000,
            streams: 3,
        };
        assert_eq!(fate, expected);
    }
}
