//! The prompts that Langfuse holds under one label, laid over the local files.
//!
//! Asked once when the server starts, with a short deadline, and again every few minutes in the
//! background. What was heard last stays good while Langfuse is away; before it was ever heard,
//! the local files are used. The catalog judges these prompts as it judges files.
//!
//! API: Langfuse, `GET /api/public/v2/prompts` and `GET /api/public/v2/prompts/{name}`
//! (`fern/apis/server/definition/prompts.yml`).

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::timeout;
use voice_catalog::{Complete, Problem, PromptKind, Severity, SourceFile, Sources};

use crate::client::{AskError, Client, LangfuseConfig, SetupError};

/// Entries on a page of the list: the most the API gives.
const PAGE: usize = 100;

/// More prompts than this are not ours.
const MAX_PROMPTS: usize = 500;

/// How long a refresh may take in all.
const REFRESH_DEADLINE: Duration = Duration::from_secs(60);

/// What of Langfuse's prompts is used.
#[derive(Debug, Clone)]
pub struct PromptOptions {
    /// The label whose version counts.
    pub label: String,
    /// How long the start of the server waits for them.
    pub first_wait: Duration,
}

impl Default for PromptOptions {
    fn default() -> Self {
        Self { label: "production".into(), first_wait: Duration::from_secs(3) }
    }
}

/// What a refresh led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// The same prompts as before.
    Unchanged,
    /// Others: the catalog is to judge again.
    Changed,
    /// Not all could be heard; those that were are used, for the others the last ones.
    Failed {
        /// Why.
        why: String,
        /// Whether the catalog is to judge again all the same.
        changed: bool,
    },
}

/// The prompts. Give it to the catalog, and call [`Prompts::refresh`] now and then.
#[derive(Debug)]
pub struct Prompts {
    client: Client,
    options: PromptOptions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether Langfuse was asked before.
    asked: bool,
    /// Why the last question was not answered.
    failure: Option<String>,
    /// Ids of the local files: their names count, whatever they begin with.
    local: BTreeSet<String>,
    held: BTreeMap<String, Held>,
}

/// One prompt as Langfuse has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Held {
    version: u32,
    /// A text, or the messages of a chat.
    prompt: Value,
    #[serde(default)]
    config: Value,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    name: String,
}

impl Prompts {
    /// Builds the client; nothing is asked yet.
    pub fn new(config: LangfuseConfig, options: PromptOptions) -> Result<Self, SetupError> {
        Ok(Self { client: Client::new(config)?, options, state: Mutex::default() })
    }

    /// Asks for all prompts anew.
    pub async fn refresh(&self) -> Refreshed {
        self.refresh_within(REFRESH_DEADLINE).await
    }

    async fn refresh_within(&self, deadline: Duration) -> Refreshed {
        let asked = timeout(deadline, self.ask()).await;
        let mut state = self.state();
        state.asked = true;
        let (heard, failure) = match asked {
            Ok(Ok((heard, None))) => (Some(heard), None),
            Ok(Ok((heard, Some(error)))) => (Some(heard), Some(error.to_string())),
            Ok(Err(error)) => (None, Some(error.to_string())),
            Err(_) => (None, Some(format!("no answer within {deadline:?}"))),
        };
        let changed = heard.is_some_and(|heard| {
            let changed = heard != state.held;
            state.held = heard;
            changed
        });
        state.failure.clone_from(&failure);
        match (failure, changed) {
            (Some(why), changed) => Refreshed::Failed { why, changed },
            (None, true) => Refreshed::Changed,
            (None, false) => Refreshed::Unchanged,
        }
    }

    /// All prompts of the label, and the first error of a single one.
    async fn ask(&self) -> Result<(BTreeMap<String, Held>, Option<AskError>), AskError> {
        let mut names = BTreeSet::new();
        for page in 1..=MAX_PROMPTS / PAGE {
            let (page, limit) = (page.to_string(), PAGE.to_string());
            let query = [("label", &*self.options.label), ("page", &page), ("limit", &limit)];
            let listed: Page = self.client.get(&["api", "public", "v2", "prompts"], &query).await?;
            let is_last = listed.data.len() < PAGE;
            names.extend(listed.data.into_iter().map(|listed| listed.name));
            if is_last {
                break;
            }
        }
        let (local, before) = {
            let state = self.state();
            (state.local.clone(), state.held.clone())
        };
        let is_ours = |name: &str| {
            local.contains(name)
                || PromptKind::of_id(name) != PromptKind::Plain && is_file_stem(name)
        };
        let (mut heard, mut failure) = (BTreeMap::new(), None);
        for name in names.into_iter().filter(|name| is_ours(name)) {
            let path = ["api", "public", "v2", "prompts", &name];
            match self.client.get::<Held>(&path, &[("label", &self.options.label)]).await {
                Ok(held) => _ = heard.insert(name, held),
                // The label was moved away since the list was made.
                Err(AskError::Status(status)) if status == reqwest::StatusCode::NOT_FOUND => {}
                Err(error) => {
                    tracing::warn!(prompt = name, %error, "a prompt of Langfuse cannot be had");
                    heard.extend(before.get_key_value(&name).map(|(k, v)| (k.clone(), v.clone())));
                    failure = failure.or(Some(error));
                }
            }
        }
        Ok((heard, failure))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn overlay(&self, sources: &mut Sources) -> Vec<Problem> {
        let state = self.state();
        let mut problems = Vec::new();
        for (name, held) in &state.held {
            match held.as_file(name) {
                Ok(file) => sources.put_prompt(file),
                Err(what) => {
                    let remedy = "Make it a text prompt; until then the local file is used.";
                    let file = format!("langfuse/{name} (version {})", held.version);
                    problems.push(warning(file, what, remedy));
                }
            }
        }
        if let Some(why) = &state.failure {
            let what = format!("the prompts cannot all be had: {why}");
            let remedy = "Until it answers, the last ones or the local files are used.";
            problems.push(warning("langfuse".into(), what, remedy));
        }
        problems
    }
}

impl Complete for Prompts {
    fn complete<'a>(
        &'a self,
        sources: &'a mut Sources,
    ) -> Pin<Box<dyn Future<Output = Vec<Problem>> + Send + 'a>> {
        let ids = sources.prompts.iter().filter_map(|file| file.name.strip_suffix(".txt"));
        let is_first = {
            let mut state = self.state();
            state.local = ids.map(str::to_owned).collect();
            !state.asked
        };
        Box::pin(async move {
            if is_first {
                self.refresh_within(self.options.first_wait).await;
            }
            self.overlay(sources)
        })
    }
}

impl Held {
    /// As the file that it would be.
    fn as_file(&self, name: &str) -> Result<SourceFile, String> {
        let Value::String(text) = &self.prompt else {
            return Err("the prompt is a chat, expected is a text".to_owned());
        };
        let mut text = text.clone();
        if let Value::Object(config) = &self.config
            && !config.is_empty()
        {
            let config: &Map<String, Value> = config;
            let tail = serde_json::to_string_pretty(config).unwrap_or_default();
            text = format!("{text}\n---\n{tail}\n");
        }
        Ok(SourceFile::langfuse(format!("{name}.txt"), text, self.version))
    }
}

/// Whether a local file could be called so.
fn is_file_stem(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.len() <= 128 && name.bytes().all(is_fine)
}

fn warning(file: String, what: String, remedy: &str) -> Problem {
    Problem::of_file(Severity::Warning, file, what, remedy)
}
