//! The door to the stand-in for the ECS agent: `/api/{id}/task-protection/v1/state`, below what a
//! container is given as `ECS_AGENT_URI`. Unsigned, as there: only the task reaches it.
//!
//! What is answered decides `crate::agent`.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use jiff::Timestamp;

use super::Body;
use crate::agent::TaskAgent;

/// What a container of this stand-in's is given, behind the address.
pub(crate) const BASE: &str = "/api/0123456789abcdef";

/// Longest body that is read.
const MAX_BODY: usize = 64 * 1024;

/// How long a body may take to come.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// Whether a path is the endpoint's.
pub(crate) fn is_state(path: &str) -> bool {
    path.strip_prefix(BASE).is_some_and(|rest| rest == "/task-protection/v1/state")
}

/// Answers one request.
pub(crate) async fn answer(
    method: &Method,
    body: Incoming,
    agent: &TaskAgent,
) -> Result<Response<Body>, io::Error> {
    let body = tokio::time::timeout(BODY_DEADLINE, Limited::new(body, MAX_BODY).collect()).await;
    let body = body.map_err(|_| io::Error::other("the body took too long"))?;
    let body = body.map_err(|_| io::Error::other("the body broke off"))?.to_bytes();
    let reply = agent.answer(method, &body, Timestamp::now());
    tokio::time::sleep(reply.after).await;
    let text = if reply.body.is_null() { String::new() } else { reply.body.to_string() };
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = reply.status;
    if reply.status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert("allow", http::HeaderValue::from_static("GET, PUT"));
    }
    response
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static("application/json"));
    Ok(response)
}
