//! The demo from greeting to transfer: a payment that the caller does not recognise, typed and
//! spoken.

use serde_json::{Value, json};
use voice_actors::Clock;
use voice_emulator::{Clocks, Ears};

use crate::support::{Bench, Caller, DEADLINE, speech};

/// What the caller sees on the way: tools that answered well, in order, and the last steps.
fn check_the_way(caller: &Caller) {
    let results = caller.messages("tool_result");
    for result in &results {
        assert!(result["toolResult"]["error"].is_null(), "{result}");
    }
    let used: Vec<&str> = results.iter().filter_map(|m| m["toolName"].as_str()).collect();
    let place = |name: &str| used.iter().position(|used| *used == name);
    let check = place("verify_identity").expect("the identity was checked");
    let dispute = place("dispute_transaction").expect("the payment was disputed");
    assert!(check < dispute, "{used:?}");
    let steps = caller.messages("workflow_update");
    assert!(steps.len() >= 4, "{steps:?}");
    let flows = caller.messages("workflowStatus");
    assert!(flows.iter().any(|status| status["data"]["workflowId"] == "dispute"), "{flows:?}");
    let said: Vec<&Value> = caller.messages("transcript");
    let reference =
        |m: &&&Value| m["text"].as_str().is_some_and(|text| text.contains("D 7 0 4 1 5"));
    assert!(said.iter().filter(reference).count() > 0, "the reference number was said");
}

fn check_the_transfer(transfer: &Value) {
    let summary = transfer["summary"].as_str().unwrap_or_default();
    assert!(summary.contains("verified") || summary.contains("Identity: checked"), "{transfer}");
    assert!(transfer["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{transfer}");
}

#[actix_web::test]
async fn a_disputed_payment_goes_from_greeting_to_transfer_when_it_is_typed() {
    let bench = Bench::start().await;
    let mut caller = bench.call().await;
    caller.configure(json!({"linkedWorkflows": ["banking", "dispute"]})).await;
    caller.final_line("assistant").await;
    let story = [
        ("I do not recognise a payment", "account number"),
        ("4021", "security code"),
        ("1188", "Cloudgate"),
        ("The one from Cloudgate", "Shall I file a dispute"),
        ("Yes", "D 7 0 4 1 5"),
    ];
    for (words, answer) in story {
        caller.type_text(words).await;
        let answers = |m: &Value| {
            m["role"] == "assistant"
                && m["isFinal"] == true
                && m["text"].as_str().is_some_and(|text| text.contains(answer))
        };
        caller.until(answer, answers).await;
    }
    caller.type_text("A person, please").await;
    let transfer = caller.message("transferToAgent").await;
    check_the_way(&caller);
    check_the_transfer(&transfer);
    caller.hang_up().await;
    assert_eq!(bench.ended("transferred"), 1);
    bench.finish().await;
}

/// Speech that nobody understands is led through the same story.
#[actix_web::test]
async fn a_disputed_payment_goes_from_greeting_to_transfer_when_it_is_spoken() {
    const RATE: f64 = 8.0;
    let bench = Bench::with(|config, emulator| {
        config.engine.clock = Clock::scaled(RATE);
        config.engine.idle_timeout = None;
        emulator.clocks = Clocks { scale: RATE, ..emulator.clocks.clone() };
    })
    .await;
    let mut caller = bench.call().await;
    caller.configure(json!({"linkedWorkflows": ["banking", "dispute"]})).await;
    let line = caller.open_line(RATE);
    caller.final_line("assistant").await;
    let sentence = speech::samples("I would like to say something about my account, please.");
    let transferred = |m: &Value| m["type"] == "transferToAgent";
    // Tools that are asked for between two words of the caller take their time: the caller waits
    // for the end of each answer, and speaks on.
    for _ in 0..20 {
        let said = tokio::time::timeout(DEADLINE, line.say(&sentence)).await;
        let end = |m: &Value| transferred(m) || m["type"] == "latency_update";
        if said.is_err() || transferred(&caller.until("the end of an answer", end).await) {
            break;
        }
    }
    let told = caller.messages("transferToAgent").first().map(|&told| told.clone());
    let transfer = match told {
        Some(transfer) => transfer,
        None => caller.until("the transfer", transferred).await,
    };
    line.close();
    check_the_way(&caller);
    check_the_transfer(&transfer);
    caller.hang_up().await;
    bench.finish().await;
}

/// Speech that is understood: the caller says what there is to say, and again what was not caught.
#[actix_web::test]
async fn a_disputed_payment_goes_from_greeting_to_transfer_when_it_is_understood() {
    const RATE: f64 = 4.0;
    let Some(model) = Ears::folder(None) else {
        println!("skipped: no acoustic model (package pocketsphinx-en-us)");
        return;
    };
    let bench = Bench::with(|config, emulator| {
        config.engine.clock = Clock::scaled(RATE);
        config.engine.idle_timeout = None;
        emulator.clocks = Clocks { scale: RATE, ..emulator.clocks.clone() };
        emulator.ears = Some(model);
    })
    .await;
    let mut caller = bench.call().await;
    caller.configure(json!({"linkedWorkflows": ["banking", "dispute"]})).await;
    let line = caller.open_line(RATE);
    caller.final_line("assistant").await;
    let story = [
        ("I do not recognize a payment.", "account number"),
        ("Four, zero, two, one.", "security code"),
        ("One, one, eight, eight.", "Cloudgate"),
        ("The second one.", "Shall I file a dispute"),
        ("Yes, please.", "D 7 0 4 1 5"),
    ];
    for (words, answer) in story {
        let sentence = speech::samples(words);
        let mut understood = false;
        for _ in 0..4 {
            let said = tokio::time::timeout(DEADLINE, line.say(&sentence)).await;
            assert!(said.is_ok(), "the line is dead");
            let answers = |m: &Value| {
                m["role"] == "assistant"
                    && m["isFinal"] == true
                    && m["text"].as_str().is_some_and(|text| {
                        [answer, "catch that", "did not understand", "yes or no", "I need the"]
                            .iter()
                            .any(|part| text.contains(part))
                    })
            };
            let said = caller.until(answer, answers).await;
            understood = said["text"].as_str().is_some_and(|text| text.contains(answer));
            if understood {
                break;
            }
        }
        assert!(understood, "`{words}` was not understood four times");
    }
    let sentence = speech::samples("I want to speak to a person please.");
    let said = tokio::time::timeout(DEADLINE, line.say(&sentence)).await;
    assert!(said.is_ok(), "the line is dead");
    let transfer = caller.message("transferToAgent").await;
    let heard: Vec<String> = caller
        .messages("transcript")
        .iter()
        .filter(|m| m["role"] == "user" && m["isFinal"] == true)
        .filter_map(|m| m["text"].as_str().map(str::to_owned))
        .collect();
    println!("understood: {heard:?}");
    assert!(heard.iter().any(|text| text.contains("recognize a payment")), "{heard:?}");
    line.close();
    check_the_way(&caller);
    check_the_transfer(&transfer);
    caller.hang_up().await;
    bench.finish().await;
}
