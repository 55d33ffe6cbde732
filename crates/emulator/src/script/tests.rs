//! The script as the session sees it, and the reports on scenario files.

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

/// The demo bank with its tools: every call is answered as the files in `tools/` would.
struct Bank {
    script: Script,
    /// The tools that were called, in order; workflow tools with their argument.
    called: Vec<String>,
}

impl Bank {
    fn new() -> Self {
        Self { script: Script::new(Arc::new(Scenario::default())), called: Vec::new() }
    }

    /// What is said until the bank waits for the caller.
    fn hear(&mut self, heard: Heard<'_>) -> String {
        let mut said = Vec::new();
        let mut open: std::collections::VecDeque<_> = self.script.hear(heard).into();
        while let Some(step) = open.pop_front() {
            match step {
                Step::Say(text) => said.push(text),
                Step::Call { tool, input, .. } => {
                    let argument = input.get("edge").or(input.get("workflowId"));
                    self.called.push(match argument.and_then(Value::as_str) {
                        Some(argument) => format!("{tool}:{argument}"),
                        None => tool.clone(),
                    });
                    let result = Self::result(&tool, &input);
                    let next = self.script.hear(answer(&tool, &result));
                    // A model that says nothing to a result would leave its turn open.
                    assert_ne!(next, [], "{tool} {input}");
                    open.extend(next);
                }
                _ => {}
            }
        }
        said.join(" ")
    }

    fn text(&mut self, text: &str) -> String {
        self.hear(Heard::Text(text))
    }

    /// The tools called since this was asked before.
    fn called(&mut self) -> Vec<String> {
        std::mem::take(&mut self.called)
    }

    /// The first row that fits, without templates; what the scenario needs of it.
    fn result(tool: &str, input: &Value) -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tools/{tool}.json"));
        let Ok(file) = std::fs::read_to_string(path) else { return json!({"ok": true}) };
        let file: Value = serde_json::from_str(&file).unwrap();
        let table = &file["execute"];
        let fits = |row: &&Value| {
            let wanted = row["match"].as_object().into_iter().flatten();
            wanted.into_iter().all(|(name, value)| match value {
                Value::Array(values) => values.contains(&input[name]),
                value => *value == input[name],
            })
        };
        let row = table["rows"].as_array().and_then(|rows| rows.iter().find(fits));
        let row = row.unwrap_or(&table["default"]);
        match row.get("result") {
            Some(result) => result.clone(),
            None => json!({"error": row["fail"]}),
        }
    }
}

#[test]
fn the_bank_tells_a_balance_only_after_the_identity_check() {
    let mut bank = Bank::new();
    assert!(bank.hear(Heard::Greeting).starts_with("Hello, this is Anna"));
    assert!(bank.text("What's my balance?").contains("account number"));
    assert!(bank.text("it's four oh two one").contains("security code"));
    assert_eq!(bank.called(), ["start_workflow:banking"]);
    assert_eq!(
        bank.text("1188"),
        "Thank you. One moment, please. Your current account ending in 4 0 2 1 holds 2,481.36 \
         euros. Is there anything else I can do for you?"
    );
    let after = [
        "advance_workflow:verify",
        "verify_identity",
        "advance_workflow:wish",
        "advance_workflow:balance",
        "get_account_balance",
    ];
    assert_eq!(bank.called(), after);
    assert!(bank.text("And the latest transactions?").contains("Cloudgate Electronics"));
    let known = ["advance_workflow:wish", "advance_workflow:transactions"];
    assert_eq!(bank.called()[..2], known, "the identity is remembered");
    bank.called();
    assert!(bank.text("No").contains("Goodbye"));
    assert_eq!(bank.called(), ["advance_workflow:done", "end_call"]);
}

#[test]
fn the_bank_takes_both_numbers_at_once_and_from_the_keys() {
    let mut bank = Bank::new();
    assert!(bank.text("My account is 7734").contains("security code"));
    assert!(bank.hear(Heard::Dtmf("5602#")).contains("7 7 3 4 holds 15,900 euros"));
    let mut bank = Bank::new();
    bank.hear(Heard::Dtmf("2"));
    assert!(bank.text("4021 and the code is 1188").contains("Nordmark"));
}

#[test]
fn the_bank_files_a_dispute_and_hands_over() {
    let mut bank = Bank::new();
    assert!(bank.text("There is a charge I do not recognise").contains("account number"));
    assert!(bank.text("4021").contains("security code"));
    assert!(bank.text("1188").contains("Which of them do you not recognise?"));
    assert!(bank.text("The one from Cloudgate").contains("minus 189 euros"));
    assert!(bank.text("Yes please").contains("The reference number is D 7 0 4 1 5."));
    assert!(bank.text("Can I talk to a person?").contains("connecting you to a colleague"));
    let path = [
        "start_workflow:dispute",
        "advance_workflow:verify",
        "verify_identity",
        "advance_workflow:find",
        "get_recent_transactions",
        "advance_workflow:confirm",
        "advance_workflow:file",
        "dispute_transaction",
        "advance_workflow:handover",
        "transfer_to_agent",
    ];
    assert_eq!(bank.called(), path);
    assert_eq!(bank.text("hello?"), "");
}

#[test]
fn after_a_dispute_the_bank_goes_on_with_something_else() {
    let mut bank = Bank::new();
    for text in ["I want to dispute a payment", "4021", "1188", "the second", "yes"] {
        bank.text(text);
    }
    bank.called();
    assert!(bank.text("And my balance").contains("2,481.36"));
    assert_eq!(bank.called()[..2], ["start_workflow:banking", "advance_workflow:verify"]);
    assert!(bank.text("Another payment is wrong").contains("Which of them"));
    assert!(bank.text("cancel").contains("file nothing"));
    assert!(bank.text("I lost my card").contains("stays blocked"));
    assert!(bank.text("yes, do it now").contains("ending in 6 6 5 0 is blocked"));
    assert!(bank.called().contains(&"block_card".to_owned()));
}

#[test]
fn asking_kindly_for_a_person_agrees_to_nothing() {
    let mut bank = Bank::new();
    for text in ["I want to dispute a payment", "4021", "1188", "the second"] {
        bank.text(text);
    }
    assert!(bank.text("A person, please").contains("connecting you"));
    assert!(!bank.called().contains(&"dispute_transaction".to_owned()));
}

#[test]
fn three_wrong_codes_lead_to_a_human() {
    let mut bank = Bank::new();
    bank.text("What is my balance?");
    for round in 1..=3 {
        bank.text("4021");
        let said = bank.text("0000");
        if round < 3 {
            assert!(said.contains("Would you like to try"), "{said}");
            bank.text("yes");
        } else {
            assert!(said.contains("A colleague will help you."), "{said}");
        }
    }
    let called = bank.called();
    assert!(!called.contains(&"get_account_balance".to_owned()));
    assert_eq!(called.last().map(String::as_str), Some("transfer_to_agent"));
    let mut bank = Bank::new();
    let offer = "[Offer the caller a human agent: the caller is upset. Ask …]";
    assert!(bank.text(offer).contains("connect you to a colleague?"));
    assert!(bank.text("Yes").contains("connecting you"));
    let mut bank = Bank::new();
    for text in ["balance", "4021", "9999"] {
        bank.text(text);
    }
    assert!(bank.text("No").contains("Shall I connect you"));
    assert!(bank.text("yes").contains("connecting you"));
}

#[test]
fn the_bank_knows_branches_rates_and_loans_without_a_check() {
    let mut bank = Bank::new();
    assert!(bank.text("when is your branch in New York open").contains("311 Harbor Avenue"));
    assert!(bank.text("What are your mortgage rates?").contains("10 years 3.6 percent"));
    assert!(bank.text("I need a loan").contains("How much"));
    assert!(bank.text("10,000 euros").contains("305.85 euros a month"));
    assert!(bank.text("purple elephants").contains("did not understand"));
    assert_eq!(bank.called(), ["find_branch", "get_mortgage_rates", "estimate_loan"]);
    assert!(bank.text("[The caller has been silent for a while.]").contains("still there"));
    assert!(bank.text("Good bye!").contains("Goodbye"));
}

#[test]
fn a_tool_that_fails_is_no_dead_end() {
    let mut script = Script::new(Arc::new(Scenario::default()));
    let mut hear = |heard| talk(&mut script, heard);
    let error = json!({"error": "not available"});
    hear(Heard::Text("balance"));
    assert!(hear(answer("start_workflow", &error)).contains("account number"));
    hear(Heard::Text("4021"));
    hear(Heard::Text("1188"));
    // A refused step does not keep the bank from trying; what it may not do, it does not tell.
    let check = hear(answer("advance_workflow", &error));
    assert!(check.contains(r#"[verify_identity {"accountId":"4021","securityCode":"1188"}]"#));
    assert!(hear(answer("verify_identity", &error)).contains("[start_workflow"));
    assert!(hear(answer("start_workflow", &error)).contains("once more"));
    assert!(hear(Heard::Text("4021")).contains("security code"));
}

#[test]
fn the_bank_can_be_shown_to_somebody_it_does_not_understand() {
    let mut bank = Bank::new();
    let said: Vec<_> = (0..7).map(|_| bank.hear(SPEECH)).collect();
    assert!(said[0].contains("cannot make out your words") && said[0].contains("account number"));
    for (index, words) in [
        (1, "security code"),
        (2, "2,481.36"),
        (3, "Which of them"),
        (4, "Cloudgate"),
        (5, "D 7 0 4 1 5"),
        (6, "colleague"),
    ] {
        assert!(said[index].contains(words), "{index}: {said:#?}");
    }
    let called = bank.called();
    let nested = ["advance_workflow:dispute", "advance_workflow:find"];
    assert!(called.windows(2).any(|pair| pair == nested), "{called:?}");
    assert_eq!(called.last().map(String::as_str), Some("transfer_to_agent"));
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
fn the_bank_calls_only_tools_of_the_demo_with_arguments_they_know() {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools");
    let scenario: Value = serde_json::from_str(BANKING).unwrap();
    let mut open = vec![&scenario];
    while let Some(value) = open.pop() {
        if let Some(call) = value.get("call") {
            let name = call["tool"].as_str().unwrap();
            // The engine's own, offered without a file.
            let own = [("start_workflow", "workflowId"), ("advance_workflow", "edge")];
            if let Some((_, argument)) = own.iter().find(|(own, _)| *own == name) {
                let input = call["input"].as_object().unwrap();
                assert_eq!(input.keys().collect::<Vec<_>>(), [argument]);
                open.extend(input.values());
                continue;
            }
            let file = std::fs::read_to_string(tools.join(format!("{name}.json"))).unwrap();
            let tool: Value = serde_json::from_str(&file).unwrap();
            for argument in call["input"].as_object().into_iter().flatten() {
                let known = &tool["input_schema"]["properties"][argument.0.as_str()];
                assert!(known.is_object(), "{name} has no {}", argument.0);
            }
        }
        match value {
            Value::Object(members) => open.extend(members.values()),
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
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

#[test]
fn every_state_of_the_bank_in_which_somebody_answers_has_phrases() {
    let bank = Scenario::default();
    let phrases = bank.phrases();
    for state in ["open", "account", "code", "which", "confirm", "offer", "card", "loan", "branch"]
    {
        assert!(phrases[state].len() > phrases["filing"].len(), "{state}");
    }
}
