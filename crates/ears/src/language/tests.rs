//! Models of a few phrases, whose chances can be worked out by hand.

use proptest::prelude::*;

use super::*;

fn phrase(text: &str) -> Phrase {
    let digit = || Phrase::one_of(&["one", "two"]);
    Phrase::parse(text, |name| (name == "digit").then(digit)).unwrap()
}

fn language(texts: &[&str]) -> Language {
    Language::of(&texts.iter().map(|text| phrase(text)).collect::<Vec<_>>())
}

impl Language {
    /// The logarithm of the chance that somebody says this and nothing more.
    fn sentence(&self, text: &str) -> f32 {
        let mut state = self.start();
        let mut sum = 0.0;
        for word in text.split_whitespace() {
            let Some(word) = self.words.iter().position(|own| own == word) else {
                return f32::NEG_INFINITY;
            };
            let (log, next) = self.say(state, word as WordId);
            (sum, state) = (sum + log, next);
        }
        sum + self.say(state, END).0
    }
}

#[test]
fn a_phrase_is_written_as_it_is_spoken() {
    assert_eq!(phrase("what is My balance").to_string(), "what is my balance");
    assert_eq!(phrase("tell|give me the? sum").to_string(), "(tell|give) me (the)? sum");
    assert_eq!(phrase("(i want|i would like) it").to_string(), "(i want|i would like) it");
    assert_eq!(phrase("it’s {digit}").to_string(), "it's (one|two)");
    assert_eq!(phrase("(a (b|c)? d)?").ways(), 4.0);
}

#[test]
fn what_is_no_phrase_is_refused_with_its_place() {
    let error = |text: &str| Phrase::parse(text, |_| None).unwrap_err().to_string();
    assert_eq!(
        error("pay 20"),
        "at 5: expected a word as it is spoken, `(…)` or `{slot}`, and found `2`"
    );
    assert_eq!(error("my {account}"), "at 4: there is no slot `account`");
    assert_eq!(error("(a|b"), "at 5: expected `)`");
    assert_eq!(error("a)"), "at 2: `)` closes nothing");
    assert_eq!(error("(a|)"), "at 4: expected a word, `(…)` or `{slot}`");
    assert_eq!(error(""), "at 1: expected a word, `(…)` or `{slot}`");
    assert!(error(&"(".repeat(40)).contains("too many brackets"));
}

#[test]
fn chances_are_those_of_witten_and_bell() {
    // One way to say it: after "a" comes "b", and the sentence is over.
    let language = language(&["a b"]);
    // Three tokens; of each that comes once on average there is one with this chance.
    let kinds = 1.0 - (-1.0_f32).exp();
    let single = 1.0 / 3.0_f32;
    let pair = (1.0 + kinds * single) / (1.0 + kinds);
    let triple = (1.0 + kinds * pair) / (1.0 + kinds);
    // The first word has a history of one, the others of two.
    assert!((language.sentence("a b") - (pair * triple * triple).ln()).abs() < 1e-6);
    // "b" at the start: back to the root.
    let back = kinds / (1.0 + kinds);
    let (log, _) = language.say(language.start(), 1);
    assert!((log - (back * single).ln()).abs() < 1e-6);
}

#[test]
fn what_a_phrase_permits_is_more_likely_than_anything_else() {
    let language = language(&["(show|tell) me the? balance", "my number is {digit} {digit}"]);
    let likely =
        language.sentence("my number is two one").min(language.sentence("tell me balance"));
    for odd in ["my number is balance", "show my balance", "me", "one two is number my"] {
        assert!(language.sentence(odd) < likely - 1.0, "{odd}");
    }
    assert_eq!(language.sentence("show me love"), f32::NEG_INFINITY);
}

#[test]
fn a_model_can_be_written_for_others() {
    let text = language(&["a b"]).to_arpa();
    assert!(text.starts_with("\\data\\\nngram 1=4\nngram 2=3\nngram 3=2\n"), "{text}");
    for line in ["-99.0000 <s> -0.4120", "-0.4771 a -0.4120", "-0.0458 a b </s>"] {
        assert!(text.lines().any(|own| own == line), "{line}:\n{text}");
    }
}

#[test]
fn ways_to_say_a_phrase_share_its_weight() {
    let both = language(&["a|b"]);
    let chance = |text| both.sentence(text).exp();
    assert!((chance("a") - chance("b")).abs() < 1e-6);
    // Left out as often as said.
    let maybe = language(&["a b? c"]);
    assert!((maybe.sentence("a c") - maybe.sentence("a b c")).abs() < 0.5);
}

proptest! {
    #[test]
    fn the_words_after_any_history_have_chances_that_add_up(
        texts in prop::collection::vec("[abc]\\??( [abcd](\\|[ab])?\\??){0,4}", 1..5),
        said in prop::collection::vec(0..4_u16, 0..5),
    ) {
        let language = language(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let words = language.words().len() as WordId;
        let mut state = language.start();
        for word in said {
            let sum: f32 = (0..words).chain([END]).map(|word| language.say(state, word).0.exp()).sum();
            // The way back also leads to words that have an arc: a little more than one, never less.
            prop_assert!((0.99..2.5).contains(&sum), "{texts:?}: {sum}");
            if word < words {
                state = language.say(state, word).1;
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[ab|?(){} ]{0,24}|.{0,24}") {
        if let Ok(phrase) = Phrase::parse(&text, |_| Some(Phrase::plain("one"))) {
            Language::of(&[phrase]);
        }
    }

    #[test]
    fn what_a_phrase_says_it_reads_again(text in "[ab]( [abc](\\|[ab])?\\??){0,5}") {
        let phrase = phrase(&text);
        let again = Phrase::parse(&phrase.to_string(), |_| None).unwrap();
        prop_assert_eq!(phrase.ways(), again.ways());
    }
}
