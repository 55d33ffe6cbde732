//! How the assistant sounds on the phone: a piece of a reply becomes a WAV file that Connect plays.
//!
//! The voice is Nova Sonic's own, taken to 8 kHz, or Amazon Polly's. A file is written before its
//! address is given away, under a name that was never used: whether Connect keeps what it has
//! fetched is not documented (connect-kvs.md §6.1). Called by the call, a task for each piece.

use std::time::Duration;

use bytes::Bytes;
use voice_audio::{Encoding, wav};
use voice_aws::{PollyPort, S3Store, polly::MAX_CHARACTERS};

use crate::{cutter::LINE_HZ, meters::Meters, sentences};

/// Longest wait for a file to be written; a flow waits for eight seconds at most.
const PUT: Duration = Duration::from_secs(4);

/// What is to be said.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// Samples at 8 kHz.
    Samples(Vec<i16>),
    /// Words for Polly.
    Words(String),
}

/// Makes files of pieces. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Voice {
    pub(crate) store: S3Store,
    pub(crate) polly: Option<PollyPort>,
    pub(crate) meters: Meters,
}

impl Voice {
    /// Puts a piece where Connect can play it. Without a place Connect says the words itself.
    pub(crate) async fn place(
        &self,
        contact_id: &str,
        id: u64,
        piece: Piece,
    ) -> (Option<String>, Duration) {
        let file = match piece {
            Piece::Samples(samples) => {
                let duration = length(samples.len());
                Some((wav::write(&samples, LINE_HZ, Encoding::Mulaw), duration))
            }
            Piece::Words(words) => self.speak(&words).await.map(|codes| {
                let duration = length(codes.len());
                (wav::write_mulaw(&codes, LINE_HZ), duration)
            }),
        };
        let Some((file, duration)) = file else {
            Meters::count(&self.meters.prompts, "not_spoken");
            return (None, Duration::ZERO);
        };
        let key = format!("{contact_id}/{id}-{}.wav", uuid::Uuid::new_v4().simple());
        let put = tokio::time::timeout(PUT, self.store.put_bytes(&key, "audio/wav", file)).await;
        let why = match put {
            Ok(Ok(())) => {
                Meters::count(&self.meters.prompts, "kept");
                self.meters.prompt_seconds.inc_by(duration.as_secs_f64());
                return (Some(self.store.url(&key)), duration);
            }
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => format!("not written within {} s", PUT.as_secs()),
        };
        tracing::error!(contact = contact_id, why, "a prompt cannot be kept; Connect says it");
        Meters::count(&self.meters.prompts, "not_kept");
        (None, Duration::ZERO)
    }

    /// The µ-law codes of some words; `None` if Polly does not say them.
    async fn speak(&self, words: &str) -> Option<Bytes> {
        let polly = self.polly.as_ref()?;
        let mut codes = Vec::new();
        for part in sentences::within(words, MAX_CHARACTERS) {
            match polly.speak(&part).await {
                Ok(part) => codes.extend_from_slice(&part),
                Err(fault) => {
                    tracing::error!(%fault, "a sentence is not spoken");
                    return None;
                }
            }
        }
        (!codes.is_empty()).then(|| codes.into())
    }
}

fn length(samples: usize) -> Duration {
    Duration::from_secs_f64(samples as f64 / f64::from(LINE_HZ))
}
