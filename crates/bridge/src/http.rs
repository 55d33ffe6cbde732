//! HTTP: `/start`, `/turn` and `/end` for the Lambdas; `/health`, `/ready` and `/metrics` for
//! whoever looks after the task.
//!
//! A `/turn` is held until there is an answer, or its time is up: no block of a contact flow waits
//! for speech (connect-kvs.md §4.3). Answers are flat and of text alone, as Lambda hands them on to
//! Connect. Errors are `{"error": {"code", "message"}}`.
//!
//! **Whose call it is.** The state of a call is in one task. Every answer names it (`owner`), and
//! the next question brings the name back; another task answers 421 with the owner, and the Lambda
//! asks there. A sticky route by cookie is no way: Lambda has no cookies, and one function serves
//! many calls. When the owner is gone, the question brings the `contact` along and says `adopt`, and
//! whoever is asked takes the call over.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use prometheus_client::registry::Registry;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};
use voice_access::signature::{
    Claim, Gatekeeper, NONCE_HEADER, RequestKey, SIGNATURE_HEADER, TIME_HEADER,
};

use crate::{
    call::{CallHandle, Question, Reply, now_ms},
    calls::{Calls, Contact, NoCall},
    meters::Meters,
    resume::Point,
};

/// The largest body.
const LARGEST: usize = 64 * 1024;
/// How long a head and a body may take.
const READ: Duration = Duration::from_secs(5);
/// Connect takes less than 32 KB; the summary is what can be long.
const LONGEST_SUMMARY: usize = 8_000;
/// How long open connections get when the task stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// What every request needs.
pub(crate) struct State {
    pub(crate) calls: Calls,
    pub(crate) meters: Meters,
    pub(crate) registry: Registry,
    /// `None`: unsigned requests are let in.
    pub(crate) gate: Option<Mutex<Gatekeeper>>,
    /// Seals what passes through the flow.
    pub(crate) key: Option<RequestKey>,
    pub(crate) owner: String,
    pub(crate) longest_wait: Duration,
}

type Answered = Result<Value, Refused>;

/// A request that was refused.
struct Refused {
    status: StatusCode,
    code: &'static str,
    message: String,
    owner: Option<String>,
}

impl Refused {
    fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        Self { status, code, message: message.to_string(), owner: None }
    }
}

/// Serves until `stop` resolves, then lets open requests end.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>, stop: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    let mut stop = stop;
    loop {
        tokio::select! {
            // A sender that is gone means the same.
            _ = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => {
                    let _ = tcp.set_nodelay(true);
                    let state = state.clone();
                    connections.spawn(async move {
                        let mut builder = Builder::new(TokioExecutor::new());
                        builder.http1().timer(TokioTimer::new()).header_read_timeout(READ);
                        let service = service_fn(move |request| respond(state.clone(), request));
                        if let Err(error) =
                            builder.serve_connection(TokioIo::new(tcp), service).await
                        {
                            tracing::debug!(%error, "a connection ended");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
    let rest = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL, rest).await;
}

async fn respond(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let (parts, body) = request.into_parts();
    let answered = match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/health") => return Ok(text(StatusCode::OK, "OK".into())),
        (&Method::GET, "/ready") => return Ok(ready(&state)),
        (&Method::GET, "/metrics") => return Ok(metrics(&state)),
        (&Method::POST, "/start" | "/turn" | "/end") => {
            let read = tokio::time::timeout(READ, Limited::new(body, LARGEST).collect()).await;
            match read {
                Ok(Ok(body)) => ask(&state, &parts, &body.to_bytes()).await,
                _ => Err(Refused::new(
                    StatusCode::BAD_REQUEST,
                    "bad_body",
                    "the body cannot be read, or is larger than 64 KiB",
                )),
            }
        }
        _ => Err(Refused::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here")),
    };
    Ok(match answered {
        Ok(answer) => response(StatusCode::OK, "application/json", answer.to_string()),
        Err(refused) => {
            Meters::count(&state.meters.refused, refused.code);
            let mut body = json!({"error": {"code": refused.code, "message": refused.message}});
            if let Some(owner) = refused.owner {
                body["owner"] = json!(owner);
            }
            response(refused.status, "application/json", body.to_string())
        }
    })
}

async fn ask(state: &State, parts: &http::request::Parts, body: &[u8]) -> Answered {
    admit(state, parts, body)?;
    match parts.uri.path() {
        "/start" => start(state, read(body)?).await,
        "/turn" => turn(state, read(body)?).await,
        _ => end(state, &read(body)?).await,
    }
}

fn admit(state: &State, parts: &http::request::Parts, body: &[u8]) -> Result<(), Refused> {
    let Some(gate) = &state.gate else { return Ok(()) };
    let header = |name| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let (time, nonce) = (header(TIME_HEADER), header(NONCE_HEADER));
    let claim = Claim { time, nonce, signature: header(SIGNATURE_HEADER) };
    let mut gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
    gate.admit(claim, parts.uri.path(), body, now_ms() / 1000)
        .map_err(|why| Refused::new(StatusCode::UNAUTHORIZED, "unauthorized", why))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    let read = &mut serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(read).map_err(|error| {
        let message = format!("at {}: {}", error.path(), error.inner());
        Refused::new(StatusCode::BAD_REQUEST, "bad_body", message)
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    #[serde(flatten)]
    contact: Contact,
    /// Longest wait for the greeting, in milliseconds; ours when absent.
    #[serde(default)]
    wait_ms: Option<u64>,
}

/// Begins a call and answers with the greeting, or with "listen" when it takes too long. Asked
/// again, it gives the same answer.
async fn start(state: &State, start: Start) -> Answered {
    let call = begin(state, &start.contact, None)?;
    let session_id = Calls::session_id(&start.contact.contact_id);
    let answer = question(state, &call, "start".to_owned(), start.wait_ms).await?;
    let mut answer = flat(state, &session_id, "start", answer);
    answer.insert("status".to_owned(), json!("started"));
    Ok(Value::Object(answer))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Turn {
    session_id: String,
    /// The same for every attempt at one turn, and another for each turn.
    turn_key: String,
    #[serde(default)]
    wait_ms: Option<u64>,
    /// Who owns the call, as an earlier answer said.
    #[serde(default)]
    owner: Option<String>,
    /// With it the call can be taken over.
    #[serde(default)]
    contact: Option<Contact>,
    /// The owner does not answer any more.
    #[serde(default)]
    adopt: bool,
    /// Where to go on, as the last answer said.
    #[serde(default)]
    resume: Option<String>,
}

async fn turn(state: &State, turn: Turn) -> Answered {
    if turn.turn_key.is_empty() || turn.turn_key.len() > 256 {
        let message = "turnKey has to have 1 to 256 bytes";
        return Err(Refused::new(StatusCode::BAD_REQUEST, "bad_turn_key", message));
    }
    let call = match (state.calls.find(&turn.session_id), &turn.contact) {
        (Some(call), _) => call,
        (None, contact) => {
            let elsewhere = turn.owner.filter(|owner| *owner != state.owner);
            match (elsewhere, contact) {
                (Some(owner), _) if !turn.adopt => {
                    return Err(Refused {
                        owner: Some(owner),
                        ..Refused::new(
                            StatusCode::MISDIRECTED_REQUEST,
                            "wrong_owner",
                            "another task owns this call",
                        )
                    });
                }
                (_, Some(contact)) if Calls::session_id(&contact.contact_id) == turn.session_id => {
                    let sealed = turn.resume.as_deref().unwrap_or_default();
                    let point = Point::open(state.key.as_ref(), &turn.session_id, sealed);
                    let goes_on = point.is_some();
                    tracing::warn!(session = turn.session_id, goes_on, "a call is taken over");
                    begin(state, contact, point)?
                }
                _ => return Err(unknown()),
            }
        }
    };
    let answer = question(state, &call, turn.turn_key.clone(), turn.wait_ms).await?;
    Ok(Value::Object(flat(state, &turn.session_id, &turn.turn_key, answer)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct End {
    session_id: String,
}

/// Ends a call. One that is not there has ended.
async fn end(state: &State, end: &End) -> Answered {
    if let Some(call) = state.calls.find(&end.session_id) {
        let _ = call.questions.send(Question::End).await;
    }
    Ok(json!({"sessionId": end.session_id, "status": "ended"}))
}

fn begin(state: &State, contact: &Contact, point: Option<Point>) -> Result<CallHandle, Refused> {
    state.calls.begin(contact, point).map_err(|why| {
        let (status, code) = match why {
            NoCall::BadContact => (StatusCode::BAD_REQUEST, "bad_contact"),
            NoCall::NoStream => (StatusCode::BAD_REQUEST, "no_stream"),
            NoCall::Full => (StatusCode::SERVICE_UNAVAILABLE, "full"),
            NoCall::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
            NoCall::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        Refused::new(status, code, why)
    })
}

fn unknown() -> Refused {
    let message = "there is no such call here; with `contact` it can be taken over";
    Refused::new(StatusCode::NOT_FOUND, "unknown_session", message)
}

async fn question(
    state: &State,
    call: &CallHandle,
    key: String,
    wait_ms: Option<u64>,
) -> Result<Reply, Refused> {
    let wait = wait_ms.map_or(state.longest_wait, Duration::from_millis).min(state.longest_wait);
    let (answer, answered) = oneshot::channel();
    let asked = call.questions.send(Question::Turn { key, wait, answer }).await;
    match asked.is_ok() {
        // The call answers in time, or is gone.
        true => answered.await.map_err(|_| unknown()),
        false => Err(unknown()),
    }
}

/// An answer as Connect takes it: one level, text alone.
fn flat(state: &State, session_id: &str, key: &str, reply: Reply) -> Map<String, Value> {
    let Reply { answer, resume } = reply;
    let mut flat = Map::new();
    let mut put = |name: &str, value: String| flat.insert(name.to_owned(), Value::String(value));
    put("sessionId", session_id.to_owned());
    put("owner", state.owner.clone());
    put("turnKey", key.to_owned());
    put("resume", resume);
    put("intent", answer.intent.name().to_owned());
    put("responseAudioUrl", answer.url.unwrap_or_default());
    put("responseText", answer.text);
    put("more", answer.more.to_string());
    if let Some(handover) = answer.handover {
        put("reason", handover.reason);
        put("summary", handover.summary.chars().take(LONGEST_SUMMARY).collect());
        for (name, value) in handover.attributes {
            put(&format!("attribute_{name}"), value);
        }
    }
    flat
}

fn ready(state: &State) -> Response<Full<Bytes>> {
    let (draining, full) = (state.calls.is_draining(), state.calls.is_full());
    let is_ready = !draining && !full;
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let calls = state.calls.count();
    let body = json!({"ready": is_ready, "draining": draining, "full": full, "activeCalls": calls});
    response(status, "application/json", body.to_string())
}

fn metrics(state: &State) -> Response<Full<Bytes>> {
    let mut body = String::new();
    match prometheus_client::encoding::text::encode(&mut body, &state.registry) {
        Ok(()) => response(
            StatusCode::OK,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            body,
        ),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", body)
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}
