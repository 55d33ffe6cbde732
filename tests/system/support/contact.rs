//! A caller of Amazon Connect: his line at the emulator, the bridge, and a flow that asks it.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use voice_access::signature::{self as auth, RequestKey};
use voice_audio::{Recording, wav};
use voice_aws::{Credentials, KinesisConfig, PollyConfig};
use voice_bridge::{
    APOLOGY, Bridge, BridgeConfig, CutConfig, DuringPrompt, LineLimits, fragments::Encoding,
};
use voice_emulator::{
    ACCESS_KEY_ID, Line, MediaShape, SECRET_ACCESS_KEY,
    voice::{Accent, synthesize},
};

use super::{Bench, DEADLINE, store::Store};

/// The key of the flow's requests.
pub(crate) const KEY: &str = "a key that a test knows";

/// Someone on the phone.
pub(crate) struct Phone {
    pub(crate) store: Store,
    pub(crate) line: Line,
    pub(crate) contact: Value,
    /// Whether it is a time at which humans work.
    pub(crate) agents_are_there: bool,
    /// What the flow was answered, in order.
    pub(crate) answers: Vec<Value>,
    address: String,
    turns: u32,
}

/// What a bridge between these two is started with.
pub(crate) fn bridge_config(bench: &Bench, store: &Store) -> BridgeConfig {
    let emulator = bench.server.emulator().expect("the embedded emulator");
    let credentials = Credentials::Keys {
        access_key_id: ACCESS_KEY_ID.into(),
        secret_access_key: SECRET_ACCESS_KEY.into(),
        session_token: None,
    };
    BridgeConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        advertise: None,
        key: RequestKey::new(KEY),
        server: bench.sonic(""),
        server_key: None,
        kinesis: KinesisConfig {
            region: "us-east-1".into(),
            endpoint: Some(emulator.endpoint()),
            credentials,
        },
        prompts: store.config(),
        polly: None,
        encoding: Encoding::Pcm16,
        during_prompt: DuringPrompt::Keep,
        gate: false,
        cut: CutConfig::default(),
        line: LineLimits { stall: Duration::from_secs(3), give_up: Duration::from_secs(60) },
        longest_wait: Duration::from_secs(2),
        session: Map::new(),
        apology: APOLOGY.into(),
        max_calls: 10,
    }
}

/// Polly at the emulator.
pub(crate) fn polly(config: &BridgeConfig) -> PollyConfig {
    PollyConfig {
        region: "us-east-1".into(),
        endpoint: config.kinesis.endpoint.clone(),
        credentials: config.kinesis.credentials.clone(),
        voice: "Amy".into(),
        engine: "neural".into(),
    }
}

impl Phone {
    /// Someone who calls; his line is open, and the flow has not asked yet.
    pub(crate) fn dial(bench: &Bench, store: Store, bridge: &Bridge) -> Self {
        let streams = bench.observer().media();
        let contact_id = uuid::Uuid::new_v4().to_string();
        let arn = streams.create("bank-connect-demo-contact-0", MediaShape::default());
        let line = streams.begin_call(&arn, &contact_id).expect("a call");
        let (fragment, began) = line.start();
        let contact = json!({
            "contactId": contact_id,
            "streamArn": arn,
            "startTimestamp": began.to_string(),
            "startFragmentNumber": fragment,
            "attributes": {"tier": "gold"},
            "language": "en-US",
        });
        let address = bridge.addr().to_string();
        let agents_are_there = false;
        Self { store, line, contact, agents_are_there, answers: Vec::new(), address, turns: 0 }
    }

    /// The flow goes to another bridge.
    pub(crate) fn redirect(&mut self, bridge: &Bridge) {
        self.address = bridge.addr().to_string();
    }

    pub(crate) fn session_id(&self) -> String {
        format!("connect-{}", self.line.contact_id())
    }

    /// What Connect sends to a function of the flow (connect-kvs.md §5.1).
    pub(crate) fn event(
        &self,
        parameters: &Map<String, Value>,
        attributes: &Map<String, Value>,
    ) -> Value {
        let contact = &self.contact;
        let mut all = contact["attributes"].as_object().cloned().expect("attributes");
        all.extend(attributes.clone());
        json!({"Name": "ContactFlowEvent", "Details": {"ContactData": {
            "Attributes": all, "AwsRegion": "us-east-1", "Channel": "VOICE",
            "ContactId": contact["contactId"], "InitialContactId": contact["contactId"],
            "PreviousContactId": contact["contactId"], "CustomerEndpoint": null,
            "SystemEndpoint": {"Address": "+15550199", "Type": "TELEPHONE_NUMBER"},
            "CustomerId": null, "Description": null, "Name": null, "References": {},
            "InitiationMethod": "INBOUND", "LanguageCode": contact["language"], "Queue": null,
            "InstanceARN": "arn:aws:connect:us-east-1:111122223333:instance/i",
            "MediaStreams": {"Customer": {"Audio": {
                "StreamARN": contact["streamArn"], "StartTimestamp": contact["startTimestamp"],
                "StopTimestamp": null, "StartFragmentNumber": contact["startFragmentNumber"]}}}},
            "Parameters": parameters}})
    }

    /// Says a sentence into the phone.
    pub(crate) fn say(&self, words: &str) {
        self.line.say(&synthesize(words, 8_000, Accent::British).expect("a sentence"));
    }

    /// A signed request; its status and its answer.
    pub(crate) async fn ask(&self, path: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seconds = now.expect("a clock").as_secs();
        let nonce = uuid::Uuid::new_v4().to_string();
        let key = RequestKey::new(KEY).expect("a key");
        let signature = auth::sign(&key, seconds, &nonce, path, body.as_bytes());
        let headers = format!(
            "{}: {seconds}\r\n{}: {nonce}\r\n{}: {signature}\r\n",
            auth::TIME_HEADER,
            auth::NONCE_HEADER,
            auth::SIGNATURE_HEADER
        );
        self.send("POST", path, &headers, &body).await
    }

    /// Any request.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> (u16, Value) {
        let exchange = async {
            let mut tcp = tokio::net::TcpStream::connect(&self.address).await.expect("connect");
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: bridge\r\nconnection: close\r\n{headers}\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            tcp.write_all(request.as_bytes()).await.expect("the request");
            let mut answer = String::new();
            tcp.read_to_string(&mut answer).await.expect("the answer");
            answer
        };
        let answer = tokio::time::timeout(DEADLINE, exchange).await.expect("an answer in time");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).unwrap_or_else(|_| json!(body)))
    }

    /// The flow begins the call: `StartBotSession`.
    pub(crate) async fn start(&mut self) -> Value {
        let (status, answer) = self.ask("/start", &self.contact.clone()).await;
        assert_eq!(status, 200, "{answer}");
        self.answers.push(answer.clone());
        answer
    }

    /// The flow asks once: `ProcessBotTurn`. What it is answered is flat and of text alone.
    pub(crate) async fn turn(&mut self) -> Value {
        self.turns += 1;
        let body = json!({
            "sessionId": self.session_id(),
            "turnKey": format!("{}:{}", self.line.contact_id(), self.turns),
            "contact": self.contact,
        });
        let (status, answer) = self.ask("/turn", &body).await;
        assert_eq!(status, 200, "{answer}");
        let answer_of = answer.as_object().expect("an object");
        assert!(answer_of.values().all(Value::is_string), "not flat: {answer}");
        self.answers.push(answer.clone());
        answer
    }

    /// Asks until there is something else than to listen; plays nothing.
    pub(crate) async fn until_answered(&mut self) -> Value {
        let asking = async {
            loop {
                let answer = self.turn().await;
                if answer["intent"] != "listen" {
                    return answer;
                }
            }
        };
        let answered = tokio::time::timeout(DEADLINE, asking).await;
        answered.unwrap_or_else(|_| panic!("only told to listen"))
    }

    /// Asks until a reply has been given in whole; its pieces in order.
    pub(crate) async fn reply(&mut self) -> Vec<Value> {
        let mut pieces = Vec::new();
        loop {
            let answer = self.until_answered().await;
            let is_last = answer["more"] == "false";
            pieces.push(answer);
            if is_last {
                return pieces;
            }
        }
    }

    /// What Connect would play: it has to be a file that it takes.
    pub(crate) fn prompt(&self, answer: &Value) -> Recording {
        let url = answer["responseAudioUrl"].as_str().expect("a URL");
        assert!(url.ends_with(".wav") && !url.contains('?'), "{url}");
        let recording = wav::read(&self.store.at_url(url)).expect("a WAV file");
        let format = (recording.rate_hz, recording.channels, recording.tag);
        assert_eq!(format, (8_000, 1, 7), "8 kHz, mono, µ-law");
        recording
    }

    /// Seconds of a prompt.
    pub(crate) fn seconds(&self, answer: &Value) -> f64 {
        self.prompt(answer).samples.len() as f64 / 8_000.0
    }
}
