//! The demo bank, played as a caller would play it.

use super::*;

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
fn every_state_of_the_bank_in_which_somebody_answers_has_phrases() {
    let bank = Scenario::default();
    let phrases = bank.phrases();
    for state in ["open", "account", "code", "which", "confirm", "offer", "card", "loan", "branch"]
    {
        assert!(phrases[state].len() > phrases["filing"].len(), "{state}");
    }
}
