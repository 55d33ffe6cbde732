//! The tail of the caller's audio: what nobody has answered yet.
//!
//! A stream can end at any moment, by its age or by a fault. Whatever the caller said that the
//! lost one has not answered must be heard by the next one, once, from its first sample on. So the
//! end of the caller's audio is kept here: while the caller is silent a few seconds, because the
//! onset of speech is reported late; what is loud until the stream has said what it makes of it;
//! while something said is unanswered all of it, up to a limit;
//! and while there is no stream everything, silence excepted when there is too much.
//!
//! Positions are counted in samples of the caller's own audio since the call began.
//!
//! A machine: no actix, no clock.

use std::{collections::VecDeque, time::Duration};

use voice_audio::Packed;
use voice_call::{AudioChunk, SampleRate};

use crate::loudness::Loudness;

/// Below this amplitude (of 32,767) a chunk counts as silence that may go when there is too much.
const SILENCE: u16 = 200;
/// An utterance that is not answered for so long (of audio) was noise.
const NOISE_AFTER: Duration = Duration::from_secs(10);
/// Audio before the reported onset of speech that belongs to it.
const PRE_ROLL: Duration = Duration::from_millis(300);

/// What one piece of a replay holds at least, unless there is a hole or the end.
const PIECE_BYTES: usize = SampleRate::Hz16000.bytes_in_ms(1_000);

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailLimits {
    /// While the caller is silent.
    pub window: Duration,
    /// While something is unanswered, or no stream is up.
    pub longest: Duration,
}

/// The tail of one call.
#[derive(Debug)]
pub struct Tail {
    window: u64,
    longest: u64,
    chunks: VecDeque<Piece>,
    /// Samples in `chunks`.
    kept: u64,
    /// After the last sample.
    end: u64,
    /// What is before this was answered: it is never said again.
    floor: u64,
    /// The beginning of the first utterance that nobody has answered.
    open: Option<u64>,
    /// The end of the last utterance that has ended and was not answered.
    ended: Option<u64>,
    /// The beginning of the utterance that is being spoken.
    speaking: Option<u64>,
    /// Up to here the stream has told what it heard.
    reported: u64,
    /// The beginning of the first loud audio of which it has not.
    loud: Option<u64>,
    ear: Loudness,
    has_stream: bool,
}

#[derive(Debug)]
struct Piece {
    from: u64,
    /// It is kept for seconds and hardly ever heard again.
    audio: Packed,
    silent: bool,
    loud: bool,
}

impl Tail {
    /// An empty tail of a call that has no stream yet.
    pub fn new(limits: TailLimits) -> Self {
        Self {
            window: samples(limits.window),
            longest: samples(limits.longest.max(limits.window)),
            chunks: VecDeque::new(),
            kept: 0,
            end: 0,
            floor: 0,
            open: None,
            ended: None,
            speaking: None,
            reported: 0,
            loud: None,
            ear: Loudness::default(),
            has_stream: false,
        }
    }

    /// The caller's next audio. Returns its position, and how many chunks had to go although
    /// nobody may have heard them.
    pub fn push(&mut self, audio: AudioChunk) -> (u64, usize) {
        let from = self.end;
        let (silent, loud) = (is_silent(&audio), self.ear.is_loud(&audio));
        self.end += audio.samples() as u64;
        self.kept += audio.samples() as u64;
        let audio = Packed::of(audio.bytes());
        self.chunks.push_back(Piece { from, audio, silent, loud });
        if self.ended.is_some_and(|at| self.end - at.min(self.end) > samples(NOISE_AFTER)) {
            self.answered();
        }
        if loud {
            self.loud.get_or_insert(from);
        }
        // What nobody makes anything of for so long was noise as well.
        let oldest = self.longest.saturating_sub(samples(PRE_ROLL));
        self.settle_loud(self.end.saturating_sub(oldest));
        (from, self.trim())
    }

    /// A stream hears the caller from now on.
    pub fn attach(&mut self) {
        self.has_stream = true;
        // It is about to hear what is kept, and has told nothing of it yet.
        self.reported = self.floor;
        self.trim();
    }

    /// No stream hears the caller.
    pub fn detach(&mut self) {
        self.has_stream = false;
        // Whatever began on the lost stream begins on the next one again.
        self.open = self.open.or(self.speaking);
        self.speaking = None;
    }

    /// The stream heard speech begin here.
    pub fn speech_started(&mut self, at: u64) {
        let from = at.saturating_sub(samples(PRE_ROLL)).max(self.floor);
        self.speaking = Some(from);
        self.open.get_or_insert(from);
        self.settle_loud(at);
    }

    /// The stream heard the speech end here.
    pub fn speech_ended(&mut self, at: u64) {
        self.speaking = None;
        self.ended = Some(at.min(self.end));
        self.settle_loud(at);
    }

    /// What was said so far, and has ended, is answered.
    pub fn answered(&mut self) {
        if let Some(ended) = self.ended.take() {
            self.floor = self.floor.max(ended);
            self.open = self.speaking;
            self.trim();
        }
    }

    /// Everything up to now is settled: none of it may be heard again.
    pub fn forget(&mut self) {
        self.floor = self.end;
        (self.open, self.ended, self.speaking, self.loud) = (None, None, None, None);
        self.trim();
    }

    /// Whether something loud came of which the stream has not said what it makes.
    pub fn is_unheard(&self) -> bool {
        self.loud.is_some()
    }

    /// Whether the caller has said something that nobody has answered.
    pub fn is_unanswered(&self) -> bool {
        self.open.is_some()
    }

    /// What the next stream has to hear first, in order, with its positions; in pieces of up to a
    /// second, so that even a long tail is a few messages.
    pub fn replay(&self) -> Vec<(u64, AudioChunk)> {
        let from = self.from();
        let mut joined: Vec<(u64, Vec<u8>)> = Vec::new();
        for piece in self.chunks.iter().filter(|piece| piece.end() > from) {
            let before = from.saturating_sub(piece.from);
            let pcm = piece.audio.unpack();
            let (at, pcm) = (piece.from + before, &pcm[before as usize * 2..]);
            match joined.last_mut() {
                Some((start, run))
                    if *start + run.len() as u64 / 2 == at && run.len() < PIECE_BYTES =>
                {
                    run.extend_from_slice(pcm);
                }
                _ => joined.push((at, pcm.to_vec())),
            }
        }
        let chunk = |pcm: Vec<u8>| AudioChunk::new(pcm.into(), SampleRate::Hz16000).ok();
        joined.into_iter().filter_map(|(at, pcm)| Some((at, chunk(pcm)?))).collect()
    }

    /// How many samples are kept.
    pub fn kept(&self) -> u64 {
        self.kept
    }

    /// The first sample that may be needed again.
    fn from(&self) -> u64 {
        let recent = self.end.saturating_sub(if self.has_stream { self.window } else { u64::MAX });
        let loud = self.loud.map(|at| at.saturating_sub(samples(PRE_ROLL)));
        [self.open, loud].into_iter().flatten().fold(recent, u64::min).max(self.floor)
    }

    /// It is known what is before `at`; what is loud after it is not.
    fn settle_loud(&mut self, at: u64) {
        self.reported = self.reported.max(at);
        if self.loud.is_some_and(|loud| loud < self.reported) {
            let loud = |piece: &&Piece| piece.loud && piece.end() > self.reported;
            self.loud = self.chunks.iter().find(loud).map(|piece| piece.from.max(self.reported));
        }
    }

    /// Lets go of what is not needed; counts what was let go although it may be.
    fn trim(&mut self) -> usize {
        let from = self.from();
        while self.chunks.front().is_some_and(|piece| piece.end() <= from) {
            self.remove(0);
        }
        let mut lost = 0;
        while self.kept > self.longest && !self.chunks.is_empty() {
            // The silence before speech is missed least.
            let silent = self.chunks.iter().position(|piece| piece.silent);
            self.remove(silent.unwrap_or(0));
            lost += 1;
        }
        lost
    }

    fn remove(&mut self, at: usize) {
        if let Some(piece) = self.chunks.remove(at) {
            self.kept -= piece.audio.samples() as u64;
        }
    }
}

impl Piece {
    fn end(&self) -> u64 {
        self.from + self.audio.samples() as u64
    }
}

/// Samples of the caller's audio in a time.
fn samples(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 16) * RATE_PER_MS
}

const RATE_PER_MS: u64 = SampleRate::Hz16000.hertz() as u64 / 1_000;

fn is_silent(audio: &AudioChunk) -> bool {
    let mut samples = audio.bytes().chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]]));
    samples.all(|sample| sample.unsigned_abs() < SILENCE)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 16_000;

    fn tail() -> Tail {
        let s = Duration::from_secs;
        Tail::new(TailLimits { window: s(3), longest: s(30) })
    }

    /// 100 ms, of which each sample is `value`.
    fn sound(value: i16) -> AudioChunk {
        let pcm: Vec<u8> = std::iter::repeat_n(value.to_le_bytes(), 1_600).flatten().collect();
        AudioChunk::new(Bytes::from(pcm), SampleRate::Hz16000).unwrap()
    }

    fn speak(tail: &mut Tail, tenths: usize, value: i16) -> usize {
        (0..tenths).map(|_| tail.push(sound(value)).1).sum()
    }

    /// From where the replay is, and that it has no hole.
    fn replay_from(tail: &Tail) -> Option<u64> {
        let all = tail.replay();
        for pair in all.windows(2) {
            assert_eq!(pair[0].0 + pair[0].1.samples() as u64, pair[1].0, "a hole");
        }
        all.first().map(|(from, _)| *from)
    }

    fn replay_holes(tail: &Tail) -> usize {
        let all = tail.replay();
        let whole =
            |pair: &[(u64, AudioChunk)]| pair[0].0 + pair[0].1.samples() as u64 == pair[1].0;
        all.windows(2).filter(|pair| !whole(pair)).count() + usize::from(all[0].0 > 0)
    }

    #[test]
    fn silence_is_kept_for_the_window_only() {
        let mut tail = tail();
        tail.attach();
        assert_eq!(speak(&mut tail, 100, 0), 0);
        assert_eq!(replay_from(&tail), Some(7 * SECOND));
        assert_eq!(tail.kept(), 3 * SECOND);
    }

    #[test]
    fn an_utterance_is_kept_whole_until_it_is_answered() {
        let mut tail = tail();
        tail.attach();
        speak(&mut tail, 100, 0);
        // The onset is reported late, but within the window.
        speak(&mut tail, 20, 5_000);
        tail.speech_started(10 * SECOND);
        speak(&mut tail, 60, 5_000);
        assert_eq!(replay_from(&tail), Some(10 * SECOND - 4_800), "with its pre-roll");
        speak(&mut tail, 30, 0);
        tail.speech_ended(18 * SECOND);
        assert!(tail.is_unanswered());
        assert_eq!(replay_from(&tail), Some(10 * SECOND - 4_800));
        tail.answered();
        assert!(!tail.is_unanswered());
        assert_eq!(replay_from(&tail), Some(18 * SECOND), "what was answered is never replayed");
    }

    #[test]
    fn an_answer_does_not_settle_what_is_said_over_it() {
        let mut tail = tail();
        tail.attach();
        speak(&mut tail, 20, 5_000);
        tail.speech_started(0);
        speak(&mut tail, 20, 5_000);
        tail.speech_ended(2 * SECOND);
        tail.speech_started(3 * SECOND);
        // So long that the window does not reach back to its beginning.
        speak(&mut tail, 40, 5_000);
        tail.answered();
        assert_eq!(replay_from(&tail), Some(3 * SECOND - 4_800));
        tail.answered();
        assert_eq!(replay_from(&tail), Some(3 * SECOND - 4_800), "it has not ended");
    }

    #[test]
    fn what_is_loud_is_kept_until_the_stream_has_said_what_it_heard() {
        let mut tail = tail();
        tail.attach();
        speak(&mut tail, 20, 0);
        speak(&mut tail, 20, 5_000);
        speak(&mut tail, 50, 0);
        let onset = 2 * SECOND;
        assert_eq!(replay_from(&tail), Some(onset - 4_800), "far beyond the window");
        tail.speech_started(onset);
        tail.speech_ended(4 * SECOND);
        tail.answered();
        assert_eq!(replay_from(&tail), Some(6 * SECOND), "it was answered");
        // A noise of which the stream never says a word.
        speak(&mut tail, 1, 5_000);
        speak(&mut tail, 294, 0);
        assert_eq!(replay_from(&tail), Some(9 * SECOND - 4_800));
        speak(&mut tail, 8, 0);
        assert_eq!(replay_from(&tail), Some(tail.end - 3 * SECOND));
    }

    #[test]
    fn noise_is_given_up_after_a_time() {
        let mut tail = tail();
        tail.attach();
        speak(&mut tail, 20, 5_000);
        tail.speech_started(0);
        tail.speech_ended(2 * SECOND);
        speak(&mut tail, 101, 0);
        assert!(!tail.is_unanswered());
        assert_eq!(tail.kept(), 3 * SECOND);
    }

    #[test]
    fn without_a_stream_all_is_kept_and_silence_goes_first() {
        let mut tail = tail();
        let lost = speak(&mut tail, 100, 0) + speak(&mut tail, 150, 5_000);
        assert_eq!((lost, replay_from(&tail)), (0, Some(0)));
        assert_eq!(speak(&mut tail, 100, 5_000), 50, "5 s too much: 5 s of silence go");
        let seconds = |tail: &Tail| {
            let samples: usize = tail.replay().iter().map(|(_, audio)| audio.samples()).sum();
            samples as u64 / SECOND
        };
        assert_eq!((seconds(&tail), replay_holes(&tail)), (30, 1));
        assert_eq!(speak(&mut tail, 60, 5_000), 60, "then the oldest");
        assert_eq!(seconds(&tail), 30);
    }

    #[test]
    fn a_lost_stream_leaves_what_it_was_hearing() {
        let mut tail = tail();
        tail.attach();
        speak(&mut tail, 20, 5_000);
        tail.speech_started(SECOND);
        speak(&mut tail, 30, 5_000);
        tail.detach();
        speak(&mut tail, 50, 5_000);
        assert_eq!(replay_from(&tail), Some(SECOND - 4_800), "and no more than that");
    }

    #[test]
    fn what_must_not_be_heard_again_is_forgotten() {
        let mut tail = tail();
        speak(&mut tail, 10, 5_000);
        tail.forget();
        assert_eq!(replay_from(&tail), None);
        speak(&mut tail, 10, 5_000);
        assert_eq!(replay_from(&tail), Some(SECOND));
    }

    proptest! {
        /// Whatever happens, the replay has no hole unless something had to go, ends with the
        /// present, and never holds what was answered.
        #[test]
        fn the_replay_is_the_end_of_the_audio(steps in proptest::collection::vec(0_u8..8, 1..200)) {
            let mut tail = tail();
            let (mut lost, mut answered) = (0, 0);
            for step in steps {
                match step {
                    0..=2 => lost += speak(&mut tail, 7, 5_000),
                    3 => tail.speech_started(tail.end.saturating_sub(3_000)),
                    4 => tail.speech_ended(tail.end),
                    5 => {
                        answered = tail.ended.unwrap_or(answered).max(answered);
                        tail.answered();
                    }
                    6 => tail.attach(),
                    _ => tail.detach(),
                }
                let all = tail.replay();
                if let Some((from, audio)) = all.last() {
                    prop_assert_eq!(from + audio.samples() as u64, tail.end);
                }
                if let Some((from, _)) = all.first() {
                    prop_assert!(*from >= answered);
                }
                if lost == 0 {
                    replay_from(&tail);
                }
            }
        }
    }
}
