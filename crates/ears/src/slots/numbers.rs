//! Whole numbers below a million, and amounts of money.

use super::Value;
use crate::language::Phrase;

pub(super) const UNITS: [&str; 9] =
    ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
pub(super) const TEENS: [&str; 10] = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
pub(super) const TENS: [&str; 8] =
    ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

const WHOLE: [&str; 8] = ["dollar", "dollars", "euro", "euros", "pound", "pounds", "buck", "bucks"];
const PARTS: [&str; 4] = ["cent", "cents", "penny", "pence"];

/// 1 to 99.
pub(super) fn below_hundred() -> Phrase {
    let unit = Phrase::one_of(&UNITS);
    let tens = Phrase::Sequence(vec![Phrase::one_of(&TENS), unit.clone().or_nothing()]);
    Phrase::Choice(vec![(1.0, unit), (1.0, Phrase::one_of(&TEENS)), (1.0, tens)])
}

/// What people say for whole numbers below a million.
pub(super) fn phrase() -> Phrase {
    let and = || Phrase::plain("and").or_nothing();
    let count = || Phrase::Choice(vec![(0.2, Phrase::plain("a")), (0.8, Phrase::one_of(&UNITS))]);
    let rest = || Phrase::Optional(0.4, Box::new(Phrase::Sequence(vec![and(), below_hundred()])));
    let hundreds = || Phrase::Sequence(vec![count(), Phrase::plain("hundred"), rest()]);
    let of_thousands = Phrase::Choice(vec![(0.2, Phrase::plain("a")), (0.8, below_hundred())]);
    let below = Phrase::Choice(vec![
        (0.5, hundreds()),
        (0.5, Phrase::Sequence(vec![and(), below_hundred()])),
    ]);
    let thousands = Phrase::Sequence(vec![
        of_thousands,
        Phrase::plain("thousand"),
        Phrase::Optional(0.3, Box::new(below)),
    ]);
    Phrase::Choice(vec![(0.5, below_hundred()), (0.3, hundreds()), (0.2, thousands)])
}

/// What people say for money.
pub(super) fn amount_phrase() -> Phrase {
    let cents = Phrase::Sequence(vec![
        Phrase::plain("and").or_nothing(),
        below_hundred(),
        Phrase::one_of(&["cents", "pence"]).or_nothing(),
    ]);
    let currency = Phrase::one_of(&["dollars", "euros", "pounds"]);
    let after = Phrase::Sequence(vec![currency, Phrase::Optional(0.3, Box::new(cents))]);
    Phrase::Sequence(vec![phrase(), Phrase::Optional(0.9, Box::new(after))])
}

/// A whole number.
pub(super) fn read(words: &[&str]) -> Option<Value> {
    let (value, taken) = whole(words)?;
    Some(Value { taken, value: value.to_string() })
}

/// An amount: a number, then perhaps a currency, then perhaps cents.
pub(super) fn read_amount(words: &[&str]) -> Option<Value> {
    let (value, mut taken) = whole(words)?;
    let mut value = value.to_string();
    let is = |at: usize, names: &[&str]| words.get(at).is_some_and(|word| names.contains(word));
    if is(taken, &["point"]) {
        let digits = super::digits::read(words.get(taken + 1..)?, Some(2));
        let decimals = digits.into_iter().next()?;
        value = format!("{value}.{}", decimals.value);
        taken += 1 + decimals.taken;
    }
    if is(taken, &PARTS) {
        let cents: u32 = value.parse().ok()?;
        return (cents < 100).then(|| Value { taken: taken + 1, value: format!("0.{cents:02}") });
    }
    if !is(taken, &WHOLE) {
        return Some(Value { taken, value });
    }
    taken += 1;
    let and = usize::from(is(taken, &["and"]));
    if let Some((cents, more)) = whole(words.get(taken + and..).unwrap_or_default())
        && cents < 100
        && !value.contains('.')
    {
        let named = usize::from(is(taken + and + more, &PARTS));
        // "Ten dollars and five …" is two things unless cents are named.
        if named == 1 || and == 0 {
            value = format!("{value}.{cents:02}");
            taken += and + more + named;
        }
    }
    Some(Value { taken, value })
}

/// A whole number below a million and the words it takes: "two hundred and five", "10", "a
/// thousand".
pub(super) fn whole(words: &[&str]) -> Option<(u32, usize)> {
    let (high, taken) = below_thousand(words)?;
    if words.get(taken) != Some(&"thousand") {
        return Some((high, taken));
    }
    let (value, taken) = (high * 1000, taken + 1);
    if high >= 1000 {
        return None;
    }
    let and = usize::from(words.get(taken) == Some(&"and"));
    match below_thousand(words.get(taken + and..).unwrap_or_default()) {
        Some((low, more)) if low < 1000 => Some((value + low, taken + and + more)),
        _ => Some((value, taken)),
    }
}

/// A number in figures, or in words below a thousand.
fn below_thousand(words: &[&str]) -> Option<(u32, usize)> {
    let first = words.first()?;
    if !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit()) {
        let value = first.parse().ok().filter(|value| *value < 1_000_000)?;
        return Some((value, 1));
    }
    let (count, taken) = match small(words) {
        Some(small) => small,
        None if matches!(*first, "a" | "an") => (1, 1),
        None => return None,
    };
    if count < 10 && words.get(taken) == Some(&"hundred") {
        let (value, taken) = (count * 100, taken + 1);
        let and = usize::from(words.get(taken) == Some(&"and"));
        return Some(match small(words.get(taken + and..).unwrap_or_default()) {
            Some((low, more)) => (value + low, taken + and + more),
            None => (value, taken),
        });
    }
    // "A" alone is no number.
    let alone = matches!(*first, "a" | "an") && words.get(taken) != Some(&"thousand");
    (!alone).then_some((count, taken))
}

/// A number from 0 to 99 in words.
pub(super) fn small(words: &[&str]) -> Option<(u32, usize)> {
    let first = words.first()?;
    let place = |names: &[&str], word: &str| names.iter().position(|name| *name == word);
    if *first == "zero" {
        return Some((0, 1));
    }
    if let Some(unit) = place(&UNITS, first) {
        return Some((unit as u32 + 1, 1));
    }
    if let Some(teen) = place(&TEENS, first) {
        return Some((teen as u32 + 10, 1));
    }
    let tens = (place(&TENS, first)? as u32 + 2) * 10;
    Some(match words.get(1).and_then(|word| place(&UNITS, word)) {
        Some(unit) => (tens + unit as u32 + 1, 2),
        None => (tens, 1),
    })
}
