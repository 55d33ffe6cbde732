//! Token counts: the service's usage reports as numbers that can be added up.
//!
//! Counters start at zero on every connection (`nova-sonic.md` §7), so whoever renews a stream
//! adds the deltas. Prices are not here.

use std::ops::{Add, AddAssign};

use serde_json::{Value, json};

/// Tokens by direction and kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TokenCounts {
    /// Speech heard.
    pub input_speech: u64,
    /// Text read: prompts, tools, history, tool results.
    pub input_text: u64,
    /// Speech spoken.
    pub output_speech: u64,
    /// Text written.
    pub output_text: u64,
}

impl TokenCounts {
    /// All tokens to the model.
    pub fn input(&self) -> u64 {
        self.input_speech.saturating_add(self.input_text)
    }

    /// All tokens from the model.
    pub fn output(&self) -> u64 {
        self.output_speech.saturating_add(self.output_text)
    }

    /// What was added since `earlier`; a counter that went back counts as zero.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            input_speech: self.input_speech.saturating_sub(earlier.input_speech),
            input_text: self.input_text.saturating_sub(earlier.input_text),
            output_speech: self.output_speech.saturating_sub(earlier.output_speech),
            output_text: self.output_text.saturating_sub(earlier.output_text),
        }
    }
}

impl Add for TokenCounts {
    type Output = Self;

    /// Saturates: a number out of the network must not panic.
    fn add(self, other: Self) -> Self {
        Self {
            input_speech: self.input_speech.saturating_add(other.input_speech),
            input_text: self.input_text.saturating_add(other.input_text),
            output_speech: self.output_speech.saturating_add(other.output_speech),
            output_text: self.output_text.saturating_add(other.output_text),
        }
    }
}

impl AddAssign for TokenCounts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// One usage report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Since the report before.
    pub delta: TokenCounts,
    /// Since this connection began.
    pub total: TokenCounts,
}

impl Usage {
    /// See [`to_service_json`].
    pub fn to_service_json(total: &TokenCounts) -> Value {
        to_service_json(total)
    }
}

/// Totals in the shape of the service's `usageEvent` (`nova-sonic.md` §3.1), without its ids and
/// without a delta: `{totalInputTokens, totalOutputTokens, totalTokens, details: {total: …}}`.
pub fn to_service_json(total: &TokenCounts) -> Value {
    json!({
        "totalInputTokens": total.input(),
        "totalOutputTokens": total.output(),
        "totalTokens": total.input().saturating_add(total.output()),
        "details": { "total": {
            "input": { "speechTokens": total.input_speech, "textTokens": total.input_text },
            "output": { "speechTokens": total.output_speech, "textTokens": total.output_text },
        }},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_over_connections() {
        let mut sum = TokenCounts { input_speech: 5, output_text: 2, ..Default::default() };
        sum += TokenCounts { input_speech: 1, input_text: 7, output_speech: 3, output_text: 1 };
        assert_eq!((sum.input(), sum.output()), (13, 6));
        let json = Usage::to_service_json(&sum);
        assert_eq!(json["totalTokens"], 19);
        assert_eq!(json["details"]["total"]["output"]["textTokens"], 3);
    }
}
