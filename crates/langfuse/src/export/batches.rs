//! Which spans are sent together, and what follows from an answer. A machine: no clock, no I/O.
//!
//! ```text
//!            taken ──▶ gone                      too busy, not there ──▶ once more, after a pause
//! batch ──▶
//!            refused ──▶ halved, and again, until the one that is at fault stands alone: it goes
//! ```
//!
//! One bad span has Langfuse refuse all that came with it (`ops.md` §4.1); here it takes none along.

use std::time::Duration;

use voice_archive::Pauses;

/// What the far side made of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has them, but for so many.
    Taken {
        /// Spans that it did not want.
        rejected: u64,
    },
    /// Something in it is wrong.
    Refused,
    /// It cannot take it now; perhaps it said when.
    Later(Option<Duration>),
}

/// What follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Items that have arrived.
    pub(crate) sent: u64,
    /// Items that nobody wants.
    pub(crate) rejected: u64,
    /// How long to wait before the next batch.
    pub(crate) pause: Option<Duration>,
}

/// The batches that have to be sent once more.
#[derive(Debug)]
pub(crate) struct Batches<T> {
    again: Vec<Vec<T>>,
    failures: u32,
    pauses: Pauses,
}

/// Longest pause that the far side may ask for.
const LONGEST_WISH: Duration = Duration::from_secs(60);

impl<T> Batches<T> {
    pub(crate) fn new(pauses: Pauses) -> Self {
        Self { again: Vec::new(), failures: 0, pauses }
    }

    /// A batch that comes before any new one.
    pub(crate) fn next(&mut self) -> Option<Vec<T>> {
        self.again.pop()
    }

    /// The far side answered.
    pub(crate) fn answered(&mut self, mut batch: Vec<T>, verdict: Verdict) -> Step {
        let count = batch.len() as u64;
        match verdict {
            Verdict::Taken { rejected } => {
                self.failures = 0;
                let rejected = rejected.min(count);
                Step { sent: count - rejected, rejected, pause: None }
            }
            Verdict::Refused => {
                self.failures = 0;
                if batch.len() < 2 {
                    return Step { rejected: count, ..Step::default() };
                }
                let second = batch.split_off(batch.len() / 2);
                self.again.extend([second, batch]);
                Step::default()
            }
            Verdict::Later(wish) => {
                self.failures = self.failures.saturating_add(1);
                self.again.push(batch);
                let pause = self.pauses.after(self.failures);
                let wish = wish.unwrap_or_default().min(LONGEST_WISH);
                Step { pause: Some(pause.max(wish)), ..Step::default() }
            }
        }
    }

    /// How often in a row it could not take anything.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAKEN: Verdict = Verdict::Taken { rejected: 0 };

    /// Sends all, to a far side that refuses every batch with a bad item in it.
    fn send(items: Vec<u32>, is_bad: impl Fn(u32) -> bool) -> (Vec<u32>, u64, usize) {
        let mut batches = Batches::new(Pauses::default());
        let (mut arrived, mut rejected, mut requests) = (Vec::new(), 0, 0);
        let mut next = Some(items);
        while let Some(batch) = next.take().or_else(|| batches.next()) {
            requests += 1;
            let refused = batch.iter().any(|item| is_bad(*item));
            if !refused {
                arrived.extend(&batch);
            }
            let step = batches.answered(batch, if refused { Verdict::Refused } else { TAKEN });
            rejected += step.rejected;
            assert_eq!(step.pause, None);
        }
        (arrived, rejected, requests)
    }

    #[test]
    fn one_bad_span_takes_none_along() {
        let (arrived, rejected, requests) = send((0..128).collect(), |item| item == 77);
        assert_eq!((arrived.len(), rejected), (127, 1));
        assert!(arrived.is_sorted(), "in order");
        assert!(requests < 20, "{requests} requests");
    }

    #[test]
    fn a_far_side_that_cannot_take_it_gets_it_later() {
        let pauses = Pauses { first: Duration::from_millis(100), longest: Duration::from_secs(10) };
        let mut batches = Batches::new(pauses);
        let step = batches.answered(vec![1, 2], Verdict::Later(None));
        assert!(step.pause.is_some_and(|pause| pause <= Duration::from_millis(100)));
        let batch = batches.next().expect("it is kept");
        let wish = Duration::from_secs(7);
        let step = batches.answered(batch, Verdict::Later(Some(wish)));
        assert_eq!((step.pause, batches.failures()), (Some(wish), 2));
        let batch = batches.next().expect("it is kept");
        let step = batches.answered(batch, Verdict::Later(Some(Duration::from_secs(86_400))));
        assert_eq!(step.pause, Some(LONGEST_WISH));
        let batch = batches.next().expect("it is kept");
        let step = batches.answered(batch, Verdict::Taken { rejected: 1 });
        assert_eq!((step.sent, step.rejected, batches.failures()), (1, 1, 0));
        assert!(batches.next().is_none());
    }

    proptest! {
        #[test]
        fn every_item_arrives_or_is_at_fault(
            bad in proptest::collection::vec(any::<bool>(), 1..200),
        ) {
            let items = (0..u32::try_from(bad.len()).expect("few")).collect();
            let (arrived, rejected, _) = send(items, |item| bad[item as usize]);
            let good: Vec<u32> = (0..).zip(&bad).filter(|(_, bad)| !**bad).map(|(n, _)| n).collect();
            prop_assert_eq!(rejected as usize + good.len(), bad.len());
            prop_assert_eq!(arrived, good);
        }
    }
}
