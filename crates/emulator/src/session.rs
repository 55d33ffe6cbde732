//! The service behind the wire: what Nova Sonic does with the events of one stream.
//!
//! One call of [`run`] is one stream: JSON events in, JSON events out, over two bounded channels.
//! `front` calls it and owns everything below that: listeners, TLS, signatures, frames.
//!
//! It is a stand-in, not the model: what it says comes from a scenario, and what it did not
//! recognise it does not pretend to have heard.
//!
//! The decisions are in plain structs without clock or I/O: `order` (what a client may send when),
//! `clocks` (when the service loses patience), `conversation` (who speaks, and what is said).

mod clocks;
mod conversation;
mod echo;
mod faults;
mod input;
mod mouth;
mod order;
mod playout;
mod reply;
mod service;
mod usage;
mod violation;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use self::conversation::Act;
use self::mouth::Mouth;
pub(crate) use self::mouth::Repertoire;
use self::service::Service;
use crate::config::Generation;
use crate::observe::SessionRecord;
use crate::world::World;

/// What the session wants sent to the client, in order.
#[derive(Debug)]
pub(crate) enum Outbound {
    /// Send the response head now, if it is still held. Anything else but [`Outbound::Reset`]
    /// also needs the head first; the session sends this before everything else.
    Head,
    /// One event, `{"event":{...}}`.
    Event(serde_json::Value),
    /// The JSON text of one event, already serialised: the audio path, which is hot.
    Json(Bytes),
    /// An exception frame. The session sends [`Outbound::End`] after it.
    Exception(Exception),
    /// Bytes to put on the stream as they are, for the fault "garbage".
    Raw(Bytes),
    /// Break the stream off: `RST_STREAM` on HTTP/2, a cut connection on HTTP/1.1.
    Reset,
    /// Cut the TCP connection under the stream, without any word.
    Cut,
    /// End the response in an orderly way. Nothing follows.
    End,
}

/// What arrived from the client, after signature and framing.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// The JSON of one client event, as it stood inside `bytes`.
    Event(Bytes),
    /// A frame that could not be taken apart or whose signature is wrong; the text goes into the
    /// `validationException`.
    Malformed(String),
    /// The client ended its input, by the empty frame or by the end of the body.
    End,
}

/// An in-stream exception (`nova-sonic.md` §1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Exception {
    /// Which one.
    pub(crate) kind: ExceptionKind,
    /// The `message` member.
    pub(crate) message: String,
    /// `originalStatusCode` and `originalMessage`, which only `modelStreamErrorException` has.
    pub(crate) original: Option<(i32, String)>,
}

/// The names an exception frame can carry (`nova-sonic.md` §1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExceptionKind {
    /// `internalServerException`, 500.
    InternalServer,
    /// `modelStreamErrorException`, 424.
    ModelStreamError,
    /// `validationException`, 400.
    Validation,
    /// `throttlingException`, 429.
    Throttling,
    /// `modelTimeoutException`, 408.
    ModelTimeout,
    /// `serviceUnavailableException`, 503.
    ServiceUnavailable,
}

impl ExceptionKind {
    /// The value of the `:exception-type` header.
    pub(crate) const fn wire_name(self) -> &'static str {
        match self {
            Self::InternalServer => "internalServerException",
            Self::ModelStreamError => "modelStreamErrorException",
            Self::Validation => "validationException",
            Self::Throttling => "throttlingException",
            Self::ModelTimeout => "modelTimeoutException",
            Self::ServiceUnavailable => "serviceUnavailableException",
        }
    }
}

impl Exception {
    /// An exception with a message only.
    pub(crate) fn new(kind: ExceptionKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), original: None }
    }

    /// A `validationException`.
    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(ExceptionKind::Validation, message)
    }
}

/// Output that waits here, beyond what waits in the channel, before input is no longer read: a
/// client that does not read is not listened to for ever.
const OUTBOX: usize = 64;
/// Output that waits here before the voice is no longer asked for more.
const OUTBOX_FOR_VOICE: usize = 4;
/// How long a client may take to read what is left after the end.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Longer than any stream lives.
const A_LONG_TIME: Duration = Duration::from_secs(86_400);

/// Serves one stream until it ends. Dropping the future cancels it.
///
/// `events` and `out` are bounded; a full `out` slows the model's voice down, never the clocks.
/// The last message on `out` is [`Outbound::End`], [`Outbound::Reset`] or [`Outbound::Cut`].
pub(crate) async fn run(
    model: Generation,
    mut events: mpsc::Receiver<Inbound>,
    out: mpsc::Sender<Outbound>,
    world: Arc<World>,
    record: SessionRecord,
) {
    let opened = Instant::now();
    let clocks = world.config.clocks.clone();
    let now = || clocks.emulated(opened.elapsed());
    let due = |deadline| {
        // What lies beyond the end of time is far away.
        opened.checked_add(clocks.real(deadline)).unwrap_or(opened + A_LONG_TIME)
    };
    let mut mouth = Mouth::new(world.repertoire.clone());
    let mut service = Service::new(model, world, record);
    let mut outbox = VecDeque::new();
    let mut listening = true;
    let mut deaf_until = opened;
    let mut over = false;
    // Armed anew only when it fired or must fire earlier: most events merely move it away.
    let mut armed = due(service.deadline());
    let timer = sleep_until(armed);
    tokio::pin!(timer);

    loop {
        while let Some(act) = service.next_act() {
            match act {
                Act::Send(outbound) => outbox.push_back(outbound),
                Act::Say(text) => mouth.say(text, service.voice_rate_hz()),
                Act::Hush => mouth.hush(),
                Act::Over => {
                    over = true;
                    armed = Instant::now() + LAST_WORDS;
                    timer.as_mut().reset(armed);
                }
                Act::Hang { deaf } => {
                    mouth.hush();
                    deaf_until = Instant::now() + clocks.real(deaf);
                    armed = deaf_until;
                    timer.as_mut().reset(armed);
                }
                Act::Called(_) | Act::Struck(_) => {}
            }
        }
        while let Some(next) = outbox.pop_front() {
            match out.try_send(next) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(next)) => {
                    outbox.push_front(next);
                    break;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => return,
            }
        }
        if over && outbox.is_empty() {
            return;
        }
        let deadline = due(service.deadline());
        if !over && deadline < armed {
            armed = deadline;
            timer.as_mut().reset(armed);
        }

        tokio::select! {
            // Time first, or a client that floods could outrun the clocks.
            biased;
            () = &mut timer => {
                if over {
                    return;
                }
                service.tick(now());
                armed = due(service.deadline());
                timer.as_mut().reset(armed);
            }
            room = out.reserve(), if !outbox.is_empty() => {
                let Ok(room) = room else { return };
                if let Some(next) = outbox.pop_front() {
                    room.send(next);
                }
            }
            inbound = events.recv(), if listening && !over && outbox.len() < OUTBOX
                && Instant::now() >= deaf_until => {
                match inbound {
                    Some(Inbound::Event(json)) => service.event(now(), &json),
                    Some(Inbound::Malformed(what)) => service.malformed(what),
                    Some(Inbound::End) | None => {
                        listening = false;
                        service.input_ended();
                    }
                }
            }
            chunk = mouth.next(), if mouth.is_speaking() && !over
                && outbox.len() < OUTBOX_FOR_VOICE => match chunk {
                    Some(pcm) => service.voice(now(), &pcm),
                    None => service.voice_ended(now()),
                },
            () = out.closed() => return,
        }
    }
}

#[cfg(test)]
mod tests;
