//! Matroska as Connect's producer writes it: elements by hand, element by element.
//!
//! A writer of this one shape and no muxer. Called by `kinesis::timeline`. Independent of the
//! reader in the audio bridge, so that each checks the other. Source: connect-kvs.md §1.1.

use bytes::{BufMut, BytesMut};

/// Element ids, as they stand in the file.
pub(super) mod id {
    pub(in super::super) const EBML: u32 = 0x1A45_DFA3;
    pub(in super::super) const EBML_VERSION: u32 = 0x4286;
    pub(in super::super) const EBML_READ_VERSION: u32 = 0x42F7;
    pub(in super::super) const EBML_MAX_ID_LENGTH: u32 = 0x42F2;
    pub(in super::super) const EBML_MAX_SIZE_LENGTH: u32 = 0x42F3;
    pub(in super::super) const DOC_TYPE: u32 = 0x4282;
    pub(in super::super) const DOC_TYPE_VERSION: u32 = 0x4287;
    pub(in super::super) const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub(in super::super) const SEGMENT: u32 = 0x1853_8067;
    pub(in super::super) const INFO: u32 = 0x1549_A966;
    pub(in super::super) const SEGMENT_UID: u32 = 0x73A4;
    pub(in super::super) const TIMECODE_SCALE: u32 = 0x2A_D7B1;
    pub(in super::super) const TITLE: u32 = 0x7BA9;
    pub(in super::super) const MUXING_APP: u32 = 0x4D80;
    pub(in super::super) const WRITING_APP: u32 = 0x5741;
    pub(in super::super) const TRACKS: u32 = 0x1654_AE6B;
    pub(in super::super) const TRACK_ENTRY: u32 = 0xAE;
    pub(in super::super) const TRACK_NUMBER: u32 = 0xD7;
    pub(in super::super) const TRACK_UID: u32 = 0x73C5;
    pub(in super::super) const TRACK_TYPE: u32 = 0x83;
    pub(in super::super) const NAME: u32 = 0x536E;
    pub(in super::super) const CODEC_ID: u32 = 0x86;
    pub(in super::super) const CODEC_PRIVATE: u32 = 0x63A2;
    pub(in super::super) const TAGS: u32 = 0x1254_C367;
    pub(in super::super) const TAG: u32 = 0x7373;
    pub(in super::super) const SIMPLE_TAG: u32 = 0x67C8;
    pub(in super::super) const TAG_NAME: u32 = 0x45A3;
    pub(in super::super) const TAG_STRING: u32 = 0x4487;
    pub(in super::super) const CLUSTER: u32 = 0x1F43_B675;
    pub(in super::super) const TIMECODE: u32 = 0xE7;
    pub(in super::super) const POSITION: u32 = 0xA7;
    pub(in super::super) const SIMPLE_BLOCK: u32 = 0xA3;
}

/// A size that says it is not known, in its form of eight bytes.
const UNKNOWN: u64 = 0x01FF_FFFF_FFFF_FFFF;

/// Writes elements into a buffer.
#[derive(Debug, Default)]
pub(super) struct Writer {
    out: BytesMut,
}

impl Writer {
    pub(super) fn finish(self) -> BytesMut {
        self.out
    }

    /// An element whose end is where the next one of its level begins.
    pub(super) fn open(&mut self, id: u32) {
        self.id(id);
        self.out.put_u64(UNKNOWN);
    }

    /// An element with others in it.
    pub(super) fn master(&mut self, id: u32, fill: impl FnOnce(&mut Self)) {
        let mut content = Self::default();
        fill(&mut content);
        self.binary(id, &content.out);
    }

    pub(super) fn binary(&mut self, id: u32, content: &[u8]) {
        self.id(id);
        self.size(content.len());
        self.out.put_slice(content);
    }

    pub(super) fn text(&mut self, id: u32, text: &str) {
        self.binary(id, text.as_bytes());
    }

    /// A number in as few bytes as it needs.
    pub(super) fn number(&mut self, id: u32, number: u64) {
        let bytes = number.to_be_bytes();
        let skip = (number.leading_zeros() as usize / 8).min(7);
        self.binary(id, bytes.get(skip..).unwrap_or(&bytes));
    }

    /// A `Tags` element with one tag.
    pub(super) fn tag(&mut self, name: &str, value: &str) {
        self.tags(&[(name, value)]);
    }

    pub(super) fn tags(&mut self, tags: &[(&str, &str)]) {
        self.master(id::TAGS, |all| {
            for (name, value) in tags {
                all.master(id::TAG, |tag| {
                    tag.master(id::SIMPLE_TAG, |simple| {
                        simple.text(id::TAG_NAME, name);
                        simple.text(id::TAG_STRING, value);
                    });
                });
            }
        });
    }

    /// A block of one track, `offset_ms` after its cluster.
    pub(super) fn block(&mut self, track: u8, offset_ms: i16, content: &[u8]) {
        self.id(id::SIMPLE_BLOCK);
        self.size(content.len() + 4);
        self.out.put_u8(0x80 | track);
        self.out.put_i16(offset_ms);
        // A key frame, not laced.
        self.out.put_u8(0x80);
        self.out.put_slice(content);
    }

    fn id(&mut self, id: u32) {
        let bytes = id.to_be_bytes();
        let skip = id.leading_zeros() as usize / 8;
        self.out.put_slice(bytes.get(skip..).unwrap_or(&bytes));
    }

    /// In as few bytes as it needs; all ones is the size that is not known.
    fn size(&mut self, size: usize) {
        let size = size as u64;
        let length = (1..=8).find(|length| size < (1 << (7 * length)) - 1).unwrap_or(8);
        let marked = size | 1 << (7 * length);
        let bytes = marked.to_be_bytes();
        self.out.put_slice(bytes.get(8 - length..).unwrap_or(&bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::default();
        fill(&mut writer);
        writer.finish().to_vec()
    }

    #[test]
    fn sizes_take_as_few_bytes_as_they_need() {
        assert_eq!(written(|w| w.size(0)), [0x80]);
        assert_eq!(written(|w| w.size(126)), [0xFE]);
        // 127 in one byte would mean that the size is not known.
        assert_eq!(written(|w| w.size(127)), [0x40, 0x7F]);
        assert_eq!(written(|w| w.size(1_028)), [0x44, 0x04]);
        assert_eq!(written(|w| w.size(16_383)), [0x20, 0x3F, 0xFF]);
    }

    #[test]
    fn elements_nest() {
        let bytes = written(|w| w.master(id::TRACK_ENTRY, |w| w.number(id::TRACK_NUMBER, 300)));
        assert_eq!(bytes, [0xAE, 0x84, 0xD7, 0x82, 0x01, 0x2C]);
        let bytes = written(|w| w.number(id::POSITION, 0));
        assert_eq!(bytes, [0xA7, 0x81, 0x00]);
        let bytes = written(|w| w.open(id::SEGMENT));
        assert_eq!(bytes, b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff");
        let bytes = written(|w| w.block(2, -1, &[7, 8]));
        assert_eq!(bytes, [0xA3, 0x86, 0x82, 0xFF, 0xFF, 0x80, 7, 8]);
    }
}
