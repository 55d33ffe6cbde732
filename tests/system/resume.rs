//! The connection of a client is lost: it comes back to the same call, hears all that it missed,
//! and nobody else does. If the task is gone, another one goes on with the call.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use voice_actors::Party;
use voice_call::CallId;
use voice_emulator::voice::{Accent, synthesize};

use voice_s2s::store::{MemoryShelf, Shelf, StoreConfig};

use crate::support::{Bench, Caller, House, TRANSFER, eventually, puppet};

const STORY: [&str; 2] = [
    "Let me tell you a long story about a river that wanted to see the mountains from above.",
    "It asked the clouds, and the clouds told it to be patient and to wait for the summer.",
];

/// A server whose calls wait for their clients for `window`.
async fn bench(window: Option<Duration>) -> Bench {
    let script = puppet(&format!(
        r#"{{ "when": {{ "text": "a story" }}, "do": [{{ "say": "{}" }}] }},
        {{ "when": {{ "any": true }}, "do": [{{ "say": "I see." }}] }}"#,
        STORY.join(" ")
    ));
    House::new(&[TRANSFER])
        .bench(&script, |config, _| {
            config.engine.greeting_delay = None;
            config.engine.resume_window = window;
        })
        .await
}

/// What a client remembers of its call.
struct Ticket {
    id: String,
    token: String,
    last_seq: u64,
    heard_bytes: usize,
}

impl Ticket {
    fn of(caller: &Caller) -> Self {
        let text = |key: &str| {
            let connected = caller.messages("connected");
            connected.last().expect("connected")[key].as_str().expect(key).to_owned()
        };
        let seqs = caller.all_messages().filter_map(|message| message["seq"].as_u64());
        Self {
            id: text("sessionId"),
            token: text("resumeToken"),
            last_seq: seqs.max().unwrap_or(0),
            heard_bytes: caller.heard().len() * 2,
        }
    }

    fn query(&self) -> String {
        format!(
            "?sessionId={}&resumeToken={}&lastSeq={}&heardBytes={}",
            self.id, self.token, self.last_seq, self.heard_bytes
        )
    }
}

/// Comes back with a ticket that must be good.
async fn come_back(bench: &Bench, ticket: &Ticket) -> Caller {
    let mut caller = Caller::connect(&bench.sonic(&ticket.query())).await;
    let connected = caller.message("connected").await;
    assert_eq!(connected["resumed"], true, "{connected}");
    assert_eq!(connected["sessionId"], ticket.id);
    assert_ne!(connected["resumeToken"], ticket.token, "the token is rotated");
    caller
}

#[actix_web::test]
async fn a_client_that_comes_back_in_the_middle_of_a_story_hears_every_sample_of_it_once() {
    let say = |text| synthesize(text, 24_000, Accent::American).expect("a sentence");
    let story: Vec<i16> = STORY.into_iter().flat_map(say).collect();
    let bench = bench(Some(Duration::from_secs(30))).await;
    let mut caller = bench.call().await;
    caller.type_text("a story").await;
    let mut heard = Vec::new();
    let mut seqs: Vec<u64> = Vec::new();
    let mut told = 0;
    let is_whole = |m: &&Value| m["role"] == "assistant" && m["text"] == STORY.join(" ");
    let mut keep = |caller: &Caller, heard: &mut Vec<i16>, seqs: &mut Vec<u64>| {
        heard.extend(caller.heard());
        seqs.extend(caller.all_messages().filter_map(|message| message["seq"].as_u64()));
        told += caller.all_messages().filter(is_whole).count();
    };
    for part in 1..=3 {
        while heard.len() + caller.heard().len() < part * 24_000 {
            caller.audio().await;
        }
        keep(&caller, &mut heard, &mut seqs);
        let mut ticket = Ticket::of(&caller);
        ticket.last_seq = seqs.iter().copied().max().unwrap_or(0);
        ticket.heard_bytes = heard.len() * 2;
        caller.vanish();
        // Sometimes the client is back before the loss is noticed.
        if part != 2 {
            eventually("the loss", || bench.meters().parked_calls.get() == 1).await;
        }
        caller = come_back(&bench, &ticket).await;
        eventually("the return", || bench.meters().parked_calls.get() == 0).await;
    }
    while heard.len() + caller.heard().len() < story.len() {
        caller.audio().await;
    }
    assert_eq!(caller.messages("session_start").len(), 0, "the chat is not cleared");
    keep(&caller, &mut heard, &mut seqs);
    assert!(told > 0, "the whole line was told, in one part or another");
    assert!(heard == story, "{} samples, not {}", heard.len(), story.len());
    let expected: Vec<u64> = (1..=seqs.len() as u64).collect();
    assert_eq!(seqs, expected, "each message once, in order");
    assert_eq!(bench.meters().calls_started.get(), 1);
    assert_eq!(bench.observer().sessions().len(), 1, "the stream lived on");
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn what_was_said_while_nobody_was_there_is_told_afterwards() {
    let bench = bench(Some(Duration::from_secs(30))).await;
    let mut caller = bench.call().await;
    caller.type_text("Good morning.").await;
    caller.final_line("user").await;
    let ticket = Ticket::of(&caller);
    caller.vanish();
    let usage = || {
        let sessions = bench.observer().sessions();
        sessions.first().is_some_and(|session| session.sent("usageEvent") > 0)
    };
    eventually("the answer", usage).await;
    let mut caller = come_back(&bench, &ticket).await;
    assert_eq!(caller.final_line("assistant").await, "I see.");
    caller.audio().await;
    // And the call goes on.
    caller.type_text("Thank you.").await;
    assert_eq!(caller.final_line("user").await, "Thank you.");
    assert_eq!(caller.final_line("assistant").await, "I see.");
    assert!(caller.messages("error").is_empty());
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_token_is_good_for_one_return_and_for_its_own_call() {
    let bench = bench(Some(Duration::from_secs(30))).await;
    let mut caller = bench.call().await;
    caller.type_text("Good morning.").await;
    caller.final_line("assistant").await;
    let used = Ticket::of(&caller);
    // Coming back takes the call over, also from a socket that is still there.
    let mut back = come_back(&bench, &used).await;
    caller.closed().await;
    let other = bench.call().await;
    let foreign = Ticket { token: Ticket::of(&other).token, ..Ticket::of(&back) };
    let guessed = Ticket { token: "0".repeat(64), ..Ticket::of(&back) };
    let unknown = Ticket { id: "nobody".into(), ..Ticket::of(&other) };
    for bad in [used, foreign, guessed, unknown] {
        let mut stranger = Caller::connect(&bench.sonic(&bad.query())).await;
        let error = stranger.error("resume_failed").await;
        assert_eq!(error["fatal"], false);
        let connected = stranger.message("connected").await;
        assert_ne!(connected["sessionId"], bad.id, "a call of its own");
        assert!(connected["resumed"].is_null());
        stranger.configure(json!({})).await;
        stranger.message("session_start").await;
        assert!(stranger.heard().is_empty());
        stranger.hang_up().await;
    }
    // The one who was there noticed nothing.
    back.type_text("Are you there?").await;
    assert_eq!(back.final_line("assistant").await, "I see.");
    back.hang_up().await;
    other.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn whoever_comes_too_late_gets_a_fresh_call() {
    let bench = bench(Some(Duration::from_millis(200))).await;
    let caller = bench.call().await;
    let ticket = Ticket::of(&caller);
    caller.vanish();
    eventually("the end", || bench.ended("hung_up") == 1).await;
    let mut late = Caller::connect(&bench.sonic(&ticket.query())).await;
    late.error("resume_failed").await;
    assert!(late.message("connected").await["resumed"].is_null());
    late.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn without_a_token_a_call_that_waits_is_nobodys() {
    let bench = bench(Some(Duration::from_secs(30))).await;
    let caller = bench.call().await;
    let ticket = Ticket::of(&caller);
    caller.vanish();
    eventually("the loss", || bench.meters().parked_calls.get() == 1).await;
    let query = format!("?sessionId={}", ticket.id);
    let (status, _) = Caller::refusal(&bench.sonic(&query)).await;
    assert_eq!(status, 409);
    // A shutdown does not wait for it.
    let id: CallId = ticket.id.parse().expect("an id");
    assert!(bench.server.registry().admit(Some(id), Party::default()).await.is_err());
    bench.server.registry().drain(Duration::from_secs(5)).await;
    assert_eq!(bench.ended("draining"), 1);
    bench.finish().await;
}

#[actix_web::test]
async fn who_hangs_up_in_order_or_may_not_come_back_is_not_waited_for() {
    let bench = bench(None).await;
    let caller = bench.call().await;
    assert!(caller.messages("connected")[0]["resumeToken"].is_null());
    caller.vanish();
    eventually("the end", || bench.ended("hung_up") == 1).await;
    bench.finish().await;

    let bench = self::bench(Some(Duration::from_secs(3_600))).await;
    bench.call().await.hang_up().await;
    eventually("the end", || bench.ended("hung_up") == 1).await;
    bench.finish().await;
}

/// Two servers of one bank that share a session store, as two tasks share a Redis.
async fn two_tasks() -> [Bench; 2] {
    let store = StoreConfig { shelf: Shelf::Memory(MemoryShelf::default()), key: [7; 32] };
    let task = |store: StoreConfig| async {
        Bench::with(|config, _| {
            config.engine.resume_window = Some(Duration::from_secs(30));
            config.store = store;
        })
        .await
    };
    [task(store.clone()).await, task(store).await]
}

/// What stands for the death of the first task: nobody there knows the call any more.
async fn kill(bench: &Bench, ticket: &Ticket) {
    let id: CallId = ticket.id.parse().expect("an id");
    let registry = bench.server.registry();
    assert!(registry.inject(&id, None, voice_actors::Mishap::Panic).await);
    eventually("the death", || registry.active() == 0).await;
}

#[actix_web::test]
async fn when_a_task_dies_another_one_goes_on_from_the_last_turn() {
    let [first, second] = two_tasks().await;
    let mut caller = Caller::connect(&first.sonic("")).await;
    caller.configure(json!({"voiceId": "amy"})).await;
    caller.final_line("assistant").await;
    caller.type_text("What is my balance?").await;
    caller.final_line("assistant").await;
    caller.type_text("4021").await;
    caller.final_line("assistant").await;
    caller.message("token_usage").await;
    let tokens = caller.messages("token_usage").last().expect("tokens")["inputTokens"].as_u64();
    let ticket = Ticket::of(&caller);
    kill(&first, &ticket).await;

    let mut caller = come_back(&second, &ticket).await;
    // The code is understood, since the account number was said to the task before.
    caller.type_text("1188").await;
    let result = caller
        .until("the balance", |m| {
            m["type"] == "tool_result" && m["toolName"] == "get_account_balance"
        })
        .await;
    assert!(result["toolResult"]["error"].is_null(), "{result}");
    caller.final_line("assistant").await;
    caller.message("token_usage").await;
    let later = caller.messages("token_usage").last().expect("tokens")["inputTokens"].as_u64();
    assert!(later > tokens, "the count goes on: {later:?} after {tokens:?}");
    assert!(caller.messages("session_start").is_empty(), "the chat is not cleared");
    assert!(caller.messages("error").is_empty(), "{}", caller.story());
    let seqs: Vec<u64> = caller.all_messages().filter_map(|m| m["seq"].as_u64()).collect();
    assert!(seqs.iter().all(|seq| *seq > ticket.last_seq), "the numbers go on: {seqs:?}");
    let sessions = second.observer().sessions();
    let events = &sessions.first().expect("a stream").events;
    assert!(events.iter().any(|event| event.contains(r#""voiceId":"amy""#)), "its settings");
    assert!(events.iter().any(|event| event.contains("4021")), "its history");
    caller.hang_up().await;
    second.finish().await;
    first.finish().await;
}

#[actix_web::test]
async fn a_question_that_the_dead_task_left_unanswered_is_answered() {
    let [first, second] = two_tasks().await;
    let mut caller = first.greeted().await;
    caller.type_text("What are your opening hours?").await;
    caller.final_line("user").await;
    let ticket = Ticket::of(&caller);
    kill(&first, &ticket).await;
    let mut caller = come_back(&second, &ticket).await;
    caller.final_line("assistant").await;
    caller.audio().await;
    caller.hang_up().await;
    second.finish().await;
    first.finish().await;
}

#[actix_web::test]
async fn a_restart_sends_clients_to_another_task_and_a_hang_up_leaves_nothing() {
    let [first, second] = two_tasks().await;
    let mut caller = first.greeted().await;
    let ended = first.greeted().await;
    let gone = Ticket::of(&ended);
    ended.hang_up().await;
    first.server.registry().drain(Duration::from_secs(5)).await;
    assert_eq!(caller.closed().await.0, 1012);
    let ticket = Ticket::of(&caller);
    let mut caller = come_back(&second, &ticket).await;
    caller.type_text("What are your opening hours?").await;
    caller.final_line("assistant").await;
    // One token, one return; and nothing is kept of a call that ended.
    for bad in [ticket, gone] {
        let mut late = Caller::connect(&second.sonic(&bad.query())).await;
        late.error("resume_failed").await;
        late.hang_up().await;
    }
    caller.hang_up().await;
    second.finish().await;
    first.finish().await;
}

/// A client that gives no sign of life is given up; when its socket closes after that it is no
/// second loss, and the call is its client's again.
#[actix_web::test]
async fn a_client_that_was_given_up_comes_back_to_a_call_that_lasts() {
    let window = Duration::from_secs(2);
    let script = puppet(&format!(
        r#"{{ "when": {{ "any": true }}, "do": [{{ "say": "{}" }}] }}"#,
        STORY.join(" ")
    ));
    let bench = House::new(&[TRANSFER])
        .bench(&script, |config, _| {
            config.engine.greeting_delay = None;
            config.engine.resume_window = Some(window);
            config.engine.ping_interval = Duration::from_millis(100);
            config.engine.dead_after = Duration::from_millis(300);
        })
        .await;
    // A client that reads and never answers a ping.
    let address = bench.server.addr();
    let mut tcp = tokio::net::TcpStream::connect(address).await.expect("a connection");
    let upgrade = format!(
        "GET /sonic HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    tcp.write_all(upgrade.as_bytes()).await.expect("the upgrade");
    let mut answer = Vec::new();
    // It ends when the server has given the client up.
    tcp.read_to_end(&mut answer).await.expect("an answer");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let value = |key: &str| {
        let (_, rest) = answer.split_once(&format!(r#""{key}":""#)).expect(key);
        rest.split_once('"').expect("a text").0.to_owned()
    };
    let (id, token) = (value("sessionId"), value("resumeToken"));
    eventually("the loss", || bench.meters().parked_calls.get() == 1).await;
    let ticket = Ticket { id, token, last_seq: 0, heard_bytes: 0 };
    let mut caller = come_back(&bench, &ticket).await;
    // Longer than the call would have waited for its client.
    caller.type_text("a story").await;
    while caller.heard().len() < 24_000 * 2 * window.as_secs() as usize {
        caller.audio().await;
    }
    assert_eq!(bench.meters().parked_calls.get(), 0);
    caller.hang_up().await;
    bench.finish().await;
}
