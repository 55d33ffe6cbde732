//! What callers fill in: digits, numbers, amounts of money, dates, yes and no.
//!
//! A slot can do two things: it has a [`Phrase`], so that a recogniser expects what people say, and
//! it reads a value out of words, spoken ("double four", "oh") or typed ("44"). It does not know
//! where in a sentence it stands: whoever has the sentence asks what can begin here.

mod dates;
mod digits;
mod numbers;

use crate::language::Phrase;

/// Digits of a British sort code.
const SORT_CODE: usize = 6;
/// Digits of a British account number.
const ACCOUNT: usize = 8;

/// A value that begins at the first of some words, and how many of them it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Words that it takes.
    pub taken: usize,
    /// As a program wants it: see [`Slot`].
    pub value: String,
}

/// A kind of slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// Digits one by one: `4021`.
    Digits {
        /// How many there must be, if that is fixed.
        length: Option<usize>,
    },
    /// Six digits, often with the word "dash": `204553`.
    SortCode,
    /// Eight digits.
    AccountNumber,
    /// A whole number below a million: `15`.
    Number,
    /// Money: `89.90`, `200`.
    Amount,
    /// A day: `1985-03-03`, `--03-03` without a year, `today`.
    Date,
    /// `yes` or `no`.
    YesNo,
}

impl Slot {
    /// The kind of that name in files of phrases, which know no length; `None` for any other.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "digits" => Self::Digits { length: None },
            "sort_code" => Self::SortCode,
            "account_number" => Self::AccountNumber,
            "number" => Self::Number,
            "amount" => Self::Amount,
            "date" => Self::Date,
            "yes_no" => Self::YesNo,
            _ => return None,
        })
    }

    /// What people say.
    pub fn phrase(self) -> Phrase {
        match self {
            Self::Digits { length } => digits::phrase(length),
            Self::SortCode => digits::groups(SORT_CODE / 2),
            Self::AccountNumber => digits::phrase(Some(ACCOUNT)),
            Self::Number => numbers::phrase(),
            Self::Amount => numbers::amount_phrase(),
            Self::Date => dates::phrase(),
            Self::YesNo => Phrase::Choice(vec![(1.0, yes()), (1.0, no())]),
        }
    }

    /// The values that can begin with the first of these words, which are in lower case and
    /// without punctuation; the longest first.
    pub fn read(self, words: &[&str]) -> Vec<Value> {
        match self {
            Self::Digits { length } => digits::read(words, length),
            Self::SortCode => {
                let dash = |word: &&str| matches!(*word, "dash" | "hyphen");
                digits::read_past(words, Some(SORT_CODE), dash)
            }
            Self::AccountNumber => digits::read(words, Some(ACCOUNT)),
            Self::Number => numbers::read(words).into_iter().collect(),
            Self::Amount => numbers::read_amount(words).into_iter().collect(),
            Self::Date => dates::read(words).into_iter().collect(),
            Self::YesNo => read_yes_no(words).into_iter().collect(),
        }
    }
}

/// Ways to agree, and ways not to.
const YES: [&str; 9] =
    ["yes", "yeah", "yep", "sure", "okay", "correct", "right", "absolutely", "exactly"];
const NO: [&str; 4] = ["no", "nope", "never", "wrong"];

fn yes() -> Phrase {
    let more = Phrase::one_of(&["please", "that is right", "that is correct", "it is", "i am"]);
    Phrase::Sequence(vec![Phrase::one_of(&YES), more.or_nothing()])
}

fn no() -> Phrase {
    let more = Phrase::one_of(&["thank you", "thanks", "that is wrong", "it is not", "not now"]);
    Phrase::Sequence(vec![Phrase::one_of(&NO), more.or_nothing()])
}

fn read_yes_no(words: &[&str]) -> Option<Value> {
    let (first, rest) = words.split_first()?;
    // "That is right", "that's not right".
    let value = match *first {
        word if NO.contains(&word) || word == "not" => "no",
        // "Ok" is how it is typed.
        word if YES.contains(&word) || word == "ok" => "yes",
        "that" | "thats" | "it" | "its" => {
            let skipped = rest.iter().take_while(|word| matches!(**word, "is" | "was")).count();
            let found = read_yes_no(rest.get(skipped..)?)?;
            return Some(Value { taken: 1 + skipped + found.taken, ..found });
        }
        _ => return None,
    };
    Some(Value { taken: 1, value: value.to_owned() })
}

#[cfg(test)]
mod tests;
