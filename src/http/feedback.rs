//! `POST /api/feedback`: what a caller thinks of a call, in progress or ended (`contract.md` §3).

use actix_web::{
    HttpResponse, Resource,
    error::JsonPayloadError,
    http::StatusCode,
    web::{self, Data, Json, JsonConfig},
};
use serde::Deserialize;
use serde_json::json;
use voice_archive::{Rated, entry::Feedback};
use voice_call::CallId;
use voice_langfuse::{Score, trace_id_of};

use super::{State, body::Object, error::Refused};

/// Longest body, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// Longest comment, in characters.
const MAX_COMMENT: usize = 2_000;

/// Longest name of a score.
const MAX_NAME: usize = 64;

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ask {
    session_id: String,
    score: f64,
    comment: Option<String>,
    /// What the score is called; `user-feedback` when absent.
    name: Option<String>,
    /// As `metadata` told it; the session's id is taken as well.
    trace_id: Option<String>,
}

/// The route, with its own limit.
pub(super) fn resource() -> Resource {
    let json =
        JsonConfig::default().limit(MAX_BODY).error_handler(|error, _| refuse(&error).into());
    web::resource("/feedback").app_data(json).route(web::post().to(rate))
}

/// Keeps it where it can be kept: in the log of the call, and as a score in Langfuse. It is
/// `success` when one of the two has it. This task need not be the one that has the call, so one
/// that it does not know is no mistake while there is a Langfuse.
async fn rate(state: Data<State>, ask: Json<Object<Ask>>) -> Result<HttpResponse, Refused> {
    let (session_id, feedback) = ask.into_inner().0.check()?;
    let nobody = "neither the session log nor Langfuse keeps what callers think";
    let Some(archive) = &state.archive else {
        return Err(Refused::new(StatusCode::NOT_FOUND, "not_kept", nobody));
    };
    let feedback = archive.clean(feedback);
    let rated = archive.rate(session_id.as_str(), &feedback).await.unwrap_or_else(|fault| {
        tracing::error!(%fault, call = %session_id, "feedback does not reach the session log");
        Rated::Unknown
    });
    // Whoever traces a call in progress has heard of it by its journal.
    let is_given = rated == Rated::InProgress
        || state
            .traces
            .as_ref()
            .is_some_and(|traces| traces.give(Score::of_feedback(session_id.as_str(), &feedback)));
    if rated == Rated::Unknown && !is_given {
        let message = format!("there is no call {session_id} in progress, and no log of one");
        return Err(Refused::new(StatusCode::NOT_FOUND, "unknown_session", message));
    }
    tracing::info!(call = %session_id, ?rated, is_given, "feedback");
    Ok(HttpResponse::Ok().json(json!({"success": true})))
}

impl Ask {
    fn check(self) -> Result<(CallId, Feedback), Refused> {
        let bad = |what: String| Refused::new(StatusCode::BAD_REQUEST, "invalid_feedback", what);
        let Self { session_id, score, comment, name, trace_id } = self;
        let id: CallId = session_id.parse().map_err(|error| bad(format!("sessionId: {error}")))?;
        if let Some(trace_id) = trace_id.filter(|trace_id| !trace_id.is_empty()) {
            let expected = trace_id_of(id.as_str());
            if trace_id != expected && trace_id != id.as_str() {
                let what = format!("traceId: this session has the trace {expected}");
                return Err(bad(what));
            }
        }
        let comment = comment.filter(|comment| !comment.trim().is_empty());
        let length = comment.as_ref().map_or(0, |comment| comment.chars().count());
        if length > MAX_COMMENT {
            let what = format!("comment: it has {length} characters; at most {MAX_COMMENT}");
            return Err(bad(what));
        }
        let name = name.filter(|name| !name.is_empty());
        let is_fine = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.as_ref().is_some_and(|name| name.len() > MAX_NAME || !name.chars().all(is_fine)) {
            let what = format!("name: expected 1 to {MAX_NAME} of A-Z a-z 0-9 . _ -");
            return Err(bad(what));
        }
        Ok((id, Feedback { score, comment, name }))
    }
}

fn refuse(error: &JsonPayloadError) -> Refused {
    let bad = |status, what: String| Refused::new(status, "invalid_feedback", what);
    match error {
        JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => {
            let what = format!("the body is too long; at most {MAX_BODY} bytes");
            bad(StatusCode::PAYLOAD_TOO_LARGE, what)
        }
        JsonPayloadError::ContentType => {
            let what = "expected Content-Type: application/json".to_owned();
            bad(StatusCode::UNSUPPORTED_MEDIA_TYPE, what)
        }
        error => {
            let shape = "{sessionId, score, comment?, name?, traceId?}";
            bad(StatusCode::BAD_REQUEST, format!("expected {shape}: {error}"))
        }
    }
}
