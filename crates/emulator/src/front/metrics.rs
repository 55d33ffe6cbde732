//! `PutMetricData` in the two protocols that SDKs of today speak to CloudWatch: Smithy's RPC protocol
//! with CBOR bodies (Rust and others), and the JSON protocol (Python, the command line).
//!
//! HTTP, the signature over the whole body, gzip, faults, answers; what the body says is judged by
//! `crate::cloudwatch`. Called by `front::answer`. Sources: the Smithy specification (RPC v2 CBOR,
//! AWS JSON 1.0, `requestCompression`, `awsQueryCompatible`), the API reference of CloudWatch.

use std::io::{self, Read};

use bytes::Bytes;
use ciborium::Value;
use flate2::read::GzDecoder;
use http::{HeaderValue, Response, StatusCode, request::Parts};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use jiff::Timestamp;

use super::connection::Cut;
use super::downstream::reset;
use super::signature::{Payload, RequestFault, verify_request};
use super::{Body, route::Operation};
use crate::cloudwatch::{self, FaultKind, TakenDatum};
use crate::config::CloudWatchFaultKind;
use crate::observe::RefusedRequest;
use crate::observe::metrics::PutRequest;
use crate::world::World;

/// Largest body, compressed or not.
const LARGEST: usize = 1024 * 1024;
/// Largest body once it is unpacked.
const UNPACKED: u64 = 16 * 1024 * 1024;

/// How bodies are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Cbor,
    Json,
}

/// An error as both protocols tell it: by name for clients of today, and by the code of the older
/// protocol, which is what they show.
struct Refused {
    status: u16,
    name: &'static str,
    code: &'static str,
    message: String,
}

/// Answers one request.
pub(super) async fn answer(
    parts: &Parts,
    body: Incoming,
    world: &World,
    cut: Cut,
    request_id: &str,
) -> Result<Response<Body>, io::Error> {
    let number = world.metrics.attempt();
    let at = Timestamp::now();
    let gzip = parts.headers.get(http::header::CONTENT_ENCODING).is_some_and(|how| how == "gzip");
    let dialect = Dialect::of(parts);
    let request = PutRequest { at, taken: 0, gzip, status: None, error: None };
    let faults = &world.config.cloudwatch.faults;
    let fault = faults.iter().find(|fault| fault.scope.includes(number)).map(|fault| fault.kind);
    if fault == Some(CloudWatchFaultKind::Cut) {
        world.metrics.note(request, Vec::new());
        cut.pull();
        return Err(reset());
    }
    // An error is a client that went away, or a body without end.
    let read = Limited::new(body, LARGEST).collect().await;
    let judged = match read {
        Ok(body) => judge(parts, &body.to_bytes(), (dialect, gzip), fault, world),
        Err(_) => Err(Refused {
            status: 413,
            name: "RequestEntityTooLarge",
            code: "RequestEntityTooLarge",
            message: format!("The body must not be larger than {LARGEST} bytes."),
        }),
    };
    match judged {
        Ok(data) => {
            let request = PutRequest { taken: data.len(), ..request };
            if fault == Some(CloudWatchFaultKind::TakeAndCut) {
                world.metrics.note(request, data);
                cut.pull();
                return Err(reset());
            }
            world.metrics.note(PutRequest { status: Some(200), ..request }, data);
            Ok(dialect.response(StatusCode::OK, &[], request_id))
        }
        Err(refused) => {
            let (status, error) = (Some(refused.status), Some(refused.code));
            tracing::debug!(code = refused.code, refused.message, "metrics are refused");
            world.metrics.note(PutRequest { status, error, ..request }, Vec::new());
            world.observer.refuse(RefusedRequest {
                path: parts.uri.path().to_owned(),
                status: refused.status,
                error_type: refused.name.to_owned(),
                message: refused.message.clone(),
            });
            Ok(refused.into_response(dialect, request_id))
        }
    }
}

fn judge(
    parts: &Parts,
    body: &Bytes,
    (dialect, gzip): (Dialect, bool),
    fault: Option<CloudWatchFaultKind>,
    world: &World,
) -> Result<Vec<TakenDatum>, Refused> {
    let config = &world.config;
    if config.verify_signatures {
        let service = Operation::PutMetricData.signing_name();
        verify_request(parts, &config.credentials, service, Payload::Whole(body))?;
    }
    match fault {
        Some(CloudWatchFaultKind::Throttling) => return Err(Refused::throttling()),
        Some(CloudWatchFaultKind::InternalService) => return Err(Refused::internal()),
        Some(CloudWatchFaultKind::AccessDenied) => return Err(Refused::denied()),
        Some(CloudWatchFaultKind::Cut | CloudWatchFaultKind::TakeAndCut) | None => {}
    }
    let mut unpacked = Vec::new();
    let body: &[u8] = if gzip {
        let read = GzDecoder::new(body.as_ref()).take(UNPACKED).read_to_end(&mut unpacked);
        read.map_err(|_| Refused::serialization("The body is not compressed as it says.".into()))?;
        &unpacked
    } else {
        body
    };
    let body = dialect.read(body);
    let body = body.ok_or_else(|| Refused::serialization("The body cannot be read.".into()))?;
    cloudwatch::take(body, Timestamp::now()).map_err(Refused::from)
}

impl Dialect {
    fn of(parts: &Parts) -> Self {
        // The route has seen the rest.
        if parts.headers.contains_key("x-amz-target") { Self::Json } else { Self::Cbor }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Cbor => "application/cbor",
            Self::Json => "application/x-amz-json-1.0",
        }
    }

    fn read(self, body: &[u8]) -> Option<Value> {
        match self {
            Self::Cbor => ciborium::from_reader(body).ok(),
            Self::Json => serde_json::from_slice(body).ok().map(|json| of_json(json, "")),
        }
    }

    fn response(
        self,
        status: StatusCode,
        members: &[(&str, &str)],
        request_id: &str,
    ) -> Response<Body> {
        let body = match self {
            Self::Cbor => {
                let text = |text: &str| Value::Text(text.to_owned());
                let map = members.iter().map(|(name, held)| (text(name), text(held))).collect();
                let mut bytes = Vec::new();
                // Writing to memory does not fail.
                let _ = ciborium::into_writer(&Value::Map(map), &mut bytes);
                bytes
            }
            Self::Json => {
                let map = members.iter().map(|(name, held)| ((*name).to_owned(), (*held).into()));
                serde_json::Value::Object(map.collect()).to_string().into_bytes()
            }
        };
        let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
        let mut response = Response::new(body.boxed_unsync());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if self == Self::Cbor {
            headers.insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
        }
        headers.insert("content-type", HeaderValue::from_static(self.content_type()));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert("x-amzn-requestid", id);
        }
        response
    }
}

/// JSON as it would be in CBOR: a time is a number in the one, and a tagged number in the other, and
/// numbers that are none are words in JSON.
fn of_json(json: serde_json::Value, member: &str) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(yes) => Value::Bool(yes),
        serde_json::Value::Number(number) => {
            let number = match number.as_i64() {
                Some(whole) => Value::from(whole),
                None => Value::from(number.as_f64().unwrap_or(f64::NAN)),
            };
            if member == "Timestamp" { Value::Tag(1, Box::new(number)) } else { number }
        }
        serde_json::Value::String(word) => match (member, word.as_str()) {
            ("Value" | "Values" | "Counts", "NaN") => Value::from(f64::NAN),
            ("Value" | "Values" | "Counts", "Infinity") => Value::from(f64::INFINITY),
            ("Value" | "Values" | "Counts", "-Infinity") => Value::from(f64::NEG_INFINITY),
            _ => Value::Text(word),
        },
        serde_json::Value::Array(all) => {
            Value::Array(all.into_iter().map(|one| of_json(one, member)).collect())
        }
        serde_json::Value::Object(members) => {
            let read =
                |(name, held): (String, _)| (Value::from(name.as_str()), of_json(held, &name));
            Value::Map(members.into_iter().map(read).collect())
        }
    }
}

impl Refused {
    fn throttling() -> Self {
        let (name, message) = ("ThrottlingException", "Rate exceeded".to_owned());
        Self { status: 400, name, code: "Throttling", message }
    }

    fn internal() -> Self {
        let message = "The request processing has failed because of an unknown error.".to_owned();
        Self { status: 500, name: "InternalServiceFault", code: "InternalServiceError", message }
    }

    fn denied() -> Self {
        let message = "User is not authorized to perform: cloudwatch:PutMetricData because no \
                       identity-based policy allows the cloudwatch:PutMetricData action"
            .to_owned();
        Self { status: 403, name: "AccessDeniedException", code: "AccessDenied", message }
    }

    fn serialization(message: String) -> Self {
        let name = "SerializationException";
        Self { status: 400, name, code: name, message }
    }

    fn into_response(self, dialect: Dialect, request_id: &str) -> Response<Body> {
        let kind = format!("com.amazonaws.cloudwatch#{}", self.name);
        let members = [("__type", kind.as_str()), ("message", self.message.as_str())];
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let whose = if status.is_server_error() { "Receiver" } else { "Sender" };
        let mut response = dialect.response(status, &members, request_id);
        if let Ok(code) = HeaderValue::from_str(&format!("{};{whose}", self.code)) {
            response.headers_mut().insert("x-amzn-query-error", code);
        }
        response
    }
}

impl From<cloudwatch::Fault> for Refused {
    fn from(fault: cloudwatch::Fault) -> Self {
        let (name, code) = match fault.kind {
            FaultKind::Serialization => return Self::serialization(fault.message),
            FaultKind::Value => ("InvalidParameterValueException", "InvalidParameterValue"),
            FaultKind::Combination => {
                ("InvalidParameterCombinationException", "InvalidParameterCombination")
            }
            FaultKind::Missing => ("MissingRequiredParameterException", "MissingParameter"),
        };
        Self { status: 400, name, code, message: fault.message }
    }
}

impl From<RequestFault> for Refused {
    fn from(fault: RequestFault) -> Self {
        let (name, code) = match &fault {
            RequestFault::Missing => {
                ("MissingAuthenticationTokenException", "MissingAuthenticationToken")
            }
            RequestFault::Bearer => ("AccessDeniedException", "AccessDenied"),
            RequestFault::Incomplete(_) => ("IncompleteSignatureException", "IncompleteSignature"),
            RequestFault::UnknownKey => ("UnrecognizedClientException", "InvalidClientTokenId"),
            RequestFault::Scope(_) | RequestFault::Mismatch => {
                ("InvalidSignatureException", "SignatureDoesNotMatch")
            }
        };
        Self { status: 403, name, code, message: fault.to_string() }
    }
}
