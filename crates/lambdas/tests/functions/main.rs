//! Both functions as Lambda runs them: real events and bad ones, and a bridge that fails in every
//! way it can.

#![expect(clippy::expect_used, reason = "helpers of tests fail the test")]

#[path = "../../../../tests/system/support/runtime_api.rs"]
mod runtime_api;

mod bridge;

use std::{path::Path, time::Duration};

use bridge::{Bridge, Reaction};
use runtime_api::Function;
use serde_json::{Value, json};

const START: &str = env!("CARGO_BIN_EXE_start-bot-session");
const TURN: &str = env!("CARGO_BIN_EXE_process-bot-turn");
const KEY: &str = "a key that a test knows";

/// A function that asks there.
async fn function(program: &str, bridge: &str) -> Function {
    let variables = [("BRIDGE_URL", bridge), ("BRIDGE_KEY", KEY), ("TURN_BUDGET", "2")];
    Function::start(Path::new(program), &variables).await
}

/// An event as Connect sends it (connect-kvs.md §5.1).
fn event(parameters: Value) -> Value {
    json!({"Name": "ContactFlowEvent", "Details": {"ContactData": {
        "Attributes": {"tier": "gold"}, "AwsRegion": "us-east-1", "Channel": "VOICE",
        "ContactId": "c-1", "InitialContactId": "c-1", "PreviousContactId": "c-1",
        "CustomerEndpoint": {"Address": "+15550100", "Type": "TELEPHONE_NUMBER"},
        "SystemEndpoint": {"Address": "+15550199", "Type": "TELEPHONE_NUMBER"},
        "CustomerId": null, "Description": null, "Name": null, "References": {},
        "InitiationMethod": "INBOUND", "LanguageCode": "en-US", "Queue": null,
        "InstanceARN": "arn:aws:connect:us-east-1:111122223333:instance/i",
        "MediaStreams": {"Customer": {"Audio": {
            "StreamARN": "arn:aws:kinesisvideo:us-east-1:111122223333:stream/a/1",
            "StartTimestamp": "1565781909613", "StopTimestamp": null,
            "StartFragmentNumber": "91343852333181432392682062607743920146264097567"}}}},
        "Parameters": parameters}})
}

fn turn(owner: &str) -> Value {
    event(json!({"op": "turn", "sessionId": "connect-c-1", "owner": owner, "after": "4",
        "resume": "sealed"}))
}

/// What leads a caller to a human with words of our own.
fn is_apology(answer: &Value) {
    assert_eq!(answer["intent"], "transfer", "{answer}");
    assert!(answer["responseText"].as_str().is_some_and(|text| text.contains("sorry")), "{answer}");
    assert_eq!(answer["responseAudioUrl"], "");
    assert!(answer.as_object().expect("an object").values().all(Value::is_string), "{answer}");
}

#[tokio::test]
async fn a_call_is_begun_with_a_signed_request() {
    let bridge = Bridge::start([Reaction::Greet]).await;
    let start = function(START, &bridge.url()).await;
    let answer = start.invoke(&event(json!({"op": "start", "nested": {"a": {"b": 1}}}))).await;
    let answer = answer.expect("an answer");
    assert_eq!(
        (answer["intent"].as_str(), answer["turnKey"].as_str()),
        (Some("continue"), Some("start"))
    );
    let asked = bridge.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].signed, "with the key");
    assert_eq!(asked[0].path, "/start");
    let body = &asked[0].body;
    assert_eq!(body["contactId"], "c-1");
    assert_eq!(body["streamArn"], "arn:aws:kinesisvideo:us-east-1:111122223333:stream/a/1");
    assert_eq!(body["startTimestamp"], "1565781909613");
    assert_eq!(body["attributes"], json!({"tier": "gold"}));
    assert_eq!(body["language"], "en-US");
    let wait = body["waitMs"].as_u64().expect("a wait");
    assert!((1_000..=1_500).contains(&wait), "within the budget: {wait} ms");
}

#[tokio::test]
async fn what_connect_leaves_out_hinders_nothing() {
    let bridge = Bridge::start([Reaction::Greet, Reaction::Greet]).await;
    let start = function(START, &bridge.url()).await;
    let mut odd = event(Value::Null);
    odd["Details"]["ContactData"]["CustomerEndpoint"] = Value::Null;
    odd["Details"]["ContactData"]["Attributes"] = Value::Null;
    odd["Details"]["ContactData"]["LanguageCode"] = Value::Null;
    assert_eq!(start.invoke(&odd).await.expect("an answer")["intent"], "continue");
    let turns = function(TURN, &bridge.url()).await;
    let mut odd = turn("");
    odd["Details"]["ContactData"]["MediaStreams"]["Customer"]["Audio"] = Value::Null;
    assert_eq!(turns.invoke(&odd).await.expect("an answer")["intent"], "continue");
    assert_eq!(bridge.asked()[1].body["contact"], Value::Null);
}

#[tokio::test]
async fn a_bad_event_is_answered_with_words_and_a_human() {
    let bridge = Bridge::start([]).await;
    let mut silent = event(json!({"op": "start"}));
    silent["Details"]["ContactData"]["MediaStreams"]["Customer"]["Audio"] = Value::Null;
    let start = function(START, &bridge.url()).await;
    let wrong = json!({"Details": {"ContactData": {"ContactId": {"a": 1}}}});
    for bad in [silent, json!({}), json!(null), json!([1]), wrong] {
        is_apology(&start.invoke(&bad).await.expect("an answer"));
    }
    let turns = function(TURN, &bridge.url()).await;
    is_apology(&turns.invoke(&json!({"Details": {}})).await.expect("an answer"));
    // What is no JSON at all never comes from Connect; the runtime says so, and lives on.
    assert!(turns.invoke_text("{").await.is_err());
    is_apology(&turns.invoke(&json!({})).await.expect("an answer"));
    assert!(bridge.asked().is_empty());
}

#[tokio::test]
async fn a_turn_is_asked_of_its_owner_and_at_another_when_the_owner_is_gone() {
    let bridge = Bridge::start([Reaction::Greet]).await;
    let gone = Bridge::gone().await;
    let turns = function(TURN, &bridge.url()).await;
    let answer = turns.invoke(&turn(&gone)).await.expect("an answer");
    assert_eq!(
        (answer["intent"].as_str(), answer["turnKey"].as_str()),
        (Some("continue"), Some("5"))
    );
    let asked = bridge.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((&asked[0].body["adopt"], &asked[0].body["turnKey"]), (&json!(true), &json!("5")));
    assert_eq!(asked[0].body["owner"], json!(gone));
    assert_eq!(asked[0].body["resume"], "sealed", "where the other goes on");
    assert_eq!(asked[0].body["contact"]["contactId"], "c-1", "with it the call is taken over");
}

#[tokio::test]
async fn a_wrong_task_names_the_owner_and_a_busy_one_is_asked_again() {
    let owner = Bridge::start([Reaction::Status(503), Reaction::Cut]).await;
    let other = Bridge::start([Reaction::Elsewhere(owner.url()), Reaction::Greet]).await;
    let turns = function(TURN, &other.url()).await;
    // The flow has lost the owner's name; the owner fails twice, and the other takes the call over.
    let answer = turns.invoke(&turn("")).await.expect("an answer");
    assert_eq!(answer["intent"], "continue");
    assert_eq!((owner.asked().len(), other.asked().len()), (2, 2));
    assert_eq!(owner.asked()[0].body["adopt"], Value::Null);
    assert_eq!(other.asked()[1].body["adopt"], true);
    let owner = Bridge::start([Reaction::Status(503), Reaction::Greet]).await;
    let answer = turns.invoke(&turn(&owner.url())).await.expect("an answer");
    assert_eq!(answer["intent"], "continue");
    let asked = owner.asked();
    assert_eq!(asked.len(), 2, "one that is busy is asked again");
    assert_eq!(asked[0].body["turnKey"], asked[1].body["turnKey"], "at the same turn");
}

#[tokio::test]
async fn whoever_is_asked_again_is_looked_up_again() {
    let bridge = Bridge::start([Reaction::Status(503), Reaction::Greet, Reaction::Greet]).await;
    let start = function(START, &bridge.url()).await;
    for _ in 0..2 {
        let answer = start.invoke(&event(json!({"op": "start"}))).await.expect("an answer");
        assert_eq!(answer["intent"], "continue");
    }
    let mut from: Vec<_> = bridge.asked().into_iter().map(|asked| asked.from).collect();
    from.dedup();
    assert_eq!(from.len(), 3, "a connection that is kept leads to the task that is about to go");
}

#[tokio::test]
async fn an_owner_that_is_silent_costs_one_round_and_not_the_call() {
    let owner = Bridge::start([Reaction::Hang]).await;
    let bridge = Bridge::start([Reaction::Greet]).await;
    let turns = function(TURN, &bridge.url()).await;
    let answer = turns.invoke(&turn(&owner.url())).await.expect("an answer");
    let told = |name: &str| answer[name].as_str().unwrap_or_default();
    assert_eq!((told("intent"), told("owner"), told("turnKey")), ("listen", "", "4"));
    assert_eq!(told("resume"), "sealed");
    // The flow asks again, for the same turn, and somebody else answers.
    let answer = turns.invoke(&turn("")).await.expect("an answer");
    assert_eq!(
        (answer["intent"].as_str(), answer["turnKey"].as_str()),
        (Some("continue"), Some("5"))
    );
}

#[tokio::test]
async fn a_bridge_that_cannot_be_reached_leaves_nobody_in_silence() {
    let gone = Bridge::gone().await;
    for (program, event) in [(START, event(json!({}))), (TURN, turn(&gone))] {
        let function = function(program, &gone).await;
        let began = std::time::Instant::now();
        is_apology(&function.invoke(&event).await.expect("an answer"));
        assert!(began.elapsed() < Duration::from_secs(8), "before Connect gives up");
    }
    // One that refuses is not asked twice, and one that talks nonsense is no bridge.
    let refusing = Bridge::start([Reaction::Status(401)]).await;
    is_apology(
        &function(START, &refusing.url()).await.invoke(&event(json!({}))).await.expect("one"),
    );
    assert_eq!(refusing.asked().len(), 1);
    let odd = Bridge::start(std::iter::repeat_n(Reaction::Nonsense, 20)).await;
    is_apology(&function(START, &odd.url()).await.invoke(&event(json!({}))).await.expect("one"));
}

#[tokio::test]
async fn a_function_that_is_about_to_be_killed_answers_before() {
    let hanging = Bridge::start([Reaction::Hang]).await;
    let mut start = function(START, &hanging.url()).await;
    start.cold_start().await;
    start.set_timeout(Duration::from_millis(1_200));
    let began = std::time::Instant::now();
    is_apology(&start.invoke(&event(json!({}))).await.expect("an answer"));
    assert!(began.elapsed() < Duration::from_millis(1_200));
}

#[tokio::test]
async fn a_function_without_its_settings_does_not_start() {
    let mut start = Function::start(Path::new(START), &[("BRIDGE_URL", "bridge")]).await;
    assert!(!start.ended().await);
}
