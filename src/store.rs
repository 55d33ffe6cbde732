//! Where the state of calls is kept beyond their task: a sealed box in memory or in Redis.
//!
//! What is written is encrypted (AES-256-GCM) with a key that only the tasks have, and bound to
//! the id of its call. It is found under a hash of the resume token, so that whoever reads the
//! store learns no token, and whoever has none can neither find nor remove anything.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_lc_rs::digest::{SHA256, digest};
use futures::{FutureExt, future::BoxFuture};
use redis::{AsyncCommands, ExistenceCheck, SetExpiry, SetOptions, aio::ConnectionManager};
use voice_access::seal::{KEY_LEN, Seal};
use voice_call::{CallId, ResumeToken, SessionStore, StoreError};

/// How long a state is kept after its last change: as long as a call may rest.
const KEPT: Duration = Duration::from_secs(3_600);
/// How long the store may take.
const DEADLINE: Duration = Duration::from_secs(2);
/// Before every key, so that others may use the same Redis.
const PREFIX: &str = "voice-s2s:call:";
/// Before the number of every ticket that was used.
const TICKETS: &str = "voice-s2s:ticket:";

/// The key of the box: 32 bytes.
pub type StoreKey = [u8; KEY_LEN];

/// The box: where it stands, and its key.
#[derive(Clone)]
pub struct StoreConfig {
    /// Where.
    pub shelf: Shelf,
    /// The key.
    pub key: StoreKey,
}

impl Default for StoreConfig {
    /// In memory, with a key that nobody knows.
    fn default() -> Self {
        let mut key = StoreKey::default();
        key[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        key[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        Self { shelf: Shelf::Memory(MemoryShelf::default()), key }
    }
}

impl fmt::Debug for StoreConfig {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig").field("shelf", &self.shelf).finish_non_exhaustive()
    }
}

/// Where the box stands.
#[derive(Clone)]
pub enum Shelf {
    /// In this process, or shared by several servers in one.
    Memory(MemoryShelf),
    /// In Redis or Valkey, by URL: `redis://` or `rediss://`.
    Redis(String),
}

impl fmt::Debug for Shelf {
    /// Without the password that a URL may hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory(_) => "Memory",
            Self::Redis(_) => "Redis",
        })
    }
}

/// Sealed states, each with its end.
type States = HashMap<String, (Instant, Vec<u8>)>;

/// States in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryShelf(Arc<Mutex<States>>);

impl MemoryShelf {
    fn with<T>(&self, act: impl FnOnce(&mut States) -> T) -> T {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        states.retain(|_, (end, _)| *end > now);
        act(&mut states)
    }
}

/// An open store.
pub(crate) struct Vault {
    shelf: OpenShelf,
    seal: Arc<Seal>,
}

enum OpenShelf {
    Memory(MemoryShelf),
    Redis(ConnectionManager),
}

impl Vault {
    /// Opens the store. Redis has to answer.
    pub(crate) async fn open(config: &StoreConfig) -> Result<Self, StoreError> {
        match &config.shelf {
            Shelf::Memory(memory) => Self::in_memory(memory.clone(), &config.key),
            Shelf::Redis(url) => {
                let open = async {
                    let client = redis::Client::open(url.as_str())?;
                    client.get_connection_manager().await
                };
                Self::new(OpenShelf::Redis(within(open).await?), &config.key)
            }
        }
    }

    /// A store in memory.
    pub(crate) fn in_memory(memory: MemoryShelf, key: &StoreKey) -> Result<Self, StoreError> {
        Self::new(OpenShelf::Memory(memory), key)
    }

    fn new(shelf: OpenShelf, key: &StoreKey) -> Result<Self, StoreError> {
        let seal = Seal::new(key).map_err(|_| StoreError("there is no AES-256-GCM".into()))?;
        Ok(Self { shelf, seal: Arc::new(seal) })
    }

    /// Marks a one-time ticket as used, for every task with this store. Answers whether it was
    /// unused. It is forgotten `life` after, when the ticket is too old anyway.
    pub(crate) async fn spend(&self, ticket: &str, life: Duration) -> Result<bool, StoreError> {
        let name = format!("{TICKETS}{ticket}");
        match &self.shelf {
            OpenShelf::Memory(memory) => Ok(memory.with(|states| {
                let fresh = !states.contains_key(&name);
                states.entry(name).or_insert((Instant::now() + life, Vec::new()));
                fresh
            })),
            OpenShelf::Redis(redis) => {
                let options = SetOptions::default()
                    .conditional_set(ExistenceCheck::NX)
                    .with_expiration(SetExpiry::EX(life.as_secs().max(1)));
                let mut redis = redis.clone();
                let set = redis.set_options(name, "", options);
                // `OK`, or nothing when it was there.
                Ok(within::<Option<String>>(set).await?.is_some())
            }
        }
    }
}

/// Where a state stands.
fn name(token: &str) -> String {
    let hash = digest(&SHA256, token.as_bytes());
    let hex: String = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{hex}")
}

/// What Redis answers, in time.
async fn within<T>(answer: impl Future<Output = redis::RedisResult<T>>) -> Result<T, StoreError> {
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(answer) => answer.map_err(|error| StoreError(error.to_string())),
        Err(_) => Err(StoreError(format!("no answer within {} s", DEADLINE.as_secs()))),
    }
}

impl SessionStore for Vault {
    fn keep(
        &self,
        call: &CallId,
        token: &ResumeToken,
        state: Vec<u8>,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        let name = name(token.reveal());
        let sealed = self.seal.close(call.as_str(), state);
        let sealed = sealed.map_err(|_| StoreError("the state cannot be encrypted".into()));
        match (&self.shelf, sealed) {
            (_, Err(error)) => std::future::ready(Err(error)).boxed(),
            (OpenShelf::Memory(memory), Ok(sealed)) => {
                memory.with(|states| states.insert(name, (Instant::now() + KEPT, sealed)));
                std::future::ready(Ok(())).boxed()
            }
            (OpenShelf::Redis(redis), Ok(sealed)) => {
                let mut redis = redis.clone();
                async move { within(redis.set_ex(name, sealed, KEPT.as_secs())).await }.boxed()
            }
        }
    }

    fn take(
        &self,
        call: &CallId,
        token: &str,
    ) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        let (name, call, seal) = (name(token), call.clone(), self.seal.clone());
        let open = move |sealed: Option<Vec<u8>>| seal.open(call.as_str(), sealed?);
        match &self.shelf {
            OpenShelf::Memory(memory) => {
                let sealed = memory.with(|states| states.remove(&name)).map(|(_, state)| state);
                std::future::ready(Ok(open(sealed))).boxed()
            }
            OpenShelf::Redis(redis) => {
                let mut redis = redis.clone();
                // Whoever comes second with the same token finds nothing.
                async move { Ok(open(within(redis.get_del(name)).await?)) }.boxed()
            }
        }
    }

    fn forget(&self, token: &ResumeToken) -> BoxFuture<'static, Result<(), StoreError>> {
        let name = name(token.reveal());
        match &self.shelf {
            OpenShelf::Memory(memory) => {
                memory.with(|states| states.remove(&name));
                std::future::ready(Ok(())).boxed()
            }
            OpenShelf::Redis(redis) => {
                let mut redis = redis.clone();
                async move { within(redis.del(name)).await }.boxed()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(memory: &MemoryShelf, key: u8) -> Vault {
        Vault::in_memory(memory.clone(), &[key; 32]).expect("a vault")
    }

    #[actix_web::test]
    async fn a_state_is_taken_once_and_only_with_its_token_call_and_key() {
        let memory = MemoryShelf::default();
        let (ours, theirs) = (vault(&memory, 1), vault(&memory, 2));
        let (call, other) = (CallId::random(), CallId::random());
        let token = ResumeToken::random();
        let keep = || ours.keep(&call, &token, b"secret".to_vec());
        keep().await.expect("kept");
        let stored =
            memory.with(|states| states.iter().next().map(|(k, v)| (k.clone(), v.clone())));
        let (name, (_, sealed)) = stored.expect("one state");
        assert!(!name.contains(token.reveal()));
        assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
        assert_eq!(ours.take(&call, ResumeToken::random().reveal()).await, Ok(None));
        assert_eq!(ours.take(&call, token.reveal()).await, Ok(Some(b"secret".to_vec())));
        assert_eq!(ours.take(&call, token.reveal()).await, Ok(None), "once");
        keep().await.expect("kept");
        assert_eq!(ours.take(&other, token.reveal()).await, Ok(None), "another call's");
        keep().await.expect("kept");
        assert_eq!(theirs.take(&call, token.reveal()).await, Ok(None), "another key");
        keep().await.expect("kept");
        ours.forget(&token).await.expect("forgotten");
        assert_eq!(ours.take(&call, token.reveal()).await, Ok(None));
    }

    #[actix_web::test]
    async fn a_ticket_is_spent_once_wherever_it_is_presented() {
        let memory = MemoryShelf::default();
        let (one, other) = (vault(&memory, 1), vault(&memory, 1));
        let life = Duration::from_secs(60);
        assert_eq!(one.spend("t", life).await, Ok(true));
        assert_eq!(other.spend("t", life).await, Ok(false));
        assert_eq!(other.spend("u", life).await, Ok(true));
    }

    #[actix_web::test]
    async fn what_is_over_or_broken_is_not_found() {
        let memory = MemoryShelf::default();
        let vault = vault(&memory, 1);
        let (call, token) = (CallId::random(), ResumeToken::random());
        vault.keep(&call, &token, vec![7; 100]).await.expect("kept");
        memory.with(|states| states.values_mut().for_each(|(_, sealed)| sealed[20] ^= 1));
        assert_eq!(vault.take(&call, token.reveal()).await, Ok(None), "tampered with");
        vault.keep(&call, &token, vec![7; 100]).await.expect("kept");
        memory.with(|states| states.values_mut().for_each(|(end, _)| *end = Instant::now()));
        assert_eq!(vault.take(&call, token.reveal()).await, Ok(None), "too old");
    }
}
