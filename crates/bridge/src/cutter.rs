//! A reply cut into pieces at its pauses, so that the first sentence is heard while the rest is
//! made.
//!
//! A machine in audio time: samples go in, pieces come out. It knows no words: a pause is where the
//! voice is quiet for a moment, and a piece is cut in the middle of it as soon as the voice goes on,
//! so that it is known of every piece whether another one follows. Called by the call with the
//! voice of Nova Sonic; a voice of Polly's is cut by its text ([`crate::sentences`]).

use std::time::Duration;

use voice_audio::{Resampler, level};

/// The rates of the server's voice and of the telephone, in Hz.
pub(crate) const VOICE_HZ: u32 = 24_000;
pub(crate) const LINE_HZ: u32 = 8_000;

/// Samples of the telephone in which the level is judged: 20 ms.
const WINDOW: usize = 160;

/// Where to cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CutConfig {
    /// The least that a first piece lasts: short, so that it is heard soon.
    pub first: Duration,
    /// The least that the others last: each one costs a round trip in which nobody speaks.
    pub least: Duration,
    /// The longest there may be; Connect plays less than five minutes.
    pub most: Duration,
    /// A pause lasts so long at least.
    pub pause: Duration,
    /// What is quieter is no voice, in decibels of full scale.
    pub quiet_dbfs: f64,
    /// A reply of which nothing more has come for so long is over, unless the server has said so
    /// sooner. Its audio comes in frames of 40 ms.
    pub rest: Duration,
}

impl Default for CutConfig {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(1_200),
            least: Duration::from_secs(4),
            most: Duration::from_secs(60),
            pause: Duration::from_millis(160),
            quiet_dbfs: -45.0,
            rest: Duration::from_millis(400),
        }
    }
}

/// Cuts the replies of one call.
#[derive(Debug)]
pub(crate) struct Cutter {
    config: CutConfig,
    resampler: Resampler,
    /// Samples of the piece in hand, 8 kHz.
    piece: Vec<i16>,
    /// How much of it was judged.
    judged: usize,
    /// How much of what was judged last is quiet.
    quiet: usize,
    /// Whether the piece in hand has a voice in it.
    has_voice: bool,
    /// Whether the piece in hand is the first of its reply.
    is_first: bool,
}

impl Cutter {
    /// `None` if there is no way from one rate to the other, and there is.
    pub(crate) fn new(config: CutConfig) -> Option<Self> {
        let resampler = Resampler::new(VOICE_HZ, LINE_HZ).ok()?;
        Some(Self {
            config,
            resampler,
            piece: Vec::new(),
            judged: 0,
            quiet: 0,
            has_voice: false,
            is_first: true,
        })
    }

    /// Takes more of the reply, 24 kHz, and gives the pieces that are complete, 8 kHz.
    pub(crate) fn push(&mut self, samples: &[i16]) -> Vec<Vec<i16>> {
        let mut pieces = Vec::new();
        let converted = self.resampler.push(samples);
        self.piece.extend(converted);
        while let Some(window) = self.piece.get(self.judged..self.judged + WINDOW) {
            let is_quiet = level::rms_dbfs(window) < self.config.quiet_dbfs;
            let least = if self.is_first { self.config.first } else { self.config.least };
            let is_pause = self.quiet >= samples_in(self.config.pause);
            let is_due = self.has_voice && is_pause && self.judged >= samples_in(least);
            if !is_quiet && is_due {
                // Half of the pause goes with each side.
                pieces.push(self.cut(self.judged - self.quiet / 2));
            }
            self.judged += WINDOW;
            if is_quiet {
                self.quiet += WINDOW;
            } else {
                (self.quiet, self.has_voice) = (0, true);
            }
            if self.judged >= samples_in(self.config.most) {
                let has_voice = self.has_voice;
                let piece = self.cut(self.judged);
                // Nobody waits for a minute of quiet.
                pieces.extend(has_voice.then_some(piece));
            }
        }
        pieces
    }

    /// The reply is over: what is left of it, unless it is nothing but quiet.
    pub(crate) fn finish(&mut self) -> Option<Vec<i16>> {
        let tail = self.resampler.flush();
        self.piece.extend(tail);
        self.is_first = true;
        let piece = std::mem::take(&mut self.piece);
        (self.judged, self.quiet) = (0, 0);
        // What was not judged is less than a window.
        std::mem::take(&mut self.has_voice).then_some(piece)
    }

    /// The reply is not wanted any more.
    pub(crate) fn forget(&mut self) {
        self.finish();
    }

    /// Bytes of the server's voice that are in no piece yet.
    pub(crate) fn in_hand_bytes(&self) -> u64 {
        bytes_of(self.piece.len())
    }

    /// Whether a reply has begun and is not over.
    pub(crate) fn is_growing(&self) -> bool {
        !self.is_first || self.has_voice
    }

    fn cut(&mut self, at: usize) -> Vec<i16> {
        let rest = self.piece.split_off(at.min(self.piece.len()));
        let piece = std::mem::replace(&mut self.piece, rest);
        self.is_first = false;
        self.judged -= at;
        self.quiet = self.quiet.min(self.judged);
        self.has_voice = false;
        piece
    }
}

/// Bytes of the server's voice that so many samples of the telephone were made of.
pub(crate) fn bytes_of(samples: usize) -> u64 {
    (samples as u64) * u64::from(VOICE_HZ / LINE_HZ) * 2
}

fn samples_in(duration: Duration) -> usize {
    (duration.as_secs_f64() * f64::from(LINE_HZ)) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cutter() -> Cutter {
        Cutter::new(CutConfig::default()).expect("a cutter")
    }

    /// `ms` of a tone, or of nothing.
    fn stretch(ms: usize, is_voice: bool) -> Vec<i16> {
        let amplitude = if is_voice { 9_000.0 } else { 0.0 };
        (0..ms * 24).map(|n| ((n as f64 * 0.1).sin() * amplitude) as i16).collect()
    }

    fn ms(piece: &[i16]) -> usize {
        piece.len() / 8
    }

    #[test]
    fn the_first_sentence_is_cut_soon_and_the_others_later() {
        let mut cutter = cutter();
        let sentences = [(1_500, true), (300, false), (1_500, true), (300, false), (3_000, true)];
        let reply: Vec<i16> =
            sentences.iter().flat_map(|(ms, is_voice)| stretch(*ms, *is_voice)).collect();
        let pieces = cutter.push(&reply);
        assert_eq!(pieces.len(), 1);
        assert!((1_550..1_700).contains(&ms(&pieces[0])), "{}", ms(&pieces[0]));
        assert!(cutter.is_growing());
        let rest = cutter.finish().expect("the rest");
        assert_eq!(ms(&pieces[0]) + ms(&rest), 6_600, "nothing is lost");
        assert!(!cutter.is_growing());
    }

    #[test]
    fn quiet_is_no_reply() {
        let mut cutter = cutter();
        assert!(cutter.push(&stretch(5_000, false)).is_empty());
        assert!(!cutter.is_growing());
        assert_eq!(cutter.finish(), None);
    }

    #[test]
    fn a_reply_without_a_pause_is_cut_all_the_same() {
        let config = CutConfig { most: Duration::from_secs(2), ..CutConfig::default() };
        let mut cutter = Cutter::new(config).expect("a cutter");
        let pieces = cutter.push(&stretch(5_000, true));
        assert_eq!(pieces.iter().map(|piece| ms(piece)).collect::<Vec<_>>(), [2_000, 2_000]);
    }

    #[test]
    fn a_reply_that_is_not_wanted_leaves_nothing() {
        let mut cutter = cutter();
        cutter.push(&stretch(1_000, true));
        cutter.forget();
        cutter.push(&stretch(500, true));
        assert_eq!(ms(&cutter.finish().expect("the second")), 500);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn pieces_are_the_reply_in_order_and_whole(
            stretches in prop::collection::vec((100_usize..2_500, any::<bool>()), 1..8),
            step in 100_usize..5_000,
        ) {
            let reply: Vec<i16> =
                stretches.into_iter().flat_map(|(ms, voice)| stretch(ms, voice)).collect();
            let mut cutter = cutter();
            let mut pieces: Vec<i16> = Vec::new();
            for part in reply.chunks(step) {
                pieces.extend(cutter.push(part).concat());
            }
            let rest = cutter.finish();
            let is_whole = rest.is_some();
            pieces.extend(rest.unwrap_or_default());
            let whole = voice_audio::resample(&reply, VOICE_HZ, LINE_HZ).expect("rates");
            if is_whole {
                prop_assert_eq!(pieces, whole);
            } else {
                prop_assert_eq!(&pieces[..], &whole[..pieces.len()]);
            }
        }
    }
}
