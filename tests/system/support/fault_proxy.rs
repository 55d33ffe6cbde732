//! A bad line: a TCP proxy that delays, jitters, loses, throttles, stalls and resets, by a seed.
//!
//! TCP delivers every byte in order, so a proxy above it cannot lose any. What loss on the path does
//! to a TCP connection is that a segment comes late: by a retransmission timeout, of 200 ms at least
//! on Linux (RFC 6298 asks for a second), doubled with every further loss of the same one, while
//! all behind it wait. That is what `loss` does here, to pieces of the size of a segment. Losses that
//! fast retransmit would repair sooner are taken for slow ones: the line is worse than a real one.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};

use super::Dice;

/// The payload of a segment on Ethernet.
const SEGMENT: usize = 1_460;

/// Segments that may be on their way in one direction. When it is full, the sender has to wait, as
/// with a window of TCP.
const IN_FLIGHT: usize = 1_024;

/// A retransmission timeout of Linux, at least.
const RTO: Duration = Duration::from_millis(200);

/// How a line is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weather {
    /// Each way.
    pub(crate) delay: Duration,
    /// At most so much more, by chance.
    pub(crate) jitter: Duration,
    /// So many of a thousand segments are lost, and come after a timeout.
    pub(crate) loss: u64,
    /// Each way; `None`: as much as the machine does.
    pub(crate) bytes_per_second: Option<u64>,
}

/// What the connections of a proxy share.
struct Shared {
    target: SocketAddr,
    weather: Weather,
    /// Until when nothing passes.
    stalled: watch::Sender<Instant>,
    /// Counts resets.
    resets: watch::Sender<u64>,
    connections: AtomicUsize,
    delayed: AtomicUsize,
}

/// The proxy. Its connections end with it.
pub(crate) struct FaultProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// A line to `target`, on a free port.
    pub(crate) async fn start(target: SocketAddr, weather: Weather, seed: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let addr = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            target,
            weather,
            stalled: watch::Sender::new(Instant::now()),
            resets: watch::Sender::new(0),
            connections: AtomicUsize::new(0),
            delayed: AtomicUsize::new(0),
        });
        let line = shared.clone();
        let accepting = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let number = line.connections.fetch_add(1, Ordering::Relaxed) as u64;
                open.spawn(connect(client, line.clone(), seed ^ (number << 32)));
                while open.try_join_next().is_some() {}
            }
        });
        Self { addr, shared, accepting }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Nothing passes for so long, either way.
    pub(crate) fn stall(&self, time: Duration) {
        self.shared.stalled.send_replace(Instant::now() + time);
    }

    /// Resets every connection that is open.
    pub(crate) fn reset(&self) {
        self.shared.resets.send_modify(|count| *count += 1);
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Segments that were lost so far.
    pub(crate) fn lost_segments(&self) -> usize {
        self.shared.delayed.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection, until either side ends it or it is reset.
async fn connect(client: TcpStream, line: Arc<Shared>, seed: u64) {
    let mut resets = line.resets.subscribe();
    let Ok(server) = TcpStream::connect(line.target).await else { return };
    for socket in [&client, &server] {
        let _ = socket.set_nodelay(true);
    }
    let (from_client, mut to_client) = client.into_split();
    let (from_server, mut to_server) = server.into_split();
    let up = carry(from_client, &mut to_server, &line, Dice::of(seed));
    let down = carry(from_server, &mut to_client, &line, Dice::of(seed ^ 1));
    let both = async { tokio::join!(up, down) };
    let was_reset = tokio::select! {
        _ = both => false,
        _ = resets.changed() => true,
    };
    if was_reset {
        for half in [to_client, to_server] {
            // Without it the kernel would still deliver what it holds, and then a tidy end.
            let _ = half.as_ref().set_zero_linger();
            half.forget();
        }
    }
}

/// One direction of a connection, until its source ends.
async fn carry(source: OwnedReadHalf, sink: &mut OwnedWriteHalf, line: &Shared, dice: Dice) {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    tokio::join!(take(source, sender, line, dice), deliver(receiver, sink, line));
}

/// Cuts what comes into segments and says when each has come over the line.
async fn take(
    mut source: OwnedReadHalf,
    sender: mpsc::Sender<(Instant, Vec<u8>)>,
    line: &Shared,
    mut dice: Dice,
) {
    let weather = line.weather;
    let mut last = Instant::now();
    loop {
        let mut segment = vec![0; SEGMENT];
        let Ok(read) = source.read(&mut segment).await else { return };
        segment.truncate(read);
        if read == 0 {
            return;
        }
        let jitter = dice.roll(weather.jitter.as_micros() as u64 + 1);
        let mut at = Instant::now() + weather.delay + Duration::from_micros(jitter);
        let mut timeout = RTO;
        while dice.roll(1_000) < weather.loss {
            line.delayed.fetch_add(1, Ordering::Relaxed);
            at += timeout;
            timeout *= 2;
        }
        // Nothing overtakes.
        last = last.max(at);
        if sender.send((last, segment)).await.is_err() {
            return;
        }
    }
}

/// Hands on what has come over the line, as fast as it may.
async fn deliver(
    mut receiver: mpsc::Receiver<(Instant, Vec<u8>)>,
    sink: &mut OwnedWriteHalf,
    line: &Shared,
) {
    let stalled = line.stalled.subscribe();
    // When a narrow line has carried what it was given; late timers must not make it narrower.
    let mut free = Instant::now();
    while let Some((at, segment)) = receiver.recv().await {
        tokio::time::sleep_until(at).await;
        loop {
            let until = *stalled.borrow();
            if until <= Instant::now() {
                break;
            }
            tokio::time::sleep_until(until).await;
        }
        if let Some(rate) = line.weather.bytes_per_second {
            let time = Duration::from_secs_f64(segment.len() as f64 / rate as f64);
            free = free.max(at) + time;
            tokio::time::sleep_until(free).await;
        }
        if sink.write_all(&segment).await.is_err() {
            return receiver.close();
        }
    }
    let _ = sink.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that returns what it gets, and a proxy before it.
    async fn echo(weather: Weather) -> (FaultProxy, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let target = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = socket.split();
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        let proxy = FaultProxy::start(target, weather, 7).await;
        let client = TcpStream::connect(proxy.addr()).await.expect("a connection");
        (proxy, client)
    }

    /// Sends so many bytes and waits until they are back; answers how long that took.
    async fn there_and_back(client: &mut TcpStream, bytes: usize) -> Duration {
        let sent: Vec<u8> = (0..bytes).map(|n| (n % 251) as u8).collect();
        let mut back = vec![0; bytes];
        let begin = Instant::now();
        let (mut reader, mut writer) = client.split();
        let (sending, receiving) =
            tokio::join!(writer.write_all(&sent), reader.read_exact(&mut back));
        sending.expect("sent");
        receiving.expect("received");
        assert!(sent == back, "nothing is lost, nothing overtakes");
        begin.elapsed()
    }

    #[tokio::test]
    async fn every_byte_comes_late_and_in_order() {
        let delay = Duration::from_millis(30);
        let jitter = Duration::from_millis(10);
        let (_proxy, mut client) = echo(Weather { delay, jitter, ..Weather::default() }).await;
        assert!(there_and_back(&mut client, 100_000).await >= 2 * delay);
    }

    #[tokio::test]
    async fn what_is_lost_comes_after_a_timeout() {
        let (proxy, mut client) = echo(Weather { loss: 50, ..Weather::default() }).await;
        let took = there_and_back(&mut client, 100_000).await;
        assert!(proxy.lost_segments() > 0 && took >= RTO, "{} {took:?}", proxy.lost_segments());
    }

    #[tokio::test]
    async fn a_stall_holds_everything_up_and_loses_nothing() {
        let (proxy, mut client) = echo(Weather::default()).await;
        there_and_back(&mut client, 10).await;
        proxy.stall(Duration::from_millis(300));
        assert!(there_and_back(&mut client, 10_000).await >= Duration::from_millis(290));
    }

    #[tokio::test]
    async fn a_narrow_line_takes_its_time() {
        let narrow = Weather { bytes_per_second: Some(100_000), ..Weather::default() };
        let (_proxy, mut client) = echo(narrow).await;
        assert!(there_and_back(&mut client, 30_000).await >= Duration::from_millis(300));
    }

    #[tokio::test]
    async fn a_reset_is_one() {
        let (proxy, mut client) = echo(Weather::default()).await;
        there_and_back(&mut client, 10).await;
        proxy.reset();
        let end = client.read(&mut [0; 10]).await.expect_err("no tidy end");
        assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(proxy.connections(), 1);
    }
}
