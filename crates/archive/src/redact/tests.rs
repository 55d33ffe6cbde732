//! The corpus: what must go, and what looks like it and must stay.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Text, and the mark that must be in the place of the whole number.
const GO: &[(&str, &str)] = &[
    ("My card is 4111 1111 1111 1111.", "My card is [card number]."),
    ("4111111111111111", "[card number]"),
    ("Amex 3782 822463 10005 please", "Amex [card number] please"),
    ("It's 5500-0000-0000-0004, thanks", "It's [card number], thanks"),
    ("2223003122003222 is the new range", "[card number] is the new range"),
    ("four one one one one one one one one one one one one one one one", "[card number]"),
    (
        "Sure, it's four triple one, quadruple? no: four triple one, double one double one, \
         double one double one, one one one one",
        "Sure, it's four triple one, quadruple? no: [card number]",
    ),
    ("five five oh oh, oh oh oh oh, oh oh oh oh, oh oh oh four", "[card number]"),
    (
        "vier eins eins eins eins eins eins eins eins eins eins eins eins eins eins eins",
        "[card number]",
    ),
    ("my IBAN is GB29 NWBK 6016 1331 9268 19", "my IBAN is [IBAN]"),
    ("DE89370400440532013000", "[IBAN]"),
    (
        "G B two nine N W B K six oh one six one three three one nine two six eight one nine",
        "[IBAN]",
    ),
    ("Sort code 20-00-00, account 55779911", "Sort code [account], account [account]"),
    (
        "my account number is five five double seven double nine double one",
        "my account number is [account]",
    ),
    ("sort code two oh, oh oh, oh oh", "sort code [account]"),
    ("Kontonummer 532013000", "Kontonummer [account]"),
    ("write to ann.b@example.co.uk today", "write to [e-mail] today"),
    ("john dot smith at example dot com", "[e-mail]"),
    ("it's ann underscore lee at mail dot example dot org okay", "it's [e-mail] okay"),
    ("call +44 20 7946 0958", "call [phone]"),
    ("I'm on 020 7946 0958", "I'm on [phone]"),
    ("my mobile is oh seven seven double oh nine double oh one two three", "my mobile is [phone]"),
    ("(212) 555-0123", "[phone]"),
    ("meine Handynummer 0151 23456789", "meine Handynummer [phone]"),
];

const STAY: &[&str] = &[
    "order 4111 1111 1111 1112",
    "reference 1234567890123",
    "I paid 1,250.00 pounds on 26 November 2026",
    "on 2026-11-26 at 14:30",
    "my account was opened on 26.11.2026",
    "sort it by code, 20 of them",
    "flight BA 2490 to LHR",
    "room 101, floor 3",
    "I have one or two questions about three loans",
    "0000 0000 0000 0000",
    "meet me at noon at the dot com office",
    "look at that",
    "the account has 3 cards",
    "twenty five thousand pounds over twelve years at five point two percent",
    "ticket 555123",
    "GB29 NWBK 6016 1331 9268 18 is not valid",
];

#[test]
fn what_must_go_goes() {
    for (text, clean) in GO {
        assert_eq!(Redactor::default().text(text), *clean, "{text}");
    }
}

#[test]
fn what_only_looks_like_it_stays() {
    for text in STAY {
        assert_eq!(Redactor::default().text(text), *text);
    }
}

#[test]
fn json_is_cleaned_all_through() {
    let mut value = json!({"card": 4111111111111111_u64, "list": ["ann@example.com", 7],
        "deep": {"n": "4111 1111 1111 1111"}, "sum": 1234});
    Redactor::default().value(&mut value);
    assert_eq!(
        value,
        json!({"card": "[card number]", "list": ["[e-mail]", 7],
            "deep": {"n": "[card number]"}, "sum": 1234})
    );
}

#[test]
fn a_key_says_what_a_number_is() {
    let mut value = json!({"sortCode": "20-00-00", "account_number": 55779911, "accountId": "4021",
        "phoneNumber": "151 2345678", "amount": 123456, "openedOn": "2026-11-26", "accountBalance": 1234567,
        "account": {"opened": "26.11.2026", "balance": "1200.50"}});
    Redactor::default().value(&mut value);
    assert_eq!(
        value,
        json!({"sortCode": "[account]", "account_number": "[account]", "accountId": "4021",
            "phoneNumber": "[phone]", "amount": 123456, "openedOn": "2026-11-26", "accountBalance": 1234567,
            "account": {"opened": "26.11.2026", "balance": "1200.50"}})
    );
}

#[test]
fn operators_have_rules_of_their_own() {
    let rules = vec![CustomRule::new("policy", r"\bPOL-\d{6}\b").expect("a pattern")];
    assert_eq!(Redactor::new(rules).text("It is POL-123456."), "It is [policy].");
    assert!(CustomRule::new("bad", "(").is_err());
    assert_eq!(Redactor::off().text("4111111111111111"), "4111111111111111");
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,200}") {
        let _ = Redactor::default().text(&text);
    }

    #[test]
    fn every_card_number_goes_however_it_is_grouped(
        digits in proptest::collection::vec(0_u8..10, 15),
        separators in proptest::collection::vec(prop_oneof![Just(""), Just(" "), Just("-")], 16),
    ) {
        let mut number: Vec<u8> = std::iter::once(4).chain(digits.into_iter().take(14)).collect();
        let check = (0..10).find(|check| {
            let text: String = number.iter().chain([check]).map(|d| char::from(b'0' + d)).collect();
            checks::is_card(&text)
        });
        number.push(check.expect("one of ten fits"));
        let grouped: String = number
            .iter()
            .zip(&separators)
            .map(|(digit, separator)| format!("{digit}{separator}"))
            .collect();
        let said = format!("it is {} okay", grouped.trim_end_matches(['-', ' ']));
        let clean = Redactor::default().text(&said).into_owned();
        prop_assert_eq!(clean, "it is [card number] okay");
    }
}
