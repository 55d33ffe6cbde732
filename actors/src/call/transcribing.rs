//! Whether a call is transcribed besides, and what becomes of what was heard. How it is done is in
//! `transcript/`.

use actix::{Addr, Handler};
use voice_archive::entry::{self, Event, Heard};
use voice_call::{
    meters::Queue,
    transcription::{Channels, Language, TranscriptionRequest},
};
use voice_sonic::Speaker;
use voice_wire::ServerMessage;

use super::{CallActor, to};
use crate::{
    client::taps::{LetListen, Listener},
    mailbox::{Outbox, control},
    transcript::{Hear, Hearing, Stretch, Transcriber, TranscriberNews},
};

/// What is spoken where a persona names only a language (`nova-sonic.md` §4.4, and the languages
/// of Amazon Transcribe Streaming).
const REGIONS: [(&str, &str); 8] = [
    ("en", "en-US"),
    ("de", "de-DE"),
    ("fr", "fr-FR"),
    ("es", "es-US"),
    ("it", "it-IT"),
    ("pt", "pt-BR"),
    ("hi", "hi-IN"),
    ("nl", "nl-NL"),
];

/// The transcription of a call.
#[derive(Default)]
pub(super) struct Transcribing {
    /// How it is done; absent when it is not.
    pub(super) hearing: Option<Hearing>,
    /// Seconds that were transcribed so far.
    seconds: f64,
    /// Stretches of speech that no line was found for.
    unclaimed: u32,
}

impl CallActor {
    /// Begins to have the call transcribed, or has it done differently, as the settings say.
    pub(super) fn follow_transcription(&mut self) {
        let wanted = self.wanted_hearing();
        let request = |hearing: &Option<Hearing>| hearing.as_ref().map(|h| h.request.clone());
        if request(&wanted) == request(&self.transcribing.hearing) {
            return;
        }
        self.transcribing.hearing.clone_from(&wanted);
        let Some(transcriber) = &self.transcriber else { return };
        self.let_listen(transcriber, request(&wanted).as_ref());
        control(&to(transcriber), Hear(wanted));
    }

    fn wanted_hearing(&self) -> Option<Hearing> {
        let shared = &self.engine.shared;
        let port = shared.ports.transcription.clone()?;
        let channels = self.settings.transcribes;
        (channels != Channels::Off).then(|| Hearing {
            port,
            request: TranscriptionRequest {
                rate: shared.config.transcribe_rate,
                channels,
                language: self.spoken_language(),
            },
            meters: shared.meters.clone(),
        })
    }

    fn spoken_language(&self) -> Language {
        let of_persona = self.settings.about.language.as_deref();
        match (of_persona, &self.config().transcribe_language) {
            (_, Some(Language::OneOf(languages))) => Language::OneOf(languages.clone()),
            (Some(language), _) => Language::Known(with_region(language)),
            (None, Some(known)) => known.clone(),
            (None, None) => Language::Known("en-US".to_owned()),
        }
    }

    /// What both say goes to this transcriber from now on, or to none.
    pub(super) fn let_listen(
        &self,
        to_whom: &Addr<Transcriber>,
        request: Option<&TranscriptionRequest>,
    ) {
        let listener = request.map(|request| Listener {
            ears: Outbox::new(to(to_whom), Queue::Overheard, self.engine.meters()),
            rate: request.rate,
            both: request.channels == Channels::Both,
        });
        control(&to(&self.client), LetListen(listener));
    }

    /// Something was said that the model has no line for.
    fn note_unclaimed(&mut self, Stretch { speaker, heard }: Stretch) {
        self.transcribing.unclaimed += 1;
        self.note(Event::Line(entry::Line {
            id: format!("heard-{}", self.transcribing.unclaimed),
            role: role(speaker),
            text: String::new(),
            is_final: true,
            interrupted: false,
            heard: Some(heard),
        }));
    }
}

fn role(speaker: Speaker) -> entry::Speaker {
    match speaker {
        Speaker::User => entry::Speaker::User,
        Speaker::Assistant => entry::Speaker::Assistant,
    }
}

/// A language tag with a region.
fn with_region(language: &str) -> String {
    let found = REGIONS.iter().find(|(bare, _)| language.eq_ignore_ascii_case(bare));
    found.map_or_else(|| language.to_owned(), |(_, region)| (*region).to_owned())
}

impl Handler<TranscriberNews> for CallActor {
    type Result = ();

    fn handle(&mut self, news: TranscriberNews, _: &mut Self::Context) {
        match news {
            TranscriberNews::Corroborated(both) => {
                let heard: Heard = both.heard;
                self.note(Event::Line(entry::Line {
                    id: both.line.id,
                    role: role(both.line.speaker),
                    text: both.line.text,
                    is_final: both.line.is_final,
                    interrupted: both.line.interrupted,
                    heard: Some(heard),
                }));
            }
            TranscriberNews::Unclaimed(stretch) => self.note_unclaimed(stretch),
            TranscriberNews::Seconds(added) => {
                self.transcribing.seconds += added;
                self.note(Event::Transcribed { seconds: self.transcribing.seconds });
            }
            TranscriberNews::Language(language, confidence) => {
                self.tell(ServerMessage::Metadata {
                    data: voice_wire::server::Metadata::Language {
                        detected_language: language,
                        language_confidence: confidence,
                    },
                });
            }
            TranscriberNews::EarsLost => {
                let message = "The call is not transcribed any more; it goes on";
                self.complain("transcription_unavailable", message, false);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_has_a_region() {
        assert_eq!(with_region("en-GB"), "en-GB");
        assert_eq!(with_region("DE"), "de-DE");
        assert_eq!(with_region("pl"), "pl");
    }
}
