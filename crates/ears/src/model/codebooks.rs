//! `means` and `variances`: what each phone sounds like, as clouds of points.
//!
//! Phonetically tied mixtures: a phone has one codebook of 128 Gaussians for each of the three
//! streams of features (cepstra, their change, the change of that), and all states of all its
//! triphones share it. Scored once per frame and phone by `score`.

use std::path::Path;

use super::ModelError;
use super::bytes::Bytes;

/// Streams of features.
pub(crate) const STREAMS: usize = 3;
/// Numbers in a stream.
pub(crate) const WIDTH: usize = 13;
/// Gaussians in a codebook.
pub(crate) const GAUSSIANS: usize = 128;

/// No variance is taken for smaller than this, as the model was trained.
const LEAST_VARIANCE: f32 = 1e-4;

/// The Gaussians of one phone in one stream, dimension by dimension, so that the processor can
/// take several of them at a time.
pub(crate) struct Codebook {
    means: [[f32; GAUSSIANS]; WIDTH],
    /// One over twice the variance.
    precisions: [[f32; GAUSSIANS]; WIDTH],
    /// What does not depend on the features.
    constants: [f32; GAUSSIANS],
}

impl Codebook {
    /// The log density of each Gaussian at a point, in nats.
    pub(crate) fn densities(&self, point: &[f32; WIDTH]) -> [f32; GAUSSIANS] {
        let mut sums = self.constants;
        for ((value, means), precisions) in point.iter().zip(&self.means).zip(&self.precisions) {
            for ((sum, mean), precision) in sums.iter_mut().zip(means).zip(precisions) {
                let off = value - mean;
                *sum -= off * off * precision;
            }
        }
        sums
    }
}

/// The codebooks of a model, [`STREAMS`] for each phone.
pub(crate) struct Codebooks {
    books: Vec<[Codebook; STREAMS]>,
}

impl Codebooks {
    pub(super) fn read(means: &Path, variances: &Path, phones: usize) -> Result<Self, ModelError> {
        Self::parse(Bytes::read(means)?, Bytes::read(variances)?, phones)
    }

    pub(super) fn parse(means: Bytes, variances: Bytes, phones: usize) -> Result<Self, ModelError> {
        let means = values(means, phones, |mean| mean.is_finite(), "a number")?;
        let plausible = |variance: f32| variance.is_finite() && variance >= 0.0;
        let variances = values(variances, phones, plausible, "a variance")?;
        let cell = GAUSSIANS * WIDTH;
        let mut cells = means.chunks_exact(cell).zip(variances.chunks_exact(cell));
        let mut books = Vec::with_capacity(phones);
        for _ in 0..phones {
            books.push(std::array::from_fn(|_| {
                cells.next().map_or_else(Codebook::silent, |(m, v)| Codebook::new(m, v))
            }));
        }
        Ok(Self { books })
    }

    /// The codebooks of every phone, in the order of the phones.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[Codebook; STREAMS]> {
        self.books.iter()
    }
}

impl Codebook {
    fn silent() -> Self {
        let zero = [[0.0; GAUSSIANS]; WIDTH];
        Self { means: zero, precisions: zero, constants: [0.0; GAUSSIANS] }
    }

    /// From the file's order, Gaussian by Gaussian.
    fn new(means: &[f32], variances: &[f32]) -> Self {
        let mut book = Self::silent();
        let gaussians = means.chunks_exact(WIDTH).zip(variances.chunks_exact(WIDTH));
        for (gaussian, (means, variances)) in gaussians.enumerate().take(GAUSSIANS) {
            for (dimension, (mean, variance)) in means.iter().zip(variances).enumerate() {
                let variance = variance.max(LEAST_VARIANCE);
                book.means[dimension][gaussian] = *mean;
                book.precisions[dimension][gaussian] = 0.5 / variance;
                book.constants[gaussian] -= 0.5 * (std::f32::consts::TAU * variance).ln();
            }
        }
        book
    }
}

/// The numbers of one of the two files: a head that says how many, then all of them.
fn values(
    mut bytes: Bytes,
    phones: usize,
    plausible: fn(f32) -> bool,
    what: &str,
) -> Result<Vec<f32>, ModelError> {
    let start = bytes.s3_head()?;
    bytes.exactly("the number of codebooks, one for each phone", phones)?;
    bytes.exactly("the number of streams", STREAMS)?;
    bytes.exactly("the number of Gaussians", GAUSSIANS)?;
    for _ in 0..STREAMS {
        bytes.exactly("the width of a stream", WIDTH)?;
    }
    let count = phones * STREAMS * GAUSSIANS * WIDTH;
    bytes.exactly("the number of values", count)?;
    let values = bytes.f32s(count, "the values")?;
    if let Some(odd) = values.iter().find(|value| !plausible(**value)) {
        return Err(bytes.wrong(format!("{what} everywhere, and one is {odd}")));
    }
    bytes.s3_checksum(start)?;
    bytes.end()?;
    Ok(values)
}
