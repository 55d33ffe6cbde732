//! How the stand-ins for Kinesis Video Streams and Amazon Polly behave: the shape of what Amazon
//! Connect writes, and the faults there may be (`connect-kvs.md` §1, §2, §8).

use std::time::Duration;

use super::FaultScope;

/// How the stand-in for Kinesis Video Streams behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaConfig {
    /// Streams that are there from the start, each with a call.
    pub sources: Vec<MediaSource>,
    /// Longest life of a GetMedia connection; 40 to 50 minutes were seen.
    pub longest: Duration,
    /// How long a connection stays open after the last fragment of a call; about 3 s were seen.
    pub tail: Duration,
    /// GetMedia connections that a stream may have at a time.
    pub connections: usize,
    /// GetMedia calls, and calls for an endpoint, that a stream may have in a second.
    pub calls_per_second: usize,
    /// Fragments that a connection gets in a second.
    pub fragments_per_second: u32,
    /// Faults to inject.
    pub faults: Vec<MediaFault>,
}

impl Default for MediaConfig {
    /// The limits of the service.
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            longest: Duration::from_secs(45 * 60),
            tail: Duration::from_secs(3),
            connections: 3,
            calls_per_second: 5,
            fragments_per_second: 5,
            faults: Vec::new(),
        }
    }
}

/// A stream with a call whose caller says something from the start.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaSource {
    /// Name of the stream.
    pub name: String,
    /// Contact id of the call.
    pub contact_id: String,
    /// The caller's voice: mono at 8 kHz. The call ends with it.
    pub samples: Vec<i16>,
    /// How it is written.
    pub shape: MediaShape,
}

/// How Connect writes a stream. The default is what was seen most.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MediaShape {
    /// Write the bot's track as well, and let the two take turns at being number 1.
    pub both_tracks: bool,
    /// One block of each fragment is odd: 192 bytes, at another place each time.
    pub odd_blocks: bool,
    /// Blocks end in the middle of a sample.
    pub split_samples: bool,
    /// Who the audio belongs to is said before it instead of after it.
    pub tags_first: bool,
    /// Which fragments do not say who they belong to.
    pub untagged: Untagged,
    /// Fragments, counted from 0, that are lost.
    pub gaps: Vec<u64>,
    /// Hand out every block as it comes, instead of whole fragments.
    pub by_block: bool,
    /// Say how large segments and clusters are not known, as Connect does; otherwise clusters say
    /// their size. Only whole fragments can.
    pub sized_clusters: bool,
    /// The name of the caller's track; `None`: `AUDIO_FROM_CUSTOMER`. An empty one is left out.
    pub track_name: Option<String>,
}

/// Which fragments say nothing of their contact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Untagged {
    /// None.
    #[default]
    Never,
    /// The last one of a call.
    Last,
    /// Every one but the first.
    AllButFirst,
}

/// A fault of a GetMedia connection.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaFault {
    /// So long after the connection was opened, in emulated time.
    pub after: Duration,
    /// What happens then.
    pub kind: MediaFaultKind,
    /// Which connections, counted from 1 over all streams.
    pub scope: FaultScope,
}

/// What a fault of a GetMedia connection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaFaultKind {
    /// The body ends in order.
    End,
    /// The connection is cut in the middle of a fragment.
    Cut,
    /// Tags with this code come in place of media, and the body ends.
    Error(u16),
    /// Nothing comes for so long; then all that has come together.
    Stall(Duration),
    /// An error status in place of the stream: 400 with this type.
    Refuse(&'static str),
}

/// How the stand-in for Amazon Polly behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollyConfig {
    /// Engines that refuse `mulaw` and `alaw`.
    pub without_g711: Vec<String>,
    /// So many requests at the beginning fail with `ServiceFailureException`.
    pub failing: u64,
}
