//! `/health`, `/ready` and `/metrics`: for load balancers, people and Prometheus.

use actix_web::{
    HttpResponse, Responder,
    http::{StatusCode, header},
    web::Data,
};
use serde_json::{Value, json};

use super::State;

/// The content type that Prometheus asks for.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Problems of refused files that `/ready` lists; `check` and the log list all of them.
const MAX_PROBLEMS: usize = 20;

/// Alive: the process runs and answers. It says nothing about capacity, since whoever probes
/// this ends a task that fails (`ops.md` §1.2).
pub(super) async fn health() -> impl Responder {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body("OK")
}

/// Whether new calls are welcome: 503 while draining, or while there is no place. For people and
/// tests; a load balancer that ends a task which fails must ask `/health` (`ops.md` §1.2).
pub(super) async fn ready(state: Data<State>) -> impl Responder {
    let (draining, full) = (state.registry.is_draining(), state.registry.is_full());
    let ready = !draining && !full;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    HttpResponse::build(status).insert_header((header::CACHE_CONTROL, "no-store")).json(json!({
        "ready": ready,
        "draining": draining,
        "full": full,
        "maxCalls": state.registry.max_calls(),
        "activeCalls": state.registry.active(),
        "backend": state.identity.backend,
        "catalog": catalog(&state),
    }))
}

/// Which tools, workflows and prompts new calls get, and why changed files were not taken. A
/// refused change is no reason to take a task out of service: it serves what it served before.
fn catalog(state: &State) -> Value {
    let current = state.catalog.current();
    // They quote the files, and anybody may ask for this.
    let shown = !state.access.is_guarded();
    let refused = current.refused.as_ref().map(|refused| {
        json!({
            "at": refused.at.to_string(),
            "errors": refused.problems.errors(),
            "problems": shown.then(|| refused.problems.0.iter().take(MAX_PROBLEMS).collect::<Vec<_>>()),
        })
    });
    json!({
        "generation": current.generation,
        "loadedAt": current.loaded_at.to_string(),
        "tools": current.snapshot.tools().len(),
        "workflows": current.snapshot.workflows().len(),
        "prompts": current.snapshot.prompts().len(),
        "refused": refused,
    })
}

/// What the process counts, in the OpenMetrics text format.
pub(super) async fn metrics(state: Data<State>) -> impl Responder {
    match state.metrics.text() {
        Ok(text) => HttpResponse::Ok()
            .content_type(OPENMETRICS)
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(text),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}
