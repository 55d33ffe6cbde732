//! The table of the drain.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const NOTICE: Duration = Duration::from_secs(23);

fn operator(leave: Leave, exit: bool) -> Order {
    Order { cause: Cause::Operator, leave, exit }
}

fn within(seconds: u32) -> Leave {
    Leave::Within { deadline: SECOND * seconds, notice: NOTICE }
}

fn signal() -> Order {
    Order { cause: Cause::Signal, leave: Leave::Now(SECOND * 110), exit: true }
}

const WITHDRAWN: Order =
    Order { cause: Cause::ProtectionWithdrawn, leave: Leave::ByThemselves, exit: true };

/// A machine with so many calls, and its time.
fn with(calls: usize) -> (Drain, Instant) {
    let mut drain = Drain::default();
    drain.count(calls);
    (drain, Instant::now())
}

#[test]
fn an_operator_without_a_deadline_waits_for_the_calls() {
    let (mut drain, now) = with(2);
    assert!(!drain.is_closed());
    let told = drain.begin(operator(Leave::ByThemselves, false), now);
    assert_eq!((told, drain.phase()), (Some(Notice::Draining(None)), Phase::Draining));
    assert!(drain.is_closed());
    assert_eq!((drain.next_tick(), drain.tick(now + SECOND * 9_999)), (None, None));
    drain.count(1);
    assert_eq!(drain.phase(), Phase::Draining);
    drain.count(0);
    assert_eq!(drain.phase(), Phase::Done);
}

#[test]
fn a_deadline_is_told_at_once_and_calls_are_asked_in_good_time() {
    let (mut drain, now) = with(1);
    let told = drain.begin(operator(within(60), false), now);
    assert_eq!(told, Some(Notice::Draining(Some(SECOND * 60))));
    let ask_at = now + SECOND * 37;
    assert_eq!(drain.next_tick(), Some(ask_at));
    assert_eq!(drain.tick(ask_at - SECOND), None);
    assert_eq!(drain.announce(ask_at - SECOND), Some(Notice::Draining(Some(SECOND * 24))));
    assert_eq!(drain.tick(ask_at), Some(Notice::Leave(NOTICE)));
    assert_eq!(drain.announce(ask_at + SECOND), Some(Notice::Leave(NOTICE - SECOND)));
    assert_eq!((drain.phase(), drain.next_tick()), (Phase::Leaving, Some(now + SECOND * 60)));
    assert_eq!(drain.tick(now + SECOND * 60), None);
    assert_eq!(drain.phase(), Phase::Done, "one is left, and the time is over");
}

#[test]
fn a_deadline_that_is_near_asks_at_once() {
    let (mut drain, now) = with(1);
    assert_eq!(drain.begin(operator(within(5), false), now), Some(Notice::Leave(SECOND * 5)));
    assert_eq!(drain.phase(), Phase::Leaving);
}

#[test]
fn a_signal_asks_at_once_from_everywhere() {
    for before in [None, Some(operator(Leave::ByThemselves, false)), Some(WITHDRAWN)] {
        let (mut drain, now) = with(3);
        before.and_then(|order| drain.begin(order, now));
        let told = drain.begin(signal(), now + SECOND);
        assert_eq!(told, Some(Notice::Leave(SECOND * 110)), "{before:?}");
        let course = drain.course().expect("a drain");
        assert_eq!((course.cause, course.exit), (Cause::Signal, true));
        assert_eq!(course.deadline, Some(now + SECOND * 111));
        drain.count(0);
        assert_eq!(drain.phase(), Phase::Done);
    }
}

#[test]
fn a_signal_does_not_prolong_what_an_operator_has_set() {
    let (mut drain, now) = with(1);
    drain.begin(operator(within(40), false), now);
    assert_eq!(drain.begin(signal(), now), Some(Notice::Leave(SECOND * 40)));
    // They were asked; a second order asks nobody again.
    assert_eq!(drain.begin(signal(), now + SECOND), None);
    assert_eq!(drain.course().and_then(|course| course.deadline), Some(now + SECOND * 40));
}

#[test]
fn a_signal_gives_another_chance_to_calls_that_outstayed_a_deadline() {
    let (mut drain, now) = with(1);
    drain.begin(operator(within(5), true), now);
    drain.tick(now + SECOND * 5);
    assert_eq!(drain.phase(), Phase::Done);
    let told = drain.begin(signal(), now + SECOND * 6);
    assert_eq!((told, drain.phase()), (Some(Notice::Leave(SECOND * 110)), Phase::Leaving));
}

#[test]
fn without_calls_every_drain_is_done_at_once() {
    for order in [operator(Leave::ByThemselves, true), operator(within(60), true), WITHDRAWN] {
        let (mut drain, now) = with(0);
        assert_eq!(drain.begin(order, now), None);
        assert_eq!(drain.phase(), Phase::Done);
        assert_eq!(drain.begin(signal(), now), None, "nobody is left to be asked");
    }
}

#[test]
fn an_operators_last_word_counts() {
    let (mut drain, now) = with(1);
    drain.begin(operator(within(60), true), now);
    let told = drain.begin(operator(within(300), false), now + SECOND);
    assert_eq!(told, Some(Notice::Draining(Some(SECOND * 300))));
    assert!(!drain.course().expect("a drain").exit);
    let told = drain.begin(operator(Leave::ByThemselves, false), now + SECOND);
    assert_eq!(told, Some(Notice::Draining(None)), "the deadline is taken back");
    let again = drain.begin(operator(Leave::ByThemselves, true), now + SECOND);
    assert_eq!(again, None, "nothing that clients do not know");
    assert_eq!(drain.course().map(|course| (course.since, course.exit)), Some((now, true)));
}

#[test]
fn an_operator_takes_back_what_an_operator_has_ordered() {
    let (mut drain, now) = with(1);
    assert_eq!(drain.cancel(), Err(CannotCancel::NotDraining));
    drain.begin(operator(Leave::ByThemselves, true), now);
    assert_eq!(drain.cancel(), Ok(Notice::Cancelled));
    assert_eq!((drain.phase(), drain.course()), (Phase::Open, None));
    // An empty process that waits for its operator can be used again.
    drain.begin(operator(Leave::ByThemselves, false), now);
    drain.count(0);
    assert_eq!(drain.cancel(), Ok(Notice::Cancelled));
}

#[test]
fn nothing_else_is_taken_back() {
    let (mut drain, now) = with(1);
    drain.begin(operator(within(5), false), now);
    assert_eq!(drain.cancel(), Err(CannotCancel::Leaving));
    let (mut drain, now) = with(0);
    drain.begin(operator(Leave::ByThemselves, true), now);
    assert_eq!(drain.cancel(), Err(CannotCancel::Exiting));
    for order in [WITHDRAWN, signal()] {
        let (mut drain, now) = with(1);
        drain.begin(operator(Leave::ByThemselves, false), now);
        drain.begin(order, now);
        assert_eq!(drain.cancel(), Err(CannotCancel::NotAnOperators));
        // Nor does an operator's order weaken it.
        drain.begin(operator(Leave::ByThemselves, false), now);
        let course = drain.course().expect("a drain");
        assert_eq!((course.cause, course.exit), (order.cause, true));
    }
}
