//! What `sessionConfig` changes, at the start and in mid-call.

use serde_json::json;

use crate::support::{Bench, Caller, eventually};

#[actix_web::test]
async fn the_model_gets_the_voice_the_prompt_and_the_tools_that_were_asked_for() {
    let bench = Bench::start().await;
    let mut caller = Caller::connect(&bench.sonic("")).await;
    let config = json!({
        "voiceId": "amy",
        "systemPrompt": "You are the voice of a lighthouse.",
        "selectedTools": ["find_branch"],
        "unknownKey": {"is": "ignored"},
    });
    caller.configure(config).await;
    caller.message("session_start").await;
    let sessions = bench.observer().sessions();
    let events = sessions.first().expect("a session").events.join("\n");
    assert!(events.contains(r#""voiceId":"amy""#), "{events}");
    assert!(events.contains("the voice of a lighthouse"), "{events}");
    assert!(events.contains("find_branch") && !events.contains("get_account_balance"));
    assert!(caller.messages("error").is_empty());
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn wishes_that_cannot_be_met_are_named_and_the_call_goes_on() {
    let bench = Bench::start().await;
    let mut caller = Caller::connect(&bench.sonic("")).await;
    let config = json!({
        "brainMode": "telepathy",
        "voiceId": "nobody",
        "personaId": "nobody",
        "selectedTools": ["find_branch", "no_such_tool"],
        "linkedWorkflows": ["no_such_workflow"],
        "endpointingSensitivity": "EXTREME",
        "inactivityTimeout": -3,
    });
    caller.configure(config).await;
    let codes = [
        "unsupported_brain_mode",
        "unknown_persona",
        "unknown_voice",
        "unknown_sensitivity",
        "unknown_workflow",
        "unknown_tool",
        "invalid_inactivity_timeout",
    ];
    for code in codes {
        assert_eq!(caller.error(code).await["fatal"], false);
    }
    caller.final_line("assistant").await;
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_change_in_mid_call_opens_another_stream_that_remembers() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    caller.type_text("What are your opening hours?").await;
    caller.final_line("assistant").await;
    caller.configure(json!({"voiceId": "tiffany", "systemPrompt": "Be brief."})).await;
    // The present stream goes on until the next one takes over in a pause.
    eventually("the hand-over", || bench.meters().stream_renewals.get() == 1).await;
    caller.type_text("What is my balance?").await;
    caller.until("the typed line", |m| m["text"] == "What is my balance?").await;
    caller.final_line("assistant").await;
    let sessions = bench.observer().sessions();
    assert_eq!(sessions.len(), 2);
    let events = sessions[1].events.join("\n");
    assert!(events.contains("tiffany") && events.contains("Be brief."));
    assert!(events.contains("What are your opening hours?"), "history:\n{events}");
    assert_eq!(caller.messages("session_start").len(), 1, "the chat is not cleared");
    assert!(caller.messages("reconnecting").is_empty(), "nobody noticed");
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn settings_that_change_nothing_change_nothing() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    caller.configure(json!({})).await;
    caller.send(json!({"type": "ping"})).await;
    caller.message("pong").await;
    assert_eq!(bench.observer().sessions().len(), 1);
    caller.hang_up().await;
    bench.finish().await;
}
