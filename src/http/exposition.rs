//! The text of `/metrics`: what the process counts, in the OpenMetrics format.
//!
//! Read by Prometheus through `probes`, and by `crate::metrics`, which tells CloudWatch.

use std::sync::atomic::Ordering;

use prometheus_client::{encoding::text::encode, registry::Registry};
use voice_call::Meters;

use crate::telemetry::outlet;

/// Prefix of every metric's name.
const PREFIX: &str = "voice_s2s";

/// All meters under their names.
#[derive(Debug)]
pub(crate) struct Exposition {
    meters: Meters,
    registry: Registry,
}

impl Exposition {
    pub(crate) fn of(meters: &Meters) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        meters.register(&mut registry);
        Self { meters: meters.clone(), registry }
    }

    /// How everything stands now.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        self.meters.settle();
        self.meters.log_lines_lost.inner().store(outlet::lost(), Ordering::Relaxed);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
