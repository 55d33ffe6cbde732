//! The transcriber: makes one transcript of what is said.
//!
//! Here it is fed by Nova Sonic's own texts and by what the caller typed. It names the lines,
//! keeps stage directions and `[STEP: id]` tags out, and tells the supervisor of every change. With
//! transcription on, a second pair of ears (`ears`) hears the same call, and what it understood is
//! put beside the lines (`matching`).

mod ears;
mod matching;
mod tags;

use std::{collections::VecDeque, time::Duration};

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient};
use voice_sonic::{Line, LineState, Speaker};

use self::{ears::Ears, matching::Matching};
pub(crate) use self::{
    ears::Hearing,
    matching::{Corroborated, Stretch},
};
use crate::{mailbox::control, supervise::answer_probes};

/// How long the last audio of an ending call may take to arrive here.
const LAST_AUDIO: Duration = Duration::from_millis(100);

/// Typed texts whose echo may still come from the model.
const ECHOES: usize = 16;
/// Lines whose tags may be told again when the line changes.
const TAGGED: usize = 16;

/// The stream reported a line.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct LineHeard {
    /// The number of the stream: line ids start anew with each.
    pub(crate) stream: u32,
    pub(crate) line: Line,
}

/// A text was sent to the model on behalf of someone.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct TextSent {
    pub(crate) text: String,
    /// Whether the caller typed it; a stage direction is not part of the transcript.
    pub(crate) by_caller: bool,
}

/// Hear the call with other ears from now on, or with none.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Hear(pub(crate) Option<Hearing>);

/// The transcript is complete.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub(crate) struct FinishTranscript;

/// A line is new, has grown, or was corrected.
#[derive(Message, Debug, Clone, PartialEq, Eq)]
#[rtype(result = "()")]
pub(crate) struct LineUpdated {
    pub(crate) id: String,
    pub(crate) speaker: Speaker,
    pub(crate) text: String,
    pub(crate) is_final: bool,
    pub(crate) interrupted: bool,
    /// Steps of a workflow that the assistant's words named for the first time. The text may be
    /// empty then: there is nothing to show.
    pub(crate) steps: Vec<String>,
}

/// What the second pair of ears brings about.
#[derive(Message, Debug, Clone, PartialEq)]
#[rtype(result = "()")]
pub(crate) enum TranscriberNews {
    /// A line, and what was heard of it.
    Corroborated(Corroborated),
    /// Something was heard that is no line.
    Unclaimed(Stretch),
    /// Seconds that were transcribed since this was told last.
    Seconds(f64),
    /// The language of the caller, and how sure that is.
    Language(String, f64),
    /// The call is not transcribed any more.
    EarsLost,
}

/// The actor.
pub(crate) struct Transcriber {
    transcript: Transcript,
    call: Recipient<LineUpdated>,
    news: Recipient<TranscriberNews>,
    matching: Matching,
    /// Absent when the call is not transcribed.
    ears: Option<Ears>,
    /// Streams that were opened.
    streams: u32,
    /// The language that was told.
    language: Option<String>,
    finishing: bool,
}

impl Transcriber {
    pub(crate) fn new(
        incarnation: u32,
        call: Recipient<LineUpdated>,
        news: Recipient<TranscriberNews>,
        hearing: Option<Hearing>,
    ) -> Self {
        Self {
            transcript: Transcript { incarnation, ..Transcript::default() },
            call,
            news,
            matching: Matching::default(),
            ears: hearing.map(Ears::new),
            streams: 0,
            language: None,
            finishing: false,
        }
    }

    fn publish(&mut self, update: Option<LineUpdated>) {
        let Some(update) = update else { return };
        let now = self.ears.as_ref().map(Ears::now);
        let corroborated = now.and_then(|now| self.matching.line(&update, now));
        control(&self.call, update);
        if let Some(corroborated) = corroborated {
            self.tell(TranscriberNews::Corroborated(corroborated));
        }
    }

    fn tell(&self, news: TranscriberNews) {
        control(&self.news, news);
    }

    fn stretch_heard(&mut self, stretch: Stretch) {
        if let Some(corroborated) = self.matching.heard(stretch) {
            self.tell(TranscriberNews::Corroborated(corroborated));
        }
    }

    fn language_heard(&mut self, language: String, confidence: f64) {
        if self.language.as_ref() != Some(&language) {
            self.language = Some(language.clone());
            self.tell(TranscriberNews::Language(language, confidence));
        }
    }
}

impl Actor for Transcriber {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.open_ears(ctx);
    }
}

answer_probes!(Transcriber);

impl Handler<LineHeard> for Transcriber {
    type Result = ();

    fn handle(&mut self, heard: LineHeard, _: &mut Self::Context) {
        let update = self.transcript.hear(heard.stream, heard.line);
        self.publish(update);
    }
}

impl Handler<TextSent> for Transcriber {
    type Result = ();

    fn handle(&mut self, sent: TextSent, _: &mut Self::Context) {
        let update = self.transcript.send(sent.text, sent.by_caller);
        self.publish(update);
    }
}

impl Handler<Hear> for Transcriber {
    type Result = ();

    fn handle(&mut self, Hear(hearing): Hear, ctx: &mut Self::Context) {
        self.finish_ears();
        self.matching = Matching::default();
        self.ears = hearing.map(Ears::new);
        self.open_ears(ctx);
    }
}

impl Handler<FinishTranscript> for Transcriber {
    type Result = ();

    fn handle(&mut self, _: FinishTranscript, ctx: &mut Self::Context) {
        if self.ears.is_none() {
            return ctx.stop();
        }
        self.finishing = true;
        // The client actor passes on what it still holds.
        ctx.run_later(LAST_AUDIO, |actor, ctx| actor.close_ears(ctx));
    }
}

/// The machine: which texts belong to the transcript, and under which id.
#[derive(Debug, Default)]
struct Transcript {
    /// Which transcriber of the call this is: ids of typed lines must not repeat.
    incarnation: u32,
    typed: u32,
    /// What was sent as text. The model may or may not repeat it as a line of the caller.
    echoes: Vec<String>,
    /// How many tags of a line were told, by line id.
    tagged: VecDeque<(String, usize)>,
}

impl Transcript {
    fn hear(&mut self, stream: u32, line: Line) -> Option<LineUpdated> {
        if line.speaker == Speaker::User && self.is_echo(&line.text) {
            return None;
        }
        let id = format!("{stream}.{}", line.id);
        let (text, tags) = tags::take_tags(&line.text);
        // What the caller says moves nothing.
        let by_model = line.speaker == Speaker::Assistant;
        let steps = if by_model { self.news(&id, tags) } else { Vec::new() };
        let text = tidy(&text);
        (!text.is_empty() || !steps.is_empty()).then(|| LineUpdated {
            id,
            speaker: line.speaker,
            text,
            is_final: line.state == LineState::Final,
            interrupted: line.interrupted,
            steps,
        })
    }

    /// The tags that were not told before: a line is told as a whole whenever it grows.
    fn news(&mut self, id: &str, mut tags: Vec<String>) -> Vec<String> {
        if tags.is_empty() {
            return tags;
        }
        match self.tagged.iter_mut().find(|(line, _)| line == id) {
            Some((_, told)) => {
                let new = tags.split_off((*told).min(tags.len()));
                *told += new.len();
                new
            }
            None => {
                if self.tagged.len() == TAGGED {
                    self.tagged.pop_front();
                }
                self.tagged.push_back((id.to_owned(), tags.len()));
                tags
            }
        }
    }

    fn send(&mut self, text: String, by_caller: bool) -> Option<LineUpdated> {
        if self.echoes.len() == ECHOES {
            self.echoes.remove(0);
        }
        self.echoes.push(normal(&text));
        if !by_caller {
            return None;
        }
        self.typed += 1;
        Some(LineUpdated {
            id: format!("typed-{}.{}", self.incarnation, self.typed),
            speaker: Speaker::User,
            text,
            is_final: true,
            interrupted: false,
            steps: Vec::new(),
        })
    }

    fn is_echo(&self, text: &str) -> bool {
        let text = normal(text);
        self.echoes.contains(&text)
    }
}

/// The model's continuations begin with blanks of their own (`nova-sonic.md` §3.3).
fn tidy(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The model lower-cases and lightly punctuates what it hears.
fn normal(text: &str) -> String {
    let letters = text.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(speaker: Speaker, text: &str) -> Line {
        Line { id: 7, speaker, text: text.into(), state: LineState::Final, interrupted: false }
    }

    #[test]
    fn a_typed_text_is_one_line_even_when_the_model_repeats_it() {
        let mut transcript = Transcript::default();
        let typed = transcript.send("What is my balance?".into(), true).expect("a line");
        assert_eq!((typed.text.as_str(), typed.is_final), ("What is my balance?", true));
        assert_eq!(transcript.hear(1, line(Speaker::User, "what is my balance")), None);
        let answer = transcript.hear(1, line(Speaker::Assistant, "What is my balance?"));
        assert_eq!(answer.expect("the assistant may say so").id, "1.7");
    }

    #[test]
    fn sentences_are_joined_by_one_blank() {
        let heard = Transcript::default().hear(1, line(Speaker::Assistant, " One.  Two. "));
        assert_eq!(heard.expect("a line").text, "One. Two.");
    }

    #[test]
    fn a_step_tag_is_told_once_and_never_shown() {
        let mut transcript = Transcript::default();
        let mut hear = |text| transcript.hear(1, line(Speaker::Assistant, text));
        let first = hear("[STEP: verify]").expect("a step");
        assert_eq!((first.text.as_str(), first.steps), ("", vec!["verify".into()]));
        let grown = hear("[STEP: verify] One moment. [STEP: wish]").expect("a line");
        assert_eq!((grown.text.as_str(), grown.steps), ("One moment.", vec!["wish".into()]));
        let caller = transcript.hear(1, line(Speaker::User, "Hello [STEP: wish]")).expect("a line");
        assert_eq!((caller.text.as_str(), caller.steps), ("Hello", vec![]));
    }

    #[test]
    fn a_stage_direction_is_never_a_line() {
        let mut transcript = Transcript::default();
        assert_eq!(transcript.send("[The caller is silent]".into(), false), None);
        assert_eq!(transcript.hear(1, line(Speaker::User, "the caller is silent")), None);
    }
}
