//! Lambda's Runtime API on loopback, and one function behind it: the real binary, as Lambda runs it.
//!
//! The function asks `/next` for an event and posts its answer (AWS Lambda Developer Guide, "Using
//! the Lambda runtime API"). One event at a time, as Lambda gives them. Shared with the tests of
//! `crates/lambdas`, so it stands on nothing else here.

use std::{
    collections::HashMap,
    convert::Infallible,
    path::Path,
    process::Stdio,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::{Mutex as AsyncMutex, mpsc, oneshot, watch},
    task::JoinHandle,
};

const VERSION: &str = "/2018-06-01/runtime";
/// What Lambda is told to give a function, in seconds.
const TIMEOUT: Duration = Duration::from_secs(9);
/// Longer than any function may take; for the broken case.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer, or what the function says of its failure.
type Answer = Result<Value, Value>;

struct Invocation {
    id: String,
    body: String,
    deadline_ms: u128,
}

/// What the API and the test share.
struct Api {
    invocations: AsyncMutex<mpsc::Receiver<Invocation>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Answer>>>,
    /// Set when the function asks for its first event: it has started.
    ready: watch::Sender<Option<Instant>>,
}

/// A function. It ends with the test.
pub(crate) struct Function {
    api: Arc<Api>,
    invoke: mpsc::Sender<Invocation>,
    serving: JoinHandle<()>,
    child: Child,
    started: Instant,
    timeout: Duration,
    count: AtomicU64,
}

impl Drop for Function {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Function {
    /// Starts a program with these variables and no others.
    pub(crate) async fn start(program: &Path, variables: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (invoke, invocations) = mpsc::channel(1);
        let api = Arc::new(Api {
            invocations: AsyncMutex::new(invocations),
            waiting: Mutex::default(),
            ready: watch::Sender::new(None),
        });
        let serving = tokio::spawn(serve(listener, api.clone()));
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "function-under-test")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command.spawn().expect("the function starts");
        Self { api, invoke, serving, child, started, timeout: TIMEOUT, count: AtomicU64::new(0) }
    }

    /// The next invocations may take so long, as Lambda tells the function.
    #[allow(dead_code, reason = "one of the two test programs does not ask")]
    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// From the start of the process to its first question for an event.
    #[allow(dead_code, reason = "one of the two test programs does not ask")]
    pub(crate) async fn cold_start(&self) -> Duration {
        let mut ready = self.api.ready.subscribe();
        let ready = tokio::time::timeout(PATIENCE, ready.wait_for(Option::is_some)).await;
        let at = (*ready.expect("it starts in time").expect("the API lives")).expect("a moment");
        at - self.started
    }

    /// Invokes the function, and waits for its answer.
    pub(crate) async fn invoke(&self, event: &Value) -> Answer {
        self.invoke_text(&event.to_string()).await
    }

    /// The same with a payload that may be anything.
    pub(crate) async fn invoke_text(&self, body: &str) -> Answer {
        let id = format!("request-{}", self.count.fetch_add(1, Ordering::Relaxed));
        let deadline = SystemTime::now() + self.timeout;
        let deadline_ms = deadline.duration_since(UNIX_EPOCH).expect("a clock").as_millis();
        let (answer, answered) = oneshot::channel();
        self.api.waiting.lock().expect("no panic").insert(id.clone(), answer);
        let invocation = Invocation { id, body: body.to_owned(), deadline_ms };
        self.invoke.send(invocation).await.expect("the API lives");
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        answered.expect("an answer in time").expect("the API lives")
    }

    /// Waits for the end of the process; whether it ended well.
    #[allow(dead_code, reason = "one of the two test programs does not ask")]
    pub(crate) async fn ended(&mut self) -> bool {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.expect("an end").expect("a status").success()
    }
}

async fn serve(listener: TcpListener, api: Arc<Api>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let api = api.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let api = api.clone();
                async move { Ok::<_, Infallible>(respond(&api, request).await) }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(tcp), service).await;
        });
    }
}

async fn respond(api: &Api, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix(VERSION).unwrap_or_default().to_owned();
    if (parts.method == Method::GET) && path == "/invocation/next" {
        return next(api).await;
    }
    let Ok(body) = body.collect().await else { return status(StatusCode::BAD_REQUEST) };
    let body = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    let invocation = path.strip_prefix("/invocation/").and_then(|rest| rest.split_once('/'));
    let (id, answer) = match invocation {
        Some((id, "response")) => (id, Ok(body)),
        Some((id, "error")) => (id, Err(body)),
        _ => return status(StatusCode::NOT_FOUND),
    };
    match api.waiting.lock().expect("no panic").remove(id) {
        Some(waiting) => {
            let _ = waiting.send(answer);
            status(StatusCode::ACCEPTED)
        }
        None => status(StatusCode::BAD_REQUEST),
    }
}

async fn next(api: &Api) -> Response<Full<Bytes>> {
    api.ready.send_if_modified(|ready| {
        let is_first = ready.is_none();
        *ready = ready.or_else(|| Some(Instant::now()));
        is_first
    });
    // Until there is one, as Lambda freezes the function.
    let Some(next) = api.invocations.lock().await.recv().await else {
        return status(StatusCode::GONE);
    };
    let arn = "arn:aws:lambda:us-east-1:111122223333:function:function-under-test";
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", next.id)
        .header("lambda-runtime-deadline-ms", next.deadline_ms.to_string())
        .header("lambda-runtime-invoked-function-arn", arn)
        .header("lambda-runtime-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0")
        .body(Full::new(Bytes::from(next.body)))
        .expect("a response")
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}
