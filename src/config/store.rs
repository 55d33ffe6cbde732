//! The settings of the session store.

use clap::Args;

use super::BadSetting;
use crate::store::{Shelf, StoreConfig, StoreKey};

/// What of [`super::ServeArgs`] is about the session store.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// Where the state of calls is kept, so that a client can come back to another task when its
    /// own has died: `memory`, or the URL of a Redis or Valkey, such as `redis://host:6379`.
    #[arg(long, env, default_value = "memory", hide_env_values = true)]
    pub session_store: String,
    /// Key that encrypts it: 64 hexadecimal digits, the same for all tasks. Needed with Redis;
    /// `openssl rand -hex 32` makes one.
    #[arg(long, env, hide_env_values = true)]
    pub session_store_key: Option<String>,
}

impl StoreArgs {
    /// Where and with which key.
    pub(super) fn config(&self) -> Result<StoreConfig, BadSetting> {
        let key = self
            .session_store_key
            .as_deref()
            .map(|key| read_key("SESSION_STORE_KEY", key))
            .transpose()?;
        match self.session_store.as_str() {
            "memory" => Ok(StoreConfig::default()),
            url if url.starts_with("redis://") || url.starts_with("rediss://") => {
                let what = "is needed with Redis: 64 hexadecimal digits, the same for all tasks";
                let key = key.ok_or_else(|| BadSetting::new("SESSION_STORE_KEY", what))?;
                Ok(StoreConfig { shelf: Shelf::Redis(url.to_owned()), key })
            }
            _ => {
                let what = "expected `memory` or a URL that begins with redis:// or rediss://";
                Err(BadSetting::new("SESSION_STORE", what))
            }
        }
    }
}

/// A key of 64 hexadecimal digits.
pub(super) fn read_key(variable: &'static str, text: &str) -> Result<StoreKey, BadSetting> {
    let mut key = StoreKey::default();
    hex::decode_to_slice(text, &mut key)
        .map_err(|_| BadSetting::new(variable, "must be 64 hexadecimal digits (32 bytes)"))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;
    use super::*;

    fn store(flags: &[&str]) -> Result<StoreConfig, &'static str> {
        let args = std::iter::once("voice-s2s").chain(flags.iter().copied());
        let cli = Cli::try_parse_from(args).expect("well-formed");
        cli.serve.store.config().map_err(|error| error.variable)
    }

    #[test]
    fn a_redis_needs_a_key_and_a_key_its_form() {
        let key = "00ff".repeat(16);
        let redis =
            store(&["--session-store=redis://h:6379/1", &format!("--session-store-key={key}")])
                .expect("valid");
        assert!(matches!(redis.shelf, Shelf::Redis(url) if url == "redis://h:6379/1"));
        assert_eq!(redis.key[..4], [0, 255, 0, 255]);
        assert!(store(&[]).is_ok());
        let cases: [(&[&str], _); 4] = [
            (&["--session-store=redis://h"], "SESSION_STORE_KEY"),
            (&["--session-store-key=00"], "SESSION_STORE_KEY"),
            (&["--session-store=http://h"], "SESSION_STORE"),
            (&["--session-store="], "SESSION_STORE"),
        ];
        for (flags, variable) in cases {
            assert_eq!(store(flags).err(), Some(variable), "{flags:?}");
        }
    }
}
