//! A project of Langfuse's, as far as its public API serves prompts: basic auth, labels, pages,
//! folders. Contract-tested against what the API's definition says; it is not Langfuse.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    error::InternalError,
    http::{StatusCode, header},
    web,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// The keys that the project takes, as basic auth: `pk-lf-1` and `sk-lf-1`.
const AUTH: &str = "Basic cGstbGYtMTpzay1sZi0x";

/// The project.
#[derive(Debug, Clone, Default)]
struct Project {
    prompts: Vec<Prompt>,
    /// Answers this instead of everything else.
    status: Option<u16>,
    asked: usize,
}

#[derive(Debug, Clone)]
struct Prompt {
    name: String,
    version: u32,
    label: String,
    prompt: Value,
    config: Value,
}

/// The server of a project.
pub(crate) struct Langfuse {
    addr: SocketAddr,
    handle: ServerHandle,
    project: Arc<Mutex<Project>>,
}

impl Langfuse {
    /// An empty project on a free port.
    pub(crate) fn start() -> Self {
        let project: Arc<Mutex<Project>> = Arc::default();
        let shared = web::Data::from(project.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .route("/api/public/v2/prompts", web::get().to(list))
                .route("/api/public/v2/prompts/{name}", web::get().to(prompt))
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .expect("a free port");
        let addr = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        tokio::task::spawn_local(server);
        Self { addr, handle, project }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Gives `label` to a version of a prompt; its earlier version loses it.
    pub(crate) fn publish(
        &self,
        label: &str,
        name: &str,
        version: u32,
        prompt: impl Into<Value>,
        config: Value,
    ) {
        let mut project = self.project.lock().expect("no panic");
        project.prompts.retain(|held| held.name != name || held.label != label);
        let (name, label) = (name.to_owned(), label.to_owned());
        project.prompts.push(Prompt { name, version, label, prompt: prompt.into(), config });
    }

    /// Takes a prompt away.
    pub(crate) fn remove(&self, name: &str) {
        self.project.lock().expect("no panic").prompts.retain(|held| held.name != name);
    }

    /// Answers every question with this status from now on, or as it should.
    pub(crate) fn fail_with(&self, status: Option<u16>) {
        self.project.lock().expect("no panic").status = status;
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.project.lock().expect("no panic").asked
    }

    pub(crate) async fn stop(self) {
        self.handle.stop(false).await;
    }
}

#[derive(Deserialize)]
struct Query {
    label: String,
    #[serde(default = "first")]
    page: usize,
    #[serde(default = "few")]
    limit: usize,
}

fn first() -> usize {
    1
}

fn few() -> usize {
    10
}

fn open(request: &HttpRequest, project: &web::Data<Mutex<Project>>) -> actix_web::Result<Project> {
    let mut project = project.lock().expect("no panic");
    project.asked += 1;
    if let Some(status) = project.status {
        let status = StatusCode::from_u16(status).expect("a status");
        return Err(InternalError::new("down", status).into());
    }
    let auth = request.headers().get(header::AUTHORIZATION).and_then(|auth| auth.to_str().ok());
    match auth {
        Some(AUTH) => Ok(project.clone()),
        _ => Err(InternalError::new("invalid credentials", StatusCode::UNAUTHORIZED).into()),
    }
}

async fn list(
    request: HttpRequest,
    query: web::Query<Query>,
    project: web::Data<Mutex<Project>>,
) -> actix_web::Result<HttpResponse> {
    let project = open(&request, &project)?;
    let labelled: Vec<&Prompt> =
        project.prompts.iter().filter(|prompt| prompt.label == query.label).collect();
    let page: Vec<Value> = labelled
        .iter()
        .skip((query.page - 1) * query.limit)
        .take(query.limit)
        .map(|p| {
            json!({"name": p.name, "type": "text", "versions": [p.version], "labels": [p.label],
                "tags": [], "lastUpdatedAt": "2026-11-26T00:00:00Z", "lastConfig": p.config})
        })
        .collect();
    let pages = labelled.len().div_ceil(query.limit);
    Ok(HttpResponse::Ok().json(json!({"data": page, "meta": {"page": query.page,
        "limit": query.limit, "totalItems": labelled.len(), "totalPages": pages}})))
}

async fn prompt(
    request: HttpRequest,
    name: web::Path<String>,
    query: web::Query<Query>,
    project: web::Data<Mutex<Project>>,
) -> actix_web::Result<HttpResponse> {
    let project = open(&request, &project)?;
    let fits = |p: &&Prompt| p.name == *name && p.label == query.label;
    Ok(match project.prompts.iter().find(fits) {
        Some(p) => HttpResponse::Ok().json(json!({"id": "x", "name": p.name,
            "version": p.version, "type": if p.prompt.is_string() { "text" } else { "chat" },
            "prompt": p.prompt, "config": p.config, "labels": [p.label], "tags": []})),
        None => HttpResponse::NotFound()
            .json(json!({"message": "Prompt not found", "error": "LangfuseNotFoundError"})),
    })
}
