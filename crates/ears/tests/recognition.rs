//! The recogniser with the real model and real people. Needs the Debian packages
//! `pocketsphinx-en-us` and `pocketsphinx-testdata`; without them each test says that it was skipped.

#![expect(clippy::print_stdout, reason = "a skipped test says so")]
#![expect(clippy::unwrap_used, reason = "what a test stands on must hold")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use voice_ears::{DEBIAN, Domain, FRAME_SAMPLES, Heard, Model, Phrase, Recogniser, Slot};

const CLIPS: &str = "/usr/share/pocketsphinx/test/data";

/// The model, if it is on this machine.
fn model() -> Option<Arc<Model>> {
    if !Model::is_in(DEBIAN) {
        println!("skipped: no acoustic model (package pocketsphinx-en-us)");
        return None;
    }
    Some(Arc::new(Model::load(DEBIAN).unwrap()))
}

/// What a person says in a recording, if it is on this machine.
fn clip(name: &str) -> Option<Vec<i16>> {
    let Ok(bytes) = std::fs::read(Path::new(CLIPS).join(name)) else {
        println!("skipped: no recordings (package pocketsphinx-testdata)");
        return None;
    };
    let body = if name.ends_with(".wav") { &bytes[44..] } else { &bytes[..] };
    Some(body.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect())
}

fn domain(model: &Model, phrases: &[&str]) -> Arc<Domain> {
    let slot = |name: &str| Slot::named(name).map(Slot::phrase);
    let phrases: Vec<_> = phrases.iter().map(|text| Phrase::parse(text, slot).unwrap()).collect();
    Arc::new(Domain::compile(model, &phrases, &BTreeMap::new()).unwrap())
}

/// All phrases of a bank, as the accuracy figures have them.
fn bank(model: &Model) -> Arc<Domain> {
    let text = include_str!("data/banking.phrases");
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    domain(model, &lines)
}

/// Recognises a recording as one turn.
fn recognise(recogniser: &mut Recogniser, domain: &Arc<Domain>, samples: &[i16]) -> Heard {
    recogniser.begin(Arc::clone(domain));
    samples.chunks(320).for_each(|piece| recogniser.push(piece));
    recogniser.finish()
}

#[test]
fn a_person_is_understood_and_the_words_have_their_times() {
    let (Some(model), Some(samples)) = (model(), clip("goforward.raw")) else { return };
    let domain = domain(&model, &["go|move forward|backward {number} (meters|miles)", "stop|turn"]);
    assert_eq!(domain.missing(), [] as [&str; 0]);
    let mut recogniser = Recogniser::new(model);
    let heard = recognise(&mut recogniser, &domain, &samples);
    assert_eq!(heard.text(), "go forward ten meters");
    assert!(heard.gap > -1.5, "{heard:?}");
    let mut before = 0;
    for word in &heard.words {
        assert!(before <= word.start_ms && word.start_ms + 50 < word.end_ms, "{heard:?}");
        before = word.end_ms;
    }
    assert!(before <= samples.len() as u64 / 16);
}

#[test]
fn words_appear_while_they_are_being_said() {
    let (Some(model), Some(samples)) = (model(), clip("something.raw")) else { return };
    let domain = domain(&model, &["go somewhere and do something", "go home and do nothing"]);
    let mut recogniser = Recogniser::new(model);
    recogniser.begin(Arc::clone(&domain));
    let mut partials = Vec::new();
    for piece in samples.chunks(FRAME_SAMPLES * 10) {
        recogniser.push(piece);
        let text = recogniser.partial().text();
        if partials.last() != Some(&text) {
            partials.push(text);
        }
    }
    let last = recogniser.finish().text();
    assert_eq!(last, "go somewhere and do something");
    assert!(partials.len() >= 4, "{partials:?}");
    assert!(partials.iter().any(|partial| partial == "go somewhere"), "{partials:?}");
}

#[test]
fn turns_follow_each_other_and_what_is_outside_of_one_is_not_heard() {
    let (Some(model), Some(samples)) = (model(), clip("cards/001.wav")) else { return };
    let domain = domain(&model, &["{number} of (clubs|spades|hearts)"]);
    let mut recogniser = Recogniser::new(model);
    recogniser.push(&samples);
    assert_eq!(recogniser.finish(), Heard::default());
    for _ in 0..2 {
        assert_eq!(recognise(&mut recogniser, &domain, &samples).text(), "ten of clubs");
    }
    // A turn that is begun anew forgets the first half.
    recogniser.begin(Arc::clone(&domain));
    recogniser.push(&samples[..samples.len() / 2]);
    assert_eq!(recognise(&mut recogniser, &domain, &samples).text(), "ten of clubs");
}

#[test]
fn what_is_none_of_the_phrases_is_not_trusted() {
    let Some(model) = model() else { return };
    let folder = Path::new(CLIPS).join("librivox");
    let domain = bank(&model);
    for name in ["0870", "0890", "0920", "0930"] {
        let name = format!("sense_and_sensibility_01_austen_64kb-{name}.wav");
        let Some(samples) = clip(&format!("librivox/{name}")) else { return };
        let heard = recognise(&mut Recogniser::new(Arc::clone(&model)), &domain, &samples);
        assert!(
            heard.language < -4.5,
            "{}: {:.2} {}",
            folder.display(),
            heard.language,
            heard.text()
        );
    }
}

#[test]
fn silence_and_noise_are_no_words() {
    let Some(model) = model() else { return };
    let domain = bank(&model);
    let mut state = 1_u32;
    let mut noise = |loudness: i32| -> Vec<i16> {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) as i32 - 32_768) * loudness / 32_768
        };
        (0..24_000).map(|_| next() as i16).collect()
    };
    for loudness in [0, 100, 3_000] {
        let mut recogniser = Recogniser::new(Arc::clone(&model));
        let heard = recognise(&mut recogniser, &domain, &noise(loudness));
        assert!(
            heard.words.is_empty() || heard.gap < -2.3 || heard.language < -4.5,
            "{loudness}: {heard:?}"
        );
    }
}

#[test]
fn a_session_needs_less_than_two_mebibytes() {
    let (Some(model), Some(samples)) =
        (model(), clip("librivox/sense_and_sensibility_01_austen_64kb-0870.wav"))
    else {
        return;
    };
    let domain = bank(&model);
    let mut recogniser = Recogniser::new(model);
    recogniser.begin(domain);
    let mut most = 0;
    // Half a minute of somebody who talks on.
    for _ in 0..4 {
        samples.chunks(320).for_each(|piece| recogniser.push(piece));
        most = most.max(recogniser.memory());
    }
    println!("{} KiB a session", most / 1024);
    assert!(most < 2 << 20, "{most} bytes");
}
