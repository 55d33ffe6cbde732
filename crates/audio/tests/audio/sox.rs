//! Files and codes against a program that nobody here wrote. Without `sox` these tests say loudly
//! that they prove nothing.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use voice_audio::{Encoding, g711, pcm, wav};

/// What `sox` makes of `input`; `None` when it is not installed.
fn sox(arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let started = Command::new("sox")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        eprintln!("SKIPPED: `sox` is not installed, so files were compared with nothing");
        return None;
    };
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    // It cannot go back in a pipe to fill in the length, and no code is as loud as the lowest
    // sample; nothing else may trouble it.
    let usual = |line: &str| line.contains("can't seek") || line.contains("clipped 1 samples");
    let troubled = complaint.lines().any(|line| line.contains("WARN") && !usual(line));
    assert!(!troubled, "{complaint}");
    Some(output.stdout)
}

fn every_sample() -> Vec<i16> {
    (i16::MIN..=i16::MAX).collect()
}

#[test]
fn sox_reads_our_files_as_they_are_meant() {
    let samples = every_sample();
    for (encoding, rate) in [(Encoding::Mulaw, 8_000), (Encoding::Pcm16, 24_000)] {
        let file = wav::write(&samples, rate, encoding);
        let raw = ["-t", "wav", "-", "-t", "raw", "-e", "signed", "-b", "16", "-L", "-"];
        let Some(read) = sox(&raw, &file) else { return };
        assert_eq!(pcm::samples(&read), wav::read(&file).unwrap().samples);
    }
}

#[test]
fn we_read_files_of_sox() {
    let samples: Vec<i16> = every_sample().into_iter().step_by(8).collect();
    for (encoding, bits, tag) in [("signed", "16", 1), ("a-law", "8", 6), ("mu-law", "8", 7)] {
        let to_wav = [
            "-D", "-t", "raw", "-r", "8000", "-e", "signed", "-b", "16", "-L", "-c", "1", "-",
            "-t", "wav", "-e", encoding, "-b", bits, "-",
        ];
        let Some(file) = sox(&to_wav, &pcm::bytes(&samples)) else { return };
        let recording = wav::read(&file).unwrap();
        assert_eq!((recording.rate_hz, recording.channels, recording.tag), (8_000, 1, tag));
        assert_eq!(recording.samples.len(), samples.len());
        for (ours, given) in recording.samples.iter().zip(&samples) {
            let (nearest, width) = match tag {
                6 => (g711::alaw_decode(g711::alaw_encode(*given)), 1_024),
                7 => (g711::mulaw_decode(g711::mulaw_encode(*given)), 1_024),
                _ => (*given, 0),
            };
            // Programs differ where a level lies between two codes; never by more than one.
            assert!(i32::from(*ours).abs_diff(nearest.into()) <= width, "{given}: {ours}");
        }
    }
}
