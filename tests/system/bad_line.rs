//! Lines as they are: loss, delay, jitter, stalls and resets, between the caller and the server and
//! between the server and the model. The call goes on or is come back to, not a sample of the
//! caller's is lost but on its way at a reset, and neighbours notice nothing.

use std::{cell::Cell, time::Duration};

use futures::future::{join, join_all};
use voice_emulator::EmulatorConfig;
use voice_s2s::config::ServerConfig;

use crate::support::{
    Bench, FaultProxy, House, Phone, TRANSFER, Weather, phone::Record, puppet, speech,
};

/// What the model says to everything.
const ANSWER: &str = "I see.";

/// The worst line on which one still talks: 5 % of the segments are lost.
const LOSSY: Weather = Weather {
    delay: Duration::from_millis(40),
    jitter: Duration::from_millis(20),
    loss: 50,
    bytes_per_second: None,
};

/// One that is far away; how much it carries is said by the case.
const NARROW: Weather = Weather {
    delay: Duration::from_millis(80),
    jitter: Duration::from_millis(10),
    loss: 0,
    bytes_per_second: None,
};

/// A little more than a caller's line needs in the direction that carries more: 48,000 bytes.
const CALLERS_LINE: u64 = 60_000;

/// The same of the model's: audio is text there, a third longer, in signed frames.
const MODELS_LINE: u64 = 100_000;

/// What happens to a line in the middle of a sentence.
#[derive(Debug, Clone, Copy)]
enum Mishap {
    Nothing,
    Stall(Duration),
    Reset,
}

struct Case {
    name: &'static str,
    weather: Weather,
    mishap: Mishap,
}

/// On a line that carries so many bytes a second when it is narrow.
fn cases(narrow: u64) -> Vec<Case> {
    let stall = |name, seconds| Case {
        name,
        weather: Weather::default(),
        mishap: Mishap::Stall(Duration::from_secs(seconds)),
    };
    let narrow = Weather { bytes_per_second: Some(narrow), ..NARROW };
    vec![
        Case { name: "five percent lost", weather: LOSSY, mishap: Mishap::Nothing },
        Case { name: "a narrow line", weather: narrow, mishap: Mishap::Nothing },
        stall("a stall of one second", 1),
        stall("a stall of five seconds", 5),
        stall("a stall of thirty seconds", 30),
        Case { name: "a reset", weather: Weather::default(), mishap: Mishap::Reset },
        Case { name: "a reset on a lossy line", weather: LOSSY, mishap: Mishap::Reset },
    ]
}

fn house() -> House {
    House::new(&[TRANSFER])
}

fn script() -> String {
    puppet(&format!(r#"{{ "when": {{ "any": true }}, "do": [{{ "say": "{ANSWER}" }}] }}"#))
}

fn settings(config: &mut ServerConfig, emulator: &mut EmulatorConfig) {
    config.engine.greeting_delay = None;
    config.engine.idle_timeout = None;
    config.engine.resume_window = Some(Duration::from_secs(30));
    // It is the line that is bad here, and not the machine.
    config.engine.probe_interval = Duration::from_secs(60);
    emulator.record.audio_bytes = usize::MAX;
    emulator.record.closed_sessions = usize::MAX;
}

/// Three questions; in the middle of the second one it happens. A hole in a sentence may be taken for
/// its end: then each part is answered. Answers how long the caller waited for each answer.
async fn talk(
    phone: &mut Phone,
    line: &FaultProxy,
    sentence: &[i16],
    mishap: Mishap,
) -> [Duration; 3] {
    phone.pause(300).await;
    let before = phone.ask(sentence, ANSWER).await;
    phone.pause(300).await;
    let (first, second) = sentence.split_at(sentence.len() / 2);
    phone.say(first).await;
    match mishap {
        Mishap::Nothing => {}
        Mishap::Stall(time) => line.stall(time),
        Mishap::Reset => line.reset(),
    }
    let stall = if let Mishap::Stall(time) = mishap { time.as_millis() as usize } else { 0 };
    let during = phone.ask_and_rest(second, stall + 1_000).await;
    let after = phone.ask(sentence, ANSWER).await;
    [before, during, after]
}

/// What must hold whatever the line does; prints the figures.
fn judge(case: &Case, bench: &Bench, (said, record): &(Vec<i16>, Record), waits: [Duration; 3]) {
    let name = case.name;
    let fate = record.fate(said, &bench.observer().sessions());
    println!("{name}: waited {waits:.2?} for the answers; {:?}; {fate:?}", record.returns);
    // An answer that was cut, by the caller or by a stream that had to go, may have been said anew.
    let ((asked, _), (answers, whole)) = (record.lines("user"), record.lines("assistant"));
    let answered = (whole..=answers).contains(&asked) && asked >= 3;
    let turns = (asked, answers, whole);
    assert!(answered, "{name}: each is answered once: {turns:?}\n{}", record.story());
    assert_eq!(record.count("session_start"), 1, "{name}");
    assert_eq!(record.count("error"), 0, "{name}");
    assert!(said.len() - fate.heard < 48_000, "{name}: {} of {}", fate.heard, said.len());
    // What was on its way when a connection was reset is gone, and nothing else.
    let on_its_way = |&(from, to): &(usize, usize)| {
        record.returns.iter().any(|back| from <= back.at && to <= back.at + 16_000)
    };
    assert!(fate.gaps.iter().all(on_its_way), "{name}: {fate:?}");
    assert!(fate.lost < 16_000, "{name}: {fate:?}");
}

fn sentence() -> Vec<i16> {
    speech::without_a_pause("Good morning, I would like to know how this works.")
}

#[actix_web::test]
async fn a_bad_line_to_the_caller_costs_time_and_no_word() {
    let _alone = crate::support::heavy().await;
    let sentence = &sentence();
    let bench = house().bench(&script(), settings).await;
    let address = bench.server.addr();
    let cases = cases(CALLERS_LINE);
    let over = &Cell::new(false);
    let calls = cases.iter().zip(1_u64..).map(|(case, seed)| async move {
        let line = FaultProxy::start(address, case.weather, seed).await;
        let url = format!("ws://{}/sonic", line.addr());
        let mut phone = Phone::call(&url, case.name).await;
        let waits = talk(&mut phone, &line, sentence, case.mishap).await;
        let record = phone.hang_up().await;
        let codes: Vec<u16> = record.1.returns.iter().map(|back| back.code).collect();
        let resets = matches!(case.mishap, Mishap::Reset);
        assert_eq!(codes, if resets { vec![0] } else { vec![] }, "{}", case.name);
        assert_eq!(line.lost_segments() > 0, case.weather.loss > 0, "{}", case.name);
        (record, waits)
    });
    let calls = async {
        let calls = join_all(calls).await;
        over.set(true);
        calls
    };
    // Somebody on a good line, as long as all the others talk.
    let neighbour = async {
        let mut phone = Phone::call(&bench.sonic(""), "the neighbour").await;
        let mut waits = Vec::new();
        while !over.get() {
            waits.push(phone.ask(sentence, ANSWER).await);
            phone.pause(300).await;
        }
        (phone.hang_up().await, waits)
    };
    let (calls, ((said, neighbour), waits)) = join(calls, neighbour).await;
    for (case, (record, waits)) in cases.iter().zip(&calls) {
        judge(case, &bench, record, *waits);
    }
    let slowest = waits.iter().max().copied().unwrap_or_default();
    println!("the neighbour waited {slowest:.2?} at most, of {} answers", waits.len());
    assert_eq!(neighbour.fate(&said, &bench.observer().sessions()).lost, 0);
    assert!(neighbour.returns.is_empty());
    // Far less than the longest stall, and more than a busy machine takes.
    assert!(slowest < Duration::from_secs(10), "{waits:?}");
    bench.finish().await;
}

#[actix_web::test]
async fn a_bad_line_to_the_model_costs_time_and_no_word() {
    let _alone = crate::support::heavy().await;
    let sentence = &sentence();
    let cases = cases(MODELS_LINE);
    let calls = cases.iter().zip(1_u64..).map(|(case, seed)| async move {
        let weather = (case.weather, seed);
        let (bench, line) = house().bench_over(weather, &script(), settings).await;
        let mut phone = Phone::call(&bench.sonic(""), case.name).await;
        let waits = talk(&mut phone, &line, sentence, case.mishap).await;
        let record = phone.hang_up().await;
        bench.is_clean().await;
        let meters = bench.meters();
        let replaced = meters.stream_restarts.get() + meters.stream_renewals.get();
        println!("{}: {replaced} streams replaced, {} connections", case.name, line.connections());
        judge(case, &bench, &record, waits);
        assert!(record.1.returns.is_empty(), "the caller's line is good");
        bench.finish().await;
    });
    join_all(calls).await;
}
