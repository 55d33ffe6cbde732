//! The caller's voice out of a stream of fragments: nothing doubled, nothing lost, nobody else's.
//!
//! A machine over the elements of [`crate::mkv`]: which track is the caller's, whose fragment it
//! is, what was heard before a connection broke off, where to go on. It knows no connection and no
//! clock; `line.rs` feeds it. Source: connect-kvs.md §1 and §2.3.
//!
//! ```text
//!              ContactId = ours                  another ContactId
//!   Looking ─────────────────────▶ Following ─────────────────────▶ over
//!      │  other fragments are not heard; ours is
//!      └─ held back until its tags have come
//! ```

use std::{cmp::Ordering, collections::VecDeque};

use bytes::Bytes;
use voice_audio::{SampleReader, g711};
use voice_aws::MediaStart;

use crate::mkv::Element;

/// The caller's track, by the only truthful name there is.
const CUSTOMER: &str = "AUDIO_FROM_CUSTOMER";
/// What a single track is called in older streams.
const LEGACY: &str = "Track_audio/L16";
/// The rate of every stream of Connect.
const RATE_HZ: u64 = 8_000;
/// What may be held back until it is known whose it is: a minute of PCM16.
const MAX_HELD: usize = 60 * 16_000;
/// A stretch that is missing is filled with silence up to here; nobody waits longer for what is
/// lost.
const MAX_FILL_MS: u64 = 10_000;
/// The clocks of a flow and of the producer of a stream agree so well.
const SAME_CALL_MS: u64 = 2_000;
/// Block times are whole milliseconds: less than this is no gap.
const GAP_MS: u64 = 40;

/// How the payload of blocks is to be read. The codec that a track names is a lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Signed 16-bit little-endian: what Connect writes.
    #[default]
    Pcm16,
    /// G.711 µ-law.
    Mulaw,
}

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The caller's voice, 8 kHz.
    Voice {
        /// When it was said, in milliseconds since 1970 by the clock of Connect.
        at_ms: u64,
        /// The samples.
        samples: Vec<i16>,
    },
    /// So much of the caller is missing, and is given as silence.
    Missing {
        /// Milliseconds.
        ms: u64,
    },
    /// How late this reader is, in milliseconds.
    Behind {
        /// Milliseconds.
        ms: u64,
    },
    /// The stream now belongs to another call.
    OtherContact,
    /// The service ends the stream with this code.
    Failed {
        /// 3002, 4000, 4500-4506, 5000.
        code: String,
    },
    /// The stream says that it holds something that is not known here.
    Unsupported {
        /// The MIME type.
        mime: String,
    },
}

/// Follows one call through a stream.
#[derive(Debug)]
pub struct Follower {
    contact_id: String,
    /// Fragments that were over before this are another call's, whatever they do not say.
    since_ms: u64,
    encoding: Encoding,
    identified: bool,
    /// Voice of a fragment that may be ours.
    held: Held,
    reader: SampleReader,
    /// Where the next sample is due, in milliseconds since 1970; `None` before the first.
    next_ms: Option<f64>,
    /// The last fragment that was read to its end, and the token behind it.
    last: Option<String>,
    token: Option<String>,
    /// What was heard of a fragment that was not read to its end, in bytes.
    begun: Option<(String, usize)>,
    now: Fragment,
}

/// The fragment that is being read.
#[derive(Debug)]
struct Fragment {
    number: Option<String>,
    customer: Option<u64>,
    tracks: u64,
    scale: u64,
    time: u64,
    /// Bytes of the caller's track so far.
    bytes: usize,
    /// Bytes at its beginning that were heard before.
    known: usize,
    /// Whether it is somebody else's, or was heard before.
    skip: bool,
    is_ours: bool,
}

impl Default for Fragment {
    fn default() -> Self {
        Self {
            number: None,
            customer: None,
            tracks: 0,
            scale: 1_000_000,
            time: 0,
            bytes: 0,
            known: 0,
            skip: false,
            is_ours: false,
        }
    }
}

impl Follower {
    /// Looks for the call `contact_id`, which began at `since_ms` (milliseconds since 1970; 0: not
    /// known).
    pub fn new(contact_id: &str, since_ms: u64, encoding: Encoding) -> Self {
        Self {
            contact_id: contact_id.to_owned(),
            since_ms,
            encoding,
            identified: false,
            held: Held::default(),
            reader: SampleReader::new(),
            next_ms: None,
            last: None,
            token: None,
            begun: None,
            now: Fragment::default(),
        }
    }

    /// Where the next connection has to begin.
    pub fn start(&self) -> MediaStart {
        match (&self.token, &self.last) {
            (Some(token), _) => MediaStart::Token(token.clone()),
            (None, Some(number)) => MediaStart::AfterFragment(number.clone()),
            (None, None) if self.since_ms > 0 => MediaStart::At(self.since_ms),
            (None, None) => MediaStart::Now,
        }
    }

    /// A connection is over: its last fragment may have been cut, and comes again.
    pub fn disconnected(&mut self) {
        self.close_fragment();
        self.now = Fragment::default();
        self.held.forget_cut();
    }

    /// The place to go on from does not exist any more: go on with what comes.
    pub fn lose_place(&mut self) {
        (self.token, self.last, self.begun) = (None, None, None);
        self.since_ms = 0;
    }

    /// Whether a fragment of the call was seen.
    pub fn is_identified(&self) -> bool {
        self.identified
    }

    /// Takes the next element.
    pub fn take(&mut self, element: Element, each: &mut impl FnMut(Heard)) {
        match element {
            Element::Document => {
                self.close_fragment();
                self.now = Fragment::default();
                // A fragment that does not say whose it is may be ours, if it is of our time.
                self.held.forget_before(self.since_ms);
            }
            Element::TimeScale(scale) => self.now.scale = scale,
            Element::ClusterTime(time) => self.now.time = time,
            Element::Track { number, name } => self.track(number, name.as_deref().unwrap_or("")),
            Element::Tag { name, value } => self.tag(&name, value, each),
            Element::Block { track, offset, content } => {
                if self.now.customer == Some(track) && !self.now.skip {
                    self.block(offset, content, each);
                }
            }
        }
    }

    /// Only the name decides: numbers change from fragment to fragment, and so do the tags that
    /// seem to give them.
    fn track(&mut self, number: u64, name: &str) {
        self.now.tracks += 1;
        let lone = self.now.tracks == 1 && (name.is_empty() || name == LEGACY);
        if name == CUSTOMER || lone {
            self.now.customer = Some(number);
        }
    }

    fn tag(&mut self, name: &str, value: String, each: &mut impl FnMut(Heard)) {
        match name {
            "AWS_KINESISVIDEO_FRAGMENT_NUMBER" => self.begin_fragment(value),
            "AWS_KINESISVIDEO_CONTINUATION_TOKEN" => {
                self.token = Some(value);
                self.complete_fragment();
            }
            "AWS_KINESISVIDEO_MILLIS_BEHIND_NOW" => {
                if let Ok(ms) = value.parse() {
                    each(Heard::Behind { ms });
                }
            }
            "AWS_KINESISVIDEO_ERROR_CODE" => each(Heard::Failed { code: value }),
            "ContactId" => self.identify(&value, each),
            "MimeType" => self.mime(value, each),
            _ => {}
        }
    }

    fn begin_fragment(&mut self, number: String) {
        // A later connection begins where the one before it was, or a little earlier.
        let known =
            self.last.as_ref().is_some_and(|last| compare(&number, last) != Ordering::Greater);
        self.now.skip |= known;
        self.now.known = match &self.begun {
            Some((begun, bytes)) if *begun == number => *bytes,
            _ => 0,
        };
        self.now.number = Some(number);
    }

    fn identify(&mut self, contact_id: &str, each: &mut impl FnMut(Heard)) {
        if contact_id == self.contact_id {
            self.now.is_ours = true;
            self.identified = true;
            for (at_ms, content) in std::mem::take(&mut self.held).blocks {
                self.voice(at_ms, &content, each);
            }
        } else if self.identified {
            self.now.skip = true;
            each(Heard::OtherContact);
        } else {
            self.now.skip = true;
            self.held = Held::default();
        }
    }

    fn mime(&mut self, mime: String, each: &mut impl FnMut(Heard)) {
        let mut parts = mime.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameter = |name: &str| {
            mime.split(';').filter_map(|part| part.trim().split_once('=')).find(|(n, _)| *n == name)
        };
        let is =
            |name: &str, wanted: &str| parameter(name).is_none_or(|(_, value)| value == wanted);
        let encoding = match kind.as_str() {
            // Network order by the RFC, little-endian in fact.
            "audio/l16" => Some(Encoding::Pcm16),
            "audio/pcmu" | "audio/basic" => Some(Encoding::Mulaw),
            _ => None,
        };
        match encoding.filter(|_| is("rate", "8000") && is("channels", "1")) {
            Some(encoding) => self.encoding = encoding,
            None if self.now.skip => {}
            None => each(Heard::Unsupported { mime }),
        }
    }

    fn block(&mut self, offset: i16, content: Bytes, each: &mut impl FnMut(Heard)) {
        let units = (self.now.time as i64).saturating_add(offset.into()).max(0) as u64;
        let ms = (u128::from(units) * u128::from(self.now.scale) / 1_000_000) as u64;
        // What was heard of this fragment on a connection before.
        let again = self.now.known.saturating_sub(self.now.bytes).min(content.len());
        self.now.bytes += content.len();
        let content = content.slice(again..);
        if content.is_empty() {
            return;
        }
        let at_ms = ms + self.milliseconds(again);
        if self.identified {
            self.voice(at_ms, &content, each);
            return;
        }
        self.held.push(at_ms, content);
    }

    fn voice(&mut self, at_ms: u64, content: &[u8], each: &mut impl FnMut(Heard)) {
        let mut samples = match self.encoding {
            Encoding::Pcm16 => self.reader.read(content),
            Encoding::Mulaw => content.iter().map(|code| g711::mulaw_decode(*code)).collect(),
        };
        if let Some(next) = self.next_ms {
            let missing = (at_ms as f64 - next).max(0.0) as u64;
            if missing >= GAP_MS {
                let ms = missing.min(MAX_FILL_MS);
                each(Heard::Missing { ms });
                // Half a sample that was waiting belongs to what is lost.
                if self.encoding == Encoding::Pcm16 && self.reader.has_half_sample() {
                    self.reader = SampleReader::new();
                    samples = self.reader.read(content);
                }
            }
        }
        let from = self.next_ms.filter(|next| (at_ms as f64 - next).abs() < GAP_MS as f64);
        let from = from.unwrap_or(at_ms as f64);
        self.next_ms = Some(from + samples.len() as f64 * 1000.0 / RATE_HZ as f64);
        if !samples.is_empty() {
            each(Heard::Voice { at_ms, samples });
        }
    }

    /// The fragment in hand is complete: its trailing tags have come.
    fn complete_fragment(&mut self) {
        if let Some(number) = self.now.number.clone()
            && self.last.as_ref().is_none_or(|last| compare(&number, last) == Ordering::Greater)
        {
            self.last = Some(number);
            self.begun = None;
            self.held.complete = self.held.blocks.len();
        }
    }

    /// The fragment in hand is over, complete or not.
    fn close_fragment(&mut self) {
        let Some(number) = self.now.number.take() else { return };
        let is_complete = self.last.as_ref() == Some(&number);
        let heard = self.now.bytes.max(self.now.known);
        // What is held back was not heard.
        if !is_complete && !self.now.skip && self.identified && heard > 0 {
            self.begun = Some((number, heard));
        }
    }

    fn milliseconds(&self, bytes: usize) -> u64 {
        let samples = match self.encoding {
            Encoding::Pcm16 => bytes as u64 / 2,
            Encoding::Mulaw => bytes as u64,
        };
        samples * 1000 / RATE_HZ
    }
}

/// Voice that waits for the name of its contact.
#[derive(Debug, Default)]
struct Held {
    blocks: VecDeque<(u64, Bytes)>,
    /// How many of them are of fragments that were read to their end: the others come again when
    /// the connection breaks off.
    complete: usize,
}

impl Held {
    fn push(&mut self, at_ms: u64, content: Bytes) {
        self.blocks.push_back((at_ms, content));
        let mut bytes: usize = self.blocks.iter().map(|(_, content)| content.len()).sum();
        // The oldest goes first; it is the least likely to be ours.
        while bytes > MAX_HELD
            && let Some((_, oldest)) = self.blocks.pop_front()
        {
            bytes -= oldest.len();
            self.complete = self.complete.saturating_sub(1);
        }
    }

    fn forget_before(&mut self, since_ms: u64) {
        let is_old = |block: &(u64, Bytes)| block.0 + SAME_CALL_MS < since_ms;
        while self.blocks.front().is_some_and(is_old) {
            self.blocks.pop_front();
            self.complete = self.complete.saturating_sub(1);
        }
    }

    fn forget_cut(&mut self) {
        self.blocks.truncate(self.complete);
    }
}

/// Numbers of any length, as text.
fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests;
