//! Asks Langfuse's public API: basic auth, deadlines, bounded answers.

use std::{error::Error, fmt, time::Duration};

use reqwest::{RequestBuilder, Response, StatusCode, Url, header::CONTENT_TYPE, redirect};
use serde::{Serialize, de::DeserializeOwned};

/// Longest answer that is read. A prompt has a few kilobytes; a page of the list some more.
const MAX_ANSWER: usize = 1024 * 1024;

/// Longest wait for one answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Where a project of Langfuse is, and what opens it.
#[derive(Debug, Clone)]
pub struct LangfuseConfig {
    /// Such as `https://cloud.langfuse.com`.
    pub host: String,
    /// `pk-lf-…`
    pub public_key: String,
    /// `sk-lf-…`
    pub secret_key: SecretKey,
}

/// A key that cannot be printed.
#[derive(Clone)]
pub struct SecretKey(String);

impl SecretKey {
    /// Takes the key in.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The key itself, for the request that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// Why Langfuse cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The host is no URL.
    #[error("{0:?} is not the URL of a server, such as https://cloud.langfuse.com")]
    Host(String),
    /// TLS could not be set up.
    #[error("the HTTP client cannot be built: {0}")]
    Http(#[from] reqwest::Error),
    /// The exporter of spans could not be set up.
    #[error("the exporter of traces cannot be built: {0}")]
    Exporter(String),
}

/// Why one question was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("it does not answer: {0}")]
    Unreachable(String),
    #[error("it refuses the keys ({0}): check LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY")]
    Keys(StatusCode),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("its answer is longer than {MAX_ANSWER} bytes")]
    TooLong,
    #[error("its answer is not what its API promises: {0}")]
    Shape(#[from] serde_json::Error),
}

/// A client of one project. Connections are kept.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    config: LangfuseConfig,
}

impl LangfuseConfig {
    /// Whether the host can be one.
    pub fn check(&self) -> Result<(), SetupError> {
        self.base().map(|_| ())
    }

    pub(crate) fn base(&self) -> Result<Url, SetupError> {
        Url::parse(&self.host)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| SetupError::Host(self.host.clone()))
    }
}

impl Client {
    pub(crate) fn new(config: LangfuseConfig) -> Result<Self, SetupError> {
        let base = config.base()?;
        let http = reqwest::Client::builder()
            .timeout(ANSWER_DEADLINE)
            // The keys go to the host that was configured, and to no other.
            .redirect(redirect::Policy::none())
            .build()?;
        Ok(Self { http, base, config })
    }

    /// `GET` of what `path` (already split into its parts) and `query` name.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, AskError> {
        let mut url = self.url(path);
        url.query_pairs_mut().extend_pairs(query);
        let mut answer = self.ask(self.http.get(url)).await?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(AskError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(serde_json::from_slice(&body)?)
    }

    /// `POST` of `body` to what `path` names. What it answers is of no interest.
    pub(crate) async fn post(&self, path: &[&str], body: &impl Serialize) -> Result<(), AskError> {
        let body = serde_json::to_vec(body)?;
        let post = self.http.post(self.url(path)).header(CONTENT_TYPE, "application/json");
        self.ask(post.body(body)).await.map(|_| ())
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut parts) = url.path_segments_mut() {
            // A part with a slash in it is encoded: prompts live in folders.
            parts.pop_if_empty().extend(path);
        }
        url
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Response, AskError> {
        let keys = (&self.config.public_key, self.config.secret_key.reveal());
        let answer = request.basic_auth(keys.0, Some(keys.1)).send().await.map_err(unreachable)?;
        match answer.status() {
            status if status.is_success() => Ok(answer),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(AskError::Keys(status))
            }
            status => Err(AskError::Status(status)),
        }
    }
}

fn unreachable(error: reqwest::Error) -> AskError {
    AskError::Unreachable(chain_of(error))
}

/// An error in words, without the URL.
pub(crate) fn chain_of(error: reqwest::Error) -> String {
    // What went wrong is at the end of the chain: "connection refused", "certificate expired".
    let error = error.without_url();
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
