//! Numbers that were said in pieces: "four one one one" – "yes?" – "one one one one" …
//!
//! Each line was cleaned by itself when it was written. Here the caller's lines are read as one
//! text, and what makes a number only together goes from all of them. Pure.

use std::borrow::Cow;

use super::{Redactor, is_digits as is_digit_run, marks};

/// Lines of the caller's that may make one number together.
const LINES: usize = 12;

/// What the first of some lines is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It stands by itself.
    Alone,
    /// Of a number that reaches over so many lines: all of them are to be replaced by the mark.
    Over(usize, &'static str),
    /// Of digits that go on to the last line: the next one decides.
    Open,
}

/// What the first of these lines of the caller's is part of.
pub fn reach<'a>(lines: impl IntoIterator<Item = &'a str>, redactor: &Redactor) -> Reach {
    if redactor.off {
        return Reach::Alone;
    }
    let mut together = String::new();
    let mut count = 0;
    for text in lines.into_iter().take(LINES) {
        let text = text.trim_end_matches(['.', '!', '?', ',']);
        if !is_digits(text, count == 0) {
            return Reach::Alone;
        }
        together.push_str(text);
        together.push(' ');
        count += 1;
        if count > 1
            && let Cow::Owned(clean) = redactor.text(&together)
            && let Some(mark) = [marks::CARD, marks::IBAN].into_iter().find(|m| clean.contains(m))
        {
            return Reach::Over(count, mark);
        }
    }
    if count < LINES { Reach::Open } else { Reach::Alone }
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
    is_digit_run(word.trim_matches(|c: char| !c.is_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Reach {
        reach(lines.iter().copied(), &Redactor::default())
    }

    #[test]
    fn digits_wait_for_the_line_that_decides() {
        assert_eq!(of(&["hello"]), Reach::Alone);
        assert_eq!(of(&["my card is four one one one"]), Reach::Open);
        assert_eq!(of(&["four one one one", "what was that?"]), Reach::Alone);
        let card = ["it is 4111.", "1111", "1111"];
        assert_eq!(of(&card), Reach::Open);
        assert_eq!(of(&["it is 4111.", "1111", "1111", "1111", "7"]), Reach::Over(4, marks::CARD));
        assert_eq!(reach(card, &Redactor::off()), Reach::Alone);
        assert_eq!(of(&["3"; LINES]), Reach::Alone, "it does not wait for ever");
    }
}
