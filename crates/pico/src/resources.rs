//! The two English voices, embedded, and their way to the file system.
//!
//! Pico loads a voice from a file whose name ends in `.bin` and from nowhere else, so each engine
//! writes its voice to a private folder, loads it and deletes the folder. Called by `engine`.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Which of the two English voices speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Accent {
    /// en-US: the agent's voice.
    #[default]
    American,
    /// en-GB: the caller's voice in tests, so that caller and agent differ.
    British,
}

/// One resource: its file name and its content.
type Resource = (&'static str, &'static [u8]);

macro_rules! resource {
    ($name:literal) => {
        ($name, include_bytes!(concat!(env!("OUT_DIR"), "/", $name)))
    };
}

static AMERICAN: [Resource; 2] = [resource!("en-US_ta.bin"), resource!("en-US_lh0_sg.bin")];
static BRITISH: [Resource; 2] = [resource!("en-GB_ta.bin"), resource!("en-GB_kh0_sg.bin")];

/// A voice on the file system; deleted when dropped.
#[derive(Debug)]
pub(crate) struct VoiceFiles {
    dir: TempDir,
    resources: &'static [Resource; 2],
}

impl VoiceFiles {
    /// Writes the voice to the first folder that takes it: the system's temporary folder, or the
    /// memory file system where a container's root is read-only.
    pub(crate) fn write(accent: Accent) -> io::Result<Self> {
        let system = std::env::temp_dir();
        Self::write_in(accent, &system)
            .or_else(|error| Self::write_in(accent, Path::new("/dev/shm")).map_err(|_| error))
    }

    fn write_in(accent: Accent, parent: &Path) -> io::Result<Self> {
        let resources = match accent {
            Accent::American => &AMERICAN,
            Accent::British => &BRITISH,
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix("voice-pico-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(std::fs::Permissions::from_mode(0o700));
        }
        let dir = builder.tempdir_in(parent)?;
        for (name, content) in resources {
            std::fs::write(dir.path().join(name), content)?;
        }
        Ok(Self { dir, resources })
    }

    /// The files, text analysis first.
    pub(crate) fn paths(&self) -> [PathBuf; 2] {
        self.resources.map(|(name, _)| self.dir.path().join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_private_and_go_away() {
        let parent = tempfile::tempdir().unwrap();
        let files = VoiceFiles::write_in(Accent::British, parent.path()).unwrap();
        assert!(files.paths().iter().all(|path| path.is_file()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(files.dir.path()).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
        }
        drop(files);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        assert!(VoiceFiles::write_in(Accent::American, Path::new("/nowhere/at/all")).is_err());
    }
}
