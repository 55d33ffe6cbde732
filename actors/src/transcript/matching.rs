//! Two accounts of one conversation: what Nova Sonic says was said, and what a second pair of ears
//! heard. Each utterance is to appear once, with both.
//!
//! Nova's line is the model's view and names the utterance; what was heard goes beside it, found by
//! its words and by when it was said. What nobody claims is told by itself in the end: the stream
//! may not have heard it.
//!
//! A machine: no actix, no clock. Times are seconds of the call's audio.

use std::collections::VecDeque;

use voice_archive::entry::Heard;
use voice_sonic::Speaker;

use super::LineUpdated;

/// Lines that may still be claimed.
const LINES: usize = 32;
/// Stretches of speech that may still be claimed.
const UNCLAIMED: usize = 64;
/// How much of the heard words a line must have.
const ALIKE: f64 = 0.5;
/// How long after the words a line may come: the model tells the caller's a moment after them.
const LATER: f64 = 20.0;
/// How long before the caller's words a line may come.
const CALLER_SOONER: f64 = 3.0;
/// The same for the assistant, whose words are known before they are heard.
const ASSISTANT_SOONER: f64 = 90.0;
/// How near the caller's words and a line must be that have other words.
const NEAR: f64 = 5.0;

/// A stretch of speech that was understood to its end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) speaker: Speaker,
    pub(crate) heard: Heard,
}

/// A line, and all that was heard of it so far.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Corroborated {
    pub(crate) line: LineUpdated,
    pub(crate) heard: Heard,
}

#[derive(Debug, Default)]
pub(crate) struct Matching {
    lines: VecDeque<Known>,
    unclaimed: VecDeque<Stretch>,
}

#[derive(Debug)]
struct Known {
    line: LineUpdated,
    /// When it was told first.
    at: f64,
    heard: Vec<Heard>,
}

impl Matching {
    /// A line was told, for the first time or anew. Answers it with what was heard of it, if
    /// something was.
    pub(crate) fn line(&mut self, line: &LineUpdated, now: f64) -> Option<Corroborated> {
        if line.text.is_empty() {
            return None;
        }
        match self.lines.iter_mut().find(|known| known.line.id == line.id) {
            Some(known) => known.line = line.clone(),
            None => {
                if self.lines.len() == LINES {
                    self.lines.pop_front();
                }
                self.lines.push_back(Known { line: line.clone(), at: now, heard: Vec::new() });
            }
        }
        // A line that has grown may claim what it did not have the words for.
        let mut claimed = false;
        for stretch in std::mem::take(&mut self.unclaimed) {
            match self.claimant(&stretch) {
                Some(at) if self.lines[at].line.id == line.id => {
                    self.lines[at].heard.push(stretch.heard);
                    claimed = true;
                }
                _ => self.unclaimed.push_back(stretch),
            }
        }
        let known = self.lines.iter().find(|known| known.line.id == line.id)?;
        (claimed || !known.heard.is_empty()).then(|| known.corroborated())?
    }

    /// Something was heard. Answers the line that it belongs to, if that is known yet.
    pub(crate) fn heard(&mut self, stretch: Stretch) -> Option<Corroborated> {
        let Some(at) = self.claimant(&stretch) else {
            if self.unclaimed.len() == UNCLAIMED {
                self.unclaimed.pop_front();
            }
            self.unclaimed.push_back(stretch);
            return None;
        };
        self.lines[at].heard.push(stretch.heard);
        self.lines[at].corroborated()
    }

    /// What nobody has claimed in time, oldest first.
    pub(crate) fn unclaimed(&mut self, now: f64) -> Vec<Stretch> {
        let is_late = |stretch: &mut Stretch| stretch.heard.end + LATER < now;
        let mut late = Vec::new();
        while let Some(stretch) = self.unclaimed.pop_front_if(is_late) {
            late.push(stretch);
        }
        late
    }

    /// What nobody has claimed and nobody will.
    pub(crate) fn finish(&mut self) -> Vec<Stretch> {
        std::mem::take(&mut self.unclaimed).into()
    }

    /// The line that a stretch of speech belongs to.
    fn claimant(&self, stretch: &Stretch) -> Option<usize> {
        let Heard { text, end, .. } = &stretch.heard;
        let words = words(text);
        let sooner = match stretch.speaker {
            Speaker::User => CALLER_SOONER,
            Speaker::Assistant => ASSISTANT_SOONER,
        };
        let possible = self.lines.iter().enumerate().filter(|(_, known)| {
            // Nobody said what was typed.
            known.line.speaker == stretch.speaker
                && !known.line.id.starts_with("typed-")
                && (end - sooner..end + LATER).contains(&known.at)
        });
        let scored = possible.clone().map(|(at, known)| (at, share(&words, &known.line.text)));
        // Of lines that fit equally well the latest.
        let best = scored.max_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        if let Some((at, score)) = best
            && score >= ALIKE
        {
            return Some(at);
        }
        // The two may have understood different words.
        let near = |known: &Known| known.heard.is_empty() && (known.at - end).abs() < NEAR;
        let mut nearest = possible.filter(|(_, known)| near(known));
        let (at, _) = nearest.next().filter(|_| stretch.speaker == Speaker::User)?;
        nearest.next().is_none().then_some(at)
    }
}

impl Known {
    fn corroborated(&self) -> Option<Corroborated> {
        let mut heard = self.heard.clone();
        heard.sort_by(|a, b| a.start.total_cmp(&b.start));
        let (first, last) = (heard.first()?, heard.last()?);
        let whole = Heard {
            text: heard.iter().map(|part| part.text.trim()).collect::<Vec<_>>().join(" "),
            start: first.start,
            end: last.end,
            language: heard.iter().find_map(|part| part.language.clone()),
            redacted: heard.iter().any(|part| part.redacted),
        };
        Some(Corroborated { line: self.line.clone(), heard: whole })
    }
}

/// Words in lower case; `[NAME]` stands for words that were taken out.
fn words(text: &str) -> Vec<String> {
    let is_taken_out = |word: &&str| !word.starts_with('[');
    text.split_whitespace()
        .filter(is_taken_out)
        .map(|word| word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase))
        .map(|letters| letters.collect::<String>())
        .filter(|word| !word.is_empty())
        .collect()
}

/// How many of `words` a text has, as a share.
fn share(heard: &[String], text: &str) -> f64 {
    if heard.is_empty() {
        return 0.0;
    }
    let mut left = words(text);
    let found = heard.iter().filter(|word| match left.iter().position(|other| other == *word) {
        Some(at) => {
            left.swap_remove(at);
            true
        }
        None => false,
    });
    found.count() as f64 / heard.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, speaker: Speaker, text: &str) -> LineUpdated {
        LineUpdated {
            id: id.into(),
            speaker,
            text: text.into(),
            is_final: true,
            interrupted: false,
            steps: Vec::new(),
        }
    }

    fn stretch(speaker: Speaker, start: f64, end: f64, text: &str) -> Stretch {
        let text = text.to_owned();
        Stretch { speaker, heard: Heard { text, start, end, language: None, redacted: false } }
    }

    #[test]
    fn an_utterance_appears_once_whoever_is_first() {
        let mut matching = Matching::default();
        let user = Speaker::User;
        // Nova first.
        assert_eq!(matching.line(&line("1.1", user, "what is my balance"), 4.0), None);
        let both = matching.heard(stretch(user, 1.0, 2.6, "What is my balance?")).expect("a pair");
        assert_eq!(
            (both.line.id.as_str(), both.heard.text.as_str()),
            ("1.1", "What is my balance?")
        );
        // Transcribe first.
        assert_eq!(matching.heard(stretch(user, 10.0, 11.0, "Four oh two one.")), None);
        let both = matching.line(&line("1.3", user, "four zero two one"), 12.5).expect("a pair");
        assert_eq!((both.line.id.as_str(), both.heard.start), ("1.3", 10.0));
        assert!(matching.unclaimed(1e9).is_empty());
    }

    #[test]
    fn a_line_can_have_several_stretches() {
        let mut matching = Matching::default();
        let user = Speaker::User;
        matching.line(&line("1.1", user, "i want to dispute a payment of ten pounds"), 6.0);
        matching.heard(stretch(user, 3.5, 5.0, "a payment of ten pounds"));
        let both = matching.heard(stretch(user, 1.0, 2.5, "I want to dispute")).expect("a pair");
        assert_eq!(both.heard.text, "I want to dispute a payment of ten pounds");
        assert_eq!((both.heard.start, both.heard.end), (1.0, 5.0));
    }

    #[test]
    fn other_words_near_by_are_the_same_utterance() {
        let mut matching = Matching::default();
        matching.line(&line("1.1", Speaker::User, "i'd like a mortgage"), 3.0);
        let both = matching.heard(stretch(Speaker::User, 1.0, 2.0, "eight lakes garage"));
        assert_eq!(both.expect("a pair").line.id, "1.1");
        // The assistant's words are another matter, and so is what was typed.
        matching.line(&line("typed-1.1", Speaker::User, "hello"), 8.0);
        assert_eq!(matching.heard(stretch(Speaker::User, 7.0, 8.0, "hello")), None);
        assert_eq!(matching.heard(stretch(Speaker::Assistant, 7.0, 8.0, "i'd like")), None);
    }

    #[test]
    fn the_assistants_words_are_known_before_they_are_heard() {
        let mut matching = Matching::default();
        let assistant = Speaker::Assistant;
        matching.line(&line("1.2", assistant, "Once upon a time there was a river."), 1.0);
        matching.line(&line("1.3", assistant, "It wanted to see the mountains."), 1.2);
        let both = matching.heard(stretch(assistant, 20.0, 24.0, "it wanted to see the mountains"));
        assert_eq!(both.expect("a pair").line.id, "1.3");
    }

    #[test]
    fn what_nobody_claims_is_told_in_the_end() {
        let mut matching = Matching::default();
        matching.heard(stretch(Speaker::User, 1.0, 2.0, "is anybody there"));
        assert!(matching.unclaimed(10.0).is_empty());
        let late = matching.unclaimed(30.0);
        assert_eq!(late.len(), 1);
        matching.heard(stretch(Speaker::User, 40.0, 41.0, "hello"));
        assert_eq!(matching.finish().len(), 1);
    }

    #[test]
    fn words_that_were_taken_out_count_for_nothing() {
        let mut matching = Matching::default();
        let said = "my name is ann and my number is four one one one";
        matching.line(&line("1.1", Speaker::User, said), 5.0);
        let heard = "my name is [NAME] and my number is [CREDIT_DEBIT_NUMBER]";
        let both = matching.heard(stretch(Speaker::User, 1.0, 4.0, heard));
        assert_eq!(both.expect("a pair").line.id, "1.1");
    }
}
