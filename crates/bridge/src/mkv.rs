//! Matroska as it comes off the wire, element by element.
//!
//! A reader of bytes in any division, on `ebml-iterable`: no I/O, no thread, no look-ahead. What is
//! not needed to hear a caller is passed over. It judges nothing: [`crate::fragments`] knows what
//! the elements mean. Source: connect-kvs.md §1.1 and §3.

use bytes::{Bytes, BytesMut};
use ebml_iterable::{TagDecoder, iterator::AllowableErrors};
use webm_iterable::matroska_spec::{Master, MatroskaSpec, SimpleBlock};

/// The largest element that is held in memory. Blocks of Connect have 1 KiB; the declared size of
/// a hostile one is no reason to wait for it.
const MAX_ELEMENT: usize = 1 << 20;

/// What of a document matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    /// A document begins: what was known of tracks and tags is over.
    Document,
    /// Nanoseconds in a unit of time.
    TimeScale(u64),
    /// A track.
    Track {
        /// Its number in blocks.
        number: u64,
        /// Its name, where it has one.
        name: Option<String>,
    },
    /// A tag with a text.
    Tag {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// When a cluster begins, in units of time.
    ClusterTime(u64),
    /// Audio of one track.
    Block {
        /// Which.
        track: u64,
        /// When, in units of time since the cluster began.
        offset: i16,
        /// The payload.
        content: Bytes,
    },
}

/// The bytes are no Matroska, and where that showed cannot be got over: the connection has to be
/// opened anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the media is no Matroska after {position} bytes: {words}")]
pub struct MkvError {
    /// How many bytes were read.
    pub position: usize,
    /// What the decoder says.
    pub words: String,
}

/// Reads one connection's bytes.
pub struct MkvReader {
    decoder: TagDecoder<MatroskaSpec>,
    waiting: BytesMut,
}

impl Default for MkvReader {
    fn default() -> Self {
        Self::new()
    }
}

impl MkvReader {
    /// At the start of a connection.
    pub fn new() -> Self {
        let whole =
            [MatroskaSpec::TrackEntry(Master::Start), MatroskaSpec::SimpleTag(Master::Start)];
        let mut decoder = TagDecoder::new(&whole);
        // An element that the specification does not know closes a segment whose size is not
        // known; what follows is then out of place, and meant all the same.
        decoder.allow_errors(&[AllowableErrors::InvalidTagIds, AllowableErrors::HierarchyProblems]);
        decoder.set_max_allowable_tag_size(Some(MAX_ELEMENT));
        Self { decoder, waiting: BytesMut::new() }
    }

    /// The elements that these bytes complete, in order. After an error the reader is of no use.
    ///
    /// # Errors
    /// [`MkvError`], after the elements before it were handed to `each`.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Element)) -> Result<(), MkvError> {
        self.waiting.extend_from_slice(bytes);
        loop {
            match self.decoder.decode(&mut self.waiting) {
                Ok(None) => return Ok(()),
                Ok(Some(item)) => {
                    if let Some(element) = element(&item.tag) {
                        each(element);
                    }
                }
                Err(error) => {
                    let position = self.decoder.position();
                    return Err(MkvError { position, words: error.to_string() });
                }
            }
        }
    }

    /// Bytes that wait for the rest of their element.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl std::fmt::Debug for MkvReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MkvReader").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

fn element(tag: &MatroskaSpec) -> Option<Element> {
    match tag {
        MatroskaSpec::Ebml(Master::Start) => Some(Element::Document),
        MatroskaSpec::TimestampScale(scale) => Some(Element::TimeScale(*scale)),
        MatroskaSpec::Timestamp(time) => Some(Element::ClusterTime(*time)),
        MatroskaSpec::TrackEntry(Master::Full(children)) => {
            let number = children.iter().find_map(|child| match child {
                MatroskaSpec::TrackNumber(number) => Some(*number),
                _ => None,
            })?;
            let name = children.iter().find_map(|child| match child {
                MatroskaSpec::Name(name) => Some(name.clone()),
                _ => None,
            });
            Some(Element::Track { number, name })
        }
        MatroskaSpec::SimpleTag(Master::Full(children)) => {
            let name = children.iter().find_map(|child| match child {
                MatroskaSpec::TagName(name) => Some(name.clone()),
                _ => None,
            })?;
            let value = children.iter().find_map(|child| match child {
                MatroskaSpec::TagString(value) => Some(value.clone()),
                _ => None,
            })?;
            Some(Element::Tag { name, value })
        }
        MatroskaSpec::SimpleBlock(_) => {
            // A block that is too short to be one has nothing to say.
            let block = SimpleBlock::try_from(tag).ok()?;
            Some(Element::Block {
                track: block.track,
                offset: block.timestamp,
                content: Bytes::copy_from_slice(block.raw_frame_data()),
            })
        }
        _ => None,
    }
}
