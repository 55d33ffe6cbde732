//! The table of the protection.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const ON: Result<Answer, AgentError> = Ok(Answer { protected: true, expires: None });
const OFF: Result<Answer, AgentError> = Ok(Answer { protected: false, expires: None });

fn blocked() -> Result<Answer, AgentError> {
    Err(AgentError::Refused { reason: "DEPLOYMENT_BLOCKED".into(), detail: None })
}

fn lost() -> Result<Answer, AgentError> {
    Err(AgentError::Unreachable("not in time".into()))
}

/// A task with so many calls.
fn with(calls: usize) -> (Protection, Instant) {
    let mut protection = Protection::new(ProtectionTimes::default());
    protection.count(calls);
    (protection, Instant::now())
}

/// One whose calls are protected since now.
fn protected() -> (Protection, Instant) {
    let (mut protection, now) = with(1);
    exchange(&mut protection, &ON, now);
    assert!(protection.is_on());
    (protection, now)
}

fn asked(protection: &mut Protection, now: Instant) -> Request {
    match protection.step(now) {
        Step::Ask(request) => request,
        other => panic!("nothing is asked but {other:?}"),
    }
}

/// The request that is due, and its answer.
fn exchange(protection: &mut Protection, answer: &Result<Answer, AgentError>, now: Instant) {
    let request = asked(protection, now);
    protection.answered(request, answer, now);
}

#[test]
fn it_is_on_with_the_first_call_and_off_with_the_last() {
    let (mut protection, now) = with(0);
    assert_eq!(protection.step(now), Step::Wait(None));
    protection.count(1);
    assert_eq!(protection.step(now), Step::Ask(Request::Protect(60)));
    protection.answered(Request::Protect(60), &ON, now);
    assert!(protection.is_on());
    protection.count(7);
    assert_eq!(protection.step(now), Step::Wait(Some(now + 20 * MINUTE)));
    protection.count(0);
    assert_eq!(protection.step(now), Step::Ask(Request::Release));
    protection.answered(Request::Release, &OFF, now);
    assert!(!protection.is_on());
    assert_eq!(protection.step(now), Step::Wait(None));
}

#[test]
fn it_is_renewed_after_a_look() {
    let (mut protection, now) = protected();
    let due = now + 20 * MINUTE;
    assert_eq!(protection.step(due), Step::Ask(Request::Look));
    protection.answered(Request::Look, &ON, due);
    assert_eq!(protection.step(due), Step::Ask(Request::Protect(60)));
    protection.answered(Request::Protect(60), &ON, due);
    assert_eq!(protection.step(due), Step::Wait(Some(due + 20 * MINUTE)));
}

#[test]
fn what_somebody_else_has_ended_is_not_renewed() {
    let (mut protection, now) = protected();
    let due = now + 20 * MINUTE;
    exchange(&mut protection, &OFF, due);
    assert_eq!(protection.step(due), Step::Withdrawn);
    assert_eq!(protection.step(due), Step::Wait(None), "it is said once");
    for calls in [0, 3] {
        protection.count(calls);
        assert_eq!(protection.step(due + 60 * MINUTE), Step::Wait(None));
    }
}

#[test]
fn what_has_run_out_was_not_withdrawn() {
    let (mut protection, now) = protected();
    let mut at = now + 20 * MINUTE;
    while at < now + 60 * MINUTE {
        if let Step::Ask(request) = protection.step(at) {
            assert_eq!(request, Request::Look);
            protection.answered(request, &lost(), at);
        }
        at += MINUTE;
    }
    assert_eq!(protection.step(at + 5 * MINUTE), Step::Ask(Request::Protect(60)));
}

#[test]
fn a_refusal_is_tried_again_after_pauses_that_grow() {
    let (mut protection, mut now) = with(1);
    for pause in [5, 10, 20, 40, 80, 160, 300, 300] {
        assert_eq!(asked(&mut protection, now), Request::Protect(60));
        protection.answered(Request::Protect(60), &blocked(), now);
        let again = now + Duration::from_secs(pause);
        assert_eq!(protection.step(now), Step::Wait(Some(again)));
        now = again;
    }
    exchange(&mut protection, &ON, now);
    // A success forgets the pauses.
    protection.count(0);
    exchange(&mut protection, &blocked(), now);
    assert_eq!(protection.step(now), Step::Wait(Some(now + Duration::from_secs(5))));
}

#[test]
fn nothing_is_released_that_was_refused_and_everything_that_may_be_on() {
    let (mut protection, now) = with(1);
    exchange(&mut protection, &blocked(), now);
    protection.count(0);
    assert_eq!(protection.step(now), Step::Wait(None));

    let (mut protection, now) = with(1);
    exchange(&mut protection, &lost(), now);
    protection.count(0);
    let later = now + MINUTE;
    assert_eq!(protection.step(later), Step::Ask(Request::Release));
    // But not for ever.
    assert_eq!(protection.step(now + 61 * MINUTE), Step::Wait(None));
}

#[test]
fn a_renewal_that_fails_looks_again_before_the_next_one() {
    let (mut protection, now) = protected();
    let due = now + 20 * MINUTE;
    exchange(&mut protection, &ON, due);
    exchange(&mut protection, &lost(), due);
    assert!(protection.is_on(), "its first hour is not over");
    let again = due + Duration::from_secs(5);
    assert_eq!(protection.step(again), Step::Ask(Request::Look));
    protection.answered(Request::Look, &OFF, again);
    assert_eq!(protection.step(again), Step::Withdrawn);
}

#[test]
fn an_answer_that_says_the_opposite_is_a_failure() {
    let (mut protection, now) = with(1);
    exchange(&mut protection, &OFF, now);
    assert!(!protection.is_on());
    assert_eq!(protection.step(now), Step::Wait(Some(now + Duration::from_secs(5))));
}
