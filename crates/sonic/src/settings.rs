//! What one session is opened with. All of it is fixed for the life of the stream
//! (`nova-sonic.md` §2.2): another voice, tool or instruction means another stream.
//!
//! The engine fills it in; [`crate::Session::new`] consumes it. A value that the service would
//! refuse never reaches it: see [`SessionSettings::sanitise`].

use std::{collections::HashSet, fmt, str::FromStr, sync::Arc};

use serde_json::{Value, json};
use voice_call::SampleRate;

use crate::{ModelFamily, Speaker};

/// The voice used when none is named: every family has it.
pub const DEFAULT_VOICE: &str = "matthew";

/// The instruction used when none is given, since the service demands a SYSTEM text (§2.5).
pub const DEFAULT_SYSTEM_PROMPT: &str = "You are a friendly assistant in a spoken conversation. \
     Answer briefly, in two or three sentences.";

/// Everything that opens a session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionSettings {
    /// Which generation of the model.
    pub model: ModelFamily,
    /// Sampling.
    pub inference: Inference,
    /// How soon a pause ends the user's turn; `None` leaves it to the service. Not sent to
    /// families without turn detection.
    pub sensitivity: Option<Sensitivity>,
    /// A voice id such as `matthew`.
    pub voice_id: String,
    /// Rate of the audio pushed into the session.
    pub input_rate: SampleRate,
    /// Rate of the assistant's audio.
    pub output_rate: SampleRate,
    /// The instruction; any length, it is cut into pieces.
    pub system_prompt: Arc<str>,
    /// The tools the assistant may call.
    pub tools: Vec<ToolSpec>,
    /// What was said before this stream, oldest first (trimmed to what the service takes).
    pub history: Vec<HistoryMessage>,
    /// A text sent as the user's once audio is open, so that the assistant speaks first (§2.8).
    /// Its wording is not spoken. Ignored for families without a text trigger.
    pub greeting: Option<String>,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            model: ModelFamily::default(),
            inference: Inference::default(),
            sensitivity: None,
            voice_id: DEFAULT_VOICE.to_owned(),
            input_rate: SampleRate::Hz16000,
            output_rate: SampleRate::Hz24000,
            system_prompt: DEFAULT_SYSTEM_PROMPT.into(),
            tools: Vec::new(),
            history: Vec::new(),
            greeting: None,
        }
    }
}

/// Sampling of the model (`nova-sonic.md` §2.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inference {
    /// Longest answer in tokens: 1 to 10,000.
    pub max_tokens: u32,
    /// 0 to 1.
    pub top_p: f32,
    /// 0 to 1; low values suit tool calling.
    pub temperature: f32,
}

impl Default for Inference {
    fn default() -> Self {
        Self { max_tokens: 1024, top_p: 0.9, temperature: 0.7 }
    }
}

/// How soon a pause ends the user's turn: about 1.5, 1.75 and 2 s (`nova-sonic.md` §2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Sensitivity {
    /// 1.5 s.
    High,
    /// 1.75 s, the service's default.
    #[default]
    Medium,
    /// 2 s.
    Low,
}

impl Sensitivity {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

impl fmt::Display for Sensitivity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is not a sensitivity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("endpointing sensitivity is HIGH, MEDIUM or LOW, not `{0}`")]
pub struct UnknownSensitivity(pub String);

impl FromStr for Sensitivity {
    type Err = UnknownSensitivity;

    /// Any case.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        [Self::High, Self::Medium, Self::Low]
            .into_iter()
            .find(|s| s.as_str().eq_ignore_ascii_case(word.trim()))
            .ok_or_else(|| UnknownSensitivity(word.to_owned()))
    }
}

/// A tool as the model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// `[a-zA-Z0-9_-]+`; the service refuses other names.
    pub name: String,
    /// When and how to use it.
    pub description: String,
    /// A JSON Schema object. On the wire it becomes a string (`nova-sonic.md` §2.2).
    pub input_schema: Arc<Value>,
}

/// One message of an earlier stream of the same call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryMessage {
    /// Who said it.
    pub role: Speaker,
    /// What was said.
    pub text: String,
}

/// A setting that the service would have refused, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingFault {
    /// A number outside of its range was moved to the nearest bound.
    #[error("{field} is out of its range {range}; the nearest bound is used")]
    OutOfRange {
        /// Which setting.
        field: &'static str,
        /// What is allowed.
        range: &'static str,
    },
    /// The voice id is empty.
    #[error("the voice id is empty; `{DEFAULT_VOICE}` is used")]
    NoVoice,
    /// The instruction is empty.
    #[error("the system prompt is empty; a general one is used")]
    NoSystemPrompt,
    /// The tool was left out.
    #[error("tool name `{0}` does not match [a-zA-Z0-9_-]+; the tool is left out")]
    ToolName(String),
    /// The second tool of that name was left out.
    #[error("tool `{0}` is defined twice; the second one is left out")]
    DuplicateTool(String),
    /// The schema was replaced by one without properties.
    #[error("the input schema of tool `{0}` is not a JSON object; an empty one is used")]
    ToolSchema(String),
}

impl SessionSettings {
    /// Puts right whatever would make the service refuse the session, and says what it was.
    ///
    /// [`crate::Session::new`] does this in silence; call it before to report the faults.
    pub fn sanitise(&mut self) -> Vec<SettingFault> {
        let mut faults = Vec::new();
        let i = &mut self.inference;
        let max_tokens = i.max_tokens.clamp(1, 10_000);
        if max_tokens != i.max_tokens {
            faults.push(SettingFault::OutOfRange { field: "max_tokens", range: "1..=10000" });
            i.max_tokens = max_tokens;
        }
        for (field, value, otherwise) in
            [("top_p", &mut i.top_p, 0.9), ("temperature", &mut i.temperature, 0.7)]
        {
            if !(0.0..=1.0).contains(value) {
                faults.push(SettingFault::OutOfRange { field, range: "0..=1" });
                *value = if value.is_nan() { otherwise } else { value.clamp(0.0, 1.0) };
            }
        }
        if self.voice_id.trim().is_empty() {
            faults.push(SettingFault::NoVoice);
            self.voice_id = DEFAULT_VOICE.to_owned();
        }
        if self.system_prompt.trim().is_empty() {
            faults.push(SettingFault::NoSystemPrompt);
            self.system_prompt = DEFAULT_SYSTEM_PROMPT.into();
        }
        self.sanitise_tools(&mut faults);
        faults
    }

    fn sanitise_tools(&mut self, faults: &mut Vec<SettingFault>) {
        let mut names = HashSet::new();
        self.tools.retain_mut(|tool| {
            let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            if tool.name.is_empty() || !tool.name.bytes().all(legal) {
                faults.push(SettingFault::ToolName(tool.name.clone()));
                return false;
            }
            if !names.insert(tool.name.clone()) {
                faults.push(SettingFault::DuplicateTool(tool.name.clone()));
                return false;
            }
            // Some tool files hold the schema as a string already.
            if let Value::String(text) = &*tool.input_schema
                && let Ok(parsed @ Value::Object(_)) = serde_json::from_str(text)
            {
                tool.input_schema = Arc::new(parsed);
            }
            if !tool.input_schema.is_object() {
                faults.push(SettingFault::ToolSchema(tool.name.clone()));
                tool.input_schema = Arc::new(json!({ "type": "object", "properties": {} }));
            }
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_needs_no_repair() {
        assert_eq!(SessionSettings::default().sanitise(), []);
    }

    #[test]
    fn sensitivity_is_read_in_any_case() {
        assert_eq!(" high ".parse(), Ok(Sensitivity::High));
        assert_eq!("LOW".parse(), Ok(Sensitivity::Low));
        assert!("quick".parse::<Sensitivity>().is_err());
    }

    #[test]
    fn what_the_service_would_refuse_is_put_right() {
        let tool = |name: &str, input_schema: Value| ToolSpec {
            name: name.into(),
            description: String::new(),
            input_schema: input_schema.into(),
        };
        let mut settings = SessionSettings {
            inference: Inference { max_tokens: 0, top_p: f32::NAN, temperature: 3.0 },
            voice_id: " ".into(),
            system_prompt: "".into(),
            tools: vec![
                tool("a.b", json!({})),
                tool("ok", json!("{\"type\":\"object\"}")),
                tool("ok", json!({})),
                tool("list", json!([])),
            ],
            ..Default::default()
        };
        assert_eq!(settings.sanitise().len(), 8);
        assert_eq!(settings.sanitise(), []);
        assert_eq!(settings.inference, Inference { max_tokens: 1, top_p: 0.9, temperature: 1.0 });
        let names: Vec<_> = settings.tools.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["ok", "list"]);
        assert_eq!(*settings.tools[0].input_schema, json!({ "type": "object" }));
    }
}
