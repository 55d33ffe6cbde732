//! Answers that open no stream: status, `x-amzn-errortype` and a JSON message.
//!
//! Source: nova-sonic.md §1.6. Called by the router and by `bidirectional`.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};

use super::Body;
use super::signature::RequestFault;
use crate::config::Refusal;

/// An error answer before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ErrorAnswer {
    pub(crate) status: StatusCode,
    /// `x-amzn-errortype`.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

impl ErrorAnswer {
    pub(crate) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into() }
    }

    /// No operation has this method and path.
    pub(crate) fn unknown_operation() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "UnknownOperationException",
            "The requested operation is not recognized by the service.",
        )
    }

    /// The model id has the form of one, but there is no such model.
    pub(crate) fn unknown_model(id: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "ResourceNotFoundException",
            format!(
                "Could not resolve the foundation model from the provided model identifier: {id}"
            ),
        )
    }

    /// What stands for the model id cannot be one.
    pub(crate) fn invalid_model() -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "ValidationException",
            "The provided model identifier is invalid.",
        )
    }

    pub(crate) fn into_response(self, request_id: &str) -> Response<Body> {
        let body = serde_json::json!({ "message": self.message }).to_string();
        let body = Full::new(Bytes::from(body)).map_err(|never| match never {});
        let mut response = Response::new(body.boxed_unsync());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert("content-type", http::HeaderValue::from_static("application/json"));
        headers.insert("x-amzn-errortype", http::HeaderValue::from_static(self.kind));
        if let Ok(id) = http::HeaderValue::from_str(request_id) {
            headers.insert("x-amzn-requestid", id);
        }
        response
    }
}

impl From<RequestFault> for ErrorAnswer {
    fn from(fault: RequestFault) -> Self {
        let kind = match &fault {
            RequestFault::Missing => "MissingAuthenticationTokenException",
            RequestFault::Bearer => "AccessDeniedException",
            RequestFault::Incomplete(_) => "IncompleteSignatureException",
            RequestFault::UnknownKey => "UnrecognizedClientException",
            RequestFault::Scope(_) | RequestFault::Mismatch => "InvalidSignatureException",
        };
        Self::new(StatusCode::FORBIDDEN, kind, fault.to_string())
    }
}

impl From<Refusal> for ErrorAnswer {
    fn from(refusal: Refusal) -> Self {
        let (status, kind, message) = match refusal {
            Refusal::Throttling => {
                (429, "ThrottlingException", "Too many requests, please wait before trying again.")
            }
            Refusal::AccessDenied => (
                403,
                "AccessDeniedException",
                "You don't have access to the model with the specified model ID.",
            ),
            Refusal::QuotaExceeded => (
                400,
                "ServiceQuotaExceededException",
                "The number of concurrent requests exceeds the quota of the account.",
            ),
            Refusal::ModelNotReady => {
                (429, "ModelNotReadyException", "The model is not ready for inference. Try again.")
            }
            Refusal::InternalServer => (
                500,
                "InternalServerException",
                "The system encountered an unexpected error during processing. Try your request \
                 again.",
            ),
            Refusal::ServiceUnavailable => {
                (503, "ServiceUnavailableException", "The service is temporarily unavailable.")
            }
            Refusal::ExpiredToken => (
                403,
                "ExpiredTokenException",
                "The security token included in the request is expired",
            ),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, kind, message)
    }
}
