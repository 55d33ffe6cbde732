//! Everything that is answered over HTTP: the routes, and what they share.
//!
//! The page and the API are plain requests; `/sonic` upgrades and hands over to the engine.

mod api;
mod body;
mod door;
mod drain;
mod error;
mod exposition;
mod feedback;
mod frames;
pub(crate) mod guard;
pub(crate) mod headers;
mod history;
mod monitor;
mod openapi;
mod operator;
mod pages;
mod probes;
mod routes;
mod setup;
pub(crate) mod socket;
#[cfg(test)]
mod tests;
mod ticket;

use std::{path::Path, sync::Arc};

use actix_web::web::{self, ServiceConfig};
use voice_actors::{Engine, Identity, Registry};
use voice_archive::{Archive, Monitor, history::History};
use voice_call::Meters;
use voice_catalog::{Catalog, Problem};
use voice_langfuse::Traces;
use voice_sonic::ModelFamily;

pub(crate) use self::exposition::Exposition;
use crate::{access::Access, setup::Part, wiring::AwsStatus};

/// What the routes of all workers share.
pub(crate) struct State {
    pub(crate) access: Access,
    pub(crate) engine: Engine,
    pub(crate) registry: Registry,
    pub(crate) catalog: Catalog,
    pub(crate) meters: Meters,
    pub(crate) identity: Identity,
    pub(crate) status: AwsStatus,
    pub(crate) model: ModelFamily,
    /// Who hears what happens in calls; absent when nobody does.
    pub(crate) archive: Option<Arc<Archive>>,
    /// The session logs; absent when none are kept.
    pub(crate) history: Option<History>,
    /// The live view of calls.
    pub(crate) monitor: Monitor,
    /// What is configured.
    pub(crate) setup: Vec<Part>,
    /// What was to be looked at in the files at the start.
    pub(crate) warnings: Vec<Problem>,
    /// The traces; absent when there are none.
    pub(crate) traces: Option<Arc<Traces>>,
    pub(crate) metrics: Arc<Exposition>,
}

/// The routes of one worker.
pub(crate) fn routes(config: &mut ServiceConfig, state: Arc<State>, static_dir: &Path) {
    config
        .app_data(web::Data::from(state))
        .app_data(web::PathConfig::default().error_handler(|_, _| error::not_found().into()))
        .app_data(web::QueryConfig::default().error_handler(|e, _| error::bad_query(e).into()))
        .service(web::resource("/sonic").to(socket::upgrade))
        .service(web::resource("/monitor").to(monitor::upgrade))
        .service(web::resource("/health").route(web::get().to(probes::health)))
        .service(web::resource("/ready").route(web::get().to(probes::ready)))
        .service(web::resource("/metrics").route(web::get().to(probes::metrics)))
        .service(api::scope())
        .service(pages::files(static_dir));
}
