//! `/api`: what the pages ask, and what little they do: hang up, drain, and say what callers think
//! (`contract.md` §3).

use actix_web::{
    HttpResponse, Responder,
    dev::HttpServiceFactory,
    http::header::CACHE_CONTROL,
    middleware::DefaultHeaders,
    web::{self, Data, Path},
};
use serde::Serialize;
use serde_json::{Value, json};
use voice_catalog::{Prompt, PromptKind};

use super::{
    State, drain,
    error::{Refused, not_found},
    feedback, history, openapi, operator, setup, ticket,
};

/// The routes below `/api`; an unknown one is a JSON 404.
pub(super) fn scope() -> impl HttpServiceFactory {
    web::scope("/api")
        .wrap(DefaultHeaders::new().add((CACHE_CONTROL, "no-store")))
        .route("/auth", web::get().to(ticket::whoami))
        .route("/openapi.json", web::get().to(openapi::document))
        .service(
            web::resource("/ticket")
                .app_data(web::PayloadConfig::new(ticket::MAX_BODY))
                .route(web::post().to(ticket::issue)),
        )
        .route("/version", web::get().to(version))
        .route("/voices", web::get().to(voices))
        .route("/personas", web::get().to(personas))
        .route("/prompts", web::get().to(prompts))
        .route("/tools", web::get().to(tools))
        .route("/workflows", web::get().to(workflows))
        .route("/workflow/{id}", web::get().to(workflow))
        .route("/history", web::get().to(history::list))
        .route("/history/{name}", web::get().to(history::file))
        .route("/calls", web::get().to(operator::calls))
        .route("/calls/{id}", web::delete().to(operator::hang_up))
        .route("/setup", web::get().to(setup::report))
        .service(
            web::resource("/drain")
                .route(web::get().to(drain::show))
                .route(web::post().to(drain::begin))
                .route(web::delete().to(drain::cancel)),
        )
        .route("/system/status", web::get().to(status))
        .service(feedback::resource())
        .default_service(web::to(|| async { Err::<HttpResponse, _>(not_found()) }))
}

/// Something to choose from.
#[derive(Serialize)]
struct Choice<'a> {
    id: &'a str,
    name: &'a str,
}

async fn version(state: Data<State>) -> impl Responder {
    HttpResponse::Ok().json(&state.identity.version)
}

async fn voices(state: Data<State>) -> impl Responder {
    let voices = voice_sonic::voices::voices(state.model).iter();
    HttpResponse::Ok()
        .json(voices.map(|voice| Choice { id: voice.id, name: voice.name }).collect::<Vec<_>>())
}

async fn personas(state: Data<State>) -> impl Responder {
    let catalog = state.catalog.snapshot();
    let choice = |persona: &'_ Prompt| json!({"id": persona.id, "name": persona.name});
    HttpResponse::Ok().json(catalog.personas().map(choice).collect::<Vec<_>>())
}

async fn prompts(state: Data<State>) -> impl Responder {
    let catalog = state.catalog.snapshot();
    let shown = catalog.prompts().iter().filter(|p| p.kind != PromptKind::Hidden);
    let prompt = |prompt: &Prompt| {
        json!({"id": prompt.id, "name": prompt.name, "content": prompt.content,
            "source": prompt.origin.as_str(), "version": prompt.origin.version(),
            "config": prompt.config})
    };
    HttpResponse::Ok().json(shown.map(prompt).collect::<Vec<_>>())
}

async fn tools(state: Data<State>) -> impl Responder {
    let catalog = state.catalog.snapshot();
    let raw: Vec<&Value> = catalog.tools().iter().map(|tool| tool.raw()).collect();
    HttpResponse::Ok().json(raw)
}

async fn workflows(state: Data<State>) -> impl Responder {
    let catalog = state.catalog.snapshot();
    let brief =
        |w: &voice_catalog::Workflow| json!({"id": w.id, "name": w.name, "filename": w.filename});
    HttpResponse::Ok().json(catalog.workflows().iter().map(brief).collect::<Vec<_>>())
}

/// The id is looked up in memory; it never reaches the file system.
async fn workflow(state: Data<State>, id: Path<String>) -> Result<HttpResponse, Refused> {
    let catalog = state.catalog.snapshot();
    let found = catalog.workflow(&id).ok_or_else(not_found)?;
    Ok(HttpResponse::Ok().json(found.raw()))
}

async fn status(state: Data<State>) -> impl Responder {
    HttpResponse::Ok().json(state.status.to_json().await)
}
