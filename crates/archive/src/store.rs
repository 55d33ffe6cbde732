//! Where finished logs and recordings are kept: a folder, or a bucket (`voice-aws`).
//!
//! Keys are relative, with `/` between folders; who calls has checked them.

use std::{fmt, ops::RangeInclusive, path::PathBuf};

use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream::BoxStream};

/// Longest object that is read into memory.
const MAX_WHOLE: u64 = 64 * 1024 * 1024;

/// A store of objects.
pub trait ObjectStore: fmt::Debug + Send + Sync + 'static {
    /// Keeps a file's content under a key, in place of what was there.
    fn put(
        &self,
        key: String,
        content_type: &'static str,
        file: PathBuf,
    ) -> BoxFuture<'_, Result<(), StoreFault>>;

    /// Reads an object, or a part of it (both ends included). `None` when there is none.
    fn get(
        &self,
        key: String,
        range: Option<RangeInclusive<u64>>,
    ) -> BoxFuture<'_, Result<Option<Object>, StoreFault>>;

    /// What is directly in a folder (`""` or `2026/11`), sorted by name.
    fn list(&self, folder: String) -> BoxFuture<'_, Result<Listing, StoreFault>>;

    /// Removes an object. One that is not there is removed already.
    fn delete(&self, key: String) -> BoxFuture<'_, Result<(), StoreFault>>;

    /// Begins an object that comes in parts.
    fn begin(
        &self,
        key: String,
        content_type: &'static str,
    ) -> BoxFuture<'_, Result<String, StoreFault>>;

    /// Adds a part (from 1, in any order). Answers what `complete` wants to know of it.
    fn put_part(
        &self,
        upload: Upload,
        number: u32,
        file: PathBuf,
    ) -> BoxFuture<'_, Result<String, StoreFault>>;

    /// Makes the object of its parts, which come in order.
    fn complete(&self, upload: Upload, parts: Vec<String>)
    -> BoxFuture<'_, Result<(), StoreFault>>;

    /// Gives the parts up.
    fn abort(&self, upload: Upload) -> BoxFuture<'_, Result<(), StoreFault>>;

    /// What it is, for the log: `data/sessions`, `s3://bucket/prefix`.
    fn describe(&self) -> String;
}

/// An object that comes in parts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Upload {
    /// The object's key.
    pub key: String,
    /// What `begin` answered.
    pub id: String,
}

/// What is in a folder.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Names of the folders in it.
    pub folders: Vec<String>,
    /// Names of the objects in it.
    pub objects: Vec<String>,
}

/// An object, or a part of it.
pub struct Object {
    /// Bytes of the whole object.
    pub size: u64,
    /// What was asked for.
    pub body: BoxStream<'static, std::io::Result<Bytes>>,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Object {
    /// All of it.
    pub async fn read(mut self) -> Result<Vec<u8>, StoreFault> {
        if self.size > MAX_WHOLE {
            let what = format!("the object has {} bytes", self.size);
            return Err(StoreFault::new(FaultKind::Other, what));
        }
        let mut bytes = Vec::with_capacity(self.size.try_into().unwrap_or(0));
        while let Some(chunk) = self.body.next().await {
            let chunk =
                chunk.map_err(|e| StoreFault::new(FaultKind::Unavailable, e.to_string()))?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// Why a store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct StoreFault {
    /// What kind of trouble it is.
    pub kind: FaultKind,
    /// The whole story.
    pub what: String,
}

/// Whose trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// It does not answer, or asks for patience.
    Unavailable,
    /// The credentials or their rights are not good enough.
    Denied,
    /// The bucket or the folder does not exist.
    Missing,
    /// There is no room.
    Full,
    /// The upload is not known any more.
    NoUpload,
    /// Anything else.
    Other,
}

impl FaultKind {
    /// A word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::Missing => "missing",
            Self::Full => "full",
            Self::NoUpload => "no_upload",
            Self::Other => "other",
        }
    }
}

impl StoreFault {
    /// One fault.
    pub fn new(kind: FaultKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into() }
    }
}
