//! Tools over the real wire: whatever they do, the model gets one answer for each call and the
//! call goes on.

use serde_json::{Value, json};

use crate::support::{Bench, Caller, House, puppet};

/// A tool that answers after so long, within so long.
fn tool(name: &str, delay_ms: u64, timeout_ms: u64, more: Value) -> String {
    let mut execute = json!({
        "kind": "static",
        "rows": [],
        "timeout_ms": timeout_ms,
        "default": { "delay_ms": delay_ms, "result": { "from": name } }
    });
    if let (Some(execute), Value::Object(more)) = (execute.as_object_mut(), more) {
        execute.extend(more);
    }
    let digits = json!({ "type": "string", "pattern": "^[0-9]{6}$" });
    let tool = json!({
        "name": name,
        "description": "A test.",
        "input_schema": { "type": "object", "properties": { "digits": digits } },
        "execute": execute
    });
    tool.to_string()
}

const TURNS: &str = r#"
  { "when": { "text": "three" }, "do": [
      { "call": { "tool": "slow" } }, { "call": { "tool": "swift" } },
      { "call": { "tool": "middling" } }] },
  { "when": { "results": ["slow", "swift", "middling"] },
    "do": [{ "say": "{slow.from}, {swift.from} and {middling.from}." }] },
  { "when": { "text": "late" }, "do": [{ "call": { "tool": "late" } }] },
  { "when": { "results": "late" }, "do": [{ "say": "Too late." }] },
  { "when": { "text": "unknown" }, "do": [{ "call": { "tool": "no_such_tool" } }] },
  { "when": { "results": "no_such_tool" }, "do": [{ "say": "There is none." }] },
  { "when": { "text": "wrong" },
    "do": [{ "call": { "tool": "quick", "input": { "digits": "12" } } }] },
  { "when": { "text": "double" },
    "do": [{ "call": { "tool": "quick", "input": { "digits": "123456" }, "double_encoded": true } }] },
  { "when": { "results": "quick" }, "do": [{ "say": "So it is." }] },
  { "when": { "text": "patience" }, "do": [{ "call": { "tool": "long" } }] },
  { "when": { "results": "long" }, "do": [{ "say": "Here it is." }] },
  { "when": { "cue": "[A look-up takes" }, "do": [{ "say": "One moment more." }] }
"#;

async fn bench() -> (House, Bench) {
    let none = json!({});
    let announce = json!({"announce": "One moment more.", "announce_after_ms": 100});
    let house = House::new(&[
        ("tools/slow.json", &tool("slow", 400, 8_000, none.clone())),
        ("tools/middling.json", &tool("middling", 200, 8_000, none.clone())),
        ("tools/swift.json", &tool("swift", 0, 8_000, none.clone())),
        ("tools/quick.json", &tool("quick", 0, 8_000, none.clone())),
        ("tools/late.json", &tool("late", 30_000, 100, none)),
        ("tools/long.json", &tool("long", 4_000, 8_000, announce)),
    ]);
    let bench = house.bench(&puppet(TURNS), |_, _| ()).await;
    (house, bench)
}

async fn result(caller: &mut Caller, word: &str) -> Value {
    caller.type_text(word).await;
    let result = caller.message("tool_result").await["toolResult"].clone();
    caller.final_line("assistant").await;
    result
}

#[actix_web::test]
async fn parallel_tools_are_answered_in_any_order() {
    let (_house, bench) = bench().await;
    let mut caller = bench.greeted().await;
    caller.type_text("three").await;
    assert_eq!(caller.final_line("assistant").await, "slow, swift and middling.");
    let results = caller.messages("tool_result");
    let order: Vec<_> = results.iter().map(|m| m["toolName"].as_str().unwrap_or("")).collect();
    assert_eq!(order, ["swift", "middling", "slow"]);
    let calls = caller.messages("tool_use");
    for result in results {
        let call = calls.iter().find(|call| call["toolUseId"] == result["toolUseId"]);
        assert_eq!(call.map(|call| &call["toolName"]), Some(&result["toolName"]));
    }
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn whatever_goes_wrong_is_answered_once_and_the_call_goes_on() {
    let (_house, bench) = bench().await;
    let mut caller = bench.greeted().await;
    let late = result(&mut caller, "late").await;
    assert!(late["error"].as_str().is_some_and(|e| e.contains("did not answer")), "{late}");
    let unknown = result(&mut caller, "unknown").await;
    assert!(unknown["available"].is_array(), "{unknown}");
    let wrong = result(&mut caller, "wrong").await;
    let problems = wrong["problems"].to_string();
    assert!(problems.contains("digits"), "{wrong}");
    assert_eq!(result(&mut caller, "double").await["from"], "quick");
    assert_eq!(caller.messages("tool_result").len(), 4);
    assert!(caller.messages("error").is_empty(), "{}", caller.story());
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_long_tool_is_bridged_by_a_word() {
    let (_house, bench) = bench().await;
    let mut caller = bench.greeted().await;
    caller.type_text("patience").await;
    assert_eq!(caller.final_line("assistant").await, "One moment more.");
    assert!(caller.messages("tool_result").is_empty(), "the tool still runs");
    assert_eq!(caller.final_line("assistant").await, "Here it is.");
    caller.hang_up().await;
    bench.finish().await;
}
