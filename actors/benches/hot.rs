//! How long the hot paths of a call take. For figures that repeat on a busy machine: `instructions`.

mod paths;

use criterion::{Criterion, criterion_group, criterion_main};

fn hot(c: &mut Criterion) {
    let mut group = c.benchmark_group("hot");
    for (name, make) in paths::ALL {
        let mut path = make();
        group.bench_function(*name, |b| b.iter(&mut path));
    }
    group.finish();
}

criterion_group!(benches, hot);
criterion_main!(benches);
