//! Tools, workflows and prompts of a test's own, and a model that does what it is told.

use std::sync::Arc;

use tempfile::TempDir;
use voice_emulator::{EmulatorConfig, script::Scenario};
use voice_s2s::config::ServerConfig;

use super::Bench;

/// A folder each of tools, workflows and prompts. It lives as long as its servers.
pub(crate) struct House(Arc<TempDir>);

impl House {
    /// From files such as `tools/x.json` and their texts.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        for folder in ["tools", "workflows", "prompts"] {
            std::fs::create_dir(dir.path().join(folder)).expect("a folder");
        }
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).expect("a file");
        }
        Self(Arc::new(dir))
    }

    /// A server that works with these files and a model that plays `scenario`.
    pub(crate) async fn bench(
        &self,
        scenario: &str,
        change: impl FnOnce(&mut ServerConfig, &mut EmulatorConfig),
    ) -> Bench {
        let scenario = Scenario::parse(scenario).expect("the script").into();
        let mut bench = Bench::with(|config, emulator| {
            config.dirs.tools = self.0.path().join("tools");
            config.dirs.workflows = self.0.path().join("workflows");
            config.dirs.prompts = self.0.path().join("prompts");
            emulator.scenario = scenario;
            change(config, emulator);
        })
        .await;
        bench.house = Some(self.0.clone());
        bench
    }
}

/// The tool that hands over; every house of these tests has it.
pub(crate) const TRANSFER: (&str, &str) =
    ("tools/transfer_to_agent.json", include_str!("../../../tools/transfer_to_agent.json"));

/// A script whose model answers a typed word with what `turns` says. Words that it does not know
/// are apologised for.
pub(crate) fn puppet(turns: &str) -> String {
    format!(
        r#"{{
  "name": "puppet",
  "start": "open",
  "otherwise": [{{ "say": "Hm." }}],
  "states": {{
    "open": {{
      "turns": [
        {{ "when": {{ "greeting": true }}, "do": [{{ "say": "Hello." }}] }},
        {{ "when": {{ "text": "enough" }}, "do": [{{ "say": "As you like." }}], "goto": "over" }},
        {turns}
      ]
    }},
    "over": {{ "end": true }}
  }}
}}"#
    )
}
