//! The settings of Langfuse.

use std::time::Duration;

use clap::Args;
use voice_langfuse::{LangfuseConfig, PromptOptions, SecretKey};

use super::{BadSetting, Interval};

/// What of [`super::ServeArgs`] is about Langfuse.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Langfuse")]
pub struct LangfuseArgs {
    /// Public key of a Langfuse project. Langfuse is used when both keys are given.
    #[arg(long, env, requires = "langfuse_secret_key")]
    pub langfuse_public_key: Option<String>,
    /// Secret key of the project.
    #[arg(long, env, hide_env_values = true, requires = "langfuse_public_key")]
    pub langfuse_secret_key: Option<String>,
    /// Where Langfuse is; LANGFUSE_BASEURL and LANGFUSE_BASE_URL work as well. Absent: Langfuse
    /// Cloud (`https://cloud.langfuse.com`).
    #[arg(long, env)]
    pub langfuse_host: Option<String>,
    /// Another name of LANGFUSE_HOST.
    #[arg(long, env, hide = true)]
    pub langfuse_baseurl: Option<String>,
    /// Another name of LANGFUSE_HOST.
    #[arg(long, env, hide = true)]
    pub langfuse_base_url: Option<String>,
    /// Label of the prompts that are taken from Langfuse, or `off`. A prompt of a local file's
    /// name takes its place; `core-`, `persona-` and `hidden-` ones come in addition.
    #[arg(long, env, default_value = "production")]
    pub langfuse_prompt_label: String,
    /// How often, in seconds, Langfuse is asked for changed prompts, or `off`: at the start only.
    #[arg(long, env, default_value = "300")]
    pub langfuse_prompt_refresh: Interval,
}

/// What is asked of Langfuse.
#[derive(Debug, Clone)]
pub struct LangfuseSettings {
    /// Where it is, and the keys.
    pub project: LangfuseConfig,
    /// Which prompts are used; none when absent.
    pub prompts: Option<PromptOptions>,
    /// How often they are asked for again; never when absent.
    pub refresh: Option<Duration>,
}

impl LangfuseArgs {
    /// What is asked; `None` without keys.
    pub(super) fn settings(self) -> Result<Option<LangfuseSettings>, BadSetting> {
        let keys = self.langfuse_public_key.zip(self.langfuse_secret_key);
        let Some((public_key, secret_key)) = keys else { return Ok(None) };
        let host = [self.langfuse_host, self.langfuse_baseurl, self.langfuse_base_url]
            .into_iter()
            .flatten()
            .find(|host| !host.is_empty())
            .unwrap_or_else(|| "https://cloud.langfuse.com".to_owned());
        let project = LangfuseConfig { host, public_key, secret_key: SecretKey::new(secret_key) };
        project.check().map_err(|error| BadSetting::new("LANGFUSE_HOST", error))?;
        let prompts = match self.langfuse_prompt_label.as_str() {
            "" => return Err(BadSetting::new("LANGFUSE_PROMPT_LABEL", "must not be empty")),
            "off" => None,
            label => Some(PromptOptions { label: label.to_owned(), ..PromptOptions::default() }),
        };
        Ok(Some(LangfuseSettings { project, prompts, refresh: self.langfuse_prompt_refresh.0 }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::Cli, *};

    fn settings(flags: &[&str]) -> Result<Option<LangfuseSettings>, &'static str> {
        let keys = ["voice-s2s", "--langfuse-public-key=pk", "--langfuse-secret-key=sk-canary"];
        let cli = Cli::try_parse_from(keys.into_iter().chain(flags.iter().copied()));
        cli.expect("well-formed").serve.langfuse.settings().map_err(|error| error.variable)
    }

    #[test]
    fn each_spelling_of_the_host_works_and_a_wrong_one_is_named() {
        let host = |flags: &[&str]| settings(flags).expect("valid").expect("keys").project.host;
        assert_eq!(host(&[]), "https://cloud.langfuse.com");
        assert_eq!(host(&["--langfuse-host=http://a"]), "http://a");
        assert_eq!(host(&["--langfuse-baseurl=http://b"]), "http://b");
        assert_eq!(host(&["--langfuse-base-url=http://c"]), "http://c");
        assert_eq!(settings(&["--langfuse-host=nowhere"]).err(), Some("LANGFUSE_HOST"));
        assert_eq!(settings(&["--langfuse-prompt-label="]).err(), Some("LANGFUSE_PROMPT_LABEL"));
    }

    #[test]
    fn prompts_can_stay_local_and_the_secret_is_never_printed() {
        let off = settings(&["--langfuse-prompt-label=off"]).expect("valid").expect("keys");
        assert!(off.prompts.is_none());
        assert!(!format!("{off:?}").contains("canary"));
        let alone = Cli::try_parse_from(["voice-s2s", "--langfuse-public-key=pk"]);
        assert!(alone.is_err(), "one key is no key");
    }
}
