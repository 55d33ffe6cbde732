//! `/health`, `/ready` and `/metrics`: for load balancers, people and Prometheus.

use actix_web::{
    HttpResponse, Responder,
    http::{StatusCode, header},
    web::Data,
};
use serde_json::json;

use super::State;

/// The content type that Prometheus asks for.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Alive: the process runs and answers. It says nothing about capacity, since whoever probes
/// this ends a task that fails (`ops.md` §1.2).
pub(super) async fn health() -> impl Responder {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body("OK")
}

/// Whether new calls are welcome: 503 while draining.
pub(super) async fn ready(state: Data<State>) -> impl Responder {
    let draining = state.registry.is_draining();
    let status = if draining { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    HttpResponse::build(status).insert_header((header::CACHE_CONTROL, "no-store")).json(json!({
        "ready": !draining,
        "draining": draining,
        "activeCalls": state.registry.active(),
        "backend": state.identity.backend,
    }))
}

/// What the process counts, in the OpenMetrics text format.
pub(super) async fn metrics(state: Data<State>) -> impl Responder {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &state.metrics) {
        Ok(()) => HttpResponse::Ok()
            .content_type(OPENMETRICS)
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(text),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}
