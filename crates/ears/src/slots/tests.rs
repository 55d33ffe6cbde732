//! What people say, what people type, and what it means.

use proptest::prelude::*;

use super::*;

/// The longest value at the start of a text, and the words that are left.
fn read(slot: Slot, text: &str) -> Option<(String, String)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let found = slot.read(&words).into_iter().next()?;
    Some((found.value, words[found.taken..].join(" ")))
}

fn value(slot: Slot, text: &str) -> String {
    match read(slot, text) {
        Some((value, rest)) if rest.is_empty() => value,
        other => format!("{other:?}"),
    }
}

#[test]
fn digits_are_read_one_by_one_and_doubled() {
    let digits = |text| value(Slot::Digits { length: None }, text);
    assert_eq!(digits("four oh two one"), "4021");
    assert_eq!(digits("double four zero triple seven"), "440777");
    assert_eq!(digits("40 two 1"), "4021");
    assert_eq!(digits("o double 5"), "055");
    assert_eq!(read(Slot::Digits { length: None }, "double trouble"), None);
    assert_eq!(read(Slot::Digits { length: None }, "twelve"), None);
}

#[test]
fn a_fixed_number_of_digits_is_exact() {
    let four = Slot::Digits { length: Some(4) };
    assert_eq!(read(four, "four oh two one please"), Some(("4021".into(), "please".into())));
    assert_eq!(read(four, "four oh two"), None);
    // The first four are a value too; who asks decides by what follows.
    assert_eq!(read(four, "four oh two one nine"), Some(("4021".into(), "nine".into())));
    assert_eq!(read(four, "4 0 2 double one"), None);
    assert_eq!(value(Slot::SortCode, "two oh dash four five dash five three"), "204553");
    assert_eq!(value(Slot::SortCode, "20 45 53"), "204553");
    assert_eq!(value(Slot::AccountNumber, "double one two three four five six seven"), "11234567");
}

#[test]
fn numbers_and_amounts_are_added_up() {
    let number = |text| value(Slot::Number, text);
    assert_eq!(number("seventeen"), "17");
    assert_eq!(number("two hundred and five"), "205");
    assert_eq!(number("ten thousand"), "10000");
    assert_eq!(number("a hundred thousand two hundred"), "100200");
    assert_eq!(number("20 thousand"), "20000");
    assert_eq!(read(Slot::Number, "a payment"), None);
    assert_eq!(read(Slot::Number, "two three"), Some(("2".into(), "three".into())));
    let amount = |text| value(Slot::Amount, text);
    assert_eq!(amount("two hundred dollars"), "200");
    assert_eq!(amount("eighty nine euros ninety"), "89.90");
    assert_eq!(amount("eighty nine euros and five cents"), "89.05");
    assert_eq!(amount("fifty pence"), "0.50");
    assert_eq!(amount("twelve point five oh"), "12.50");
    assert_eq!(
        read(Slot::Amount, "ten pounds and two more"),
        Some(("10".into(), "and two more".into()))
    );
}

#[test]
fn dates_are_days_that_exist() {
    let date = |text| value(Slot::Date, text);
    assert_eq!(date("march third nineteen eighty five"), "1985-03-03");
    assert_eq!(date("the twenty first of december two thousand and six"), "2006-12-21");
    assert_eq!(date("may the fourth"), "--05-04");
    assert_eq!(date("3rd march 2020"), "2020-03-03");
    assert_eq!(date("july fourth nineteen oh five"), "1905-07-04");
    assert_eq!(date("august thirtieth twenty ten"), "2010-08-30");
    assert_eq!(date("yesterday"), "yesterday");
    assert_eq!(read(Slot::Date, "february thirtieth"), None);
    assert_eq!(read(Slot::Date, "february twenty ninth nineteen eighty five"), None);
    assert_eq!(read(Slot::Date, "march"), None);
}

#[test]
fn yes_and_no_are_told_apart() {
    let answer = |text| read(Slot::YesNo, text).map(|(value, _)| value);
    for yes in ["yes", "yeah please", "sure", "that is correct", "ok", "it is right"] {
        assert_eq!(answer(yes).as_deref(), Some("yes"), "{yes}");
    }
    for no in ["no", "nope", "that is not right", "thats wrong", "never"] {
        assert_eq!(answer(no).as_deref(), Some("no"), "{no}");
    }
    assert_eq!(answer("maybe"), None);
    assert_eq!(answer("that"), None);
}

const SLOTS: [Slot; 7] = [
    Slot::Digits { length: Some(4) },
    Slot::SortCode,
    Slot::AccountNumber,
    Slot::Number,
    Slot::Amount,
    Slot::Date,
    Slot::YesNo,
];

proptest! {
    #[test]
    fn what_a_slot_expects_it_can_read(picks in prop::collection::vec(0..1000_usize, 64)) {
        for slot in [Slot::Digits { length: None }, Slot::Number, Slot::Amount, Slot::YesNo] {
            let (mut said, mut picks) = (Vec::new(), picks.iter().cycle());
            slot.phrase().sample(&mut |below| picks.next().unwrap() % below, &mut said);
            let words: Vec<&str> = said.iter().map(String::as_str).collect();
            prop_assert!(!slot.read(&words).is_empty(), "{slot:?}: {said:?}");
        }
    }

    #[test]
    fn values_take_words_that_are_there(
        words in prop::collection::vec("(double|oh|one|2|19|hundred|thousand|and|a|point|dollars|\
            cents|march|the|third|of|twenty|first|nineteen|that|is|not|yes|dash|é|)", 0..9),
    ) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for slot in SLOTS {
            for found in slot.read(&words) {
                prop_assert!((1..=words.len()).contains(&found.taken), "{slot:?}: {found:?}");
            }
        }
    }
}
