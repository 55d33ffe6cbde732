//! `/api/drain`: an operator takes the process out of service, looks how far it is, or takes his
//! word back. What follows from it decides `voice_actors::drain`.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use actix_web::{
    Error, HttpResponse,
    http::StatusCode,
    web::{Bytes, Data},
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use voice_actors::{
    DrainState,
    drain::{CannotCancel, Cause, Leave, Order, Phase},
};

use super::{State, body, error::Refused};

/// The longest deadline: no call lasts longer unless the operator has lifted the limit of calls.
const MAX_SECONDS: f64 = 86_400.0;

/// One moment on both clocks, so that what is told of another one is the same each time.
static ANCHOR: LazyLock<(Instant, Timestamp)> =
    LazyLock::new(|| (Instant::now(), Timestamp::now()));

/// What an operator orders. An empty body is an empty order.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Wish {
    /// Calls are gone after so long; absent: they end by themselves.
    leave_within_seconds: Option<f64>,
    /// Whether the process ends when the last call is gone.
    exit: bool,
}

/// `GET`: how far it is.
pub(super) async fn show(state: Data<State>) -> HttpResponse {
    answer(StatusCode::OK, &state, state.registry.drain_state())
}

/// `POST`: no new calls from now on. Said again it replaces what was said before.
pub(super) async fn begin(
    state: Data<State>,
    body: Result<Bytes, Error>,
) -> Result<HttpResponse, Refused> {
    let wish = read(&body::whole(body)?)?;
    let leave = match wish.leave_within_seconds {
        None => Leave::ByThemselves,
        Some(seconds) => Leave::Within {
            deadline: Duration::from_secs_f64(seconds),
            notice: state.engine.time_to_leave(),
        },
    };
    let order = Order { cause: Cause::Operator, leave, exit: wish.exit };
    tracing::warn!(?order, "an operator drains this process");
    let drain = state
        .registry
        .begin_drain(order)
        .await
        .map_err(|gone| Refused::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", gone))?;
    Ok(answer(StatusCode::ACCEPTED, &state, drain))
}

/// `DELETE`: new calls are welcome again.
pub(super) async fn cancel(state: Data<State>) -> Result<HttpResponse, Refused> {
    let drain = state.registry.cancel_drain().await.map_err(|why| {
        let code = match why {
            CannotCancel::NotDraining => "not_draining",
            CannotCancel::NotAnOperators => "not_an_operators",
            CannotCancel::Leaving => "leaving",
            CannotCancel::Exiting => "exiting",
        };
        Refused::new(StatusCode::CONFLICT, code, why)
    })?;
    tracing::warn!("an operator takes the drain back: new calls are taken");
    Ok(answer(StatusCode::OK, &state, drain))
}

fn read(body: &[u8]) -> Result<Wish, Refused> {
    let expected = "{\"leaveWithinSeconds\": 300, \"exit\": true}";
    let wish: Wish = body::optional(body, "bad_order", expected)?;
    match wish.leave_within_seconds {
        Some(seconds) if !(0.0..=MAX_SECONDS).contains(&seconds) => {
            let why = format!("leaveWithinSeconds: expected a number from 0 to {MAX_SECONDS}");
            Err(Refused::new(StatusCode::BAD_REQUEST, "bad_order", why))
        }
        _ => Ok(wish),
    }
}

fn answer(status: StatusCode, state: &State, drain: DrainState) -> HttpResponse {
    HttpResponse::build(status).json(describe(drain, state.registry.active()))
}

/// A drain in JSON; also a part of `/ready`.
pub(super) fn describe(DrainState { phase, course }: DrainState, active: usize) -> Value {
    let phase = match phase {
        Phase::Open => "open",
        Phase::Draining => "draining",
        Phase::Leaving => "leaving",
        Phase::Done => "done",
    };
    json!({
        "state": phase,
        "cause": course.map(|course| match course.cause {
            Cause::Operator => "operator",
            Cause::ProtectionWithdrawn => "protection_withdrawn",
            Cause::Signal => "signal",
        }),
        "since": course.map(|course| on_the_calendar(course.since)),
        "leaveBy": course.and_then(|course| course.deadline).map(on_the_calendar),
        "exit": course.is_some_and(|course| course.exit),
        "activeCalls": active,
    })
}

/// ISO 8601, to the millisecond.
fn on_the_calendar(at: Instant) -> String {
    let (instant, timestamp) = *ANCHOR;
    let between = |later: Instant, sooner: Instant| {
        SignedDuration::try_from(later.saturating_duration_since(sooner)).unwrap_or_default()
    };
    let offset = between(at, instant) - between(instant, at);
    format!("{:.3}", timestamp.saturating_add(offset).unwrap_or(timestamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_optional_but_never_odd() {
        let order = |body: &str| {
            read(body.as_bytes()).map(|wish| (wish.leave_within_seconds, wish.exit)).ok()
        };
        assert_eq!(order(""), Some((None, false)));
        assert_eq!(order("{}"), Some((None, false)));
        assert_eq!(
            order(r#"{"leaveWithinSeconds": 300, "exit": true}"#),
            Some((Some(300.0), true))
        );
        for bad in [
            "now",
            "[]",
            r#"{"leaveWithinSeconds": -1}"#,
            r#"{"leaveWithinSeconds": 1e9}"#,
            r#"{"leave_within": 1}"#,
            r#"{"exit": "yes"}"#,
        ] {
            assert_eq!(order(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_moment_has_one_date_whenever_it_is_asked_for() {
        let now = Instant::now();
        let date = on_the_calendar(now);
        assert_eq!(on_the_calendar(now), date);
        let later: Timestamp = on_the_calendar(now + Duration::from_secs(60)).parse().expect("ISO");
        let date: Timestamp = date.parse().expect("ISO");
        assert_eq!((later - date).get_seconds(), 60);
    }
}
