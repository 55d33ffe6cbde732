//! Takes out of texts what must not be kept: card numbers, accounts, addresses. Pure.
//!
//! Written and spoken digits count alike ("four one one one", "double four", "vier eins"). A
//! number is taken for a card or an IBAN only if its check digits hold, so an order number stays;
//! an account or a sort code only if words nearby say so. What is found is replaced by a word in
//! brackets. Used by the journal before anything reaches a disk, and by whoever shows or sends a
//! conversation elsewhere.

pub mod across;
mod checks;
mod spoken;

use std::{borrow::Cow, ops::Range, sync::LazyLock};

use regex::Regex;
use serde_json::Value;

use self::spoken::{Run, runs};

/// What is put in the place of what is taken out.
pub mod marks {
    /// A payment card number.
    pub const CARD: &str = "[card number]";
    /// An international bank account number.
    pub const IBAN: &str = "[IBAN]";
    /// A national account number or sort code.
    pub const ACCOUNT: &str = "[account]";
    /// An e-mail address.
    pub const EMAIL: &str = "[e-mail]";
    /// A telephone number.
    pub const PHONE: &str = "[phone]";
}

/// Digits of a payment card number (ISO/IEC 7812-1).
const CARD_DIGITS: Range<usize> = 13..20;
/// Digits of a telephone number (E.164 allows 15; shorter than 9 is something else).
const PHONE_DIGITS: Range<usize> = 9..16;
/// How far before a number the word that says what it is may stand, in bytes.
const NEARBY: usize = 48;

/// What the name of a number ends with.
const NUMBER_NAMES: [&str; 16] = [
    "account",
    "number",
    "no",
    "code",
    "iban",
    "pan",
    "card",
    "phone",
    "telephone",
    "mobile",
    "cell",
    "konto",
    "kontonummer",
    "bankleitzahl",
    "blz",
    "telefon",
];

static EMAIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b[a-z0-9._%+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+\b").ok());

/// "john dot smith at example dot com", also with "underscore" and "dash".
static SPOKEN_EMAIL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let part = r"[a-z0-9]+(?:(?: (?:dot|punkt|underscore|dash|minus|hyphen) |[._-])[a-z0-9]+)*";
    let host = r"[a-z0-9-]+(?:(?: (?:dot|punkt) |\.)[a-z0-9-]+)*";
    let top =
        r"(?: (?:dot|punkt) |\.)(?:com|org|net|edu|gov|info|biz|co uk|co dot uk|co\.uk|[a-z]{2})";
    Regex::new(&format!(r"(?i)\b{part} (?:at|ät|klammeraffe) {host}{top}\b")).ok()
});

static ACCOUNT_WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = [
        "account(?: number)?",
        "acct",
        "a/c",
        "sort ?code",
        "routing(?: number)?",
        "konto(?:nummer)?",
        "bankleitzahl",
        "blz",
        "compte",
        "cuenta",
    ];
    Regex::new(&format!(r"(?i)\b(?:{})\b", words.join("|"))).ok()
});

static PHONE_WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = [
        "phone",
        "telephone",
        "mobile",
        "cell",
        "call me",
        "ring me",
        "reach me",
        "telefon(?:nummer)?",
        "handy(?:nummer)?",
        "mobilnummer",
        "rückruf",
    ];
    Regex::new(&format!(r"(?i)\b(?:{})\b", words.join("|"))).ok()
});

/// A pattern of the operator's.
#[derive(Debug, Clone)]
pub struct CustomRule {
    name: String,
    pattern: Regex,
}

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the pattern {name:?} is not a regular expression: {source}")]
pub struct BadPattern {
    name: String,
    source: Box<regex::Error>,
}

impl CustomRule {
    /// What `pattern` matches becomes `[name]`.
    pub fn new(name: &str, pattern: &str) -> Result<Self, BadPattern> {
        let pattern = Regex::new(pattern)
            .map_err(|source| BadPattern { name: name.to_owned(), source: Box::new(source) })?;
        Ok(Self { name: name.to_owned(), pattern })
    }
}

/// The rules of a process. Cheap to clone where there are few custom ones.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    off: bool,
    custom: Vec<CustomRule>,
}

/// A part of a text, and what is put there.
struct Find {
    range: Range<usize>,
    mark: Cow<'static, str>,
}

impl Redactor {
    /// The built-in rules, and some more.
    pub fn new(custom: Vec<CustomRule>) -> Self {
        Self { off: false, custom }
    }

    /// No rules at all, for whoever keeps everything.
    pub fn off() -> Self {
        Self { off: true, custom: Vec::new() }
    }

    /// The text without what must not be kept.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.off {
            return Cow::Borrowed(text);
        }
        let mut finds = Vec::new();
        self.find(text, &mut finds);
        if finds.is_empty() {
            return Cow::Borrowed(text);
        }
        // Of finds that overlap the one that begins first counts, and of those the longest.
        finds.sort_by_key(|find| (find.range.start, usize::MAX - find.range.end));
        let mut clean = String::with_capacity(text.len());
        let mut at = 0;
        for find in finds {
            if find.range.start < at {
                continue;
            }
            clean.push_str(&text[at..find.range.start]);
            clean.push_str(&find.mark);
            at = find.range.end;
        }
        clean.push_str(&text[at..]);
        Cow::Owned(clean)
    }

    /// Every text in a JSON value, and every number that is long enough to be one of those.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(clean) = self.text(text) {
                    *text = clean;
                }
            }
            Value::Number(number) => {
                let text = number.to_string();
                if text.len() >= CARD_DIGITS.start
                    && let Cow::Owned(clean) = self.text(&text)
                {
                    *value = Value::String(clean);
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|value| self.value(value)),
            Value::Object(map) => {
                for (key, value) in map {
                    self.value(value);
                    self.named_value(key, value);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// A number whose key says what it is: `"sortCode": "200000"`.
    fn named_value(&self, key: &str, value: &mut Value) {
        let number = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return,
        };
        let is_number = |c: char| c.is_ascii_digit() || "-+ ".contains(c);
        if number.is_empty() || number.len() > NEARBY || !number.chars().all(is_number) {
            return;
        }
        let words = words_of(key);
        // An account's balance is no account.
        if !words.split(' ').next_back().is_some_and(|last| NUMBER_NAMES.contains(&last)) {
            return;
        }
        let said = format!("{words} {number}");
        if let Cow::Owned(clean) = self.text(&said)
            && let Some(mark) = clean.find('[')
        {
            *value = Value::String(clean[mark..].to_owned());
        }
    }

    fn find(&self, text: &str, finds: &mut Vec<Find>) {
        for rule in &self.custom {
            let mark = format!("[{}]", rule.name);
            let found = rule.pattern.find_iter(text).filter(|found| !found.is_empty());
            finds.extend(found.map(|f| Find { range: f.range(), mark: mark.clone().into() }));
        }
        for pattern in [&*EMAIL, &*SPOKEN_EMAIL].into_iter().flatten() {
            // "at the dot com office" is no address.
            let found = pattern.find_iter(text).filter(|f| !f.as_str().contains(" at the "));
            finds.extend(found.map(|f| Find { range: f.range(), mark: marks::EMAIL.into() }));
        }
        for run in runs(text) {
            find_numbers(text, &run, finds);
        }
    }
}

/// `accountNumber` and `account_number` as words.
fn words_of(key: &str) -> String {
    let mut words = String::with_capacity(key.len() + 4);
    for c in key.chars() {
        if c.is_uppercase() || c == '_' || c == '-' {
            words.push(' ');
        }
        words.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
    }
    words
}

/// Whether a word stands for digits.
pub(crate) fn is_digits(word: &str) -> bool {
    runs(word).iter().any(|run| run.pieces.iter().all(|p| p.range.len() == word.len()))
}

/// Looks for numbers in one run of digits and single letters.
fn find_numbers(text: &str, run: &Run, finds: &mut Vec<Find>) {
    let mut first = 0;
    while first < run.pieces.len() {
        let Some((last, mark)) = longest(text, run, first) else {
            first += 1;
            continue;
        };
        let mut range = run.pieces[first].range.start..run.pieces[last].range.end;
        // A sign before it belongs to it.
        let signs = if mark == marks::PHONE { &['+', '('][..] } else { &[] };
        range.start = text[..range.start].trim_end_matches(signs).len();
        finds.push(Find { range, mark: mark.into() });
        first = last + 1;
    }
}

/// The longest number that begins with the piece `first`: its last piece, and what it is.
fn longest(text: &str, run: &Run, first: usize) -> Option<(usize, &'static str)> {
    let mut characters = String::new();
    let mut found = None;
    for (last, piece) in run.pieces.iter().enumerate().skip(first) {
        characters.push_str(&piece.characters);
        if characters.len() > 40 {
            break;
        }
        // A number ends where the speaker's grouping ends, or the run does.
        let number = Number {
            characters: &characters,
            before: &text
                [before(text, run.pieces[first].range.start)..run.pieces[first].range.start],
            written: &text[run.pieces[first].range.start..piece.range.end],
            is_whole: last + 1 == run.pieces.len(),
            is_first: first == 0,
        };
        if let Some(mark) = number.kind() {
            found = Some((last, mark));
        }
    }
    found
}

fn before(text: &str, at: usize) -> usize {
    let from = at.saturating_sub(NEARBY);
    (from..=at).find(|at| text.is_char_boundary(*at)).unwrap_or(at)
}

/// A candidate.
struct Number<'a> {
    /// Digits and upper-case letters.
    characters: &'a str,
    /// The words before it.
    before: &'a str,
    /// As it stands in the text.
    written: &'a str,
    /// Whether the run ends with it.
    is_whole: bool,
    /// Whether the run begins with it.
    is_first: bool,
}

impl Number<'_> {
    fn kind(&self) -> Option<&'static str> {
        let length = self.characters.len();
        if checks::is_iban(self.characters) {
            return Some(marks::IBAN);
        }
        if !self.characters.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if CARD_DIGITS.contains(&length) && checks::is_card(self.characters) {
            return Some(marks::CARD);
        }
        // What follows is told by its length and its surroundings alone: it must stand by itself.
        if !self.is_whole || !self.is_first {
            return None;
        }
        let says = |words: &LazyLock<Option<Regex>>| {
            words.as_ref().is_some_and(|words| words.is_match(self.before))
        };
        let is_account = matches!(length, 6..=12 | 14) && says(&ACCOUNT_WORDS);
        if is_account && !checks::is_date(self.written) {
            return Some(marks::ACCOUNT);
        }
        let is_dialled = self.before.ends_with('+')
            || self.before.trim_end().to_lowercase().ends_with("plus")
            || (self.characters.starts_with('0') && length >= 10)
            || checks::is_north_american(self.written);
        let is_phone = PHONE_DIGITS.contains(&length) && (is_dialled || says(&PHONE_WORDS));
        (is_phone && !checks::is_date(self.written)).then_some(marks::PHONE)
    }
}

#[cfg(test)]
mod tests;
