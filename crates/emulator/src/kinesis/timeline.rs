//! One stream of Kinesis Video: the calls that Connect wrote to it, cut into fragments.
//!
//! A machine: `now` goes in, bytes come out. A call is a line that is always open; what nobody
//! says is silence, so that what is read depends on the time alone. It knows no connections: those
//! are `kinesis::reader`'s. Source: connect-kvs.md §1.

use bytes::{Bytes, BytesMut};
use voice_audio::pcm;

use super::mkv::{Writer, id};
use crate::config::{MediaShape, Untagged};

/// Samples a millisecond.
const PER_MS: u64 = 8;
/// Bytes of a usual block: 64 ms.
const BLOCK: usize = 1024;
/// Blocks of one track in a fragment.
const BLOCKS: usize = 17;
/// Bytes of an odd block.
const ODD_BLOCK: usize = 192;
/// The service has a fragment so long after its end.
const SERVER_DELAY_MS: u64 = 40;
/// What every fragment number of a Connect stream begins with.
const NUMBER_PREFIX: &str = "91343852333181";

/// A stream.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) shape: MediaShape,
    calls: Vec<Call>,
}

/// One call of a stream.
#[derive(Debug)]
struct Call {
    contact_id: String,
    /// When it began, in milliseconds since 1970.
    began_ms: u64,
    /// Number of its first fragment in the stream.
    first: u64,
    customer: Vec<i16>,
    /// How many samples it has, once it is over.
    length: Option<u64>,
}

/// A part of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// These are the bytes.
    Ready(Bytes),
    /// Not before this moment.
    NotBefore(u64),
    /// There is no such fragment, and no call that could bring it. The last one ended then.
    Over(u64),
    /// The fragment was lost, or has no more parts: go on with the next one.
    Next,
}

impl Timeline {
    pub(super) fn new(name: &str, arn: String, shape: MediaShape) -> Self {
        Self { name: name.to_owned(), arn, shape, calls: Vec::new() }
    }

    /// Begins a call; the one before it ends. Returns its number.
    pub(super) fn begin(&mut self, contact_id: &str, now_ms: u64) -> usize {
        let number = self.calls.len();
        if let Some(last) = number.checked_sub(1) {
            self.hang_up(last, now_ms);
        }
        let first = self.calls.last().map_or(0, |call| call.first + self.count(call).unwrap_or(0));
        self.calls.push(Call {
            contact_id: contact_id.to_owned(),
            began_ms: now_ms,
            first,
            customer: Vec::new(),
            length: None,
        });
        number
    }

    /// Lets the caller of a call say something: now, or after what is being said. Returns when it
    /// will have been said.
    pub(super) fn say(&mut self, call: usize, samples: &[i16], now_ms: u64) -> u64 {
        let Some(call) = self.calls.get_mut(call) else { return now_ms };
        let now = now_ms.saturating_sub(call.began_ms) * PER_MS;
        let at = (now as usize).max(call.customer.len());
        call.customer.resize(at, 0);
        call.customer.extend_from_slice(samples);
        call.began_ms + call.customer.len() as u64 / PER_MS
    }

    /// Ends a call, at once or when all that its caller says has been said.
    pub(super) fn hang_up(&mut self, call: usize, now_ms: u64) {
        if let Some(call) = self.calls.get_mut(call) {
            let now = now_ms.saturating_sub(call.began_ms) * PER_MS;
            call.length.get_or_insert(now.max(1));
        }
    }

    /// Ends a call when its caller has said everything.
    pub(super) fn hang_up_after_all(&mut self, call: usize) {
        if let Some(call) = self.calls.get_mut(call) {
            call.length.get_or_insert(call.customer.len().max(1) as u64);
        }
    }

    /// Number and beginning of a call's first fragment.
    pub(super) fn start_of(&self, call: usize) -> Option<(String, u64)> {
        self.calls.get(call).map(|call| (number(call.first), call.began_ms))
    }

    /// The first fragment that is not over at this moment.
    pub(super) fn at(&self, ms: u64) -> u64 {
        let Some(call) = self.calls.iter().rfind(|call| call.began_ms <= ms) else { return 0 };
        let index = (ms - call.began_ms) * PER_MS / self.samples();
        call.first + self.count(call).map_or(index, |count| index.min(count))
    }

    /// The same by the moment at which the service had it.
    pub(super) fn at_server(&self, ms: u64) -> u64 {
        self.at(ms.saturating_sub(SERVER_DELAY_MS))
    }

    /// The fragment of this number; `None` when there is none yet.
    pub(super) fn find(&self, wanted: &str, now_ms: u64) -> Option<u64> {
        let digits = wanted.strip_prefix(NUMBER_PREFIX)?;
        let ordinal: u64 = digits.parse().ok()?;
        (number(ordinal) == wanted && ordinal <= self.at(now_ms)).then_some(ordinal)
    }

    /// How many parts a fragment is handed out in.
    pub(super) fn parts(&self) -> usize {
        if self.shape.by_block { BLOCKS + 2 } else { 1 }
    }

    /// One part of a fragment.
    pub(super) fn part(&self, ordinal: u64, part: usize, now_ms: u64) -> Part {
        let Some(call) = self.calls.iter().rfind(|call| call.first <= ordinal) else {
            return Part::Over(0);
        };
        let index = ordinal - call.first;
        if let Some(count) = self.count(call)
            && index >= count
        {
            return Part::Over(call.began_ms + call.length.unwrap_or(0) / PER_MS);
        }
        if self.shape.gaps.contains(&index) {
            return Part::Next;
        }
        let begin = index * self.samples();
        let end = call.length.unwrap_or(u64::MAX).min(begin + self.samples());
        let due = |sample: u64| call.began_ms + sample.min(end).div_ceil(PER_MS);
        let blocks = self.blocks(ordinal);
        // Where each block ends, in samples of the call.
        let ends = blocks.iter().scan(0_u64, |bytes, block| {
            *bytes += *block as u64;
            Some(begin + bytes.div_ceil(2))
        });
        let ends: Vec<u64> = ends.collect();
        let block_due = |block: usize| ends.get(block).copied().map(due);
        let whole = !self.shape.by_block;
        let at = match part {
            _ if whole => due(end) + SERVER_DELAY_MS,
            0 => due(begin),
            part if part <= BLOCKS => block_due(part - 1).unwrap_or(now_ms),
            _ => due(end) + SERVER_DELAY_MS,
        };
        if now_ms < at {
            return Part::NotBefore(at);
        }
        let fragment = Fragment { timeline: self, call, ordinal, begin, end };
        let mut writer = Writer::default();
        match part {
            0 if whole => fragment.whole(&mut writer, &blocks, now_ms),
            0 => fragment.head(&mut writer),
            part if whole || part > BLOCKS + 1 => return Part::Next,
            part if part <= BLOCKS => fragment.block(&mut writer, &blocks, part - 1),
            _ => fragment.foot(&mut writer, now_ms),
        }
        Part::Ready(writer.finish().freeze())
    }

    /// Tags in place of media.
    pub(super) fn error(code: u16) -> Bytes {
        let mut writer = Writer::default();
        ebml(&mut writer);
        writer.open(id::SEGMENT);
        let code = code.to_string();
        writer.tags(&[
            ("AWS_KINESISVIDEO_ERROR_CODE", code.as_str()),
            ("AWS_KINESISVIDEO_ERROR_ID", "an error that was asked for"),
        ]);
        writer.finish().freeze()
    }

    /// How many fragments a call has, once it is over.
    fn count(&self, call: &Call) -> Option<u64> {
        call.length.map(|length| length.div_ceil(self.samples()))
    }

    /// Samples of a fragment.
    fn samples(&self) -> u64 {
        self.blocks(0).iter().sum::<usize>() as u64 / 2
    }

    /// Bytes of each block of a fragment. Every fragment of a stream lasts equally long.
    fn blocks(&self, ordinal: u64) -> [usize; BLOCKS] {
        let mut blocks = [BLOCK; BLOCKS];
        let odd = ordinal as usize % BLOCKS;
        if self.shape.odd_blocks {
            blocks[odd] = ODD_BLOCK;
        }
        if self.shape.split_samples {
            for pair in blocks.as_chunks_mut::<2>().0 {
                pair[0] -= 1;
                pair[1] += 1;
            }
        }
        blocks
    }
}

/// One fragment on its way to bytes.
struct Fragment<'a> {
    timeline: &'a Timeline,
    call: &'a Call,
    ordinal: u64,
    /// Its samples in the call.
    begin: u64,
    end: u64,
}

impl Fragment<'_> {
    fn whole(&self, writer: &mut Writer, blocks: &[usize; BLOCKS], now_ms: u64) {
        self.before_cluster(writer);
        match self.timeline.shape.sized_clusters {
            true => writer.master(id::CLUSTER, |cluster| {
                self.cluster_head(cluster);
                (0..BLOCKS).for_each(|block| self.block(cluster, blocks, block));
            }),
            false => {
                writer.open(id::CLUSTER);
                self.cluster_head(writer);
                (0..BLOCKS).for_each(|block| self.block(writer, blocks, block));
            }
        }
        self.foot(writer, now_ms);
    }

    fn head(&self, writer: &mut Writer) {
        self.before_cluster(writer);
        writer.open(id::CLUSTER);
        self.cluster_head(writer);
    }

    fn before_cluster(&self, writer: &mut Writer) {
        ebml(writer);
        writer.open(id::SEGMENT);
        writer.master(id::INFO, |info| {
            info.binary(id::SEGMENT_UID, &[0x5A; 16]);
            info.number(id::TIMECODE_SCALE, 1_000_000);
            info.text(id::TITLE, "Kinesis Video SDK");
            info.text(id::MUXING_APP, "Kinesis Video SDK 1.1.0 JNI 2.0");
            info.text(id::WRITING_APP, "Kinesis Video SDK 1.1.0 JNI 2.0");
        });
        writer.master(id::TRACKS, |tracks| {
            let mut names = vec![(self.customer_track(), self.customer_name())];
            if self.timeline.shape.both_tracks {
                names.push((3 - self.customer_track(), "AUDIO_TO_CUSTOMER"));
            }
            names.sort_unstable();
            for (track, name) in names {
                tracks.master(id::TRACK_ENTRY, |entry| {
                    entry.number(id::TRACK_NUMBER, track.into());
                    entry.number(id::TRACK_UID, track.into());
                    entry.number(id::TRACK_TYPE, 2);
                    if !name.is_empty() {
                        entry.text(id::NAME, name);
                    }
                    // As false as in Connect's own.
                    entry.text(id::CODEC_ID, "A_AAC");
                    entry.binary(id::CODEC_PRIVATE, &[0x11, 0x90]);
                });
            }
        });
        let seconds = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
        writer.tags(&[
            ("AWS_KINESISVIDEO_FRAGMENT_NUMBER", number(self.ordinal).as_str()),
            ("AWS_KINESISVIDEO_SERVER_TIMESTAMP", &seconds(self.server_ms())),
            ("AWS_KINESISVIDEO_PRODUCER_TIMESTAMP", &seconds(self.begin_ms())),
        ]);
        if self.timeline.shape.tags_first {
            self.identity(writer);
        }
    }

    fn cluster_head(&self, writer: &mut Writer) {
        writer.number(id::TIMECODE, self.begin_ms());
        writer.number(id::POSITION, 0);
    }

    /// The block of this place, of each track; nothing of what the call does not have.
    fn block(&self, writer: &mut Writer, blocks: &[usize; BLOCKS], block: usize) {
        let bytes = |blocks: &[usize]| blocks.iter().sum::<usize>();
        let from = bytes(blocks.get(..block).unwrap_or_default());
        let length = (self.end - self.begin) as usize * 2;
        let to = (from + blocks.get(block).copied().unwrap_or(0)).min(length);
        if to <= from {
            return;
        }
        let offset_ms = i16::try_from(from as u64 / 2 / PER_MS).unwrap_or(i16::MAX);
        let customer = |sample: u64| self.call.customer.get(sample as usize).copied().unwrap_or(0);
        let mut tracks = vec![(self.customer_track(), self.bytes(from, to, customer))];
        if self.timeline.shape.both_tracks {
            // Loud, so that nobody who mixes the tracks up goes unnoticed.
            let bot = |sample: u64| if (sample / 10).is_multiple_of(2) { 12_345 } else { -12_345 };
            tracks.push((3 - self.customer_track(), self.bytes(from, to, bot)));
        }
        tracks.sort_unstable_by_key(|(track, _)| *track);
        for (track, content) in tracks {
            writer.block(track, offset_ms, &content);
        }
    }

    /// A stretch of the fragment's bytes.
    fn bytes(&self, from: usize, to: usize, sample: impl Fn(u64) -> i16) -> BytesMut {
        let samples: Vec<i16> =
            (from / 2..to.div_ceil(2)).map(|n| sample(self.begin + n as u64)).collect();
        let whole = pcm::bytes(&samples);
        let skip = from % 2;
        BytesMut::from(whole.get(skip..skip + to - from).unwrap_or_default())
    }

    fn foot(&self, writer: &mut Writer, now_ms: u64) {
        if !self.timeline.shape.tags_first {
            self.identity(writer);
        }
        let behind = now_ms.saturating_sub(self.server_ms()).to_string();
        writer.tags(&[
            ("AWS_KINESISVIDEO_MILLIS_BEHIND_NOW", behind.as_str()),
            ("AWS_KINESISVIDEO_CONTINUATION_TOKEN", &number(self.ordinal)),
        ]);
    }

    /// One `Tags` element for each, as was seen.
    fn identity(&self, writer: &mut Writer) {
        let index = self.ordinal - self.call.first;
        let is_last = self.call.length == Some(self.end);
        let is_silent = match self.timeline.shape.untagged {
            Untagged::Never => false,
            Untagged::Last => is_last,
            Untagged::AllButFirst => index > 0,
        };
        if !is_silent {
            writer.tag("ContactId", &self.call.contact_id);
            writer.tag("InstanceId", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
            writer.tag("MimeType", "audio/L16;rate=8000;channels=1;");
        }
        // Constants, whatever the track numbers are.
        writer.tag("AUDIO_FROM_CUSTOMER", "1");
        writer.tag("AUDIO_TO_CUSTOMER", "2");
        writer.tag("Events", "[]");
    }

    fn begin_ms(&self) -> u64 {
        self.call.began_ms + self.begin / PER_MS
    }

    fn server_ms(&self) -> u64 {
        self.call.began_ms + self.end.div_ceil(PER_MS) + SERVER_DELAY_MS
    }

    /// Of two tracks the caller's is number 1 in every other fragment.
    fn customer_track(&self) -> u8 {
        if self.timeline.shape.both_tracks && self.ordinal % 2 == 1 { 2 } else { 1 }
    }

    fn customer_name(&self) -> &str {
        self.timeline.shape.track_name.as_deref().unwrap_or("AUDIO_FROM_CUSTOMER")
    }
}

/// The number of a fragment: 47 digits.
fn number(ordinal: u64) -> String {
    format!("{NUMBER_PREFIX}{ordinal:033}")
}

fn ebml(writer: &mut Writer) {
    writer.master(id::EBML, |ebml| {
        ebml.number(id::EBML_VERSION, 1);
        ebml.number(id::EBML_READ_VERSION, 1);
        ebml.number(id::EBML_MAX_ID_LENGTH, 4);
        ebml.number(id::EBML_MAX_SIZE_LENGTH, 8);
        ebml.text(id::DOC_TYPE, "matroska");
        ebml.number(id::DOC_TYPE_VERSION, 2);
        ebml.number(id::DOC_TYPE_READ_VERSION, 2);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN: u64 = 1_726_677_688_724;

    fn timeline(shape: MediaShape) -> Timeline {
        let mut timeline = Timeline::new("s", "arn".to_owned(), shape);
        timeline.begin("first", BEGAN);
        timeline
    }

    fn ready(part: Part) -> Bytes {
        match part {
            Part::Ready(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_fragment_is_there_when_it_is_over() {
        let timeline = timeline(MediaShape::default());
        assert_eq!(timeline.part(0, 0, BEGAN), Part::NotBefore(BEGAN + 1_088 + 40));
        let bytes = ready(timeline.part(0, 0, BEGAN + 1_128));
        // One track of silence: its samples and less than a kilobyte of names.
        assert!((17_408..18_500).contains(&bytes.len()), "{}", bytes.len());
        assert_eq!(timeline.part(0, 1, BEGAN + 1_128), Part::Next);
        assert_eq!(timeline.part(1, 0, BEGAN + 1_128), Part::NotBefore(BEGAN + 2 * 1_088 + 40));
    }

    #[test]
    fn blocks_may_come_as_they_are_spoken() {
        let timeline = timeline(MediaShape { by_block: true, ..MediaShape::default() });
        ready(timeline.part(0, 0, BEGAN));
        assert_eq!(timeline.part(0, 1, BEGAN), Part::NotBefore(BEGAN + 64));
        assert_eq!(ready(timeline.part(0, 1, BEGAN + 64)).len(), 1_024 + 4 + 3);
        assert_eq!(timeline.part(0, 18, BEGAN + 1_100), Part::NotBefore(BEGAN + 1_128));
        ready(timeline.part(0, 18, BEGAN + 1_128));
    }

    #[test]
    fn a_call_ends_where_its_caller_hangs_up_and_another_follows() {
        let mut timeline = timeline(MediaShape::default());
        timeline.say(0, &[1; 8_000], BEGAN + 500);
        timeline.hang_up(0, BEGAN + 2_000);
        assert_eq!(timeline.part(2, 0, BEGAN + 9_000), Part::Over(BEGAN + 2_000));
        let second = timeline.begin("second", BEGAN + 60_000);
        let (number, began) = timeline.start_of(second).expect("a call");
        assert_eq!((timeline.find(&number, began), began), (Some(2), BEGAN + 60_000));
        assert_eq!(number.len(), 47);
        let bytes = ready(timeline.part(2, 0, BEGAN + 62_000));
        assert!(bytes.windows(6).any(|bytes| bytes == b"second"));
        assert_eq!(timeline.at(BEGAN + 1_100), 1);
        assert_eq!(timeline.at(BEGAN + 61_100), 3);
        assert_eq!(timeline.at(BEGAN + 30_000), 2);
    }

    #[test]
    fn what_was_said_while_nobody_listened_comes_after_it() {
        let mut timeline = timeline(MediaShape::default());
        assert_eq!(timeline.say(0, &[7; 800], BEGAN + 100), BEGAN + 200);
        assert_eq!(timeline.say(0, &[8; 800], BEGAN + 150), BEGAN + 300);
        let samples = &timeline.calls[0].customer;
        assert_eq!(samples[799..801], [0, 7]);
        assert_eq!(samples[1_599..1_601], [7, 8]);
    }
}
