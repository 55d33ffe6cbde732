//! What of a call goes into its journal, and what it costs so far.
//!
//! The call says what happened as it happens; the archive keeps it. Fields that a tool file calls
//! secret are hidden here, where the file is known; personal data is taken out by the archive.

use serde_json::Value;
use voice_archive::entry::{self, Event, Tokens, Turn};
use voice_sonic::{Speaker, TokenCounts};

use super::{CallActor, latency::TurnLatency};
use crate::transcript::LineUpdated;

/// The ledger's counts as the archive has them.
pub(super) fn tokens(counts: TokenCounts) -> Tokens {
    let TokenCounts { input_speech, input_text, output_speech, output_text } = counts;
    Tokens { input_speech, input_text, output_speech, output_text }
}

impl CallActor {
    /// Something happened.
    pub(super) fn note(&self, event: Event) {
        self.watched.note(&event);
        self.journal.note(event);
    }

    /// The settings are these from now on.
    pub(super) fn note_settings(&self) {
        self.note(Event::Settings(Box::new(self.settings.about.clone())));
    }

    pub(super) fn note_line(&self, line: &LineUpdated) {
        self.note(Event::Line(entry::Line {
            id: line.id.clone(),
            role: match line.speaker {
                Speaker::User => entry::Speaker::User,
                Speaker::Assistant => entry::Speaker::Assistant,
            },
            text: line.text.clone(),
            is_final: line.is_final,
            interrupted: line.interrupted,
            heard: None,
        }));
    }

    pub(super) fn note_tool_called(&self, id: &str, name: &str, input: &Value) {
        let tool = self.catalog.tool(name);
        let input = tool.map_or_else(|| input.clone(), |tool| tool.redacted_arguments(input));
        self.note(Event::ToolCalled { id: id.to_owned(), name: name.to_owned(), input });
    }

    pub(super) fn note_tool_answered(&self, id: &str, name: &str, result: &Value, outcome: &str) {
        let tool = self.catalog.tool(name);
        let result = tool.map_or_else(|| result.clone(), |tool| tool.redacted_result(result));
        self.note(Event::ToolAnswered { id: id.to_owned(), result, outcome: outcome.to_owned() });
    }

    /// A turn of the assistant's is over, and all of its figures are known.
    pub(super) fn note_turn(&self, turn: TurnLatency) {
        let meters = self.engine.meters();
        meters.first_audio.observe(turn.first_audio);
        if let Some(written) = turn.written {
            meters.first_written.observe(written);
        }
        let ms = |duration: std::time::Duration| duration.as_millis() as u64;
        self.note(Event::Turn(Turn {
            first_audio_ms: Some(ms(turn.first_audio)),
            first_written_ms: turn.written.map(ms),
            whole_ms: Some(ms(turn.whole)),
            tools_ms: ms(turn.tools),
            interrupted: turn.interrupted,
        }));
    }

    /// The tokens and the cost of the call so far, for the journal.
    pub(super) fn note_usage(&self) {
        self.note(Event::Usage(tokens(self.ledger.usage())));
    }

    /// What the call costs so far; `None` for a model that the table of prices does not know.
    pub(super) fn cost(&self) -> Option<f64> {
        self.cost_of(self.ledger.usage())
    }

    /// Counts what was added to the usage of the process.
    pub(super) fn meter_usage(&self, added: TokenCounts) {
        let cost = self.cost_of(added).unwrap_or(0.0);
        self.tab.add(cost);
        self.engine.meters().count_tokens(
            [
                ("input_speech", added.input_speech),
                ("input_text", added.input_text),
                ("output_speech", added.output_speech),
                ("output_text", added.output_text),
            ],
            cost,
        );
    }

    fn cost_of(&self, counts: TokenCounts) -> Option<f64> {
        let config = self.config();
        config.prices.of_tokens(&config.model_id, &tokens(counts))
    }
}
