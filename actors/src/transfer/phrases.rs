//! What callers and the assistant say when a human is wanted: lists of phrases by language.
//!
//! The lists of all languages are tried on every line: callers change their language in
//! mid-call, and so do the voices of Nova Sonic. A phrase is a row of words that may stand
//! anywhere in the line; `a|b` is one of these words, `*` up to four words, `^` and `$` the start
//! and the end of the line. Case and punctuation do not count.

use std::sync::LazyLock;

use serde_json::Value;

/// Words that a `*` may stand for.
const GAP: usize = 4;

/// The phrases of all languages.
static PHRASES: LazyLock<Phrases> = LazyLock::new(|| Phrases::parse(include_str!("phrases.json")));

/// What a line may be heard for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// The caller wants a human.
    Wish,
    /// The caller is angry.
    Angry,
    /// The assistant has not understood.
    NotUnderstood,
    /// The assistant speaks of handing over.
    Offered,
}

#[derive(Debug, Default)]
struct Phrases {
    wish: Vec<Vec<Token>>,
    angry: Vec<Vec<Token>>,
    not_understood: Vec<Vec<Token>>,
    offered: Vec<Vec<Token>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// One of these rows of words (`don't` is two words).
    OneOf(Vec<Vec<String>>),
    Gap,
    Start,
    End,
}

/// Whether a line has that tone.
pub(super) fn has_tone(line: &str, tone: Tone) -> bool {
    let list = match tone {
        Tone::Wish => &PHRASES.wish,
        Tone::Angry => &PHRASES.angry,
        Tone::NotUnderstood => &PHRASES.not_understood,
        Tone::Offered => &PHRASES.offered,
    };
    let words = words(line);
    list.iter().any(|phrase| (0..=words.len()).any(|at| fits(phrase, &words, at)))
}

impl Phrases {
    fn parse(text: &str) -> Self {
        let file: Value = serde_json::from_str(text).unwrap_or_default();
        let list = |key: &str| {
            let languages = file.as_object().into_iter().flat_map(|map| map.values());
            let phrases = languages.filter_map(|language| language.get(key)?.as_array()).flatten();
            phrases.filter_map(Value::as_str).map(compile).collect()
        };
        Self {
            wish: list("wish"),
            angry: list("angry"),
            not_understood: list("not_understood"),
            offered: list("offered"),
        }
    }
}

fn compile(phrase: &str) -> Vec<Token> {
    let token = |token: &str| match token {
        "*" => Token::Gap,
        "^" => Token::Start,
        "$" => Token::End,
        choice => Token::OneOf(choice.split('|').map(words).collect()),
    };
    phrase.split_whitespace().map(token).collect()
}

fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

fn fits(phrase: &[Token], words: &[String], at: usize) -> bool {
    let Some((token, rest)) = phrase.split_first() else { return true };
    match token {
        Token::Start => at == 0 && fits(rest, words, at),
        Token::End => at == words.len() && fits(rest, words, at),
        Token::Gap => (at..=words.len().min(at + GAP)).any(|at| fits(rest, words, at)),
        Token::OneOf(choices) => choices.iter().any(|choice| {
            let found = words.get(at..at + choice.len()) == Some(choice);
            found && fits(rest, words, at + choice.len())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_sound() {
        let file: Value = serde_json::from_str(include_str!("phrases.json")).expect("JSON");
        for (language, lists) in file.as_object().expect("languages") {
            for key in ["wish", "angry", "not_understood", "offered"] {
                let list = lists[key].as_array().expect("a list");
                assert!(!list.is_empty(), "{language} {key}");
                assert!(
                    list.iter().all(|phrase| !compile(phrase.as_str().expect("text")).is_empty())
                );
            }
        }
    }

    #[test]
    fn what_lines_are_heard_for() {
        use Tone::{Angry, NotUnderstood, Offered, Wish};
        let table = [
            ("Agent.", Wish, true),
            ("I want to speak to a human", Wish, true),
            ("Can I talk to a real person, please?", Wish, true),
            ("Ich möchte mit einem Menschen sprechen.", Wish, true),
            ("Je voudrais parler à un conseiller", Wish, true),
            ("Vorrei parlare con un operatore", Wish, true),
            ("Quiero hablar con una persona", Wish, true),
            ("Quero falar com um atendente", Wish, true),
            ("मुझे इंसान से बात करनी है", Wish, true),
            ("My travel agency charged me twice", Wish, false),
            ("What is my balance?", Wish, false),
            ("", Wish, false),
            ("This is ridiculous!", Angry, true),
            ("That is fine", Angry, false),
            ("I'm sorry, I didn't understand that.", NotUnderstood, true),
            ("Das habe ich leider nicht verstanden.", NotUnderstood, true),
            ("Your balance is ten euros.", NotUnderstood, false),
            ("I am connecting you to a colleague.", Offered, true),
            ("The branch opens at nine.", Offered, false),
        ];
        for (line, tone, expected) in table {
            assert_eq!(has_tone(line, tone), expected, "{tone:?}: {line}");
        }
    }
}
