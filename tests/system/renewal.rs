//! Streams are replaced while the call goes on: nothing that the caller says is lost, nothing is
//! answered twice, and nobody notices.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use voice_actors::Clock;
use voice_emulator::{
    Clocks, Fault, FaultKind, FaultMoment, FaultScope, Refusal, SessionSnapshot,
    voice::{Accent, synthesize},
};
use voice_s2s::config::ServerConfig;
use voice_sonic::RenewalLimits;

use crate::support::{
    Bench, Caller, Dice, House, TRANSFER, eventually,
    line::{Line, trace},
    puppet, speech,
};

/// How much faster than real time the hour passes.
const RATE: f64 = 40.0;

/// How long the call lasts, on its own clock.
const HOUR: usize = 3_600 * 16_000;

const STORY: [&str; 3] = [
    "Let me tell you a long story about a river that wanted to see the mountains from above.",
    "It asked the clouds, and the clouds told it to be patient and to wait for the summer.",
    "When the summer came the river rose into the air, drop by drop, and saw everything.",
];

/// A model that answers in one sentence, tells stories when asked, and looks things up slowly.
fn script() -> String {
    let story = STORY.join(" ");
    puppet(&format!(
        r#"{{ "when": {{ "text": "a story" }}, "do": [{{ "say": "{story}" }}], "unheard": false }},
        {{ "when": {{ "text": "look it up" }}, "do": [{{ "call": {{ "tool": "slow" }} }}],
           "unheard": false }},
        {{ "when": {{ "results": ["slow"] }}, "do": [{{ "say": "It says {{slow.from}}." }}] }},
        {{ "when": {{ "any": true }}, "do": [{{ "say": "I see." }}] }}"#
    ))
}

/// A tool that takes six seconds of the scaled clock.
fn slow() -> String {
    json!({
        "name": "slow", "description": "Looks things up.", "category": "test",
        "inputSchema": { "type": "object", "properties": {} },
        "execute": {
            "kind": "static",
            "default": { "delay_ms": (6_000.0 / RATE) as u64, "result": { "from": "the slow one" } },
        },
    })
    .to_string()
}

fn scaled(config: &mut ServerConfig) {
    config.engine.clock = Clock::scaled(RATE);
    // The hour is longer than calls may be unless the operator says otherwise.
    config.engine.call_limit = None;
    config.engine.greeting_delay = None;
    config.engine.idle_timeout = None;
    config.engine.renewal = RenewalLimits {
        arm: Duration::from_secs(20),
        press: Duration::from_secs(23),
        force: Duration::from_secs(60),
        ..RenewalLimits::default()
    };
}

fn hear_everything(emulator: &mut voice_emulator::EmulatorConfig) {
    emulator.record.audio_bytes = usize::MAX;
    emulator.record.closed_sessions = usize::MAX;
}

/// A conversation that tries everything, over and over.
struct Talk {
    caller: Caller,
    line: Line,
    dice: Dice,
    sentences: Vec<Vec<i16>>,
    speech: Vec<i16>,
    /// How often the caller said something aloud, was told a story, had something looked up.
    spoken: usize,
    stories: usize,
    looked_up: usize,
}

impl Talk {
    async fn begin(bench: &Bench) -> Self {
        let caller = bench.call().await;
        let line = caller.open_line(RATE);
        let texts = ["Good morning.", "I would like to know how this works.", "Thank you, go on."];
        let sentences = texts.map(speech::samples).into();
        let speech = speech::samples(
            "I have been a customer of this bank for twenty years, and in all this time I have \
             never once been asked such a thing, neither in the branch nor on the phone.",
        );
        Self {
            caller,
            line,
            dice: Dice::of(4_711),
            sentences,
            speech,
            spoken: 0,
            stories: 0,
            looked_up: 0,
        }
    }

    async fn answer(&mut self, text: &str) {
        let is_it = |m: &Value| is_line(m, "assistant", text);
        self.caller.until(text, is_it).await;
    }

    async fn say_something(&mut self) {
        self.spoken += 1;
        let which = self.dice.roll(self.sentences.len() as u64 + 1) as usize;
        let what = self.sentences.get(which).unwrap_or(&self.speech);
        self.line.say(what).await;
        // Lines of a story that was cut may come before.
        self.answer("I see.").await;
    }

    async fn talk_over_a_story(&mut self) {
        self.stories += 1;
        self.caller.type_text("a story").await;
        self.caller.audio().await;
        self.line.pause(self.dice.roll(2_000) as usize).await;
        self.say_something().await;
    }

    async fn look_something_up(&mut self) {
        self.looked_up += 1;
        self.caller.type_text("look it up").await;
        self.line.pause(self.dice.roll(2_000) as usize).await;
        self.answer("It says the slow one.").await;
    }

    async fn go_on(&mut self) {
        match self.dice.roll(6) {
            0 => self.talk_over_a_story().await,
            1 => self.look_something_up().await,
            _ => self.say_something().await,
        }
        let pause = self.dice.roll(8_000) as usize;
        self.line.pause(pause).await;
    }
}

#[actix_web::test]
async fn an_hour_of_talk_over_many_streams_loses_not_a_sample() {
    let _alone = crate::support::heavy().await;
    let slow = slow();
    let house = House::new(&[TRANSFER, ("tools/slow.json", &slow)]);
    let bench = house
        .bench(&script(), |config, emulator| {
            scaled(config);
            hear_everything(emulator);
            emulator.clocks = Clocks { scale: RATE, ..Clocks::default() };
        })
        .await;
    let mut talk = Talk::begin(&bench).await;
    while talk.line.position() < HOUR {
        talk.go_on().await;
    }
    let Talk { mut caller, line, spoken, stories, looked_up, .. } = talk;
    let said = line.close();
    // What was sent has arrived when the answer to something later has.
    caller.send(json!({"type": "ping"})).await;
    caller.message("pong").await;
    let cost = cost(&bench.observer().sessions());
    if caller.messages("token_usage").last().is_none_or(|told| !is_cost(told, cost)) {
        caller.until("what it cost", |m| is_cost(m, cost)).await;
    }

    // A line may be told twice, when it is corrected or marked as interrupted.
    let count = |role, text| {
        let lines = caller.messages("transcript").into_iter();
        let ids = lines.filter(|m| is_line(m, role, text)).map(|m| m["id"].to_string());
        ids.collect::<BTreeSet<_>>().len()
    };
    assert_eq!(count("assistant", "I see."), spoken, "each utterance is answered once");
    assert_eq!(count("assistant", "It says the slow one."), looked_up);
    assert_eq!(count("user", "a story"), stories);
    assert_eq!(caller.messages("session_start").len(), 1, "the chat is not cleared");
    nobody_noticed(&caller);
    caller.hang_up().await;
    bench.is_clean().await;

    let sessions = bench.observer().sessions();
    let fate = trace(&said, &sessions);
    let renewals = bench.meters().stream_renewals.get();
    assert_eq!(fate.lost, 0, "{fate:?}");
    // All but what was on its way when the caller hung up.
    assert!(said.len() - fate.heard < 32_000, "{} of {}", fate.heard, said.len());
    assert!(renewals >= 120, "{renewals} renewals");
    assert!(fate.streams as u64 > renewals, "{fate:?}");
    let crossed = sessions.iter().filter(|session| has_late_result(session)).count();
    assert!(crossed > 0, "no result crossed a renewal");
    assert_eq!(bench.meters().stream_restarts.get(), 0);
    println!(
        "{renewals} renewals, {spoken} utterances, {stories} stories, {looked_up} look-ups of \
         which {crossed} crossed; lost {} samples, replayed at most {} in one renewal",
        fate.lost,
        fate.replayed.iter().max().unwrap_or(&0),
    );
    bench.finish().await;
}

/// Tokens of all streams, in and out.
fn cost(sessions: &[SessionSnapshot]) -> (u64, u64) {
    let sum = |key| {
        let figures = sessions.iter().filter_map(|session| session.usage.as_ref());
        figures.filter_map(|usage| usage[key].as_u64()).sum()
    };
    (sum("totalInputTokens"), sum("totalOutputTokens"))
}

fn is_cost(message: &Value, (input, output): (u64, u64)) -> bool {
    message["type"] == "token_usage"
        && message["inputTokens"] == input
        && message["outputTokens"] == output
}

/// The client was told nothing of it.
fn nobody_noticed(caller: &Caller) {
    for nuisance in ["reconnecting", "reconnected", "error"] {
        assert!(caller.messages(nuisance).is_empty(), "{nuisance}");
    }
}

/// Whether a message is this line, complete.
fn is_line(message: &Value, role: &str, text: &str) -> bool {
    message["type"] == "transcript"
        && message["isFinal"] == true
        && message["role"] == role
        && message["text"] == text
}

fn has_late_result(session: &SessionSnapshot) -> bool {
    session.events.iter().any(|event| event.contains("[Result of the tool slow"))
}

/// When time presses, a stream is replaced while the caller still listens: the caller hears all of
/// the story, and every sample is what it would have been.
#[actix_web::test]
async fn a_renewal_while_the_caller_listens_does_not_touch_what_is_heard() {
    let say = |text| synthesize(text, 24_000, Accent::American).expect("a sentence");
    let story: Vec<i16> = STORY.into_iter().flat_map(say).collect();
    let bench = House::new(&[TRANSFER])
        .bench(&script(), |config, _| {
            config.engine.clock = Clock::scaled(10.0);
            config.engine.greeting_delay = None;
            config.engine.renewal.arm = Duration::from_millis(500);
            config.engine.renewal.press = Duration::from_millis(500);
        })
        .await;
    let mut caller = bench.call().await;
    caller.type_text("a story").await;
    caller.audio().await;
    let before = bench.meters().stream_renewals.get();
    let mut longest = Duration::ZERO;
    while caller.heard().len() < story.len() {
        let before = Instant::now();
        caller.audio().await;
        longest = longest.max(before.elapsed());
    }
    let renewals = bench.meters().stream_renewals.get() - before;
    assert!(renewals > 0, "no renewal while the story was told");
    println!("{renewals} renewals; longest wait for a frame of 4 ms: {longest:?}");
    assert!(caller.heard() == story, "{} samples, not {}", caller.heard().len(), story.len());
    assert!(caller.messages("interruption").is_empty());
    caller.hang_up().await;
    bench.finish().await;
}

/// At the very last a stream is replaced in the middle of an answer; the next one goes on with it.
#[actix_web::test]
async fn an_answer_that_is_cut_by_a_renewal_is_gone_on_with() {
    let bench = House::new(&[TRANSFER])
        .bench(&script(), |config, emulator| {
            config.engine.greeting_delay = None;
            // The first stream falls silent in its answer, and is renewed before that counts as
            // a fault.
            config.engine.renewal.arm = Duration::from_millis(200);
            config.engine.renewal.press = Duration::from_millis(200);
            config.engine.renewal.force = Duration::from_secs(3);
            emulator.faults = vec![Fault {
                moment: FaultMoment::MidTurn(1),
                kind: FaultKind::Hang,
                scope: FaultScope::First(1),
            }];
        })
        .await;
    let mut caller = bench.call().await;
    caller.type_text("a story").await;
    caller.until("the end", |m| is_line(m, "assistant", &STORY.join(" "))).await;
    assert!(bench.meters().stream_renewals.get() >= 1);
    let sessions = bench.observer().sessions();
    let cued = sessions.iter().any(|s| s.events.iter().any(|e| e.contains("was cut off by")));
    assert!(cued, "{:?}", sessions.last());
    nobody_noticed(&caller);
    assert!(caller.messages("interruption").is_empty());
    caller.hang_up().await;
    bench.finish().await;
}

/// The caller notices nothing of a next stream that does not come up.
#[actix_web::test]
async fn a_renewal_that_fails_is_tried_again_while_the_old_stream_lives() {
    let bench = House::new(&[TRANSFER])
        .bench(&script(), |config, emulator| {
            config.engine.greeting_delay = None;
            config.engine.renewal.arm = Duration::from_millis(100);
            config.engine.renewal.first_pause = Duration::from_millis(50);
            let refuse = |nth| Fault {
                scope: FaultScope::Nth(nth),
                ..Fault::at_open(FaultKind::Refuse(Refusal::Throttling))
            };
            emulator.faults = [2, 3, 4].map(refuse).into();
        })
        .await;
    let mut caller = bench.call().await;
    eventually("a renewal", || bench.meters().stream_renewals.get() >= 1).await;
    assert_eq!(bench.observer().refused().len(), 3);
    caller.type_text("a story").await;
    caller.audio().await;
    nobody_noticed(&caller);
    assert!(caller.messages("interruption").is_empty());
    assert_eq!(bench.meters().stream_restarts.get(), 0);
    caller.hang_up().await;
    bench.finish().await;
}
