//! What the port to Bedrock has to know. Parsed by `src/config.rs`; nothing here reads a
//! variable, except what the SDK's own default chain reads.

use std::{fmt, path::PathBuf, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig};

/// How to reach Nova Sonic.
#[derive(Debug, Clone)]
pub struct BedrockConfig {
    /// AWS region, such as `us-east-1`.
    pub region: String,
    /// Model id, such as `amazon.nova-2-sonic-v1:0`. Profiles with a region prefix are refused by
    /// the bidirectional operation (`nova-sonic.md` §4.4).
    pub model_id: String,
    /// Who signs.
    pub credentials: Credentials,
    /// Where to connect instead of the region's endpoint: `http://` (HTTP/1.1) or `https://`.
    /// `None` leaves it to `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`, `AWS_ENDPOINT_URL` and the region.
    pub endpoint: Option<String>,
    /// A PEM file with certificates to trust besides the system's. The system's own are those
    /// of the platform, or of the file that `SSL_CERT_FILE` names.
    pub extra_ca: Option<PathBuf>,
    /// Longest wait for the response head, credentials and connecting included.
    pub open_deadline: Duration,
    /// Oldest that an event may get in our queue before the stream counts as stalled.
    pub max_unsent_age: Duration,
}

impl BedrockConfig {
    /// The defaults: credentials by the default chain, 20 s to open, 3 s of unsent audio.
    pub fn new(region: impl Into<String>, model_id: impl Into<String>) -> Self {
        Self {
            region: region.into(),
            model_id: model_id.into(),
            credentials: Credentials::DefaultChain,
            endpoint: None,
            extra_ca: None,
            open_deadline: Duration::from_secs(20),
            max_unsent_age: Duration::from_secs(3),
        }
    }
}

/// Where credentials come from.
#[derive(Clone)]
pub enum Credentials {
    /// The SDK's default chain: environment, profile, task role, instance role.
    DefaultChain,
    /// Given keys; for local use.
    Keys {
        /// Access key id.
        access_key_id: String,
        /// Secret access key.
        secret_access_key: String,
        /// Session token of temporary credentials.
        session_token: Option<String>,
    },
}

/// Region and credentials as the SDK's clients take them; the rest is the SDK's default chain.
pub(crate) async fn shared_config(region: &str, credentials: &Credentials) -> SdkConfig {
    let mut loader =
        aws_config::defaults(BehaviorVersion::latest()).region(Region::new(region.to_owned()));
    if let Credentials::Keys { access_key_id, secret_access_key, session_token } = credentials {
        loader = loader.credentials_provider(aws_credential_types::Credentials::new(
            access_key_id,
            secret_access_key,
            session_token.clone(),
            None,
            "voice-s2s configuration",
        ));
    }
    loader.load().await
}

// By hand, so that no log line can hold a secret.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DefaultChain => f.write_str("DefaultChain"),
            Self::Keys { access_key_id, session_token, .. } => f
                .debug_struct("Keys")
                .field("access_key_id", access_key_id)
                .field("session_token", &session_token.is_some())
                .finish_non_exhaustive(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let keys = Credentials::Keys {
            access_key_id: "AKID".into(),
            secret_access_key: "hush-secret".into(),
            session_token: Some("hush-token".into()),
        };
        let shown = format!("{keys:?}");
        assert!(shown.contains("AKID") && !shown.contains("hush"), "{shown}");
    }
}
