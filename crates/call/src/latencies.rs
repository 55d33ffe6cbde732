//! Waits of callers: a histogram over all time, and percentiles of the last ones.
//!
//! A histogram can be added up over tasks; the percentiles are what a person wants to read of one
//! task. Both are told for each turn, so a lock costs nothing here.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::spectrum::Spectrum;

/// Waits that the percentiles are of.
const LAST: usize = 1024;

/// Upper limits of the histogram, in seconds: fine where a caller notices.
const BUCKETS: [f64; 14] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0];

/// A share of all waits, as a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Quantile {
    quantile: &'static str,
}

/// One kind of wait. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Latencies {
    histogram: Histogram,
    last: Arc<Mutex<VecDeque<f64>>>,
    spectrum: Arc<Mutex<Spectrum>>,
    percentiles: Family<Quantile, Gauge<f64, AtomicU64>>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            histogram: Histogram::new(BUCKETS),
            last: Arc::default(),
            spectrum: Arc::default(),
            percentiles: Family::default(),
        }
    }
}

impl Latencies {
    /// A caller waited so long.
    pub fn observe(&self, wait: Duration) {
        let seconds = wait.as_secs_f64();
        self.histogram.observe(seconds);
        self.spectrum.lock().unwrap_or_else(PoisonError::into_inner).observe(seconds);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == LAST {
            last.pop_front();
        }
        last.push_back(seconds);
    }

    /// The wait that so much of the last ones do not exceed: 0.5, 0.95 … `None` without any.
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<f64> = last.iter().copied().collect();
        drop(last);
        all.sort_by(f64::total_cmp);
        let rank = (share * all.len() as f64).ceil().max(1.0) as usize;
        all.get(rank - 1).copied()
    }

    /// All waits so far, in steps.
    pub fn spectrum(&self) -> Spectrum {
        self.spectrum.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Works the percentiles out, for whoever reads them now.
    pub(crate) fn settle(&self) {
        for (quantile, share) in [("0.5", 0.5), ("0.95", 0.95), ("0.99", 0.99)] {
            if let Some(seconds) = self.percentile(share) {
                self.percentiles.get_or_create(&Quantile { quantile }).set(seconds);
            }
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry, name: &str, help: &str) {
        registry.register_with_unit(name, help, Unit::Seconds, self.histogram.clone());
        let (name, help) = (format!("{name}_recent"), format!("{help}, of the last {LAST} turns"));
        registry.register_with_unit(name, help, Unit::Seconds, self.percentiles.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_last_waits() {
        let latencies = Latencies::default();
        assert_eq!(latencies.percentile(0.5), None);
        (0..500).for_each(|_| latencies.observe(Duration::from_secs(100)));
        (1..=LAST as u64).for_each(|ms| latencies.observe(Duration::from_millis(ms)));
        let near = |share: f64, seconds: f64| {
            latencies.percentile(share).is_some_and(|found| (found - seconds).abs() < 0.002)
        };
        assert!(near(0.5, 0.512) && near(0.95, 0.973) && near(0.99, 1.014));
    }
}
