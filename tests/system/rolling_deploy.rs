//! A deployment at noon: forty people talk, and every task is replaced under them.
//!
//! First in the order of Amazon ECS (`ops.md` §1.1): a new task comes, the old one is taken out of
//! the load balancer and drained, calls end by themselves, and SIGTERM is for those that do not.
//! Then by SIGTERM alone, as at a retirement or a `StopTask`, which skip the drain. HAProxy and Redis
//! are the real ones, the tasks are processes; the model is one stand-in for all of them, so that
//! each sample of each caller can be traced over all tasks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{self, Message},
};
use voice_emulator::{
    ACCESS_KEY_ID, Emulator, EmulatorConfig, RecordLimits, SECRET_ACCESS_KEY, SessionSnapshot,
    script::Scenario,
};

use crate::support::{
    DEADLINE, Dice, House, Phone, TRANSFER, Task,
    balancer::Balancer,
    eventually,
    outside::{start_redis, tools},
    phone::{Record, Return},
    puppet, speech,
};

const CALLERS: usize = 40;
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const ANSWER: &str = "I see.";

/// Samples of a frame of the microphone's.
const FRAME_SAMPLES: usize = 1_024;

/// Most samples that may be on their way: a third of the resume window.
const ON_ITS_WAY: usize = 10 * 16_000;

/// How long calls get to end by themselves; 3,600 seconds in production.
const DEREGISTRATION_DELAY: Duration = Duration::from_secs(10);

/// A call that is over: what was said, and what was seen; how many questions were asked.
struct Call {
    said: Vec<i16>,
    record: Record,
    asked: usize,
}

/// What all callers share.
struct Noon {
    url: String,
    /// What everybody says.
    sentence: Vec<i16>,
    over: AtomicBool,
    talking: AtomicUsize,
}

/// One person, who talks until it is over. Whoever is patient stays until he is sent to another
/// task; the others hang up in their own time, and call again.
async fn person(number: usize, noon: Arc<Noon>) -> Vec<Call> {
    let mut dice = Dice::of(number as u64);
    let mut calls = Vec::new();
    let patient = dice.roll(2) == 0;
    while !noon.over.load(Ordering::Relaxed) {
        let name = format!("caller {number}-{}", calls.len());
        let mut phone = Phone::call(&noon.url, &name).await;
        noon.talking.fetch_add(1, Ordering::Relaxed);
        // Not into the greeting.
        phone.pause(1_500).await;
        let mut asked = 0;
        loop {
            phone.insist(&noon.sentence, ANSWER).await;
            asked += 1;
            phone.pause(300 + dice.roll(1_200) as usize).await;
            let had_enough = !patient && phone.is_told_of_the_drain();
            if noon.over.load(Ordering::Relaxed) || had_enough {
                break;
            }
        }
        noon.talking.fetch_sub(1, Ordering::Relaxed);
        let (said, record) = phone.hang_up().await;
        calls.push(Call { said, record, asked });
    }
    calls
}

/// Somebody who tries over and over whether one is let in. Answers how often he was, and why not.
async fn visitor(noon: Arc<Noon>) -> (usize, Vec<String>) {
    let (mut let_in, mut refusals) = (0, Vec::new());
    let mut pace = tokio::time::interval(Duration::from_millis(250));
    while !noon.over.load(Ordering::Relaxed) {
        pace.tick().await;
        match connect_async(&noon.url).await {
            Ok((mut socket, _)) => {
                let_in += 1;
                let _ = socket.send(Message::Close(None)).await;
                let goodbye = async { while let Some(Ok(_)) = socket.next().await {} };
                let _ = tokio::time::timeout(DEADLINE, goodbye).await;
            }
            // Its body says whose refusal it is.
            Err(error) => refusals.push(match error {
                tungstenite::Error::Http(answer) => {
                    let body = answer.body().as_deref().unwrap_or_default();
                    format!("{}: {}", answer.status(), String::from_utf8_lossy(body))
                }
                other => other.to_string(),
            }),
        }
    }
    (let_in, refusals)
}

/// Gives the calls of a task the time that a load balancer gives them, or as long as it takes on a
/// busy machine until the first has ended. Answers how many are left.
async fn deregistered(task: &Task) -> u64 {
    let begin = Instant::now();
    let before = task.metric("voice_s2s_active_calls").await;
    loop {
        let left = task.metric("voice_s2s_active_calls").await;
        let over = begin.elapsed() > DEREGISTRATION_DELAY && left < before;
        if left == 0 || over || begin.elapsed() > DEADLINE {
            return left;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// SIGTERM; the task must end in order, within what ECS gives it.
async fn terminate(task: Task) -> Duration {
    task.signal("TERM");
    let begin = Instant::now();
    assert_eq!(task.exit_code().await, Some(0));
    begin.elapsed()
}

/// One stand-in for all tasks. It keeps all that it hears.
fn model() -> Emulator {
    let script =
        puppet(&format!(r#"{{ "when": {{ "any": true }}, "do": [{{ "say": "{ANSWER}" }}] }}"#));
    let keep_all = RecordLimits {
        audio_bytes: usize::MAX,
        closed_sessions: usize::MAX,
        ..RecordLimits::default()
    };
    let config = EmulatorConfig {
        scenario: Scenario::parse(&script).expect("the script").into(),
        record: keep_all,
        // The machine is busy enough.
        verify_signatures: false,
        ..EmulatorConfig::default()
    };
    Emulator::start(config).expect("the stand-in")
}

/// The settings of every task.
fn settings(model: &Emulator, house: &House, store: &str) -> Vec<(&'static str, String)> {
    let folder = |name| house.path(name).display().to_string();
    vec![
        ("SONIC_BACKEND", "bedrock".to_owned()),
        ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", model.endpoint()),
        ("NOVA_AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
        ("NOVA_AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
        ("SESSION_STORE", store.to_owned()),
        ("SESSION_STORE_KEY", KEY.to_owned()),
        ("TOOLS_DIR", folder("tools")),
        ("WORKFLOWS_DIR", folder("workflows")),
        ("PROMPTS_DIR", folder("prompts")),
        ("SESSION_LOG", "off".to_owned()),
        ("WORKERS", "1".to_owned()),
        // A machine that is held up is not a part that hangs.
        ("PROBE_INTERVAL", "120".to_owned()),
        ("SONIC_MAX_UNSENT", "10".to_owned()),
        // Callers in tests speak faster than people.
        ("AUDIO_BURST", "3600".to_owned()),
    ]
}

/// What the calls that are over have in common, and the figures.
fn judge(calls: &[Call], sessions: &[SessionSnapshot]) {
    let (mut returns, mut lost, mut longest, mut slowest) = (0, 0, 0, Duration::ZERO);
    for Call { said, record, asked } in calls {
        let story = || record.story();
        assert!(record.answers(ANSWER) >= *asked, "each is answered:\n{}", story());
        assert_eq!((record.count("session_start"), record.count("error")), (1, 0), "{}", story());
        let fate = record.fate(said, sessions);
        assert!(said.len() - fate.heard < 48_000, "{} of {}", fate.heard, said.len());
        for back in &record.returns {
            assert_eq!((back.code, back.refused), (1012, 0), "{back:?}");
            slowest = slowest.max(back.took);
        }
        for &(from, to) in &fate.gaps {
            // What was on its way from the caller's mouth to the model's ear when the old task let
            // go: a fraction of a second, and more only where the machine is held up.
            let on_its_way =
                |back: &Return| from + ON_ITS_WAY > back.at && to <= back.at + 2 * FRAME_SAMPLES;
            let window = record.returns.iter().any(on_its_way);
            assert!(window, "{from}..{to} is lost, and {:?}", record.returns);
            longest = longest.max(to - from);
        }
        lost += fate.lost;
        returns += record.returns.len();
    }
    assert!(returns >= CALLERS / 2, "{returns} returns");
    println!(
        "{} calls, {returns} went on at another task within {slowest:.2?}; lost {lost} samples in \
         all, {longest} in one piece",
        calls.len()
    );
}

#[actix_web::test]
async fn forty_people_talk_on_while_every_task_is_replaced() {
    let _alone = crate::support::heavy().await;
    let Some((haproxy, redis_server)) = tools() else { return };
    let (_redis, store) = start_redis(&redis_server).await;
    let balancer = Balancer::start(&haproxy).await;
    let (model, house) = (model(), House::new(&[TRANSFER]));
    let settings = settings(&model, &house, &store);
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut tasks = Vec::new();
    for slot in 0..2 {
        let task = Task::start(&settings).await;
        balancer.enter(slot, task.port).await;
        tasks.push(task);
    }
    let noon = Arc::new(Noon {
        url: balancer.sonic(),
        sentence: speech::without_a_pause("Good morning, I would like to know how this works."),
        over: AtomicBool::new(false),
        talking: AtomicUsize::new(0),
    });
    let begin = Instant::now();
    let people = (0..CALLERS).map(|number| tokio::spawn(person(number, noon.clone())));
    let people: Vec<_> = people.collect();
    let visitor = tokio::spawn(visitor(noon.clone()));
    let all_talk = || noon.talking.load(Ordering::Relaxed) == CALLERS;
    eventually("all of them talk", all_talk).await;
    println!("{:.1?}: {CALLERS} people talk", begin.elapsed());

    // In order.
    for (slot, task) in tasks.iter_mut().enumerate() {
        let next = Task::start(&settings).await;
        balancer.enter(2 + slot, next.port).await;
        let old = std::mem::replace(task, next);
        let calls = old.metric("voice_s2s_active_calls").await;
        balancer.deregister(slot).await;
        crate::drain::drain(old.port, json!({})).await;
        let left = deregistered(&old).await;
        assert!(0 < left && left < calls, "{left} of {calls} calls are left");
        let took = terminate(old).await;
        balancer.forget(slot).await;
        let now = begin.elapsed();
        println!("{now:.1?}: drained {calls} calls; {left} left at SIGTERM, gone after {took:.1?}");
    }
    // By the signal alone.
    for (slot, task) in tasks.iter_mut().enumerate() {
        let next = Task::start(&settings).await;
        balancer.enter(slot, next.port).await;
        let old = std::mem::replace(task, next);
        let calls = old.metric("voice_s2s_active_calls").await;
        let took = terminate(old).await;
        balancer.forget(2 + slot).await;
        println!("{:.1?}: SIGTERM with {calls} calls, gone after {took:.1?}", begin.elapsed());
    }
    noon.over.store(true, Ordering::Relaxed);

    let (let_in, refusals) = visitor.await.expect("no panic");
    assert!(refusals.is_empty(), "{} of {let_in}: {refusals:?}", refusals.len());
    let mut calls = Vec::new();
    for person in people {
        calls.extend(person.await.expect("no panic"));
    }
    println!("{:.1?}: all have hung up; {let_in} visitors were let in", begin.elapsed());
    judge(&calls, &model.observer().sessions());
    for task in tasks {
        assert_eq!(deregistered(&task).await, 0);
        terminate(task).await;
    }
    model.shutdown();
}
