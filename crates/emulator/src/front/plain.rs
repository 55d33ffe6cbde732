//! Operations with one question and one answer: a JSON body is read, its signature is checked,
//! and the operation is asked. Those with a stream of events are `bidirectional` and
//! `transcription`. Called by `front::answer`.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode, request::Parts};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;

use super::connection::Cut;
use super::refusal::ErrorAnswer;
use super::route::Operation;
use super::{
    Body, media,
    signature::{self, Payload},
    speech,
};
use crate::world::World;

/// The largest body; Polly takes 6,000 characters with their mark-up.
const LARGEST: usize = 256 * 1024;

/// How long a body may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// Reads, checks, and asks the operation. The inner error resets the connection.
pub(super) async fn answer(
    operation: Operation,
    parts: &Parts,
    body: Incoming,
    world: &Arc<World>,
    cut: Cut,
) -> Result<Result<Response<Body>, io::Error>, ErrorAnswer> {
    let read = tokio::time::timeout(DEADLINE, Limited::new(body, LARGEST).collect());
    let body = match read.await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(_)) | Err(_) => {
            let text = "The body cannot be read, or is larger than 256 KiB.";
            return Err(ErrorAnswer::new(StatusCode::BAD_REQUEST, "SerializationException", text));
        }
    };
    if world.config.verify_signatures {
        let credentials = &world.config.credentials;
        let service = operation.signing_name();
        signature::verify_request(parts, credentials, service, Payload::Whole(&body))?;
    }
    match operation {
        Operation::DataEndpoint => media::endpoint(parts, &body, world).map(Ok),
        Operation::Media => media::open(&body, world, cut),
        Operation::Speech => speech::synthesize(&body, world).await.map(Ok),
        Operation::BidirectionalStream | Operation::Transcription | Operation::PutMetricData => {
            Err(ErrorAnswer::unknown_operation())
        }
    }
}

/// What was asked, or why it cannot be read.
pub(super) fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ErrorAnswer> {
    let read = &mut serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(read).map_err(|error| {
        let text = format!("{}: {}", error.path(), error.inner());
        ErrorAnswer::new(StatusCode::BAD_REQUEST, "SerializationException", text)
    })
}

/// An answer whose body is all there.
pub(super) fn whole(content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(body.into()).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    let kind = http::HeaderValue::from_static(content_type);
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}
