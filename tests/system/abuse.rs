//! What somebody can do to the server without a credential: calls in progress notice nothing, and
//! what it costs has a limit.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use voice_actors::EngineConfig;

use crate::support::{Bench, Caller, DEADLINE, eventually};

/// Connections that are opened and left alone.
const HALF_OPEN: usize = 2_000;

async fn connect(bench: &Bench) -> TcpStream {
    TcpStream::connect(bench.server.addr()).await.expect("a connection")
}

/// What the server says before it closes the connection.
async fn last_words(mut socket: TcpStream) -> String {
    let mut words = Vec::new();
    let read = tokio::time::timeout(DEADLINE, socket.read_to_end(&mut words)).await;
    // A reset is an end as well.
    let _ = read.expect("the server does not wait for ever");
    String::from_utf8_lossy(&words).into_owned()
}

/// How long a caller waits for an answer to a ping, the longest of some.
async fn longest_wait(caller: &mut Caller) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        let asked = Instant::now();
        caller.send(json!({"type": "ping"})).await;
        caller.message("pong").await;
        longest = longest.max(asked.elapsed());
    }
    longest
}

/// Memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}

/// The call works as ever.
async fn is_unharmed(mut caller: Caller) {
    caller.type_text("What are your opening hours?").await;
    caller.final_line("assistant").await;
    caller.hang_up().await;
}

#[actix_web::test]
async fn half_open_connections_are_closed_and_cost_little() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    let before = (longest_wait(&mut caller).await, resident());
    // In portions: the backlog of a listener is no part of the question.
    let mut sockets = Vec::new();
    while sockets.len() < HALF_OPEN {
        sockets.extend(join_all((0..100).map(|_| connect(&bench))).await);
    }
    let during = (longest_wait(&mut caller).await, resident());
    println!(
        "{HALF_OPEN} half-open connections: answer to a ping {:?} before, {:?} with them; {} KiB each \
         on both sides together",
        before.0,
        during.0,
        during.1.saturating_sub(before.1) / HALF_OPEN as u64
    );
    is_unharmed(caller).await;
    let closed = join_all(sockets.into_iter().map(last_words)).await;
    assert_eq!(closed.len(), HALF_OPEN);
    bench.finish().await;
}

#[actix_web::test]
async fn a_handshake_that_does_not_end_is_ended() {
    let bench = Bench::start().await;
    let caller = bench.greeted().await;
    let mut slow = connect(&bench).await;
    slow.write_all(b"GET /sonic HTTP/1.1\r\nHost: localhost\r\nUpgrade: web").await.expect("half");
    let words = last_words(slow).await;
    assert!(words.is_empty() || words.starts_with("HTTP/1.1 408"), "{words}");
    is_unharmed(caller).await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_flood_of_headers_is_refused() {
    let bench = Bench::start().await;
    let caller = bench.greeted().await;
    for line in ["X-Fill: {n}-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", "A: b\r\n"] {
        let mut socket = connect(&bench).await;
        let mut request = b"GET /api/voices HTTP/1.1\r\nHost: localhost\r\n".to_vec();
        for n in 0..20_000 {
            request.extend(line.replace("{n}", &n.to_string()).as_bytes());
        }
        // The server may close before all of it is written.
        let _ = socket.write_all(&request).await;
        let words = last_words(socket).await;
        assert!(words.is_empty() || words.starts_with("HTTP/1.1 4"), "{words:.200}");
    }
    is_unharmed(caller).await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_flood_of_upgrades_is_no_flood_of_calls() {
    let bench = Bench::with(|config, _| config.max_calls = 5).await;
    let mut caller = bench.greeted().await;
    let before = longest_wait(&mut caller).await;
    let url = bench.sonic("");
    let flood = join_all((0..300).map(|_| Caller::try_connect(&url))).await;
    let during = longest_wait(&mut caller).await;
    let opened: Vec<_> = flood.into_iter().filter_map(Result::ok).collect();
    assert_eq!(opened.len(), 4, "five with the one that was there");
    println!("300 upgrades at once: answer to a ping {before:?} before, {during:?} after them");
    for other in opened {
        other.hang_up().await;
    }
    is_unharmed(caller).await;
    eventually("no call", || bench.server.registry().active() == 0).await;
    bench.finish().await;
}

#[actix_web::test]
async fn audio_faster_than_speech_is_dropped_told_and_closed() {
    let usual = EngineConfig::default().audio_burst;
    let bench = Bench::with(|config, _| config.engine.audio_burst = usual).await;
    let mut caller = bench.greeted().await;
    let frame = vec![0_u8; 16_000];
    for _ in 0..120 {
        let frame = tokio_tungstenite::tungstenite::Message::binary(frame.clone());
        caller.send_raw(frame).await;
    }
    let error = caller.error("audio_too_fast").await;
    assert_eq!(error["fatal"], false);
    for _ in 0..200 {
        let frame = tokio_tungstenite::tungstenite::Message::binary(frame.clone());
        caller.send_raw(frame).await;
    }
    assert_eq!(caller.closed().await.0, 1008);
    bench.finish().await;
}

#[actix_web::test]
async fn a_client_that_says_nothing_at_all_is_closed() {
    let bench = Bench::with(|config, _| {
        config.engine.first_word_deadline = Some(Duration::from_millis(300));
    })
    .await;
    let mut silent = Caller::connect(&bench.sonic("")).await;
    let mut typing = bench.greeted().await;
    assert_eq!(silent.closed().await.0, 1008);
    typing.type_text("What are your opening hours?").await;
    typing.final_line("assistant").await;
    typing.hang_up().await;
    bench.finish().await;
}
