//! A bridge that reacts as it is told, request after request. What it is asked is kept.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use voice_access::signature::{Claim, Gatekeeper, RequestKey};

use crate::KEY;

/// What it does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reaction {
    /// Answers with something to play.
    Greet,
    /// 421, and the owner.
    Elsewhere(String),
    /// An error.
    Status(u16),
    /// 200, and no answer.
    Nonsense,
    /// The connection is gone.
    Cut,
    /// Nothing, ever.
    Hang,
}

/// What it was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) body: Value,
    /// Whether the signature is right.
    pub(crate) signed: bool,
}

#[derive(Default)]
struct Script {
    reactions: VecDeque<Reaction>,
    asked: Vec<Asked>,
}

pub(crate) struct Bridge {
    address: String,
    script: Arc<Mutex<Script>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Bridge {
    /// One with these reactions, in order; afterwards it answers 500.
    pub(crate) async fn start(reactions: impl IntoIterator<Item = Reaction>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let reactions = reactions.into_iter().collect();
        let script = Arc::new(Mutex::new(Script { reactions, asked: Vec::new() }));
        let serving = tokio::spawn(serve(listener, script.clone()));
        Self { address, script, serving }
    }

    /// An address at which nobody is.
    pub(crate) async fn gone() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        format!("http://{}", listener.local_addr().expect("an address"))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.lock().expect("no panic").asked.clone()
    }
}

async fn serve(listener: TcpListener, script: Arc<Mutex<Script>>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let script = script.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| respond(script.clone(), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(tcp), service).await;
        });
    }
}

async fn respond(
    script: Arc<Mutex<Script>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = parts.uri.path().to_owned();
    let header = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
    let (time, nonce) = (header("x-voice-time"), header("x-voice-nonce"));
    let claim = Claim { time, nonce, signature: header("x-voice-signature") };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let mut gate = Gatekeeper::new(RequestKey::new(KEY).ok_or("a key")?);
    let signed = gate.admit(claim, &path, &body, now).is_ok();
    let body: Value = serde_json::from_slice(&body)?;
    let reaction = {
        let mut script = script.lock().map_err(|_| "no panic")?;
        script.asked.push(Asked { path, body: body.clone(), signed });
        script.reactions.pop_front()
    };
    let (status, answer) = match reaction.unwrap_or(Reaction::Status(500)) {
        Reaction::Greet => {
            let key = body["turnKey"].as_str().unwrap_or("start");
            let answer = json!({"sessionId": "connect-c-1", "owner": "http://10.0.0.1:8081",
                "turnKey": key, "intent": "continue", "responseText": "Hello.",
                "responseAudioUrl": "https://b/1.wav", "more": "false"});
            (200, answer)
        }
        Reaction::Elsewhere(owner) => {
            (421, json!({"error": {"code": "wrong_owner", "message": "not here"}, "owner": owner}))
        }
        Reaction::Status(status) => {
            (status, json!({"error": {"code": "busy", "message": "not now"}}))
        }
        Reaction::Nonsense => (200, json!(["hello"])),
        Reaction::Cut => return Err("cut".into()),
        Reaction::Hang => match std::future::pending::<Infallible>().await {},
    };
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Full::new(Bytes::from(answer.to_string())))?)
}
