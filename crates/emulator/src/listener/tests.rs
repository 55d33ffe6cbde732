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

#[test]
fn a_number_with_a_pause_in_it_is_one_turn() {
    let Some(ears) = ears() else { return };
    let mut listener = Listener::new(RATE_HZ, PAUSE_OF_THE_DEAF, Some(&ears));
    // The voice itself is silent for a while before and after.
    let audio = call(&[("Four, zero.", 0), ("Two, one.", 0)]);
    let noticed = listen(&mut listener, &audio, ears.in_state("account"));
    assert_eq!(said(&noticed), ["four zero two one"]);
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
