//! Text cut at the ends of its sentences, for a voice that speaks one after the other.
//!
//! Pure. A line of the assistant's grows while it is said; what is complete is given out once. Not a
//! parser of language: abbreviations may be cut, which is heard as a pause. Called by the call when
//! Polly speaks. Limits: connect-kvs.md §8.

/// What ends a sentence.
const ENDS: [char; 6] = ['.', '!', '?', '…', '。', '！'];

/// The least that is worth a request: "Yes." alone is said with what follows.
const LEAST: usize = 12;

/// One line of the assistant's that grows.
#[derive(Debug, Default)]
pub(crate) struct Sentences {
    line: String,
    /// Bytes of the line that were given out.
    given: usize,
}

impl Sentences {
    /// Hears the whole line so far, and gives what of it is complete. A line of another id is
    /// another line.
    pub(crate) fn hear(&mut self, id: &str, text: &str, is_final: bool) -> Vec<String> {
        if self.line != id {
            id.clone_into(&mut self.line);
            self.given = 0;
        }
        let mut sentences = Vec::new();
        // A correction of what was said already cannot be taken back.
        while let Some(rest) = text.get(self.given..) {
            let Some(end) = end_of_sentence(rest) else { break };
            self.given += end;
            push(&mut sentences, &rest[..end]);
        }
        if is_final && let Some(rest) = text.get(self.given..) {
            push(&mut sentences, rest);
            self.given = text.len();
        }
        sentences
    }
}

fn push(sentences: &mut Vec<String>, text: &str) {
    let text = text.trim();
    if !text.is_empty() {
        sentences.push(text.to_owned());
    }
}

/// Where the first sentence ends that is long enough; it has to be followed by something, or more
/// of it may come ("3.50").
fn end_of_sentence(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().peekable();
    let mut count = 0;
    while let Some((at, character)) = characters.next() {
        count += 1;
        let ends = ENDS.contains(&character) && count >= LEAST;
        if ends && characters.peek().is_some_and(|(_, next)| next.is_whitespace()) {
            return Some(at + character.len_utf8());
        }
    }
    None
}

/// Parts of at most `most` characters: at the ends of sentences, else between words, else anywhere.
pub(crate) fn within(text: &str, most: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    let most = most.max(1);
    while rest.chars().count() > most {
        let limit = rest.char_indices().nth(most).map_or(rest.len(), |(at, _)| at);
        let head = &rest[..limit];
        let sentence =
            head.rfind(ENDS).map(|at| at + head[at..].chars().next().map_or(1, char::len_utf8));
        let cut = sentence.or_else(|| head.rfind(char::is_whitespace)).filter(|at| *at > 0);
        let cut = cut.unwrap_or(limit);
        push(&mut parts, &rest[..cut]);
        rest = rest[cut..].trim_start();
    }
    push(&mut parts, rest);
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_given_out_as_its_sentences_become_complete() {
        let mut sentences = Sentences::default();
        assert_eq!(sentences.hear("a", "Your balance is 3.", false), [""; 0]);
        assert_eq!(
            sentences.hear("a", "Your balance is 3.50 euros. Any", false),
            ["Your balance is 3.50 euros."]
        );
        assert_eq!(
            sentences.hear("a", "Your balance is 3.50 euros. Anything else?", true),
            ["Anything else?"]
        );
        assert_eq!(
            sentences.hear("a", "Your balance is 3.50 euros. Anything else?", true),
            [""; 0]
        );
        assert_eq!(
            sentences.hear("b", "Yes. Of course I do. Good", true),
            ["Yes. Of course I do.", "Good"]
        );
    }

    #[test]
    fn a_line_that_becomes_shorter_is_not_said_again() {
        let mut sentences = Sentences::default();
        sentences.hear("a", "I am sorry about that. Let me", false);
        assert_eq!(sentences.hear("a", "I am sorry.", true), [""; 0]);
    }

    #[test]
    fn long_texts_are_cut_where_it_is_heard_least() {
        assert_eq!(within("One two. Three four. Five", 21), ["One two. Three four.", "Five"]);
        assert_eq!(within("one two three", 8), ["one two", "three"]);
        assert_eq!(within("aaaaaaaaaa", 4), ["aaaa", "aaaa", "aa"]);
        assert_eq!(within("  ", 4), [""; 0]);
    }

    proptest! {
        #[test]
        fn no_part_is_too_long_and_nothing_is_lost(text in "[a-zé .!?日]{0,200}", most in 1_usize..50) {
            let parts = within(&text, most);
            prop_assert!(parts.iter().all(|part| part.chars().count() <= most));
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&parts.concat()), letters(&text));
        }

        #[test]
        fn however_a_line_grows_all_of_it_is_given_once(
            text in "[a-zé .!?]{0,120}",
            steps in prop::collection::vec(1_usize..30, 0..10),
        ) {
            let mut sentences = Sentences::default();
            let (mut given, mut at) = (Vec::new(), 0);
            for step in steps {
                at += step;
                if let Some(prefix) = text.get(..at) {
                    given.extend(sentences.hear("x", prefix, false));
                }
            }
            given.extend(sentences.hear("x", &text, true));
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&given.concat()), letters(&text));
        }
    }
}
