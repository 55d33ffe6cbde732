//! `InvokeModelWithBidirectionalStream`: from an admitted request to a session and its response.
//!
//! It starts the session, holds back the head as long as told, and carries out the faults that
//! strike at the opening. Called by `front::answer`.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{mpsc, oneshot};

use super::chunk::{ChunkReader, ChunkWriter};
use super::connection::Cut;
use super::downstream::{EventStream, reset};
use super::refusal::ErrorAnswer;
use super::{AdmittedSonic, Body, upstream};
use crate::config::{FaultKind, FaultMoment, Generation, ModelEntry, ResponseHead};
use crate::observe::SessionRecord;
use crate::session::{self, Exception, ExceptionKind, Inbound, Outbound};
use crate::world::World;

/// Input events between wire and session. A session that does not read holds the client back.
const EVENTS: usize = 64;
/// Output between session and wire: two seconds of audio in chunks of 32 ms.
const OUTPUT: usize = 64;

/// Finds the model, or says why there is none.
pub(crate) fn find_model(models: &[ModelEntry], id: &str) -> Result<ModelEntry, ErrorAnswer> {
    if let Some(model) = models.iter().find(|model| model.id == id) {
        return Ok(model.clone());
    }
    let plausible = !id.is_empty()
        && id.contains('.')
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte));
    Err(if plausible { ErrorAnswer::unknown_model(id) } else { ErrorAnswer::invalid_model() })
}

/// Opens the stream. The outer `Err` is a refusal, with the body given back; the inner one resets
/// the stream before any head.
pub(super) async fn open(
    admitted: AdmittedSonic,
    body: Incoming,
    world: &Arc<World>,
    cut: Cut,
    request_id: &str,
) -> Result<Result<Response<Body>, io::Error>, (ErrorAnswer, Incoming)> {
    let AdmittedSonic { model, protocol, chain } = admitted;
    let ordinal = world.observer.attempt();
    let mut faults = world.config.faults_of(ordinal).into_iter();
    let fault = faults.find(|fault| fault.moment == FaultMoment::AtOpen);
    let mut first = VecDeque::new();
    let mut late = Duration::ZERO;
    match fault.map(|fault| fault.kind) {
        None => {}
        Some(FaultKind::SlowHead(delay)) => late = world.config.clocks.real(delay),
        Some(FaultKind::Refuse(refusal)) => return Err((refusal.into(), body)),
        Some(FaultKind::HangHead) => {
            let record = world.observer.open(ordinal, request_id.to_owned(), model.id, protocol);
            record.end("the head is held back for good");
            upstream::swallow(body).await;
            return Ok(Err(reset()));
        }
        Some(kind) => first.extend(output_of(&kind)),
    }
    let record = world.observer.open(ordinal, request_id.to_owned(), model.id, protocol);

    let (events, received) = mpsc::channel(EVENTS);
    let (sender, out) = mpsc::channel(OUTPUT);
    let (gone, dropped) = oneshot::channel();
    if first.iter().any(is_last) {
        // The fault is the whole story; there is no session to tell another one.
        drop((sender, received));
    } else {
        tokio::spawn(run(model.generation, received, sender, Arc::clone(world), record.clone()));
    }
    tokio::spawn(upstream::pump(body, ChunkReader::new(chain), events, dropped));
    let mut stream = EventStream {
        first,
        out,
        writer: ChunkWriter::new(world.config.padding),
        cut,
        record,
        _gone: gone,
        done: false,
        severed: false,
    };
    if world.config.head != ResponseHead::Immediately && stream.first.is_empty() {
        tokio::time::sleep(late).await;
        // `None` is a session that ended without a word: an empty stream.
        stream.first.extend(stream.out.recv().await);
    }
    match stream.first.front() {
        Some(Outbound::Reset) => {
            stream.done = true;
            stream.record.end("the stream was reset by the emulator");
            Ok(Err(reset()))
        }
        Some(Outbound::Cut) => {
            stream.done = true;
            stream.record.end("the connection was cut by the emulator");
            stream.cut.pull();
            pending().await
        }
        _ => Ok(Ok(response(stream, request_id))),
    }
}

fn response(stream: EventStream, request_id: &str) -> Response<Body> {
    let mut response = Response::new(stream.boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/vnd.amazon.eventstream"),
    );
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// Runs the session and tells the client if it breaks.
async fn run(
    model: Generation,
    events: mpsc::Receiver<Inbound>,
    out: mpsc::Sender<Outbound>,
    world: Arc<World>,
    record: SessionRecord,
) {
    let session = session::run(model, events, out.clone(), world, record.clone());
    // A task of its own: a panic in it becomes an error here.
    if let Err(error) = tokio::spawn(session).await
        && error.is_panic()
    {
        tracing::error!(session = record.id(), "a session of the emulator panicked");
        let exception = Exception::new(
            ExceptionKind::InternalServer,
            "The system encountered an unexpected error during processing. Try your request \
             again.",
        );
        // The client may be gone as well; then nobody is left to be told.
        let _ = out.send(Outbound::Exception(exception)).await;
    }
}

/// What a fault at the opening puts on the stream.
fn output_of(kind: &FaultKind) -> Vec<Outbound> {
    match kind {
        // Handled before there is a stream.
        FaultKind::Refuse(_) | FaultKind::HangHead | FaultKind::SlowHead(_) => Vec::new(),
        // Faults of a stream that is up.
        FaultKind::HalfFrame | FaultKind::Hang | FaultKind::Deaf(_) => Vec::new(),
        FaultKind::Exception { kind, message } => {
            vec![Outbound::Exception(Exception::new(*kind, message.as_str())), Outbound::End]
        }
        FaultKind::ResetStream => vec![Outbound::Reset],
        FaultKind::CutConnection => vec![Outbound::Cut],
        FaultKind::Garbage(bytes) => {
            vec![Outbound::Raw(Bytes::copy_from_slice(bytes)), Outbound::End]
        }
        FaultKind::UnknownEvent => {
            vec![Outbound::Event(serde_json::json!({ "event": { "unheardOf": {} } }))]
        }
        FaultKind::SilentEnd => vec![Outbound::End],
    }
}

fn is_last(outbound: &Outbound) -> bool {
    matches!(outbound, Outbound::End | Outbound::Reset | Outbound::Cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_model_is_not_found_and_nonsense_is_invalid() {
        let models = ModelEntry::known();
        assert_eq!(find_model(&models, "amazon.nova-2-sonic-v1:0").unwrap(), models[1]);
        assert_eq!(find_model(&models, "amazon.nova-9:0").unwrap_err().status, 404);
        for nonsense in ["", "nova", "a b.c", "../x y"] {
            assert_eq!(find_model(&models, nonsense).unwrap_err().status, 400, "{nonsense}");
        }
    }
}
