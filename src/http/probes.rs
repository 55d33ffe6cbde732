//! `/health`, `/ready` and `/metrics`: for load balancers, people and Prometheus.

use actix_web::{
    HttpResponse, Responder,
    http::{StatusCode, header},
    web::Data,
};
use serde_json::{Value, json};
use voice_actors::drain::Phase;

use super::{State, drain};

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

/// Whether new calls are welcome, and every reason why not. For people, tests and orchestrators
/// that take a task out of rotation without ending it. A load balancer that ends a task which fails
/// must ask `/health` (`ops.md` §1.2).
pub(super) async fn ready(state: Data<State>) -> impl Responder {
    let drain = state.registry.drain_state();
    let full = state.registry.is_full();
    let reasons = reasons(Facts {
        draining: drain.phase != Phase::Open,
        full,
        catalog_refused: state.catalog.current().refused.is_some(),
        credentials: state.status.has_credentials().await,
    });
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let active = state.registry.active();
    HttpResponse::build(status).insert_header((header::CACHE_CONTROL, "no-store")).json(json!({
        "ready": ready,
        "reasons": reasons,
        "draining": drain.phase != Phase::Open,
        "drain": drain::describe(drain, active),
        "full": full,
        "maxCalls": state.registry.max_calls(),
        "activeCalls": active,
        "backend": state.identity.backend,
        "catalog": catalog(&state),
    }))
}

/// What readiness depends on.
struct Facts {
    draining: bool,
    full: bool,
    catalog_refused: bool,
    credentials: bool,
}

/// Why new calls are not welcome.
fn reasons(facts: Facts) -> Vec<&'static str> {
    [
        (facts.draining, "draining"),
        (facts.full, "full"),
        (facts.catalog_refused, "invalid_catalog"),
        (!facts.credentials, "no_credentials"),
    ]
    .into_iter()
    .filter_map(|(holds, reason)| holds.then_some(reason))
    .collect()
}

/// Which tools, workflows and prompts new calls get, and why changed files were not taken. Calls
/// that come all the same are served with what was served before.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_named_and_none_hides_another() {
        let well =
            || Facts { draining: false, full: false, catalog_refused: false, credentials: true };
        assert!(reasons(well()).is_empty());
        assert_eq!(reasons(Facts { draining: true, ..well() }), ["draining"]);
        assert_eq!(reasons(Facts { full: true, ..well() }), ["full"]);
        assert_eq!(reasons(Facts { catalog_refused: true, ..well() }), ["invalid_catalog"]);
        assert_eq!(reasons(Facts { credentials: false, ..well() }), ["no_credentials"]);
        let ill = Facts { draining: true, full: true, catalog_refused: true, credentials: false };
        assert_eq!(reasons(ill).len(), 4);
    }
}
