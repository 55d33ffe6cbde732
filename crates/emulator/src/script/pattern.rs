//! Patterns over what the caller typed or said: words, gaps and slots, without regular expressions.
//!
//! Case and punctuation do not count. A pattern fits anywhere in the text unless it is tied to an
//! end with `^` or `$`. Compiled by `compile`, tried by the script.

use std::collections::HashSet;

use voice_ears::{Phrase, Slot};

/// Words of a text that are looked at; typed text can be long.
const MAX_WORDS: usize = 200;

/// Elements of a pattern.
const MAX_ELEMENTS: usize = 24;

/// Words that end a slot of words instead of belonging to it.
const STOP_WORDS: [&str; 4] = ["please", "thanks", "thank", "now"];

/// What a slot takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SlotKind {
    /// Digits, a number, an amount, a date: what `voice_ears` reads.
    Spoken(Slot),
    /// Some words.
    Words {
        /// At most this many.
        max: usize,
    },
    /// One of these, as they are written in the scenario.
    Choice {
        /// The values with their words, those with the most words first.
        values: Vec<(String, Vec<String>)>,
    },
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    elements: Vec<Element>,
    from_start: bool,
    to_end: bool,
}

#[derive(Debug, Clone)]
enum Element {
    /// One of these words.
    Word(Vec<String>),
    /// One of these words, or nothing.
    Optional(Vec<String>),
    /// Any words, also none.
    Gap,
    /// The value of a slot.
    Slot(String, SlotKind),
}

/// Slot values taken from a text, in the order of the pattern.
pub(super) type Captures = Vec<(String, String)>;

/// The words of a text: lower case, apostrophes dropped, everything else that is neither letter
/// nor figure taken as a blank.
pub(super) fn words(text: &str) -> Vec<String> {
    let plain: String = text.chars().filter(|c| !matches!(c, '\'' | '’')).collect();
    plain
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .map(str::to_lowercase)
        .collect()
}

impl Pattern {
    /// Compiles `source`; `slot` knows the kinds of the slots.
    pub(super) fn compile(
        source: &str,
        slot: impl Fn(&str) -> Option<SlotKind>,
    ) -> Result<Self, String> {
        let body = source.trim();
        let (from_start, body) = strip(body.strip_prefix('^'), body);
        let (to_end, body) = strip(body.strip_suffix('$'), body);
        let mut elements = Vec::new();
        for element in body.split_whitespace() {
            elements.push(Self::element(element, &slot)?);
        }
        if elements.iter().all(|element| matches!(element, Element::Gap | Element::Optional(_))) {
            return Err("the pattern fits everything; use \"any\": true for that".to_owned());
        }
        if elements.len() > MAX_ELEMENTS {
            return Err(format!("the pattern has more than {MAX_ELEMENTS} elements"));
        }
        Ok(Self { elements, from_start, to_end })
    }

    fn element(source: &str, slot: impl Fn(&str) -> Option<SlotKind>) -> Result<Element, String> {
        if source == "*" {
            return Ok(Element::Gap);
        }
        if let Some(name) = source.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            let kind = slot(name).ok_or_else(|| format!("there is no slot `{name}`"))?;
            return Ok(Element::Slot(name.to_owned(), kind));
        }
        let (optional, alternatives) = strip(source.strip_suffix('?'), source);
        let mut choice = Vec::new();
        for alternative in alternatives.split('|') {
            let mut found = words(alternative);
            match (found.pop(), found.is_empty()) {
                (Some(word), true) if !alternative.contains(['{', '}', '*', '^', '$']) => {
                    choice.push(word);
                }
                _ => {
                    return Err(format!(
                        "`{source}` is no element of a pattern: expected a word, words with `|` \
                         between them, a word with `?`, `*` or `{{slot}}`"
                    ));
                }
            }
        }
        Ok(if optional { Element::Optional(choice) } else { Element::Word(choice) })
    }

    /// The slot values if the pattern fits somewhere in these words.
    pub(super) fn find(&self, words: &[String]) -> Option<Captures> {
        let last = if self.from_start { 0 } else { words.len() };
        let mut search = Search { pattern: self, words, failed: HashSet::new() };
        (0..=last).find_map(|start| {
            let mut captures = Vec::new();
            search.fits(0, start, &mut captures).then_some(captures)
        })
    }
}

fn strip<'a>(stripped: Option<&'a str>, whole: &'a str) -> (bool, &'a str) {
    (stripped.is_some(), stripped.unwrap_or(whole))
}

/// One attempt; remembers dead ends, so that its work is bounded by elements times words.
struct Search<'a> {
    pattern: &'a Pattern,
    words: &'a [String],
    failed: HashSet<(usize, usize)>,
}

impl Search<'_> {
    fn fits(&mut self, element: usize, word: usize, captures: &mut Captures) -> bool {
        let pattern = self.pattern;
        let Some(wanted) = pattern.elements.get(element) else {
            return !pattern.to_end || word == self.words.len();
        };
        if self.failed.contains(&(element, word)) {
            return false;
        }
        let rest = self.words.get(word..).unwrap_or_default();
        let here = |choice: &[String]| rest.first().is_some_and(|first| choice.contains(first));
        let fits = match wanted {
            Element::Word(choice) => here(choice) && self.fits(element + 1, word + 1, captures),
            Element::Optional(choice) => {
                here(choice) && self.fits(element + 1, word + 1, captures)
                    || self.fits(element + 1, word, captures)
            }
            Element::Gap => {
                (0..=rest.len()).any(|gap| self.fits(element + 1, word + gap, captures))
            }
            Element::Slot(name, kind) => kind.values(rest).into_iter().any(|(taken, value)| {
                captures.push((name.clone(), value));
                let fits = self.fits(element + 1, word + taken, captures);
                if !fits {
                    captures.pop();
                }
                fits
            }),
        };
        if !fits {
            self.failed.insert((element, word));
        }
        fits
    }
}

impl SlotKind {
    /// The values that can begin here, the longest first, with the number of words they take.
    fn values(&self, words: &[String]) -> Vec<(usize, String)> {
        match self {
            Self::Spoken(slot) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let found = slot.read(&words).into_iter();
                found.map(|found| (found.taken, found.value)).collect()
            }
            Self::Words { max } => {
                let own = words.iter().take_while(|word| !STOP_WORDS.contains(&word.as_str()));
                let longest = own.take(*max).count();
                (1..=longest).rev().map(|taken| (taken, words[..taken].join(" "))).collect()
            }
            Self::Choice { values } => values
                .iter()
                .filter(|(_, own)| words.starts_with(own))
                .map(|(value, own)| (own.len(), value.clone()))
                .collect(),
        }
    }

    /// Whether telephone keys can fill it.
    pub(super) fn has_keys(&self) -> bool {
        matches!(self, Self::Spoken(slot) if !matches!(slot, Slot::Date | Slot::YesNo))
    }

    /// What callers say for it; `None` for words that nobody knows beforehand.
    pub(super) fn phrase(&self) -> Option<Phrase> {
        match self {
            Self::Spoken(slot) => Some(slot.phrase()),
            Self::Words { .. } => None,
            Self::Choice { values } => {
                let ways = values.iter().map(|(_, own)| (1.0, Phrase::plain(&own.join(" "))));
                Some(Phrase::Choice(ways.collect()))
            }
        }
    }

    /// Something that it can take, as a phrase.
    pub(super) fn example(&self) -> Option<Phrase> {
        let digits = |length| Phrase::plain(&vec!["one"; length].join(" "));
        Some(match self {
            Self::Spoken(Slot::Digits { length }) => digits(length.unwrap_or(4)),
            Self::Spoken(Slot::SortCode) => digits(6),
            Self::Spoken(Slot::AccountNumber) => digits(8),
            Self::Spoken(Slot::Number | Slot::Amount) => Phrase::plain("ten"),
            Self::Spoken(Slot::Date) => Phrase::plain("march third"),
            Self::Spoken(Slot::YesNo) | Self::Words { .. } | Self::Choice { .. } => {
                return self.phrase();
            }
        })
    }

    /// The value of a slot filled by telephone keys.
    pub(super) fn read_keys(&self, keys: &str) -> Option<String> {
        let all_digits = !keys.is_empty() && keys.bytes().all(|key| key.is_ascii_digit());
        match self {
            Self::Spoken(Slot::Digits { length }) => {
                let fits = length.is_none_or(|length| keys.len() == length);
                (all_digits && fits).then(|| keys.to_owned())
            }
            Self::Spoken(slot) => {
                // Without names for their words keys can say figures only.
                let read = slot.read(&[keys]).into_iter().next();
                read.filter(|_| all_digits && self.has_keys()).map(|read| read.value)
            }
            Self::Words { .. } | Self::Choice { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slot(name: &str) -> Option<SlotKind> {
        Some(match name {
            "account" => SlotKind::Spoken(Slot::Digits { length: Some(4) }),
            "code" => SlotKind::Spoken(Slot::Digits { length: None }),
            "limit" => SlotKind::Spoken(Slot::Number),
            "city" => SlotKind::Words { max: 2 },
            "card" => SlotKind::Choice {
                values: ["Gold card", "Gold"].map(|v| (v.to_owned(), words(v))).to_vec(),
            },
            _ => return None,
        })
    }

    fn find(pattern: &str, text: &str) -> Option<String> {
        let captures = Pattern::compile(pattern, slot).unwrap().find(&words(text))?;
        Some(captures.into_iter().map(|(name, value)| format!("{name}={value};")).collect())
    }

    #[test]
    fn words_fit_anywhere_without_regard_to_case_and_punctuation() {
        assert_eq!(find("balance", "What's my BALANCE?").as_deref(), Some(""));
        assert_eq!(find("whats my", "What's my balance?").as_deref(), Some(""));
        assert_eq!(find("open|opening hours|times", "the opening times"), Some(String::new()));
        assert_eq!(find("how * money", "How much of my money is left"), Some(String::new()));
        assert_eq!(find("the? bank", "bank"), Some(String::new()));
        assert_eq!(find("balance", "imbalances"), None);
    }

    #[test]
    fn a_pattern_can_be_tied_to_the_ends() {
        assert!(find("^no$", "No!").is_some());
        assert!(find("^no$", "no idea").is_none());
        assert!(find("^no", "oh no").is_none());
        assert!(find("bye$", "well, bye").is_some());
    }

    #[test]
    fn slots_take_their_kind_only() {
        let takes = |pattern, text| find(pattern, text).unwrap_or_default();
        assert_eq!(takes("{account}", "it is four 0 2-one, thanks"), "account=4021;");
        assert_eq!(takes("{account}", "40213"), "");
        assert_eq!(takes("{code} {limit}", "1 2 3 twelve"), "code=123;limit=12;");
        assert_eq!(takes("in {city}", "a branch in New York please"), "city=new york;");
        assert_eq!(takes("in {city} today", "in Rome today"), "city=rome;");
        assert_eq!(takes("my {card}", "My gold card is lost"), "card=Gold card;");
    }

    #[test]
    fn keys_fill_slots_of_figures() {
        assert_eq!(slot("account").unwrap().read_keys("4021").as_deref(), Some("4021"));
        assert_eq!(slot("account").unwrap().read_keys("402"), None);
        assert_eq!(slot("code").unwrap().read_keys("*1"), None);
        assert_eq!(slot("city").unwrap().read_keys("1"), None);
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_a_reason() {
        for (pattern, reason) in [
            ("", "everything"),
            ("* maybe?", "everything"),
            ("{nobody}", "no slot `nobody`"),
            ("a{city}", "no element"),
            ("don't|(stop)go", "no element"),
        ] {
            let error = Pattern::compile(pattern, slot).unwrap_err();
            assert!(error.contains(reason), "{pattern}: {error}");
        }
    }

    #[test]
    fn gaps_and_slots_in_a_row_stay_fast() {
        let pattern = format!("{}x", "* {city} ".repeat(10));
        assert_eq!(find(&pattern, &"word ".repeat(200)), None);
    }

    proptest! {
        #[test]
        fn no_pattern_and_no_text_makes_it_panic(
            pattern in "[a-z{}*?|^$ ]{0,20}|(\\* |\\{city\\} |\\{code\\} |a |b\\? ){0,8}",
            text in "[ab1 ]{0,40}|.{0,40}",
        ) {
            if let Ok(pattern) = Pattern::compile(&pattern, slot) {
                let _ = pattern.find(&words(&text));
            }
        }
    }
}
