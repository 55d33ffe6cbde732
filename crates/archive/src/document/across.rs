//! Numbers that were said in pieces: "four one one one" – "yes?" – "one one one one" …
//!
//! Each line was cleaned by itself when it was written. Here the caller's lines are read as one
//! text, and what makes a number only together goes from all of them. Pure.

use std::borrow::Cow;

use super::Said;
use crate::redact::{Redactor, marks};

/// Lines of the caller's that may make one number together.
const LINES: usize = 12;

/// Cleans the caller's lines of numbers that reach over several of them.
pub(super) fn redact(transcript: &mut [Said], redactor: &Redactor) {
    let spoken: Vec<usize> = transcript
        .iter()
        .enumerate()
        .filter(|(_, said)| said.role == "user")
        .map(|(index, _)| index)
        .collect();
    let mut first = 0;
    while first < spoken.len() {
        match reach(transcript, &spoken[first..], redactor) {
            Some((count, mark)) => {
                for index in &spoken[first..first + count] {
                    hide(&mut transcript[*index], mark);
                }
                first += count;
            }
            None => first += 1,
        }
    }
}

/// How many lines from the first on make one number that none of them is by itself, and which.
fn reach(
    transcript: &[Said],
    lines: &[usize],
    redactor: &Redactor,
) -> Option<(usize, &'static str)> {
    let mut together = String::new();
    for (count, index) in lines.iter().take(LINES).enumerate() {
        let text = transcript[*index].text.trim_end_matches(['.', '!', '?', ',']);
        if !is_digits(text, count == 0) {
            return None;
        }
        together.push_str(text);
        together.push(' ');
        if count > 0
            && let Cow::Owned(clean) = redactor.text(&together)
            && let Some(mark) = [marks::CARD, marks::IBAN].into_iter().find(|m| clean.contains(m))
        {
            return Some((count + 1, mark));
        }
    }
    None
}

/// Whether a line ends with digits, and unless it is the first also begins with them.
fn is_digits(text: &str, is_first: bool) -> bool {
    let is_one = |word: Option<&str>| word.is_some_and(is_digit_word);
    let mut words = text.split_whitespace();
    let first = words.next();
    let last = words.next_back().or(first);
    is_one(last) && (is_first || is_one(first))
}

fn is_digit_word(word: &str) -> bool {
    crate::redact::is_digits(word.trim_matches(|c: char| !c.is_alphanumeric()))
}

fn hide(said: &mut Said, mark: &str) {
    said.text = mark.to_owned();
    if let Some(heard) = &mut said.transcription {
        heard.text = mark.to_owned();
    }
}
