//! Sorts what the SDK reports into [`StreamFault`]s (`nova-sonic.md` §1.5, §1.6, §4.3).
//!
//! Exceptions in the stream carry no code (`.code()` is `None`), so the enums decide; the
//! HTTP status decides where the front door answers with something that the model lacks.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_bedrockruntime::{
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::invoke_model_with_bidirectional_stream::InvokeModelWithBidirectionalStreamError as OpenError,
    types::error::InvokeModelWithBidirectionalStreamOutputError as StreamError,
};
use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::ConnectorError};
use aws_smithy_types::event_stream::RawMessage;
use voice_call::{FaultKind, StreamFault};

/// Sorts a failure to open.
pub(super) fn of_open(error: &SdkError<OpenError, HttpResponse>) -> StreamFault {
    let SdkError::ServiceError(context) = error else {
        return of_transport(error, FaultKind::Transport);
    };
    let status = context.raw().status().as_u16();
    let message = described(context.err(), context.err().message(), status);
    let kind = match context.err() {
        OpenError::AccessDeniedException(_) => FaultKind::AccessDenied,
        OpenError::ResourceNotFoundException(_) => FaultKind::NotFound,
        OpenError::ThrottlingException(_) | OpenError::ServiceQuotaExceededException(_) => {
            FaultKind::Throttled
        }
        OpenError::ModelTimeoutException(_) => FaultKind::ModelTimeout,
        OpenError::ServiceUnavailableException(_) => FaultKind::Unavailable,
        OpenError::InternalServerException(_)
        | OpenError::ModelErrorException(_)
        | OpenError::ModelNotReadyException(_)
        | OpenError::ModelStreamErrorException(_) => FaultKind::Service,
        OpenError::ValidationException(_) => return StreamFault::from_validation(message),
        _ if context.err().code().is_some_and(|code| code.starts_with("ExpiredToken")) => {
            FaultKind::ExpiredCredentials
        }
        _ => match status {
            401 | 403 => FaultKind::AccessDenied,
            404 => FaultKind::NotFound,
            408 => FaultKind::ModelTimeout,
            429 => FaultKind::Throttled,
            503 => FaultKind::Unavailable,
            // 424, 5xx, and what a proxy might invent.
            424 | 500.. => FaultKind::Service,
            _ => return StreamFault::from_validation(message),
        },
    };
    StreamFault::new(kind, message)
}

/// Sorts a failure of an open stream.
pub(super) fn of_stream(error: &SdkError<StreamError, RawMessage>) -> StreamFault {
    let SdkError::ServiceError(context) = error else {
        return of_transport(error, FaultKind::Undecodable);
    };
    let message = described(context.err(), context.err().message(), 200);
    let kind = match context.err() {
        StreamError::ModelTimeoutException(_) => FaultKind::ModelTimeout,
        StreamError::ThrottlingException(_) => FaultKind::Throttled,
        StreamError::ServiceUnavailableException(_) => FaultKind::Unavailable,
        StreamError::ValidationException(_) => return StreamFault::from_validation(message),
        // An exception of an unknown name is the service's trouble as well.
        _ => FaultKind::Service,
    };
    StreamFault::new(kind, message)
}

/// A failure that is no answer of the service. `bad_bytes` is what a `ResponseError` means.
fn of_transport<E, R>(error: &SdkError<E, R>, bad_bytes: FaultKind) -> StreamFault
where
    E: Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let kind = match error {
        _ if has_cause::<CredentialsError>(error) => FaultKind::AccessDenied,
        SdkError::ConstructionFailure(_) => FaultKind::Invalid,
        SdkError::TimeoutError(_) => FaultKind::OpenTimeout,
        // The SDK's type for bytes that stop in mid-message is private; its text is stable.
        SdkError::ResponseError(_) if says(error, "unexpected end of stream") => {
            FaultKind::Transport
        }
        SdkError::ResponseError(_) => bad_bytes,
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(connector) if connector.is_user() && !is_io(connector) => FaultKind::Invalid,
            _ => FaultKind::Transport,
        },
        _ => FaultKind::Transport,
    };
    StreamFault::new(kind, format!("{}", DisplayErrorContext(error)))
}

/// What the service said, or what stands in its place.
fn described(error: &(dyn Error + 'static), message: Option<&str>, status: u16) -> String {
    match message {
        Some(message) => message.to_owned(),
        None => format!("HTTP {status}: {}", DisplayErrorContext(error)),
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn has_cause<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<T>())
}

fn is_io(error: &ConnectorError) -> bool {
    has_cause::<std::io::Error>(error)
}

fn says(error: &(dyn Error + 'static), text: &str) -> bool {
    causes(error).any(|cause| cause.to_string().contains(text))
}
