//! `[STEP: id]` tags, by which old prompts let the model say where it is in a workflow.
//!
//! They are taken out of every line before anybody sees it.

/// The longest id that a tag may hold.
const LONGEST_ID: usize = 128;
/// How a tag begins.
const OPENING: &str = "[step";

/// The text without its tags, and the ids that these hold. A tag that is still being written at
/// the end of the text is taken out too.
pub(super) fn take_tags(text: &str) -> (String, Vec<String>) {
    let mut clean = String::with_capacity(text.len());
    let mut ids = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let (before, from) = rest.split_at(at);
        clean.push_str(before);
        match read_tag(from) {
            Tag::Whole { id, length } => {
                ids.extend(id);
                rest = from.get(length..).unwrap_or_default();
            }
            Tag::Unfinished => {
                rest = "";
            }
            Tag::None => {
                clean.push('[');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    clean.push_str(rest);
    (clean, ids)
}

enum Tag {
    /// A tag of so many bytes; one with an empty id is dropped all the same.
    Whole {
        id: Option<String>,
        length: usize,
    },
    Unfinished,
    None,
}

/// Reads a tag at the start of `text`, which begins with `[`.
fn read_tag(text: &str) -> Tag {
    let head: String = text.chars().take(OPENING.len()).collect::<String>().to_ascii_lowercase();
    if head.len() < OPENING.len() && OPENING.starts_with(&head) {
        return Tag::Unfinished;
    }
    if head != OPENING {
        return Tag::None;
    }
    let after = text.get(OPENING.len()..).unwrap_or_default();
    let Some(body) = after.trim_start().strip_prefix(':') else {
        return if after.trim().is_empty() { Tag::Unfinished } else { Tag::None };
    };
    match body.find(']') {
        Some(end) => {
            let id = body.get(..end).unwrap_or_default().trim();
            let id = (!id.is_empty() && id.len() <= LONGEST_ID).then(|| id.to_owned());
            Tag::Whole { id, length: text.len() - body.len() + end + 1 }
        }
        None if body.len() <= LONGEST_ID => Tag::Unfinished,
        None => Tag::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_leave_no_trace_whole_or_half_written() {
        let table = [
            ("Hello.", "Hello.", vec![]),
            ("[STEP: verify] Thank you.", " Thank you.", vec!["verify"]),
            ("One [step:a]two [Step : b] three", "One two  three", vec!["a", "b"]),
            ("Well [ST", "Well ", vec![]),
            ("Well [", "Well ", vec![]),
            ("Well [STEP: ver", "Well ", vec![]),
            ("[STEP: ]", "", vec![]),
            ("[a] [stepwise] [STEPS: x] done", "[a] [stepwise] [STEPS: x] done", vec![]),
            ("naïve [ü", "naïve [ü", vec![]),
        ];
        for (text, clean, ids) in table {
            let (got, found) = take_tags(text);
            assert_eq!(
                (got.as_str(), found),
                (clean, ids.iter().map(|s| s.to_string()).collect()),
                "{text}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(text in "(\\[|STEP|step|:|\\]| |a|ß|हि){0,12}") {
            let (clean, _) = take_tags(&text);
            proptest::prop_assert!(!clean.contains("[STEP:") || !text.contains(']'));
        }
    }
}
