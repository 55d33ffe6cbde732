//! The families of Nova Sonic models, and what each can do.
//!
//! A model id is configuration; everything in this crate asks the family instead. Not here:
//! which region offers which model. The session machine and the server's configuration call it.

use std::fmt;

/// A generation of Nova Sonic (`nova-sonic.md` §3.10, §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ModelFamily {
    /// `amazon.nova-sonic-v1:0`. Retired by AWS in September 2026.
    Sonic1,
    /// `amazon.nova-2-sonic-v1:0`.
    #[default]
    Sonic2,
    /// `amazon.nova-2-5-sonic`.
    Sonic2_5,
}

impl ModelFamily {
    /// Finds the family of a model id, an ARN, or an id with a region prefix.
    ///
    /// An id that names no known family counts as [`ModelFamily::Sonic2`]: later models have
    /// kept its events so far.
    pub fn from_model_id(id: &str) -> Self {
        let id = id.to_ascii_lowercase();
        if id.contains("nova-2-5-sonic") || id.contains("nova-2.5-sonic") {
            Self::Sonic2_5
        } else if id.contains("nova-sonic") {
            Self::Sonic1
        } else {
            Self::Sonic2
        }
    }

    /// Whether `sessionStart` may carry `turnDetectionConfiguration` (§2.1).
    pub fn has_turn_detection(self) -> bool {
        self != Self::Sonic1
    }

    /// Whether interactive text makes the assistant answer (§2.7). Without it a greeting needs a
    /// spoken cue (§2.8), which is outside of this crate.
    pub fn has_text_trigger(self) -> bool {
        self != Self::Sonic1
    }

    /// Whether the service reports `userSpeechStart` and `userSpeechEnd` (§3.2).
    pub fn has_user_speech_events(self) -> bool {
        self != Self::Sonic1
    }

    /// Whether the conversation goes on while a tool runs (§2.9).
    pub fn has_asynchronous_tools(self) -> bool {
        self != Self::Sonic1
    }

    /// A short name for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sonic1 => "nova-sonic-1",
            Self::Sonic2 => "nova-sonic-2",
            Self::Sonic2_5 => "nova-sonic-2.5",
        }
    }
}

impl fmt::Display for ModelFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_ids_lead_to_their_family() {
        let cases = [
            ("amazon.nova-sonic-v1:0", ModelFamily::Sonic1),
            ("amazon.nova-2-sonic-v1:0", ModelFamily::Sonic2),
            ("amazon.nova-2-5-sonic", ModelFamily::Sonic2_5),
            ("us.amazon.nova-2-sonic-v1:0", ModelFamily::Sonic2),
            (
                "arn:aws:bedrock:eu-north-1::foundation-model/amazon.nova-2-5-sonic",
                ModelFamily::Sonic2_5,
            ),
            ("amazon.nova-9-sonic", ModelFamily::Sonic2),
            ("", ModelFamily::Sonic2),
        ];
        for (id, family) in cases {
            assert_eq!(ModelFamily::from_model_id(id), family, "{id}");
        }
    }
}
