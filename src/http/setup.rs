//! `/api/setup`: what is configured, what is missing, and what is wrong with the files.

use actix_web::{HttpResponse, Responder, web::Data};
use serde_json::json;

use super::State;

/// Everything the setup page shows.
pub(super) async fn report(state: Data<State>) -> impl Responder {
    let catalog = state.catalog.current();
    let problems = match &catalog.refused {
        Some(refused) => &refused.problems.0,
        None => &state.warnings,
    };
    HttpResponse::Ok().json(json!({
        "version": state.identity.version,
        "backend": state.identity.backend,
        "model": state.status.to_json().await,
        "parts": state.setup,
        "catalog": {
            "hash": catalog.snapshot.hash(),
            "generation": catalog.generation,
            "loadedAt": catalog.loaded_at.to_string(),
            "refusedAt": catalog.refused.as_ref().map(|refused| refused.at.to_string()),
            "tools": catalog.snapshot.tools().len(),
            "workflows": catalog.snapshot.workflows().len(),
            "prompts": catalog.snapshot.prompts().len(),
            "problems": problems,
        },
    }))
}
