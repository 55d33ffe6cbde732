//! Comparing texts by their words: how a FINAL text finds the sentences it repeats.

/// The words of a text, without case and the punctuation around them.
pub(super) fn words(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Where `needle` stands in `hay`, all of it free.
pub(super) fn find_run(hay: &[String], taken: &[bool], needle: &[String]) -> Option<usize> {
    if needle.is_empty() || needle.len() > hay.len() {
        return None;
    }
    (0..=hay.len() - needle.len()).find(|&at| {
        let end = at + needle.len();
        hay[at..end] == *needle && !taken[at..end].contains(&true)
    })
}

/// Whether `told` is another wording of `expected`: at least half of its words are there. When
/// the sentence may have been cut off, `told` may be much the shorter one.
pub(super) fn is_similar(told: &[String], expected: &[String], cut_off: bool) -> bool {
    let mut left: Vec<&String> = expected.iter().collect();
    let mut common = 0;
    for word in told {
        if let Some(at) = left.iter().position(|other| *other == word) {
            left.swap_remove(at);
            common += 1;
        }
    }
    let size = if cut_off { told.len() } else { told.len().max(expected.len()) };
    common > 0 && common * 2 >= size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_blanks_and_punctuation_do_not_matter() {
        assert_eq!(words("  Well , it's  FINE. – "), ["well", "it's", "fine"]);
    }

    #[test]
    fn a_run_is_whole_words_that_are_free() {
        let hay = words("yes it is yes it was");
        let free = [false; 6];
        assert_eq!(find_run(&hay, &free, &words("Yes it")), Some(0));
        let taken = [true, false, false, false, false, false];
        assert_eq!(find_run(&hay, &taken, &words("yes it")), Some(3));
        assert_eq!(find_run(&hay, &free, &words("ye")), None);
        assert_eq!(find_run(&hay, &free, &[]), None);
    }

    #[test]
    fn a_cut_sentence_resembles_the_whole_one() {
        let whole = words("Let me tell you about the weather in Rome today.");
        assert!(is_similar(&words("Let me tell you abou"), &whole, true));
        assert!(!is_similar(&words("Let me tell you abou"), &whole, false));
        assert!(is_similar(&words("Let me tell you about weather in Rome now"), &whole, false));
        assert!(!is_similar(&words("Goodbye then"), &whole, true));
    }
}
