//! Carries what the OTLP exporter has encoded, and remembers how it went.
//!
//! The exporter of `opentelemetry-otlp` says in words what became of a batch; what follows depends
//! on the status. It also reads endpoints and headers from the environment: here only the ones of
//! the configuration count.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use reqwest::{
    StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER},
    redirect,
};

use super::batches::Verdict;
use crate::{
    client::{SetupError, chain_of},
    target::OtlpTarget,
};

/// Longest answer that is read: it says how many spans were rejected, and why.
const MAX_ANSWER: usize = 64 * 1024;

/// How the last request went.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) verdict: Verdict,
    /// For people.
    pub(super) what: String,
}

/// The carrier. Cloning shares it.
#[derive(Debug, Clone)]
pub(super) struct Courier {
    http: reqwest::Client,
    target: OtlpTarget,
    heard: Arc<Mutex<Option<Heard>>>,
}

impl Courier {
    pub(super) fn new(target: OtlpTarget, deadline: Duration) -> Result<Self, SetupError> {
        let http = reqwest::Client::builder()
            .timeout(deadline)
            // Keys and conversations go to the host that was configured, and to no other.
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self { http, target, heard: Arc::default() })
    }

    /// How the last request went, if there was one since.
    pub(super) fn heard(&self) -> Option<Heard> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry(
        &self,
        request: Request<Bytes>,
    ) -> Result<(StatusCode, HeaderMap, Bytes), String> {
        let mut headers = self.target.headers().clone();
        for name in [CONTENT_TYPE, CONTENT_ENCODING] {
            if let Some(value) = request.headers().get(&name) {
                headers.insert(name, value.clone());
            }
        }
        let post = self.http.post(self.target.url().clone()).headers(headers);
        let sent = post.body(request.into_body()).send().await;
        let mut answer = sent.map_err(chain_of)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(chain_of)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(format!("its answer is longer than {MAX_ANSWER} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((answer.status(), std::mem::take(answer.headers_mut()), body.into()))
    }
}

#[async_trait]
impl HttpClient for Courier {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let carried = self.carry(request).await;
        let heard = match &carried {
            Ok((status, headers, body)) => Heard {
                verdict: verdict(*status, headers, body),
                what: format!("it answers {status}"),
            },
            Err(what) => Heard { verdict: Verdict::Later(None), what: what.clone() },
        };
        *self.lock() = Some(heard);
        let (status, _, body) = carried?;
        Ok(Response::builder().status(status).body(body)?)
    }
}

/// What a status means (OTLP specification, "OTLP/HTTP Response"; `ops.md` §4.1). Keys that are
/// refused and paths that do not exist are mistakes of the configuration: the spans are not at
/// fault.
fn verdict(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Verdict {
    if status.is_success() {
        let partial = ExportTraceServiceResponse::decode(body).ok().and_then(|a| a.partial_success);
        let rejected = partial.map_or(0, |partial| partial.rejected_spans);
        return Verdict::Taken { rejected: u64::try_from(rejected).unwrap_or(0) };
    }
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Verdict::Refused,
        _ => {
            let seconds =
                headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
            Verdict::Later(seconds.map(Duration::from_secs))
        }
    }
}
