//! Writes the WAV that plays as the microphone of the browser test: a British caller with pauses.
//!
//! `cargo run --example caller_wav -- call.wav`

#![expect(clippy::print_stderr, reason = "a command line tool speaks on stderr")]

use std::{env, process::ExitCode};

use voice_emulator::voice::{Accent, synthesize};

const RATE: u32 = 16_000;

/// What is said, and the silence after it in milliseconds. The second phrase comes while the
/// greeting or the first answer is being spoken: a barge-in.
const PHRASES: [(&str, u32); 4] = [
    ("Good morning. What is my balance, please?", 2_200),
    ("Wait, stop, I have got another question for you.", 2_600),
    ("Four, zero, two, one.", 2_600),
    ("Thank you very much, that is all.", 5_000),
];

fn main() -> ExitCode {
    let Some(path) = env::args().nth(1) else {
        eprintln!("usage: caller_wav FILE");
        return ExitCode::from(64);
    };
    match write(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let silence = |ms: u32| vec![0_i16; (ms * RATE / 1000) as usize];
    // Chromium loses the beginning of the file.
    let mut samples = silence(2_500);
    for (text, pause) in PHRASES {
        samples.extend(synthesize(text, RATE, Accent::British)?);
        samples.extend(silence(pause));
    }
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(path, spec)?;
    for sample in samples {
        wav.write_sample(sample)?;
    }
    Ok(wav.finalize()?)
}
