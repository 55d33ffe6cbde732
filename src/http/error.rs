//! Refusals as JSON: `{"error": {"code", "message"}}`, the one shape of every error answer.

use std::fmt;

use actix_web::{
    HttpResponse, HttpResponseBuilder, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};
use serde_json::json;

/// A request that was refused.
#[derive(Debug)]
pub(crate) struct Refused {
    status: StatusCode,
    /// A stable word for programs.
    code: &'static str,
    /// What was wrong and what is expected.
    message: String,
    /// What the status asks for, such as `Retry-After`.
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refused {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl fmt::Display) -> Self {
        Self { status, code, message: message.to_string(), header: None }
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// When it may be tried again, in seconds.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        let (name, value) = self.header.as_ref()?;
        let seconds = value.to_str().ok()?.parse().ok();
        seconds.filter(|_| name == header::RETRY_AFTER)
    }
}

/// No such route or thing.
pub(crate) fn not_found() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
}

/// A query that is not what the route expects.
pub(crate) fn bad_query(why: impl fmt::Display) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "bad_query", why)
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status);
        if let Some(header) = &self.header {
            response.insert_header(header.clone());
        }
        response
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .json(json!({"error": {"code": self.code, "message": self.message}}))
    }
}
