//! The playout queue: assistant audio waits here until the client should have it.
//!
//! The model speaks faster than real time. What is not needed yet waits with us and not in the
//! client, so that a barge-in can take it back. Audio is released by time, a little ahead of
//! what the caller hears, and only if its epoch is the present one.
//!
//! A machine: no actix, no clock. `now` goes in, frames come out.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use voice_call::{AudioChunk, Epoch};

use super::stored::Stored;

/// What waits as it is. A model that speaks faster than anybody listens is far ahead, and a client
/// that lost its connection hears nothing at all: the rest is packed.
const SOON: Duration = Duration::from_secs(1);

/// What became of audio that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits for its time.
    Queued,
    /// It belongs to a turn that was interrupted; it is gone.
    Stale,
    /// The queue is full; it is gone.
    Full,
}

/// The queue of one call.
///
/// ```text
///            push                      nothing left, all heard
///   Silent ────────▶ Playing ─────────────────────────────────▶ Silent
///                       │                                          ▲
///                       └──────────── flush (barge-in) ────────────┘
/// ```
#[derive(Debug)]
pub struct Playout {
    lead: Duration,
    frame: Duration,
    limit: Duration,
    soon: VecDeque<AudioChunk>,
    /// What follows it.
    later: VecDeque<Stored>,
    queued: Duration,
    queued_bytes: usize,
    epoch: Epoch,
    /// While playing: when the client has heard all that was released so far.
    heard_at: Option<Instant>,
}

impl Playout {
    /// A queue that releases frames of `frame`, `lead` ahead of real time, and holds at most
    /// `limit` of audio.
    pub fn new(lead: Duration, frame: Duration, limit: Duration) -> Self {
        Self {
            lead,
            frame,
            limit,
            soon: VecDeque::new(),
            later: VecDeque::new(),
            queued: Duration::ZERO,
            queued_bytes: 0,
            epoch: Epoch::default(),
            heard_at: None,
        }
    }

    /// From now on audio is released so far ahead. What was released already stays so.
    pub fn set_lead(&mut self, lead: Duration) {
        self.lead = lead;
    }

    /// Takes audio of one epoch.
    pub fn push(&mut self, epoch: Epoch, chunk: AudioChunk) -> Pushed {
        if epoch < self.epoch {
            return Pushed::Stale;
        }
        if epoch.continues(self.epoch) {
            // Another stream has taken over: what waits is heard to its end.
            self.epoch = epoch;
        } else if epoch > self.epoch {
            // Its flush is still on the way; what waits is older and therefore stale.
            self.flush(epoch);
        }
        if self.queued + chunk.duration() > self.limit {
            return Pushed::Full;
        }
        if !chunk.is_empty() {
            let (duration, bytes) = (chunk.duration(), chunk.bytes().len());
            if self.queued < SOON && self.later.is_empty() {
                self.soon.push_back(chunk);
            } else {
                self.later.push_back(Stored::of(&chunk));
            }
            self.queued += duration;
            self.queued_bytes += bytes;
        }
        Pushed::Queued
    }

    /// Forgets all audio of epochs before `epoch`. Returns how much was taken back.
    pub fn flush(&mut self, epoch: Epoch) -> Duration {
        if epoch <= self.epoch {
            return Duration::ZERO;
        }
        self.epoch = epoch;
        self.soon.clear();
        self.later.clear();
        self.queued_bytes = 0;
        self.heard_at = None;
        std::mem::take(&mut self.queued)
    }

    /// The next frame, if its time has come.
    pub fn release(&mut self, now: Instant) -> Option<AudioChunk> {
        let heard_at = self.heard_at.map_or(now, |at| at.max(now));
        if heard_at > now + self.lead {
            return None;
        }
        let frame = self.take_frame()?;
        self.heard_at = Some(heard_at + frame.duration());
        Some(frame)
    }

    /// Puts a released frame back, because the socket had no room for it.
    pub fn put_back(&mut self, frame: AudioChunk) {
        let duration = frame.duration();
        self.heard_at = self.heard_at.and_then(|at| at.checked_sub(duration));
        self.queued += duration;
        self.queued_bytes += frame.bytes().len();
        self.soon.push_front(frame);
    }

    /// Puts audio before everything else that was released but never arrived. What was released
    /// counts as heard.
    pub fn rewind(&mut self, frames: Vec<AudioChunk>) {
        self.heard_at = None;
        for frame in frames.into_iter().rev() {
            self.queued += frame.duration();
            self.queued_bytes += frame.bytes().len();
            self.soon.push_front(frame);
        }
    }

    /// When [`Self::release`] is worth asking again; `None` while nothing waits.
    pub fn next_release(&self, now: Instant) -> Option<Instant> {
        if self.is_empty() {
            return None;
        }
        let due = self.heard_at.and_then(|at| at.checked_sub(self.lead)).unwrap_or(now);
        Some(due.max(now))
    }

    /// When the caller will have heard everything; `None` when that is past.
    pub fn heard_by(&self, now: Instant) -> Option<Instant> {
        let released = self.heard_at.filter(|at| *at > now);
        if self.is_empty() {
            return released;
        }
        Some(released.unwrap_or(now) + self.queued)
    }

    /// When the caller has heard all that was released so far.
    pub fn released_until(&self) -> Option<Instant> {
        self.heard_at
    }

    /// Bytes that wait.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// The present epoch.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn is_empty(&self) -> bool {
        self.soon.is_empty() && self.later.is_empty()
    }

    /// Up to one frame from the front. A chunk that is shorter goes out as it is: waiting for
    /// more would only delay it.
    fn take_frame(&mut self) -> Option<AudioChunk> {
        if self.soon.is_empty() {
            self.soon.extend(self.later.pop_front().and_then(|stored| stored.chunk()));
        }
        let front = self.soon.front_mut()?;
        let wanted = front.rate().bytes_in_ms(self.frame.as_millis() as u32).max(2);
        let frame = front.split_to(wanted);
        if front.is_empty() {
            self.soon.pop_front();
        }
        self.queued = self.queued.saturating_sub(frame.duration());
        self.queued_bytes = self.queued_bytes.saturating_sub(frame.bytes().len());
        if self.is_empty() {
            self.queued = Duration::ZERO;
        }
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use voice_call::SampleRate;

    use super::*;

    const FRAME: Duration = Duration::from_millis(40);
    const LEAD: Duration = Duration::from_millis(200);

    fn playout() -> Playout {
        Playout::new(LEAD, FRAME, Duration::from_secs(10))
    }

    fn speech(ms: u32) -> AudioChunk {
        AudioChunk::silence(SampleRate::Hz24000, ms)
    }

    fn release_all(playout: &mut Playout, now: Instant) -> Duration {
        std::iter::from_fn(|| playout.release(now)).map(|frame| frame.duration()).sum()
    }

    #[test]
    fn audio_is_released_by_time_a_little_ahead() {
        let (mut playout, start) = (playout(), Instant::now());
        playout.push(Epoch::default(), speech(1_000));
        // One frame may begin while the lead is not used up.
        assert_eq!(release_all(&mut playout, start), LEAD + FRAME);
        assert_eq!(playout.next_release(start), Some(start + FRAME));
        assert_eq!(release_all(&mut playout, start + FRAME), FRAME);
        let end = start + Duration::from_millis(1_000);
        assert_eq!(playout.heard_by(start + FRAME), Some(end));
        while let Some(due) = playout.next_release(start) {
            release_all(&mut playout, due);
            assert_eq!(playout.heard_by(due), Some(end));
        }
        assert_eq!(playout.heard_by(end), None);
    }

    #[test]
    fn a_barge_in_takes_back_all_that_was_not_released() {
        let (mut playout, now) = (playout(), Instant::now());
        let (old, new) = (Epoch::default(), Epoch::default().next());
        playout.push(old, speech(1_000));
        release_all(&mut playout, now);
        assert_eq!(playout.flush(new), Duration::from_millis(760));
        assert_eq!(playout.push(old, speech(100)), Pushed::Stale);
        assert_eq!(release_all(&mut playout, now + LEAD), Duration::ZERO);
        assert_eq!(playout.push(new, speech(100)), Pushed::Queued);
        assert_eq!(release_all(&mut playout, now), Duration::from_millis(100));
    }

    #[test]
    fn audio_of_a_new_epoch_flushes_by_itself() {
        let (mut playout, now) = (playout(), Instant::now());
        playout.push(Epoch::default(), speech(1_000));
        playout.push(Epoch::default().next(), speech(40));
        assert_eq!(release_all(&mut playout, now), Duration::from_millis(40));
        assert_eq!(playout.flush(Epoch::default().next()), Duration::ZERO, "flushed already");
    }

    #[test]
    fn another_stream_takes_nothing_back() {
        let (mut playout, now) = (playout(), Instant::now());
        let (first, second) = (Epoch::of_stream(1), Epoch::of_stream(2));
        playout.push(first, speech(80));
        assert_eq!(playout.push(second, speech(80)), Pushed::Queued);
        assert_eq!(playout.push(first, speech(80)), Pushed::Stale, "it is not heard any more");
        assert_eq!(release_all(&mut playout, now), Duration::from_millis(160));
        playout.push(second, speech(1_000));
        assert!(playout.flush(second.next()) > Duration::ZERO);
    }

    #[test]
    fn a_client_that_collects_sentences_gets_them_at_once_and_a_barge_in_takes_back_the_rest() {
        let (mut playout, start) = (playout(), Instant::now());
        playout.set_lead(Duration::from_secs(2));
        playout.push(Epoch::default(), speech(5_000));
        assert_eq!(release_all(&mut playout, start), Duration::from_secs(2) + FRAME);
        // What has been heard is reckoned as before: from the first frame on, at the pace of speech.
        let end = start + Duration::from_secs(5);
        assert_eq!(playout.heard_by(start), Some(end));
        let later = start + Duration::from_secs(1);
        assert_eq!(release_all(&mut playout, later), Duration::from_secs(1));
        assert_eq!(playout.heard_by(later), Some(end));
        let taken_back = playout.flush(Epoch::default().next());
        assert_eq!(taken_back, Duration::from_millis(1_960), "3.04 s are with the client");
        assert_eq!(playout.heard_by(later), None);
    }

    #[test]
    fn a_lead_that_shrinks_holds_back_what_is_not_due_any_more() {
        let (mut playout, start) = (playout(), Instant::now());
        playout.set_lead(Duration::from_secs(1));
        playout.push(Epoch::default(), speech(3_000));
        release_all(&mut playout, start);
        playout.set_lead(LEAD);
        assert_eq!(playout.release(start), None);
        assert_eq!(
            playout.next_release(start),
            Some(start + Duration::from_secs(1) + FRAME - LEAD)
        );
    }

    #[test]
    fn a_full_queue_refuses() {
        let mut playout = playout();
        assert_eq!(playout.push(Epoch::default(), speech(10_000)), Pushed::Queued);
        assert_eq!(playout.push(Epoch::default(), speech(1)), Pushed::Full);
    }

    #[test]
    fn a_frame_that_found_no_room_is_not_lost() {
        let (mut playout, now) = (playout(), Instant::now());
        playout.push(Epoch::default(), speech(80));
        let frame = playout.release(now).expect("a frame");
        playout.put_back(frame);
        assert_eq!(release_all(&mut playout, now), Duration::from_millis(80));
    }

    #[test]
    fn what_waits_for_long_is_packed_and_comes_out_as_it_was() {
        let (mut playout, mut now) = (playout(), Instant::now());
        let samples: Vec<i16> = (0..24_000 * 5_u64).map(|n| (n * n % 6_000) as i16).collect();
        let pcm: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        for piece in pcm.chunks(3_840) {
            let chunk = AudioChunk::new(piece.to_vec().into(), SampleRate::Hz24000).unwrap();
            playout.push(Epoch::default(), chunk);
        }
        assert!(playout.soon.len() < 14 && !playout.later.is_empty());
        let mut heard = Vec::new();
        while let Some(due) = playout.next_release(now) {
            now = due;
            while let Some(frame) = playout.release(now) {
                heard.extend_from_slice(frame.bytes());
            }
        }
        assert!(heard == pcm, "not a sample differs");
    }

    proptest! {
        /// Whatever comes in, in whatever pieces, comes out once and never earlier than allowed.
        #[test]
        fn every_sample_comes_out_once_and_on_time(
            pieces in proptest::collection::vec((1_u32..300, 0_u64..200), 1..60)
        ) {
            let mut playout = Playout::new(LEAD, FRAME, Duration::from_secs(3_600));
            let mut now = Instant::now();
            let (mut pushed, mut released) = (Duration::ZERO, Duration::ZERO);
            for (ms, gap) in pieces {
                playout.push(Epoch::default(), speech(ms));
                pushed += Duration::from_millis(ms.into());
                released += release_all(&mut playout, now);
                let soon = playout.soon.iter().map(AudioChunk::duration);
                let waiting: Duration = soon.chain(playout.later.iter().map(Stored::duration)).sum();
                prop_assert_eq!(playout.queued_bytes(), waiting.as_millis() as usize * 48);
                let ahead = playout.heard_at.map_or(Duration::ZERO, |at| at - now.min(at));
                prop_assert!(ahead <= LEAD + FRAME);
                now += Duration::from_millis(gap);
            }
            while let Some(next) = playout.next_release(now) {
                now = next;
                released += release_all(&mut playout, now);
            }
            prop_assert_eq!(released, pushed);
        }
    }
}
