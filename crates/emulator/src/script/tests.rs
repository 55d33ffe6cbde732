//! The script as the session sees it, and the reports on scenario files.

mod bank;
mod spoken;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A small scenario with one of everything.
const SHOP: &str = r#"{
  "name": "shop",
  "start": "open",
  "barge_in": "interrupted",
  "finals": { "after": { "ms": 4000 } },
  "slots": {
    "order": { "kind": "digits", "length": 3, "default": "123" },
    "colour": { "kind": "choice", "values": ["dark red", "red"] }
  },
  "unheard": [{ "say": "I hear no words." }],
  "anywhere": [
    { "when": { "greeting": true }, "do": [{ "say": "Welcome." }] },
    { "when": { "cue": "[Silence" }, "do": [{ "say": "Hello?" }] },
    { "when": { "text": "bye", "dtmf": "9" }, "do": [{ "say": "Bye." }], "goto": "closed" }
  ],
  "states": {
    "open": {
      "turns": [
        { "when": { "turn": 7 }, "do": [{ "say": "The seventh." }] },
        { "when": { "text": "order * {order}", "dtmf": "{order}" }, "do": [
          { "call": { "tool": "track", "input": { "id": "{order}", "note": "of {heard}", "n": 2 } } },
          { "call": { "tool": "weather", "double_encoded": true } }
        ] },
        { "when": { "text": "paint" }, "if": { "colour": null }, "do": [{ "say": "Which colour?" }] },
        { "when": { "text": "paint" }, "unheard": false, "do": [{ "say": "In {colour}." }] },
        { "when": { "text": "in {colour}" }, "unheard": false, "do": [{ "say": "Nice." }] },
        { "when": { "text": "away" }, "unheard": false, "goto": "away" },
        { "when": { "results": ["track", "weather"] }, "if": { "track.found": true },
          "do": [{ "say": ["It is {track.place}. {weather.sky}!", "It is {track.place}."] }], "goto": "away" },
        { "when": { "results": "track" }, "if": { "track.found": false }, "do": [{ "say": "Lost." }] }
      ]
    },
    "away": {
      "turns": [
        { "when": { "any": true }, "do": [{ "pause_ms": 5 }, { "fault": { "kind": "reset" } }], "goto": "open" }
      ]
    },
    "closed": { "end": true }
  }
}"#;

fn script(text: &str) -> Script {
    Script::new(Arc::new(Scenario::parse(text).unwrap()))
}

fn shop() -> Script {
    let mut script = script(SHOP);
    assert_eq!(
        script.hear(Heard::Greeting),
        [
            Step::BargeIn(BargeIn::Interrupted),
            Step::Finals(Finals::After { ms: 4000 }),
            say("Welcome.")
        ]
    );
    script
}

fn say(text: &str) -> Step {
    Step::Say(text.to_owned())
}

const SPEECH: Heard<'_> = Heard::Speech { ms: 900, words: None };

fn answer<'a>(tool: &'a str, result: &'a Value) -> Heard<'a> {
    Heard::ToolResult { tool_use_name: tool, result }
}

#[test]
fn typed_and_recognised_words_take_the_turn_that_fits() {
    let mut script = shop();
    assert_eq!(script.hear(Heard::Text("Paint it, please")), [say("Which colour?")]);
    let spoken = Heard::Speech { ms: 800, words: Some("in dark red") };
    assert_eq!(script.hear(spoken), [say("Nice.")]);
    assert_eq!(script.hear(Heard::Text("paint")), [say("In dark red.")]);
    assert_eq!(script.hear(Heard::Text("what?")), [say(HELPLESS)]);
}

#[test]
fn a_turn_can_be_chosen_by_its_number() {
    let mut script = shop();
    for _ in 0..6 {
        script.hear(Heard::Text("paint"));
        // Neither cues nor short sounds are turns.
        assert_eq!(script.hear(Heard::Text(" [silence for a while]")), [say("Hello?")]);
        assert_eq!(script.hear(Heard::Speech { ms: 299, words: None }), []);
    }
    assert_eq!(script.hear(Heard::Text("paint")), [say("The seventh.")]);
}

#[test]
fn speech_without_words_goes_through_the_turns_of_the_state_and_says_so_once() {
    let mut script = shop();
    let calls = script.hear(SPEECH);
    assert_eq!(calls[0], say("I hear no words."));
    assert!(matches!(&calls[1], Step::Call { input, .. } if input["id"] == "123"));
    assert_eq!(script.hear(SPEECH), [say("Which colour?")]);
    // The other turns are not for speech without words: round again.
    assert!(matches!(script.hear(SPEECH)[0], Step::Call { .. }));
}

#[test]
fn keys_take_turns_and_fill_slots() {
    let mut script = shop();
    let steps = script.hear(Heard::Dtmf("456#"));
    assert!(matches!(&steps[0], Step::Call { input, .. } if input["id"] == "456"));
    assert_eq!(script.hear(Heard::Dtmf("9")), [say("Bye."), Step::End]);
}

#[test]
fn parallel_calls_are_answered_together() {
    let mut script = shop();
    assert_eq!(
        script.hear(Heard::Text("Where is order number 1 2 3?")),
        [
            Step::Call {
                tool: "track".to_owned(),
                input: json!({"id": "123", "note": "of Where is order number 1 2 3?", "n": 2}),
                double_encoded: false
            },
            Step::Call { tool: "weather".to_owned(), input: json!({}), double_encoded: true }
        ]
    );
    assert_eq!(script.hear(answer("track", &json!({"found": true, "place": "near"}))), []);
    assert_eq!(
        script.hear(answer("weather", &json!({"sky": "Sun"}))),
        [say("It is near."), say("Sun!")]
    );
    // That turn led to `away`.
    assert_eq!(
        script.hear(SPEECH),
        [Step::Pause { ms: 5 }, Step::Fault(FaultStep { kind: FaultKind::Reset, message: None })]
    );
}

#[test]
fn a_missing_value_takes_the_next_alternative() {
    let mut script = shop();
    script.hear(Heard::Text("order 123"));
    script.hear(answer("weather", &json!({"error": "no sky"})));
    assert_eq!(
        script.hear(answer("track", &json!({"found": true, "place": "near"}))),
        [say("It is near.")]
    );
}

#[test]
fn a_late_result_is_answered_where_the_caller_is_now() {
    let mut script = shop();
    script.hear(Heard::Text("order 123"));
    assert_eq!(script.hear(Heard::Text("go away")), []);
    assert_eq!(script.hear(answer("track", &json!({"found": false}))), [say("Lost.")]);
    // Still away: what is heard next proves it.
    assert!(matches!(script.hear(Heard::Text("hm"))[1], Step::Fault(_)));
}

#[test]
fn a_result_nobody_waits_for_changes_nothing() {
    assert_eq!(shop().hear(answer("track", &json!("x"))), []);
    assert_eq!(shop().hear(answer("stranger", &json!(null))), []);
}

#[test]
fn after_the_end_there_is_silence() {
    let mut script = shop();
    assert_eq!(script.hear(Heard::Text("bye")), [say("Bye."), Step::End]);
    for heard in [Heard::Text("hello"), SPEECH, Heard::Dtmf("9"), Heard::Greeting] {
        assert_eq!(script.hear(heard), []);
    }
}

#[test]
fn texts_are_said_sentence_by_sentence() {
    let split = |text| sentences(text).collect::<Vec<_>>();
    assert_eq!(split(" One. Two?  Three! "), ["One.", "Two?", "Three!"]);
    assert_eq!(split("It is 2,481.36 euros, e.g. now."), ["It is 2,481.36 euros, e.g. now."]);
    assert_eq!(split("So. 3 left"), ["So.", "3 left"]);
    assert_eq!(split("  "), Vec::<&str>::new());
}

/// What is said, calls in brackets.
fn talk(script: &mut Script, heard: Heard<'_>) -> String {
    let said = script.hear(heard).into_iter().map(|step| match step {
        Step::Say(text) => text,
        Step::Call { tool, input, .. } => format!("[{tool} {input}]"),
        other => format!("[{other:?}]"),
    });
    said.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_scenario_of_the_folder_is_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            names.push(Scenario::load(&path).unwrap_or_else(|e| panic!("{e}")).name().to_owned());
        }
    }
    names.sort();
    assert_eq!(names, ["banking", "faults"]);
    assert_eq!(Scenario::default().name(), "banking");
}

#[test]
fn the_example_of_the_readme_is_sound() {
    let readme = include_str!("../../scenarios/README.md");
    let example = readme.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(Scenario::parse(example).unwrap_or_else(|e| panic!("{e}")).name(), "shop");
}

#[test]
fn two_tools_of_the_faults_scenario_are_answered_together() {
    let faults = include_str!("../../scenarios/faults.json");
    let mut script = script(faults);
    script.hear(Heard::Text("two tools"));
    assert_eq!(talk(&mut script, answer("find_branch", &json!({"city": "Berlin"}))), "");
    assert_eq!(
        talk(&mut script, answer("get_account_balance", &json!({"balance": 1.5}))),
        "Both answered: 1.50 and Berlin."
    );
    assert_eq!(talk(&mut script, Heard::Text("well well")), "You said well well.");
}

/// The report on a file, as `line:column: pointer: message` lines.
fn report(text: &str) -> Vec<String> {
    let error = Scenario::parse(text).unwrap_err();
    error.problems().iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_of_the_wrong_shape_is_refused_with_place_and_path() {
    assert_eq!(
        report("{\n \"name\": \"x\",\n \"start\": 7 }"),
        ["3:11: /start: invalid type: integer `7`, expected a string"]
    );
    let wrong = SHOP.replace("\"turn\": 7", "\"trun\": 7");
    let [line] = &report(&wrong)[..] else { panic!("one problem expected") };
    assert!(line.contains("/states/open/turns/0/when/trun: unknown field `trun`"), "{line}");
    assert!(
        report(r#"{"name":"x","start":"a","states":{"a":{"end":true},"a":{}}}"#)[0]
            .contains("`a` is there twice")
    );
    assert!(report("")[0].contains("EOF"));
    let trailing = format!("{SHOP} x");
    assert!(report(&trailing)[0].contains("trailing characters"));
}

#[test]
fn every_problem_of_a_file_is_reported_where_it_is() {
    let found = report(
        r#"{
  "name": " ",
  "start": "opne",
  "slots": { "heard": { "kind": "words", "length": 3 }, "c": { "kind": "choice" } },
  "anywhere": [
    { "when": {}, "do": [{ "say": "Hi {nobody}" }] }
  ],
  "states": {
    "open": {
      "turns": [
        { "when": { "text": "*" }, "goto": "nowhere" },
        { "when": { "dtmf": ["x", "{c}"] } },
        { "when": { "results": "t" }, "if": { "t.x": [] }, "do": [{ "set": { "zzz": "" } }] }
      ]
    },
    "island": { "turns": [{ "when": { "turn": 0 }, "do": [{ "say": "" }] }] }
  }
}"#,
    );
    let expected = [
        "2:11: /name: a scenario needs a name",
        "3:12: /start: there is no state `opne`",
        "4:23: /slots/heard: `heard` is a name of the templates' own",
        "4:52: /slots/heard/length: `length` belongs to slots of kind `digits`",
        "4:62: /slots/c: a choice needs `values`",
        "6:15: /anywhere/0/when: nothing triggers this turn",
        "6:35: /anywhere/0/do/0/say/0: there is no slot `nobody`",
        "11:29: /states/open/turns/0/when/text/0: the pattern fits everything",
        "11:44: /states/open/turns/0/goto: there is no state `nowhere`",
        "12:9: /states/open/turns/1: the turn does nothing",
        "12:30: /states/open/turns/1/when/dtmf/0: `x` are no keys",
        "12:35: /states/open/turns/1/when/dtmf/1: keys fill only slots",
        "13:32: /states/open/turns/2/when/results/0: nothing in this scenario calls `t`",
        "13:54: /states/open/turns/2/if/t.x: expected a text",
        "13:54: /states/open/turns/2/if/t.x: nothing in this scenario calls `t`",
        "13:85: /states/open/turns/2/do/0/set/zzz: there is no slot `zzz`",
        "16:15: /states/island: no turn leads out of this state",
        "16:47: /states/island/turns/0/when/turn: turns are counted from 1",
        "16:68: /states/island/turns/0/do/0/say: there is nothing to say",
    ];
    let wrong: Vec<_> = found.iter().zip(expected).filter(|(f, e)| !f.starts_with(e)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn a_state_nobody_reaches_is_reported() {
    let island = SHOP.replace("\"closed\": {", "\"island\": { \"end\": true }, \"closed\": {");
    let [line] = &report(&island)[..] else { panic!("one problem expected") };
    assert!(line.ends_with("/states/island: no turn leads to this state from the start"), "{line}");
}

#[test]
fn a_report_names_the_file() {
    let error = Scenario::load("no/such/file.json").unwrap_err();
    assert!(error.to_string().contains("no/such/file.json"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "{}").unwrap();
    let error = Scenario::load(file.path()).unwrap_err().to_string();
    let name = file.path().display().to_string();
    assert!(error.contains(&format!("\n{name}:1:2: : missing field")), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_heard_the_bank_does_not_panic(heard in prop::collection::vec(
        prop_oneof![
            "(balance|4021|no|branch in|paris|bye|\\[The caller has been silent|.{0,20}| ){1,6}",
            "[0-9*#]{0,6}",
            Just(String::new()),
        ], 0..20))
    {
        let mut script = Script::new(Arc::new(Scenario::default()));
        for (index, text) in heard.iter().enumerate() {
            match index % 4 {
                0 => script.hear(Heard::Text(text)),
                1 => script.hear(Heard::Dtmf(text)),
                2 => script.hear(answer("get_account_balance", &json!(text))),
                _ => script.hear(SPEECH),
            };
        }
    }
}
