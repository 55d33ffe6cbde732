//! `GetDataEndpoint` and `GetMedia`: from a question to a body without an end.
//!
//! What is in the body and when is `crate::kinesis`'s; here it is paced and written. Called by
//! `front::plain`. Source: connect-kvs.md §2.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures::stream;
use http::{HeaderValue, Response, StatusCode, request::Parts};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde::Deserialize;

use super::connection::Cut;
use super::refusal::ErrorAnswer;
use super::{Body, plain};
use crate::kinesis::{Connection, MediaRefusal, Selector, Step, Wanted};
use crate::world::World;

/// How long a connection that is being cut may still write what came before: the kernel has it by
/// then.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_millis(50);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EndpointRequest {
    #[serde(flatten)]
    stream: StreamNames,
    #[serde(rename = "APIName")]
    api_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MediaRequest {
    #[serde(flatten)]
    stream: StreamNames,
    start_selector: StartSelector,
}

#[derive(Deserialize)]
struct StreamNames {
    #[serde(rename = "StreamARN")]
    arn: Option<String>,
    #[serde(rename = "StreamName")]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StartSelector {
    start_selector_type: String,
    after_fragment_number: Option<String>,
    /// Seconds since 1970.
    start_timestamp: Option<f64>,
    continuation_token: Option<String>,
}

/// Where the media of a stream is: here.
pub(super) fn endpoint(
    parts: &Parts,
    body: &[u8],
    world: &World,
) -> Result<Response<Body>, ErrorAnswer> {
    let request: EndpointRequest = plain::read(body)?;
    let known = ["GET_MEDIA", "PUT_MEDIA", "LIST_FRAGMENTS", "GET_MEDIA_FOR_FRAGMENT_LIST"];
    if !known.contains(&request.api_name.as_str()) {
        return Err(invalid(format!("APIName: {:?}; expected one of {known:?}", request.api_name)));
    }
    world.media.endpoint(&request.stream.wanted()?).map_err(refusal)?;
    // The very door that was knocked at: only the listener for TLS has its port.
    let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
    let host = host.unwrap_or_default();
    let port = host.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let is_tls = world.config.tls_listen.is_some_and(|tls| Some(tls.port()) == port);
    let scheme = if is_tls { "https" } else { "http" };
    let answer = serde_json::json!({"DataEndpoint": format!("{scheme}://{host}")});
    Ok(plain::whole("application/json", answer.to_string()))
}

/// Opens a connection.
pub(super) fn open(
    body: &[u8],
    world: &Arc<World>,
    cut: Cut,
) -> Result<Result<Response<Body>, io::Error>, ErrorAnswer> {
    let request: MediaRequest = plain::read(body)?;
    let selector = request.start_selector.read()?;
    let connection = world.media.open(&request.stream.wanted()?, &selector).map_err(refusal)?;
    let frames = stream::unfold(Feed { connection, cut, severed: false }, |mut feed| async move {
        let bytes = feed.next().await?;
        Some((Ok::<_, io::Error>(Frame::data(bytes)), feed))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let kind = HeaderValue::from_static("video/webm");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    Ok(Ok(response))
}

/// The body of one connection. Dropped with the response.
struct Feed {
    connection: Connection,
    cut: Cut,
    severed: bool,
}

impl Feed {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.severed {
                tokio::time::sleep(LAST_WORDS).await;
                self.cut.pull();
                return std::future::pending().await;
            }
            match self.connection.step() {
                (Step::Send(bytes), _) => return Some(bytes),
                (Step::Wait(_), wait) => tokio::time::sleep(wait).await,
                (Step::Cut(bytes), _) => {
                    self.severed = true;
                    // An empty piece would be the end of the body.
                    if !bytes.is_empty() {
                        return Some(bytes);
                    }
                }
                (Step::End, _) => return None,
            }
        }
    }
}

impl StreamNames {
    fn wanted(self) -> Result<Wanted, ErrorAnswer> {
        match (self.arn, self.name) {
            (Some(arn), _) => Ok(Wanted::Arn(arn)),
            (None, Some(name)) => Ok(Wanted::Name(name)),
            (None, None) => Err(invalid("Either StreamARN or StreamName is required.".to_owned())),
        }
    }
}

impl StartSelector {
    fn read(self) -> Result<Selector, ErrorAnswer> {
        let kind = self.start_selector_type;
        let absent = |what: &str| invalid(format!("{kind} needs {what}."));
        let millis = self.start_timestamp.map(|seconds| (seconds * 1000.0) as u64);
        Ok(match kind.as_str() {
            "NOW" => Selector::Now,
            "EARLIEST" => Selector::Earliest,
            "FRAGMENT_NUMBER" => {
                let number = self.after_fragment_number;
                Selector::AfterFragment(number.ok_or_else(|| absent("AfterFragmentNumber"))?)
            }
            "CONTINUATION_TOKEN" => {
                let token = self.continuation_token;
                Selector::Token(token.ok_or_else(|| absent("ContinuationToken"))?)
            }
            "SERVER_TIMESTAMP" => Selector::Server(millis.ok_or_else(|| absent("StartTimestamp"))?),
            "PRODUCER_TIMESTAMP" => {
                Selector::Producer(millis.ok_or_else(|| absent("StartTimestamp"))?)
            }
            _ => return Err(invalid(format!("StartSelectorType: {kind:?} is not known."))),
        })
    }
}

fn invalid(text: String) -> ErrorAnswer {
    ErrorAnswer::new(StatusCode::BAD_REQUEST, "InvalidArgumentException", text)
}

fn refusal((kind, text): MediaRefusal) -> ErrorAnswer {
    let status = match kind {
        "ResourceNotFoundException" => StatusCode::NOT_FOUND,
        "NotAuthorizedException" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    ErrorAnswer::new(status, kind, text)
}
