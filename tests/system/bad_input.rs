//! What a client can do wrong: it is told in words, and the call is unharmed or closed in order.

use std::time::Duration;

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Bench, Caller, Seen, speech};

/// The call still works: a question is answered.
async fn is_unharmed(caller: &mut Caller) {
    caller.send(json!({"type": "ping"})).await;
    caller.message("pong").await;
    caller.type_text("What are your opening hours?").await;
    caller.final_line("assistant").await;
}

#[actix_web::test]
async fn each_mistake_gets_a_typed_error_and_the_call_goes_on() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    let deep = format!(r#"{{"type":"ping","x":{}{}}}"#, "[".repeat(500), "]".repeat(500));
    let large = format!(r#"{{"type":"textInput","text":"{}"}}"#, "a".repeat(70_000));
    let long = json!({"type": "textInput", "text": "a".repeat(5_000)}).to_string();
    let mistakes = [
        (Message::binary(vec![1, 2, 3]), "odd_audio_length"),
        (Message::binary(vec![0; 100_000]), "audio_frame_too_large"),
        (Message::text("not json"), "malformed_message"),
        (Message::text("[]"), "malformed_message"),
        (Message::text(deep), "malformed_message"),
        (Message::text(large), "message_too_large"),
        (Message::text(r#"{"type":"dance"}"#), "unknown_type"),
        (Message::text(r#"{"type":"textInput"}"#), "malformed_message"),
        (Message::text(r#"{"type":"textInput","text":"  "}"#), "invalid_text"),
        (Message::text(long), "invalid_text"),
    ];
    for (frame, code) in mistakes {
        caller.send_raw(frame).await;
        let error = caller.error(code).await;
        assert_eq!(error["fatal"], false, "{error}");
        assert!(error["message"].as_str().is_some_and(|m| m.len() > 10), "{error}");
    }
    assert_eq!(bench.client_errors("odd_audio_length"), 1);
    assert_eq!(bench.client_errors("malformed_message"), 4);
    is_unharmed(&mut caller).await;
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn json_in_a_binary_frame_is_understood() {
    let bench = Bench::start().await;
    let mut caller = bench.call().await;
    caller.send_raw(Message::binary(br#"{"type":"ping"}"#.to_vec())).await;
    caller.message("pong").await;
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_frame_of_ten_megabytes_closes_this_call_and_no_other() {
    let bench = Bench::start().await;
    let mut neighbour = bench.greeted().await;
    let mut caller = bench.call().await;
    caller.send_raw(Message::binary(vec![0; 10 << 20])).await;
    let (code, _) = caller.closed().await;
    assert!(code == 1009 || code == 0, "closed with {code}");
    is_unharmed(&mut neighbour).await;
    assert_eq!(bench.client_errors("audio_frame_too_large"), 1);
    neighbour.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn invalid_utf8_is_answered_or_closed_in_order() {
    let bench = Bench::start().await;
    // A client library refuses to send this, so the frame is made by hand: FIN, text, masked.
    let reply = raw::exchange(bench.server.addr(), &[0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe]).await;
    let text = String::from_utf8_lossy(&reply);
    assert!(text.contains("invalid_utf8"), "{text}");
    bench.finish().await;
}

#[actix_web::test]
async fn a_burst_of_a_thousand_messages_is_limited_and_the_call_goes_on() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    for _ in 0..1_000 {
        caller.send(json!({"type": "ping"})).await;
    }
    caller.error("rate_limited").await;
    let dropped = bench.meters().drops(voice_call::meters::Queue::FromSocket);
    assert!(dropped.get() > 0);
    // The bucket refills, and the client is listened to again.
    let patience = Duration::from_millis(500);
    loop {
        caller.send(json!({"type": "ping"})).await;
        if tokio::time::timeout(patience, caller.message("pong")).await.is_ok() {
            break;
        }
    }
    is_unharmed(&mut caller).await;
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_session_id_that_is_a_path_is_refused_before_the_upgrade() {
    let bench = Bench::start().await;
    for id in ["..%2F..%2Fetc%2Fpasswd", "", "a%20b", &"x".repeat(129)] {
        let (status, body) = Caller::refusal(&bench.sonic(&format!("?sessionId={id}"))).await;
        assert_eq!(status, 400, "{id}");
        assert_eq!(body["error"]["code"], "bad_session_id", "{body}");
    }
    bench.finish().await;
}

#[actix_web::test]
async fn a_second_connection_with_a_live_session_id_is_refused() {
    let bench = Bench::start().await;
    let url = bench.sonic("?sessionId=only-once");
    let mut caller = Caller::connect(&url).await;
    caller.message("connected").await;
    let (status, body) = Caller::refusal(&url).await;
    assert_eq!(status, 409);
    assert_eq!(body["error"]["code"], "session_live", "{body}");
    is_unharmed(&mut caller).await;
    caller.hang_up().await;
    bench.is_clean().await;
    // Once it is over, the id is free again.
    let again = Caller::connect(&url).await;
    again.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn odd_audio_in_the_middle_of_speech_costs_that_frame_alone() {
    let bench = Bench::start().await;
    let mut caller = bench.greeted().await;
    let speech = speech::say("What is my balance?");
    let (first, second) = speech.split_at(speech.len() / 2 / 1024 * 1024);
    caller.speak(first).await;
    caller.send_raw(Message::binary(vec![7; 333])).await;
    caller.speak(second).await;
    caller.final_line("user").await;
    caller.final_line("assistant").await;
    let mistakes = caller.messages("error");
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert!(!caller.log.iter().any(|seen| matches!(seen, Seen::Closed(..))));
    caller.hang_up().await;
    bench.finish().await;
}

/// Bytes that no library would send.
mod raw {
    use std::net::SocketAddr;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    /// Upgrades by hand, sends one frame, and reads until an error message or the end.
    pub(crate) async fn exchange(server: SocketAddr, frame: &[u8]) -> Vec<u8> {
        let mut tcp = TcpStream::connect(server).await.expect("connect");
        let upgrade = format!(
            "GET /sonic HTTP/1.1\r\nHost: {server}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        tcp.write_all(upgrade.as_bytes()).await.expect("the upgrade");
        tcp.write_all(frame).await.expect("the frame");
        let mut all = Vec::new();
        let read = async {
            let mut buffer = [0; 4096];
            loop {
                match tcp.read(&mut buffer).await {
                    Ok(0) | Err(_) => break,
                    Ok(n) => all.extend_from_slice(&buffer[..n]),
                }
                if all.windows(7).any(|w| w == b"\"error\"") {
                    break;
                }
            }
        };
        tokio::time::timeout(crate::support::DEADLINE, read).await.expect("an answer");
        all
    }
}
