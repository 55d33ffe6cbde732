//! The caller speaks over the assistant: what was not heard yet is taken back at once.

use voice_emulator::script::Scenario;

use crate::support::{Bench, Caller, Seen, bench::TALKATIVE, speech};

/// Reads on until a good part of the long answer was heard.
async fn hear_the_beginning(caller: &mut Caller) {
    caller.type_text("Tell me a story").await;
    caller.final_line("user").await;
    let before = caller.heard().len();
    while caller.heard().len() < before + 12_000 {
        caller.audio().await;
    }
}

/// How much audio came after the last `interruption`, in samples, up to the next answer.
fn audio_after_interruption(log: &[Seen]) -> usize {
    let at = log.iter().rposition(is_interruption).expect("an interruption");
    let after = log[at..].iter().take_while(|seen| !is_streaming_line(seen));
    after.map(|seen| if let Seen::Audio(bytes) = seen { bytes.len() / 2 } else { 0 }).sum()
}

fn is_interruption(seen: &Seen) -> bool {
    matches!(seen, Seen::Message(message) if message["type"] == "interruption")
}

/// A new answer begins with a line that is still being said.
fn is_streaming_line(seen: &Seen) -> bool {
    matches!(seen, Seen::Message(m) if m["type"] == "transcript" && m["isStreaming"] == true)
}

/// One playout frame: 40 ms at 24 kHz.
const FRAME: usize = 960;

#[actix_web::test]
async fn speaking_over_the_assistant_takes_back_what_was_not_heard() {
    let bench = Bench::talkative().await;
    let mut caller = bench.greeted().await;
    hear_the_beginning(&mut caller).await;
    let before = bench.meters().barge_ins.get();
    caller.speak(&speech::say("Wait, stop, I have another question for you.")).await;
    caller.message("interruption").await;
    caller.message("transcriptCancelled").await;
    // The next answer comes, and it is not the rest of the last one.
    caller.final_line("user").await;
    caller
        .until("the next answer", |m| m["type"] == "transcript" && m["isStreaming"] == true)
        .await;
    caller.audio().await;
    assert!(audio_after_interruption(&caller.log) <= FRAME, "{}", caller.story());
    assert_eq!(bench.meters().barge_ins.get(), before + 1);
    let cut = caller.messages("transcript").iter().any(|m| m["interrupted"] == true);
    assert!(cut, "the line that was cut is marked:\n{}", caller.story());
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn the_marker_of_an_interruption_is_never_shown() {
    let bench = Bench::talkative().await;
    let mut caller = bench.greeted().await;
    hear_the_beginning(&mut caller).await;
    caller.speak(&speech::say("Hold on, please.")).await;
    caller.message("interruption").await;
    caller.final_line("user").await;
    for line in caller.messages("transcript") {
        let text = line["text"].as_str().unwrap_or_default();
        assert!(!text.contains("interrupted"), "{text}");
    }
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn typing_over_the_assistant_interrupts_it_too() {
    let bench = Bench::talkative().await;
    let mut caller = bench.greeted().await;
    hear_the_beginning(&mut caller).await;
    caller.type_text("Another story, please").await;
    caller.message("interruption").await;
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_call_survives_many_barge_ins() {
    let bench = Bench::talkative().await;
    let mut caller = bench.greeted().await;
    for round in 1..=3 {
        hear_the_beginning(&mut caller).await;
        caller.speak(&speech::say("Excuse me, one moment.")).await;
        caller.message("interruption").await;
        assert!(bench.meters().barge_ins.get() >= round);
        caller.final_line("user").await;
    }
    caller.hang_up().await;
    bench.finish().await;
}

/// Some barge-ins come without their marker: the model only reports that the caller speaks.
#[actix_web::test]
async fn a_barge_in_without_its_marker_is_noticed_all_the_same() {
    let bench = Bench::with(|_, emulator| {
        let script = TALKATIVE.replacen('{', r#"{ "barge_in": "speechStartOnly","#, 1);
        emulator.scenario = Scenario::parse(&script).expect("the script").into();
    })
    .await;
    let mut caller = bench.greeted().await;
    hear_the_beginning(&mut caller).await;
    caller.speak(&speech::say("Wait, stop, I have another question for you.")).await;
    caller.message("interruption").await;
    caller.message("transcriptCancelled").await;
    caller.hang_up().await;
    bench.finish().await;
}
