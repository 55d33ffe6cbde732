//! Frequency responses of the resamplers, by single tones: what a telephone engineer asks for
//! (`connect-kvs.md` §11). Passband ±0.5 dB over 300-3400 Hz, aliases and images at least 60 dB
//! down, the filter's own delay at most 20 ms.

use std::f64::consts::TAU;

use voice_audio::Resampler;

/// The ways of a call: caller in, voice out, recordings, and microphones of the test page.
const PAIRS: [(u32, u32); 5] =
    [(8_000, 16_000), (16_000, 8_000), (24_000, 8_000), (24_000, 16_000), (48_000, 16_000)];

/// Loud, and still far from clipping.
const AMPLITUDE: f64 = 16_000.0;

fn tone(hz: f64, rate: u32, samples: usize) -> Vec<i16> {
    let step = TAU * hz / f64::from(rate);
    (0..samples).map(|n| ((n as f64 * step).sin() * AMPLITUDE).round() as i16).collect()
}

/// How strong one frequency is, in decibels against the tone. A Hann window keeps the others out.
fn strength(samples: &[i16], hz: f64, rate: u32) -> f64 {
    let length = samples.len() as f64;
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let window = 1.0 - (TAU * n as f64 / length).cos();
        let angle = TAU * hz * n as f64 / f64::from(rate);
        real += f64::from(sample) * window * angle.cos();
        imaginary += f64::from(sample) * window * angle.sin();
    }
    let amplitude = 2.0 * real.hypot(imaginary) / length;
    20.0 * (amplitude / AMPLITUDE).max(1e-9).log10()
}

/// The middle of half a second that passed through.
fn through(hz: f64, from: u32, to: u32) -> Vec<i16> {
    let mut resampler = Resampler::new(from, to).unwrap();
    let mut output = resampler.push(&tone(hz, from, from as usize / 2));
    output.extend(resampler.flush());
    assert_eq!(output.len(), to as usize / 2);
    output[to as usize / 8..to as usize * 3 / 8].to_vec()
}

#[test]
fn the_voice_band_passes_within_half_a_decibel() {
    for (from, to) in PAIRS {
        let mut worst: f64 = 0.0;
        for hz in (300..=3_400).step_by(100) {
            let hz = f64::from(hz);
            let gain = strength(&through(hz, from, to), hz, to);
            worst = if gain.abs() > worst.abs() { gain } else { worst };
            assert!(gain.abs() <= 0.5, "{from} to {to}: {gain:.2} dB at {hz} Hz");
        }
        println!("{from} to {to}: at worst {worst:+.3} dB over 300-3400 Hz");
    }
}

#[test]
fn what_the_new_rate_cannot_carry_is_gone() {
    for (from, to) in PAIRS.into_iter().filter(|(from, to)| from > to) {
        let (mut worst, half) = (-200.0_f64, to / 2);
        // The skirt of a telephone filter is over at 4600 Hz of 4000.
        for hz in (half + half * 15 / 100..from / 2).step_by(100) {
            let folded = hz % to;
            let folded = f64::from(folded.min(to - folded));
            // What folds to nought cannot be told from an offset.
            if folded < 50.0 {
                continue;
            }
            let alias = strength(&through(hz.into(), from, to), folded, to);
            worst = worst.max(alias);
            assert!(
                alias <= -60.0,
                "{from} to {to}: {hz} Hz is heard at {folded} Hz, {alias:.1} dB"
            );
        }
        println!("{from} to {to}: aliases at most {worst:.1} dB");
    }
}

#[test]
fn the_caller_has_no_mirror_image_above_4_khz() {
    let mut worst = -200.0_f64;
    for hz in (300..=3_400).step_by(100) {
        let image = strength(&through(hz.into(), 8_000, 16_000), 8_000.0 - f64::from(hz), 16_000);
        worst = worst.max(image);
        assert!(image <= -60.0, "{hz} Hz has an image of {image:.1} dB");
    }
    println!("8000 to 16000: images at most {worst:.1} dB");
}

#[test]
fn the_filter_delays_by_at_most_20_ms() {
    for (from, to) in PAIRS {
        let resampler = Resampler::new(from, to).unwrap();
        let delay = resampler.delay();
        println!("{from} to {to}: {delay:?} of delay, blocks of {:?}", resampler.block());
        assert!(delay.as_millis() <= 20, "{from} to {to}: {delay:?}");
        // What it says is what it does: so much has to go in before the first sample comes out.
        let mut resampler = Resampler::new(from, to).unwrap();
        let step = from as usize / 1000;
        let held = (1..200).find(|_| !resampler.push(&vec![0; step]).is_empty()).unwrap();
        let bound = delay + 2 * resampler.block();
        assert!(held as u128 <= bound.as_millis(), "{from} to {to}: {held} ms are held");
    }
}
