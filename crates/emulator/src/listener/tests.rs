//! Listening to voices, with and without a recogniser.

use voice_audio::pcm;

use super::*;
use crate::script::Scenario;
use crate::voice::{Accent, synthesize};

const PAUSE_OF_THE_DEAF: Duration = Duration::from_millis(700);

/// Half a second of silence, these texts with pauses after them, and a second of silence.
fn call(texts: &[(&str, usize)]) -> Vec<u8> {
    let mut samples = vec![0; 8_000];
    for (text, pause_ms) in texts {
        samples.extend(synthesize(text, RATE_HZ, Accent::British).unwrap());
        samples.extend(vec![0; pause_ms * 16]);
    }
    samples.extend(vec![0; 16_000]);
    pcm::bytes(&samples).to_vec()
}

/// The bank's ears, where the model is installed.
fn ears() -> Option<Ears> {
    let Some(folder) = Ears::folder(None) else {
        println!("skipped: no acoustic model (package pocketsphinx-en-us)");
        return None;
    };
    Some(Ears::load(&folder, &Scenario::default()).unwrap().unwrap())
}

fn listen(listener: &mut Listener, audio: &[u8], domain: Option<Arc<Domain>>) -> Vec<Noticed> {
    let domain = || domain.clone();
    audio.chunks(641).flat_map(|piece| listener.push(piece, &domain)).collect()
}

/// What was said in each turn.
fn said(noticed: &[Noticed]) -> Vec<String> {
    let ends = noticed.iter().filter_map(|noticed| match noticed {
        Noticed::Ended { said: Understood::Words(heard), .. } => Some(heard.text()),
        Noticed::Ended { said, .. } => Some(format!("{said:?}")),
        _ => None,
    });
    ends.collect()
}

#[test]
fn without_a_recogniser_turns_have_no_words() {
    let mut listener = Listener::new(RATE_HZ, PAUSE_OF_THE_DEAF, None);
    let noticed = listen(&mut listener, &call(&[("What is my balance?", 0)]), None);
    assert_eq!(said(&noticed), ["Deaf"]);
    assert!(!noticed.iter().any(|noticed| matches!(noticed, Noticed::Partial { .. })));
}

#[test]
fn a_phrase_is_recognised_and_its_turn_ends_sooner() {
    let Some(ears) = ears() else { return };
    let mut listener = Listener::new(RATE_HZ, PAUSE_OF_THE_DEAF, Some(&ears));
    let noticed =
        listen(&mut listener, &call(&[("What is my balance?", 0)]), ears.in_state("open"));
    assert_eq!(said(&noticed), ["what is my balance"]);
    let Some(Noticed::Ended { end: EarEvent::SpeechEnded { offset_ms, detected_ms, .. }, .. }) =
        noticed.last()
    else {
        panic!("{noticed:?}")
    };
    assert!((350..380).contains(&(detected_ms - offset_ms)), "{noticed:?}");
    assert!(noticed.iter().any(|noticed| matches!(noticed, Noticed::Partial { .. })));
}

/// A text without the silence that the voice puts around it.
fn spoken(text: &str) -> Vec<i16> {
    let samples = synthesize(text, RATE_HZ, Accent::British).unwrap();
    let loud = |sample: &i16| sample.unsigned_abs() > 300;
    let from = samples.iter().position(loud).unwrap();
    let to = samples.iter().rposition(loud).unwrap();
    samples[from..=to].to_vec()
}

#[test]
fn a_number_with_a_pause_in_it_is_one_turn() {
    let Some(ears) = ears() else { return };
    for pause_ms in [300, 500, 600] {
        let mut listener = Listener::new(RATE_HZ, PAUSE_OF_THE_DEAF, Some(&ears));
        let pause = vec![0; pause_ms * 16];
        let (first, second) = (spoken("Four, zero"), spoken("two, one."));
        let samples = [vec![0; 8_000], first, pause, second, vec![0; 16_000]].concat();
        let noticed = listen(&mut listener, &pcm::bytes(&samples), ears.in_state("account"));
        assert_eq!(said(&noticed), ["four zero two one"], "{pause_ms} ms");
    }
}

/// Sounds that are no speech: three seconds of each.
fn sounds() -> Vec<(&'static str, Vec<i16>)> {
    let time = |n: usize| n as f32 / RATE_HZ as f32;
    let sine = |hz: f32, n: usize| (std::f32::consts::TAU * hz * time(n)).sin();
    // Four chords of three notes with two overtones each, struck and fading.
    let chords = [
        [262.0, 330.0, 392.0],
        [220.0, 262.0, 330.0],
        [175.0, 220.0, 262.0],
        [196.0, 247.0, 294.0],
    ];
    let music = (0..48_000).map(|n| {
        let fading = (-((n % 12_000) as f32) / 6_000.0).exp();
        let note = |hz: &f32| sine(*hz, n) + sine(hz * 2.0, n) / 2.0 + sine(hz * 3.0, n) / 3.0;
        (chords[n / 12_000].iter().map(note).sum::<f32>() * fading * 2_000.0) as i16
    });
    let mut seed = 1_u32;
    let mut random = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as f32 / 32_768.0 - 1.0
    };
    let hiss: Vec<i16> = (0..48_000).map(|_| (random() * 1_500.0) as i16).collect();
    let mut low = 0.0;
    let rumble: Vec<i16> = (0..48_000)
        .map(|_| {
            low += (random() - low) * 0.05;
            (low * 12_000.0) as i16
        })
        .collect();
    vec![
        ("silence", vec![0; 48_000]),
        ("music", music.collect()),
        ("hiss", hiss),
        ("rumble", rumble),
    ]
}

#[test]
fn sounds_that_are_no_speech_have_no_words() {
    let Some(ears) = ears() else { return };
    for state in ["open", "account", "confirm"] {
        for (name, sound) in sounds() {
            let mut listener = Listener::new(RATE_HZ, PAUSE_OF_THE_DEAF, Some(&ears));
            let samples = [vec![0; 8_000], sound, vec![0; 16_000]].concat();
            let noticed = listen(&mut listener, &pcm::bytes(&samples), ears.in_state(state));
            let said = said(&noticed);
            assert!(
                said.iter().all(|said| said == "Unclear" || said == "Deaf"),
                "{state}, {name}: {said:?}"
            );
        }
    }
}

/// German, French and Spanish, as a British voice reads them out.
#[test]
fn another_language_has_no_words() {
    let Some(ears) = ears() else { return };
    for text in [
        "Guten Morgen, ich moechte bitte wissen, wie viel Geld noch auf meinem Konto liegt.",
        "Bonjour, je voudrais savoir combien il reste sur mon compte, s'il vous plait.",
        "Buenos dias, quisiera saber cuanto dinero me queda todavia en la cuenta corriente.",
    ] {
        let mut listener = Listener::new(RATE_HZ, PAUSE_OF_THE_DEAF, Some(&ears));
        let noticed = listen(&mut listener, &call(&[(text, 0)]), ears.in_state("open"));
        let said = said(&noticed);
        assert!(said.iter().all(|said| said == "Unclear"), "{text}: {said:?}");
    }
}

#[test]
fn what_is_no_phrase_has_no_words() {
    let Some(ears) = ears() else { return };
    let mut listener = Listener::new(RATE_HZ, PAUSE_OF_THE_DEAF, Some(&ears));
    let strange = "Unless to be rather cold hearted, and rather selfish, is to be ill disposed.";
    let noticed = listen(&mut listener, &call(&[(strange, 0)]), ears.in_state("account"));
    assert!(said(&noticed).iter().all(|said| said == "Unclear"), "{noticed:?}");
    // A state in which nothing can be said.
    let noticed = listen(&mut listener, &call(&[("Hello.", 0)]), None);
    assert_eq!(said(&noticed), ["Deaf"]);
}

/// White noise, 20 dB below the voice.
#[cfg(feature = "denoise")]
#[test]
fn speech_in_noise_is_understood_once_the_noise_is_taken_away() {
    let Some(ears) = ears() else { return };
    let phrases = ["what is my balance", "i do not recognize a payment"];
    let understood = |ears: &Ears| {
        let is_understood = |phrase: &&str| {
            let mut listener = Listener::new(RATE_HZ, PAUSE_OF_THE_DEAF, Some(ears));
            let audio = noisy(&call(&[(phrase, 0)]), 1_200.0);
            let mut noticed = listen(&mut listener, &audio, ears.in_state("open"));
            noticed.extend(listener.force_end());
            said(&noticed).iter().any(|said| said == phrase)
        };
        phrases.iter().copied().filter(is_understood).collect::<Vec<_>>()
    };
    let before = understood(&ears);
    let after = understood(&ears.with_denoise(crate::denoise::Denoise::On));
    assert_eq!(after, phrases);
    assert!(before.len() < after.len(), "the noise was no trouble: {before:?}");
}

/// The same audio with white noise of this amplitude.
#[cfg(feature = "denoise")]
fn noisy(audio: &[u8], amplitude: f32) -> Vec<u8> {
    let mut seed = 7_u32;
    let samples = audio.chunks_exact(2).map(|bytes| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = ((seed >> 16) as f32 / 32_768.0 - 1.0) * amplitude;
        i16::from_le_bytes([bytes[0], bytes[1]]).saturating_add(noise as i16)
    });
    pcm::bytes(&samples.collect::<Vec<_>>()).to_vec()
}
