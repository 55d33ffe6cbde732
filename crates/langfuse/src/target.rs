//! Where spans go: to a project of Langfuse's, or to a collector.

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue},
};

use crate::client::{LangfuseConfig, SetupError};

/// The version of ingestion that is spoken (`ops.md` §4.1).
const INGESTION: (&str, &str) = ("x-langfuse-ingestion-version", "4");

/// The path of Langfuse's OTLP endpoint.
const LANGFUSE_PATH: [&str; 5] = ["api", "public", "otel", "v1", "traces"];

/// An endpoint for OTLP over HTTP. It prints no header.
#[derive(Clone)]
pub struct OtlpTarget {
    url: Url,
    headers: HeaderMap,
}

/// Why a collector cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadTarget {
    /// The endpoint is no URL.
    #[error("{0:?} is not the URL of a collector, such as http://localhost:4318")]
    Url(String),
    /// A header is none.
    #[error("{0:?} is no header, or its value has characters that no header may have")]
    Header(String),
}

impl OtlpTarget {
    /// A project of Langfuse's.
    pub fn langfuse(project: &LangfuseConfig) -> Result<Self, SetupError> {
        let mut url = project.base()?;
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(LANGFUSE_PATH);
        }
        let keys = format!("{}:{}", project.public_key, project.secret_key.reveal());
        let basic = format!("Basic {}", BASE64_STANDARD.encode(keys));
        let headers = [(AUTHORIZATION.as_str(), basic.as_str()), INGESTION];
        Self::with(url, headers).map_err(|error| SetupError::Exporter(error.to_string()))
    }

    /// A collector at exactly this URL, with these headers.
    pub fn collector<'a>(
        url: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, BadTarget> {
        let is_one = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let parsed = Url::parse(url).ok().filter(is_one);
        Self::with(parsed.ok_or_else(|| BadTarget::Url(url.to_owned()))?, headers)
    }

    fn with<'a>(
        url: Url,
        given: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, BadTarget> {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            // The value may be a secret, so the error names the header alone.
            let bad = || BadTarget::Header(name.to_owned());
            let header = HeaderName::from_str(name).map_err(|_| bad())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| bad())?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        Ok(Self { url, headers })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

impl fmt::Display for OtlpTarget {
    /// Scheme, host and path; no password that somebody wrote into the URL, and no query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.url.clone();
        let _ = url.set_password(None);
        let _ = url.set_username("");
        url.set_query(None);
        url.fmt(f)
    }
}

impl fmt::Debug for OtlpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OtlpTarget({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::SecretKey;

    #[test]
    fn langfuse_is_a_collector_with_keys_that_are_never_printed() {
        let project = LangfuseConfig {
            host: "https://langfuse.example/base/".into(),
            public_key: "pk-lf-1".into(),
            secret_key: SecretKey::new("sk-lf-1"),
        };
        let target = OtlpTarget::langfuse(&project).expect("sound");
        assert_eq!(
            target.url().as_str(),
            "https://langfuse.example/base/api/public/otel/v1/traces"
        );
        assert_eq!(target.headers()[AUTHORIZATION], "Basic cGstbGYtMTpzay1sZi0x");
        assert_eq!(target.headers()["x-langfuse-ingestion-version"], "4");
        let printed = format!("{target:?} {:?}", target.headers());
        assert!(!printed.contains("cGstbGY"), "{printed}");
    }

    #[test]
    fn a_wrong_header_is_named_without_its_value() {
        let collector = |url, header| OtlpTarget::collector(url, [header]).map(|t| t.to_string());
        let error = collector("http://c:4318/v1/traces", ("x-key", "canary\n")).expect_err("odd");
        assert!(error.to_string().contains("x-key") && !error.to_string().contains("canary"));
        assert!(collector("localhost:4318", ("a", "b")).is_err());
        let shown = collector("http://u:canary@c/v1/traces?key=canary", ("a", "b")).expect("sound");
        assert_eq!(shown, "http://c/v1/traces");
    }
}
