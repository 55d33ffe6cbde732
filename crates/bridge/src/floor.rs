//! Who has the floor: when a prompt was being played, and what becomes of what the caller said
//! meanwhile.
//!
//! A machine in the time of the clock: Connect plays a prompt between an answer and the next
//! question, and what the caller says carries the moment at which it was said, so it can be told
//! from what was said afterwards although it arrives a second late. Called by the call.

use std::{collections::VecDeque, time::Duration};

/// Prompts that are remembered: the caller's voice is late by seconds, not by minutes.
const REMEMBERED: usize = 16;
/// Fetching and starting a prompt takes Connect so long at most.
const START: Duration = Duration::from_secs(2);

/// What becomes of what a caller says while a prompt is played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DuringPrompt {
    /// It is heard, and answered next; what was left of the reply is dropped.
    #[default]
    Keep,
    /// It is not heard: on lines where the prompt comes back as an echo.
    Drop,
}

/// The prompts of one call.
#[derive(Debug)]
pub(crate) struct Floor {
    policy: DuringPrompt,
    /// From when to when, in milliseconds since 1970.
    prompts: VecDeque<(u64, u64)>,
}

impl Floor {
    pub(crate) fn new(policy: DuringPrompt) -> Self {
        Self { policy, prompts: VecDeque::new() }
    }

    /// A prompt of this length is about to be played.
    pub(crate) fn prompt(&mut self, now_ms: u64, duration: Duration) {
        let most = u64::try_from((duration + START).as_millis()).unwrap_or(u64::MAX / 2);
        self.prompts.push_back((now_ms, now_ms + most));
        if self.prompts.len() > REMEMBERED {
            self.prompts.pop_front();
        }
    }

    /// The flow asks again: the prompt is over.
    pub(crate) fn asked(&mut self, now_ms: u64) {
        if let Some((_, end)) = self.prompts.back_mut() {
            *end = now_ms.min(*end);
        }
    }

    /// Whether what the caller said at this moment is heard.
    pub(crate) fn hears(&self, at_ms: u64) -> bool {
        let is_prompt = |(begin, end): &(u64, u64)| (*begin..*end).contains(&at_ms);
        self.policy == DuringPrompt::Keep || !self.prompts.iter().any(is_prompt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_during_a_prompt_is_dropped_if_so_wished_and_only_that() {
        let mut floor = Floor::new(DuringPrompt::Drop);
        floor.prompt(10_000, Duration::from_secs(3));
        assert!(floor.hears(9_999) && !floor.hears(10_000) && !floor.hears(14_999));
        assert!(floor.hears(15_000), "a flow that never asks again is not waited for");
        floor.asked(13_200);
        assert!(!floor.hears(13_199) && floor.hears(13_200));
        floor.prompt(20_000, Duration::from_secs(1));
        // What was said during the first one arrives late.
        assert!(!floor.hears(12_000) && !floor.hears(20_500));
    }

    #[test]
    fn all_is_heard_if_so_wished() {
        let mut floor = Floor::new(DuringPrompt::Keep);
        floor.prompt(10_000, Duration::from_secs(3));
        assert!(floor.hears(11_000));
    }
}
