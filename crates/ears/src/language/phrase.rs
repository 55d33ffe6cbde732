//! A phrase: the ways in which one thing can be said.
//!
//! ```text
//!   what is my balance                    words
//!   tell|give me the? balance             one of several words; a word that may be left out
//!   (i want|i would like) to pay          one of several wordings
//!   my number is {account}                a slot, whose own phrase is put in
//! ```

use std::fmt;

/// Nesting beyond this is a mistake.
const MAX_DEPTH: usize = 16;
/// Words of a phrase, all its ways together.
const MAX_WORDS: usize = 4_000;

/// Why a text is no phrase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at {at}: {message}")]
pub struct PhraseError {
    /// Where in the text, in characters from 1.
    pub at: usize,
    /// What is wrong, and what is expected.
    pub message: String,
}

/// The ways in which one thing can be said.
#[derive(Debug, Clone, PartialEq)]
pub enum Phrase {
    /// A word, in lower case.
    Word(String),
    /// One after the other.
    Sequence(Vec<Phrase>),
    /// One of them, each as often as its number says.
    Choice(Vec<(f64, Phrase)>),
    /// Said or left out; the number is how often it is said, from 0 to 1.
    Optional(f64, Box<Phrase>),
}

impl Phrase {
    /// Reads a phrase; `slot` has the phrases of the slots.
    pub fn parse(text: &str, slot: impl Fn(&str) -> Option<Self>) -> Result<Self, PhraseError> {
        let text: Vec<char> = text.chars().collect();
        let mut parser = Parser { text: &text, at: 0, slot: &slot, depth: 0 };
        let phrase = parser.sequence()?;
        match parser.peek() {
            None => {}
            Some(other) => return Err(parser.wrong(format!("`{other}` closes nothing"))),
        }
        if phrase.words() > MAX_WORDS {
            return Err(parser.wrong(format!("more than {MAX_WORDS} words in all its ways")));
        }
        Ok(phrase)
    }

    /// Plain words, one after the other.
    pub fn plain(text: &str) -> Self {
        Self::Sequence(text.split_whitespace().map(|word| Self::Word(word.to_owned())).collect())
    }

    /// One of these words.
    pub fn one_of(words: &[&str]) -> Self {
        Self::Choice(words.iter().map(|word| (1.0, Self::plain(word))).collect())
    }

    /// This phrase, or nothing, with equal chances.
    pub fn or_nothing(self) -> Self {
        Self::Optional(0.5, Box::new(self))
    }

    /// In how many ways it can be said, roughly: large numbers are cut.
    pub fn ways(&self) -> f64 {
        let ways = match self {
            Self::Word(_) => 1.0,
            Self::Sequence(parts) => parts.iter().map(Self::ways).product(),
            Self::Choice(parts) => parts.iter().map(|(_, part)| part.ways()).sum(),
            Self::Optional(_, part) => 1.0 + part.ways(),
        };
        f64::min(ways, 1e9)
    }

    /// One way to say it: `pick` is asked for a number below its argument, again and again.
    pub fn sample(&self, pick: &mut dyn FnMut(usize) -> usize, said: &mut Vec<String>) {
        match self {
            Self::Word(word) => said.push(word.clone()),
            Self::Sequence(parts) => parts.iter().for_each(|part| part.sample(pick, said)),
            Self::Choice(parts) if parts.is_empty() => {}
            Self::Choice(parts) => parts[pick(parts.len()) % parts.len()].1.sample(pick, said),
            Self::Optional(_, part) if pick(2) == 0 => part.sample(pick, said),
            Self::Optional(..) => {}
        }
    }

    fn words(&self) -> usize {
        match self {
            Self::Word(_) => 1,
            Self::Sequence(parts) => parts.iter().map(Self::words).sum(),
            Self::Choice(parts) => parts.iter().map(|(_, part)| part.words()).sum(),
            Self::Optional(_, part) => part.words(),
        }
    }
}

impl fmt::Display for Phrase {
    /// As it could be written, without weights.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |f: &mut fmt::Formatter<'_>, parts: &mut dyn Iterator<Item = &Self>, by: &str| {
                for (index, part) in parts.enumerate() {
                    if index > 0 {
                        f.write_str(by)?;
                    }
                    part.fmt(f)?;
                }
                Ok(())
            };
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Sequence(parts) => list(f, &mut parts.iter(), " "),
            Self::Choice(parts) => {
                f.write_str("(")?;
                list(f, &mut parts.iter().map(|(_, part)| part), "|")?;
                f.write_str(")")
            }
            Self::Optional(_, part) => write!(f, "({part})?"),
        }
    }
}

struct Parser<'a> {
    text: &'a [char],
    at: usize,
    slot: &'a dyn Fn(&str) -> Option<Phrase>,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn wrong(&self, message: impl Into<String>) -> PhraseError {
        PhraseError { at: self.at + 1, message: message.into() }
    }

    /// The inside of brackets: sequences with `|` between them.
    fn choice(&mut self) -> Result<Phrase, PhraseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong("too many brackets inside each other"));
        }
        let mut parts = vec![(1.0, self.sequence()?)];
        while self.peek() == Some('|') {
            self.at += 1;
            parts.push((1.0, self.sequence()?));
        }
        self.depth -= 1;
        Ok(either(parts))
    }

    fn sequence(&mut self) -> Result<Phrase, PhraseError> {
        let mut parts = Vec::new();
        loop {
            match self.peek() {
                Some(' ') => self.at += 1,
                None | Some('|' | ')') if parts.is_empty() => {
                    return Err(self.wrong("expected a word, `(…)` or `{slot}`"));
                }
                None | Some('|' | ')') => return Ok(Phrase::Sequence(parts)),
                Some(_) => {
                    let part = self.words()?;
                    parts.push(part);
                }
            }
        }
    }

    /// An atom, or outside of brackets several with `|` between them; perhaps `?`.
    fn words(&mut self) -> Result<Phrase, PhraseError> {
        let mut parts = vec![(1.0, self.atom()?)];
        while self.depth == 0 && self.peek() == Some('|') {
            self.at += 1;
            parts.push((1.0, self.atom()?));
        }
        let part = either(parts);
        if self.peek() == Some('?') {
            self.at += 1;
            return Ok(part.or_nothing());
        }
        Ok(part)
    }

    fn atom(&mut self) -> Result<Phrase, PhraseError> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inside = self.choice()?;
                if self.peek() != Some(')') {
                    return Err(self.wrong("expected `)`"));
                }
                self.at += 1;
                Ok(inside)
            }
            Some('{') => {
                let rest = self.text.get(self.at + 1..).unwrap_or_default();
                let Some(length) = rest.iter().position(|c| *c == '}') else {
                    return Err(self.wrong("expected `}` somewhere after this `{`"));
                };
                let name: String = rest[..length].iter().collect();
                let Some(phrase) = (self.slot)(&name) else {
                    return Err(self.wrong(format!("there is no slot `{name}`")));
                };
                self.at += length + 2;
                Ok(phrase)
            }
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Phrase, PhraseError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let part_of_word = |c: &&char| c.is_alphabetic() || matches!(c, '\'' | '’' | '-' | '.');
        let word: String = rest.iter().take_while(part_of_word).collect();
        let length = word.chars().count();
        if !word.contains(char::is_alphabetic) {
            let found = self.peek().map_or("the end".to_owned(), |c| format!("`{c}`"));
            return Err(self.wrong(format!(
                "expected a word as it is spoken, `(…)` or `{{slot}}`, and found {found}"
            )));
        }
        self.at += length;
        Ok(Phrase::Word(word.to_lowercase().replace('’', "'")))
    }
}

/// A choice, unless there is only one.
fn either(mut parts: Vec<(f64, Phrase)>) -> Phrase {
    match (parts.len(), parts.pop()) {
        (1, Some((_, only))) => only,
        (_, last) => Phrase::Choice(parts.into_iter().chain(last).collect()),
    }
}
