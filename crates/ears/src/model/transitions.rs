//! `transition_matrices`: how long a phone stays in which of its states.

use std::path::Path;

use super::ModelError;
use super::bytes::Bytes;
use super::phones::STATES;

/// No way that exists is taken for less likely than this.
const LEAST: f32 = 1e-4;

/// The logarithms of a phone's ways.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transitions {
    /// To the same state again.
    pub(crate) stay: [f32; STATES],
    /// To the next state; from the last one out of the phone.
    pub(crate) step: [f32; STATES],
    /// Past one state; out of the phone from the last but one.
    pub(crate) skip: [f32; STATES],
}

pub(super) fn read(path: &Path, phones: usize) -> Result<Vec<Transitions>, ModelError> {
    parse(Bytes::read(path)?, phones)
}

pub(super) fn parse(mut bytes: Bytes, phones: usize) -> Result<Vec<Transitions>, ModelError> {
    let start = bytes.s3_head()?;
    bytes.exactly("the number of matrices, one for each phone", phones)?;
    bytes.exactly("the number of states", STATES)?;
    bytes.exactly("the number of states and the way out", STATES + 1)?;
    let count = phones * STATES * (STATES + 1);
    bytes.exactly("the number of values", count)?;
    let values = bytes.f32s(count, "the values")?;
    bytes.s3_checksum(start)?;
    bytes.end()?;

    let mut all = Vec::with_capacity(phones);
    for matrix in values.chunks_exact(STATES * (STATES + 1)) {
        let mut found = Transitions {
            stay: [f32::NEG_INFINITY; STATES],
            step: [f32::NEG_INFINITY; STATES],
            skip: [f32::NEG_INFINITY; STATES],
        };
        for (from, row) in matrix.chunks_exact(STATES + 1).enumerate() {
            let sum: f32 = row.iter().sum();
            let forward = |(to, value): (usize, &f32)| {
                value.is_finite()
                    && *value >= 0.0
                    && (*value == 0.0 || (from..=from + 2).contains(&to))
            };
            if !(row.iter().enumerate().all(forward) && sum > 0.0) {
                return Err(bytes.wrong(format!("ways that lead forward, and one is {row:?}")));
            }
            let log = |to: usize| match row.get(to) {
                Some(value) if *value > 0.0 => (value / sum).max(LEAST).ln(),
                _ => f32::NEG_INFINITY,
            };
            found.stay[from] = log(from);
            found.step[from] = log(from + 1);
            found.skip[from] = log(from + 2);
        }
        all.push(found);
    }
    Ok(all)
}
