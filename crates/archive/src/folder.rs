//! A folder as a store: the embedded default.
//!
//! An object appears whole or not at all: it is written beside its place and then moved there.

use std::{
    io::{self, ErrorKind, SeekFrom},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream};
use tokio::{
    fs::{self, File, OpenOptions},
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};

use crate::store::{FaultKind, Listing, Object, ObjectStore, StoreFault, Upload};

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// What an unfinished file's name ends with.
const UNFINISHED: &str = ".partial";

/// The folder.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// The store in this folder; it is made when something is put there.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.root.join(key)
    }

    /// Where the parts of an unfinished object are.
    fn parts(&self, upload: &Upload) -> PathBuf {
        self.root.join(format!("{}.{}{UNFINISHED}", upload.key, upload.id))
    }
}

impl ObjectStore for Folder {
    fn put(
        &self,
        key: String,
        _: &'static str,
        file: PathBuf,
    ) -> BoxFuture<'_, Result<(), StoreFault>> {
        let target = self.path(&key);
        Box::pin(async move {
            make_parent(&target).await?;
            let beside = with_suffix(&target, UNFINISHED);
            fs::copy(&file, &beside).await.map_err(|error| of_io(&error))?;
            fs::rename(&beside, &target).await.map_err(|error| of_io(&error))
        })
    }

    fn get(
        &self,
        key: String,
        range: Option<RangeInclusive<u64>>,
    ) -> BoxFuture<'_, Result<Option<Object>, StoreFault>> {
        let path = self.path(&key);
        Box::pin(async move {
            match open(&path, range).await {
                Ok(object) => Ok(Some(object)),
                Err(error) if is_absent(&error) => Ok(None),
                Err(error) => Err(of_io(&error)),
            }
        })
    }

    fn list(&self, folder: String) -> BoxFuture<'_, Result<Listing, StoreFault>> {
        let path = self.path(&folder);
        Box::pin(async move {
            let mut listing = Listing::default();
            let mut entries = match fs::read_dir(&path).await {
                Ok(entries) => entries,
                Err(error) if is_absent(&error) => return Ok(listing),
                Err(error) => return Err(of_io(&error)),
            };
            while let Some(entry) = entries.next_entry().await.map_err(|e| of_io(&e))? {
                let Ok(name) = entry.file_name().into_string() else { continue };
                match entry.file_type().await {
                    Ok(kind) if kind.is_dir() => listing.folders.push(name),
                    Ok(kind) if kind.is_file() && !name.ends_with(UNFINISHED) => {
                        listing.objects.push(name);
                    }
                    _ => {}
                }
            }
            listing.folders.sort();
            listing.objects.sort();
            Ok(listing)
        })
    }

    fn delete(&self, key: String) -> BoxFuture<'_, Result<(), StoreFault>> {
        let path = self.path(&key);
        Box::pin(async move {
            match fs::remove_file(&path).await {
                Err(error) if !is_absent(&error) => Err(of_io(&error)),
                _ => Ok(()),
            }
        })
    }

    fn begin(&self, key: String, _: &'static str) -> BoxFuture<'_, Result<String, StoreFault>> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let parts = self.parts(&Upload { key, id: id.clone() });
        Box::pin(async move {
            fs::create_dir_all(&parts).await.map_err(|error| of_io(&error))?;
            Ok(id)
        })
    }

    fn put_part(
        &self,
        upload: Upload,
        number: u32,
        file: PathBuf,
    ) -> BoxFuture<'_, Result<String, StoreFault>> {
        let parts = self.parts(&upload);
        Box::pin(async move {
            let part = parts.join(number.to_string());
            match fs::copy(&file, &part).await {
                Ok(_) => Ok(number.to_string()),
                Err(error) if is_absent(&error) && !parts.is_dir() => {
                    Err(StoreFault::new(FaultKind::NoUpload, "the parts are gone"))
                }
                Err(error) => Err(of_io(&error)),
            }
        })
    }

    fn complete(
        &self,
        upload: Upload,
        parts: Vec<String>,
    ) -> BoxFuture<'_, Result<(), StoreFault>> {
        let (folder, target) = (self.parts(&upload), self.path(&upload.key));
        Box::pin(async move {
            join(&folder, &parts, &target).await.map_err(|error| of_io(&error))?;
            fs::remove_dir_all(&folder).await.map_err(|error| of_io(&error))
        })
    }

    fn abort(&self, upload: Upload) -> BoxFuture<'_, Result<(), StoreFault>> {
        let folder = self.parts(&upload);
        Box::pin(async move {
            match fs::remove_dir_all(&folder).await {
                Err(error) if !is_absent(&error) => Err(of_io(&error)),
                _ => Ok(()),
            }
        })
    }

    fn describe(&self) -> String {
        self.root.display().to_string()
    }
}

async fn open(path: &Path, range: Option<RangeInclusive<u64>>) -> io::Result<Object> {
    let mut file = File::open(path).await?;
    let meta = file.metadata().await?;
    if !meta.is_file() {
        return Err(ErrorKind::NotFound.into());
    }
    let size = meta.len();
    let (start, end) = range.map_or((0, size), |range| (*range.start(), range.end() + 1));
    file.seek(SeekFrom::Start(start)).await?;
    let left = end.min(size).saturating_sub(start);
    let body = stream::unfold((file, left), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let mut chunk = vec![0; CHUNK.min(left.try_into().unwrap_or(CHUNK))];
        match file.read(&mut chunk).await {
            Ok(0) => None,
            Ok(read) => {
                chunk.truncate(read);
                Some((Ok(Bytes::from(chunk)), (file, left - read as u64)))
            }
            Err(error) => Some((Err(error), (file, 0))),
        }
    });
    Ok(Object { size, body: body.boxed() })
}

async fn join(folder: &Path, parts: &[String], target: &Path) -> io::Result<()> {
    let beside = with_suffix(target, UNFINISHED);
    let mut whole =
        OpenOptions::new().create(true).write(true).truncate(true).open(&beside).await?;
    for part in parts {
        let mut part = File::open(folder.join(part)).await?;
        tokio::io::copy(&mut part, &mut whole).await?;
    }
    whole.flush().await?;
    fs::rename(&beside, target).await
}

async fn make_parent(path: &Path) -> Result<(), StoreFault> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).await.map_err(|error| of_io(&error)),
        None => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn of_io(error: &io::Error) -> StoreFault {
    let kind = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => FaultKind::Denied,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            FaultKind::Full
        }
        ErrorKind::NotFound => FaultKind::Missing,
        _ => FaultKind::Other,
    };
    StoreFault::new(kind, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn objects_come_back_whole_in_part_and_not_at_all() {
        let root = tempfile::tempdir().expect("a folder");
        let store = Folder::new(root.path().join("store"));
        let file = root.path().join("file");
        std::fs::write(&file, "0123456789").expect("a file");
        assert_eq!(store.list(String::new()).await.expect("empty"), Listing::default());
        store.put("2026/11/a.json".into(), "application/json", file.clone()).await.expect("put");
        let read = async |range| {
            let object = store.get("2026/11/a.json".into(), range).await.expect("get");
            String::from_utf8(object.expect("there").read().await.expect("read")).expect("text")
        };
        assert_eq!(read(None).await, "0123456789");
        assert_eq!(read(Some(2..=4)).await, "234");
        assert_eq!(read(Some(8..=40)).await, "89");
        assert!(store.get("2026/11".into(), None).await.expect("no error").is_none());
        assert!(store.get("b.json".into(), None).await.expect("no error").is_none());
        assert_eq!(store.list("2026".into()).await.expect("a list").folders, ["11"]);
        assert_eq!(store.list("2026/11".into()).await.expect("a list").objects, ["a.json"]);
        for _ in 0..2 {
            store.delete("2026/11/a.json".into()).await.expect("delete");
        }
        assert!(store.get("2026/11/a.json".into(), None).await.expect("no error").is_none());
    }

    #[tokio::test]
    async fn parts_in_any_order_make_one_object() {
        let root = tempfile::tempdir().expect("a folder");
        let store = Folder::new(root.path().join("store"));
        let key = "2026/a.wav".to_owned();
        let id = store.begin(key.clone(), "audio/wav").await.expect("begun");
        let upload = Upload { key: key.clone(), id };
        let file = root.path().join("file");
        let mut tags = vec![String::new(); 3];
        for (number, text) in [(2, "lo "), (3, "you"), (1, "hel")] {
            std::fs::write(&file, text).expect("a file");
            let tag = store.put_part(upload.clone(), number, file.clone()).await.expect("a part");
            tags[number as usize - 1] = tag;
        }
        assert!(store.list("2026".into()).await.expect("a list").objects.is_empty());
        store.complete(upload.clone(), tags).await.expect("complete");
        let whole = store.get(key, None).await.expect("no error").expect("there");
        assert_eq!(whole.read().await.expect("read"), b"hello you");
        let gone = store.put_part(upload.clone(), 1, file).await.expect_err("it is over");
        assert_eq!(gone.kind, FaultKind::NoUpload);
        store.abort(upload).await.expect("nothing to give up");
    }
}
