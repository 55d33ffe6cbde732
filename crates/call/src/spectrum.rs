//! How often which wait occurred, in steps of 7 %: what a percentile is worked out from.
//!
//! Finer than the histogram for Prometheus, and never larger than CloudWatch takes in one piece
//! (150 values, `ops.md` §1.8). It only grows; what happened between two moments is the difference
//! of two of them.

use std::collections::BTreeMap;

/// Shortest wait that is told apart, in seconds.
const SHORTEST: f64 = 0.01;

/// Longest wait that is told apart, in seconds.
const LONGEST: f64 = 120.0;

/// One step to the next. A value is off by half a step at most.
const STEP: f64 = 1.07;

/// Waits, and how often each occurred.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spectrum(BTreeMap<u16, u64>);

impl Spectrum {
    /// A wait of so many seconds.
    pub fn observe(&mut self, seconds: f64) {
        let seconds = if seconds.is_nan() { LONGEST } else { seconds.clamp(SHORTEST, LONGEST) };
        let step = ((seconds / SHORTEST).ln() / STEP.ln()).round();
        *self.0.entry(step as u16).or_default() += 1;
    }

    /// What was observed since `earlier`, an older copy of this one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |step| earlier.0.get(step).copied().unwrap_or(0);
        let grown = self.0.iter().map(|(step, count)| (*step, count.saturating_sub(before(step))));
        Self(grown.filter(|(_, count)| *count > 0).collect())
    }

    /// Takes in what another one has.
    pub fn merge(&mut self, other: &Self) {
        for (step, count) in &other.0 {
            *self.0.entry(*step).or_default() += count;
        }
    }

    /// The waits in seconds, rising, each with how often it occurred.
    pub fn values(&self) -> impl Iterator<Item = (f64, u64)> {
        // Nobody wants to read more digits than are meant.
        let seconds = |step: u16| (SHORTEST * STEP.powi(step.into()) * 1000.0).round() / 1000.0;
        self.0.iter().map(move |(step, count)| (seconds(*step), *count))
    }

    /// How many waits there are in all.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(waits: impl IntoIterator<Item = f64>) -> Spectrum {
        let mut spectrum = Spectrum::default();
        waits.into_iter().for_each(|wait| spectrum.observe(wait));
        spectrum
    }

    #[test]
    fn a_value_is_off_by_half_a_step_at_most() {
        for ms in 10..20_000 {
            let wait = f64::from(ms) / 1000.0;
            let (found, count) = of([wait]).values().next().expect("one value");
            assert!((found / wait).ln().abs() < STEP.ln() / 2.0 + 0.05, "{wait} became {found}");
            assert_eq!(count, 1);
        }
    }

    #[test]
    fn whatever_is_observed_it_fits_into_one_datum() {
        let all = of((0..2_000_000).map(|n| f64::from(n) / 10_000.0));
        assert!(all.values().count() <= 150, "{} values", all.values().count());
        assert!(all.values().all(|(seconds, _)| seconds.is_finite()));
        let odd = of([f64::NAN, f64::INFINITY, -1.0, 0.0]);
        assert_eq!(odd.count(), 4);
        assert!(odd.values().all(|(seconds, _)| (SHORTEST..=LONGEST * STEP).contains(&seconds)));
    }

    #[test]
    fn a_difference_and_its_base_make_the_whole() {
        let before = of([0.5, 0.5, 2.0]);
        let mut after = before.clone();
        [0.5, 1.0].into_iter().for_each(|wait| after.observe(wait));
        let between = after.since(&before);
        assert_eq!(between, of([0.5, 1.0]));
        let mut whole = before.clone();
        whole.merge(&between);
        assert_eq!(whole, after);
        assert_eq!(after.since(&after), Spectrum::default());
    }
}
