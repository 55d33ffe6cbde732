//! Every fault of a stream, at every moment of a conversation: the call survives each, not a
//! sample of the caller's voice is lost, and every utterance is answered once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use voice_actors::Clock;
use voice_emulator::{Clocks, ExceptionKind, Fault, FaultKind, FaultMoment, FaultScope, Refusal};

use crate::support::{
    Bench, Caller, House, TRANSFER,
    line::{Line, trace},
    puppet, speech,
};

/// How much faster than real time the calls pass.
const RATE: f64 = 10.0;

/// What the service sends while a stream is up, or does with it.
fn under_way() -> Vec<FaultKind> {
    use ExceptionKind::{
        InternalServer, ModelStreamError, ModelTimeout, ServiceUnavailable, Throttling, Validation,
    };
    let exceptions = [
        (InternalServer, "The system encountered an unexpected error during processing."),
        (ModelStreamError, "The model broke."),
        (ModelTimeout, "Model has timed out in processing the request. Try your request again."),
        (Throttling, "Too many requests, please wait before trying again."),
        (ServiceUnavailable, "The service is temporarily unavailable."),
        (Validation, "System instability detected. Please retry your request."),
        (
            Validation,
            "InternalErrorCode=531::RST_STREAM closed stream. HTTP/2 error code: NO_ERROR",
        ),
        (Validation, "InternalErrorCode=532::Timed out waiting for audio bytes"),
    ];
    let exceptions = exceptions
        .map(|(kind, message)| FaultKind::Exception { kind, message: message.to_owned() });
    let others = [
        FaultKind::ResetStream,
        FaultKind::CutConnection,
        FaultKind::HalfFrame,
        FaultKind::Garbage(b"****************".to_vec()),
        FaultKind::SilentEnd,
        FaultKind::Hang,
        FaultKind::Deaf(Duration::from_secs(30)),
    ];
    exceptions.into_iter().chain(others).collect()
}

/// What meets a client that opens a stream.
fn at_open() -> Vec<FaultKind> {
    let refusals = [
        Refusal::Throttling,
        Refusal::ModelNotReady,
        Refusal::InternalServer,
        Refusal::ServiceUnavailable,
        Refusal::QuotaExceeded,
        Refusal::ExpiredToken,
    ];
    let others = [
        FaultKind::HangHead,
        FaultKind::SlowHead(Duration::from_secs(10)),
        FaultKind::ResetStream,
        FaultKind::CutConnection,
        FaultKind::Garbage(b"****************".to_vec()),
        FaultKind::SilentEnd,
    ];
    refusals.map(FaultKind::Refuse).into_iter().chain(others).collect()
}

/// A server whose streams break as told, on a fast clock.
async fn bench(fault: Fault) -> Bench {
    let script = puppet(r#"{ "when": { "any": true }, "do": [{ "say": "I see." }] }"#);
    House::new(&[TRANSFER])
        .bench(&script, |config, emulator| {
            config.engine.clock = Clock::scaled(RATE);
            config.engine.greeting_delay = None;
            config.engine.idle_timeout = None;
            config.engine.answer_deadline = Duration::from_secs(12);
            // Of this machine's clock: the network's.
            config.sonic_open_deadline = Duration::from_secs(2);
            emulator.faults = vec![fault];
            emulator.clocks = Clocks { scale: RATE, ..Clocks::default() };
            emulator.record.audio_bytes = usize::MAX;
        })
        .await
}

fn is_answer(message: &Value) -> bool {
    message["type"] == "transcript"
        && message["role"] == "assistant"
        && message["isFinal"] == true
        && message["interrupted"] != true
        && message["text"] == "I see."
}

/// Says a sentence; answers how long the caller waited for the answer, in the call's time.
async fn ask(caller: &mut Caller, line: &Line, sentence: &[i16]) -> Duration {
    line.say(sentence).await;
    let asked = Instant::now();
    caller.until("an answer", is_answer).await;
    asked.elapsed().mul_f64(RATE)
}

/// Two questions and their answers, whatever the fault does to the first one.
async fn survive(fault: Fault) {
    let name = format!("{:?}, {:?}", fault.moment, fault.kind);
    let deaf = matches!(fault.kind, FaultKind::Deaf(_));
    let strikes = !matches!(fault.kind, FaultKind::SlowHead(_));
    let bench = bench(fault).await;
    let mut caller = bench.call().await;
    let line = caller.open_line(RATE);
    let sentence = speech::samples("Good morning, I would like to know how this works.");
    line.pause(500).await;
    let waited = ask(&mut caller, &line, &sentence).await;
    line.pause(500).await;
    let usual = ask(&mut caller, &line, &sentence).await;
    let said = line.close();
    caller.send(json!({"type": "ping"})).await;
    caller.message("pong").await;

    let answers = caller.messages("transcript").into_iter().filter(|m| is_answer(m)).count();
    assert_eq!(answers, 2, "{name}: each is answered once\n{}", caller.story());
    assert_eq!(caller.messages("session_start").len(), 1, "{name}");
    assert!(caller.messages("error").is_empty(), "{name}: {}", caller.story());
    let meters = bench.meters();
    let replaced = meters.stream_restarts.get() + meters.stream_renewals.get();
    assert_eq!(replaced > 0, strikes, "{name}");
    caller.hang_up().await;
    bench.is_clean().await;
    let fate = trace(&said, &bench.observer().sessions());
    // What a deaf stream was sent in silence was heard by none, and nobody misses it.
    let lost = if deaf { fate.lost_speech } else { fate.lost };
    assert_eq!(lost, 0, "{name}: {fate:?}");
    println!("{name}: answered after {waited:.1?}, without a fault {usual:.1?}; {fate:?}");
    bench.finish().await;
}

#[actix_web::test]
async fn a_stream_that_does_not_open_is_opened_again() {
    for kind in at_open() {
        survive(Fault { moment: FaultMoment::AtOpen, kind, scope: FaultScope::First(1) }).await;
    }
}

#[actix_web::test]
async fn a_stream_that_breaks_as_soon_as_it_is_up_is_replaced() {
    for kind in under_way() {
        survive(Fault { moment: FaultMoment::AfterEvents(8), kind, scope: FaultScope::First(1) })
            .await;
    }
}

#[actix_web::test]
async fn a_stream_that_breaks_while_the_caller_speaks_is_replaced() {
    for kind in under_way() {
        let moment = FaultMoment::AfterAudio(Duration::from_secs(2));
        survive(Fault { moment, kind, scope: FaultScope::First(1) }).await;
    }
}

#[actix_web::test]
async fn a_stream_that_breaks_in_an_answer_is_replaced() {
    for kind in under_way() {
        survive(Fault { moment: FaultMoment::MidTurn(1), kind, scope: FaultScope::First(1) }).await;
    }
}

/// What the filter blocks is not asked again: it would be blocked again.
#[actix_web::test]
async fn what_the_content_filter_blocks_is_told_and_not_asked_again() {
    let kind = FaultKind::Exception {
        kind: ExceptionKind::Validation,
        message: "This request has been blocked by our content filters.".to_owned(),
    };
    let fault = Fault { moment: FaultMoment::MidTurn(1), kind, scope: FaultScope::First(1) };
    let bench = bench(fault).await;
    let mut caller = bench.call().await;
    caller.type_text("Something bad.").await;
    let error = caller.error("content_filtered").await;
    assert_eq!(error["fatal"], false);
    caller.type_text("Something good.").await;
    caller.until("an answer", is_answer).await;
    let sessions = bench.observer().sessions();
    let second = sessions.last().expect("a second stream");
    assert!(!second.events.iter().any(|event| event.contains("Something bad.")));
    caller.hang_up().await;
    bench.finish().await;
}
