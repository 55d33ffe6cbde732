//! A client that does not read is cut off; its neighbours do not notice.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::io::AsyncWriteExt;

use crate::support::{Bench, eventually};

#[actix_web::test]
async fn a_client_that_never_reads_is_cut_off_and_fifty_neighbours_hear_every_word() {
    let _alone = crate::support::heavy().await;
    let bench = Bench::with(|config, emulator| {
        config.engine.stall_limit = Duration::from_millis(500);
        // The assistant answers with whatever it hears, without end.
        emulator.echo = true;
    })
    .await;
    let mut neighbours = join_all((0..50).map(|_| bench.call())).await;
    let address = bench.server.addr();
    let mut tcp = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
        .and_then(|socket| {
            // A small window, so that the client stalls after little audio.
            socket.set_recv_buffer_size(4_096)?;
            socket.connect(&address.into())?;
            socket.set_nonblocking(true)?;
            tokio::net::TcpStream::from_std(socket.into())
        })
        .expect("a connection");
    let upgrade = format!(
        "GET /sonic HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    tcp.write_all(upgrade.as_bytes()).await.expect("the upgrade");
    // Audio frames of 8 KiB (FIN, binary, masked with zero), as fast as they are taken.
    let mut frame = vec![0x82, 0xfe, 0x20, 0x00, 0, 0, 0, 0];
    frame.resize(8 + 8_192, 1);
    let flood = async {
        while tcp.write_all(&frame).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let stalls = async {
        tokio::select! {
            () = flood => {}
            () = eventually("the cut", || bench.ended("client_stalled") == 1) => {}
        }
        eventually("the cause", || bench.ended("client_stalled") == 1).await;
    };
    // Meanwhile fifty others speak, and hear each of their words.
    let speech: Vec<u8> = (0..32_000).map(|n: u32| (n % 251) as u8).collect();
    let waits = async {
        let calls = neighbours.iter_mut().map(|neighbour| async {
            neighbour.speak(&speech).await;
            let (mut heard, mut longest) = (0, Duration::ZERO);
            while heard < 900 * 48 {
                let before = Instant::now();
                heard += neighbour.audio().await.len();
                longest = longest.max(before.elapsed());
            }
            longest
        });
        join_all(calls).await
    };
    let ((), waits) = tokio::join!(stalls, waits);
    println!("longest wait of fifty neighbours for audio: {:?}", waits.iter().max());
    join_all(neighbours.into_iter().map(|neighbour| neighbour.hang_up())).await;
    bench.finish().await;
}
