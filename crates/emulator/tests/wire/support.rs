//! A caller on the real SDK: client, first events, and bounded waits.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use aws_sdk_bedrockruntime::config::retry::RetryConfig;
use aws_sdk_bedrockruntime::config::timeout::TimeoutConfig;
use aws_sdk_bedrockruntime::config::{
    BehaviorVersion, Credentials, Region, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_sdk_bedrockruntime::error::SdkError;
use aws_sdk_bedrockruntime::operation::invoke_model_with_bidirectional_stream::{
    InvokeModelWithBidirectionalStreamError as OpenError,
    InvokeModelWithBidirectionalStreamOutput as Opened,
};
use aws_sdk_bedrockruntime::primitives::Blob;
use aws_sdk_bedrockruntime::types::error::{
    InvokeModelWithBidirectionalStreamInputError as InputError,
    InvokeModelWithBidirectionalStreamOutputError as OutputError,
};
use aws_sdk_bedrockruntime::types::{
    BidirectionalInputPayloadPart, InvokeModelWithBidirectionalStreamInput as Input,
    InvokeModelWithBidirectionalStreamOutput as Output,
};
use aws_sdk_bedrockruntime::{Client, Config};
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use voice_emulator::{ACCESS_KEY_ID, Emulator, EmulatorConfig, SECRET_ACCESS_KEY};

/// No step of a test takes longer; a hang fails instead of waiting for ever.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
pub(crate) const MODEL: &str = "amazon.nova-2-sonic-v1:0";

pub(crate) fn start(config: EmulatorConfig) -> Emulator {
    Emulator::start(config).unwrap()
}

pub(crate) fn known_credentials() -> Credentials {
    Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "test")
}

/// A client of its own for every test: nothing is shared but what the test shares.
pub(crate) fn client(
    endpoint: String,
    credentials: Credentials,
    http: Option<SharedHttpClient>,
) -> Client {
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(credentials)
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_http_client(http);
    Client::from_conf(config.build())
}

pub(crate) fn plain_client(emulator: &Emulator) -> Client {
    client(emulator.endpoint(), known_credentials(), None)
}

/// An HTTP client that trusts the emulator's CA and nothing else.
pub(crate) fn trusting(ca_pem: &str) -> SharedHttpClient {
    let trust = TrustStore::empty().with_pem_certificate(ca_pem.as_bytes());
    let context = TlsContext::builder().with_trust_store(trust).build().unwrap();
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
        .tls_context(context)
        .build_https()
}

/// The sending half of a stream.
pub(crate) struct Sender(mpsc::Sender<Result<Input, InputError>>);

impl Sender {
    pub(crate) async fn send(&self, event: Value) {
        let part = BidirectionalInputPayloadPart::builder()
            .bytes(Blob::new(event.to_string().into_bytes()))
            .build();
        self.0.send(Ok(Input::Chunk(part))).await.unwrap();
    }
}

struct Receiver(mpsc::Receiver<Result<Input, InputError>>);

impl futures::Stream for Receiver {
    type Item = Result<Input, InputError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

pub(crate) type OpenResult = Result<Opened, SdkError<OpenError>>;

/// Starts to open a stream in a task; events can be sent meanwhile.
pub(crate) fn begin(client: &Client, model: &str) -> (Sender, tokio::task::JoinHandle<OpenResult>) {
    let (sender, receiver) = mpsc::channel(64);
    let request = client
        .invoke_model_with_bidirectional_stream()
        .model_id(model)
        .body(Receiver(receiver).into());
    (Sender(sender), tokio::spawn(request.send()))
}

/// Sends the opening events and waits for the head.
pub(crate) async fn open(client: &Client) -> Result<(Sender, Opened), SdkError<OpenError>> {
    let (sender, head) = begin(client, MODEL);
    for event in opening() {
        sender.send(event).await;
    }
    let opened = within(head).await.unwrap()?;
    Ok((sender, opened))
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("not within the deadline")
}

/// The next event's JSON; `None` at the end of the stream.
pub(crate) async fn receive(
    opened: &mut Opened,
) -> Result<Option<Value>, SdkError<OutputError, aws_smithy_types::event_stream::RawMessage>> {
    Ok(within(opened.body.recv()).await?.map(|output| match output {
        Output::Chunk(part) => serde_json::from_slice(part.bytes().unwrap().as_ref()).unwrap(),
        other => panic!("an output nobody knows: {other:?}"),
    }))
}

/// Status and error code of a refusal.
pub(crate) fn refusal(error: &SdkError<OpenError>) -> (u16, String) {
    use aws_sdk_bedrockruntime::error::ProvideErrorMetadata;
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    (status, error.code().unwrap_or_default().to_owned())
}

pub(crate) fn session_start() -> Value {
    let configuration = json!({"maxTokens": 1024, "topP": 0.9, "temperature": 0.7});
    json!({"event": {"sessionStart": {"inferenceConfiguration": configuration}}})
}

pub(crate) fn prompt_start() -> Value {
    json!({"event": {"promptStart": {
        "promptName": "p",
        "textOutputConfiguration": {"mediaType": "text/plain"},
        "audioOutputConfiguration": {
            "mediaType": "audio/lpcm", "sampleRateHertz": 24000, "sampleSizeBits": 16,
            "channelCount": 1, "voiceId": "matthew", "encoding": "base64", "audioType": "SPEECH",
        },
    }}})
}

pub(crate) fn text_block(name: &str, role: &str, interactive: bool, content: &str) -> [Value; 3] {
    [
        json!({"event": {"contentStart": {
            "promptName": "p", "contentName": name, "type": "TEXT", "interactive": interactive,
            "role": role, "textInputConfiguration": {"mediaType": "text/plain"},
        }}}),
        json!({"event": {"textInput": {"promptName": "p", "contentName": name, "content": content}}}),
        json!({"event": {"contentEnd": {"promptName": "p", "contentName": name}}}),
    ]
}

/// `sessionStart`, `promptStart` and the SYSTEM block.
pub(crate) fn opening() -> Vec<Value> {
    let mut events = vec![session_start(), prompt_start()];
    events.extend(text_block("system", "SYSTEM", false, "You are a friendly assistant."));
    events
}

/// An open microphone with 128 ms of silence, which typed text asks for.
pub(crate) fn silence() -> Vec<Value> {
    use base64::Engine as _;
    let content = base64::prelude::BASE64_STANDARD.encode([0_u8; 1024]);
    let mut events = vec![json!({"event": {"contentStart": {
        "promptName": "p", "contentName": "microphone", "type": "AUDIO", "interactive": true,
        "role": "USER", "audioInputConfiguration": {
            "mediaType": "audio/lpcm", "sampleRateHertz": 16000, "sampleSizeBits": 16,
            "channelCount": 1, "audioType": "SPEECH", "encoding": "base64",
        },
    }}})];
    for _ in 0..4 {
        events.push(json!({"event": {"audioInput": {
            "promptName": "p", "contentName": "microphone", "content": content,
        }}}));
    }
    events
}

/// The orderly end, the microphone being open.
pub(crate) fn closing() -> [Value; 3] {
    [
        json!({"event": {"contentEnd": {"promptName": "p", "contentName": "microphone"}}}),
        json!({"event": {"promptEnd": {"promptName": "p"}}}),
        json!({"event": {"sessionEnd": {}}}),
    ]
}
