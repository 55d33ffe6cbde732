//! The caller's line: one connection to Kinesis Video for a call's whole life, opened anew when it
//! ends.
//!
//! A task per call around two machines: [`crate::fragments`] knows what was heard and where to go
//! on, [`Patience`] when to try again and when to give up. Started by the call, which hears of its
//! end. Source: connect-kvs.md §2.2 and §2.3.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use voice_aws::{KinesisPort, MediaFaultKind, MediaStart};

use crate::{
    fragments::{Encoding, Follower, Heard},
    meters::Meters,
    mkv::MkvReader,
};

/// Stretches of voice that may wait for the call: eight seconds of blocks. When it is full, the
/// connection is not read meanwhile; nothing is lost.
pub(crate) const WAITING: usize = 128;

/// What the line tells the call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FromLine {
    /// The caller's voice, 8 kHz, and when it was said, in milliseconds since 1970.
    Voice { at_ms: u64, samples: Vec<i16> },
    /// So much of it is missing.
    Missing { ms: u64 },
    /// Nothing more will come.
    Over(LineEnd),
}

/// Why a line is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// The stream has ended, or belongs to another call: the caller has hung up.
    HungUp,
    /// The media cannot be read.
    Failed,
}

/// Whose voice, and where it is.
#[derive(Debug, Clone)]
pub(crate) struct LineConfig {
    pub(crate) stream_arn: String,
    pub(crate) contact_id: String,
    /// When the call began, in milliseconds since 1970; 0: not known.
    pub(crate) since_ms: u64,
    pub(crate) encoding: Encoding,
    pub(crate) limits: LineLimits,
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineLimits {
    /// Without a byte for so long the connection is opened anew.
    pub stall: Duration,
    /// Without a connection that brings something for so long the line has failed.
    pub give_up: Duration,
}

impl Default for LineLimits {
    fn default() -> Self {
        Self { stall: Duration::from_secs(15), give_up: Duration::from_secs(120) }
    }
}

/// Reads a line to its end.
pub(crate) async fn read(
    port: KinesisPort,
    config: LineConfig,
    out: mpsc::Sender<FromLine>,
    meters: Meters,
) {
    let mut follower = Follower::new(&config.contact_id, config.since_ms, config.encoding);
    let mut patience = Patience::new(config.limits.give_up, Instant::now());
    let end = loop {
        let start = follower.start();
        let ended = connection(&port, &config, &start, &mut follower, &out, &meters).await;
        follower.disconnected();
        let (news, ended) = ended;
        if let Ended::CallGone = ended {
            break None;
        }
        meters.media_ended(ended.name());
        match patience.next(Instant::now(), news, &ended) {
            Next::Over(end) => break Some(end),
            Next::Again { after, lose_place } => {
                if lose_place {
                    follower.lose_place();
                }
                tracing::info!(contact = config.contact_id, ?ended, ?after, "media is opened anew");
                sleep(after).await;
            }
        }
    };
    port.forget(&config.stream_arn);
    if let Some(end) = end {
        tracing::info!(contact = config.contact_id, ?end, "the line is over");
        let _ = out.send(FromLine::Over(end)).await;
    }
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// In order.
    Eof,
    /// Nothing came for too long.
    Stalled,
    /// It broke off, or could not be opened.
    Broken(MediaFaultKind),
    /// The service says that it failed.
    Code(String),
    /// It does not hold what it should.
    Unsupported,
    /// Another call has begun on the stream.
    OtherContact,
    /// Nobody wants to hear any more.
    CallGone,
}

impl Ended {
    fn name(&self) -> &'static str {
        match self {
            Self::Eof => "end",
            Self::Stalled => "stalled",
            Self::Broken(MediaFaultKind::Throttled) => "throttled",
            Self::Broken(MediaFaultKind::Refused) => "refused",
            Self::Broken(MediaFaultKind::Passing) => "broken",
            Self::Code(_) => "failed",
            Self::Unsupported => "unsupported",
            Self::OtherContact => "other_contact",
            Self::CallGone => "call_gone",
        }
    }
}

/// Reads one connection to its end. Says whether it brought anything, and how it ended. The body
/// is dropped on return: a stream has three connections.
async fn connection(
    port: &KinesisPort,
    config: &LineConfig,
    start: &MediaStart,
    follower: &mut Follower,
    out: &mpsc::Sender<FromLine>,
    meters: &Meters,
) -> (bool, Ended) {
    meters.media_opened.inc();
    let mut media = match port.open(&config.stream_arn, start).await {
        Ok(media) => media,
        Err(fault) => {
            tracing::warn!(contact = config.contact_id, %fault, "media cannot be opened");
            return (false, Ended::Broken(fault.kind));
        }
    };
    let mut reader = MkvReader::new();
    let mut news = false;
    loop {
        let bytes = tokio::select! {
            () = out.closed() => return (news, Ended::CallGone),
            bytes = timeout(config.limits.stall, media.next()) => bytes,
        };
        let bytes = match bytes {
            Err(_) => return (news, Ended::Stalled),
            Ok(Ok(None)) => return (news, Ended::Eof),
            Ok(Ok(Some(bytes))) => bytes,
            Ok(Err(fault)) => {
                tracing::warn!(contact = config.contact_id, %fault, "media broke off");
                return (news, Ended::Broken(fault.kind));
            }
        };
        let mut heard = Vec::new();
        let read = reader.push(&bytes, |element| {
            follower.take(element, &mut |what| heard.push(what));
        });
        for what in heard {
            let voice = match what {
                Heard::Voice { at_ms, samples } => FromLine::Voice { at_ms, samples },
                Heard::Missing { ms } => {
                    meters.media_missing.inc_by(ms as f64 / 1000.0);
                    FromLine::Missing { ms }
                }
                Heard::Behind { ms } => {
                    meters.media_behind(Duration::from_millis(ms));
                    continue;
                }
                Heard::OtherContact => return (news, Ended::OtherContact),
                Heard::Failed { code } => return (news, Ended::Code(code)),
                Heard::Unsupported { mime } => {
                    tracing::error!(contact = config.contact_id, mime, "unknown media");
                    return (news, Ended::Unsupported);
                }
            };
            news = true;
            if out.send(voice).await.is_err() {
                return (news, Ended::CallGone);
            }
        }
        if let Err(error) = read {
            tracing::warn!(contact = config.contact_id, %error, "media cannot be read on");
            return (news, Ended::Broken(MediaFaultKind::Passing));
        }
    }
}

/// When a connection is opened again.
///
/// The service takes five calls in a second for a stream, and an end is the usual thing: after 40
/// to 50 minutes, and when the call is over. So an end is followed by one more try, and if that
/// brings nothing the caller has hung up.
#[derive(Debug)]
struct Patience {
    give_up: Duration,
    /// When something was heard last.
    heard: Instant,
    /// Tries since then.
    tries: u32,
    /// Ends in order since then.
    ends: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Next {
    Over(LineEnd),
    Again { after: Duration, lose_place: bool },
}

/// Tries of which each one waits twice as long as the one before it.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(4);
/// Where the service says that there was too much.
const THROTTLED: Duration = Duration::from_secs(1);
/// Refusals that may pass: a stream that Connect has only just made.
const REFUSALS: u32 = 4;

impl Patience {
    fn new(give_up: Duration, now: Instant) -> Self {
        Self { give_up, heard: now, tries: 0, ends: 0 }
    }

    fn next(&mut self, now: Instant, news: bool, ended: &Ended) -> Next {
        if news {
            (self.heard, self.tries, self.ends) = (now, 0, 0);
        }
        self.tries += 1;
        let mut after = (FIRST * 2_u32.pow(self.tries.min(8) - 1)).min(LONGEST);
        let mut lose_place = false;
        match ended {
            Ended::OtherContact | Ended::CallGone => return Next::Over(LineEnd::HungUp),
            Ended::Unsupported => return Next::Over(LineEnd::Failed),
            Ended::Eof => {
                self.ends += 1;
                if self.ends > 1 {
                    return Next::Over(LineEnd::HungUp);
                }
            }
            Ended::Broken(MediaFaultKind::Refused) if self.tries > REFUSALS => {
                return Next::Over(LineEnd::Failed);
            }
            Ended::Broken(MediaFaultKind::Throttled) => after = after.max(THROTTLED),
            // The fragment to go on from is gone.
            Ended::Code(code) if code == "4000" => lose_place = true,
            // The key is denied or gone.
            Ended::Code(code) if code.starts_with("45") => return Next::Over(LineEnd::Failed),
            Ended::Code(_) | Ended::Stalled | Ended::Broken(_) => {}
        }
        if now.duration_since(self.heard) >= self.give_up {
            return Next::Over(LineEnd::Failed);
        }
        Next::Again { after, lose_place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(ms: u64) -> Next {
        Next::Again { after: Duration::from_millis(ms), lose_place: false }
    }

    #[test]
    fn an_end_is_tried_once_more() {
        let now = Instant::now();
        let mut patience = Patience::new(Duration::from_secs(40), now);
        assert_eq!(patience.next(now, true, &Ended::Eof), again(250));
        assert_eq!(patience.next(now, true, &Ended::Eof), again(250), "it brought something");
        assert_eq!(patience.next(now, false, &Ended::Eof), Next::Over(LineEnd::HungUp));
    }

    #[test]
    fn tries_stay_below_five_in_a_second_and_end() {
        let begin = Instant::now();
        let mut patience = Patience::new(Duration::from_secs(40), begin);
        let mut now = begin;
        let mut tries = 0;
        let broken = Ended::Broken(MediaFaultKind::Passing);
        while let Next::Again { after, .. } = patience.next(now, false, &broken) {
            assert!(after >= Duration::from_millis(250) && after <= LONGEST);
            now += after;
            tries += 1;
        }
        assert!((10..20).contains(&tries), "{tries}");
        let throttled = Ended::Broken(MediaFaultKind::Throttled);
        assert_eq!(Patience::new(LONGEST, now).next(now, false, &throttled), again(1_000));
    }

    #[test]
    fn what_does_not_pass_is_given_up_at_once_and_a_lost_place_is_left() {
        let now = Instant::now();
        let patience = || Patience::new(Duration::from_secs(40), now);
        let failed = Next::Over(LineEnd::Failed);
        assert_eq!(patience().next(now, true, &Ended::Code("4502".into())), failed);
        assert_eq!(patience().next(now, true, &Ended::Unsupported), failed);
        let hung_up = Next::Over(LineEnd::HungUp);
        assert_eq!(patience().next(now, true, &Ended::OtherContact), hung_up);
        let lost = Next::Again { after: FIRST, lose_place: true };
        assert_eq!(patience().next(now, false, &Ended::Code("4000".into())), lost);
        assert_eq!(patience().next(now, false, &Ended::Code("3002".into())), again(250));
        let refused = Ended::Broken(MediaFaultKind::Refused);
        let mut often = patience();
        let ends = (0..9).map(|_| often.next(now, false, &refused)).position(|next| next == failed);
        assert_eq!(ends, Some(4));
    }
}
