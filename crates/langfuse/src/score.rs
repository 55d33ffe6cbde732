//! The scores that Langfuse keeps of a call: how long the caller waited, whether a turn succeeded,
//! what the caller thinks. Pure; `scores.rs` sends them.
//!
//! API: Langfuse, `POST /api/public/scores` (`fern/apis/server/definition/scores.yml`). The id of a
//! score is made of what it is about, so sending it twice gives one score, and an opinion that
//! changes replaces the one before.

use serde::Serialize;
use voice_archive::entry::{Feedback, Turn};

use crate::trace::{Answered, ids};

/// Waits until the first audio, in milliseconds: up to the first the score is 1, from the second on
/// it is 0 (`ops.md` §8: half of all answers within 800 ms).
const LATENCY: (f64, f64) = (800.0, 3_000.0);

/// The name of a caller's opinion, unless it has another.
const FEEDBACK: &str = "user-feedback";

/// One score, as the API takes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    id: String,
    trace_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    observation_id: Option<String>,
    name: String,
    value: f64,
    data_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
}

impl Score {
    /// The caller's opinion of a session. Its comment must be clean.
    pub fn of_feedback(session_id: &str, feedback: &Feedback) -> Self {
        let name = feedback.name.as_deref().unwrap_or(FEEDBACK);
        let trace_id = ids::trace_id_of(session_id);
        Self {
            id: ids::score_id(&trace_id, name),
            trace_id,
            observation_id: None,
            name: name.to_owned(),
            value: feedback.score,
            data_type: "NUMERIC",
            comment: feedback.comment.clone(),
        }
    }

    /// How an answer did: how long the caller waited for it, where that is known, and whether it
    /// was heard and no tool failed on the way to it. One that the caller cut off before its first
    /// audio has not failed.
    pub(crate) fn of_answer(trace: &str, observation: &str, answer: &Answered<'_>) -> Vec<Self> {
        let score =
            |name: &str, value: f64, data_type: &'static str, comment: Option<String>| Self {
                id: ids::score_id(observation, name),
                trace_id: trace.to_owned(),
                observation_id: Some(observation.to_owned()),
                name: name.to_owned(),
                value,
                data_type,
                comment,
            };
        let Answered { figures, heard, interrupted, failed_tool } = *answer;
        let waited = figures.and_then(|Turn { first_audio_ms, .. }| first_audio_ms);
        let latency = waited.map(|ms| {
            let comment = format!("{ms} ms until the first audio");
            score("latency-score", of_wait(ms), "NUMERIC", Some(comment))
        });
        let failure = match failed_tool {
            Some(tool) => Some(format!("the tool {tool} failed")),
            None if !heard && !interrupted => Some("nothing was heard".to_owned()),
            None => None,
        };
        let value = if failure.is_none() { 1.0 } else { 0.0 };
        let success = score("turn-success", value, "BOOLEAN", failure);
        latency.into_iter().chain([success]).collect()
    }
}

/// From 1 (no wait that anybody notices) to 0.
fn of_wait(ms: u64) -> f64 {
    let (good, bad) = LATENCY;
    (1.0 - (ms as f64 - good) / (bad - good)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_worth_less_the_longer_it_is() {
        assert_eq!([0, 800, 1_900, 3_000, 60_000].map(of_wait), [1.0, 1.0, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn an_opinion_replaces_the_one_before_and_another_name_is_another_score() {
        let of = |score, name: Option<&str>| {
            let name = name.map(str::to_owned);
            Score::of_feedback("s", &Feedback { score, comment: None, name })
        };
        assert_eq!(of(1.0, None).id, of(5.0, None).id);
        assert_ne!(of(1.0, None).id, of(1.0, Some("nps")).id);
        let json = serde_json::to_value(of(1.0, None)).expect("JSON");
        assert_eq!(json["name"], "user-feedback");
        assert_eq!(json["dataType"], "NUMERIC");
        assert_eq!(json["traceId"].as_str().map(str::len), Some(32));
    }

    #[test]
    fn a_turn_succeeds_when_it_is_heard_and_no_tool_failed() {
        let of = |answer: Answered<'_>| {
            let scores = Score::of_answer("t", "o", &answer);
            scores.last().map(|score| (score.value, score.data_type)).expect("a score")
        };
        let heard = Answered { figures: None, heard: true, interrupted: false, failed_tool: None };
        assert_eq!(of(heard), (1.0, "BOOLEAN"));
        assert_eq!(of(Answered { heard: false, ..heard }).0, 0.0);
        assert_eq!(of(Answered { heard: false, interrupted: true, ..heard }).0, 1.0);
        assert_eq!(of(Answered { failed_tool: Some("x"), ..heard }).0, 0.0);
    }
}
