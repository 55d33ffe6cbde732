//! WAV files of telephone prompts and test calls: one writer, one reader.
//!
//! Written are PCM16 and µ-law, mono; read are also A-law, several channels, and the extensible
//! form. A µ-law file is what Amazon Connect plays: `fmt ` of 18 bytes, tag 7, a `fact` chunk
//! (`connect-kvs.md` §6.1). Not a stream: a file is written when all of it is there. Called by the
//! audio bridge, the emulator and tests.

use bytes::{BufMut, Bytes, BytesMut};

use crate::g711;

/// How the samples of a file are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 16-bit signed, little-endian.
    Pcm16,
    /// G.711 µ-law.
    Mulaw,
}

/// Format tags of RFC 2361.
const PCM: u16 = 1;
const ALAW: u16 = 6;
const MULAW: u16 = 7;
/// The tag proper stands in the extension.
const EXTENSIBLE: u16 = 0xFFFE;

/// A file of `samples`, mono at `rate_hz`.
pub fn write(samples: &[i16], rate_hz: u32, encoding: Encoding) -> Bytes {
    match encoding {
        Encoding::Mulaw => {
            let codes: Vec<u8> = samples.iter().copied().map(g711::mulaw_encode).collect();
            write_mulaw(&codes, rate_hz)
        }
        Encoding::Pcm16 => {
            let length = samples.len() * 2;
            let mut file = head(PCM, rate_hz, 2, length);
            samples.iter().for_each(|sample| file.put_i16_le(*sample));
            file.freeze()
        }
    }
}

/// A file of µ-law codes, mono at `rate_hz`.
pub fn write_mulaw(codes: &[u8], rate_hz: u32) -> Bytes {
    let mut file = head(MULAW, rate_hz, 1, codes.len());
    file.put_slice(codes);
    // Chunks begin at even places.
    if codes.len() % 2 == 1 {
        file.put_u8(0);
    }
    file.freeze()
}

/// All that stands before the samples. What is too long for the 32 bits of a size field, 74 hours
/// of PCM16 at 8 kHz, says the largest there is.
fn head(tag: u16, rate_hz: u32, bytes_a_sample: u16, length: usize) -> BytesMut {
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    // Whatever is not PCM says the size of its extension and how many samples there are.
    let (format, fact) = if tag == PCM { (16, 0) } else { (18, 12) };
    let mut file = BytesMut::with_capacity(64 + length);
    file.put_slice(b"RIFF");
    file.put_u32_le(size(4 + 8 + format + fact + 8 + length + length % 2));
    file.put_slice(b"WAVEfmt ");
    file.put_u32_le(size(format));
    file.put_u16_le(tag);
    file.put_u16_le(1);
    file.put_u32_le(rate_hz);
    file.put_u32_le(rate_hz.saturating_mul(bytes_a_sample.into()));
    file.put_u16_le(bytes_a_sample);
    file.put_u16_le(8 * bytes_a_sample);
    if tag != PCM {
        file.put_u16_le(0);
        file.put_slice(b"fact");
        file.put_u32_le(4);
        file.put_u32_le(size(length / usize::from(bytes_a_sample)));
    }
    file.put_slice(b"data");
    file.put_u32_le(size(length));
    file
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Samples a second.
    pub rate_hz: u32,
    /// Channels; their samples take turns.
    pub channels: u16,
    /// The format tag: 1 PCM, 6 A-law, 7 µ-law.
    pub tag: u16,
    /// All samples.
    pub samples: Vec<i16>,
}

impl Recording {
    /// The samples of one channel, counted from 0; none if there is no such channel.
    pub fn channel(&self, number: u16) -> Vec<i16> {
        let (first, step) = (usize::from(number), usize::from(self.channels).max(1));
        self.samples.iter().skip(first).step_by(step).copied().collect()
    }
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WavError {
    /// It does not begin as one.
    #[error("this is no WAV file: it does not begin with RIFF and WAVE")]
    NoWav,
    /// A chunk is not there.
    #[error("the WAV file has no `{0}` chunk, or not before its samples")]
    Missing(&'static str),
    /// A chunk is cut short.
    #[error("the `fmt ` chunk of the WAV file has {0} bytes; expected 16 or more")]
    Short(usize),
    /// Samples of a kind that is not known here.
    #[error(
        "the WAV file has {bits} bits a sample and format {tag}; expected 16 bits with format 1 \
         (PCM), or 8 bits with 6 (A-law) or 7 (µ-law)"
    )]
    Format {
        /// Format tag.
        tag: u16,
        /// Bits a sample.
        bits: u16,
    },
    /// No channels, or no samples in a second.
    #[error("the WAV file says that it has {channels} channels at {rate_hz} Hz")]
    Nothing {
        /// Channels.
        channels: u16,
        /// Rate.
        rate_hz: u32,
    },
}

/// Reads a file. Chunks that are not known are passed over; a file that was cut off gives what is
/// there, as does one whose size was never filled in.
///
/// # Errors
/// [`WavError`] when it is no file of a known kind.
pub fn read(file: &[u8]) -> Result<Recording, WavError> {
    let Some((b"RIFF", [_, _, _, _, b'W', b'A', b'V', b'E', chunks @ ..])) =
        file.split_at_checked(4)
    else {
        return Err(WavError::NoWav);
    };
    let (mut rest, mut format) = (chunks, None);
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let [n0, n1, n2, n3, size @ ..] = *head;
        let size = usize::try_from(u32::from_le_bytes(size)).unwrap_or(usize::MAX);
        let content = body.get(..size).unwrap_or(body);
        match &[n0, n1, n2, n3] {
            b"fmt " => format = Some(Format::read(content)?),
            b"data" => {
                let format = format.ok_or(WavError::Missing("fmt "))?;
                return Ok(format.decode(content));
            }
            _ => {}
        }
        rest = body.get(size.saturating_add(size % 2)..).unwrap_or_default();
    }
    Err(WavError::Missing(if format.is_some() { "data" } else { "fmt " }))
}

#[derive(Clone, Copy)]
struct Format {
    tag: u16,
    channels: u16,
    rate_hz: u32,
}

impl Format {
    fn read(chunk: &[u8]) -> Result<Self, WavError> {
        let short = WavError::Short(chunk.len());
        let number = |at: usize| match chunk.get(at..at + 2) {
            Some(&[low, high]) => Ok(u16::from_le_bytes([low, high])),
            _ => Err(short.clone()),
        };
        let (channels, bits) = (number(2)?, number(14)?);
        let rate_hz = u32::from(number(6)?) << 16 | u32::from(number(4)?);
        let tag = match number(0)? {
            // The first two bytes of the sub-format's GUID.
            EXTENSIBLE => number(24)?,
            tag => tag,
        };
        match (tag, bits) {
            (PCM, 16) | (ALAW | MULAW, 8) => {}
            _ => return Err(WavError::Format { tag, bits }),
        }
        if channels == 0 || rate_hz == 0 {
            return Err(WavError::Nothing { channels, rate_hz });
        }
        Ok(Self { tag, channels, rate_hz })
    }

    fn decode(self, data: &[u8]) -> Recording {
        let Self { tag, channels, rate_hz } = self;
        let samples = match tag {
            ALAW => data.iter().copied().map(g711::alaw_decode).collect(),
            MULAW => data.iter().copied().map(g711::mulaw_decode).collect(),
            _ => crate::pcm::samples(data),
        };
        Recording { rate_hz, channels, tag, samples }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prompt_has_the_header_that_connect_takes() {
        let file = write(&[0, 32_767, -32_768], 8_000, Encoding::Mulaw);
        let expected =
            b"RIFF\x36\0\0\0WAVEfmt \x12\0\0\0\x07\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\
            \x08\0\0\0fact\x04\0\0\0\x03\0\0\0data\x03\0\0\0\xff\x80\0\0";
        assert_eq!(&file[..], expected);
        // The size of the whole counts the padding and not itself.
        assert_eq!(file.len(), 8 + 0x36);
    }

    #[test]
    fn a_file_that_was_cut_off_or_has_other_chunks_gives_what_is_there() {
        let file = write(&[1, 2, 3], 16_000, Encoding::Pcm16);
        let cut = read(&file[..file.len() - 3]).expect("a file");
        assert_eq!((cut.rate_hz, cut.samples), (16_000, vec![1]));
        let mut listed = file[..12].to_vec();
        listed.extend(b"LIST\x05\0\0\0INFOx\0");
        listed.extend(&file[12..]);
        assert_eq!(read(&listed).expect("a file").samples, [1, 2, 3]);
        let mut endless = file.to_vec();
        endless[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read(&endless).expect("a file").samples, [1, 2, 3]);
    }

    #[test]
    fn an_extensible_stereo_file_is_read_by_channel() {
        let mut file = b"RIFF\0\0\0\0WAVEfmt \x28\0\0\0".to_vec();
        file.extend(b"\xfe\xff\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0\x16\0\x10\0\x03\0\0\0");
        file.extend(b"\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71");
        file.extend(b"data\x08\0\0\0\x01\0\x02\0\x03\0\x04\0");
        let recording = read(&file).expect("a file");
        assert_eq!((recording.channels, recording.tag), (2, PCM));
        assert_eq!((recording.channel(0), recording.channel(1)), (vec![1, 3], vec![2, 4]));
        assert_eq!(recording.channel(2), [3]);
    }

    #[test]
    fn a_mistake_is_named() {
        let say = |file: &[u8]| read(file).expect_err("no file").to_string();
        assert!(say(b"RIFF").contains("no WAV file"));
        assert!(say(b"RIFF\0\0\0\0WAVE").contains("`fmt `"));
        assert!(say(b"RIFF\0\0\0\0WAVEdata\0\0\0\0").contains("`fmt `"));
        assert!(say(b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\x01\0").contains("2 bytes"));
        let mut float = write(&[0], 8_000, Encoding::Pcm16).to_vec();
        float[20] = 3;
        assert!(say(&float).contains("format 3"));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(samples: Vec<i16>, rate_hz in 1_u32..200_000) {
            let recording = read(&write(&samples, rate_hz, Encoding::Pcm16)).expect("a file");
            prop_assert_eq!(&recording.samples, &samples);
            prop_assert_eq!((recording.rate_hz, recording.channels), (rate_hz, 1));
            let file = write(&samples, rate_hz, Encoding::Mulaw);
            prop_assert_eq!(file.len() % 2, 0);
            let heard: Vec<i16> =
                samples.iter().map(|s| g711::mulaw_decode(g711::mulaw_encode(*s))).collect();
            prop_assert_eq!(read(&file).expect("a file").samples, heard);
        }

        #[test]
        fn no_bytes_break_the_reader(
            tail in prop::collection::vec(any::<u8>(), 0..200),
            cut in 0_usize..60,
        ) {
            let mut file = write(&[7; 4], 8_000, Encoding::Mulaw).to_vec();
            file.truncate(cut);
            file.extend(tail);
            let _ = read(&file);
        }
    }
}
