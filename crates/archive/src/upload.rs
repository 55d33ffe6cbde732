//! Brings the parts of recordings to the store, while they grow and when they are done.
//!
//! What the store has is written down beside the parts, so that a next process goes on there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use voice_call::meters::ReasonLabel;

use crate::{
    instance::entries,
    name::LogName,
    spool::Spool,
    store::{FaultKind, StoreFault, Upload},
};

/// The content type of a recording.
const WAV: &str = "audio/wav";

/// What the store has of a recording.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Manifest {
    upload: Upload,
    /// What the store called each part.
    tags: BTreeMap<u32, String>,
}

/// One recording on the local disk.
struct Local<'a> {
    dir: &'a Path,
    stem: String,
}

impl Spool {
    /// Brings every part that is ready, and completes recordings that have ended. Answers why
    /// what is left has failed.
    pub(crate) async fn round_of_parts(&self) -> Vec<StoreFault> {
        let mut failed = Vec::new();
        for stem in stems(&self.parts) {
            let local = Local { dir: &self.parts, stem };
            let brought = self.bring_recording(&local).await;
            let reason = brought.as_ref().map_or_else(|fault| fault.kind.as_str(), |_| "ok");
            if !matches!(brought, Ok(false)) {
                self.meters.uploads.get_or_create(&ReasonLabel { reason }).inc();
            }
            failed.extend(brought.err());
        }
        failed
    }

    /// Whether anything of it was brought.
    async fn bring_recording(&self, local: &Local<'_>) -> Result<bool, StoreFault> {
        let Some(name) = LogName::parse(&format!("{}.json", local.stem)) else { return Ok(false) };
        let (key, ready, count) = (name.recording_key(), local.ready(), local.count());
        let manifest = local.manifest();
        if manifest.is_none() && count == Some(1) && ready.contains(&1) {
            self.store.put(key, WAV, local.part(1)).await?;
            local.remove(&ready).map_err(of_io)?;
            return Ok(true);
        }
        if ready.is_empty() && count.is_none() {
            return Ok(false);
        }
        let mut manifest = match manifest {
            Some(manifest) => manifest,
            None => {
                let id = self.store.begin(key.clone(), WAV).await?;
                let manifest = Manifest { upload: Upload { key, id }, tags: BTreeMap::new() };
                local.keep(&manifest).map_err(of_io)?;
                manifest
            }
        };
        for part in &ready {
            let put = self.store.put_part(manifest.upload.clone(), *part, local.part(*part)).await;
            let tag = match put {
                Err(fault) if fault.kind == FaultKind::NoUpload => {
                    return self.lose(local, &manifest);
                }
                other => other?,
            };
            manifest.tags.insert(*part, tag);
            local.keep(&manifest).map_err(of_io)?;
            fs::remove_file(local.part(*part)).map_err(of_io)?;
        }
        if let Some(count) = count
            && (1..=count).all(|part| manifest.tags.contains_key(&part))
        {
            let tags = manifest.tags.values().cloned().collect();
            match self.store.complete(manifest.upload.clone(), tags).await {
                Err(fault) if fault.kind == FaultKind::NoUpload => {
                    return self.lose(local, &manifest);
                }
                other => other?,
            }
            local.remove(&BTreeSet::new()).map_err(of_io)?;
        }
        Ok(true)
    }

    /// The store has forgotten the upload: begun anew if all parts are still here, lost otherwise.
    fn lose(&self, local: &Local<'_>, manifest: &Manifest) -> Result<bool, StoreFault> {
        if !manifest.tags.is_empty() {
            self.meters.recording_errors.inc();
            tracing::error!(recording = local.stem, "the store has forgotten the parts of it");
            local.remove(&local.ready()).map_err(of_io)?;
            return Ok(true);
        }
        fs::remove_file(local.file("upload")).map_err(of_io)?;
        Err(StoreFault::new(FaultKind::NoUpload, "the upload is begun anew"))
    }
}

impl Local<'_> {
    fn file(&self, what: &str) -> PathBuf {
        self.dir.join(format!("{}.{what}", self.stem))
    }

    fn part(&self, number: u32) -> PathBuf {
        self.file(&format!("{number}.part"))
    }

    /// The parts that can be brought.
    fn ready(&self) -> BTreeSet<u32> {
        let number = |file: PathBuf| {
            let name = file.file_name()?.to_str()?.strip_prefix(&self.stem)?.strip_prefix('.')?;
            name.strip_suffix(".part")?.parse().ok()
        };
        entries(self.dir).filter_map(number).collect()
    }

    /// How many parts there are in all, once it is known.
    fn count(&self) -> Option<u32> {
        fs::read_to_string(self.file("end")).ok()?.trim().parse().ok()
    }

    fn manifest(&self) -> Option<Manifest> {
        serde_json::from_slice(&fs::read(self.file("upload")).ok()?).ok()
    }

    fn keep(&self, manifest: &Manifest) -> io::Result<()> {
        let beside = self.file("upload.partial");
        fs::write(&beside, serde_json::to_vec(manifest)?)?;
        fs::rename(beside, self.file("upload"))
    }

    fn remove(&self, parts: &BTreeSet<u32>) -> io::Result<()> {
        let files = parts.iter().map(|part| self.part(*part));
        for file in files.chain([self.file("upload"), self.file("end")]) {
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The recordings of which there is something in a folder.
fn stems(dir: &Path) -> BTreeSet<String> {
    let stem = |file: PathBuf| {
        let name = file.file_name()?.to_str()?;
        let stem = name.strip_suffix(".end").or_else(|| name.strip_suffix(".upload"));
        let of_part = || name.strip_suffix(".part").and_then(|rest| rest.rsplit_once('.'));
        stem.or_else(|| of_part().map(|(stem, _)| stem)).map(str::to_owned)
    };
    entries(dir).filter_map(stem).collect()
}

fn of_io(error: io::Error) -> StoreFault {
    StoreFault::new(FaultKind::Other, format!("the local disk: {error}"))
}
