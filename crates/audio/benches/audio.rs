//! What the sound of one call costs: a second of audio through each part.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use voice_audio::{Encoding, LevelMeter, Resampler, UtteranceConfig, Utterances, g711, wav};

/// A second of something that is not silence.
fn second(rate: u32) -> Vec<i16> {
    (0..rate).map(|n| ((f64::from(n) * 0.21).sin() * 9_000.0) as i16).collect()
}

fn audio(c: &mut Criterion) {
    let mut group = c.benchmark_group("a second of audio");
    group.throughput(Throughput::Elements(1));
    for (from, to) in [(8_000, 16_000), (24_000, 8_000), (24_000, 16_000), (48_000, 16_000)] {
        let (input, block) = (second(from), from as usize * 64 / 1000);
        let Ok(mut resampler) = Resampler::new(from, to) else { continue };
        group.bench_function(format!("resample {from} to {to}"), |b| {
            b.iter(|| input.chunks(block).map(|piece| resampler.push(piece).len()).sum::<usize>());
        });
    }
    let line = second(8_000);
    let codes: Vec<u8> = line.iter().map(|sample| g711::mulaw_encode(*sample)).collect();
    group.bench_function("µ-law encode", |b| {
        b.iter(|| line.iter().map(|s| u64::from(g711::mulaw_encode(*s))).sum::<u64>());
    });
    group.bench_function("µ-law decode", |b| {
        b.iter(|| codes.iter().map(|c| i64::from(g711::mulaw_decode(*c))).sum::<i64>());
    });
    group.bench_function("µ-law WAV", |b| b.iter(|| wav::write(&line, 8_000, Encoding::Mulaw)));
    group.bench_function("level", |b| {
        let mut meter = LevelMeter::new();
        b.iter(|| {
            meter.push(&line);
            meter.take()
        });
    });
    let wide = second(16_000);
    let mut utterances = Utterances::new(UtteranceConfig::default());
    group.bench_function("utterances", |b| {
        b.iter(|| wide.chunks(1_024).map(|piece| utterances.push(piece).len()).sum::<usize>());
    });
    group.finish();
}

criterion_group!(benches, audio);
criterion_main!(benches);
