//! What the bridge costs: many calls in one thread, everything else in others.
//!
//!     cargo run --release --package voice-bridge --example load -- [CALLS] [SECONDS]
//!
//! The callers' voices come from the stand-in of Kinesis Video in real time, the server and S3 are
//! stubs that answer at once, the flows ask as Lambda would. The bridge is alone in its thread, so the
//! processor time of that thread is the bridge's. No test: it measures, and prints. 200 calls need
//! more than 1,024 open files (`ulimit -n`), because both ends of everything are here.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for whoever looks at it")]

use std::{
    fs,
    net::SocketAddr,
    sync::mpsc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Builder,
};
use tokio_tungstenite::tungstenite::Message;
use voice_aws::{Credentials, KinesisConfig, S3Config, S3Encryption};
use voice_bridge::{
    APOLOGY, Bridge, BridgeConfig, CutConfig, DuringPrompt, LONGEST_WAIT, LineLimits,
    fragments::Encoding,
};
use voice_emulator::{
    ACCESS_KEY_ID, Emulator, EmulatorConfig, MediaShape, SECRET_ACCESS_KEY,
    voice::{Accent, synthesize},
};

/// A caller speaks, and is answered, so often.
const EVERY: Duration = Duration::from_secs(10);
/// How long an answer is.
const REPLY_MS: usize = 4_000;
/// What is shown of the bridge's metrics.
const SHOWN: [&str; 9] = [
    "turn_seconds_sum",
    "turn_seconds_count",
    "behind_seconds_sum",
    "behind_seconds_count",
    "voice_dropped_total",
    "missing_seconds",
    "active_calls",
    "answers_total",
    "prompts_total",
];

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok());
    let calls = usize::try_from(arguments.next().unwrap_or(200)).unwrap();
    let seconds = arguments.next().unwrap_or(60);

    let emulator = Emulator::start(EmulatorConfig::default()).unwrap();
    let stubs = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (server, store) =
        stubs.block_on(async { (listen(answer_sonic).await, listen(answer_s3).await) });
    let (tell, told) = mpsc::channel();
    let config = config(&emulator, server, store, calls);
    std::thread::spawn(move || {
        // `PID/task/TID`: where the processor time of this thread is.
        let thread = fs::read_link("/proc/thread-self").unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bridge = Bridge::start(config).await.unwrap();
            tell.send((bridge.addr(), thread)).unwrap();
            std::future::pending::<()>().await;
        });
    });
    let (bridge, thread) = told.recv().unwrap();
    let stat = format!("/proc/{}/stat", thread.display());

    stubs.block_on(async {
        let streams = emulator.observer().media();
        let words = synthesize("How much money do I have in my account?", 8_000, Accent::British);
        let words = words.unwrap();
        for n in 0..calls {
            let arn = streams.create(&format!("load-{n}"), MediaShape::default());
            let line = streams.begin_call(&arn, &format!("c-{n}")).unwrap();
            tokio::spawn(flow(bridge, arn, n, line.start().1));
            let words = words.clone();
            tokio::spawn(async move {
                loop {
                    line.say(&words);
                    tokio::time::sleep(EVERY).await;
                }
            });
            // Callers do not all call at once.
            tokio::time::sleep(EVERY / u32::try_from(calls).unwrap()).await;
        }
        let (began, before) = (Instant::now(), processor_seconds(&stat));
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let (took, used) = (began.elapsed().as_secs_f64(), processor_seconds(&stat) - before);
        let minutes = calls as f64 * took / 60.0;
        println!("{calls} calls for {took:.0} s took {used:.2} s of processor time:");
        println!(
            "{:.1} ms a call and minute, {:.0} % of a core",
            used * 1e3 / minutes,
            used / took * 100.0
        );
        let (_, text) = ask(bridge, "GET", "/metrics", "").await;
        text.lines()
            .filter(|line| !line.starts_with('#') && SHOWN.iter().any(|name| line.contains(name)))
            .for_each(|line| println!("{line}"));
    });
}

fn config(
    emulator: &Emulator,
    server: SocketAddr,
    store: SocketAddr,
    calls: usize,
) -> BridgeConfig {
    let credentials = Credentials::Keys {
        access_key_id: ACCESS_KEY_ID.to_owned(),
        secret_access_key: SECRET_ACCESS_KEY.to_owned(),
        session_token: None,
    };
    BridgeConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        advertise: None,
        key: None,
        server: format!("ws://{server}/sonic"),
        server_key: None,
        kinesis: KinesisConfig {
            region: "us-east-1".to_owned(),
            endpoint: Some(emulator.endpoint()),
            credentials: credentials.clone(),
        },
        prompts: S3Config {
            bucket: "prompts".to_owned(),
            prefix: String::new(),
            region: "us-east-1".to_owned(),
            endpoint: Some(format!("http://{store}")),
            credentials,
            encryption: S3Encryption::Bucket,
        },
        polly: None,
        encoding: Encoding::Pcm16,
        during_prompt: DuringPrompt::Keep,
        gate: false,
        cut: CutConfig::default(),
        line: LineLimits::default(),
        longest_wait: LONGEST_WAIT,
        session: Map::new(),
        apology: APOLOGY.to_owned(),
        max_calls: calls,
    }
}

/// Processor time of a thread so far; `/proc` counts in hundredths of a second.
fn processor_seconds(stat: &str) -> f64 {
    let text = fs::read_to_string(stat).unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}

/// A contact flow: it begins a call and asks for ever, and prompts take no time.
async fn flow(bridge: SocketAddr, arn: String, n: usize, began: u64) {
    let contact = json!({"contactId": format!("c-{n}"), "streamArn": arn,
        "startTimestamp": began.to_string()});
    ask(bridge, "POST", "/start", &contact.to_string()).await;
    for turn in 0.. {
        let body = json!({"sessionId": format!("connect-c-{n}"), "turnKey": turn.to_string()});
        if ask(bridge, "POST", "/turn", &body.to_string()).await.0 != 200 {
            return;
        }
    }
}

async fn ask(to: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut tcp = TcpStream::connect(to).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: b\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = tcp.read_to_string(&mut answer).await;
    let status = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").unwrap_or_default().1.to_owned())
}

async fn listen<F>(answer: fn(TcpStream) -> F) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(answer(tcp));
        }
    });
    address
}

/// Takes every object.
async fn answer_s3(tcp: TcpStream) {
    let service = service_fn(|request: Request<Incoming>| async {
        request.into_body().collect().await?;
        let mut response = Response::new(Full::new(Bytes::new()));
        response.headers_mut().insert("etag", http::HeaderValue::from_static("\"1\""));
        Ok::<_, hyper::Error>(response)
    });
    let builder = hyper::server::conn::http1::Builder::new();
    let _ = builder.serve_connection(TokioIo::new(tcp), service).await;
}

/// A server that hears all and answers now and then, faster than anybody speaks.
async fn answer_sonic(tcp: TcpStream) {
    let Ok(socket) = tokio_tungstenite::accept_async(tcp).await else { return };
    let (mut to, mut from) = socket.split();
    let text = |value: Value| Message::text(value.to_string());
    let connected = json!({"seq": 1, "type": "connected", "sessionId": "s", "resumeToken": "t"});
    if to.send(text(connected)).await.is_err() {
        return;
    }
    // Words, so that the voice has pauses.
    let sample = |n: usize| {
        let loud = if (n / 24) % 1_500 < 1_200 { 8_000.0 } else { 0.0 };
        ((n as f64 * 0.05).sin() * loud) as i16
    };
    let voice: Vec<u8> = (0..REPLY_MS * 24).flat_map(|n| sample(n).to_le_bytes()).collect();
    let mut every = tokio::time::interval(EVERY);
    loop {
        tokio::select! {
            heard = from.next() => if !matches!(heard, Some(Ok(_))) { return },
            _ = every.tick() => {
                let line = json!({"type": "transcript", "id": "a", "role": "assistant",
                    "text": "You have twenty seven dollars.", "isFinal": true});
                let frames = voice.chunks(1_920).map(|frame| Message::binary(frame.to_vec()));
                for message in frames.chain([text(line)]) {
                    if to.send(message).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
