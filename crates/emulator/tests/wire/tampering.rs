//! Frames that were changed on the way: the SDK's own requests, with a meddler in between.

use std::pin::Pin;
use std::task::{Context, Poll};

use aws_sdk_bedrockruntime::config::SharedHttpClient;
use aws_sdk_bedrockruntime::types::error::InvokeModelWithBidirectionalStreamOutputError as OutputError;
use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder, write_message_to};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::event_stream::Message;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame};
use voice_emulator::{EmulatorConfig, ResponseHead};

use crate::support::*;

type Meddling = fn(Message) -> Message;

/// Forwards to the stock HTTP client, with every frame of the body but the first changed.
#[derive(Debug, Clone)]
struct Meddler {
    inner: SharedHttpClient,
    meddling: Meddling,
}

#[derive(Debug, Clone)]
struct MeddlingConnector {
    inner: SharedHttpConnector,
    meddling: Meddling,
}

impl HttpClient for Meddler {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(MeddlingConnector { inner, meddling: self.meddling })
    }
}

impl HttpConnector for MeddlingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let meddling = self.meddling;
        let request = request.map(|body| {
            SdkBody::from_body_1_x(MeddledBody {
                body,
                decoder: MessageFrameDecoder::new(),
                frames: 0,
                meddling,
            })
        });
        self.inner.call(request)
    }
}

struct MeddledBody {
    body: SdkBody,
    decoder: MessageFrameDecoder,
    frames: usize,
    meddling: Meddling,
}

impl Body for MeddledBody {
    type Data = Bytes;
    type Error = aws_smithy_types::body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            return Poll::Pending;
        };
        Poll::Ready(frame.map(|frame| {
            // The SDK hands over one whole message at a time.
            let mut data = frame?.into_data().unwrap_or_default();
            let mut out = BytesMut::new();
            while let Ok(DecodedFrame::Complete(message)) = self.decoder.decode_frame(&mut data) {
                self.frames += 1;
                let meddled = self.frames > 1;
                let message = if meddled { (self.meddling)(message) } else { message };
                write_message_to(&message, &mut out).unwrap();
            }
            Ok(Frame::data(out.freeze()))
        }))
    }
}

/// The text of the `validationException` that answers the second frame.
async fn answer_to(meddling: Meddling) -> String {
    // The head at once, for the session never gets to its prompt.
    let emulator =
        start(EmulatorConfig { head: ResponseHead::Immediately, ..EmulatorConfig::default() });
    let inner = aws_smithy_http_client::Builder::new().build_http();
    let http = SharedHttpClient::new(Meddler { inner, meddling });
    let client = client(emulator.endpoint(), known_credentials(), Some(http));
    let (_sender, mut opened) = open(&client).await.unwrap();
    let error = receive(&mut opened).await.unwrap_err().into_service_error();
    let OutputError::ValidationException(exception) = error else {
        panic!("another error: {error:?}");
    };
    assert_eq!(receive(&mut opened).await.unwrap(), None);
    let session = &emulator.observer().sessions()[0];
    assert_eq!(session.received("sessionStart"), 1);
    assert_eq!(session.received("promptStart"), 0, "a tampered event got through");
    exception.message().unwrap().to_owned()
}

#[tokio::test]
async fn a_changed_payload_is_refused() {
    let text = answer_to(|message| {
        let mut payload = message.payload().to_vec();
        let last = payload.len() - 5;
        payload[last] ^= 1;
        Message::new_from_parts(message.headers().to_vec(), payload)
    })
    .await;
    assert!(text.contains("signature"), "{text}");
}

#[tokio::test]
async fn an_unsigned_frame_is_refused() {
    let text = answer_to(|message| Message::new(message.payload().clone())).await;
    assert!(text.contains("not signed"), "{text}");
}

#[tokio::test]
async fn untouched_frames_pass_the_meddler() {
    let emulator = start(EmulatorConfig::default());
    let inner = aws_smithy_http_client::Builder::new().build_http();
    let http = SharedHttpClient::new(Meddler { inner, meddling: |message| message });
    let client = client(emulator.endpoint(), known_credentials(), Some(http));
    open(&client).await.unwrap();
}
