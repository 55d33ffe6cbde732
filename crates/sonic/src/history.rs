//! What was said before, cut to what a new stream accepts (`nova-sonic.md` §2.6, §4.2).
//!
//! USER first, speakers alternating, the newest kept. Also the cutter that splits any long text
//! into pieces small enough for one `textInput`. The opening of a session calls both.

use crate::{HistoryMessage, Speaker};

/// Messages that every known variant of the service accepts.
pub const MAX_MESSAGES: usize = 40;
/// Bytes of UTF-8 in one `textInput`.
pub const MAX_PIECE_BYTES: usize = 1_000;
/// Bytes of UTF-8 in the whole history.
pub const MAX_TOTAL_BYTES: usize = 40_000;

/// How much history a new stream is given. The defaults satisfy every documented variant of the
/// service's limit; others are configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryLimits {
    /// At most so many messages, after neighbours of the same speaker were merged.
    pub messages: usize,
    /// At most so many bytes of UTF-8 in all.
    pub total_bytes: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self { messages: MAX_MESSAGES, total_bytes: MAX_TOTAL_BYTES }
    }
}

/// The part of `history` (oldest first) that a new stream is told.
pub fn trim(history: &[HistoryMessage], limits: HistoryLimits) -> Vec<HistoryMessage> {
    let mut merged: Vec<HistoryMessage> = Vec::new();
    for message in history.iter().filter(|m| !m.text.trim().is_empty()) {
        match merged.last_mut() {
            Some(last) if last.role == message.role => {
                last.text.push(' ');
                last.text.push_str(message.text.trim());
            }
            _ => merged
                .push(HistoryMessage { role: message.role, text: message.text.trim().to_owned() }),
        }
    }

    let mut left = limits.total_bytes;
    let mut kept: Vec<HistoryMessage> = Vec::new();
    for mut message in merged.into_iter().rev().take(limits.messages) {
        if message.text.len() > left {
            // The newest message alone is too long: its end matters most.
            if kept.is_empty() {
                message.text.drain(..ceil_char_boundary(&message.text, message.text.len() - left));
                if !message.text.trim().is_empty() {
                    kept.push(message);
                }
            }
            break;
        }
        left -= message.text.len();
        kept.push(message);
    }
    // "First message in chat history should not be Assistant." One at most, after the merge.
    while kept.last().is_some_and(|m| m.role == Speaker::Assistant) {
        kept.pop();
    }
    kept.reverse();
    kept
}

/// Cuts a text into pieces of at most `max` bytes, preferably behind a blank and never within a
/// character. Put together, the pieces are the text again.
pub fn pieces(text: &str, max: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = cut(rest, max);
        let (piece, tail) = rest.split_at(at);
        rest = tail;
        Some(piece)
    })
}

/// Where the first piece of a text that is not empty ends: beyond 0, on a character boundary.
fn cut(text: &str, max: usize) -> usize {
    if text.len() <= max {
        return text.len();
    }
    let hard = floor_char_boundary(text, max);
    if hard == 0 {
        // `max` is smaller than the first character.
        return ceil_char_boundary(text, 1);
    }
    match text[..hard].rfind(char::is_whitespace) {
        // Not at the price of tiny pieces.
        Some(blank) if blank >= hard / 2 => ceil_char_boundary(text, blank + 1),
        _ => hard,
    }
}

fn floor_char_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn ceil_char_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(role: Speaker, text: &str) -> HistoryMessage {
        HistoryMessage { role, text: text.into() }
    }

    #[test]
    fn neighbours_are_merged_and_a_leading_assistant_is_dropped() {
        let history = [
            said(Speaker::Assistant, "Hello."),
            said(Speaker::User, " Hi "),
            said(Speaker::User, ""),
            said(Speaker::User, "there"),
            said(Speaker::Assistant, "What can I do?"),
        ];
        let expected =
            [said(Speaker::User, "Hi there"), said(Speaker::Assistant, "What can I do?")];
        assert_eq!(trim(&history, HistoryLimits::default()), expected);
        assert_eq!(trim(&history[..1], HistoryLimits::default()), []);
    }

    #[test]
    fn one_message_that_is_too_long_keeps_its_end() {
        let limits = HistoryLimits { messages: 5, total_bytes: 5 };
        let history = [said(Speaker::User, "old"), said(Speaker::User, "a čerň")];
        assert_eq!(trim(&history, limits), [said(Speaker::User, "erň")]);
    }

    proptest! {
        #[test]
        fn trimmed_history_is_within_its_limits_and_begins_with_the_user(
            messages in prop::collection::vec((any::<bool>(), ".{0,60}"), 0..60),
            limit in 0..500_usize,
            count in 0..50_usize,
        ) {
            let history: Vec<_> = messages
                .iter()
                .map(|(user, text)| {
                    said(if *user { Speaker::User } else { Speaker::Assistant }, text)
                })
                .collect();
            let limits = HistoryLimits { messages: count, total_bytes: limit };
            let kept = trim(&history, limits);
            prop_assert!(kept.len() <= count);
            prop_assert!(kept.iter().map(|m| m.text.len()).sum::<usize>() <= limit);
            for (i, message) in kept.iter().enumerate() {
                let expected = if i % 2 == 0 { Speaker::User } else { Speaker::Assistant };
                prop_assert_eq!(message.role, expected);
                prop_assert!(!message.text.trim().is_empty());
            }
        }

        #[test]
        fn pieces_are_small_and_lose_nothing(text in ".{0,300}", max in 0..50_usize) {
            let all: Vec<_> = pieces(&text, max).collect();
            prop_assert_eq!(all.concat(), text.as_str());
            for piece in all {
                prop_assert!(!piece.is_empty());
                prop_assert!(piece.len() <= max || piece.chars().count() == 1);
            }
        }
    }
}
