//! Echo mode: the caller's audio comes back at once, inside one long AUDIO block, for measuring.
//! Not a conversation: nothing is heard, said or billed.
//!
//! What comes back lasts as long as what came, so that traffic and playout are those of a
//! conversation. When the reply's rate is the higher one, the samples come back as they were and
//! silence fills up the rest: a mark in the samples survives, which resampling would destroy. A 32nd
//! of the time is left out: a client's playout that once fell behind catches up, as it does in the
//! pauses of a conversation; an echo has none.

use std::collections::VecDeque;

use voice_audio::{ResampleError, Resampler, SampleReader, pcm};

use super::Outbound;
use super::reply::{AudioBlock, Reply, StopReason};

/// The echo of one prompt.
#[derive(Debug)]
pub(crate) struct Echo {
    reply: Reply,
    begun: bool,
    block: Option<AudioBlock>,
    way: Way,
}

/// From the caller's rate to the reply's.
#[derive(Debug)]
enum Way {
    /// The rates are the same: the base64 goes back as it came.
    Same,
    /// The reply's is higher: silence is added.
    Filled(Filler),
    /// The reply's is lower.
    Resampled(Box<Converter>),
}

/// One of so many parts of the time is left out.
const PARTS: usize = 32;

#[derive(Debug)]
struct Filler {
    from_hz: usize,
    to_hz: usize,
    /// What the lengths so far have left over, in bytes times `from_hz` times [`PARTS`].
    owed: usize,
    /// Kept for its capacity.
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Converter {
    reader: SampleReader,
    resampler: Resampler,
}

impl Echo {
    pub(crate) fn new(reply: Reply) -> Self {
        Self { reply, begun: false, block: None, way: Way::Same }
    }

    /// The caller's audio begins, at `rate_hz`.
    pub(crate) fn opened(&mut self, rate_hz: u32) -> Result<(), ResampleError> {
        self.way = if rate_hz == self.reply.rate_hz {
            Way::Same
        } else if rate_hz < self.reply.rate_hz {
            Way::Filled(Filler {
                from_hz: rate_hz as usize,
                to_hz: self.reply.rate_hz as usize,
                owed: 0,
                scratch: Vec::new(),
            })
        } else {
            let resampler = Resampler::new(rate_hz, self.reply.rate_hz)?;
            Way::Resampled(Box::new(Converter { reader: SampleReader::new(), resampler }))
        };
        Ok(())
    }

    /// A piece of audio, in base64 and decoded.
    pub(crate) fn audio(&mut self, base64: &str, heard: &[u8], out: &mut VecDeque<Outbound>) {
        if !self.begun {
            self.begun = true;
            out.push_back(Outbound::Event(self.reply.completion_start()));
        }
        let block = self.block.get_or_insert_with(|| {
            let (start, block) = self.reply.audio();
            out.push_back(Outbound::Event(start));
            block
        });
        match &mut self.way {
            Way::Same => out.push_back(Outbound::Json(block.base64(base64))),
            Way::Filled(filler) => out.push_back(Outbound::Json(block.pcm(filler.fill(heard)))),
            Way::Resampled(converter) => {
                let samples = converter.resampler.push(&converter.reader.read(heard));
                if !samples.is_empty() {
                    out.push_back(Outbound::Json(block.pcm(&pcm::bytes(&samples))));
                }
            }
        }
    }

    /// The caller's audio ends.
    pub(crate) fn closed(&mut self, out: &mut VecDeque<Outbound>) {
        let Some(block) = self.block.take() else { return };
        if let Way::Resampled(converter) = &mut self.way {
            let rest = converter.resampler.flush();
            if !rest.is_empty() {
                out.push_back(Outbound::Json(block.pcm(&pcm::bytes(&rest))));
            }
        }
        out.push_back(Outbound::Event(self.reply.audio_end(&block, StopReason::EndTurn)));
    }

    /// The prompt ends.
    pub(crate) fn finish(&mut self, out: &mut VecDeque<Outbound>) {
        self.closed(out);
        if self.begun {
            out.push_back(Outbound::Event(self.reply.completion_end()));
        }
    }
}

impl Filler {
    /// The piece with as much silence after it as makes it last as long at the higher rate, nearly.
    /// The caller's pieces end where they like, so whole samples are added and the rest is owed.
    fn fill(&mut self, heard: &[u8]) -> &[u8] {
        let longer = (self.to_hz * (PARTS - 1)).saturating_sub(self.from_hz * PARTS);
        self.owed += heard.len() * longer;
        let silence = (self.owed / (self.from_hz * PARTS)) & !1;
        self.owed -= silence * self.from_hz * PARTS;
        self.scratch.clear();
        self.scratch.extend_from_slice(heard);
        self.scratch.resize(heard.len() + silence, 0);
        &self.scratch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_up_lasts_nearly_as_long_and_keeps_its_samples() {
        let mut filler = Filler { from_hz: 16_000, to_hz: 24_000, owed: 0, scratch: Vec::new() };
        let mut bytes = 0;
        for length in [1024, 1024, 2, 2, 100, 1366] {
            let heard: Vec<u8> = (0..length).map(|n| (n % 251) as u8 + 1).collect();
            let filled = filler.fill(&heard);
            assert_eq!(filled[..length], heard);
            assert!(
                filled[length..].iter().all(|byte| *byte == 0) && filled.len().is_multiple_of(2)
            );
            bytes += filled.len();
        }
        assert_eq!(bytes, ((1024 + 1024 + 2 + 2 + 100 + 1366) * 3 * 31 / (2 * 32)) & !1);
    }
}
