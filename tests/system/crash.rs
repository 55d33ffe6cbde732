//! A panic in every role does what the policy table says, and never more.

use voice_call::Role;

use crate::support::{Bench, Caller, eventually};

/// A caller in mid-call, and the call's id.
async fn in_mid_call(bench: &Bench) -> (Caller, voice_call::CallId) {
    let mut caller = Caller::connect(&bench.sonic("")).await;
    let id = caller.message("connected").await["sessionId"].as_str().map(str::parse);
    caller.configure(serde_json::json!({})).await;
    caller.final_line("assistant").await;
    (caller, id.expect("an id").expect("a valid id"))
}

async fn break_role(bench: &Bench, id: &voice_call::CallId, role: Option<Role>) {
    assert!(bench.server.registry().inject_panic(id, role).await, "the call is known");
}

/// The call still works: a question is answered, aloud.
async fn is_unharmed(caller: &mut Caller) {
    let before = caller.heard().len();
    caller.type_text("What are your opening hours?").await;
    caller.final_line("assistant").await;
    while caller.heard().len() <= before {
        caller.audio().await;
    }
}

fn panics(bench: &Bench, role: Role) -> u64 {
    let label = voice_call::meters::ChildLabel { role: role.as_str(), exit: "panicked" };
    bench.meters().child_exits.get_or_create(&label).get()
}

#[actix_web::test]
async fn a_broken_stream_is_opened_anew_and_the_call_goes_on() {
    let bench = Bench::start().await;
    let (mut caller, id) = in_mid_call(&bench).await;
    break_role(&bench, &id, Some(Role::Sonic)).await;
    caller.message("reconnecting").await;
    caller.message("reconnected").await;
    is_unharmed(&mut caller).await;
    assert_eq!(caller.messages("session_start").len(), 1, "the chat is not cleared");
    assert_eq!(panics(&bench, Role::Sonic), 1);
    // The second stream knows what was said on the first.
    let sessions = bench.observer().sessions();
    let second = sessions.last().expect("a second session");
    assert!(
        second
            .events
            .iter()
            .any(|event| event.contains("Meridian Bank") && event.contains("textInput"))
    );
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn broken_helpers_are_started_anew_and_nobody_notices() {
    let bench = Bench::start().await;
    let (mut caller, id) = in_mid_call(&bench).await;
    for role in [Role::Transcriber, Role::Tools, Role::Transfer] {
        break_role(&bench, &id, Some(role)).await;
        eventually("the panic", || panics(&bench, role) == 1).await;
    }
    caller.type_text("What is my balance?").await;
    caller.final_line("assistant").await;
    caller.type_text("4021").await;
    caller.final_line("assistant").await;
    caller.type_text("1188").await;
    let result = caller
        .until("the balance", |m| {
            m["type"] == "tool_result" && m["toolName"] == "get_account_balance"
        })
        .await;
    assert!(result["toolResult"]["error"].is_null(), "{result}");
    caller.type_text("I want to speak to a human").await;
    caller.message("transferToAgent").await;
    assert!(caller.messages("error").is_empty(), "{}", caller.story());
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_helper_that_keeps_breaking_is_given_up_and_the_call_goes_on() {
    let bench = Bench::start().await;
    let (mut caller, id) = in_mid_call(&bench).await;
    for round in 1..=6 {
        break_role(&bench, &id, Some(Role::Tools)).await;
        eventually("the panic", || panics(&bench, Role::Tools) == round).await;
    }
    let error = caller.error("tools_unavailable").await;
    assert_eq!(error["fatal"], false);
    // A tool that the model asks for all the same is answered, so that the model goes on.
    caller.type_text("What is my balance?").await;
    caller.final_line("assistant").await;
    caller.type_text("4021").await;
    caller.final_line("assistant").await;
    caller.type_text("1188").await;
    caller.until("the check", |m| m["toolName"] == "verify_identity").await;
    caller.final_line("assistant").await;
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_stream_that_keeps_breaking_ends_the_call_with_a_cause() {
    let bench = Bench::start().await;
    let (mut caller, id) = in_mid_call(&bench).await;
    for round in 1..=6 {
        break_role(&bench, &id, Some(Role::Sonic)).await;
        eventually("the panic", || panics(&bench, Role::Sonic) == round).await;
        if round < 6 {
            eventually("the next stream", || bench.meters().open_streams.get() == 1).await;
        }
    }
    assert_eq!(caller.closed().await.0, 1011);
    assert_eq!(bench.ended("child_failed"), 1);
    bench.finish().await;
}

#[actix_web::test]
async fn a_broken_client_actor_ends_the_call_and_closes_the_socket() {
    let bench = Bench::start().await;
    let mut neighbour = bench.greeted().await;
    let (mut caller, id) = in_mid_call(&bench).await;
    break_role(&bench, &id, Some(Role::Client)).await;
    caller.closed().await;
    assert_eq!(bench.ended("child_failed"), 1);
    is_unharmed(&mut neighbour).await;
    neighbour.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_broken_supervisor_still_releases_everything() {
    let bench = Bench::start().await;
    let mut neighbour = bench.greeted().await;
    let (mut caller, id) = in_mid_call(&bench).await;
    break_role(&bench, &id, None).await;
    assert_eq!(caller.closed().await.0, 1011);
    eventually("the cause", || bench.ended("supervisor_failed") == 1).await;
    is_unharmed(&mut neighbour).await;
    neighbour.hang_up().await;
    bench.finish().await;
}
