//! The quick way through an `audioOutput`: most of what the service sends is that.
//!
//! It reads the one form in which the service writes the event, without a tree and without copies
//! but for the samples. Anything else is `None`, and goes the general way of `read`, which also
//! finds the words for what is wrong.

use bytes::Bytes;
use memchr::{memchr, memchr2};

use super::{OutputRole, read::role_named};

/// How the event begins; an event that is spelled otherwise takes the general way.
const HEAD: &[u8] = br#"{"event":{"audioOutput":{"#;
const TAIL: &[u8] = b"}}}";

/// What a session needs of an `audioOutput`.
#[derive(Debug, PartialEq, Eq)]
pub struct QuickAudio<'a> {
    /// The content it belongs to; may be empty.
    pub content_id: &'a str,
    /// Whose audio it is.
    pub role: Option<OutputRole>,
    /// The decoded bytes; a sample may be cut in two between events.
    pub pcm: Bytes,
}

/// Reads an `audioOutput` in its usual form.
pub fn audio(payload: &[u8]) -> Option<QuickAudio<'_>> {
    let mut rest = payload.strip_prefix(HEAD)?.strip_suffix(TAIL)?;
    let (mut content, mut content_id, mut role) = (None, None, None);
    loop {
        let (key, after) = string(rest)?;
        let (value, after) = string(after.strip_prefix(b":")?)?;
        let mut other = None;
        let field = match key {
            b"content" => &mut content,
            b"contentId" => &mut content_id,
            b"role" => &mut role,
            b"completionId" | b"promptName" | b"sessionId" => {
                plain(value)?;
                &mut other
            }
            // Something new; it may not even be a string the next time.
            _ => return None,
        };
        if field.replace(value).is_some() {
            return None;
        }
        match after.split_first() {
            None => break,
            Some((b',', next)) => rest = next,
            Some(_) => return None,
        }
    }
    let pcm = base64_simd::STANDARD.decode_to_vec(content?).ok()?;
    Some(QuickAudio {
        content_id: plain(content_id.unwrap_or_default())?,
        role: role_named(plain(role.unwrap_or_default())?),
        pcm: pcm.into(),
    })
}

/// The inside of a string at the beginning, and what follows it. Escapes are left to `plain`, and
/// to base64, which has none.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = bytes.strip_prefix(b"\"")?;
    let end = memchr(b'"', inside)?;
    Some((&inside[..end], &inside[end + 1..]))
}

/// A string that means what it looks like.
fn plain(inside: &[u8]) -> Option<&str> {
    let odd = memchr2(b'\\', 0x7f, inside).is_some() || inside.iter().any(|byte| *byte < 0x20);
    if odd { None } else { std::str::from_utf8(inside).ok() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::output::{OutputEvent, parse};

    fn general(payload: &[u8]) -> Option<(String, Option<OutputRole>, Bytes)> {
        match parse(payload) {
            Ok(OutputEvent::AudioOutput(audio)) => Some((audio.content_id, audio.role, audio.pcm)),
            _ => None,
        }
    }

    const USUAL: &str = r#"{"event":{"audioOutput":{"completionId":"c","content":"AAECAw==","contentId":"k","promptName":"p","role":"ASSISTANT","sessionId":"s"}}}"#;

    #[test]
    fn the_usual_form_is_read() {
        let audio = audio(USUAL.as_bytes()).expect("it is the usual form");
        assert_eq!((audio.content_id, audio.role), ("k", Some(OutputRole::Assistant)));
        assert_eq!(audio.pcm, [0, 1, 2, 3][..]);
    }

    #[test]
    fn what_is_unusual_is_left_to_the_general_way() {
        let odd = [
            USUAL.replace("AAECAw==", "AAECAw"),
            USUAL.replace("AAECAw==", "A\\u0041ECAw=="),
            USUAL.replace(r#""k""#, r#""k\"""#),
            USUAL.replace(r#""k""#, "7"),
            USUAL.replace(r#""role""#, r#""mood""#),
            USUAL.replace(r#""role""#, r#""contentId""#),
            USUAL.replace("{\"event\"", "{ \"event\""),
            format!("{USUAL} "),
            USUAL.replace("audioOutput", "textOutput"),
        ];
        for event in odd {
            assert_eq!(audio(event.as_bytes()), None, "{event}");
        }
    }

    proptest! {
        /// Where both ways read something, they read the same; and nothing is read that the
        /// general way would refuse.
        #[test]
        fn the_quick_way_reads_what_the_general_way_reads(
            pcm in proptest::collection::vec(any::<u8>(), 0..100),
            id in "[ -~]{0,12}",
            at in 0_usize..200,
            byte in any::<u8>(),
        ) {
            let content = base64_simd::STANDARD.encode_to_string(&pcm);
            let mut event = USUAL.replace("AAECAw==", &content).replace("\"k\"", &format!("\"{id}\""));
            if at < 100 && byte.is_ascii() && at < event.len() {
                event.replace_range(at..=at, &char::from(byte).to_string());
            }
            if let Some(quick) = audio(event.as_bytes()) {
                let expected = general(event.as_bytes()).expect("the general way reads it as well");
                prop_assert_eq!((quick.content_id.to_owned(), quick.role, quick.pcm), expected);
            }
        }
    }
}
