//! `sendump`: how much of each Gaussian of its phone's codebook a state has.
//!
//! The file keeps a weight as one byte, the negative logarithm in steps of 1024 units to the base
//! 1.0001. Here they are turned so that what is asked for together lies together.

use std::path::Path;

use super::ModelError;
use super::bytes::Bytes;
use super::codebooks::{GAUSSIANS, STREAMS};

/// Nats in one step of a stored weight: `1024 · ln 1.0001`.
pub(crate) const NATS_PER_STEP: f32 = 0.102_394_88;

/// The weights of one state.
pub(crate) type Weights = [[u8; GAUSSIANS]; STREAMS];

/// The weights of all states.
pub(crate) struct Mixtures {
    states: Vec<Weights>,
    /// The weight that each byte stands for.
    linear: [f32; 256],
}

impl Mixtures {
    pub(super) fn read(path: &Path, senones: usize) -> Result<Self, ModelError> {
        Self::parse(Bytes::read(path)?, senones)
    }

    pub(super) fn parse(mut bytes: Bytes, senones: usize) -> Result<Self, ModelError> {
        // A head of texts, each after its length, up to one of no length.
        loop {
            let length = bytes.count("the length of a line of the head", 4096)?;
            if length == 0 {
                break;
            }
            let line = String::from_utf8_lossy(bytes.take(length, "a line of the head")?);
            let line = line.trim_end_matches('\0').to_owned();
            for (name, wanted) in [("feature_count ", "3"), ("cluster_count ", "0")] {
                if line.strip_prefix(name).is_some_and(|value| value != wanted) {
                    return Err(bytes.wrong(format!("{name}{wanted}, and it is `{line}`")));
                }
            }
        }
        bytes.exactly("the number of Gaussians", GAUSSIANS)?;
        bytes.exactly("the number of states", senones)?;
        let mut states = vec![[[u8::MAX; GAUSSIANS]; STREAMS]; senones];
        for stream in 0..STREAMS {
            for gaussian in 0..GAUSSIANS {
                let column = bytes.take(senones, "the weights of a Gaussian")?;
                for (state, weight) in states.iter_mut().zip(column) {
                    state[stream][gaussian] = *weight;
                }
            }
        }
        bytes.end()?;
        let linear = std::array::from_fn(|step| (-NATS_PER_STEP * step as f32).exp());
        Ok(Self { states, linear })
    }

    /// The weights of a state.
    pub(crate) fn of(&self, senone: u16) -> Option<&Weights> {
        self.states.get(usize::from(senone))
    }

    /// What a stored weight stands for.
    pub(crate) fn linear(&self, stored: u8) -> f32 {
        self.linear[usize::from(stored)]
    }
}
