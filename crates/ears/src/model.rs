//! The acoustic model and the dictionary, as CMU Sphinx writes them to disk.
//!
//! Reads the folder that Debian's package `pocketsphinx-en-us` installs (the PyPI package has the
//! same one): `cmudict-en-us.dict` and, in `en-us/`, `mdef`, `means`, `variances`, `sendump`,
//! `transition_matrices` and `feat.params`. Read once per process and shared; nothing of it changes.
//! The layouts are those of the files' own heads and of PocketSphinx's sources (BSD-2); no file can
//! make it panic, every fault is an error with file and place.
//!
//! Only this model is understood: 16 kHz, phonetically tied mixtures with three streams. Others are
//! refused with the value that differs.

mod bytes;
pub(crate) mod codebooks;
pub(crate) mod dictionary;
pub(crate) mod mixtures;
pub(crate) mod parameters;
pub(crate) mod phones;
pub(crate) mod transitions;

use std::fmt;
use std::path::{Path, PathBuf};

use self::codebooks::Codebooks;
use self::dictionary::Dictionary;
use self::mixtures::Mixtures;
use self::parameters::Parameters;
use self::phones::Phones;
use self::transitions::Transitions;

/// Where Debian's package puts the model.
pub const DEBIAN: &str = "/usr/share/pocketsphinx/model/en-us";

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file is not there or cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file has something else than it should.
    #[error("{path}, byte {offset}: expected {expected}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What should be there.
        expected: String,
    },
    /// A line of a text file says something else than it should.
    #[error("{path}:{line}: expected {expected}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What should be there.
        expected: String,
    },
}

/// What a recogniser knows of a language's sounds.
pub struct Model {
    pub(crate) parameters: Parameters,
    pub(crate) phones: Phones,
    pub(crate) codebooks: Codebooks,
    pub(crate) mixtures: Mixtures,
    pub(crate) transitions: Vec<Transitions>,
    pub(crate) dictionary: Dictionary,
}

impl Model {
    /// Reads the model in `folder`, which has `cmudict-en-us.dict` and `en-us/`.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, ModelError> {
        let folder = folder.as_ref();
        let acoustic = folder.join("en-us");
        let phones = Phones::read(&acoustic.join("mdef"))?;
        let (means, variances) = (acoustic.join("means"), acoustic.join("variances"));
        Ok(Self {
            parameters: parameters::read(&acoustic.join("feat.params"))?,
            codebooks: Codebooks::read(&means, &variances, phones.count())?,
            mixtures: Mixtures::read(&acoustic.join("sendump"), phones.senones())?,
            transitions: transitions::read(&acoustic.join("transition_matrices"), phones.count())?,
            dictionary: Dictionary::read(&folder.join("cmudict-en-us.dict"))?,
            phones,
        })
    }

    /// Whether `folder` looks as if a model were there.
    pub fn is_in(folder: impl AsRef<Path>) -> bool {
        folder.as_ref().join("en-us").join("mdef").is_file()
    }

    /// Whether the dictionary has this word, in lower case.
    pub fn knows(&self, word: &str) -> bool {
        matches!(self.dictionary.pronunciations(word, &self.phones), Ok(found) if !found.is_empty())
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (phones, senones) = (self.phones.count(), self.phones.senones());
        f.debug_struct("Model").field("phones", &phones).field("senones", &senones).finish()
    }
}

#[cfg(test)]
mod tests;
