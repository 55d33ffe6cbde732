//! Little-endian numbers from a file, and where in the file they stood.
//!
//! Not a parser of anything: the readers of the model's files use it. Whatever is asked for and is
//! not there is an error with file and offset, so that no reader has to look at lengths itself.

use std::path::{Path, PathBuf};

use super::ModelError;

/// Files of the largest model known are below 30 MB; this much is read and no more.
const MAX_FILE: u64 = 256 << 20;

/// One file, and how far it has been read.
pub(super) struct Bytes {
    path: PathBuf,
    data: Vec<u8>,
    at: usize,
}

impl Bytes {
    /// Reads a whole file.
    pub(super) fn read(path: &Path) -> Result<Self, ModelError> {
        let failed = |source| ModelError::Read { path: path.to_owned(), source };
        let length = std::fs::metadata(path).map_err(failed)?.len();
        if length > MAX_FILE {
            let expected = format!("at most {MAX_FILE} bytes, and it has {length}");
            return Err(ModelError::Format { path: path.to_owned(), offset: 0, expected });
        }
        Ok(Self::new(path, std::fs::read(path).map_err(failed)?))
    }

    /// Bytes that are there already; `path` names them in errors.
    pub(super) fn new(path: &Path, data: Vec<u8>) -> Self {
        Self { path: path.to_owned(), data, at: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.data.len()
    }

    /// An error about what comes next.
    pub(super) fn wrong(&self, expected: impl Into<String>) -> ModelError {
        let (path, offset) = (self.path.clone(), self.at as u64);
        ModelError::Format { path, offset, expected: expected.into() }
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize, what: &str) -> Result<&[u8], ModelError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.data.len());
        let Some(end) = end else {
            let left = self.data.len() - self.at;
            return Err(self.wrong(format!("{what}: {count} bytes, and {left} are left")));
        };
        let start = std::mem::replace(&mut self.at, end);
        Ok(&self.data[start..end])
    }

    /// The next `count` elements of `N` bytes each.
    fn items<const N: usize, T>(
        &mut self,
        count: usize,
        what: &str,
        read: fn([u8; N]) -> T,
    ) -> Result<Vec<T>, ModelError> {
        let bytes = self.take(count.saturating_mul(N), what)?;
        Ok(bytes.as_chunks::<N>().0.iter().copied().map(read).collect())
    }

    pub(super) fn i32(&mut self, what: &str) -> Result<i32, ModelError> {
        Ok(self.items(1, what, i32::from_le_bytes)?[0])
    }

    pub(super) fn f32s(&mut self, count: usize, what: &str) -> Result<Vec<f32>, ModelError> {
        self.items(count, what, f32::from_le_bytes)
    }

    pub(super) fn u16s(&mut self, count: usize, what: &str) -> Result<Vec<u16>, ModelError> {
        self.items(count, what, u16::from_le_bytes)
    }

    /// A count: not negative, and at most `most`.
    pub(super) fn count(&mut self, what: &str, most: usize) -> Result<usize, ModelError> {
        let start = self.at;
        let value = self.i32(what)?;
        match usize::try_from(value) {
            Ok(count) if count <= most => Ok(count),
            _ => {
                self.at = start;
                Err(self.wrong(format!("{what}: a number from 0 to {most}, and it is {value}")))
            }
        }
    }

    /// A number that can only be one.
    pub(super) fn exactly(&mut self, what: &str, wanted: usize) -> Result<(), ModelError> {
        let start = self.at;
        let value = self.i32(what)?;
        if usize::try_from(value) != Ok(wanted) {
            self.at = start;
            return Err(self.wrong(format!("{what}: {wanted}, and it is {value}")));
        }
        Ok(())
    }

    /// A text that ends with a zero byte.
    pub(super) fn text(&mut self, what: &str) -> Result<String, ModelError> {
        let rest = &self.data[self.at..];
        let Some(length) = rest.iter().take(64).position(|byte| *byte == 0) else {
            return Err(self.wrong(format!("{what}: a short text that ends with a zero byte")));
        };
        let text = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(text)
    }

    /// Moves on to the next multiple of four bytes.
    pub(super) fn align(&mut self) {
        self.at = self.at.next_multiple_of(4).min(self.data.len());
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<(), ModelError> {
        match self.is_empty() {
            true => Ok(()),
            false => Err(self.wrong("the end of the file")),
        }
    }

    /// Reads past the head of an `s3` file: lines of text up to `endhdr`, then a word that shows
    /// the byte order. Gives the place where the checksum begins to count, or `None` without one.
    pub(super) fn s3_head(&mut self) -> Result<Option<usize>, ModelError> {
        const END: &[u8] = b"endhdr\n";
        if !self.data.starts_with(b"s3\n") {
            return Err(self.wrong("a file that begins with `s3`"));
        }
        let head = &self.data[..self.data.len().min(4096)];
        let Some(length) = head.windows(END.len()).position(|window| window == END) else {
            return Err(self.wrong("a head that ends with `endhdr`"));
        };
        let checked = head[..length].windows(7).any(|window| window == b"chksum0");
        self.at = length + END.len();
        self.exactly("the byte order: little-endian, 0x11223344", 0x1122_3344)?;
        Ok(checked.then_some(self.at))
    }

    /// Compares the checksum that closes an `s3` file with its words from `start` on.
    pub(super) fn s3_checksum(&mut self, start: Option<usize>) -> Result<(), ModelError> {
        let Some(start) = start else { return Ok(()) };
        let words = self.data[start..self.at].as_chunks::<4>().0;
        let sum = words
            .iter()
            .fold(0_u32, |sum, word| sum.rotate_left(20).wrapping_add(u32::from_le_bytes(*word)));
        let before = self.at;
        let stored = self.items(1, "the checksum", u32::from_le_bytes)?[0];
        if stored != sum {
            self.at = before;
            let found = format!("the checksum {sum:#010x}, and it is {stored:#010x}");
            return Err(self.wrong(found));
        }
        Ok(())
    }
}
