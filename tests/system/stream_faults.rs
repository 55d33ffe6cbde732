//! The stream to the model breaks: opened anew where that helps, ended with a cause where not.

use std::time::Duration;

use voice_emulator::{ExceptionKind, Fault, FaultKind, FaultMoment, FaultScope, Refusal};

use crate::support::{Bench, Caller, eventually};

fn exception(kind: ExceptionKind, message: &str) -> FaultKind {
    FaultKind::Exception { kind, message: message.into() }
}

#[actix_web::test]
async fn a_stream_that_dies_in_an_answer_is_replaced_and_the_call_goes_on() {
    // What passes by itself is no news for the client; a lost connection is.
    let kinds = [
        (exception(ExceptionKind::ModelStreamError, "The model broke."), false),
        (
            exception(
                ExceptionKind::ModelTimeout,
                "Model has timed out in processing the request. Try your request again.",
            ),
            false,
        ),
        (
            exception(
                ExceptionKind::Validation,
                "System instability detected. Please retry your request.",
            ),
            false,
        ),
        (FaultKind::ResetStream, true),
        (FaultKind::CutConnection, true),
        (FaultKind::SilentEnd, false),
    ];
    for (kind, told) in kinds {
        let name = format!("{kind:?}");
        let fault = Fault { moment: FaultMoment::MidTurn(2), kind, scope: FaultScope::First(1) };
        let bench = Bench::with(|config, emulator| {
            config.engine.reconnect_notice = Duration::from_secs(20);
            emulator.faults = vec![fault];
        })
        .await;
        let mut caller = bench.greeted().await;
        caller.type_text("What are your opening hours?").await;
        if told {
            caller.message("reconnecting").await;
            caller.message("reconnected").await;
        }
        eventually(&name, || bench.observer().sessions().len() == 2).await;
        caller.type_text("What are your opening hours?").await;
        caller.until(&name, |m| m["type"] == "latency_update").await;
        assert_eq!(caller.messages("reconnecting").len(), usize::from(told), "{name}");
        assert_eq!(caller.messages("session_start").len(), 1, "{name}");
        assert_eq!(bench.meters().stream_restarts.get(), 1, "{name}");
        caller.hang_up().await;
        bench.finish().await;
    }
}

#[actix_web::test]
async fn throttling_at_the_opening_is_tried_again() {
    let bench = Bench::with(|_, emulator| {
        emulator.faults = vec![Fault::at_open(FaultKind::Refuse(Refusal::Throttling)).first(2)];
    })
    .await;
    let caller = bench.greeted().await;
    assert_eq!(bench.meters().stream_restarts.get(), 2);
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn missing_permission_ends_the_call_with_the_cause_in_words() {
    let bench = Bench::with(|_, emulator| {
        emulator.faults = vec![Fault::at_open(FaultKind::Refuse(Refusal::AccessDenied))];
    })
    .await;
    let mut caller = Caller::connect(&bench.sonic("")).await;
    let error = caller.error("access_denied").await;
    assert_eq!(error["fatal"], true);
    assert!(error["message"].as_str().is_some_and(|m| m.contains("credentials")), "{error}");
    assert_eq!(caller.closed().await.0, 1011);
    assert_eq!(bench.ended("sonic_lost"), 1);
    bench.finish().await;
}

/// On the phone a human takes over when nothing else helps.
#[actix_web::test]
async fn a_phone_call_whose_service_is_gone_goes_to_a_human() {
    let bench = Bench::with(|config, emulator| {
        config.engine.config_window = Duration::from_secs(20);
        emulator.faults = vec![Fault {
            moment: FaultMoment::AfterEvents(1),
            kind: exception(ExceptionKind::Validation, "Invalid input request."),
            scope: FaultScope::Every,
        }];
    })
    .await;
    let mut caller = Caller::connect(&bench.sonic("")).await;
    caller.configure(serde_json::json!({"channel": "phone"})).await;
    let error = caller.error("invalid").await;
    assert_eq!(error["fatal"], false);
    let transfer = caller.message("transferToAgent").await;
    assert!(transfer["reason"].as_str().is_some_and(|why| why.contains("not available")));
    caller.hang_up().await;
    eventually("the end", || bench.ended("transferred") == 1).await;
    bench.finish().await;
}

#[actix_web::test]
async fn events_nobody_knows_and_padding_harm_nothing() {
    let unknown = Fault {
        moment: FaultMoment::MidTurn(1),
        kind: FaultKind::UnknownEvent,
        scope: FaultScope::Every,
    };
    let bench = Bench::with(|_, emulator| {
        emulator.faults = vec![unknown];
        emulator.padding = true;
    })
    .await;
    let caller = bench.greeted().await;
    assert!(bench.meters().unknown_events.get() >= 1);
    assert_eq!(bench.meters().stream_restarts.get(), 0);
    caller.hang_up().await;
    bench.finish().await;
}
