//! From what the client wants to what the call does: voice, prompt, tools, timing.
//!
//! Pure. A wish that cannot be met is a problem to report; the call goes on with the default.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use voice_archive::entry::{self, PromptUsed};
use voice_call::{SampleRate, transcription::Channels};
use voice_catalog::{Prompt, PromptRequest, Snapshot};
use voice_sonic::{ModelFamily, Sensitivity, SessionSettings, ToolSpec, voices};
use voice_wire::SessionConfig;

use crate::{engine::EngineConfig, pace::Pace};

/// What a call does.
#[derive(Debug, Clone)]
pub struct CallSettings {
    /// How its streams are opened; the history is filled in when one is.
    pub session: SessionSettings,
    /// Silence before the caller is asked after; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// How often, before goodbye.
    pub idle_checks: u32,
    /// Whether the assistant speaks first.
    pub greets: bool,
    /// The workflows that are linked to the call, by id.
    pub workflows: Vec<String>,
    /// The caller's time zone, for tools.
    pub timezone: Option<String>,
    /// Whether the caller is on the phone, where a human can take over.
    pub phone: bool,
    /// How its sound comes and goes.
    pub pace: Pace,
    /// Whether the call is recorded.
    pub records: bool,
    /// Whose words are transcribed.
    pub transcribes: Channels,
    /// All this in short, for the log.
    pub about: entry::Settings,
}

/// A wish that cannot be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// A stable word.
    pub code: &'static str,
    /// What is wrong, where, and what is done instead.
    pub message: String,
}

/// Works out the settings.
pub fn resolve(
    wish: &SessionConfig,
    engine: &EngineConfig,
    catalog: &Snapshot,
    now: jiff::Timestamp,
) -> (CallSettings, Vec<ConfigProblem>) {
    let mut problems = Vec::new();
    let mut problem = |code, message: String| problems.push(ConfigProblem { code, message });

    if let Some(mode) = wish.brain_mode.as_deref().filter(|mode| *mode != "raw_nova") {
        problem(
            "unsupported_brain_mode",
            format!("config.brainMode {mode:?} is not available; the call goes on with raw_nova"),
        );
    }
    if let Some(channel) = wish.channel.as_deref().filter(|c| !matches!(*c, "phone" | "web")) {
        let message = format!("config.channel {channel:?} is neither phone nor web; web is taken");
        problem("unknown_channel", message);
    }
    let persona = persona_of(wish, engine, catalog, &mut problem);
    let persona_config = |key: &str| {
        let found = persona.and_then(|id| catalog.persona(id)).and_then(|p| p.config.get(key));
        found.and_then(|value| value.as_str()).map(str::to_owned)
    };
    let voice_id = voice_of(wish, engine, persona_config("voiceId"), &mut problem);

    let sensitivity = wish.endpointing_sensitivity.clone();
    let sensitivity = sensitivity.or_else(|| persona_config("endpointingSensitivity"));
    let sensitivity = sensitivity.and_then(|text| match text.parse::<Sensitivity>() {
        Ok(sensitivity) => Some(sensitivity),
        Err(_) => {
            problem(
                "unknown_sensitivity",
                format!("config.endpointingSensitivity {text:?} is not HIGH, MEDIUM or LOW"),
            );
            None
        }
    });

    let of_persona = persona.and_then(|id| catalog.persona(id));
    let persona_workflows = of_persona.and_then(|persona| persona.workflows());
    let persona_tools = of_persona.and_then(|persona| persona.tools());
    let workflows = known(
        wish.linked_workflows.as_deref().or(persona_workflows.as_deref()).unwrap_or_default(),
        |id| catalog.workflow(id).is_some(),
        |id| problem("unknown_workflow", format!("config.linkedWorkflows: no workflow {id:?}")),
    );
    let selected = wish.selected_tools.as_deref().or(persona_tools.as_deref()).map(|names| {
        known(
            names,
            |name| catalog.tool(name).is_some(),
            |name| problem("unknown_tool", format!("config.selectedTools: no tool {name:?}")),
        )
    });
    let offers = catalog.offered_tools(selected.as_deref(), &workflows);
    let tools = offers.into_iter().map(|offer| ToolSpec {
        name: offer.name,
        description: offer.description,
        input_schema: offer.input_schema,
    });

    let date = today(now, wish.user_timezone.as_deref());
    let attributes = attributes_of(wish);
    let request = PromptRequest {
        persona,
        system_prompt: wish.system_prompt.as_deref(),
        speech_prompt: wish.speech_prompt.as_deref(),
        guardrails: wish.enable_guardrails.unwrap_or(true),
        workflows: &workflows,
        location: wish.user_location.as_deref(),
        timezone: wish.user_timezone.as_deref(),
        date: Some(&date),
        attributes: Some(&attributes),
    };
    let system_prompt = catalog.system_prompt(&request).unwrap_or_else(|unknown| {
        // Every name was looked up above.
        tracing::error!(%unknown, "a checked name is unknown to the catalog");
        String::new()
    });

    let idle_timeout = match (wish.inactivity_enabled, wish.inactivity_timeout) {
        (Some(false), _) => None,
        (_, Some(seconds)) if seconds > 0.0 && seconds <= 86_400.0 => {
            Some(Duration::from_secs_f64(seconds))
        }
        (_, Some(seconds)) => {
            problem(
                "invalid_inactivity_timeout",
                format!("config.inactivityTimeout is {seconds}; it is in seconds, 0 to 86400"),
            );
            engine.idle_timeout
        }
        (_, None) => engine.idle_timeout,
    };

    let session = SessionSettings {
        model: engine.model,
        sensitivity,
        voice_id,
        input_rate: SampleRate::Hz16000,
        output_rate: SampleRate::Hz24000,
        system_prompt: system_prompt.into(),
        tools: tools.collect(),
        ..SessionSettings::default()
    };
    let recording = of_persona.and_then(|persona| persona.config.get("recording"));
    let records = recording.and_then(Value::as_bool).unwrap_or(engine.record);
    let transcribes = persona_config("transcription").and_then(|word| word.parse().ok());
    let transcribes = transcribes.unwrap_or(engine.transcribe);
    let phone = wish.channel.as_deref() == Some("phone");
    let about = entry::Settings {
        persona: persona.map(str::to_owned),
        voice: session.voice_id.clone(),
        language: persona_config("language"),
        channel: if phone { "phone" } else { "web" }.into(),
        workflows: workflows.clone(),
        tools: session.tools.iter().map(|tool| tool.name.clone()).collect(),
        prompts: prompts_of(&request, catalog),
    };
    let settings = CallSettings {
        session,
        idle_timeout,
        idle_checks: wish.inactivity_max_checks.unwrap_or(engine.idle_checks),
        greets: wish.greeting_enabled.unwrap_or(true),
        phone,
        pace: if phone { Pace::phone(engine) } else { Pace::web(engine) },
        records,
        transcribes,
        about,
        workflows,
        timezone: wish.user_timezone.clone(),
    };
    (settings, problems)
}

/// The prompts of which a system prompt is made, with their versions.
fn prompts_of(request: &PromptRequest<'_>, catalog: &Snapshot) -> Vec<PromptUsed> {
    let of_client = |text: Option<&str>| text.is_some_and(|text| !text.trim().is_empty());
    let used = |prompt: &Prompt| PromptUsed {
        id: prompt.id.clone(),
        source: prompt.origin.as_str().into(),
        version: prompt.origin.version(),
    };
    let own = |id: &str| PromptUsed { id: id.into(), source: "client".into(), version: None };
    let persona = match of_client(request.system_prompt) {
        true => Some(own("systemPrompt")),
        false => request.persona.and_then(|id| catalog.persona(id)).map(used),
    };
    let speech = match of_client(request.speech_prompt) {
        true => Some(own("speechPrompt")),
        false => catalog.prompt("core-speech").map(used),
    };
    let guardrails = catalog.prompt("core-guardrails").filter(|_| request.guardrails).map(used);
    [persona, speech, guardrails].into_iter().flatten().collect()
}

/// The date where the caller is, in words.
fn today(now: jiff::Timestamp, timezone: Option<&str>) -> String {
    let zone = timezone.and_then(|name| jiff::tz::TimeZone::get(name.trim()).ok());
    now.to_zoned(zone.unwrap_or(jiff::tz::TimeZone::UTC)).strftime("%A, %-d %B %Y").to_string()
}

/// Whose voice, tools and workflows the call has. A client that brings a text of its own and
/// names no persona has none: nothing of a bank belongs to somebody else's prompt.
fn persona_of<'a>(
    wish: &'a SessionConfig,
    engine: &'a EngineConfig,
    catalog: &'a Snapshot,
    problem: &mut impl FnMut(&'static str, String),
) -> Option<&'a str> {
    let own_text = wish.system_prompt.as_deref().is_some_and(|text| !text.trim().is_empty());
    let first = catalog.personas().next().map(|persona| persona.id.as_str());
    let configured = engine.default_persona.as_deref();
    let configured = configured.filter(|id| catalog.persona(id).is_some());
    let default = configured.or(first).filter(|_| !own_text);
    match wish.persona_id.as_deref() {
        Some(id) if catalog.persona(id).is_some() => Some(id),
        Some(id) => {
            problem("unknown_persona", format!("config.personaId: no persona {id:?}"));
            default
        }
        None => default,
    }
}

/// The attributes as texts; what is neither a text, a number nor a truth value has none.
fn attributes_of(wish: &SessionConfig) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let given = wish.attributes.iter().flatten();
    given.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
}

fn voice_of(
    wish: &SessionConfig,
    engine: &EngineConfig,
    of_persona: Option<String>,
    problem: &mut impl FnMut(&'static str, String),
) -> String {
    // A voice that only other models have would close every stream. One that no table knows may
    // be newer than the tables; the catalog was checked for slips.
    let is_elsewhere = |voice: &str| {
        voices::find_voice(engine.model, voice).is_none()
            && [ModelFamily::Sonic1, ModelFamily::Sonic2]
                .into_iter()
                .any(|family| voices::find_voice(family, voice).is_some())
    };
    let of_persona = of_persona.filter(|voice| !is_elsewhere(voice));
    let default = || of_persona.unwrap_or_else(|| engine.default_voice.clone());
    match &wish.voice_id {
        Some(voice) if voices::find_voice(engine.model, voice).is_some() => voice.clone(),
        Some(voice) => {
            let default = default();
            problem(
                "unknown_voice",
                format!("config.voiceId: the model has no voice {voice:?}; using {default:?}"),
            );
            default
        }
        None => default(),
    }
}

fn known(
    names: &[String],
    exists: impl Fn(&str) -> bool,
    mut report: impl FnMut(&str),
) -> Vec<String> {
    let (known, unknown): (Vec<_>, Vec<_>) = names.iter().cloned().partition(|n| exists(n));
    unknown.iter().for_each(|name| report(name));
    known
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;
    use voice_catalog::{SourceFile, Sources};

    use super::*;

    const TEXT: &str = "Hello {{attributes.name}}, {{attributes.age}}, {{attributes.gone}}. It is \
                        {{date}} in {{user.location}}.";

    fn settings(config: serde_json::Value, wish: serde_json::Value) -> CallSettings {
        let tool = |name: &str| {
            let text = json!({"name": name, "description": "d", "parameters": {},
                "execute": {"kind": "static", "result": 1}});
            SourceFile::new(format!("{name}.json"), text.to_string())
        };
        let graph = r#"{"nodes": [{"id": "s", "type": "start"}], "edges": []}"#;
        let sources = Sources {
            tools: vec![tool("look"), tool("listen")],
            workflows: vec![SourceFile::new("workflow-w.json", graph)],
            prompts: vec![SourceFile::new("persona-a.txt", format!("{TEXT}\n---\n{config}"))],
        };
        let (catalog, _) = Snapshot::build(&sources).unwrap();
        let wish: SessionConfig = serde_json::from_value(wish).unwrap();
        let now = "2026-11-22T23:30:00Z".parse().unwrap();
        let engine = EngineConfig { model: ModelFamily::Sonic2, ..EngineConfig::default() };
        let (settings, problems) = resolve(&wish, &engine, &catalog, now);
        assert_eq!(problems, []);
        settings
    }

    #[test]
    fn a_persona_brings_voice_sensitivity_tools_and_workflows() {
        let config = json!({"voiceId": "amy", "endpointingSensitivity": "HIGH",
            "tools": ["look"], "workflows": ["w"]});
        let settings = settings(config, json!({}));
        assert_eq!(settings.session.voice_id, "amy");
        assert_eq!(settings.session.sensitivity, Some(Sensitivity::High));
        assert_eq!(settings.workflows, ["w"]);
        let tools: Vec<&str> = settings.session.tools.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(tools, ["look", "start_workflow", "advance_workflow"]);
    }

    #[test]
    fn what_the_client_says_prevails() {
        let config = json!({"voiceId": "amy", "tools": ["look"], "workflows": ["w"]});
        let wish = json!({"voiceId": "tina", "selectedTools": ["listen"], "linkedWorkflows": []});
        let settings = settings(config, wish);
        assert_eq!(settings.session.voice_id, "tina");
        let tools: Vec<&str> = settings.session.tools.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(tools, ["listen"]);
    }

    #[test]
    fn the_channel_decides_how_sound_comes_and_goes() {
        let engine = EngineConfig::default();
        let pace = |wish| settings(json!({}), wish).pace;
        assert_eq!(pace(json!({})), Pace::web(&engine));
        assert_eq!(pace(json!({"channel": "web"})), Pace::web(&engine));
        let phone = pace(json!({"channel": "phone"}));
        assert_eq!(phone, Pace::phone(&engine));
        assert!(phone.lead > 10 * Pace::web(&engine).lead && phone.gap > Duration::from_secs(1));
    }

    #[test]
    fn variables_are_those_of_the_caller() {
        let wish = json!({"userLocation": "Berlin", "userTimezone": "Europe/Berlin",
            "attributes": {"name": "Ada", "age": 36, "gone": null}});
        let prompt = settings(json!({}), wish).session.system_prompt;
        let filled = "Hello Ada, 36, unknown. It is Monday, 23 November 2026 in Berlin.";
        assert!(prompt.starts_with(filled), "{prompt}");
    }

    #[test]
    fn a_voice_of_another_model_is_not_asked_of_this_one() {
        let of = |voice: &str| settings(json!({"voiceId": voice}), json!({})).session.voice_id;
        assert_eq!(of("greta"), EngineConfig::default().default_voice, "Nova Sonic 1 only");
        assert_eq!(of("newcomer"), "newcomer", "it may be newer than the table");
    }
}
