//! Workflows: what the present step does not permit is refused, and the client sees every step.

use serde_json::{Value, json};

use crate::support::{Bench, Caller, House, TRANSFER, puppet};

const VERIFY: &str = r#"{
  "name": "verify_identity",
  "description": "Checks the identity.",
  "input_schema": {
    "type": "object",
    "properties": { "accountId": { "type": "string" }, "securityCode": { "type": "string" } },
    "required": ["accountId", "securityCode"]
  },
  "execute": {
    "kind": "static",
    "rows": [{ "match": { "securityCode": "1188" },
               "result": { "verified": true, "accountId": "{accountId}", "holder": "Maria Keller" } }],
    "default": { "result": { "verified": false } }
  }
}"#;

const BALANCE: &str = r#"{
  "name": "get_balance",
  "description": "Tells a balance.",
  "input_schema": {
    "type": "object",
    "properties": { "accountId": { "type": "string" } },
    "required": ["accountId"]
  },
  "execute": { "kind": "static", "rows": [], "default": { "result": { "balance": 10 } } }
}"#;

const BANK: &str = r#"{
  "id": "bank",
  "nodes": [
    { "id": "start", "type": "start" },
    { "id": "ask", "type": "process", "label": "Ask for the numbers." },
    { "id": "verify", "type": "tool", "toolName": "verify_identity" },
    { "id": "verified", "type": "decision", "label": "Is it the holder?" },
    { "id": "wish", "type": "decision", "required_context": ["verified", "accountId"] },
    { "id": "balance", "type": "tool", "toolName": "get_balance",
      "required_context": ["accountId"] },
    { "id": "done", "type": "end" }
  ],
  "edges": [
    { "from": "start", "to": "ask" },
    { "from": "ask", "to": "verify" },
    { "from": "verify", "to": "verified" },
    { "from": "verified", "to": "wish", "label": "yes" },
    { "from": "verified", "to": "ask", "label": "no" },
    { "from": "wish", "to": "balance", "label": "the balance" },
    { "from": "wish", "to": "done", "label": "nothing" },
    { "from": "balance", "to": "wish" }
  ]
}"#;

const ANNA: &str = "You are Anna.\n---\n{\"name\": \"Anna\", \"default\": true, \
                    \"workflows\": [\"bank\"]}";

const TURNS: &str = r#"
  { "when": { "text": "balance" },
    "do": [{ "call": { "tool": "get_balance", "input": { "accountId": "4021" } } }] },
  { "when": { "text": "other" },
    "do": [{ "call": { "tool": "get_balance", "input": { "accountId": "7734" } } }] },
  { "when": { "results": "get_balance" },
    "do": [{ "say": ["Refused. {get_balance.error}", "It is {get_balance.balance}."] }] },
  { "when": { "text": "verify" }, "do": [{ "call": { "tool": "verify_identity",
      "input": { "accountId": "4021", "securityCode": "1188" } } }] },
  { "when": { "text": "wrong" }, "do": [{ "call": { "tool": "verify_identity",
      "input": { "accountId": "4021", "securityCode": "0000" } } }] },
  { "when": { "results": "verify_identity" }, "do": [{ "say": "Thank you." }] },
  { "when": { "text": "yes" },
    "do": [{ "call": { "tool": "advance_workflow", "input": { "edge": "yes" } } }] },
  { "when": { "results": "advance_workflow" }, "do": [{ "say": "Good." }] },
  { "when": { "text": "begin" },
    "do": [{ "call": { "tool": "start_workflow", "input": { "workflowId": "bank" } } }] },
  { "when": { "results": "start_workflow" }, "do": [{ "say": "Let us begin." }] },
  { "when": { "text": "tag" }, "do": [{ "say": "[STEP: ask] Which account is it?" }] }
"#;

async fn bank() -> (House, Bench) {
    let house = House::new(&[
        TRANSFER,
        ("tools/verify_identity.json", VERIFY),
        ("tools/get_balance.json", BALANCE),
        ("workflows/workflow-bank.json", BANK),
        ("prompts/persona-anna.txt", ANNA),
    ]);
    let bench = house.bench(&puppet(TURNS), |_, _| ()).await;
    (house, bench)
}

/// Types a word; returns the result of the tool that the model calls, and waits for its answer.
async fn tool(caller: &mut Caller, word: &str) -> Value {
    caller.type_text(word).await;
    let result = caller.message("tool_result").await["toolResult"].clone();
    caller.final_line("assistant").await;
    result
}

fn steps(caller: &Caller) -> Vec<String> {
    let updates = caller.messages("workflow_update");
    updates.iter().filter_map(|m| m["currentStep"].as_str()).map(str::to_owned).collect()
}

#[actix_web::test]
async fn a_gated_tool_is_refused_before_the_identity_check_and_allowed_after() {
    let (_house, bench) = bank().await;
    // The client links no workflow: the persona does.
    let mut caller = bench.greeted().await;
    let refused = tool(&mut caller, "balance").await;
    assert_eq!(refused["permittedAt"], json!(["balance"]), "{refused}");
    assert!(refused["error"].as_str().is_some_and(|e| e.contains("bank")), "{refused}");
    let wrong = tool(&mut caller, "wrong").await;
    assert_eq!(wrong["verified"], false);
    let lie = tool(&mut caller, "yes").await;
    assert!(lie["error"].as_str().is_some_and(|e| e.contains("said no")), "{lie}");
    assert!(tool(&mut caller, "balance").await["error"].is_string());
    let begun = tool(&mut caller, "begin").await;
    assert_eq!(begun["currentStep"], "ask", "{begun}");
    assert_eq!(tool(&mut caller, "verify").await["verified"], true);
    assert_eq!(tool(&mut caller, "yes").await["currentStep"], "wish");
    let other = tool(&mut caller, "other").await;
    assert!(other["error"].as_str().is_some_and(|e| e.contains("4021")), "{other}");
    assert_eq!(tool(&mut caller, "balance").await["balance"], 10);
    // The model got the refusal as the native result of its call.
    let sessions = bench.observer().sessions();
    let events = sessions.last().expect("a session").events.join("\n");
    assert!(events.contains("toolResult") && events.contains("permittedAt"), "{events}");
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn the_client_sees_every_step() {
    let (_house, bench) = bank().await;
    let mut caller = bench.greeted().await;
    tool(&mut caller, "verify").await;
    tool(&mut caller, "yes").await;
    tool(&mut caller, "balance").await;
    let expected = ["start", "ask", "verify", "verified", "wish", "balance", "wish"];
    assert_eq!(steps(&caller), expected, "{}", caller.story());
    let status = caller.messages("workflowStatus");
    assert_eq!(status.len(), expected.len());
    let last = &status.last().expect("a status")["data"];
    let checks = json!({"accountId": true, "verified": true});
    assert_eq!(last, &json!({"activeStepId": "wish", "workflowId": "bank", "checks": checks}));
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_client_that_links_nothing_on_purpose_is_not_gated() {
    let (_house, bench) = bank().await;
    let mut caller = Caller::connect(&bench.sonic("")).await;
    caller.configure(json!({"linkedWorkflows": []})).await;
    caller.final_line("assistant").await;
    assert_eq!(tool(&mut caller, "balance").await["balance"], 10);
    assert!(steps(&caller).is_empty());
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn step_tags_move_the_workflow_and_are_shown_to_nobody() {
    let (_house, bench) = bank().await;
    let mut caller = bench.greeted().await;
    caller.type_text("tag").await;
    caller.message("workflow_update").await;
    assert_eq!(caller.final_line("assistant").await, "Which account is it?");
    assert_eq!(steps(&caller), ["start", "ask"]);
    assert!(!caller.story().contains("STEP"), "{}", caller.story());
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_stream_that_replaces_another_knows_the_step() {
    let (_house, bench) = bank().await;
    let mut caller = bench.greeted().await;
    tool(&mut caller, "verify").await;
    caller.configure(json!({"voiceId": "amy"})).await;
    assert_eq!(tool(&mut caller, "yes").await["currentStep"], "wish");
    let sessions = bench.observer().sessions();
    assert_eq!(sessions.len(), 2);
    assert!(!sessions[0].events.join("\n").contains("WHERE THE CALL STANDS"));
    assert!(sessions[1].events.join("\n").contains("stands at the step verified"));
    caller.hang_up().await;
    bench.finish().await;
}
