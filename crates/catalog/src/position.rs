//! Where in a text a JSON value stands, so that a finding can name line and column.
//!
//! Only for text that `serde_json` has already accepted: anything else yields `None`, never a
//! panic. Called by `finding`.

/// A place in a text, both counted from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    /// The place of a byte offset; an offset beyond the end is the end.
    pub(crate) fn of_offset(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1 }
    }

    /// The place of a syntax error; `serde_json` counts bytes, and from 0 at a line's end.
    pub(crate) fn of_syntax_error(text: &str, error: &serde_json::Error) -> Self {
        let line_start: usize =
            text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        Self::of_offset(text, line_start + error.column().saturating_sub(1))
    }
}

/// Where the value at a JSON pointer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Located {
    /// Offset of its first byte.
    pub(crate) value: usize,
    /// Offset of its key; that of the value in a list.
    pub(crate) key: usize,
}

/// Finds the value at a JSON pointer.
pub(crate) fn locate(text: &str, pointer: &str) -> Option<Located> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.skip_blanks();
    let mut key = scanner.at;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        key = scanner.enter(&token)?;
    }
    Some(Located { value: scanner.at, key })
}

/// The keys that an object somewhere in valid JSON has twice: offset of the second, and the key.
/// `serde_json` takes the last of them without a word.
pub(crate) fn repeated_keys(text: &str) -> Vec<(usize, String)> {
    let mut repeated = Vec::new();
    let mut scanner = Scanner { text, at: 0 };
    // One entry per open container: the keys so far, `None` for a list.
    let mut open: Vec<Option<Vec<String>>> = Vec::new();
    loop {
        scanner.skip_blanks();
        let start = scanner.at;
        match scanner.peek() {
            None => return repeated,
            Some(b'{') => open.push(Some(Vec::new())),
            Some(b'[') => open.push(None),
            Some(b'}' | b']') => drop(open.pop()),
            Some(b'"') => {
                if scanner.skip_string().is_none() {
                    return repeated;
                }
                let end = scanner.at;
                scanner.skip_blanks();
                if scanner.peek() == Some(b':')
                    && let Some(Some(keys)) = open.last_mut()
                    && let Some(key) =
                        text.get(start..end).and_then(|key| serde_json::from_str(key).ok())
                {
                    if keys.contains(&key) {
                        repeated.push((start, key));
                    } else {
                        keys.push(key);
                    }
                }
                continue;
            }
            Some(_) => {}
        }
        scanner.at += 1;
    }
}

/// Walks over valid JSON without building anything.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Steps over one byte that must be there, and the blanks after it.
    fn take(&mut self, expected: u8) -> Option<()> {
        (self.peek() == Some(expected)).then(|| self.at += 1)?;
        self.skip_blanks();
        Some(())
    }

    /// Moves from the start of a container to the start of one of its values; returns where its
    /// key stands.
    fn enter(&mut self, token: &str) -> Option<usize> {
        match self.peek()? {
            b'{' => {
                self.take(b'{')?;
                loop {
                    let start = self.at;
                    self.skip_string()?;
                    let key: String = serde_json::from_str(self.text.get(start..self.at)?).ok()?;
                    self.skip_blanks();
                    self.take(b':')?;
                    if key == token {
                        return Some(start);
                    }
                    self.skip_value()?;
                    self.take(b',')?;
                }
            }
            b'[' => {
                self.take(b'[')?;
                for _ in 0..token.parse::<usize>().ok()? {
                    self.skip_value()?;
                    self.take(b',')?;
                }
                (self.peek() != Some(b']')).then_some(self.at)
            }
            _ => None,
        }
    }

    fn skip_string(&mut self) -> Option<()> {
        (self.peek() == Some(b'"')).then_some(())?;
        self.at += 1;
        loop {
            match self.peek()? {
                b'\\' => self.at += 2,
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                _ => self.at += 1,
            }
        }
    }

    /// Moves behind a value of any kind and the blanks after it.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                b',' | b':' => return None,
                _ => self.skip_scalar(),
            }
            self.skip_blanks();
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Moves behind a number, `true`, `false` or `null`.
    fn skip_scalar(&mut self) {
        let ends =
            |byte: u8| matches!(byte, b',' | b':' | b'}' | b']') || byte.is_ascii_whitespace();
        while self.peek().is_some_and(|byte| !ends(byte)) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "{\n  \"ä\": [1, {\"x/y\": \"}\\\"\"}],\n  \"b\": {\"c\" : null }\n}";

    #[test]
    fn values_are_found_by_pointer() {
        let place = |offset| Position::of_offset(TEXT, offset);
        let at = |pointer| {
            locate(TEXT, pointer).map(|found| place(found.value)).map(|p| (p.line, p.column))
        };
        assert_eq!(at(""), Some((1, 1)));
        assert_eq!(at("/ä/1/x~1y"), Some((2, 20)));
        assert_eq!(at("/b/c"), Some((3, 15)));
        assert_eq!(locate(TEXT, "/b/c").map(|found| place(found.key).column), Some(9));
        assert_eq!(at("/b/d"), None);
        assert_eq!(at("/ä/2"), None);
    }

    #[test]
    fn syntax_errors_stand_at_the_offending_character() {
        let text = "{\n  \"ä\": oops\n}";
        let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
        assert_eq!(Position::of_syntax_error(text, &error), Position { line: 2, column: 8 });
    }

    #[test]
    fn keys_that_stand_twice_are_found() {
        let text = r#"{"a": [{"a": "a"}, {"b": 1, "b": 2}], "\u0061" : {"a": 1}, "c": "c"}"#;
        let found = repeated_keys(text);
        let keys: Vec<(usize, &str)> = found.iter().map(|(at, key)| (*at, key.as_str())).collect();
        assert_eq!(keys, [(28, "b"), (38, "a")]);
    }

    proptest! {
        #[test]
        fn no_text_and_no_pointer_makes_it_panic(text in ".{0,60}", pointer in "(/[a-z0-9~]{0,2}){0,3}", at: usize) {
            let _ = locate(&text, &pointer);
            repeated_keys(&text);
            let _ = Position::of_offset(&text, at);
            if let Err(error) = serde_json::from_str::<serde_json::Value>(&text) {
                let _ = Position::of_syntax_error(&text, &error);
            }
        }
    }
}
