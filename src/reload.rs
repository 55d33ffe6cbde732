//! Takes changed tools, workflows and prompts into service while calls go on.
//!
//! The catalog decides what is taken (`voice_catalog::Catalog`); here is the clock, the log and
//! the count. Started by [`crate::Server::build`], ended with the server.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinHandle, time::MissedTickBehavior};
use voice_call::{Meters, meters::ReasonLabel};
use voice_catalog::{Catalog, Reload};
use voice_langfuse::{Prompts, Refreshed};

/// Asks Langfuse for changed prompts every `interval` until it is aborted. The first question was
/// the start of the server's.
pub(crate) fn start_refreshing(
    catalog: Catalog,
    prompts: Arc<Prompts>,
    interval: Duration,
    meters: Meters,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(interval.max(Duration::from_millis(10))).await;
            let refreshed = prompts.refresh().await;
            let (reason, changed) = match &refreshed {
                Refreshed::Unchanged => ("unchanged", false),
                Refreshed::Changed => ("changed", true),
                Refreshed::Failed { why, changed } => {
                    tracing::warn!(why, "Langfuse's prompts: the last ones are used");
                    ("failed", *changed)
                }
            };
            meters.prompt_refreshes.get_or_create(&ReasonLabel { reason }).inc();
            if changed {
                report(&catalog.judge_again().await, &catalog, &meters);
            }
        }
    })
}

/// Looks at the files every `interval` until it is aborted.
pub(crate) fn start(catalog: Catalog, interval: Duration, meters: Meters) -> JoinHandle<()> {
    tokio::spawn(async move {
        // An interval of zero is none.
        let mut clock = tokio::time::interval(interval.max(Duration::from_millis(1)));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            report(&catalog.poll().await, &catalog, &meters);
        }
    })
}

fn report(outcome: &Reload, catalog: &Catalog, meters: &Meters) {
    let count = |reason| {
        meters.catalog_reloads.get_or_create(&ReasonLabel { reason }).inc();
    };
    match outcome {
        Reload::Unchanged => {}
        Reload::Swapped { warnings } => {
            count("swapped");
            let current = catalog.current();
            let snapshot = &current.snapshot;
            tracing::info!(
                generation = current.generation,
                tools = snapshot.tools().len(),
                workflows = snapshot.workflows().len(),
                prompts = snapshot.prompts().len(),
                "changed files taken: new calls use them"
            );
            for warning in warnings {
                tracing::warn!("{warning}");
            }
        }
        Reload::Refused(problems) => {
            count("refused");
            tracing::error!(
                errors = problems.errors(),
                "changed files have errors: new calls go on with the old ones\n{problems}"
            );
        }
    }
    if *outcome != Reload::Unchanged {
        meters.catalog_stale.set(catalog.current().refused.is_some().into());
    }
}
