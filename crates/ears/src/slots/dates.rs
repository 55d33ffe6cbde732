//! Days: "march third nineteen eighty five", "the third of march", "yesterday".

use super::Value;
use super::numbers::{small, whole};
use crate::language::Phrase;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const ORDINALS: [&str; 31] = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
    "twenty first",
    "twenty second",
    "twenty third",
    "twenty fourth",
    "twenty fifth",
    "twenty sixth",
    "twenty seventh",
    "twenty eighth",
    "twenty ninth",
    "thirtieth",
    "thirty first",
];
const RELATIVE: [&str; 3] = ["today", "yesterday", "tomorrow"];
/// Days of each month; a February that may have 29.
const LENGTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

pub(super) fn phrase() -> Phrase {
    let (month, day) = (|| Phrase::one_of(&MONTHS), || Phrase::one_of(&ORDINALS));
    let year = Phrase::Sequence(vec![
        Phrase::Choice(vec![
            (0.5, Phrase::plain("nineteen")),
            (0.2, Phrase::plain("twenty")),
            (0.3, Phrase::plain("two thousand")),
        ]),
        super::numbers::below_hundred().or_nothing(),
    ]);
    let american = Phrase::Sequence(vec![month(), day(), year.clone().or_nothing()]);
    let british = Phrase::Sequence(vec![
        Phrase::plain("the").or_nothing(),
        day(),
        Phrase::plain("of").or_nothing(),
        month(),
        year.or_nothing(),
    ]);
    Phrase::Choice(vec![(0.45, american), (0.45, british), (0.1, Phrase::one_of(&RELATIVE))])
}

pub(super) fn read(words: &[&str]) -> Option<Value> {
    if let Some(first) = words.first().filter(|word| RELATIVE.contains(word)) {
        return Some(Value { taken: 1, value: (*first).to_owned() });
    }
    let at = |at: usize| words.get(at..).unwrap_or_default();
    let (month, day, mut taken) = match month(words) {
        Some(month) => {
            let the = usize::from(words.get(1) == Some(&"the"));
            let (day, more) = day(at(1 + the))?;
            (month, day, 1 + the + more)
        }
        None => {
            let the = usize::from(words.first() == Some(&"the"));
            let (day, more) = day(at(the))?;
            let of = usize::from(words.get(the + more) == Some(&"of"));
            (month(at(the + more + of))?, day, the + more + of + 1)
        }
    };
    if day > LENGTHS[month as usize - 1] {
        return None;
    }
    let year = year(at(taken));
    taken += year.map_or(0, |(_, more)| more);
    let value = match year {
        Some((year, _)) if month == 2 && day == 29 && !is_leap(year) => return None,
        Some((year, _)) => format!("{year:04}-{month:02}-{day:02}"),
        None => format!("--{month:02}-{day:02}"),
    };
    Some(Value { taken, value })
}

fn month(words: &[&str]) -> Option<u32> {
    let first = words.first()?;
    MONTHS.iter().position(|month| month == first).map(|place| place as u32 + 1)
}

/// A day of a month: "third", "twenty first", "3", "3rd".
fn day(words: &[&str]) -> Option<(u32, usize)> {
    let first = words.first()?;
    let figures = first.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    if let Ok(day) = figures.parse::<u32>() {
        let ending = &first[figures.len()..];
        let fits = matches!(ending, "" | "st" | "nd" | "rd" | "th") && (1..=31).contains(&day);
        return fits.then_some((day, 1));
    }
    // "Twenty first" before "twentieth" would have it: the longer one first.
    [2, 1].into_iter().find_map(|taken| {
        let name = words.get(..taken)?.join(" ");
        let day = ORDINALS.iter().position(|ordinal| **ordinal == name)?;
        Some((day as u32 + 1, taken))
    })
}

/// A year: "nineteen eighty five", "two thousand and six", "twenty ten", "1985".
fn year(words: &[&str]) -> Option<(u32, usize)> {
    let plausible =
        |(year, taken): (u32, usize)| (1900..2100).contains(&year).then_some((year, taken));
    if let Some(found) = whole(words).and_then(plausible) {
        return Some(found);
    }
    let (century, taken) = match *words.first()? {
        "nineteen" => (1900, 1),
        "twenty" => (2000, 1),
        _ => return None,
    };
    let rest = words.get(taken..).unwrap_or_default();
    // "Nineteen oh five".
    if matches!(rest.first(), Some(&"oh" | &"o")) {
        let (unit, more) = small(rest.get(1..)?)?;
        return (unit < 10).then_some((century + unit, taken + 1 + more));
    }
    let (low, more) = small(rest)?;
    (low >= 10).then_some((century + low, taken + more))
}

fn is_leap(year: u32) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}
