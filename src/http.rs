//! Everything that is answered over HTTP: the routes, and what they share.
//!
//! The page and the API are plain requests; `/sonic` upgrades and hands over to the engine.

mod api;
mod drain;
mod error;
mod frames;
pub(crate) mod headers;
mod history;
mod pages;
mod probes;
pub(crate) mod socket;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc};

use actix_web::web::{self, ServiceConfig};
use prometheus_client::registry::Registry as MetricsRegistry;
use voice_actors::{Engine, Identity, Registry};
use voice_archive::history::History;
use voice_call::Meters;
use voice_catalog::Catalog;
use voice_sonic::ModelFamily;

use crate::wiring::AwsStatus;

/// Prefix of every metric's name.
const METRICS_PREFIX: &str = "voice_s2s";

/// What the routes of all workers share.
pub(crate) struct State {
    pub(crate) engine: Engine,
    pub(crate) registry: Registry,
    pub(crate) catalog: Catalog,
    pub(crate) meters: Meters,
    pub(crate) identity: Identity,
    pub(crate) status: AwsStatus,
    pub(crate) model: ModelFamily,
    /// The session logs; absent when none are kept.
    pub(crate) history: Option<History>,
    pub(crate) metrics: MetricsRegistry,
}

/// All meters under their names.
pub(crate) fn metrics_of(meters: &Meters) -> MetricsRegistry {
    let mut metrics = MetricsRegistry::with_prefix(METRICS_PREFIX);
    meters.register(&mut metrics);
    metrics
}

/// The routes of one worker.
pub(crate) fn routes(config: &mut ServiceConfig, state: Arc<State>, static_dir: &Path) {
    config
        .app_data(web::Data::from(state))
        .app_data(web::PathConfig::default().error_handler(|_, _| error::not_found().into()))
        .service(web::resource("/sonic").to(socket::upgrade))
        .service(web::resource("/health").route(web::get().to(probes::health)))
        .service(web::resource("/ready").route(web::get().to(probes::ready)))
        .service(web::resource("/metrics").route(web::get().to(probes::metrics)))
        .service(api::scope())
        .service(pages::files(static_dir));
}
