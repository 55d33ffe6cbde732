//! Who listens to one caller: an ear for speech and silence, and beside it a recogniser, if there
//! is one.
//!
//! It finds the turns and says what was said in them; what follows from that is the business of the
//! session and of the stand-in for Transcribe, which both have one. All times are audio time.
//!
//! ```text
//!                 speech begins                         silence
//!   waiting ------------------------> listening ---------------------> Ended, with what was said
//!   keeps the last 400 ms             a partial every 100 ms;
//!                                     while digits are read out, it waits longer for the next one
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use voice_audio::activity::RATE_HZ;
use voice_ears::{Domain, Heard, Recogniser};

use crate::denoise::Denoiser;
use crate::ear::{Ear, EarEvent};
use crate::ears::Ears;

/// Silence that ends a turn, for one who understands what is said (local-voice.md §4) ...
const PAUSE: Duration = Duration::from_millis(350);
/// ... and after a digit: people read out numbers in groups.
const PAUSE_IN_DIGITS: Duration = Duration::from_millis(650);
/// Sound before speech was noticed that belongs to it.
const PRE_ROLL: usize = RATE_HZ as usize * 4 / 10;
/// Sound between two partials: 100 ms.
const PARTIAL: usize = RATE_HZ as usize / 10;
/// Samples that are heard at a time, so that turns begin and end at the right place: 16 ms.
const BLOCK: usize = voice_audio::activity::FRAME_SAMPLES;
/// What fits the sound worse than this, against the best phones, was not one of the phrases. Few
/// phones of a synthesiser fit as well as those of people: theirs stay above -1.5, Pico's above -2.9.
const BAD_SOUND: f32 = -3.0;
/// What is put together from pieces of phrases worse than this was not one of them either. People
/// and synthesisers that say a phrase stay above -3.5, and people who read out a novel below -5.
const BAD_LANGUAGE: f32 = -4.5;

/// What became of a turn's words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Understood {
    /// Nobody here understands words.
    Deaf,
    /// It was none of the phrases, as far as can be told.
    Unclear,
    /// This was said.
    Words(Heard),
}

/// What was noticed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Noticed {
    /// As the ear says.
    Started { offset_ms: u64 },
    /// The words so far have changed.
    Partial { begin_ms: u64, heard: Heard },
    /// As the ear says, and what was said. Times of the words count from `begin_ms`.
    Ended { end: EarEvent, begin_ms: u64, said: Understood },
}

/// Listens to one caller.
pub(crate) struct Listener {
    ear: Ear,
    recogniser: Option<Recogniser>,
    /// Before the recogniser, when wanted. The ear hears the sound as it came: it copes with noise,
    /// and noise reduction is late.
    denoiser: Option<Denoiser>,
    /// The silence that ends a turn where nothing is understood.
    pause: Duration,
    /// The sound before speech is noticed.
    before: VecDeque<i16>,
    /// Samples that came to the recogniser, wanted or not: less than the ear heard by what the
    /// denoiser still has.
    position: u64,
    /// Where the recogniser's turn begins.
    begin_ms: u64,
    /// Samples since the last partial.
    since_partial: usize,
    partial: Heard,
}

impl Listener {
    /// Listens to mono audio at `rate_hz`. `pause` ends a turn for one who understands nothing.
    pub(crate) fn new(rate_hz: u32, pause: Duration, ears: Option<&Ears>) -> Self {
        Self {
            ear: Ear::new(rate_hz, pause),
            recogniser: ears.map(|ears| Recogniser::new(ears.model())),
            denoiser: ears.and_then(|ears| Denoiser::new(ears.denoise())),
            pause,
            before: VecDeque::new(),
            position: 0,
            begin_ms: 0,
            since_partial: 0,
            partial: Heard::default(),
        }
    }

    /// Hears the next piece of PCM16. `domain` has what may be said now; it is asked when a turn
    /// begins.
    pub(crate) fn push(
        &mut self,
        pcm_le: &[u8],
        domain: &dyn Fn() -> Option<Arc<Domain>>,
    ) -> Vec<Noticed> {
        let samples = self.ear.read(pcm_le);
        let mut noticed = Vec::new();
        for block in samples.chunks(BLOCK) {
            self.hear(block, domain, &mut noticed);
        }
        noticed
    }

    /// Calls a turn over now, as when the client closes the audio content.
    pub(crate) fn force_end(&mut self) -> Option<Noticed> {
        let end = self.ear.force_end()?;
        if let Some(rest) = self.denoiser.as_mut().map(Denoiser::flush) {
            // Words that change here are in what was said.
            self.listen(&rest, &mut Vec::new());
        }
        Some(self.end(end))
    }

    fn hear(
        &mut self,
        block: &[i16],
        domain: &dyn Fn() -> Option<Arc<Domain>>,
        noticed: &mut Vec<Noticed>,
    ) {
        let events = self.ear.hear(block);
        match &mut self.denoiser {
            None => self.listen(block, noticed),
            Some(denoiser) => {
                let clean = denoiser.push(block);
                self.listen(&clean, noticed);
            }
        }
        for event in events {
            match event {
                EarEvent::SpeechStarted { offset_ms } => {
                    self.begin(domain());
                    noticed.push(Noticed::Started { offset_ms });
                }
                EarEvent::SpeechEnded { .. } => {
                    let ended = self.end(event);
                    noticed.push(ended);
                }
            }
        }
    }

    fn begin(&mut self, domain: Option<Arc<Domain>>) {
        let (Some(recogniser), Some(domain)) = (&mut self.recogniser, domain) else {
            self.ear.set_endpointing(self.pause);
            return;
        };
        self.ear.set_endpointing(PAUSE.min(self.pause));
        let before = self.before.make_contiguous();
        self.begin_ms = (self.position - before.len() as u64) * 1_000 / u64::from(RATE_HZ);
        recogniser.begin(domain);
        recogniser.push(before);
        self.before.clear();
        self.since_partial = 0;
        self.partial = Heard::default();
    }

    /// The recogniser's share of a block.
    fn listen(&mut self, block: &[i16], noticed: &mut Vec<Noticed>) {
        self.position += block.len() as u64;
        let Some(recogniser) = &mut self.recogniser else { return };
        if !recogniser.is_listening() {
            self.before.extend(block);
            let old = self.before.len().saturating_sub(PRE_ROLL);
            self.before.drain(..old);
            return;
        }
        recogniser.push(block);
        self.since_partial += block.len();
        if self.since_partial < PARTIAL {
            return;
        }
        self.since_partial = 0;
        let heard = recogniser.partial();
        let pause = if ends_in_digit(&heard) { PAUSE_IN_DIGITS } else { PAUSE };
        self.ear.set_endpointing(pause.min(self.pause));
        if heard.text() != self.partial.text() {
            self.partial.clone_from(&heard);
            noticed.push(Noticed::Partial { begin_ms: self.begin_ms, heard });
        }
    }

    fn end(&mut self, end: EarEvent) -> Noticed {
        let said = match self.recogniser.as_mut().filter(|recogniser| recogniser.is_listening()) {
            None => Understood::Deaf,
            Some(recogniser) => match recogniser.finish() {
                heard if !is_trusted(&heard) => Understood::Unclear,
                heard => Understood::Words(heard),
            },
        };
        Noticed::Ended { end, begin_ms: self.begin_ms, said }
    }
}

/// Whether it was one of the phrases, as far as can be told.
fn is_trusted(heard: &Heard) -> bool {
    !heard.words.is_empty() && heard.gap >= BAD_SOUND && heard.language >= BAD_LANGUAGE
}

/// Whether the caller is likely to be reading out a number.
fn ends_in_digit(heard: &Heard) -> bool {
    heard.words.last().is_some_and(|word| {
        let digits = voice_ears::Slot::Digits { length: None };
        matches!(word.text.as_str(), "double" | "triple" | "dash")
            || !digits.read(&[word.text.as_str()]).is_empty()
    })
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("ear", &self.ear).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
