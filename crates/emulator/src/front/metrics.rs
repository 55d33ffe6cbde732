//! `PutMetricData`: Smithy's RPC protocol with CBOR bodies, as CloudWatch speaks it with SDKs of
//! today.
//!
//! HTTP, the signature over the whole body, gzip, faults, answers; what the body says is judged by
//! `crate::cloudwatch`. Called by `front::answer`. Sources: the Smithy specification (RPC v2 CBOR,
//! `requestCompression`, `awsQueryCompatible`), the API reference of CloudWatch.

use std::io::{self, Read};

use bytes::Bytes;
use ciborium::cbor;
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

/// Name of the protocol.
const PROTOCOL: &str = "rpc-v2-cbor";

/// An error as this protocol tells it: by name for clients of today, and by the code of the older
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
        Ok(body) => judge(parts, &body.to_bytes(), gzip, fault, world),
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
            Ok(response(StatusCode::OK, &cbor!({}), request_id))
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
            Ok(refused.into_response(request_id))
        }
    }
}

fn judge(
    parts: &Parts,
    body: &Bytes,
    gzip: bool,
    fault: Option<CloudWatchFaultKind>,
    world: &World,
) -> Result<Vec<TakenDatum>, Refused> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let config = &world.config;
    if config.verify_signatures {
        let service = Operation::PutMetricData.signing_name();
        verify_request(parts, &config.credentials, service, Payload::Whole(body))?;
    }
    let protocol = (header("smithy-protocol"), header("content-type"));
    if protocol != (Some(PROTOCOL), Some("application/cbor")) {
        return Err(Refused {
            status: 404,
            name: "UnknownOperationException",
            code: "UnknownOperation",
            message: format!("Expected the protocol {PROTOCOL}, got {protocol:?}."),
        });
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
    cloudwatch::take(body, Timestamp::now()).map_err(Refused::from)
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

    fn into_response(self, request_id: &str) -> Response<Body> {
        let body = cbor!({
            "__type" => format!("com.amazonaws.cloudwatch#{}", self.name),
            "message" => self.message,
        });
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let whose = if status.is_server_error() { "Receiver" } else { "Sender" };
        let mut response = response(status, &body, request_id);
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

fn response(
    status: StatusCode,
    body: &Result<ciborium::Value, ciborium::value::Error>,
    request_id: &str,
) -> Response<Body> {
    let mut bytes = Vec::new();
    if let Ok(body) = body {
        // Writing to memory does not fail.
        let _ = ciborium::into_writer(body, &mut bytes);
    }
    let body = Full::new(Bytes::from(bytes)).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("smithy-protocol", HeaderValue::from_static(PROTOCOL));
    headers.insert("content-type", HeaderValue::from_static("application/cbor"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
