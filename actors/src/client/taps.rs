//! Who listens in: the recording, and the second pair of ears that transcribes.
//!
//! Both get what caller and assistant said, on one clock ([`Mixer`]), a tenth of a second at a
//! time. Neither can slow the call down: what they do not take is lost to them and to nobody else.

use std::time::{Duration, Instant};

use actix::{AsyncContext, Context, Handler, Message};
use voice_archive::Recorder;
use voice_audio::pcm;
use voice_call::AudioChunk;

use super::{ClientActor, ClientEvent, mixer::Mixer};
use crate::mailbox::Outbox;

/// How often audio is passed on.
const EVERY: Duration = Duration::from_millis(100);

/// How late the mixer gives audio out, and a little more: a pause ends only after it.
const LATE: Duration = Duration::from_millis(600);

/// Record the call from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Record {
    pub(crate) recorder: Recorder,
    /// Samples a second.
    pub(crate) rate: u32,
}

/// Record silence from now on, or sound again.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct PauseRecording(pub(crate) bool);

/// Let this one transcribe from now on, or nobody, instead of whoever did.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct LetListen(pub(crate) Option<Listener>);

/// Who transcribes.
pub(crate) struct Listener {
    pub(crate) ears: Outbox<Overheard>,
    /// Samples a second.
    pub(crate) rate: u32,
    /// Whether the assistant's voice comes along, as the second of two channels.
    pub(crate) both: bool,
}

/// PCM16 little-endian: the caller, or caller and assistant in turns.
#[derive(Debug)]
pub(crate) struct Overheard(pub(crate) Vec<u8>);

/// One listener.
pub(super) struct Tap {
    mixer: Mixer,
    outlet: Outlet,
}

enum Outlet {
    Tape(Box<Tape>),
    Ears { ears: Outbox<Overheard>, both: bool },
}

/// A recording.
struct Tape {
    recorder: Recorder,
    pause: Pause,
    broken: bool,
}

/// Whether silence is recorded instead of what is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    No,
    Yes,
    /// What was said in the pause is still to come.
    Until(Instant),
}

impl Tap {
    fn pass(&mut self, pairs: Vec<i16>, now: Instant) -> Result<(), ()> {
        if pairs.is_empty() {
            return Ok(());
        }
        match &mut self.outlet {
            Outlet::Tape(tape) => {
                if matches!(tape.pause, Pause::Until(end) if end <= now) {
                    tape.pause = Pause::No;
                }
                let pairs = if tape.pause == Pause::No { pairs } else { vec![0; pairs.len()] };
                if !tape.recorder.write(pairs) && !std::mem::replace(&mut tape.broken, true) {
                    return Err(());
                }
            }
            Outlet::Ears { ears, both } => {
                let step = if *both { 1 } else { 2 };
                let samples = pairs.into_iter().step_by(step);
                ears.offer(Overheard(samples.flat_map(i16::to_le_bytes).collect()));
            }
        }
        Ok(())
    }
}

impl ClientActor {
    /// The caller was heard.
    pub(super) fn tap_caller(&mut self, chunk: &AudioChunk) {
        if self.taps.is_empty() {
            return;
        }
        let (samples, now) = (pcm::samples(chunk.bytes()), self.clock.now());
        self.taps.iter_mut().for_each(|tap| tap.mixer.caller(&samples, now));
    }

    /// The assistant will be heard: this frame was released a moment ago.
    pub(super) fn tap_assistant(&mut self, frame: &AudioChunk) {
        if self.taps.is_empty() {
            return;
        }
        let Some(end) = self.playout.released_until() else { return };
        let from = end.checked_sub(frame.duration()).unwrap_or(end);
        let samples = pcm::samples(frame.bytes());
        self.taps.iter_mut().for_each(|tap| tap.mixer.assistant(&samples, from));
    }

    /// What the assistant was about to say is not heard.
    pub(super) fn tap_flush(&mut self) {
        let now = self.clock.now();
        self.taps.iter_mut().for_each(|tap| tap.mixer.flush(now));
    }

    /// Passes everything on; nothing more follows.
    pub(super) fn finish_taps(&mut self) {
        let now = self.clock.now();
        for mut tap in std::mem::take(&mut self.taps) {
            let pairs = tap.mixer.finish(now);
            let _ = tap.pass(pairs, now);
        }
    }

    fn add_tap(&mut self, tap: Tap, ctx: &mut Context<Self>) {
        if self.taps.is_empty() {
            let every = self.clock.wait(EVERY).max(Duration::from_millis(2));
            self.tapping.get_or_insert_with(|| {
                ctx.run_interval(every, |actor, _| {
                    if actor.pass_on() {
                        actor.report(ClientEvent::RecordingFailed);
                    }
                })
            });
        }
        self.taps.push(tap);
    }

    /// Answers whether a recording has just broken off.
    fn pass_on(&mut self) -> bool {
        let now = self.clock.now();
        let mut failed = false;
        for tap in &mut self.taps {
            let pairs = tap.mixer.take(now);
            failed |= tap.pass(pairs, now).is_err();
        }
        failed
    }
}

impl Handler<Record> for ClientActor {
    type Result = ();

    fn handle(&mut self, Record { recorder, rate }: Record, ctx: &mut Self::Context) {
        let mixer = Mixer::new(rate, self.clock.now());
        let tape = Tape { recorder, pause: Pause::No, broken: false };
        self.add_tap(Tap { mixer, outlet: Outlet::Tape(Box::new(tape)) }, ctx);
    }
}

impl Handler<PauseRecording> for ClientActor {
    type Result = ();

    fn handle(&mut self, PauseRecording(pause): PauseRecording, _: &mut Self::Context) {
        let until = self.clock.now() + LATE;
        for tap in &mut self.taps {
            if let Outlet::Tape(tape) = &mut tap.outlet {
                tape.pause = match (pause, tape.pause) {
                    (true, _) => Pause::Yes,
                    (false, Pause::Yes) => Pause::Until(until),
                    (false, no) => no,
                };
            }
        }
    }
}

impl Handler<LetListen> for ClientActor {
    type Result = ();

    fn handle(&mut self, LetListen(listener): LetListen, ctx: &mut Self::Context) {
        self.taps.retain(|tap| matches!(tap.outlet, Outlet::Tape(_)));
        let Some(Listener { ears, rate, both }) = listener else { return };
        let mixer = Mixer::new(rate, self.clock.now());
        self.add_tap(Tap { mixer, outlet: Outlet::Ears { ears, both } }, ctx);
    }
}
