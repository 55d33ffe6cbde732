//! What callers say: fixtures made at test time.

use std::path::Path;

use voice_emulator::voice::{Accent, synthesize};

/// Sample rate of the callers.
const RATE: u32 = 16_000;

/// A sentence by the British voice, so that caller and agent are not the same speaker, with a
/// lead and a tail of silence: PCM16 little-endian at 16 kHz.
pub(crate) fn say(text: &str) -> Vec<u8> {
    framed(&synthesize(text, RATE, Accent::British).expect("a sentence"))
}

/// The same as samples.
pub(crate) fn samples(text: &str) -> Vec<i16> {
    let pcm = say(text);
    pcm.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]])).collect()
}

/// The same without the pause after it, so that a test can say how long the answer took.
pub(crate) fn without_a_pause(text: &str) -> Vec<i16> {
    let mut samples = samples(text);
    let end = samples.iter().rposition(|sample| *sample != 0).map_or(0, |last| last + 1);
    samples.truncate(end);
    samples
}

/// Human speech from the Debian package `pocketsphinx-testdata`, where it is installed.
pub(crate) fn human_clips() -> Vec<Vec<u8>> {
    let folder = Path::new("/usr/share/pocketsphinx/test/data/cards");
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "wav"));
    paths.sort();
    paths.iter().map(|path| framed(&read_wav(path))).collect()
}

fn read_wav(path: &Path) -> Vec<i16> {
    let mut wav = hound::WavReader::open(path).expect("a WAV file");
    assert_eq!(wav.spec().sample_rate, RATE, "{}", path.display());
    wav.samples::<i16>().map(|sample| sample.expect("a sample")).collect()
}

/// Long enough a tail that every endpointing setting of the emulator ends the turn.
fn framed(samples: &[i16]) -> Vec<u8> {
    let silence = |ms: u32| vec![0_i16; (ms * RATE / 1000) as usize];
    let all = [silence(300), samples.to_vec(), silence(1_600)].concat();
    all.iter().flat_map(|sample| sample.to_le_bytes()).collect()
}

/// Root mean square of samples: zero is digital silence.
pub(crate) fn loudness(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    (sum / samples.len().max(1) as f64).sqrt()
}
