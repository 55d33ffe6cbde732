//! Faults by chance, the same in every run with the same seed.

use std::str::FromStr;
use std::time::Duration;

use super::{ExceptionKind, Fault, FaultKind, FaultMoment, FaultScope, Refusal};

/// How many sessions of a hundred are struck, unless told otherwise.
const PERCENT: u8 = 10;

/// Messages of exceptions that the real service sends when it is not well.
const UNWELL: [(ExceptionKind, &str); 8] = [
    (ExceptionKind::ModelStreamError, "The model's stream broke. Try your request again."),
    (ExceptionKind::InternalServer, "The system encountered an unexpected error."),
    (ExceptionKind::Throttling, "Too many requests, please wait before trying again."),
    (ExceptionKind::ServiceUnavailable, "The service is temporarily unavailable."),
    (ExceptionKind::ModelTimeout, "Model has timed out in processing the request."),
    (ExceptionKind::Validation, "System instability detected. Please retry your request."),
    (
        ExceptionKind::Validation,
        "InternalErrorCode=531::RST_STREAM closed stream. HTTP/2 error code: NO_ERROR",
    ),
    (ExceptionKind::Validation, "This request has been blocked by our content filters."),
];

/// Faults by chance: a session is struck with a certain probability, by any fault at any moment.
///
/// What strikes session number n depends on the seed and on n alone. Written `SEED` or
/// `SEED:PERCENT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chaos {
    /// Where chance begins.
    pub seed: u64,
    /// How many sessions of a hundred are struck.
    pub percent: u8,
}

/// A text is no [`Chaos`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not SEED or SEED:PERCENT, such as 7 or 7:25 (the percentage is at most 100)")]
pub struct BadChaos(String);

impl FromStr for Chaos {
    type Err = BadChaos;

    fn from_str(text: &str) -> Result<Self, BadChaos> {
        let bad = || BadChaos(text.to_owned());
        let (seed, percent) = match text.split_once(':') {
            Some((seed, percent)) => (seed, percent.parse().map_err(|_| bad())?),
            None => (text, PERCENT),
        };
        if percent > 100 {
            return Err(bad());
        }
        Ok(Self { seed: seed.parse().map_err(|_| bad())?, percent })
    }
}

impl Chaos {
    /// What strikes session number `ordinal`, if anything.
    pub(crate) fn strike(self, ordinal: u64) -> Option<Fault> {
        let mut dice = Dice(self.seed.wrapping_add(ordinal.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        if dice.roll(100) >= u64::from(self.percent) {
            return None;
        }
        let (moment, kind) = match dice.roll(3) {
            0 => (FaultMoment::AtOpen, at_open(&mut dice)),
            _ => (midway(&mut dice), under_way(&mut dice)),
        };
        Some(Fault { moment, kind, scope: FaultScope::Every })
    }
}

fn midway(dice: &mut Dice) -> FaultMoment {
    match dice.roll(3) {
        0 => FaultMoment::AfterEvents(dice.roll(60) + 1),
        1 => FaultMoment::AfterAudio(Duration::from_millis(dice.roll(6_000) + 1)),
        _ => FaultMoment::MidTurn(dice.roll(3) as u32 + 1),
    }
}

fn at_open(dice: &mut Dice) -> FaultKind {
    match dice.roll(9) {
        0 => FaultKind::Refuse(Refusal::Throttling),
        1 => FaultKind::Refuse(Refusal::ModelNotReady),
        2 => FaultKind::Refuse(Refusal::InternalServer),
        3 => FaultKind::Refuse(Refusal::ServiceUnavailable),
        4 => FaultKind::Refuse(Refusal::ExpiredToken),
        5 => FaultKind::HangHead,
        6 => FaultKind::SlowHead(Duration::from_millis(dice.roll(3_000) + 1)),
        7 => FaultKind::ResetStream,
        _ => FaultKind::CutConnection,
    }
}

fn under_way(dice: &mut Dice) -> FaultKind {
    match dice.roll(12) {
        0 => FaultKind::ResetStream,
        1 => FaultKind::CutConnection,
        2 => FaultKind::HalfFrame,
        3 => FaultKind::Hang,
        4 => FaultKind::Deaf(Duration::from_millis(dice.roll(5_000) + 1)),
        5 => FaultKind::Garbage(dice.roll(u64::MAX).to_be_bytes().repeat(8)),
        6 => FaultKind::UnknownEvent,
        7 => FaultKind::SilentEnd,
        _ => {
            let (kind, message) = UNWELL[dice.roll(UNWELL.len() as u64) as usize];
            FaultKind::Exception { kind, message: message.to_owned() }
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn chance_is_the_same_in_every_run_and_as_frequent_as_told() {
        let chaos: Chaos = "7:25".parse().unwrap();
        let strikes = |chaos: Chaos| -> Vec<_> { (1..=2_000).map(|n| chaos.strike(n)).collect() };
        assert_eq!(strikes(chaos), strikes(chaos));
        let struck = strikes(chaos).iter().flatten().count();
        assert!((400..600).contains(&struck), "{struck} of 2000");
        assert_ne!(strikes(chaos), strikes(Chaos { seed: 8, ..chaos }));
        assert_eq!(strikes(Chaos { percent: 0, ..chaos }).iter().flatten().count(), 0);
        let all = strikes(Chaos { percent: 100, ..chaos });
        assert_eq!(all.iter().flatten().count(), 2_000);
        let kinds: BTreeSet<String> = all
            .iter()
            .flatten()
            .map(|fault| format!("{:?}", fault.kind).chars().take(14).collect())
            .collect();
        assert!(kinds.len() >= 11, "{kinds:?}");
    }

    #[test]
    fn a_chaos_is_written_as_seed_and_percentage() {
        assert_eq!("7".parse(), Ok(Chaos { seed: 7, percent: 10 }));
        assert_eq!("0:100".parse(), Ok(Chaos { seed: 0, percent: 100 }));
        for bad in ["", "x", "7:", "7:101", "7:-1", ":5", "7:5:5"] {
            let error = bad.parse::<Chaos>().unwrap_err();
            assert!(error.to_string().contains("SEED:PERCENT"), "{bad}");
        }
    }
}
