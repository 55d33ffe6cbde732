//! When the credentials expire that sign the streams. The SDK caches credentials and does not tell
//! their expiry, so it is noted as they pass by on their way into that cache.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use aws_credential_types::provider::{
    ProvideCredentials, SharedCredentialsProvider, future::ProvideCredentials as Provided,
};

/// The expiry of the credentials that were provided last.
#[derive(Debug, Clone, Default)]
pub(super) struct Expiry(Arc<Mutex<Option<SystemTime>>>);

impl Expiry {
    /// A provider that does what `inner` does, under observation.
    pub(super) fn watch(&self, inner: SharedCredentialsProvider) -> Watched {
        Watched { inner, expiry: self.clone() }
    }

    /// When the latest credentials expire; `None` when they do not.
    pub(super) fn latest(&self) -> Option<Instant> {
        let at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that have expired already are due now.
        let left = at?.duration_since(SystemTime::now()).unwrap_or_default();
        Instant::now().checked_add(left)
    }

    fn note(&self, at: Option<SystemTime>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}

/// A provider under observation.
pub(super) struct Watched {
    inner: SharedCredentialsProvider,
    expiry: Expiry,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.inner).finish()
    }
}

impl ProvideCredentials for Watched {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(async move {
            let credentials = self.inner.provide_credentials().await?;
            self.expiry.note(credentials.expiry());
            Ok(credentials)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_credential_types::Credentials;

    use super::*;

    #[tokio::test]
    async fn the_expiry_is_that_of_the_latest_credentials() {
        let expiry = Expiry::default();
        let provide = |expires: Option<SystemTime>| {
            let keys = Credentials::new("AKID", "secret", None, expires, "a test");
            expiry.watch(SharedCredentialsProvider::new(keys))
        };
        assert_eq!(expiry.latest(), None);
        let in_an_hour = SystemTime::now() + Duration::from_secs(3_600);
        provide(Some(in_an_hour)).provide_credentials().await.unwrap();
        let left = expiry.latest().unwrap() - Instant::now();
        assert!((3_590..=3_600).contains(&left.as_secs()), "{left:?}");
        provide(None).provide_credentials().await.unwrap();
        assert_eq!(expiry.latest(), None, "keys that do not expire");
    }
}
