//! The time of an operation, for every scenario: `cargo bench -p bench-micro`, or `-- <word>` for those whose name contains
//! it. What each measures, in which unit and per what, stands with its scenarios in `src/scenarios/`.
//!
//! Criterion gives the time of one operation; `thrpt` is operations per second.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bench_micro::all;
use criterion::{Criterion, Throughput};

fn main() {
    // Short: what one changes shows at once, and a machine that others use is quiet for moments at most.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .sample_size(20)
        .configure_from_args();
    scenarios(&mut criterion);
    criterion.final_summary();
}

fn scenarios(criterion: &mut Criterion) {
    for scenario in all() {
        // One group each: the stage is set only if it is asked for, and gone before the next one's.
        let mut group = criterion.benchmark_group(scenario.name);
        group.throughput(Throughput::Elements(1));
        let mut made = None;
        group.bench_function(scenario.per, |bencher| {
            let work = made.get_or_insert_with(|| {
                let mut work = (scenario.make)().expect("the stage can be set");
                work(scenario.warm_up).expect("the scenario runs");
                work
            });
            bencher.iter_custom(|operations| {
                let start = Instant::now();
                black_box(work(operations)).expect("the scenario runs");
                start.elapsed()
            });
        });
        group.finish();
    }
}
