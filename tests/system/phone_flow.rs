//! The contact flows of `deploy/connect`: checked as Connect would, and run with a caller.

use std::time::Duration;

use serde_json::{Value, json};
use voice_bridge::Bridge;

use crate::{
    phone::{bench, bridge, finish},
    support::{
        contact::Phone,
        eventually,
        flow::{problems, run},
        functions::Functions,
    },
};

fn flow() -> Value {
    let text = include_str!("../../deploy/connect/flow.json");
    serde_json::from_str(text).expect("JSON")
}

fn after_hours() -> Value {
    let text = include_str!("../../deploy/connect/after-hours.json");
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn connect_would_take_the_flows_and_nobody_is_left_in_silence() {
    assert_eq!(problems(&flow()), [""; 0]);
    assert_eq!(problems(&after_hours()), [""; 0]);
}

#[test]
fn mistakes_in_a_flow_are_found() {
    let broken = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut flow = flow();
        change(flow["Actions"].as_array_mut().expect("actions"));
        problems(&flow).join("; ")
    };
    fn at<'a>(actions: &'a mut [Value], id: &str) -> &'a mut Value {
        actions.iter_mut().find(|action| action["Identifier"] == id).expect("an action")
    }
    let nowhere = broken(&|actions| at(actions, "play")["Transitions"]["NextAction"] = json!("x"));
    assert!(nowhere.contains("play leads to \"x\""), "{nowhere}");
    let unhandled = broken(&|actions| at(actions, "turn")["Transitions"]["Errors"] = json!([]));
    assert!(unhandled.contains("turn (InvokeLambdaFunction) has no way on"), "{unhandled}");
    let silent = broken(&|actions| {
        let next = json!({"NextAction": "hang-up", "Errors": [], "Conditions": []});
        at(actions, "log-on")["Transitions"] = next;
    });
    assert!(silent.contains("hang-up can be reached without a spoken word"), "{silent}");
    assert!(silent.contains("turn is never reached"), "{silent}");
    let doubled = broken(&|actions| actions.push(actions[0].clone()));
    assert!(doubled.contains("one Identifier"), "{doubled}");
    let wordless = broken(&|actions| at(actions, "busy")["Parameters"] = json!({}));
    assert!(wordless.contains("busy has to have exactly one"), "{wordless}");
    let mut hours = after_hours();
    let actions = hours["Actions"].as_array_mut().expect("actions");
    at(actions, "hours")["Transitions"]["Conditions"][0] = json!({"NextAction": "record",
        "Condition": {"Operator": "Equals", "Operands": ["Perhaps"]}});
    let found = problems(&hours).join("; ");
    assert!(found.contains("hours needs True and False"), "{found}");
}

#[actix_web::test]
async fn a_caller_goes_through_the_flow_to_a_human() {
    let (_house, bench, store) = bench(|_, _| ()).await;
    let bridge = bridge(&bench, &store, |_| ()).await;
    let mut phone = Phone::dial(&bench, store, &bridge);
    let lines = [
        "Would you tell me a story, please?",
        "How much money do I have in my account?",
        "I would like to speak to a human now.",
    ];
    let functions = Functions::start(&bridge).await;
    let story = run(&flow(), &mut phone, &functions, &lines).await;
    assert_eq!(story.end, "queue", "{story:?}");
    assert_eq!(story.attributes["handoverReason"], "A disputed charge");
    assert!(story.attributes["handoverSummary"].as_str().is_some_and(|text| !text.is_empty()));
    // The greeting, the story in pieces, the balance, the goodbye.
    assert!(story.heard.len() >= 5, "{:?}", story.heard);
    assert!(story.heard.iter().all(|heard| heard.ends_with(" s")), "{:?}", story.heard);
    assert!(!story.steps.contains(&"sorry".to_owned()), "{:?}", story.steps);
    hang_up(&phone, &bridge).await;
    finish(bench, bridge).await;
}

#[actix_web::test]
async fn after_hours_the_assistant_answers_and_in_hours_a_human_does() {
    let (_house, bench, store) = bench(|_, _| ()).await;
    let bridge = bridge(&bench, &store, |_| ()).await;
    let functions = Functions::start(&bridge).await;
    let mut phone = Phone::dial(&bench, store, &bridge);
    phone.agents_are_there = true;
    let story = run(&after_hours(), &mut phone, &functions, &[]).await;
    assert_eq!((story.end.as_str(), story.steps.len()), ("queue", 4), "{story:?}");
    assert_eq!(bridge.meters().active_calls.get(), 0, "nobody asks the assistant");
    phone.agents_are_there = false;
    let lines = [
        "Would you tell me a story, please?",
        "How much money do I have in my account?",
        "I would like to speak to a human now.",
    ];
    let story = run(&after_hours(), &mut phone, &functions, &lines).await;
    assert_eq!(story.end, "hung up", "{story:?}");
    assert_eq!(story.attributes["handoverReason"], "A disputed charge", "it stays on the contact");
    let last = story.heard.last().expect("a word");
    assert!(last.starts_with("Our colleagues are not at work"), "{last}");
    hang_up(&phone, &bridge).await;
    finish(bench, bridge).await;
}

#[actix_web::test]
async fn a_flow_whose_bridge_does_not_answer_still_reaches_a_human() {
    let (_house, bench, store) = bench(|_, _| ()).await;
    let bridge = bridge(&bench, &store, |config| config.max_calls = 0).await;
    let mut phone = Phone::dial(&bench, store, &bridge);
    let functions = Functions::start(&bridge).await;
    let story = run(&flow(), &mut phone, &functions, &[]).await;
    assert_eq!(story.end, "queue");
    assert_eq!(story.heard, [voice_bridge::APOLOGY]);
    assert_eq!(story.attributes["handoverReason"], "The assistant cannot be reached.");
    phone.line.hang_up();
    finish(bench, bridge).await;
}

async fn hang_up(phone: &Phone, bridge: &Bridge) {
    phone.line.hang_up();
    phone.ask("/end", &json!({"sessionId": phone.session_id()})).await;
    let ended = || bridge.meters().active_calls.get() == 0;
    tokio::time::timeout(Duration::from_secs(20), eventually("the end", ended)).await.expect("it");
}
