//! `StartStreamTranscription`: from an admitted request to a stream of transcripts.
//!
//! It watches the clocks, carries out the faults, and has the audio heard by
//! `crate::transcribe`. Called by `front::answer`. Sources: nova-sonic.md §6.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::stream;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::chunk::{self, ChunkReader, Dialect};
use super::connection::Cut;
use super::downstream::reset;
use super::refusal::ErrorAnswer;
use super::signature::FrameChain;
use super::{Body, upstream};
use crate::config::{TranscribeException, TranscribeFault, TranscribeFaultKind};
use crate::session::Inbound;
use crate::transcribe::{Hearing, Request};
use crate::world::{Transcription, World};

/// Audio events and results that wait.
const WAITING: usize = 64;

/// How long a stream that hangs reads nothing.
const HANG: Duration = Duration::from_secs(60);

/// What the stream says next.
enum Said {
    Bytes(Bytes),
    Reset,
    Cut,
}

/// Opens the stream, or says why not and gives the body back.
pub(super) fn open(
    headers: &http::HeaderMap,
    chain: Option<FrameChain>,
    body: Incoming,
    world: &Arc<World>,
    cut: Cut,
    request_id: &str,
) -> Result<Result<Response<Body>, io::Error>, (ErrorAnswer, Incoming)> {
    let request = match Request::read(headers) {
        Ok(request) => request,
        Err(text) => return Err((refusal(TranscribeException::BadRequest, Some(text)), body)),
    };
    let Some(place) =
        world.transcriptions.open(&request.session_id, world.config.transcribe.streams)
    else {
        return Err((refusal(TranscribeException::LimitExceeded, None), body));
    };
    let faults = &world.config.transcribe.faults;
    let mut faults = faults.iter().filter(|fault| fault.scope.includes(place.number)).cloned();
    let at_open = faults.clone().find(|fault| fault.after.is_none());
    match at_open.map(|fault| fault.kind) {
        None => {}
        Some(TranscribeFaultKind::Exception(kind)) => return Err((refusal(kind, None), body)),
        Some(TranscribeFaultKind::Cut) => {
            cut.pull();
            return Ok(Err(reset()));
        }
        Some(_) => return Ok(Err(reset())),
    }
    let fault = faults.find(|fault| fault.after.is_some());
    let mut response = Response::new(());
    for (name, value) in request.headers() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    let kind = HeaderValue::from_static("application/vnd.amazon.eventstream");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert("x-amzn-request-id", id);
    }

    let (events, received) = mpsc::channel(WAITING);
    let (said, out) = mpsc::channel(WAITING);
    let (gone, dropped) = oneshot::channel::<Infallible>();
    let reader = ChunkReader::new(chain).speaking(Dialect::Transcribe);
    tokio::spawn(upstream::pump(body, reader, events, dropped));
    tokio::spawn(hear(request, received, said, Arc::clone(world), place, fault));
    let frames = stream::unfold((out, cut, gone), |(mut out, cut, gone)| async move {
        match out.recv().await? {
            Said::Bytes(bytes) => Some((Ok(Frame::data(bytes)), (out, cut, gone))),
            Said::Reset => Some((Err(reset()), (out, cut, gone))),
            Said::Cut => {
                cut.pull();
                std::future::pending().await
            }
        }
    });
    Ok(Ok(response.map(|()| StreamBody::new(frames).boxed_unsync())))
}

/// Hears one stream to its end.
async fn hear(
    request: Request,
    mut events: mpsc::Receiver<Inbound>,
    out: mpsc::Sender<Said>,
    world: Arc<World>,
    mut place: Transcription,
    fault: Option<TranscribeFault>,
) {
    let config = &world.config.transcribe;
    let clocks = &world.config.clocks;
    let opened = Instant::now();
    let mut hearing = Hearing::new(request, config.pause, world.ears.clone());
    let mut last_audio = opened;
    let say = async |json: &serde_json::Value| {
        let frame = chunk::json_frame("TranscriptEvent", json);
        out.send(Said::Bytes(frame)).await.is_ok()
    };
    let fail = async |kind: TranscribeException, text: Option<String>| {
        let _ = out.send(Said::Bytes(exception(kind, text))).await;
    };
    loop {
        let idle = last_audio + clocks.real(config.idle);
        let longest = opened + clocks.real(config.longest).min(Duration::from_secs(86_400));
        let inbound = tokio::select! {
            biased;
            () = sleep_until(idle) => {
                let text = format!(
                    "Your request timed out because no new audio was received for {} seconds.",
                    config.idle.as_secs()
                );
                return fail(TranscribeException::BadRequest, Some(text)).await;
            }
            () = sleep_until(longest) => {
                let text = "Your stream has reached its maximum duration of 4 hours.".to_owned();
                return fail(TranscribeException::LimitExceeded, Some(text)).await;
            }
            () = place.superseded() => return fail(TranscribeException::Conflict, None).await,
            () = out.closed() => return,
            inbound = events.recv() => inbound,
        };
        match inbound {
            Some(Inbound::Event(pcm)) => {
                // An empty event is a client that announces the end.
                if pcm.is_empty() {
                    continue;
                }
                last_audio = Instant::now();
                let heard =
                    hearing.push(&pcm, |channel| world.transcriptions.next(config, channel));
                place.heard(pcm.len());
                let results = match heard {
                    Ok(results) => results,
                    Err(text) => return fail(TranscribeException::BadRequest, Some(text)).await,
                };
                for result in results {
                    if !say(&result).await {
                        return;
                    }
                }
            }
            Some(Inbound::Malformed(text)) => {
                return fail(TranscribeException::BadRequest, Some(text)).await;
            }
            Some(Inbound::End) | None => {
                for result in hearing.finish() {
                    say(&result).await;
                }
                return;
            }
        }
        let due =
            fault.as_ref().filter(|fault| fault.after.is_some_and(|at| hearing.position() >= at));
        match due.map(|fault| &fault.kind) {
            None => {}
            Some(TranscribeFaultKind::Exception(kind)) => return fail(*kind, None).await,
            Some(TranscribeFaultKind::Reset) => return drop(out.send(Said::Reset).await),
            Some(TranscribeFaultKind::Cut) => return drop(out.send(Said::Cut).await),
            Some(TranscribeFaultKind::SilentEnd) => return,
            Some(TranscribeFaultKind::Hang) => {
                tokio::time::sleep(clocks.real(HANG)).await;
                return;
            }
        }
    }
}

fn exception(kind: TranscribeException, text: Option<String>) -> Bytes {
    let (name, _, default) = kind.parts();
    // Capital M, unlike Bedrock (§6.3).
    let body = serde_json::json!({"Message": text.unwrap_or_else(|| default.to_owned())});
    chunk::exception_frame(name, &body)
}

fn refusal(kind: TranscribeException, text: Option<String>) -> ErrorAnswer {
    let (name, status, default) = kind.parts();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    ErrorAnswer::new(status, name, text.unwrap_or_else(|| default.to_owned()))
}
