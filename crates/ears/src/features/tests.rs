//! The front end on sounds whose features are known.

use std::path::Path;

use proptest::prelude::*;

use super::level::Level;
use super::*;
use crate::model::parameters::{self, Parameters};

fn parameters() -> Parameters {
    let text = "-lowerf 130\n-upperf 6800\n-nfilt 25\n-lifter 22\n-cmninit 41,-5,0\n";
    parameters::parse(Path::new("feat.params"), text).unwrap()
}

fn features() -> Features {
    let parameters = parameters();
    Features {
        level: Level::new(),
        cepstra: Cepstra::new(&parameters),
        mean: Mean::new(parameters.mean),
        changes: Changes::default(),
    }
}

/// A hum with overtones, as loud as told.
fn hum(samples: usize, loudness: f32) -> Vec<i16> {
    let wave = |n: usize| {
        let phase = n as f32 * std::f32::consts::TAU / RATE_HZ as f32;
        (1..9).map(|tone| (phase * 140.0 * tone as f32).sin() / tone as f32).sum::<f32>()
    };
    (0..samples).map(|n| (wave(n) * loudness) as i16).collect()
}

fn frames(samples: &[i16], cuts: &[usize]) -> Vec<Frame> {
    let (mut features, mut found, mut rest) = (features(), Vec::new(), samples);
    for cut in cuts {
        let (piece, tail) = rest.split_at((*cut).min(rest.len()));
        features.push(piece, &mut found);
        rest = tail;
    }
    features.push(rest, &mut found);
    features.finish(&mut found);
    found
}

#[test]
fn there_is_a_frame_for_every_ten_milliseconds() {
    // One second has 98 whole windows of 25.6 ms.
    assert_eq!(frames(&hum(16_000, 3_000.0), &[]).len(), 98);
    assert_eq!(frames(&hum(400, 3_000.0), &[]).len(), 0);
    assert_eq!(frames(&[], &[]).len(), 0);
}

#[test]
fn a_quiet_voice_sounds_like_a_loud_one() {
    let [quiet, loud] = [300.0, 6_000.0].map(|loudness| frames(&hum(32_000, loudness), &[]));
    let (quiet, loud) = (quiet[150][0], loud[150][0]);
    // The noise that is added differs a little in weight; a factor of 20 would be 15 in the first
    // cepstrum.
    assert!((quiet[0] - loud[0]).abs() < 1.0, "{quiet:?} {loud:?}");
}

#[test]
fn a_steady_sound_does_not_change_and_has_no_mean() {
    let found = frames(&hum(16_000 * 20, 3_000.0), &[]);
    // The noise that is added moves single frames; on average nothing moves but the gain, slowly.
    for stream in 0..STREAMS {
        for place in 0..WIDTH {
            let sum: f32 = found[1_500..1_900].iter().map(|frame| frame[stream][place]).sum();
            assert!((sum / 400.0).abs() < 2.0, "{stream} {place}: {}", sum / 400.0);
        }
    }
    // At the start the mean is the average speaker's.
    assert!(found[0][0].iter().any(|value| value.abs() > 3.0));
}

#[test]
fn a_second_turn_begins_with_what_the_first_one_taught() {
    let (mut features, mut first, mut second) = (features(), Vec::new(), Vec::new());
    features.push(&hum(48_000, 3_000.0), &mut first);
    features.finish(&mut first);
    features.push(&hum(16_000, 3_000.0), &mut second);
    features.finish(&mut second);
    let size = |frame: &Frame| frame[0].iter().map(|value| value.powi(2)).sum::<f32>();
    assert!(size(&second[5]) < size(&first[5]) / 2.0);
}

proptest! {
    #[test]
    fn any_division_of_the_samples_gives_the_same_frames(
        cuts in prop::collection::vec(0_usize..1_500, 0..20),
    ) {
        let samples = hum(9_000, 2_000.0);
        prop_assert!(frames(&samples, &cuts) == frames(&samples, &[]));
    }
}
