//! The far side of traces, for tests: a collector that decodes OTLP with the classes of
//! `opentelemetry-proto`, and Langfuse's API for scores. It can be busy, strict, slow or broken.

use std::{
    collections::BTreeMap,
    io::Read,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::ServerHandle, web};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    },
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
};
use prost::Message;
use serde_json::{Value, json};

/// The longest that a slow answer takes: more than any deadline in these tests.
const SLOW: Duration = Duration::from_secs(60);

/// How it answers.
#[derive(Debug, Clone, Default)]
pub(crate) enum Mood {
    /// As it should.
    #[default]
    Well,
    /// With this status, and perhaps when to come again.
    Status(u16, Option<u64>),
    /// Langfuse's way: 400 for the whole batch when a span has this name.
    Strict(&'static str),
    /// It takes all but this many.
    Partial(i64),
    /// It does not answer at all.
    Slow,
}

/// A span that arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) parent_id: String,
    pub(crate) name: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) attributes: BTreeMap<String, Value>,
}

impl Arrived {
    /// An attribute as text; empty when it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.attributes.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// An attribute that is JSON in a text.
    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(self.text(name)).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct State {
    mood: Mood,
    /// The header that every request must have.
    authorization: Option<&'static str>,
    spans: Vec<Arrived>,
    resource: BTreeMap<String, Value>,
    scores: Vec<Value>,
    /// Every byte that came, decompressed.
    raw: Vec<u8>,
    requests: usize,
    versions: Vec<String>,
}

/// The server.
pub(crate) struct Collector {
    pub(crate) addr: SocketAddr,
    handle: ServerHandle,
    state: Arc<Mutex<State>>,
}

impl Collector {
    /// On a free port.
    pub(crate) fn start() -> Self {
        Self::on(0, Arc::default())
    }

    /// It was away and is back, with what it knew.
    pub(crate) fn back(port: u16, before: &Self) -> Self {
        Self::on(port, before.state.clone())
    }

    fn on(port: u16, state: Arc<Mutex<State>>) -> Self {
        let shared = web::Data::from(state.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .app_data(web::PayloadConfig::new(64 * 1024 * 1024))
                .route("/v1/traces", web::post().to(traces))
                .route("/api/public/otel/v1/traces", web::post().to(traces))
                .route("/api/public/scores", web::post().to(scores))
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", port))
        .expect("the port");
        let addr = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        tokio::task::spawn_local(server);
        Self { addr, handle, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Answers so from now on.
    pub(crate) fn feel(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// Takes only requests with this header.
    pub(crate) fn want(&self, authorization: &'static str) {
        self.state().authorization = Some(authorization);
    }

    pub(crate) fn requests(&self) -> usize {
        self.state().requests
    }

    pub(crate) fn spans(&self) -> Vec<Arrived> {
        self.state().spans.clone()
    }

    pub(crate) fn named(&self, name: &str) -> Vec<Arrived> {
        self.spans().into_iter().filter(|span| span.name == name).collect()
    }

    pub(crate) fn resource(&self) -> BTreeMap<String, Value> {
        self.state().resource.clone()
    }

    pub(crate) fn scores(&self, name: &str) -> Vec<Value> {
        self.state().scores.iter().filter(|score| score["name"] == name).cloned().collect()
    }

    /// All versions of Langfuse's ingestion that were asked for.
    pub(crate) fn versions(&self) -> Vec<String> {
        self.state().versions.clone()
    }

    /// All that ever came, as text.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(&self.state().raw).into_owned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    pub(crate) async fn stop(&self) {
        self.handle.stop(false).await;
    }
}

/// What every request goes through: the answer, unless it is to be taken.
async fn enter(
    request: &HttpRequest,
    state: &web::Data<Mutex<State>>,
    body: &[u8],
) -> Result<(), HttpResponse> {
    let mood = {
        let mut state = state.lock().expect("no panic");
        state.requests += 1;
        state.raw.extend_from_slice(body);
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        if let Some(version) = header("x-langfuse-ingestion-version") {
            state.versions.push(version.to_owned());
        }
        if state.authorization.is_some_and(|wanted| header("authorization") != Some(wanted)) {
            return Err(HttpResponse::Unauthorized().finish());
        }
        state.mood.clone()
    };
    match mood {
        Mood::Status(status, after) => {
            let status = actix_web::http::StatusCode::from_u16(status).expect("a status");
            let mut answer = HttpResponse::build(status);
            if let Some(after) = after {
                answer.insert_header(("Retry-After", after.to_string()));
            }
            Err(answer.finish())
        }
        Mood::Slow => {
            tokio::time::sleep(SLOW).await;
            Err(HttpResponse::Ok().finish())
        }
        Mood::Well | Mood::Strict(_) | Mood::Partial(_) => Ok(()),
    }
}

async fn traces(
    request: HttpRequest,
    body: web::Bytes,
    state: web::Data<Mutex<State>>,
) -> HttpResponse {
    // actix inflates what is compressed only with a feature that the server has no need of.
    let mut plain = Vec::new();
    let encoding = request.headers().get("content-encoding").and_then(|v| v.to_str().ok());
    match encoding {
        Some("gzip") => {
            let read = flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain);
            if read.is_err() {
                return HttpResponse::BadRequest().body("no gzip");
            }
        }
        _ => plain = body.to_vec(),
    }
    if let Err(answer) = enter(&request, &state, &plain).await {
        return answer;
    }
    let Ok(decoded) = ExportTraceServiceRequest::decode(&plain[..]) else {
        return HttpResponse::BadRequest().body("no protobuf");
    };
    let mut state = state.lock().expect("no panic");
    let mut arrived = Vec::new();
    for of_resource in decoded.resource_spans {
        state.resource = plain_map(of_resource.resource.unwrap_or_default().attributes);
        for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            if span.trace_id.len() != 16 || span.span_id.len() != 8 {
                return HttpResponse::BadRequest().body("an id is none");
            }
            arrived.push(Arrived {
                trace_id: hex(&span.trace_id),
                span_id: hex(&span.span_id),
                parent_id: hex(&span.parent_span_id),
                name: span.name,
                start: span.start_time_unix_nano,
                end: span.end_time_unix_nano,
                attributes: plain_map(span.attributes),
            });
        }
    }
    let mut answer = ExportTraceServiceResponse::default();
    match state.mood {
        Mood::Strict(bad) if arrived.iter().any(|span| span.name == bad) => {
            return HttpResponse::BadRequest().body("a span is not well-formed");
        }
        Mood::Partial(rejected_spans) => {
            let error_message = "some are odd".to_owned();
            answer.partial_success =
                Some(ExportTracePartialSuccess { rejected_spans, error_message });
        }
        _ => {}
    }
    state.spans.append(&mut arrived);
    HttpResponse::Ok().content_type("application/x-protobuf").body(answer.encode_to_vec())
}

async fn scores(
    request: HttpRequest,
    body: web::Bytes,
    state: web::Data<Mutex<State>>,
) -> HttpResponse {
    if let Err(answer) = enter(&request, &state, &body).await {
        return answer;
    }
    let Ok(score) = serde_json::from_slice::<Value>(&body) else {
        return HttpResponse::BadRequest().body("no JSON");
    };
    let value = score["value"].as_f64();
    let is_sound = match score["dataType"].as_str() {
        Some("NUMERIC") => value.is_some(),
        Some("BOOLEAN") => value.is_some_and(|value| value == 0.0 || value == 1.0),
        _ => false,
    };
    if !is_sound || !score["name"].is_string() || !score["traceId"].is_string() {
        return HttpResponse::BadRequest().body("a score is not well-formed");
    }
    let mut state = state.lock().expect("no panic");
    // The same id again replaces it.
    state.scores.retain(|known| known["id"] != score["id"]);
    let id = score["id"].clone();
    state.scores.push(score);
    HttpResponse::Ok().json(json!({"id": id}))
}

fn plain_map(attributes: Vec<KeyValue>) -> BTreeMap<String, Value> {
    let plain = |pair: KeyValue| (pair.key, pair.value.map(plain).unwrap_or_default());
    attributes.into_iter().map(plain).collect()
}

fn plain(value: AnyValue) -> Value {
    match value.value {
        Some(Any::StringValue(text)) => text.into(),
        Some(Any::BoolValue(truth)) => truth.into(),
        Some(Any::IntValue(number)) => number.into(),
        Some(Any::DoubleValue(number)) => number.into(),
        Some(Any::ArrayValue(list)) => list.values.into_iter().map(plain).collect(),
        other => format!("{other:?}").into(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
