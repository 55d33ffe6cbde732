//! What the bridge shows to the voice server. Not who may ask the bridge: that is
//! `voice_access::signature`. Made by the configuration, used by [`crate::sonic`].

use http::HeaderValue;

/// The credential that the voice server asks of its clients. Not printable.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerKey(HeaderValue);

impl ServerKey {
    /// An API key, or a token. `None` for what no header can carry.
    pub fn new(key: &str) -> Option<Self> {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}")).ok()?;
        value.set_sensitive(true);
        (!key.is_empty()).then_some(Self(value))
    }

    /// For the header `Authorization`.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl std::fmt::Debug for ServerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerKey")
    }
}
