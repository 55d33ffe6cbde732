//! What is told when: nothing lost, nothing counted twice.

use proptest::prelude::*;
use voice_call::{Meters, meters::ReasonLabel};

use super::*;

/// Meters, and what `/metrics` says of them.
#[derive(Default)]
struct House {
    meters: Meters,
}

impl House {
    fn reading(&self) -> Reading {
        let mut registry = prometheus_client::registry::Registry::with_prefix("voice_s2s");
        self.meters.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
        Reading::of(&text, &self.meters)
    }

    fn publisher(&self, scope: Scope) -> Publisher {
        Publisher::new(scope, self.reading())
    }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000 + seconds)
}

fn both() -> Scope {
    let dimensions = vec![("Environment", "test".to_owned()), ("Service", "voice".to_owned())];
    Scope { dimensions, ..Scope::default() }
}

fn find<'a>(data: &'a [Datum], name: &str) -> Vec<&'a Datum> {
    data.iter().filter(|datum| datum.name == name).collect()
}

fn added(data: &[Datum], name: &str) -> f64 {
    let figure = |datum: &&Datum| match datum.figure {
        Figure::Added(more) => more,
        _ => panic!("{datum:?} is no counter"),
    };
    find(data, name).iter().map(figure).sum()
}

#[test]
fn an_idle_task_says_zero() {
    let house = House::default();
    let mut publisher = house.publisher(Scope::default());
    publisher.tick(at(60), house.reading(), false);
    let data = publisher.batch().expect("data");
    let connections = find(&data, "ActiveWebSocketConnections");
    assert_eq!(connections.len(), 1);
    let expected = Datum {
        name: "ActiveWebSocketConnections",
        dimensions: vec![],
        at: at(60),
        figure: Figure::Gauge(0.0),
        unit: crate::Unit::Count,
        high_resolution: false,
    };
    assert_eq!(connections[0], &expected);
    assert_eq!(added(&data, "CallsStarted"), 0.0);
    assert!(find(&data, "TurnFirstAudio").is_empty(), "no distribution of nothing");
    assert!(find(&data, "CapacityUsed").is_empty(), "there is no limit to be used");
}

#[test]
fn the_metric_of_the_contract_has_no_dimension_and_the_fleets_dimensions() {
    let house = House::default();
    house.meters.open_sockets.set(3);
    let mut publisher = house.publisher(both());
    publisher.tick(at(60), house.reading(), false);
    let data = publisher.batch().expect("data");
    let connections = find(&data, "ActiveWebSocketConnections");
    let dimensions: Vec<_> = connections.iter().map(|datum| datum.dimensions.clone()).collect();
    assert_eq!(dimensions, [vec![], both().dimensions]);
    assert!(connections.iter().all(|datum| datum.figure == Figure::Gauge(3.0)));
    let others = data.iter().filter(|datum| datum.name != "ActiveWebSocketConnections");
    assert!(others.clone().all(|datum| datum.dimensions.starts_with(&both().dimensions)));
    let sources: Vec<_> = find(&data, "Errors").iter().map(|d| d.dimensions[2].1.clone()).collect();
    assert_eq!(sources, ["client", "sonic", "transcribe", "tool", "ours"]);
}

#[test]
fn a_counter_is_told_as_what_was_added() {
    let house = House::default();
    house.meters.calls_started.inc_by(5);
    let mut publisher = house.publisher(Scope::default());
    for (more, expected) in [(2, 2.0), (0, 0.0), (3, 3.0)] {
        house.meters.calls_started.inc_by(more);
        publisher.tick(at(60), house.reading(), false);
        assert_eq!(added(&publisher.batch().expect("data"), "CallsStarted"), expected);
        assert_eq!(publisher.taken(), 0);
        assert_eq!(publisher.batch(), None);
    }
}

#[test]
fn what_failed_stays_with_its_time_until_it_is_taken() {
    let house = House::default();
    let mut publisher = house.publisher(Scope::default());
    for minute in 1..=3 {
        house.meters.stream_renewals.inc();
        publisher.tick(at(60 * minute), house.reading(), false);
        assert!(publisher.batch().is_some());
        publisher.failed(Failed::Later, 1.0);
    }
    let data = publisher.batch().expect("data");
    assert_eq!(added(&data, "StreamRenewals"), 3.0);
    let times: Vec<_> = find(&data, "ActiveCalls").iter().map(|datum| datum.at).collect();
    assert_eq!(times, [at(60), at(120), at(180)]);
    // What comes while this is sent is not taken with it.
    publisher.tick(at(240), house.reading(), false);
    assert_eq!(publisher.taken(), 3, "failures");
    assert_eq!(find(&publisher.batch().expect("the next"), "ActiveCalls").len(), 1);
    assert_eq!(publisher.lost(), 0);
}

#[test]
fn pauses_double_up_to_a_limit_and_a_success_ends_them() {
    let house = House::default();
    let mut publisher = house.publisher(Scope::default());
    publisher.tick(at(60), house.reading(), false);
    let mut pause = |chance| {
        publisher.batch();
        publisher.failed(Failed::Later, chance)
    };
    let seconds: Vec<_> = (0..11).map(|_| pause(1.0).as_secs()).collect();
    assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(pause(0.0).as_secs(), 150, "half of it is chance");
    publisher.batch();
    publisher.taken();
    publisher.tick(at(120), house.reading(), false);
    publisher.batch();
    assert_eq!(publisher.failed(Failed::Later, 1.0).as_secs(), 1);
}

#[test]
fn what_will_never_be_taken_is_given_up_and_counted() {
    let house = House::default();
    let mut publisher = house.publisher(Scope::default());
    publisher.tick(at(60), house.reading(), false);
    let data = publisher.batch().expect("data").len() as u64;
    publisher.failed(Failed::Never, 0.5);
    assert_eq!((publisher.lost(), publisher.waiting()), (data, 0));
}

#[test]
fn a_draining_task_leaves_scaling_to_the_others() {
    let house = House::default();
    house.meters.max_calls.set(10);
    house.meters.active_calls.set(4);
    let mut publisher = house.publisher(both());
    publisher.tick(at(60), house.reading(), true);
    let data = publisher.batch().expect("data");
    assert!(find(&data, "ActiveWebSocketConnections").is_empty());
    assert!(find(&data, "CapacityUsed").is_empty());
    assert_eq!(find(&data, "ActiveCalls").len(), 1);
}

#[test]
fn high_resolution_is_for_the_share_of_the_capacity_alone() {
    let house = House::default();
    house.meters.max_calls.set(10);
    house.meters.active_calls.set(4);
    let mut publisher = house.publisher(Scope { fast: Some(6), ..Scope::default() });
    for tick in 1..=12 {
        house.meters.calls_started.inc();
        publisher.tick(at(10 * tick), house.reading(), false);
        let data = publisher.batch().expect("data");
        publisher.taken();
        let share = find(&data, "CapacityUsed");
        assert_eq!((share.len(), &share[0].figure), (1, &Figure::Gauge(40.0)));
        assert!(share[0].high_resolution);
        if tick % 6 == 0 {
            assert_eq!(added(&data, "CallsStarted"), 6.0);
            assert!(data.iter().filter(|d| d.name != "CapacityUsed").all(|d| !d.high_resolution));
        } else {
            assert_eq!(data.len(), 1);
        }
    }
}

#[test]
fn the_last_word_has_counts_and_no_gauges() {
    let house = House::default();
    let mut publisher = house.publisher(Scope::default());
    house.meters.first_audio.observe(Duration::from_millis(700));
    house.meters.calls_ended.get_or_create(&ReasonLabel { reason: "sonic_lost" }).inc();
    publisher.last(at(5), house.reading());
    let data = publisher.batch().expect("data");
    assert_eq!(added(&data, "CallsDropped"), 1.0);
    assert!(matches!(&find(&data, "TurnFirstAudio")[0].figure, Figure::Waits(w) if w.count() == 1));
    assert!(!data.iter().any(|datum| matches!(datum.figure, Figure::Gauge(_))));
}

#[test]
fn a_full_backlog_keeps_every_count_and_counts_the_gauges_that_it_loses() {
    let house = House::default();
    let mut publisher = house.publisher(both());
    let (mut gauges, ticks) = (0, 1_000);
    for minute in 1..=ticks {
        house.meters.calls_started.inc();
        house.meters.first_audio.observe(Duration::from_millis(100 * (minute % 7 + 1)));
        publisher.tick(at(60 * minute), house.reading(), false);
        // The connection was there and is gone: a request that failed each time.
        assert!(publisher.batch().is_some_and(|batch| batch.len() <= 1_000));
        publisher.failed(Failed::Later, 0.0);
        assert!(publisher.waiting() <= BACKLOG + 40, "{}", publisher.waiting());
    }
    let (mut started, mut turns) = (0.0, 0);
    while let Some(data) = publisher.batch() {
        started += added(&data, "CallsStarted");
        for datum in &data {
            match &datum.figure {
                Figure::Waits(waits) => turns += waits.count(),
                Figure::Gauge(_) => gauges += 1,
                Figure::Added(_) => {}
            }
        }
        publisher.taken();
    }
    assert_eq!((started, turns), (ticks as f64, ticks));
    // Three gauges a tick: two of the contract's, and the calls.
    assert_eq!(gauges + publisher.lost(), 3 * ticks);
    assert!(publisher.lost() > 0 && publisher.waiting() == 0);
}

proptest! {
    /// However requests fail and succeed, every count arrives once.
    #[test]
    fn nothing_is_lost_and_nothing_is_counted_twice(
        story in proptest::collection::vec((0_u64..5, any::<bool>(), any::<bool>()), 1..120)
    ) {
        let house = House::default();
        let mut publisher = house.publisher(Scope::default());
        let (mut counted, mut arrived) = (0, 0.0);
        for (minute, (more, sends, succeeds)) in story.into_iter().enumerate() {
            house.meters.calls_started.inc_by(more);
            counted += more;
            // A request that is under way when the next interval ends.
            let batch = if sends { publisher.batch() } else { None };
            publisher.tick(at(60 * minute as u64), house.reading(), false);
            if let Some(batch) = batch {
                if succeeds {
                    arrived += added(&batch, "CallsStarted");
                    publisher.taken();
                } else {
                    publisher.failed(Failed::Later, 0.5);
                }
            }
        }
        while let Some(batch) = publisher.batch() {
            arrived += added(&batch, "CallsStarted");
            publisher.taken();
        }
        prop_assert_eq!(arrived, counted as f64);
        prop_assert_eq!(publisher.lost(), 0);
    }
}
