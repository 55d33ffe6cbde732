//! G.711: µ-law and A-law, one byte a sample, for telephone lines.
//!
//! Exact by the tables of ITU-T G.711 (1a to 2b), scaled to 16 bits: A-law by 8, µ-law by 4. A level
//! that lies on a decision value belongs to the interval above it, on both sides of zero. What is
//! beyond the last decision value saturates. Not a file format: see [`crate::wav`]. Called by the
//! audio bridge, the WAV reader and the emulator.

/// µ-law adds this to a magnitude, so that every segment begins at a power of two: 33 in the units
/// of the table.
const BIAS: u16 = 33 * 4;

/// The largest magnitude that fits its last segment with the bias.
const CLIP: u16 = 0x7FFF - BIAS;

/// A-law inverts every other bit on the line.
const EVEN_BITS: u8 = 0x55;

/// What each code stands for.
const MULAW: [i16; 256] = {
    let mut values = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = !(code as u8);
        let (segment, step) = (bits >> 4 & 7, (bits & 0x0F) as u16);
        // The middle of the interval, without the bias.
        let magnitude = (((step << 3) + BIAS) << segment) - BIAS;
        values[code] = if bits & 0x80 == 0 { magnitude as i16 } else { -(magnitude as i16) };
        code += 1;
    }
    values
};

const ALAW: [i16; 256] = {
    let mut values = [0; 256];
    let mut code = 0;
    while code < 256 {
        let bits = code as u8 ^ EVEN_BITS;
        let (segment, step) = (bits >> 4 & 7, (bits & 0x0F) as u16);
        let middle = (step << 4) + 8;
        // The lowest two segments have one width.
        let magnitude = if segment == 0 { middle } else { (middle + 0x100) << (segment - 1) };
        values[code] = if bits & 0x80 == 0 { -(magnitude as i16) } else { magnitude as i16 };
        code += 1;
    }
    values
};

/// The µ-law code of a sample.
pub fn mulaw_encode(sample: i16) -> u8 {
    let biased = sample.unsigned_abs().min(CLIP) + BIAS;
    // The bias makes bit 7 the lowest that can be the highest one.
    let segment = 8 - biased.leading_zeros();
    let step = biased >> (segment + 3) & 0x0F;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | (segment << 4) as u8 | step as u8)
}

/// The sample that a µ-law code stands for.
pub fn mulaw_decode(code: u8) -> i16 {
    MULAW[usize::from(code)]
}

/// The A-law code of a sample.
pub fn alaw_encode(sample: i16) -> u8 {
    let magnitude = sample.unsigned_abs().min(0x7FFF);
    let segment = 8_u32.saturating_sub(magnitude.leading_zeros());
    let step = magnitude >> (segment.max(1) + 3) & 0x0F;
    let sign = if sample < 0 { 0 } else { 0x80 };
    (sign | (segment << 4) as u8 | step as u8) ^ EVEN_BITS
}

/// The sample that an A-law code stands for.
pub fn alaw_decode(code: u8) -> i16 {
    ALAW[usize::from(code)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables 1a (A-law) and 2a (µ-law) of G.711, in their own units: for each segment the first
    /// decision value, the first value at the decoder's output, and the distance of both.
    const ALAW_SEGMENTS: [(i32, i32, i32); 8] = [
        (0, 1, 2),
        (32, 33, 2),
        (64, 66, 4),
        (128, 132, 8),
        (256, 264, 16),
        (512, 528, 32),
        (1024, 1056, 64),
        (2048, 2112, 128),
    ];
    const MULAW_SEGMENTS: [(i32, i32, i32); 8] = [
        (-1, 0, 2),
        (31, 33, 4),
        (95, 99, 8),
        (223, 231, 16),
        (479, 495, 32),
        (991, 1023, 64),
        (2015, 2079, 128),
        (4063, 4191, 256),
    ];

    /// Decision value and output of the 128 intervals of one sign, in 16 bits.
    fn intervals(segments: [(i32, i32, i32); 8], scale: i32) -> Vec<(i32, i32)> {
        let of_segment = |(decision, output, width): (i32, i32, i32)| {
            (0..16).map(move |n| ((decision + n * width) * scale, (output + n * width) * scale))
        };
        segments.into_iter().flat_map(of_segment).collect()
    }

    /// Every sample there is against the table: which interval, which code, which output.
    fn check(
        intervals: &[(i32, i32)],
        encode: fn(i16) -> u8,
        decode: fn(u8) -> i16,
        code: fn(usize, bool) -> u8,
    ) {
        for sample in i16::MIN..=i16::MAX {
            let magnitude = i32::from(sample).abs();
            let interval = intervals.iter().rposition(|(decision, _)| *decision <= magnitude);
            let interval = interval.expect("the first interval holds zero");
            assert_eq!(encode(sample), code(interval, sample < 0), "{sample}");
            let output = intervals[interval].1 * if sample < 0 { -1 } else { 1 };
            assert_eq!(i32::from(decode(encode(sample))), output, "{sample}");
        }
    }

    #[test]
    fn mulaw_is_the_table_of_the_itu() {
        let intervals = intervals(MULAW_SEGMENTS, 4);
        // The last rows of table 2a: 7903 to 8159 is heard as 8031.
        assert_eq!(intervals.last(), Some(&(7903 * 4, 8031 * 4)));
        let code = |interval: usize, negative| !(interval as u8 | if negative { 0x80 } else { 0 });
        check(&intervals, mulaw_encode, mulaw_decode, code);
    }

    #[test]
    fn alaw_is_the_table_of_the_itu() {
        let intervals = intervals(ALAW_SEGMENTS, 8);
        // The last rows of table 1a: 3968 to 4096 is heard as 4032.
        assert_eq!(intervals.last(), Some(&(3968 * 8, 4032 * 8)));
        let code = |interval: usize, negative| {
            (interval as u8 | if negative { 0 } else { 0x80 }) ^ EVEN_BITS
        };
        check(&intervals, alaw_encode, alaw_decode, code);
    }

    #[test]
    fn silence_and_the_ends_have_their_known_codes() {
        assert_eq!([0, 32_767, -32_768].map(mulaw_encode), [0xFF, 0x80, 0x00]);
        assert_eq!([0, 32_767, -32_768].map(alaw_encode), [0xD5, 0xAA, 0x2A]);
        assert_eq!([0xFF, 0x7F, 0x80, 0x00].map(mulaw_decode), [0, 0, 32_124, -32_124]);
        assert_eq!([0xD5, 0x55, 0xAA, 0x2A].map(alaw_decode), [8, -8, 32_256, -32_256]);
    }

    #[test]
    fn every_code_survives_the_way_through_its_sample() {
        for code in 0..=u8::MAX {
            assert_eq!(alaw_encode(alaw_decode(code)), code);
            // µ-law has two zeros.
            let expected = if code == 0x7F { 0xFF } else { code };
            assert_eq!(mulaw_encode(mulaw_decode(code)), expected);
        }
    }

    #[test]
    fn speech_keeps_38_decibels() {
        // A tone at -10 dB of full scale, where a line is at its best.
        let tone = |n: u32| (f64::from(n) * 0.7).sin() * 10_000.0;
        for (encode, decode) in [
            (mulaw_encode as fn(i16) -> u8, mulaw_decode as fn(u8) -> i16),
            (alaw_encode, alaw_decode),
        ] {
            let (mut signal, mut noise) = (0.0, 0.0);
            for n in 0..20_000 {
                signal += tone(n).powi(2);
                noise += (f64::from(decode(encode(tone(n) as i16))) - tone(n)).powi(2);
            }
            let ratio = 10.0 * (signal / noise).log10();
            assert!((36.0..42.0).contains(&ratio), "{ratio} dB");
        }
    }
}
