//! The way to a human: when the model transfers, and when it is made to offer it.

use std::time::Duration;

use voice_emulator::EmulatorConfig;
use voice_s2s::config::ServerConfig;

use crate::support::{Bench, House, Seen, TRANSFER, eventually, puppet};

const VERIFY: &str = r#"{
  "name": "verify_identity",
  "description": "Checks the identity.",
  "input_schema": { "type": "object", "properties": {
    "accountId": { "type": "string" }, "securityCode": { "type": "string" } } },
  "execute": { "kind": "static", "rows": [],
    "default": { "result": { "verified": true, "holder": "Maria Keller" } } }
}"#;

const BROKEN: &str = r#"{
  "name": "look_up",
  "description": "Never works.",
  "input_schema": { "type": "object", "properties": {} },
  "execute": { "kind": "static", "rows": [], "default": { "fail": "The back end is down." } }
}"#;

const TURNS: &str = r#"
  { "when": { "text": "verify" }, "do": [{ "call": { "tool": "verify_identity",
      "input": { "accountId": "4021", "securityCode": "1188" } } }] },
  { "when": { "results": "verify_identity" }, "do": [{ "say": "Thank you." }] },
  { "when": { "text": "look" }, "do": [{ "call": { "tool": "look_up" } }] },
  { "when": { "results": "look_up" }, "do": [{ "say": "That did not work." }] },
  { "when": { "text": "transfer" }, "do": [{ "call": { "tool": "transfer_to_agent",
      "input": { "reason": "A disputed charge" } } }] },
  { "when": { "results": "transfer_to_agent" },
    "do": [{ "say": "I am connecting you to a colleague. Please stay on the line." }] },
  { "when": { "cue": "[Offer the caller" }, "do": [{ "say": "Shall somebody else take over?" }] }
"#;

async fn bench(change: impl FnOnce(&mut ServerConfig, &mut EmulatorConfig)) -> (House, Bench) {
    let house = House::new(&[
        TRANSFER,
        ("tools/verify_identity.json", VERIFY),
        ("tools/look_up.json", BROKEN),
    ]);
    let bench = house.bench(&puppet(TURNS), change).await;
    (house, bench)
}

#[actix_web::test]
async fn a_transfer_tells_the_story_after_the_last_sentence_and_closes_the_call() {
    let (_house, bench) = bench(|config, _| {
        config.engine.transfer.close_after = Duration::from_millis(200);
    })
    .await;
    let mut caller = bench.greeted().await;
    caller.type_text("verify").await;
    caller.final_line("assistant").await;
    caller.type_text("transfer me").await;
    let transfer = caller.message("transferToAgent").await;
    assert_eq!(transfer["reason"], "A disputed charge");
    let summary = transfer["summary"].as_str().unwrap_or_default();
    for part in [
        "Name: Maria Keller",
        "Identity: verified by verify_identity",
        "Tried: verify_identity (done)",
        "Caller: transfer me",
    ] {
        assert!(summary.contains(part), "{part} is missing in:\n{summary}");
    }
    assert_eq!(transfer["attributes"]["accountId"], "4021");
    assert!(!transfer.to_string().contains("1188"), "no secret is handed on: {transfer}");
    assert_eq!(caller.closed().await, (1000, "Transferred to an agent".into()));
    assert_eq!(bench.ended("transferred"), 1);
    // The last sentence was heard before the client was told: some three seconds of it.
    let told = caller
        .log
        .iter()
        .position(|seen| matches!(seen, Seen::Message(m) if m["type"] == "transferToAgent"));
    let after = caller.log.split_off(told.expect("it was told"));
    assert!(!after.iter().any(|seen| matches!(seen, Seen::Audio(_))), "all was heard before");
    bench.finish().await;
}

#[actix_web::test]
async fn a_call_is_handed_over_once_and_a_hang_up_confirms_it() {
    let (_house, bench) = bench(|_, _| ()).await;
    let mut caller = bench.greeted().await;
    caller.type_text("transfer").await;
    caller.message("tool_result").await;
    caller.type_text("transfer").await;
    caller.message("transferToAgent").await;
    caller.type_text("transfer").await;
    caller.message("tool_result").await;
    caller.final_line("assistant").await;
    assert_eq!(caller.messages("transferToAgent").len(), 1, "{}", caller.story());
    caller.hang_up().await;
    eventually("the cause", || bench.ended("transferred") == 1).await;
    bench.finish().await;
}

#[actix_web::test]
async fn after_three_failed_tools_a_human_is_offered() {
    let (_house, bench) = bench(|_, _| ()).await;
    let mut caller = bench.greeted().await;
    for _ in 0..3 {
        caller.type_text("look").await;
        assert_eq!(caller.final_line("assistant").await, "That did not work.");
    }
    assert_eq!(caller.final_line("assistant").await, "Shall somebody else take over?");
    assert!(!caller.story().contains("Offer the caller"), "the cue is shown to nobody");
    assert!(caller.messages("transferToAgent").is_empty(), "it is only an offer");
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_wish_that_the_model_does_not_take_up_leads_to_an_offer() {
    let (_house, bench) = bench(|_, _| ()).await;
    let mut caller = bench.greeted().await;
    caller.type_text("I would like to speak to a human").await;
    assert_eq!(caller.final_line("assistant").await, "Hm.");
    assert_eq!(caller.final_line("assistant").await, "Shall somebody else take over?");
    caller.hang_up().await;
    bench.finish().await;
}
