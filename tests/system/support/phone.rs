//! A caller as the page is one: a microphone that never stops, and a call that it comes back to when
//! its connection is lost or it is sent to another server. What is said meanwhile is kept and sent
//! then.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{FutureExt, SinkExt};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_tungstenite::tungstenite::{self, Message};
use voice_emulator::SessionSnapshot;

use super::{
    Caller, Seen,
    caller::Sink,
    line::{Fate, Line, trace},
};

/// Longer than any stall of a test.
const DEADLINE: Duration = Duration::from_secs(60);

/// Pauses between the attempts to come back; the last one is repeated. The page's are the same.
const PAUSES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(300),
    Duration::from_millis(1_000),
    Duration::from_millis(2_000),
];

/// How long it is tried.
const KEEP_TRYING: Duration = Duration::from_secs(30);

/// Close code of a server that restarts.
const RESTART: u16 = 1012;

/// Where the microphone's frames go.
#[derive(Default)]
struct Uplink {
    /// Absent while there is no connection.
    sink: Option<Arc<Mutex<Sink>>>,
    kept: VecDeque<Vec<u8>>,
}

/// One return to the call.
#[derive(Debug, Clone)]
pub(crate) struct Return {
    /// The close code; 0 when the connection was lost.
    pub(crate) code: u16,
    /// How many samples had been said when that was noticed.
    pub(crate) at: usize,
    /// Until the call was back.
    pub(crate) took: Duration,
    /// Handshakes that were refused.
    pub(crate) refused: usize,
}

/// The phone.
pub(crate) struct Phone {
    name: String,
    /// Of `/sonic`, without a query.
    url: String,
    caller: Caller,
    line: Arc<Line>,
    uplink: Arc<Mutex<Uplink>>,
    last_seq: u64,
    heard_bytes: usize,
    messages: Vec<Value>,
    returns: Vec<Return>,
    /// When the last line was complete that was not cut.
    last_line: Instant,
}

impl Phone {
    /// Calls. The model is told `name`, so that its streams can be found.
    pub(crate) async fn call(url: &str, name: &str) -> Self {
        Self::try_call(url, name).await.expect("the upgrade")
    }

    /// Calls, or returns the refusal.
    pub(crate) async fn try_call(url: &str, name: &str) -> Result<Self, Box<tungstenite::Error>> {
        let caller = Caller::try_connect(url).await?;
        let uplink = Uplink { sink: Some(caller.sink()), ..Uplink::default() };
        let uplink = Arc::new(Mutex::new(uplink));
        let frames = uplink.clone();
        let send = move |frame: Vec<u8>| {
            let frames = frames.clone();
            let sent = async move {
                let mut uplink = frames.lock().await;
                if let Some(sink) = &uplink.sink
                    && sink.lock().await.send(Message::binary(frame.clone())).await.is_ok()
                {
                    return true;
                }
                uplink.kept.push_back(frame);
                true
            };
            sent.boxed()
        };
        let mut phone = Self {
            name: format!("This is {name}."),
            url: url.to_owned(),
            caller,
            line: Arc::new(Line::open(send, 1.0)),
            uplink,
            last_seq: 0,
            heard_bytes: 0,
            messages: Vec::new(),
            returns: Vec::new(),
            last_line: Instant::now(),
        };
        let config = json!({ "systemPrompt": phone.name });
        phone.caller.configure(config).await;
        phone.message("session_start").await;
        Ok(phone)
    }

    // What it does.

    /// Says something, and hears what comes meanwhile.
    pub(crate) async fn say(&mut self, pcm: &[i16]) {
        let line = self.line.clone();
        let saying = async move { line.say(pcm).await };
        tokio::pin!(saying);
        loop {
            tokio::select! {
                () = &mut saying => return,
                seen = self.caller.next_within(DEADLINE) => {
                    let seen = seen.unwrap_or_else(|| self.complain("anything at all"));
                    self.take(seen).await;
                }
            }
        }
    }

    /// Says nothing for a while.
    pub(crate) async fn pause(&mut self, ms: usize) {
        self.say(&vec![0; ms * 16]).await;
    }

    /// Says something and waits until it is answered, which may be before the last breath of it;
    /// answers how long it waited.
    pub(crate) async fn ask(&mut self, pcm: &[i16], answer: &str) -> Duration {
        let before = self.messages.len();
        self.say(pcm).await;
        let asked = Instant::now();
        if !self.messages[before..].iter().any(|message| is_final(message, answer)) {
            self.until("an answer", |message| is_final(message, answer)).await;
        }
        asked.elapsed()
    }

    /// The same as a person does it: says it again when nothing has come for ten seconds. What was on
    /// its way when the line went to another task is not answered there.
    pub(crate) async fn insist(&mut self, pcm: &[i16], answer: &str) {
        let before = self.messages.len();
        loop {
            self.say(pcm).await;
            for _ in 0..20 {
                if self.messages[before..].iter().any(|message| is_final(message, answer)) {
                    return;
                }
                self.pause(500).await;
            }
        }
    }

    /// Says something, and then nothing for so long at least, and until it was answered and nobody
    /// has said anything for three seconds; answers how long it waited for the last answer.
    pub(crate) async fn ask_and_rest(&mut self, pcm: &[i16], ms: usize) -> Duration {
        let before = self.messages.len();
        self.say(pcm).await;
        let asked = Instant::now();
        self.pause(ms).await;
        loop {
            let answered = self.messages[before..].iter().any(|m| is_line(m, "assistant"));
            if answered && self.last_line.elapsed() > Duration::from_secs(3) {
                return self.last_line.saturating_duration_since(asked);
            }
            if asked.elapsed() > DEADLINE {
                self.complain("an answer");
            }
            self.pause(500).await;
        }
    }

    /// Hangs up when all that was said has arrived; returns what was said.
    pub(crate) async fn hang_up(mut self) -> (Vec<i16>, Record) {
        // A connection that ends just now takes the question with it.
        let mut asked_with = usize::MAX;
        while asked_with != self.returns.len() {
            asked_with = self.returns.len();
            self.caller.send(json!({"type": "ping"})).await;
            while asked_with == self.returns.len() && !self.hears("pong").await {}
        }
        let said = self.line.said();
        self.line.end();
        let Self { name, messages, returns, .. } = self;
        self.caller.hang_up().await;
        (said, Record { name, messages, returns })
    }

    // What it sees.

    /// Whether the server that it is with has said that it takes no new calls.
    pub(crate) fn is_told_of_the_drain(&self) -> bool {
        let telling = |m: &&Value| m["type"] == "connected" || m["type"] == "draining";
        self.messages.iter().rfind(telling).is_some_and(|m| m["type"] == "draining")
    }

    /// Reads on until a message of this type.
    pub(crate) async fn message(&mut self, kind: &str) -> Value {
        self.until(kind, |message| message["type"] == kind).await
    }

    /// Whether the next thing is a message of this type.
    async fn hears(&mut self, kind: &str) -> bool {
        let seen = self.caller.next_within(DEADLINE).await;
        let seen = seen.unwrap_or_else(|| self.complain(kind));
        self.take(seen).await.is_some_and(|message| message["type"] == kind)
    }

    /// Reads on until a message fits.
    pub(crate) async fn until(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        loop {
            let left = DEADLINE.saturating_sub(begin.elapsed());
            let seen = self.caller.next_within(left).await;
            let seen = seen.unwrap_or_else(|| self.complain(what));
            if let Some(message) = self.take(seen).await
                && fits(&message)
            {
                return message;
            }
        }
    }

    fn complain(&self, what: &str) -> ! {
        panic!("{} has waited long enough for {what}:\n{}", self.name, self.caller.story())
    }

    /// Keeps what was seen; comes back where the connection is over.
    async fn take(&mut self, seen: Seen) -> Option<Value> {
        match seen {
            Seen::Audio(bytes) => {
                self.heard_bytes += bytes.len();
                None
            }
            Seen::Message(message) => {
                self.last_seq = message["seq"].as_u64().unwrap_or(self.last_seq);
                if is_line(&message, "assistant") {
                    self.last_line = Instant::now();
                }
                self.messages.push(message.clone());
                Some(message)
            }
            Seen::Closed(code @ (0 | RESTART), _) => {
                self.come_back(code).await;
                None
            }
            Seen::Closed(code, reason) => {
                panic!("{} is closed with {code} {reason:?}\n{}", self.name, self.caller.story())
            }
        }
    }

    async fn come_back(&mut self, code: u16) {
        let begin = Instant::now();
        self.uplink.lock().await.sink = None;
        let at = self.line.position();
        let text = |key: &str| {
            let connected = self.messages.iter().rfind(|m| m["type"] == "connected");
            connected.expect("connected")[key].as_str().expect(key).to_owned()
        };
        let url = format!(
            "{}?sessionId={}&resumeToken={}&lastSeq={}&heardBytes={}",
            self.url,
            text("sessionId"),
            text("resumeToken"),
            self.last_seq,
            self.heard_bytes
        );
        let (mut refused, mut why) = (0, String::new());
        for attempt in 0.. {
            assert!(begin.elapsed() < KEEP_TRYING, "{} cannot come back: {why}", self.name);
            tokio::time::sleep(PAUSES[attempt.min(PAUSES.len() - 1)]).await;
            match Caller::try_connect(&url).await {
                Ok(caller) => {
                    self.caller = caller;
                    break;
                }
                Err(error) => {
                    refused += usize::from(matches!(*error, tungstenite::Error::Http(_)));
                    why = error.to_string();
                }
            }
        }
        let hello = self.caller.next_within(DEADLINE).await;
        let Some(Seen::Message(hello)) = hello else {
            panic!("{} is greeted with {hello:?}", self.name)
        };
        assert_eq!(hello["resumed"], true, "{} got another call: {hello}", self.name);
        self.last_seq = hello["seq"].as_u64().unwrap_or(0).max(self.last_seq);
        self.messages.push(hello);
        let mut uplink = self.uplink.lock().await;
        let sink = self.caller.sink();
        while let Some(frame) = uplink.kept.pop_front() {
            if sink.lock().await.send(Message::binary(frame.clone())).await.is_err() {
                uplink.kept.push_front(frame);
                break;
            }
        }
        uplink.sink = Some(sink);
        drop(uplink);
        self.returns.push(Return { code, at, took: begin.elapsed(), refused });
    }
}

/// Whether a message is a line of this speaker's, complete.
fn is_line(message: &Value, role: &str) -> bool {
    message["type"] == "transcript" && message["role"] == role && message["isFinal"] == true
}

/// Whether a message is this line of the assistant's, complete and not cut.
fn is_final(message: &Value, text: &str) -> bool {
    is_line(message, "assistant") && message["interrupted"] != true && message["text"] == text
}

/// What a phone has seen of a call that is over.
pub(crate) struct Record {
    name: String,
    pub(crate) messages: Vec<Value>,
    pub(crate) returns: Vec<Return>,
}

impl Record {
    /// How often the assistant said this.
    pub(crate) fn answers(&self, text: &str) -> usize {
        self.messages.iter().filter(|message| is_final(message, text)).count()
    }

    /// How many lines there are of a speaker's: all of them, and those that were whole at some time.
    pub(crate) fn lines(&self, role: &str) -> (usize, usize) {
        let lines = || self.messages.iter().filter(|message| is_line(message, role));
        let ids = |lines: &mut dyn Iterator<Item = &Value>| {
            lines.map(|message| message["id"].to_string()).collect::<BTreeSet<_>>().len()
        };
        (ids(&mut lines()), ids(&mut lines().filter(|message| message["interrupted"] != true)))
    }

    /// What was said by whom and when, for a failing test.
    pub(crate) fn story(&self) -> String {
        let lines = self.messages.iter().filter(|m| m["type"] == "transcript");
        let line = |m: &Value| {
            format!(
                "  {} {} {}: {} final {} cut {}\n",
                m["timestamp"], m["id"], m["role"], m["text"], m["isFinal"], m["interrupted"]
            )
        };
        lines.map(line).collect()
    }

    /// How many messages of a type came.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.messages.iter().filter(|message| message["type"] == kind).count()
    }

    /// What became of what was said, given all streams of a stand-in.
    pub(crate) fn fate(&self, said: &[i16], sessions: &[SessionSnapshot]) -> Fate {
        let mine = |session: &&SessionSnapshot| {
            session.events.iter().any(|event| event.contains(&self.name))
        };
        trace(said, &sessions.iter().filter(mine).cloned().collect::<Vec<_>>())
    }
}
