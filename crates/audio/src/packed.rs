//! PCM that waits and is most likely never asked for again, in less memory and without loss.
//!
//! Thirty-two samples at a time: the difference to what the samples before foretell, in as many bits
//! as the largest of them needs. Speech takes about half of its size, pauses a fifth. It is no file
//! format: nothing packed leaves the process. Used by the engine for what a lost connection or
//! stream may need.
//!
//! ```text
//! block:  1 byte (order of the prediction << 5 | bits of a residual) | 32 residuals, zigzag
//! ```

use bytes::Bytes;

/// Samples of a block.
const BLOCK: usize = 32;
/// Bits of the width in a block's first byte.
const WIDTH_BITS: u32 = 5;

/// A run of whole PCM16 little-endian samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed {
    bytes: Box<[u8]>,
    samples: usize,
}

impl Packed {
    /// Packs whole samples; a byte too many is left out.
    pub fn of(pcm: &[u8]) -> Self {
        let samples = pcm.len() / 2;
        let mut out = Vec::with_capacity(pcm.len() + samples / BLOCK + 2);
        // The two samples before, then those of the block.
        let mut line = [0_i32; BLOCK + 2];
        for piece in pcm[..samples * 2].chunks(BLOCK * 2) {
            let count = piece.len() / 2;
            for (place, pair) in line[2..].iter_mut().zip(piece.chunks_exact(2)) {
                *place = i32::from(i16::from_le_bytes([pair[0], pair[1]]));
            }
            pack_block(&line, count, &mut out);
            (line[0], line[1]) = (line[count], line[count + 1]);
        }
        // A box of its own, not the shrunk vector: what the shrinking leaves over is a hole in the heap
        // that the next vector does not fit into.
        Self { bytes: out.as_slice().into(), samples }
    }

    /// The samples as they were.
    pub fn unpack(&self) -> Bytes {
        let mut pcm = Vec::with_capacity(self.samples * 2);
        let (mut rest, mut left) = (&self.bytes[..], self.samples);
        let (mut before, mut last) = (0_i32, 0_i32);
        while let Some((head, body)) = rest.split_first()
            && left > 0
        {
            let (order, width) = (head >> WIDTH_BITS, u32::from(head & ((1 << WIDTH_BITS) - 1)));
            let count = left.min(BLOCK);
            let size = (count * width as usize).div_ceil(8);
            let (body, next) = body.split_at(size.min(body.len()));
            let mut bits = Bits { bytes: body, kept: 0, held: 0 };
            for _ in 0..count {
                let zigzag = bits.take(width);
                let residual = (zigzag >> 1) as i32 ^ -((zigzag & 1) as i32);
                let sample = residual + foretold(order, before, last);
                (before, last) = (last, sample);
                pcm.extend_from_slice(&(sample as i16).to_le_bytes());
            }
            (rest, left) = (next, left - count);
        }
        pcm.into()
    }

    /// How many samples.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The memory that it takes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

fn foretold(order: u8, before: i32, last: i32) -> i32 {
    match order {
        0 => 0,
        1 => last,
        _ => 2 * last - before,
    }
}

/// Loops of a fixed length over one kind of residual each: those the compiler does many at a time.
fn pack_block(line: &[i32; BLOCK + 2], count: usize, out: &mut Vec<u8>) {
    let zigzag = |residual: i32| ((residual << 1) ^ (residual >> 31)) as u32;
    let mut residuals = [[0_u32; BLOCK]; 3];
    for at in 0..BLOCK {
        residuals[0][at] = zigzag(line[at + 2]);
    }
    for at in 0..BLOCK {
        residuals[1][at] = zigzag(line[at + 2] - line[at + 1]);
    }
    for at in 0..BLOCK {
        residuals[2][at] = zigzag(line[at + 2] - 2 * line[at + 1] + line[at]);
    }
    let all = residuals.map(|of| of[..count].iter().fold(0, |bits, residual| bits | residual));
    let widths = all.map(|bits| u32::BITS - bits.leading_zeros());
    let order = (0..3).min_by_key(|order| widths[*order]).unwrap_or(0);
    let width = widths[order];
    out.push((order as u8) << WIDTH_BITS | width as u8);
    let (mut held, mut kept) = (0_u64, 0);
    for residual in &residuals[order][..count] {
        held |= u64::from(*residual) << kept;
        kept += width;
        if kept >= 32 {
            out.extend_from_slice(&(held as u32).to_le_bytes());
            held >>= 32;
            kept -= 32;
        }
    }
    let rest = kept.div_ceil(8) as usize;
    out.extend_from_slice(&held.to_le_bytes()[..rest]);
}

/// Reads numbers of some bits each, lowest bit first.
struct Bits<'a> {
    bytes: &'a [u8],
    held: u64,
    kept: u32,
}

impl Bits<'_> {
    fn take(&mut self, width: u32) -> u32 {
        while self.kept < width {
            let (byte, rest) = self.bytes.split_first().map_or((0, self.bytes), |(b, r)| (*b, r));
            self.held |= u64::from(byte) << self.kept;
            self.bytes = rest;
            self.kept += 8;
        }
        let number = (self.held & ((1 << width) - 1)) as u32;
        self.held >>= width;
        self.kept -= width;
        number
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pcm(samples: &[i16]) -> Vec<u8> {
        samples.iter().flat_map(|sample| sample.to_le_bytes()).collect()
    }

    #[test]
    fn a_voice_takes_less_and_a_pause_hardly_anything() {
        let voice: Vec<i16> = (0..768)
            .map(|n| {
                let time = f64::from(n) / 24_000.0 * std::f64::consts::TAU;
                let tone = |hertz: f64, level: f64| (time * hertz).sin() * level;
                (tone(180.0, 6_000.0) + tone(900.0, 2_000.0) + tone(2_600.0, 300.0)) as i16
            })
            .collect();
        let packed = Packed::of(&pcm(&voice));
        assert!(packed.size() < 768 * 2 * 6 / 10, "{}", packed.size());
        let quiet: Vec<i16> = (0..512).map(|n| (n % 7) - 3).collect();
        assert!(Packed::of(&pcm(&quiet)).size() < 512 * 2 / 3);
        assert_eq!(Packed::of(&[0; 1024]).size(), 16);
    }

    #[test]
    fn the_loudest_changes_survive() {
        let samples: Vec<i16> =
            (0..99).map(|n| if n % 3 == 0 { i16::MAX } else { i16::MIN }).collect();
        assert_eq!(Packed::of(&pcm(&samples)).unpack(), pcm(&samples));
    }

    proptest! {
        #[test]
        fn nothing_is_lost(
            samples in proptest::collection::vec(any::<i16>(), 0..200),
            shift in 0_u32..16,
        ) {
            let bytes = pcm(&samples.iter().map(|sample| sample >> shift).collect::<Vec<_>>());
            let packed = Packed::of(&bytes);
            prop_assert_eq!(packed.samples(), samples.len());
            prop_assert!(packed.size() <= bytes.len() * 5 / 4 + 2);
            prop_assert_eq!(packed.unpack(), bytes);
        }
    }
}
