//! Digits as they are written and as they are said: runs of pieces that may be one number.

use std::ops::Range;

/// Pieces that follow one another with nothing but blanks, hyphens and the like between them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) pieces: Vec<Piece>,
}

/// One word or group of digits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it stands in the text.
    pub(super) range: Range<usize>,
    /// Digits and upper-case letters that it stands for.
    pub(super) characters: String,
}

/// What a word says.
enum Word {
    /// These characters.
    Says(String),
    /// The next word so many times.
    Times(usize),
    /// Something said between digits that means nothing: "then", "and".
    Filler,
    Other,
}

/// All runs of a text that have a digit in them.
pub(super) fn runs(text: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut run = Run::default();
    let mut times: Option<(usize, usize)> = None;
    let mut end = 0;
    for word in words(text) {
        if !joins(&text[end..word.start]) {
            close(&mut run, &mut runs);
            times = None;
        }
        end = word.end;
        match understand(&text[word.clone()]) {
            Word::Says(characters) => {
                let (start, count) = times.take().unwrap_or((word.start, 1));
                let characters = characters.repeat(count);
                run.pieces.push(Piece { range: start..word.end, characters });
            }
            Word::Times(count) => times = Some((word.start, count)),
            Word::Filler if !run.pieces.is_empty() => {}
            Word::Filler | Word::Other => {
                close(&mut run, &mut runs);
                times = None;
            }
        }
    }
    close(&mut run, &mut runs);
    runs
}

fn close(run: &mut Run, runs: &mut Vec<Run>) {
    let run = std::mem::take(run);
    let has_digit = |piece: &Piece| piece.characters.bytes().any(|byte| byte.is_ascii_digit());
    if run.pieces.iter().any(has_digit) {
        runs.push(run);
    }
}

/// Whether what stands between two words keeps them in one number. A comma between digits is a
/// pause of the speaker's; a full stop ends a sentence unless nothing follows it but a digit.
fn joins(between: &str) -> bool {
    between.len() <= 5 && between.chars().all(|c| c.is_whitespace() || "-–,./()".contains(c))
}

/// Words: letters alone, or digits alone, or digits and letters mixed (as in an IBAN).
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(char::is_alphanumeric)?;
        let rest = &text[start..];
        let length = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        at = start + length;
        Some(start..at)
    })
}

fn understand(word: &str) -> Word {
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Word::Says(word.to_owned());
    }
    let is_group = word.len() <= 34
        && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && (word.bytes().any(|byte| byte.is_ascii_digit()) || word.len() <= 4);
    if is_group {
        return Word::Says(word.to_owned());
    }
    let lower = word.to_lowercase();
    let digit = match lower.as_str() {
        "zero" | "oh" | "o" | "nought" | "null" | "zéro" | "cero" => "0",
        "one" | "eins" | "ein" | "un" | "uno" => "1",
        "two" | "zwei" | "zwo" | "deux" | "dos" => "2",
        "three" | "drei" | "trois" | "tres" => "3",
        "four" | "vier" | "quatre" | "cuatro" => "4",
        "five" | "fünf" | "cinq" | "cinco" => "5",
        "six" | "sechs" | "seis" => "6",
        "seven" | "sieben" | "sept" | "siete" => "7",
        "eight" | "acht" | "huit" | "ocho" => "8",
        "nine" | "neun" | "neuf" | "nueve" => "9",
        "double" | "doppel" => return Word::Times(2),
        "triple" | "treble" | "dreifach" => return Word::Times(3),
        "and" | "then" | "dash" | "hyphen" | "space" | "und" | "dann" | "uh" | "um" | "äh" => {
            return Word::Filler;
        }
        // A letter that is spelled.
        letter if letter.len() == 1 && letter.as_bytes()[0].is_ascii_alphabetic() => {
            return Word::Says(letter.to_uppercase());
        }
        _ => return Word::Other,
    };
    Word::Says(digit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        let join = |run: Run| run.pieces.into_iter().map(|piece| piece.characters).collect();
        runs(text).into_iter().map(join).collect()
    }

    #[test]
    fn written_and_spoken_digits_are_alike() {
        assert_eq!(said("call 4111 1111-1111.1111 now"), ["4111111111111111"]);
        assert_eq!(said("It is four one one, one double two oh."), ["4111220"]);
        assert_eq!(said("vier, fünf und sechs"), ["456"]);
        assert_eq!(said("G B two nine N W B K six"), ["GB29NWBK6"]);
    }

    #[test]
    fn words_between_numbers_keep_them_apart() {
        assert_eq!(said("one apple, 22 pears"), ["1", "22"]);
        assert_eq!(said("nothing here"), [""; 0]);
        assert_eq!(said("double trouble, double 0 7"), ["007"]);
    }
}
