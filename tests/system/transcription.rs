//! A second pair of ears: Amazon Transcribe by the real SDK, at the stand-in on a real socket.

use std::time::Duration;

use serde_json::{Value, json};
use voice_actors::Mishap;
use voice_aws::PersonalData;
use voice_call::{
    Role,
    meters::ReasonLabel,
    transcription::{Channels, Language},
};
use voice_emulator::{
    EmulatorConfig, FaultScope, TranscribeException, TranscribeFault, TranscribeFaultKind,
    Utterance,
};
use voice_s2s::config::ServerConfig;

use crate::{
    session_log::only_log,
    support::{Bench, Caller, House, eventually, puppet, speech},
};

const SAID: &str = "I have another question for you.";

async fn bench(change: impl FnOnce(&mut ServerConfig, &mut EmulatorConfig)) -> Bench {
    Bench::with(|config, emulator| {
        config.engine.transcribe = Channels::Caller;
        emulator.transcribe.utterances[0] = vec![SAID.into(), "And one more.".into()];
        change(config, emulator);
    })
    .await
}

fn faults(bench: &Bench, reason: &'static str) -> u64 {
    bench.meters().transcription_faults.get_or_create(&ReasonLabel { reason }).get()
}

/// The caller says something, and it was understood to its end.
async fn say(bench: &Bench, caller: &mut Caller) {
    let before = bench.observer().transcriptions().heard_bytes();
    caller.speak(&speech::say(SAID)).await;
    caller.final_line("assistant").await;
    let spoken = speech::say(SAID).len() as u64;
    let heard = || bench.observer().transcriptions().heard_bytes() >= before + spoken + 32_000;
    eventually("all of it is heard", heard).await;
}

fn lines<'a>(log: &'a Value, role: &str) -> Vec<&'a Value> {
    let transcript = log["transcript"].as_array().expect("a transcript");
    transcript.iter().filter(|said| said["role"] == role).collect()
}

async fn transcriptions_end(bench: &Bench) {
    eventually("no stream to Transcribe", || {
        bench.meters().open_transcriptions.get() == 0
            && bench.observer().transcriptions().open_streams() == 0
    })
    .await;
}

#[actix_web::test]
async fn what_was_heard_stands_beside_what_the_model_understood() {
    let bench = bench(|_, _| ()).await;
    let mut caller = bench.greeted().await;
    say(&bench, &mut caller).await;
    caller.hang_up().await;
    let log = only_log(&bench).await;
    let users = lines(&log, "user");
    assert_eq!(users.len(), 1, "each utterance once: {users:?}");
    assert_eq!(users[0]["transcription"]["text"], SAID);
    assert_eq!(users[0]["source"], "nova");
    let (start, end) = (&users[0]["transcription"]["start"], &users[0]["transcription"]["end"]);
    assert!(end.as_f64() > start.as_f64(), "{log}");
    let usage = &log["usage"];
    assert!(usage["transcribeSeconds"].as_f64().is_some_and(|seconds| seconds > 2.0), "{usage}");
    transcriptions_end(&bench).await;
    bench.finish().await;
}

#[actix_web::test]
async fn both_channels_are_told_apart() {
    let bench = bench(|config, emulator| {
        config.engine.transcribe = Channels::Both;
        config.engine.transcribe_rate = 8_000;
        emulator.transcribe.utterances[1] =
            vec!["Hello, this is Anna, the voice assistant of Meridian Bank.".into()];
    })
    .await;
    let mut caller = bench.greeted().await;
    let heard = || bench.observer().transcriptions().heard_bytes() >= 6 * 32_000;
    eventually("the greeting is heard", heard).await;
    say(&bench, &mut caller).await;
    caller.hang_up().await;
    let log = only_log(&bench).await;
    let greeting = lines(&log, "assistant")[0];
    assert!(
        greeting["transcription"]["text"].as_str().is_some_and(|t| t.starts_with("Hello, this is")),
        "{log}"
    );
    assert_eq!(lines(&log, "user")[0]["transcription"]["text"], SAID);
    transcriptions_end(&bench).await;
    bench.finish().await;
}

#[actix_web::test]
async fn the_redacted_words_are_those_that_are_kept() {
    let bench = bench(|config, emulator| {
        config.transcription.personal_data = PersonalData::Redact;
        let text = "my name is Ann Lee".to_owned();
        let redacted = Some("my name is [NAME]".to_owned());
        emulator.transcribe.utterances[0] = vec![Utterance { text, redacted }];
    })
    .await;
    let mut caller = bench.greeted().await;
    say(&bench, &mut caller).await;
    caller.hang_up().await;
    let log = only_log(&bench).await;
    let user = lines(&log, "user")[0].clone();
    assert_eq!(
        (&user["text"], &user["source"]),
        (&"my name is [NAME]".into(), &"transcribe".into())
    );
    assert!(!log.to_string().contains("Ann Lee"), "{log}");
    bench.finish().await;
}

#[actix_web::test]
async fn an_identified_language_is_told_to_the_client() {
    let bench = bench(|config, _| {
        let languages = vec!["de-DE".to_owned(), "en-GB".to_owned()];
        config.engine.transcribe_language = Some(Language::OneOf(languages));
        config.transcription.vocabulary = Some("bank-words".into());
        config.transcription.filter = Some(("rude-words".into(), "mask".into()));
    })
    .await;
    let mut caller = bench.greeted().await;
    caller.speak(&speech::say(SAID)).await;
    let metadata = caller.message("metadata").await;
    assert_eq!(metadata["data"]["detectedLanguage"], "de-DE");
    assert!(metadata["data"]["languageConfidence"].as_f64().is_some_and(|c| c > 0.9));
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_persona_says_whether_it_is_transcribed() {
    let house = House::new(&[
        ("prompts/persona-a.txt", "You listen.\n---\n{\"transcription\": \"caller\"}"),
        ("prompts/persona-b.txt", "You do not."),
    ]);
    let script = puppet(r#"{ "when": { "any": true }, "do": [{ "say": "I see." }] }"#);
    let bench = house
        .bench(&script, |_, emulator| emulator.transcribe.utterances[0] = vec![SAID.into()])
        .await;
    let mut caller = bench.greeted().await;
    say(&bench, &mut caller).await;
    caller.configure(json!({"personaId": "persona-b"})).await;
    transcriptions_end(&bench).await;
    caller.speak(&speech::say(SAID)).await;
    caller.final_line("assistant").await;
    caller.hang_up().await;
    let log = only_log(&bench).await;
    assert_eq!(lines(&log, "user")[0]["transcription"]["text"], SAID);
    assert_eq!(bench.observer().transcriptions().opened(), 1, "the other persona is not");
    // Each second once, though it was told by and by and at the end.
    let seconds = log["usage"]["transcribeSeconds"].as_f64().expect("seconds");
    let heard = bench.observer().transcriptions().heard_bytes() as f64 / 32_000.0;
    assert!((seconds - heard).abs() < 0.5, "{seconds} s were counted, {heard} s were heard");
    bench.finish().await;
}

#[actix_web::test]
async fn nothing_is_transcribed_unless_somebody_says_so() {
    let bench = bench(|config, _| config.engine.transcribe = Channels::Off).await;
    let mut caller = bench.greeted().await;
    caller.speak(&speech::say(SAID)).await;
    caller.final_line("user").await;
    caller.hang_up().await;
    let log = only_log(&bench).await;
    assert_eq!(bench.observer().transcriptions().opened(), 0);
    assert_eq!(log["usage"]["transcribeSeconds"], 0.0);
    bench.finish().await;
}

/// Silence is fed, so the clock of 15 seconds never runs out; it would within 2.5 seconds here.
#[actix_web::test]
async fn a_long_silence_does_not_end_the_stream() {
    let bench = bench(|config, emulator| {
        config.engine.clock = voice_actors::clock::Clock::scaled(6.0);
        emulator.clocks.scale = 6.0;
    })
    .await;
    let caller = bench.greeted().await;
    let long = 45 * 32_000;
    let heard = || bench.observer().transcriptions().heard_bytes() >= long;
    eventually("45 seconds were heard", heard).await;
    assert_eq!(bench.observer().transcriptions().opened(), 1);
    assert_eq!(faults(&bench, "expired"), 0);
    caller.hang_up().await;
    bench.finish().await;
}

/// Every exception and every way a stream can break: the caller notices nothing, and what is said
/// afterwards is transcribed again.
#[actix_web::test]
async fn a_stream_that_breaks_is_opened_anew() {
    use TranscribeException::*;
    use TranscribeFaultKind::*;
    let kinds = [
        (Exception(LimitExceeded), "limit"),
        (Exception(InternalFailure), "unavailable"),
        (Exception(ServiceUnavailable), "unavailable"),
        (Exception(Conflict), "conflict"),
        (Reset, "transport"),
        (Cut, "transport"),
        (SilentEnd, "transport"),
    ];
    let moments = [None, Some(Duration::from_millis(300))];
    let cases = kinds.iter().flat_map(|(kind, reason)| {
        moments.iter().map(move |after| (kind.clone(), *reason, *after))
    });
    // A server that has been reached cannot end in order at the opening.
    let cases = cases.filter(|(kind, _, after)| after.is_some() || *kind != SilentEnd);
    futures::future::join_all(cases.map(|(kind, reason, after)| breaks(kind, reason, after))).await;
}

async fn breaks(kind: TranscribeFaultKind, reason: &'static str, after: Option<Duration>) {
    let story = format!("{kind:?} {after:?}");
    let fault = TranscribeFault { after, kind, scope: FaultScope::First(1) };
    let bench = bench(|_, emulator| emulator.transcribe.faults = vec![fault]).await;
    let mut caller = bench.greeted().await;
    eventually(&story, || faults(&bench, reason) == 1).await;
    let again = || bench.meters().open_transcriptions.get() == 1;
    eventually(&format!("another stream after {story}"), again).await;
    say(&bench, &mut caller).await;
    caller.hang_up().await;
    let log = only_log(&bench).await;
    assert_eq!(lines(&log, "user")[0]["transcription"]["text"], SAID, "{story}");
    assert_eq!(bench.meters().stream_restarts.get(), 0, "{story}");
    transcriptions_end(&bench).await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_service_that_cannot_be_used_is_given_up_and_the_call_goes_on() {
    let refused = TranscribeFault {
        after: None,
        kind: TranscribeFaultKind::Exception(TranscribeException::BadRequest),
        scope: FaultScope::Every,
    };
    let bench = bench(|_, emulator| emulator.transcribe.faults = vec![refused]).await;
    let mut caller = bench.greeted().await;
    let is_lost = |error: &&&Value| error["code"] == "transcription_unavailable";
    let error = caller.messages("error").iter().find(is_lost).map(|error| (*error).clone());
    assert_eq!(error.expect("the client is told")["fatal"], false);
    caller.speak(&speech::say(SAID)).await;
    caller.final_line("user").await;
    caller.final_line("assistant").await;
    assert_eq!(faults(&bench, "invalid"), 1, "a wrong request is not tried again");
    caller.hang_up().await;
    let log = only_log(&bench).await;
    assert!(log["errors"].to_string().contains("transcription_unavailable"), "{log}");
    bench.finish().await;
}

#[actix_web::test]
async fn a_stream_that_hangs_holds_nothing_up() {
    let hang = TranscribeFault {
        after: Some(Duration::from_millis(200)),
        kind: TranscribeFaultKind::Hang,
        scope: FaultScope::Every,
    };
    let bench = bench(|config, emulator| {
        emulator.transcribe.faults = vec![hang];
        config.engine.clock = voice_actors::clock::Clock::scaled(10.0);
        emulator.clocks.scale = 10.0;
    })
    .await;
    let mut caller = bench.greeted().await;
    // The queue of the stream fills up, and another one is opened.
    eventually("it is noticed", || faults(&bench, "transport") >= 1).await;
    caller.type_text("What is my balance?").await;
    caller.final_line("assistant").await;
    caller.hang_up().await;
    transcriptions_end(&bench).await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_transcriber_that_breaks_listens_again() {
    let bench = bench(|_, _| ()).await;
    let (mut caller, id) = crate::crash::in_mid_call(&bench).await;
    crate::crash::hit(&bench, &id, Some(Role::Transcriber), Mishap::Panic).await;
    eventually("another stream", || bench.observer().transcriptions().opened() == 2).await;
    say(&bench, &mut caller).await;
    caller.configure(json!({})).await;
    caller.hang_up().await;
    let log = only_log(&bench).await;
    assert_eq!(lines(&log, "user")[0]["transcription"]["text"], SAID);
    transcriptions_end(&bench).await;
    bench.finish().await;
}
