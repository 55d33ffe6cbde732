//! What listening costs: a second of speech with few and with many words, the end of a turn, and
//! what is made once. `cargo bench -p voice-ears`; needs the Debian packages `pocketsphinx-en-us`
//! and `pocketsphinx-testdata`, and measures nothing without them.

#![expect(clippy::print_stderr, reason = "a benchmark without its data says so")]
#![expect(clippy::unwrap_used, reason = "a benchmark's helpers fail by panicking")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use voice_ears::{DEBIAN, Domain, Model, Phrase, Recogniser};

const CLIP: &str =
    "/usr/share/pocketsphinx/test/data/librivox/sense_and_sensibility_01_austen_64kb-0870.wav";

/// Phrases of so many different words, taken from the dictionary, besides what the speaker says.
fn domain(model: &Model, words: usize) -> Arc<Domain> {
    let dictionary = std::fs::read_to_string(format!("{DEBIAN}/cmudict-en-us.dict")).unwrap();
    let plain = |word: &&str| word.len() > 2 && word.chars().all(|c| c.is_ascii_lowercase());
    let all = dictionary.lines().filter_map(|line| line.split(' ').next()).filter(plain);
    let some: Vec<&str> = all.step_by(100).take(words).collect();
    let said = "and mister john dashwood had then leisure to consider how much there might be \
                prudently in his power to do for them";
    let phrases = some.chunks(4).map(|words| Phrase::plain(&words.join(" ")));
    let phrases: Vec<Phrase> = phrases.chain([Phrase::plain(said)]).collect();
    Arc::new(Domain::compile(model, &phrases, &BTreeMap::new()).unwrap())
}

fn recognise(criterion: &mut Criterion) {
    let (true, Ok(bytes)) = (Model::is_in(DEBIAN), std::fs::read(CLIP)) else {
        eprintln!("nothing is measured: the model or the recordings are not installed");
        return;
    };
    let samples: Vec<i16> =
        bytes[44..].as_chunks().0.iter().copied().map(i16::from_le_bytes).collect();
    let model = Arc::new(Model::load(DEBIAN).unwrap());
    let mut group = criterion.benchmark_group("ears");
    group.sample_size(10);
    group.bench_function("load the model", |b| b.iter(|| Model::load(DEBIAN).unwrap()));
    group.bench_function("compile 300 words", |b| b.iter(|| domain(&model, 300)));
    let begun = |domain: &Arc<Domain>| {
        let mut recogniser = Recogniser::new(Arc::clone(&model));
        recogniser.begin(Arc::clone(domain));
        recogniser
    };
    for words in [300, 1_000, 3_000] {
        let domain = domain(&model, words);
        // Real-time factor = time of an iteration over the seconds of the recording.
        group.throughput(Throughput::Elements(samples.len() as u64));
        group.bench_function(
            format!("{:.1} s of speech, {words} words", samples.len() as f64 / 16e3),
            |b| {
                b.iter_batched_ref(
                    || begun(&domain),
                    |recogniser| samples.chunks(320).for_each(|piece| recogniser.push(piece)),
                    BatchSize::PerIteration,
                );
            },
        );
        group.bench_function(format!("the end of a turn, {words} words"), |b| {
            b.iter_batched_ref(
                || {
                    let mut recogniser = begun(&domain);
                    samples.chunks(320).for_each(|piece| recogniser.push(piece));
                    recogniser
                },
                |recogniser| black_box(recogniser.finish()),
                BatchSize::PerIteration,
            );
        });
        let mut recogniser = begun(&domain);
        samples.chunks(320).for_each(|piece| recogniser.push(piece));
        eprintln!("{words} words: {} KiB a session", recogniser.memory() / 1024);
    }
    group.finish();
}

criterion_group!(benches, recognise);
criterion_main!(benches);
