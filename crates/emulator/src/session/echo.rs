//! Echo mode: the caller's audio comes back at once, inside one long AUDIO block, for measuring.
//! Not a conversation: nothing is heard, said or billed.

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
    converter: Option<Converter>,
}

/// From the caller's rate to the reply's.
#[derive(Debug)]
struct Converter {
    reader: SampleReader,
    resampler: Resampler,
}

impl Echo {
    pub(crate) fn new(reply: Reply) -> Self {
        Self { reply, begun: false, block: None, converter: None }
    }

    /// The caller's audio begins, at `rate_hz`.
    pub(crate) fn opened(&mut self, rate_hz: u32) -> Result<(), ResampleError> {
        self.converter = if rate_hz == self.reply.rate_hz {
            None
        } else {
            let resampler = Resampler::new(rate_hz, self.reply.rate_hz)?;
            Some(Converter { reader: SampleReader::new(), resampler })
        };
        Ok(())
    }

    /// A piece of audio, in base64 and decoded. At equal rates the base64 goes back as it came.
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
        let Some(converter) = &mut self.converter else {
            out.push_back(Outbound::Json(block.base64(base64)));
            return;
        };
        let samples = converter.resampler.push(&converter.reader.read(heard));
        if !samples.is_empty() {
            out.push_back(Outbound::Json(block.pcm(&pcm::bytes(&samples))));
        }
    }

    /// The caller's audio ends.
    pub(crate) fn closed(&mut self, out: &mut VecDeque<Outbound>) {
        let Some(block) = self.block.take() else { return };
        if let Some(converter) = &mut self.converter {
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
