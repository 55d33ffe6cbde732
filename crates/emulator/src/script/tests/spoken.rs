//! Phrases, and what is recognised of them.

use super::*;

const SPOKEN: &str = r#"{
  "name": "spoken",
  "start": "open",
  "slots": {
    "account": { "kind": "digits", "length": 4 },
    "sum": { "kind": "amount" },
    "city": { "kind": "words" }
  },
  "phrases": ["goodbye|bye"],
  "sounds": { "cloudgate": "cloud gate" },
  "anywhere": [{ "when": { "text": "goodbye|bye" }, "do": [{ "say": "Bye." }], "goto": "closed" }],
  "states": {
    "open": {
      "phrases": ["pay {sum}", "my (number|account) is {account}"],
      "turns": [
        { "when": { "text": "pay {sum}" }, "do": [{ "say": "I pay {sum}." }] },
        { "when": { "text": "number|account * {account}" }, "do": [{ "say": "{account|spell}." }] }
      ],
      "otherwise": [{ "say": "Pay, or tell me your number." }]
    },
    "closed": { "end": true }
  }
}"#;

fn spoken(script: &mut Script, words: &str) -> Vec<Step> {
    script.hear(Heard::Speech { ms: 900, words: Some(words) })
}

#[test]
fn spoken_values_are_read_as_people_say_them() {
    let mut script = Script::new(Arc::new(Scenario::parse(SPOKEN).unwrap()));
    let say = |text: &str| vec![Step::Say(text.to_owned())];
    assert_eq!(spoken(&mut script, "pay eighty nine euros ninety"), say("I pay 89.90."));
    assert_eq!(spoken(&mut script, "my number is double four oh one"), say("4 4 0 1."));
}

#[test]
fn what_is_not_clear_is_asked_for_again_and_does_nothing() {
    let mut script = Script::new(Arc::new(Scenario::parse(SPOKEN).unwrap()));
    let unclear = Heard::Unclear { ms: 900 };
    let again = "Sorry, I did not catch that.";
    let Some(Step::Say(first)) = script.hear(unclear).into_iter().next() else { panic!("silence") };
    assert_eq!(first, again);
    // The second time the caller hears what can be said.
    let steps = script.hear(unclear);
    assert_eq!(steps.last(), Some(&Step::Say("Pay, or tell me your number.".to_owned())));
    assert_eq!(script.place(), "open");
    spoken(&mut script, "bye");
    assert_eq!(script.hear(unclear), []);
    assert_eq!(script.hear(Heard::Unclear { ms: 100 }), []);
}

#[test]
fn phrases_that_nothing_answers_are_problems() {
    let problem = |from: &str, to: &str| {
        let text = SPOKEN.replace(from, to);
        assert_ne!(text, SPOKEN);
        Scenario::parse(&text).unwrap_err().to_string()
    };
    let found = problem("\"pay {sum}\", ", "\"pay {sum}\", \"pay (it|{sum})\", ");
    assert!(found.contains("no pattern fits this phrase when it is said `pay it`"), "{found}");
    let found = problem("\"goodbye|bye\"],", "\"goodbye 2\"],");
    assert!(
        found.contains("/phrases") && found.contains("expected a word as it is spoken"),
        "{found}"
    );
    let found = problem("\"pay {sum}\", ", "\"pay in {city}\", ");
    assert!(found.contains("`city` takes any words"), "{found}");
    let found = problem("cloud gate", "cloud 9");
    assert!(found.contains("words that sound like it"), "{found}");
}
