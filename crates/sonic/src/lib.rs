//! Nova Sonic as a machine without I/O.
//!
//! Amazon Nova Sonic hears speech and answers with speech, over one bidirectional stream of JSON
//! events. The events are simple; the rules between them are not, and most of them are written
//! nowhere. This crate knows them. It has no socket, no clock and no task: bytes go in, bytes and
//! events come out, and its whole behaviour can be tested in microseconds.
//!
//! # A conversation
//!
//! ```
//! use voice_call::{AudioChunk, SampleRate};
//! use voice_sonic::{Session, SessionEvent, SessionSettings, Transmit, Turn};
//!
//! let mut session = Session::new(SessionSettings {
//!     system_prompt: "You run a small hotel.".into(),
//!     greeting: Some("hi".into()),
//!     ..SessionSettings::default()
//! });
//!
//! // 1. The opening goes out before the service answers; it would wait for it for ever.
//! let opening: Vec<Transmit> = std::iter::from_fn(|| session.poll_transmit()).collect();
//! assert_eq!(opening.len(), 5); // session, prompt, and the instruction in three events
//!
//! // 2. The response head is here: audio opens, and the greeting makes the assistant speak first.
//! session.stream_opened();
//! assert_eq!(session.turn(), Turn::AwaitingAssistant);
//!
//! // 3. From now on: audio in as it comes, events out as they come.
//! session.push_audio(&AudioChunk::silence(SampleRate::Hz16000, 32))?;
//! session.receive(br#"{"event":{"audioOutput":{"contentId":"c","content":"AAAA"}}}"#);
//! while let Some(transmit) = session.poll_transmit() {
//!     // to the transport
//! #   let _ = transmit;
//! }
//! assert_eq!(session.poll_event(), Some(SessionEvent::AssistantTurnStarted));
//! assert!(matches!(session.poll_event(), Some(SessionEvent::Audio(_))));
//!
//! // 4. The end, in the one order that the service accepts. The last transmission is `Close`.
//! session.finish();
//! # Ok::<(), voice_sonic::PushRefused>(())
//! ```
//!
//! The one rule for whoever drives it: **after every call, drain [`Session::poll_transmit`] and
//! [`Session::poll_event`]**.
//!
//! # What it takes care of
//!
//! | | the service | the machine |
//! |---|---|---|
//! | order | ends the stream at any event out of place | everything sent passes one gate: [`order`] |
//! | renewal | closes every stream after eight minutes | a session that stands by and takes over: [`Session::begin`], [`renewal`] |
//! | opening | wants instruction and history before audio, in small pieces | cuts and trims them: [`history`] |
//! | typed text | is deaf to it without fresh audio, and to audio within it | sends silence first, and the block in one piece |
//! | transcript | says each sentence twice, the second time late and in no order | one line per turn: [`transcript`] |
//! | barge-in | reports it in three ways, often several times | [`SessionEvent::Interrupted`], once |
//! | tools | dies of a result that is no JSON, or of one nobody asked for | wraps the one, refuses the other: [`tool`] |
//! | turns | has one "completion" for the whole call | knows the end of a turn by its audio: [`Turn`] |
//! | strangers | sends events that no document mentions | reports them and goes on: [`output`] |
//!
//! # The rooms
//!
//! ```text
//!   settings   model   voices          what a session is opened with
//!        \       |
//!         v      v        input        typed events, to JSON
//!   push_* --> session --------------> order --> poll_transmit
//!                |
//!   receive ---> |        output       JSON, to typed events
//!                |        transcript   two tellings become one line
//!                v        usage        tokens
//!            poll_event   event        what happened
//! ```
//!
//! # What it leaves to others
//!
//! - **Time.** No clock is read here. When a stream is due for renewal is decided by [`renewal`],
//!   which is told the time; one form of barge-in shows only in time, and
//!   [`Session::declare_interruption`] says how to decide it.
//! - **The wire.** Framing, signatures and exceptions belong to the port in `voice-call`.
//! - **Sound.** Audio has to arrive at the session's rate, and silence when there is nothing else.
//!
//! Facts about the service are quoted by section of `nova-sonic.md`, the dossier on which this
//! crate is built.

pub mod event;
pub mod history;
pub mod input;
pub mod model;
pub mod order;
pub mod output;
pub mod renewal;
pub mod session;
pub mod settings;
pub mod tool;
pub mod transcript;
pub mod usage;
pub mod voices;

pub use event::{Line, LineState, PushRefused, SessionEvent, Speaker, Transmit};
pub use model::ModelFamily;
pub use renewal::{Lull, Renewal, RenewalAction, RenewalLimits};
pub use session::{Phase, Session, SessionOptions, Turn};
pub use settings::{
    HistoryMessage, Inference, Sensitivity, SessionSettings, SettingFault, ToolSpec,
};
pub use usage::{TokenCounts, Usage, to_service_json};
pub use voices::{Voice, find_voice, voices};
