//! What a function answers: one flat object of texts, under 32 KB (connect-kvs.md §5.1).
//!
//! Every answer has every key that a flow refers to, so that none is ever missing. Pure; called by
//! [`crate::serve`].

use std::collections::BTreeMap;

use serde_json::Value;

/// Connect takes less than 32 KB of UTF-8; the rest is for braces and for whoever counts otherwise.
pub const MOST_BYTES: usize = 32_000;

/// An answer.
pub type Reply = BTreeMap<String, String>;

/// Keys that a flow refers to.
const KEYS: [&str; 10] = [
    "sessionId",
    "owner",
    "turnKey",
    "resume",
    "intent",
    "responseAudioUrl",
    "responseText",
    "more",
    "reason",
    "summary",
];

/// What the bridge has answered; `None` if that is no answer.
pub fn of_bridge(answer: Value) -> Option<Reply> {
    let Value::Object(answer) = answer else { return None };
    let text = |value: Value| match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let mut reply: Reply = answer.into_iter().map(|(name, value)| (name, text(value))).collect();
    let intent = reply.get("intent").map(String::as_str);
    if !matches!(intent, Some("continue" | "listen" | "transfer" | "end")) {
        return None;
    }
    complete(&mut reply);
    Some(fit(reply))
}

/// What a caller is told, and the human who takes over, when there is nothing else to say.
/// `turn_key` is that of the turn before: whoever asks again asks the same.
pub fn apology(session_id: &str, turn_key: &str, words: &str, reason: &str) -> Reply {
    let mut reply = Reply::from([
        ("sessionId".to_owned(), session_id.to_owned()),
        ("turnKey".to_owned(), turn_key.to_owned()),
        ("intent".to_owned(), "transfer".to_owned()),
        ("responseText".to_owned(), words.to_owned()),
        ("more".to_owned(), "false".to_owned()),
        ("reason".to_owned(), reason.to_owned()),
    ]);
    complete(&mut reply);
    fit(reply)
}

/// The flow is told to ask again, and names no owner then: another task takes the call over.
pub fn ask_elsewhere(session_id: &str, turn_key: &str, resume: &str) -> Reply {
    let mut reply = Reply::from([
        ("sessionId".to_owned(), session_id.to_owned()),
        ("turnKey".to_owned(), turn_key.to_owned()),
        ("resume".to_owned(), resume.to_owned()),
        ("intent".to_owned(), "listen".to_owned()),
        ("more".to_owned(), "false".to_owned()),
    ]);
    complete(&mut reply);
    reply
}

fn complete(reply: &mut Reply) {
    for key in KEYS {
        reply.entry(key.to_owned()).or_default();
    }
}

/// Makes an answer small enough: what matters least goes first.
fn fit(mut reply: Reply) -> Reply {
    // What the flow needs to go on is never cut; it is short.
    while size(&reply) > MOST_BYTES {
        let is_extra = |(name, _): &(&String, &String)| !KEYS.contains(&name.as_str());
        let longest = reply.iter().filter(is_extra).max_by_key(|(_, value)| value.len());
        if let Some(name) = longest.map(|(name, _)| name.clone()) {
            reply.remove(&name);
            continue;
        }
        let texts = ["summary", "responseText", "reason"];
        let longest = texts.into_iter().max_by_key(|name| reply.get(*name).map_or(0, String::len));
        let Some(text) = longest.and_then(|name| reply.get_mut(name)) else { break };
        if text.is_empty() {
            break;
        }
        text.truncate(text.floor_char_boundary(text.len() / 2));
    }
    reply
}

/// As it travels: quotes and line feeds are two bytes each.
fn size(reply: &Reply) -> usize {
    serde_json::to_vec(reply).map_or(usize::MAX, |bytes| bytes.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_of_the_bridges_is_handed_on_flat_and_whole() {
        let answer = json!({"intent": "continue", "responseAudioUrl": "https://b/1.wav",
            "turnKey": "3", "more": true, "attribute_n": 7, "reason": null});
        let reply = of_bridge(answer).expect("an answer");
        assert_eq!(reply["more"], "true");
        assert_eq!(reply["attribute_n"], "7");
        assert_eq!((reply["reason"].as_str(), reply["summary"].as_str()), ("", ""));
        for other in [json!([]), json!({}), json!({"intent": "dance"}), json!("continue")] {
            assert_eq!(of_bridge(other.clone()), None, "{other}");
        }
    }

    #[test]
    fn an_apology_has_words_and_leads_to_a_human() {
        let reply = apology("connect-1", "4", "I am sorry.", "the bridge is gone");
        assert_eq!((reply["intent"].as_str(), reply["turnKey"].as_str()), ("transfer", "4"));
        assert_eq!((reply["responseText"].as_str(), reply["owner"].as_str()), ("I am sorry.", ""));
        assert!(KEYS.iter().all(|key| reply.contains_key(*key)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn no_answer_is_too_large_and_none_loses_its_way(
            summary in ".{0,4}", times in 0_usize..12_000, extra in 0_usize..6,
        ) {
            let mut answer = json!({"intent": "transfer", "turnKey": "9", "sessionId": "connect-1",
                "summary": summary.repeat(times), "responseText": summary.repeat(times / 2)});
            for n in 0..extra {
                answer[format!("attribute_{n}")] = json!("\"\n".repeat(times / 10));
            }
            let reply = of_bridge(answer).expect("an answer");
            prop_assert!(size(&reply) <= MOST_BYTES);
            prop_assert_eq!(reply["turnKey"].as_str(), "9");
            prop_assert_eq!(reply["intent"].as_str(), "transfer");
        }
    }
}
