//! The mark in each frame, by which its echo is known: written into the samples, found again in
//! whatever pieces they come back.
//!
//! A machine: bytes in, numbers out. The marks are quiet (at most 110 of 32,767), so that no
//! server takes them for speech. Used by `caller`.
//!
//! ```text
//! samples:  4 magic | 3 slot, 6 bits each | 4 round, 6 bits each | 2 check, 6 bits each
//! ```

/// Bytes of a frame: 32 ms at 16 kHz.
pub const FRAME: usize = 1024;
/// Samples that no other part of a frame contains.
const MAGIC: [i16; 4] = [101, -103, 107, -109];
/// Bytes of a mark.
const MARK: usize = (MAGIC.len() + 3 + 4 + 2) * 2;
/// Largest slot that a mark can carry.
pub const MAX_SLOTS: u32 = 1 << 18;

/// Which frame it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Whose: below [`MAX_SLOTS`].
    pub slot: u32,
    /// The how manieth since the run began, modulo 2²⁴.
    pub round: u32,
}

impl Mark {
    /// Writes the mark at the beginning of `frame`, which must have room for it.
    pub fn write(self, frame: &mut [u8]) {
        let check = self.check();
        let sixes = (0..3)
            .map(|at| self.slot >> (6 * at))
            .chain((0..4).map(|at| self.round >> (6 * at)))
            .chain((0..2).map(|at| check >> (6 * at)))
            .map(|bits| (bits & 63) as i16 - 32);
        let samples = MAGIC.into_iter().chain(sixes);
        for (place, sample) in frame.chunks_exact_mut(2).zip(samples) {
            place.copy_from_slice(&sample.to_le_bytes());
        }
    }

    fn check(self) -> u32 {
        let mixed = (self.slot ^ self.round.rotate_left(13)).wrapping_mul(0x9E37_79B1);
        mixed >> 20
    }

    /// Reads what follows the magic samples.
    fn read(rest: &[u8]) -> Option<Self> {
        let mut sixes = [0_u32; 9];
        for (six, sample) in sixes.iter_mut().zip(rest.chunks_exact(2)) {
            let value = i16::from_le_bytes([sample[0], sample[1]]) + 32;
            *six = u32::try_from(value).ok().filter(|value| *value < 64)?;
        }
        let join = |part: &[u32]| part.iter().rev().fold(0, |sum, six| sum << 6 | six);
        let mark = Self { slot: join(&sixes[..3]), round: join(&sixes[3..7]) };
        (join(&sixes[7..]) == mark.check()).then_some(mark)
    }
}

/// Finds marks in audio that comes in pieces of any size.
#[derive(Debug, Default)]
pub struct Scanner {
    /// The end of what came before, in which a mark may have begun.
    carry: Vec<u8>,
}

impl Scanner {
    /// Reads a piece and reports the marks that are complete by now.
    pub fn read(&mut self, piece: &[u8], mut found: impl FnMut(Mark)) {
        if self.carry.is_empty() {
            let rest = scan(piece, &mut found);
            self.carry.extend_from_slice(rest);
        } else {
            let mut joined = std::mem::take(&mut self.carry);
            joined.extend_from_slice(piece);
            self.carry = scan(&joined, &mut found).to_vec();
        }
    }
}

/// Reports the marks in `bytes`; returns the end that may be the beginning of another one.
fn scan<'a>(mut bytes: &'a [u8], found: &mut impl FnMut(Mark)) -> &'a [u8] {
    const NEEDLE: [u8; 8] = magic_bytes();
    loop {
        // Most pieces are one frame, and the mark stands at its beginning.
        let at = match bytes.starts_with(&NEEDLE) {
            true => Some(0),
            false => memchr::memmem::find(bytes, &NEEDLE),
        };
        match at {
            Some(at) if bytes.len() - at < MARK => return &bytes[at..],
            Some(at) => match Mark::read(&bytes[at + NEEDLE.len()..at + MARK]) {
                Some(mark) => {
                    found(mark);
                    bytes = &bytes[at + MARK..];
                }
                None => bytes = &bytes[at + 2..],
            },
            None => {
                let tail = (1..NEEDLE.len().min(bytes.len() + 1))
                    .rev()
                    .find(|length| bytes.ends_with(&NEEDLE[..*length]));
                return &bytes[bytes.len() - tail.unwrap_or(0)..];
            }
        }
    }
}

const fn magic_bytes() -> [u8; 8] {
    let [a, b, c, d] = MAGIC;
    let [a, b, c, d] = [a.to_le_bytes(), b.to_le_bytes(), c.to_le_bytes(), d.to_le_bytes()];
    [a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marks(pieces: &[&[u8]]) -> Vec<Mark> {
        let (mut scanner, mut marks) = (Scanner::default(), Vec::new());
        for piece in pieces {
            scanner.read(piece, |mark| marks.push(mark));
        }
        marks
    }

    #[test]
    fn a_mark_that_was_changed_is_none() {
        let mut frame = vec![0; FRAME];
        Mark { slot: 7, round: 9 }.write(&mut frame);
        frame[10] ^= 1;
        assert_eq!(marks(&[&frame]), []);
    }

    #[test]
    fn a_mark_is_no_speech() {
        let mut frame = vec![0; FRAME];
        Mark { slot: MAX_SLOTS - 1, round: (1 << 24) - 1 }.write(&mut frame);
        let loudest = frame
            .chunks_exact(2)
            .map(|pair| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs())
            .max();
        assert!(loudest < Some(200), "{loudest:?}");
    }

    proptest! {
        #[test]
        fn every_mark_comes_out_once_however_the_audio_is_cut(
            sent in proptest::collection::vec((0..MAX_SLOTS, 0_u32..1 << 24, 0_usize..700), 1..20),
            piece in 1_usize..4_000,
        ) {
            let (mut audio, mut expected) = (Vec::new(), Vec::new());
            for (slot, round, filler) in sent {
                let mark = Mark { slot, round };
                let at = audio.len();
                audio.resize(at + MARK + filler * 2, 0);
                mark.write(&mut audio[at..]);
                expected.push(mark);
            }
            let pieces: Vec<&[u8]> = audio.chunks(piece).collect();
            prop_assert_eq!(marks(&pieces), expected);
        }
    }
}
