//! The pronouncing dictionary: 134,000 words as phones.
//!
//! One pronunciation a line; further ones of the same word have a number: `the(2) DH IY`. The text
//! stays as it is and is searched; only the words of the phrases are ever looked up.

use std::path::{Path, PathBuf};

use super::ModelError;
use super::phones::{Phone, Phones};

/// The longest pronunciation that is taken.
const MAX_PHONES: usize = 40;

/// A dictionary.
pub(crate) struct Dictionary {
    path: PathBuf,
    text: String,
    /// Start and number of each line, sorted by its word without the number.
    lines: Vec<(u32, u32)>,
}

impl Dictionary {
    pub(super) fn read(path: &Path) -> Result<Self, ModelError> {
        let failed = |source| ModelError::Read { path: path.to_owned(), source };
        Self::parse(path, std::fs::read_to_string(path).map_err(failed)?)
    }

    pub(super) fn parse(path: &Path, text: String) -> Result<Self, ModelError> {
        if u32::try_from(text.len()).is_err() {
            let expected = "a dictionary of less than 4 GB".to_owned();
            return Err(ModelError::Line { path: path.to_owned(), line: 1, expected });
        }
        let mut lines = Vec::new();
        let mut start = 0_u32;
        for (number, line) in text.split_inclusive('\n').enumerate() {
            if !line.trim().is_empty() {
                lines.push((start, number as u32 + 1));
            }
            start += line.len() as u32;
        }
        lines.sort_by_key(|(start, line)| (word_at(&text, *start), *line));
        Ok(Self { path: path.to_owned(), text, lines })
    }

    /// The pronunciations of a word, none if it is not there.
    pub(crate) fn pronunciations(
        &self,
        word: &str,
        phones: &Phones,
    ) -> Result<Vec<Vec<Phone>>, ModelError> {
        let first = self.lines.partition_point(|(start, _)| word_at(&self.text, *start) < word);
        let rest = self.lines.get(first..).unwrap_or_default();
        let own = rest.iter().take_while(|(start, _)| word_at(&self.text, *start) == word);
        own.map(|&(start, line)| self.pronunciation(start, line, phones)).collect()
    }

    fn pronunciation(
        &self,
        start: u32,
        line: u32,
        phones: &Phones,
    ) -> Result<Vec<Phone>, ModelError> {
        let wrong = |expected: String| ModelError::Line {
            path: self.path.clone(),
            line: line.into(),
            expected,
        };
        let text = self.text.get(start as usize..).and_then(|rest| rest.lines().next());
        let mut found = Vec::new();
        for name in text.unwrap_or_default().split_whitespace().skip(1) {
            let phone = phones.named(name).filter(|phone| !phones.fillers().contains(phone));
            found.push(phone.ok_or_else(|| wrong(format!("phones, and `{name}` is none")))?);
        }
        match (1..=MAX_PHONES).contains(&found.len()) {
            true => Ok(found),
            false => Err(wrong(format!("a word and 1 to {MAX_PHONES} phones"))),
        }
    }
}

/// The word of the line that starts here, without the number of a further pronunciation.
fn word_at(text: &str, start: u32) -> &str {
    let line = text.get(start as usize..).unwrap_or_default();
    let word = line.split_ascii_whitespace().next().unwrap_or_default();
    match word.split_once('(') {
        Some((plain, _)) if !plain.is_empty() => plain,
        _ => word,
    }
}
