//! The table of a `static` tool: rows that match on arguments, and what they answer.
//!
//! Pure: choosing a row and filling in templates. The delay is only a number here; waiting is
//! the executor's. The format is described in `tools/README.md`.

use serde_json::{Map, Value};

use super::template::{as_text, fill, fill_text};

/// Answers by arguments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StaticTable {
    /// Tried from the top; the first that matches answers.
    pub rows: Vec<Row>,
    /// What answers when no row does.
    pub default: Option<Answer>,
    /// Lists that are cut: JSON pointer into the result, and the argument with the length.
    pub take: Vec<(String, String)>,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Argument name and the values it may have; every argument named must match.
    pub when: Vec<(String, Vec<Value>)>,
    /// What it answers.
    pub answer: Answer,
}

/// What is answered, and how late.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Result or failure.
    pub outcome: Outcome,
    /// Milliseconds before it is given, so that a slow back end can be played.
    pub delay_ms: u64,
}

/// A result or a failure; both may hold `{argument}` templates.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The tool's result.
    Result(Value),
    /// The tool fails with this message.
    Fail(String),
}

impl StaticTable {
    /// The answer for these arguments, templates filled in; `None` when nothing fits.
    pub fn answer(&self, arguments: &Map<String, Value>) -> Option<Answer> {
        let row = self.rows.iter().find(|row| row.matches(arguments)).map(|row| &row.answer);
        let mut answer = row.or(self.default.as_ref())?.clone();
        match &mut answer.outcome {
            Outcome::Result(result) => {
                fill(result, arguments);
                for (pointer, argument) in &self.take {
                    let length = arguments.get(argument).and_then(Value::as_u64);
                    if let (Some(Value::Array(list)), Some(length)) =
                        (result.pointer_mut(pointer), length)
                    {
                        list.truncate(usize::try_from(length).unwrap_or(usize::MAX));
                    }
                }
            }
            Outcome::Fail(message) => *message = fill_text(message, arguments),
        }
        Some(answer)
    }
}

impl Row {
    fn matches(&self, arguments: &Map<String, Value>) -> bool {
        self.when.iter().all(|(argument, wanted)| {
            arguments
                .get(argument)
                .is_some_and(|given| wanted.iter().any(|wanted| is_alike(wanted, given)))
        })
    }
}

/// Callers speak: `"BERLIN "` is `"Berlin"`, and `4021` is `"4021"`.
fn is_alike(wanted: &Value, given: &Value) -> bool {
    let plain = |value: &Value| as_text(value).trim().to_lowercase();
    match (wanted, given) {
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            wanted == given
        }
        (Value::String(any), _) if any == "*" => true,
        _ => plain(wanted) == plain(given),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    fn row(when: Value, result: Value) -> Row {
        let when = arguments(when).into_iter().map(|(key, value)| match value {
            Value::Array(any) => (key, any),
            one => (key, vec![one]),
        });
        Row {
            when: when.collect(),
            answer: Answer { outcome: Outcome::Result(result), delay_ms: 0 },
        }
    }

    fn result(table: &StaticTable, given: Value) -> Option<Value> {
        match table.answer(&arguments(given))?.outcome {
            Outcome::Result(result) => Some(result),
            Outcome::Fail(_) => None,
        }
    }

    #[test]
    fn the_first_row_that_matches_every_argument_answers() {
        let table = StaticTable {
            rows: vec![
                row(json!({"city": "berlin", "day": ["sat", "sun"]}), json!("closed")),
                row(json!({"city": "berlin"}), json!("open")),
                row(json!({"city": "*"}), json!("no branch in {city}")),
            ],
            ..StaticTable::default()
        };
        assert_eq!(result(&table, json!({"city": " Berlin", "day": "Sun"})), Some(json!("closed")));
        assert_eq!(result(&table, json!({"city": "BERLIN", "day": "mon"})), Some(json!("open")));
        assert_eq!(result(&table, json!({"city": "Rome"})), Some(json!("no branch in Rome")));
        assert_eq!(result(&table, json!({})), None, "nothing fits and there is no default");
    }

    #[test]
    fn a_template_alone_keeps_the_arguments_type() {
        let filled =
            json!({"n": "{n}", "say": "{n} of {list} {missing}{ no } {", "gone": "{missing}"});
        let table = StaticTable { rows: vec![row(json!({}), filled)], ..StaticTable::default() };
        assert_eq!(
            result(&table, json!({"n": 3, "list": [1]})),
            Some(json!({"n": 3, "say": "3 of [1] { no } {", "gone": null}))
        );
    }

    #[test]
    fn lists_are_cut_to_the_length_an_argument_asks_for() {
        let table = StaticTable {
            rows: vec![row(json!({}), json!({"items": [1, 2, 3]}))],
            take: vec![("/items".into(), "limit".into())],
            ..StaticTable::default()
        };
        assert_eq!(result(&table, json!({"limit": 2})), Some(json!({"items": [1, 2]})));
        assert_eq!(result(&table, json!({"limit": 9})), Some(json!({"items": [1, 2, 3]})));
        assert_eq!(result(&table, json!({})), Some(json!({"items": [1, 2, 3]})));
    }

    #[test]
    fn numbers_and_digits_are_the_same_account() {
        let table = StaticTable {
            rows: vec![row(json!({"id": "4021"}), json!(1))],
            ..StaticTable::default()
        };
        assert_eq!(result(&table, json!({"id": 4021})), Some(json!(1)));
    }
}
