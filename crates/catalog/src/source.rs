//! Reads the three folders into memory. The only part of the model's side that does I/O.
//!
//! It knows which files belong to which kind, not what is in them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::problem::{Problem, Severity};

/// No definition is anywhere near this long; a larger file is somebody's mistake.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Where the files are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dirs {
    /// Folder of `*.json` tool files (`TOOLS_DIR`).
    pub tools: PathBuf,
    /// Folder of `workflow-<id>.json` and `workflow_<id>.json` files (`WORKFLOWS_DIR`).
    pub workflows: PathBuf,
    /// Folder of `*.txt` prompt files (`PROMPTS_DIR`).
    pub prompts: PathBuf,
}

/// Where a file was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Origin {
    /// In the folder.
    #[default]
    Local,
    /// In Langfuse's prompt management.
    Langfuse {
        /// The version that carries the label.
        version: u32,
    },
}

impl Origin {
    /// `local` or `langfuse` (`contract.md` §3, `/api/prompts`).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Langfuse { .. } => "langfuse",
        }
    }

    /// The version of a prompt that has one.
    pub fn version(self) -> Option<u32> {
        match self {
            Self::Local => None,
            Self::Langfuse { version } => Some(version),
        }
    }
}

/// One file in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Name without its folder.
    pub name: String,
    /// What is in it; not checked, not even for UTF-8.
    pub bytes: Vec<u8>,
    /// Where it was read.
    pub origin: Origin,
}

impl SourceFile {
    /// A file that never was on a disk.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into(), origin: Origin::Local }
    }

    /// A prompt of Langfuse's; `name` as its local file would be called.
    pub fn langfuse(name: impl Into<String>, bytes: impl Into<Vec<u8>>, version: u32) -> Self {
        Self { origin: Origin::Langfuse { version }, ..Self::new(name, bytes) }
    }

    /// How problems call it: `prompts/core-style.txt`, `langfuse/core-style (version 3)`.
    pub(crate) fn label(&self, folder: &str) -> String {
        match self.origin {
            Origin::Local => format!("{folder}/{}", self.name),
            Origin::Langfuse { version } => {
                let name = self.name.strip_suffix(".txt").unwrap_or(&self.name);
                format!("langfuse/{name} (version {version})")
            }
        }
    }
}

/// All files of a catalog, each kind sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// `tools/*.json`
    pub tools: Vec<SourceFile>,
    /// `workflows/*.json`
    pub workflows: Vec<SourceFile>,
    /// `prompts/*.txt`
    pub prompts: Vec<SourceFile>,
}

impl Sources {
    /// SHA-256 over kinds, names and contents.
    pub(crate) fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (kind, files) in [(b't', &self.tools), (b'w', &self.workflows), (b'p', &self.prompts)] {
            for file in files {
                hash.update([kind]);
                for part in [file.name.as_bytes(), &file.bytes] {
                    hash.update((part.len() as u64).to_be_bytes());
                    hash.update(part);
                }
            }
        }
        hex::encode(hash.finalize())
    }
}

/// Reads the folders. What cannot be read becomes a problem; the rest is still returned.
pub(crate) fn read(dirs: &Dirs) -> (Sources, Vec<Problem>) {
    let mut problems = Vec::new();
    let sources = Sources {
        tools: read_dir(&dirs.tools, "tools", "TOOLS_DIR", "json", &mut problems),
        workflows: read_dir(&dirs.workflows, "workflows", "WORKFLOWS_DIR", "json", &mut problems),
        prompts: read_dir(&dirs.prompts, "prompts", "PROMPTS_DIR", "txt", &mut problems),
    };
    (sources, problems)
}

fn read_dir(
    dir: &Path,
    label: &str,
    variable: &str,
    extension: &str,
    problems: &mut Vec<Problem>,
) -> Vec<SourceFile> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            let what = format!("the folder {} cannot be read: {error}", dir.display());
            let remedy = format!("Create it, or name another one in {variable}.");
            problems.push(whole_file(label.to_owned(), what, remedy));
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = match entry {
            Ok(entry) => entry.path(),
            Err(error) => {
                let what = format!("an entry of the folder cannot be read: {error}");
                problems.push(whole_file(label.to_owned(), what, "Check the disk.".into()));
                continue;
            }
        };
        // A file whose name is not UTF-8 has no id that a URL or a model could name.
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let wanted = path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension));
        if name.starts_with('.') || !wanted {
            continue;
        }
        match read_file(&path) {
            Ok(Some(bytes)) => files.push(SourceFile::new(name, bytes)),
            Ok(None) => {}
            Err(error) => {
                let what = format!("the file cannot be read: {error}");
                let remedy = "Check its permissions and its size, or take it away.".to_owned();
                problems.push(whole_file(format!("{label}/{name}"), what, remedy));
            }
        }
    }
    // The order of a folder is the file system's whim; ours must not be.
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

/// The content of a regular file; `None` for folders, sockets and the like.
fn read_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let meta = fs::metadata(path)?;
    if !meta.is_file() {
        return Ok(None);
    }
    if meta.len() > MAX_FILE_BYTES {
        let why = format!("it has {} bytes, at most {MAX_FILE_BYTES} are allowed", meta.len());
        return Err(io::Error::other(why));
    }
    fs::read(path).map(Some)
}

fn whole_file(file: String, what: String, remedy: String) -> Problem {
    Problem::of_file(Severity::Error, file, what, remedy)
}
