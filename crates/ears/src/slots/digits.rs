//! Digits one by one, as people read out numbers: "four oh two one", "double four".

use super::Value;
use crate::language::Phrase;

const NAMES: [(&str, char); 11] = [
    ("zero", '0'),
    ("oh", '0'),
    ("one", '1'),
    ("two", '2'),
    ("three", '3'),
    ("four", '4'),
    ("five", '5'),
    ("six", '6'),
    ("seven", '7'),
    ("eight", '8'),
    ("nine", '9'),
];
/// Digits of a number whose length nobody knows.
const MOST: usize = 16;
/// How often a digit is said alone; otherwise it is doubled or tripled.
const ALONE: f64 = 0.9;

/// One digit, or two or three that are the same.
fn digit() -> Phrase {
    let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
    let one = Phrase::one_of(&names);
    let several = Phrase::Sequence(vec![Phrase::one_of(&["double", "triple"]), one.clone()]);
    Phrase::Choice(vec![(ALONE, one), (1.0 - ALONE, several)])
}

/// So many digits, or some. Doubles make it shorter, so the last one may be missing.
pub(super) fn phrase(length: Option<usize>) -> Phrase {
    let sure = length.map_or(1, |length| length.saturating_sub(1).max(1));
    let most = length.unwrap_or(MOST).clamp(1, MOST);
    let mut rest: Option<Phrase> = None;
    for place in (1..=most).rev() {
        let digit = digit();
        let tail = match rest {
            Some(rest) => Phrase::Sequence(vec![digit, rest]),
            None => digit,
        };
        // Of eight digits the last is mostly there; of an unknown number each may be the last.
        let chance = if length.is_some() { 0.9 } else { 0.8 };
        rest = Some(match place > sure {
            true => Phrase::Optional(chance, Box::new(tail)),
            false => tail,
        });
    }
    rest.unwrap_or_else(digit)
}

/// Pairs of digits, perhaps with "dash" between them.
pub(super) fn groups(pairs: usize) -> Phrase {
    let dash = || Phrase::Optional(0.2, Box::new(Phrase::plain("dash")));
    let parts = (0..pairs).flat_map(|pair| {
        let between = (pair > 0).then(dash);
        between.into_iter().chain([digit(), Phrase::Optional(0.9, Box::new(digit()))])
    });
    Phrase::Sequence(parts.collect())
}

pub(super) fn read(words: &[&str], length: Option<usize>) -> Vec<Value> {
    read_past(words, length, |_| false)
}

/// Reads digits; words for which `skip` holds may stand between them.
pub(super) fn read_past(
    words: &[&str],
    length: Option<usize>,
    skip: impl Fn(&&str) -> bool,
) -> Vec<Value> {
    let (mut values, mut digits, mut at) = (Vec::new(), String::new(), 0);
    while let Some(word) = words.get(at) {
        if !digits.is_empty() && skip(word) {
            at += 1;
            continue;
        }
        let Some(taken) = next(&words[at..], &mut digits) else { break };
        at += taken;
        if length.is_none_or(|length| digits.len() == length) {
            values.push(Value { taken: at, value: digits.clone() });
        }
    }
    values.reverse();
    values
}

/// Reads one digit, or several at once; gives how many words that took.
fn next(words: &[&str], digits: &mut String) -> Option<usize> {
    let first = words.first()?;
    if first.bytes().all(|byte| byte.is_ascii_digit()) {
        digits.push_str(first);
        return Some(1);
    }
    let times = match *first {
        "double" => 2,
        "triple" | "treble" => 3,
        _ => {
            digits.push(name(first)?);
            return Some(1);
        }
    };
    let digit = name(words.get(1)?)?;
    digits.extend(std::iter::repeat_n(digit, times));
    Some(2)
}

/// The figure of a digit's name, or of the figure itself.
fn name(word: &str) -> Option<char> {
    if let [digit @ b'0'..=b'9'] = word.as_bytes() {
        return Some(char::from(*digit));
    }
    let word = if word == "o" { "oh" } else { word };
    NAMES.iter().find(|(name, _)| *name == word).map(|(_, digit)| *digit)
}
