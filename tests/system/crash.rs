//! Whatever happens to whatever actor of a call, the policy table says what follows, and no more
//! than that follows.
//!
//! ```text
//!                 panics                hangs                 is closed
//!   client        the call ends         the call ends         the call ends (the caller left)
//!   sonic         opened anew           opened anew           opened anew
//!   transcriber   started anew          started anew          started anew
//!   tools         started anew          started anew          started anew
//!   transfer      started anew          started anew          started anew
//!   supervisor    all is released       all is released       all is released
//! ```
//!
//! What follows when a stream ends with an error is in `stream_faults`.

use std::time::Duration;

use voice_actors::Mishap;
use voice_call::{CallId, Role};

use crate::support::{Bench, Caller, eventually};

const MISHAPS: [Mishap; 3] = [Mishap::Panic, Mishap::Hang, Mishap::Stop];

/// A server that looks for hung actors often.
async fn watchful() -> Bench {
    Bench::with(|config, _| config.engine.probe_interval = Duration::from_millis(500)).await
}

/// A caller in mid-call, and the call's id.
pub(crate) async fn in_mid_call(bench: &Bench) -> (Caller, CallId) {
    let mut caller = Caller::connect(&bench.sonic("")).await;
    let id = caller.message("connected").await["sessionId"].as_str().map(str::parse);
    caller.configure(serde_json::json!({})).await;
    caller.final_line("assistant").await;
    (caller, id.expect("an id").expect("a valid id"))
}

pub(crate) async fn hit(bench: &Bench, id: &CallId, role: Option<Role>, mishap: Mishap) {
    assert!(bench.server.registry().inject(id, role, mishap).await, "the call is known");
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

/// How many actors of this role ended in the way that the mishap brings about.
fn exits(bench: &Bench, role: Role, mishap: Mishap) -> u64 {
    let exit = match mishap {
        Mishap::Panic => "panicked",
        Mishap::Hang => "hung",
        Mishap::Stop => "stopped",
    };
    let label = voice_call::meters::ChildLabel { role: role.as_str(), exit };
    bench.meters().child_exits.get_or_create(&label).get()
}

#[actix_web::test]
async fn a_stream_that_breaks_is_opened_anew_and_the_call_goes_on() {
    let bench = watchful().await;
    for mishap in MISHAPS {
        let (mut caller, id) = in_mid_call(&bench).await;
        let before = exits(&bench, Role::Sonic, mishap);
        hit(&bench, &id, Some(Role::Sonic), mishap).await;
        caller.message("reconnecting").await;
        caller.message("reconnected").await;
        is_unharmed(&mut caller).await;
        assert_eq!(caller.messages("session_start").len(), 1, "the chat is not cleared");
        assert_eq!(exits(&bench, Role::Sonic, mishap), before + 1, "{mishap:?}");
        // The second stream knows what was said on the first.
        let sessions = bench.observer().sessions();
        let second = sessions.last().expect("a second session");
        let knows = |event: &String| event.contains("Meridian Bank") && event.contains("textInput");
        assert!(second.events.iter().any(knows), "{mishap:?}");
        caller.hang_up().await;
        bench.is_clean().await;
    }
    bench.finish().await;
}

#[actix_web::test]
async fn helpers_that_break_are_started_anew_and_nobody_notices() {
    let bench = watchful().await;
    for mishap in MISHAPS {
        let (mut caller, id) = in_mid_call(&bench).await;
        for role in [Role::Transcriber, Role::Tools, Role::Transfer] {
            let before = exits(&bench, role, mishap);
            hit(&bench, &id, Some(role), mishap).await;
            eventually("the end of the helper", || exits(&bench, role, mishap) > before).await;
        }
        caller.type_text("What is my balance?").await;
        caller.final_line("assistant").await;
        caller.type_text("4021").await;
        caller.final_line("assistant").await;
        caller.type_text("1188").await;
        let is_balance = |m: &serde_json::Value| {
            m["type"] == "tool_result" && m["toolName"] == "get_account_balance"
        };
        let result = caller.until("the balance", is_balance).await;
        assert!(result["toolResult"]["error"].is_null(), "{result}");
        caller.type_text("I want to speak to a human").await;
        caller.message("transferToAgent").await;
        assert!(caller.messages("error").is_empty(), "{}", caller.story());
        caller.hang_up().await;
        bench.is_clean().await;
    }
    bench.finish().await;
}

#[actix_web::test]
async fn a_helper_that_keeps_breaking_is_given_up_and_the_call_goes_on() {
    let bench = Bench::start().await;
    let cases = [
        (Role::Transcriber, "transcript_unavailable"),
        (Role::Tools, "tools_unavailable"),
        (Role::Transfer, "transfer_unavailable"),
    ];
    for (role, code) in cases {
        let (mut caller, id) = in_mid_call(&bench).await;
        for round in 1..=6 {
            hit(&bench, &id, Some(role), Mishap::Panic).await;
            eventually("the panic", || exits(&bench, role, Mishap::Panic) == round).await;
        }
        let error = caller.error(code).await;
        assert_eq!(error["fatal"], false);
        // A tool that the model asks for all the same is answered, so that the model goes on.
        for text in ["What is my balance?", "4021", "1188"] {
            caller.type_text(text).await;
            caller.message("latency_update").await;
        }
        caller.until("the check", |m| m["toolName"] == "verify_identity").await;
        caller.hang_up().await;
    }
    bench.finish().await;
}

#[actix_web::test]
async fn a_stream_that_keeps_breaking_ends_the_call_with_a_cause() {
    let bench = Bench::start().await;
    let (mut caller, id) = in_mid_call(&bench).await;
    for round in 1..=6 {
        hit(&bench, &id, Some(Role::Sonic), Mishap::Panic).await;
        eventually("the panic", || exits(&bench, Role::Sonic, Mishap::Panic) == round).await;
        if round < 6 {
            eventually("the next stream", || bench.meters().open_streams.get() == 1).await;
        }
    }
    assert_eq!(caller.closed().await.0, 1011);
    assert_eq!(bench.ended("child_failed"), 1);
    bench.finish().await;
}

#[actix_web::test]
async fn a_client_actor_that_breaks_ends_the_call_and_closes_the_socket() {
    let bench = watchful().await;
    let mut neighbour = bench.greeted().await;
    for (mishap, cause) in MISHAPS.into_iter().zip(["child_failed", "child_failed", "hung_up"]) {
        let before = bench.ended(cause);
        let (mut caller, id) = in_mid_call(&bench).await;
        hit(&bench, &id, Some(Role::Client), mishap).await;
        caller.closed().await;
        eventually("the cause", || bench.ended(cause) == before + 1).await;
    }
    is_unharmed(&mut neighbour).await;
    neighbour.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_supervisor_that_breaks_still_releases_everything() {
    let bench = watchful().await;
    let mut neighbour = bench.greeted().await;
    for (round, mishap) in (1..).zip(MISHAPS) {
        let (mut caller, id) = in_mid_call(&bench).await;
        hit(&bench, &id, None, mishap).await;
        assert_eq!(caller.closed().await.0, 1011, "{mishap:?}");
        eventually("the cause", || bench.ended("supervisor_failed") == round).await;
        eventually("the place", || bench.meters().active_calls.get() == 1).await;
    }
    is_unharmed(&mut neighbour).await;
    neighbour.hang_up().await;
    bench.finish().await;
}
