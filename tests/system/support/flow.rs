//! A contact flow of Amazon Connect: checked, and run against the bridge.
//!
//! [`problems`] knows what Connect would refuse and what would leave a caller in silence
//! (connect-kvs.md §4); [`run`] goes from action to action as Connect does. Its functions are the
//! real binaries ([`Functions`]).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{contact::Phone, functions::Functions};

/// Limits of the language.
const MOST_ACTIONS: usize = 250;
const LONGEST_CONTENT: usize = 256_000;
const LONGEST_ID: usize = 50;
const NOT_IN_IDS: &str = "%:(\\/)=$,;[]{}";

/// Errors that an action of a type has to lead on from.
const REQUIRED: [(&str, &[&str]); 10] = [
    ("CheckHoursOfOperation", &["NoMatchingError"]),
    ("UpdateContactMediaStreamingBehavior", &["NoMatchingError"]),
    ("InvokeLambdaFunction", &["NoMatchingError"]),
    ("MessageParticipant", &["NoMatchingError"]),
    ("UpdateContactAttributes", &["NoMatchingError"]),
    ("UpdateContactTargetQueue", &["NoMatchingError"]),
    ("TransferContactToQueue", &["NoMatchingError", "QueueAtCapacity"]),
    ("Compare", &["NoMatchingCondition"]),
    ("Loop", &[]),
    ("DisconnectParticipant", &[]),
];

type Actions = BTreeMap<String, Value>;

fn actions(flow: &Value) -> Actions {
    let all = flow["Actions"].as_array().into_iter().flatten();
    all.map(|a| (a["Identifier"].as_str().unwrap_or_default().to_owned(), a.clone())).collect()
}

/// Where an action leads: targets, each with the error or condition, or nothing for the next.
fn targets(action: &Value) -> Vec<(String, String)> {
    let transitions = &action["Transitions"];
    let of = |list: &str| transitions[list].as_array().cloned().unwrap_or_default();
    let target = |value: &Value| value["NextAction"].as_str().unwrap_or_default().to_owned();
    let next = transitions["NextAction"].as_str().map(|next| (next.to_owned(), String::new()));
    let errors = of("Errors")
        .into_iter()
        .map(|error| (target(&error), error["ErrorType"].as_str().unwrap_or_default().to_owned()));
    let conditions = of("Conditions").into_iter().map(|condition| {
        let operand = condition["Condition"]["Operands"][0].as_str().unwrap_or_default();
        (target(&condition), operand.to_owned())
    });
    next.into_iter().chain(errors).chain(conditions).collect()
}

/// What is wrong with a flow.
pub(crate) fn problems(flow: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let all = actions(flow);
    let listed = flow["Actions"].as_array().map_or(0, Vec::len);
    if flow["Version"] != "2019-10-30" {
        found.push("Version is not 2019-10-30".to_owned());
    }
    if flow.to_string().chars().count() > LONGEST_CONTENT || listed > MOST_ACTIONS {
        found.push("the flow is too large".to_owned());
    }
    if all.len() != listed {
        found.push("two actions have one Identifier".to_owned());
    }
    let start = flow["StartAction"].as_str().unwrap_or_default().to_owned();
    if !all.contains_key(&start) {
        found.push(format!("StartAction {start:?} is no action"));
    }
    for (id, action) in &all {
        if id.is_empty() || id.len() > LONGEST_ID || id.contains(|c| NOT_IN_IDS.contains(c)) {
            found.push(format!("{id:?} is no Identifier"));
        }
        let kind = action["Type"].as_str().unwrap_or_default();
        let leads = targets(action);
        for (target, _) in leads.iter().filter(|(target, _)| !all.contains_key(target)) {
            found.push(format!("{id} leads to {target:?}, which is no action"));
        }
        if leads.is_empty() && kind != "DisconnectParticipant" {
            found.push(format!("{id} leads nowhere"));
        }
        let required = REQUIRED.iter().find(|(name, _)| *name == kind).map(|(_, errors)| *errors);
        for error in required.unwrap_or_default() {
            if !leads.iter().any(|(_, name)| name == error) {
                found.push(format!("{id} ({kind}) has no way on from {error}"));
            }
        }
        let conditions: BTreeSet<&str> =
            leads.iter().map(|(_, name)| name.as_str()).filter(|name| !name.is_empty()).collect();
        if kind == "Loop" && conditions != BTreeSet::from(["ContinueLooping", "DoneLooping"]) {
            found.push(format!("{id} needs ContinueLooping and DoneLooping"));
        }
        let hours = BTreeSet::from(["True", "False", "NoMatchingError"]);
        if kind == "CheckHoursOfOperation" && conditions != hours {
            found.push(format!("{id} needs True and False, and nothing else"));
        }
        if kind == "MessageParticipant" {
            let kinds = ["PromptId", "Text", "SSML", "Media"];
            let given = kinds.iter().filter(|kind| !action["Parameters"][**kind].is_null()).count();
            if given != 1 {
                found.push(format!("{id} has to have exactly one of {kinds:?}"));
            }
        }
    }
    let reached = reach(&all, &start, |_| true);
    for id in all.keys().filter(|id| !reached.contains(*id)) {
        found.push(format!("{id} is never reached"));
    }
    // Nobody is hung up on without a word: no way to the end that passes by every prompt.
    let silent = reach(&all, &start, |action| action["Type"] != "MessageParticipant");
    for id in silent.iter().filter(|id| all[*id]["Type"] == "DisconnectParticipant") {
        found.push(format!("{id} can be reached without a spoken word"));
    }
    found
}

/// Everything that can be reached, going on from actions that `passes` lets through.
fn reach(all: &Actions, start: &str, passes: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![start.to_owned()]);
    while let Some(id) = open.pop() {
        let Some(action) = all.get(&id) else { continue };
        if reached.insert(id) && passes(action) {
            open.extend(targets(action).into_iter().map(|(target, _)| target));
        }
    }
    reached
}

/// How a call went through a flow.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// The actions, in order.
    pub(crate) steps: Vec<String>,
    /// What was heard: `seconds s` of audio, or words that Connect says.
    pub(crate) heard: Vec<String>,
    /// Attributes of the contact.
    pub(crate) attributes: Map<String, Value>,
    /// `queue` or `hung up`.
    pub(crate) end: String,
}

/// Runs a flow to its end. The caller says one of `lines` after each reply.
pub(crate) async fn run(
    flow: &Value,
    phone: &mut Phone,
    functions: &Functions,
    lines: &[&str],
) -> Story {
    let all = actions(flow);
    let mut story = Story::default();
    let (mut external, mut loops) = (Map::new(), BTreeMap::<String, u32>::new());
    let mut lines = lines.iter();
    let mut at = flow["StartAction"].as_str().expect("a start").to_owned();
    loop {
        assert!(story.steps.len() < 500, "the flow does not end: {:?}", story.steps);
        story.steps.push(at.clone());
        let action = &all[&at];
        let parameters = &action["Parameters"];
        let value = |text: &str| match text.strip_prefix("$.External.") {
            Some(name) => external.get(name).and_then(Value::as_str).unwrap_or("").to_owned(),
            None => text.to_owned(),
        };
        let text_of = |name: &str| parameters[name].as_str().map(&value);
        // The name of the error or the condition; nothing for the next.
        let outcome = match action["Type"].as_str().expect("a type") {
            "InvokeLambdaFunction" => {
                let mut event = Map::new();
                for (name, text) in parameters["LambdaInvocationAttributes"].as_object().expect("")
                {
                    event.insert(name.clone(), json!(value(text.as_str().expect("text"))));
                }
                let name = parameters["LambdaFunctionARN"].as_str().expect("a function");
                let event = phone.event(&event, &story.attributes);
                match functions.invoke(name, &event).await {
                    Some(answer) => {
                        external = answer;
                        ""
                    }
                    None => "NoMatchingError",
                }
            }
            "MessageParticipant" => {
                let media = parameters["Media"]["Uri"].as_str().map(&value);
                let said = match (media, text_of("Text"), text_of("SSML")) {
                    (Some(url), ..) if !url.is_empty() => {
                        let answer = json!({"responseAudioUrl": url});
                        Some(format!("{:.1} s", phone.seconds(&answer)))
                    }
                    (None, Some(text), _) if !text.is_empty() => Some(text),
                    (None, None, Some(_)) => Some(String::new()),
                    _ => None,
                };
                match said {
                    Some(said) => {
                        if !said.is_empty() {
                            story.heard.push(said);
                            if external.get("more").is_some_and(|more| more == "false")
                                && let Some(line) = lines.next()
                            {
                                phone.say(line);
                            }
                        }
                        ""
                    }
                    None => "NoMatchingError",
                }
            }
            "Compare" => {
                let compared = text_of("ComparisonValue").expect("a value");
                let known = targets(action).iter().any(|(_, name)| *name == compared);
                if known { &compared.clone() } else { "NoMatchingCondition" }
            }
            "Loop" => {
                let count = loops.entry(at.clone()).or_default();
                *count += 1;
                let most: u32 = parameters["LoopCount"].as_str().expect("").parse().expect("");
                if *count > most {
                    // It begins anew when it is entered again.
                    *count = 0;
                    "DoneLooping"
                } else {
                    "ContinueLooping"
                }
            }
            "CheckHoursOfOperation" => match phone.agents_are_there {
                true => "True",
                false => "False",
            },
            "UpdateContactAttributes" => {
                for (name, text) in parameters["Attributes"].as_object().expect("attributes") {
                    let text = value(text.as_str().expect("text"));
                    story.attributes.insert(name.clone(), json!(text));
                }
                ""
            }
            "TransferContactToQueue" => {
                story.end = "queue".to_owned();
                return story;
            }
            "DisconnectParticipant" => {
                story.end = "hung up".to_owned();
                return story;
            }
            // What a queue, a stream or a recording does is Connect's.
            _ => "",
        };
        let next = targets(action).into_iter().find(|(_, name)| name == outcome);
        at = next.unwrap_or_else(|| panic!("{at} has no way on from {outcome:?}")).0;
    }
}
