//! Tools, workflows and prompts of a test's own, and a model that does what it is told.

use std::{path::PathBuf, sync::Arc};

use tempfile::TempDir;
use voice_emulator::{EmulatorConfig, script::Scenario};
use voice_s2s::config::ServerConfig;

use super::{Bench, FaultProxy, Weather};

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
        let mut bench = Bench::with(self.furnish(scenario, change)).await;
        bench.house = Some(self.0.clone());
        bench
    }

    /// The same, with the model at the end of a line with such weather.
    pub(crate) async fn bench_over(
        &self,
        (weather, seed): (Weather, u64),
        scenario: &str,
        change: impl FnOnce(&mut ServerConfig, &mut EmulatorConfig),
    ) -> (Bench, FaultProxy) {
        let (mut bench, line) = Bench::over(weather, seed, self.furnish(scenario, change)).await;
        bench.house = Some(self.0.clone());
        (bench, line)
    }

    fn furnish(
        &self,
        scenario: &str,
        change: impl FnOnce(&mut ServerConfig, &mut EmulatorConfig),
    ) -> impl FnOnce(&mut ServerConfig, &mut EmulatorConfig) {
        let scenario = Scenario::parse(scenario).expect("the script").into();
        move |config, emulator| {
            config.dirs.tools = self.path("tools");
            config.dirs.workflows = self.path("workflows");
            config.dirs.prompts = self.path("prompts");
            emulator.scenario = scenario;
            change(config, emulator);
        }
    }

    /// One of its folders.
    pub(crate) fn path(&self, folder: &str) -> PathBuf {
        self.0.path().join(folder)
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
