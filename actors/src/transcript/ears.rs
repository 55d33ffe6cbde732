//! The second pair of ears: a stream to a transcription service, kept alive beside the call.
//!
//! It is fed by the client actor with what both said, silence included, so that the service's clock
//! never runs out. A stream that ends is opened anew, within a budget; when nothing helps the call
//! goes on without it. Nothing here can hold the call up.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use actix::{
    ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle,
    StreamHandler, WrapFuture,
};
use bytes::Bytes;
use futures::StreamExt;
use prometheus_client::metrics::gauge::Gauge;
use voice_archive::entry::Heard;
use voice_call::{
    Meters,
    meters::ReasonLabel,
    transcription::{
        AudioSender, Channels, Segment, TranscriptionFault, TranscriptionFaultKind,
        TranscriptionPort, TranscriptionRequest, TranscriptionStream,
    },
};
use voice_sonic::Speaker;

use super::{Transcriber, TranscriberNews, matching::Stretch};
use crate::{client::taps::Overheard, mailbox::Queued};

/// What is sent at once: the service wants 50 to 200 ms, and always the same.
const PIECE: Duration = Duration::from_millis(100);
/// Audio that waits for a stream: what is older is given up.
const WAITING: Duration = Duration::from_secs(5);
/// First pause before another stream; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Failures in a row after which nothing helps. Speech that was understood begins a new row, and so
/// does a stream that lasted.
const BUDGET: u32 = 6;
/// How long a stream lasts that was no failure, in seconds.
const LONG_ENOUGH: f64 = 60.0;
/// How often the seconds so far are told.
const TELL_EVERY: f64 = 30.0;

/// How long the service has for what is being said when the call ends.
const LAST_WORDS: Duration = Duration::from_millis(1_500);

/// What the ears need.
#[derive(Clone)]
pub(crate) struct Hearing {
    pub(crate) port: Arc<dyn TranscriptionPort>,
    pub(crate) request: TranscriptionRequest,
    pub(crate) meters: Meters,
}

/// The state of the ears.
pub(super) struct Ears {
    hearing: Hearing,
    /// The number of the stream; news of an earlier one is old.
    stream: u32,
    sender: Option<Box<dyn AudioSender>>,
    /// Held while a stream is open.
    open: Option<OpenGauge>,
    receiving: Option<SpawnHandle>,
    /// Pieces that wait for a stream.
    waiting: VecDeque<Bytes>,
    /// Bytes that do not make a piece yet.
    rest: Vec<u8>,
    /// Bytes that came so far, those that wait included.
    came: u64,
    /// Bytes that were sent over all streams, and those that were told of.
    sent: u64,
    told: f64,
    /// Where in the call's audio the present stream began, in seconds.
    began: f64,
    failures: u32,
    /// The last words of segments that are not final.
    partial: Vec<Segment>,
    given_up: bool,
}

struct OpenGauge(Gauge);

impl OpenGauge {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for OpenGauge {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What the service understood.
#[derive(Message)]
#[rtype(result = "()")]
struct Understood {
    stream: u32,
    /// `None`: the stream is over.
    item: Option<Result<Segment, TranscriptionFault>>,
}

impl Ears {
    pub(super) fn new(hearing: Hearing) -> Self {
        Self {
            hearing,
            stream: 0,
            sender: None,
            open: None,
            receiving: None,
            waiting: VecDeque::new(),
            rest: Vec::new(),
            came: 0,
            sent: 0,
            told: 0.0,
            began: 0.0,
            failures: 0,
            partial: Vec::new(),
            given_up: false,
        }
    }

    /// Bytes of one second.
    fn second(&self) -> f64 {
        let channels = if self.hearing.request.channels == Channels::Both { 2 } else { 1 };
        f64::from(self.hearing.request.rate * channels * 2)
    }

    fn bytes(&self, time: Duration) -> usize {
        (self.second() * time.as_secs_f64()) as usize
    }

    /// Where the call's audio is, in seconds.
    pub(super) fn now(&self) -> f64 {
        self.came as f64 / self.second()
    }

    /// Takes audio in, and sends what can be sent. `Err`: the stream takes nothing any more.
    fn take(&mut self, pcm: &[u8]) -> Result<(), ()> {
        if self.given_up {
            return Ok(());
        }
        self.came += pcm.len() as u64;
        self.rest.extend_from_slice(pcm);
        let piece = self.bytes(PIECE);
        while self.rest.len() >= piece {
            self.waiting.push_back(self.rest.drain(..piece).collect());
        }
        let most = self.bytes(WAITING) / piece.max(1);
        while self.waiting.len() > most {
            self.waiting.pop_front();
        }
        self.pass()
    }

    fn pass(&mut self) -> Result<(), ()> {
        let Some(sender) = &mut self.sender else { return Ok(()) };
        while let Some(piece) = self.waiting.pop_front() {
            let length = piece.len() as u64;
            if sender.send(piece).is_err() {
                return Err(());
            }
            self.sent += length;
        }
        Ok(())
    }

    /// The stretch of a final segment, on the call's clock.
    fn stretch(&self, segment: &Segment) -> Stretch {
        let at = |time: Duration| self.began + time.as_secs_f64();
        Stretch {
            speaker: if segment.channel == 1 { Speaker::Assistant } else { Speaker::User },
            heard: Heard {
                text: segment.text.clone(),
                start: at(segment.start),
                end: at(segment.end),
                language: segment.language.as_ref().map(|(language, _)| language.clone()),
                redacted: segment.redacted,
            },
        }
    }

    /// Seconds that were sent in all.
    pub(super) fn seconds(&self) -> f64 {
        self.sent as f64 / self.second()
    }
}

impl Transcriber {
    /// Opens a stream.
    pub(super) fn open_ears(&mut self, ctx: &mut Context<Self>) {
        let Some(ears) = self.ears.as_mut().filter(|_| !self.finishing) else { return };
        self.streams += 1;
        ears.stream = self.streams;
        let (number, hearing) = (ears.stream, ears.hearing.clone());
        let opening = hearing.port.open(hearing.request.clone());
        ctx.spawn(opening.into_actor(self).map(move |opened, actor, ctx| {
            actor.ears_opened(number, opened, ctx);
        }));
    }

    fn ears_opened(
        &mut self,
        number: u32,
        opened: Result<TranscriptionStream, TranscriptionFault>,
        ctx: &mut Context<Self>,
    ) {
        let Some(ears) = self.ears.as_mut().filter(|ears| ears.stream == number) else { return };
        let stream = match opened {
            Ok(stream) => stream,
            Err(fault) => return self.ears_failed(&fault, ctx),
        };
        let end = futures::stream::once(std::future::ready(None));
        let items = stream.receiver.map(Some).chain(end);
        let items = items.map(move |item| Understood { stream: number, item });
        ears.receiving = Some(ctx.add_stream(items));
        ears.open = Some(OpenGauge::new(ears.hearing.meters.open_transcriptions.clone()));
        ears.sender = Some(stream.sender);
        let waiting: usize = ears.waiting.iter().map(Bytes::len).sum::<usize>() + ears.rest.len();
        ears.began = (ears.came - waiting as u64) as f64 / ears.second();
        if ears.pass().is_err() {
            // It is stuck, or its end is on its way.
            self.ears_failed(&ended("the stream takes no audio"), ctx);
        }
    }

    fn ears_failed(&mut self, fault: &TranscriptionFault, ctx: &mut Context<Self>) {
        self.tell_partials();
        let Some(ears) = &mut self.ears else { return };
        ears.sender = None;
        ears.open = None;
        if let Some(receiving) = ears.receiving.take() {
            ctx.cancel_future(receiving);
        }
        let reason = fault.kind.as_str();
        ears.hearing.meters.transcription_faults.get_or_create(&ReasonLabel { reason }).inc();
        if ears.now() - ears.began > LONG_ENOUGH {
            ears.failures = 0;
        }
        ears.failures += 1;
        if !fault.kind.passes() || ears.failures > BUDGET {
            tracing::error!(%fault, "the call is not transcribed any more");
            ears.given_up = true;
            ears.waiting.clear();
            ears.rest.clear();
            return self.tell(TranscriberNews::EarsLost);
        }
        tracing::warn!(%fault, failures = ears.failures, "the transcription is begun anew");
        let pause = FIRST_PAUSE.saturating_mul(1 << (ears.failures - 1).min(8));
        let number = ears.stream;
        ctx.run_later(pause, move |actor, ctx| {
            if actor.ears.as_ref().is_some_and(|ears| ears.stream == number && !ears.given_up) {
                actor.open_ears(ctx);
            }
        });
    }

    fn understood(&mut self, segment: Segment) {
        let Some(ears) = &mut self.ears else { return };
        ears.failures = 0;
        if let Some((language, confidence)) = segment.language.clone() {
            self.language_heard(language, confidence);
        }
        let Some(ears) = &mut self.ears else { return };
        ears.partial.retain(|partial| partial.id != segment.id);
        if segment.is_final {
            let stretch = ears.stretch(&segment);
            self.stretch_heard(stretch);
        } else {
            ears.partial.push(segment);
        }
    }

    /// What was being said when the stream ended counts as far as it was understood.
    pub(super) fn tell_partials(&mut self) {
        let Some(ears) = &mut self.ears else { return };
        let partial = std::mem::take(&mut ears.partial);
        let stretches: Vec<Stretch> = partial.iter().map(|partial| ears.stretch(partial)).collect();
        for stretch in stretches {
            self.stretch_heard(stretch);
        }
    }

    /// Tells how much was transcribed, once that is `least` or more.
    fn tell_seconds(&mut self, least: f64) {
        let Some(ears) = &mut self.ears else { return };
        let added = ears.seconds() - ears.told;
        if added > 0.0 && added >= least {
            ears.told += added;
            ears.hearing.meters.transcribed_seconds.inc_by(added);
            self.tell(TranscriberNews::Seconds(added));
        }
    }

    /// Ends the audio: what is being said becomes final, and then all is told.
    pub(super) fn close_ears(&mut self, ctx: &mut Context<Self>) {
        let Some(ears) = &mut self.ears else { return ctx.stop() };
        let rest = std::mem::take(&mut ears.rest);
        ears.waiting.push_back(rest.into());
        let _ = ears.pass();
        if ears.sender.take().is_none() {
            return self.stop(ctx);
        }
        ctx.run_later(LAST_WORDS, |actor, ctx| actor.stop(ctx));
    }

    fn stop(&mut self, ctx: &mut Context<Self>) {
        self.finish_ears();
        ctx.stop();
    }

    pub(super) fn finish_ears(&mut self) {
        self.tell_partials();
        for stretch in self.matching.finish() {
            self.tell(TranscriberNews::Unclaimed(stretch));
        }
        self.tell_seconds(0.0);
        self.ears = None;
    }
}

impl Handler<Queued<Overheard>> for Transcriber {
    type Result = ();

    fn handle(&mut self, queued: Queued<Overheard>, ctx: &mut Self::Context) {
        let Some(Overheard(pcm)) = queued.take() else { return };
        let Some(ears) = &mut self.ears else { return };
        let passed = ears.take(&pcm);
        let now = ears.now();
        for stretch in self.matching.unclaimed(now) {
            self.tell(TranscriberNews::Unclaimed(stretch));
        }
        self.tell_seconds(TELL_EVERY);
        if passed.is_err() {
            self.ears_failed(&ended("the stream takes no audio"), ctx);
        }
    }
}

impl StreamHandler<Understood> for Transcriber {
    fn handle(&mut self, Understood { stream, item }: Understood, ctx: &mut Self::Context) {
        // Of a stream that has failed, or was replaced, nothing more is news.
        let is_news = |ears: &Ears| ears.stream == stream && ears.sender.is_some();
        if !self.finishing && !self.ears.as_ref().is_some_and(is_news) {
            return;
        }
        match item {
            Some(Ok(segment)) => self.understood(segment),
            _ if self.finishing => self.stop(ctx),
            Some(Err(fault)) => self.ears_failed(&fault, ctx),
            None => self.ears_failed(&ended("the service ended the stream"), ctx),
        }
    }

    /// The end has been told as an item, which says of which stream.
    fn finished(&mut self, _: &mut Self::Context) {}
}

fn ended(why: &str) -> TranscriptionFault {
    TranscriptionFault { kind: TranscriptionFaultKind::Transport, message: why.to_owned() }
}
