//! Reads a tool file: the three spellings of the schema, the optional keys, the executor.

mod remote;
mod rules;

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value, json};

use super::{Answer, Builtin, Executor, Outcome, Row, Rules, StaticTable, Tool, template};
use crate::{
    finding::{Findings, child, kind_of},
    name::is_tool_name,
};

/// The keys a schema may stand under, in the order in which they prevail (`contract.md` §4).
pub(crate) const SCHEMA_KEYS: [&str; 3] = ["input_schema", "inputSchema", "parameters"];

/// The keys of a `static` and of a `builtin` executor, beside those of all.
const STATIC_KEYS: [&str; 6] = ["rows", "default", "take", "result", "fail", "delay_ms"];
const BUILTIN_KEYS: [&str; 1] = ["name"];

/// Longest delay of a static answer: longer than any call waits for a tool.
const MAX_DELAY_MS: u64 = 60_000;

/// Reads one tool; `None` when an error was found.
pub(crate) fn read(file: &str, findings: &mut Findings<'_>) -> Option<Tool> {
    let object = findings.read_object()?;
    let name = read_name(&object, findings);
    let description = read_description(&object, findings);
    let instruction = filled(findings.text_at(&object, "", "instruction"));
    let category = filled(findings.text_at(&object, "", "category"));
    for key in ["agentPrompt", "gatewayTarget"] {
        findings.text_at(&object, "", key);
    }
    let schema = read_schema(&object, findings);
    let checked = schema.as_ref().map_or(&Value::Null, |(schema, _)| schema);
    let (execute, rules) = match &name {
        Some(name) => read_execute(&object, name, checked, findings),
        None => (Executor::None, Rules::default()),
    };
    if findings.has_error() {
        return None;
    }
    let (input_schema, validator) = schema?;
    Some(Tool {
        name: name?,
        description: description?,
        instruction,
        category,
        input_schema: Arc::new(input_schema),
        file: file.to_owned(),
        execute,
        rules,
        raw: Value::Object(object),
        validator: Arc::new(validator),
    })
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

fn read_name(object: &Map<String, Value>, findings: &mut Findings<'_>) -> Option<String> {
    if !object.contains_key("name") {
        findings.error("", "`name` is missing", "Add \"name\": what the model calls the tool.");
        return None;
    }
    let name = findings.text_at(object, "", "name")?;
    if !is_tool_name(&name) {
        let what = format!("`{name}` cannot be the name of a tool");
        findings.error("/name", what, "Use letters, digits, `_` and `-` only, at least one.");
        return None;
    }
    Some(name)
}

fn read_description(object: &Map<String, Value>, findings: &mut Findings<'_>) -> Option<String> {
    let missing = !object.contains_key("description");
    let description = findings.text_at(object, "", "description");
    if missing || description.as_deref().is_some_and(|text| text.trim().is_empty()) {
        let pointer = if missing { "" } else { "/description" };
        let what = "the tool has no description";
        findings.error(
            pointer,
            what,
            "Say in `description` what it does: the model chooses by it.",
        );
        return None;
    }
    description
}

fn read_schema(
    object: &Map<String, Value>,
    findings: &mut Findings<'_>,
) -> Option<(Value, jsonschema::Validator)> {
    let found: Vec<&str> =
        SCHEMA_KEYS.into_iter().filter(|key| object.contains_key(*key)).collect();
    let mut schema = match found.as_slice() {
        // The server's schema takes its place when the program asks for it.
        [] if is_mcp(object) => json!({"type": "object"}),
        [] => {
            findings.warn(
                "",
                "there is no schema of the arguments, so the tool takes none",
                "Add `input_schema`, even if it has no properties.",
            );
            json!({"type": "object", "properties": {}})
        }
        [key, rest @ ..] => {
            for other in rest.iter().filter(|other| object[**other] != object[*key]) {
                let what = format!("`{other}` differs from `{key}`, which is the one that counts");
                findings.warn(&child("", other), what, "Keep one spelling of the schema.");
            }
            object[*key].clone()
        }
    };
    let mut pointer = found.first().map_or_else(String::new, |key| child("", key));
    // The shape of the AWS examples: the schema wrapped once more.
    if let Value::Object(wrapper) = &schema
        && let (1, Some(inner @ Value::Object(_))) = (wrapper.len(), wrapper.get("json"))
    {
        schema = inner.clone();
        pointer.push_str("/json");
    }
    let Value::Object(root) = &mut schema else {
        let what = format!("the schema is {}, not an object", kind_of(&schema));
        findings.error(&pointer, what, "Write a JSON Schema with \"type\": \"object\".");
        return None;
    };
    match root.get("type") {
        None => {
            root.insert("type".to_owned(), json!("object"));
        }
        Some(Value::String(kind)) if kind == "object" => {}
        Some(_) => {
            let what = "the arguments of a tool are always an object";
            findings.error(&child(&pointer, "type"), what, "Write \"type\": \"object\".");
            return None;
        }
    }
    // References out of the file are refused and circles are cut by the library itself.
    match jsonschema::validator_for(&schema) {
        Ok(validator) => Some((schema, validator)),
        Err(error) => {
            let place = format!("{pointer}{}", error.instance_path());
            let what = format!("the schema is not valid: {error}");
            findings.error(
                &place,
                what,
                "Correct it; see json-schema.org/understanding-json-schema.",
            );
            None
        }
    }
}

fn is_mcp(object: &Map<String, Value>) -> bool {
    object.get("execute").and_then(|execute| execute.get("kind")).and_then(Value::as_str)
        == Some("mcp")
}

fn read_execute(
    object: &Map<String, Value>,
    name: &str,
    schema: &Value,
    findings: &mut Findings<'_>,
) -> (Executor, Rules) {
    let execute = match object.get("execute") {
        None | Some(Value::Null) => return (without_execute(name, findings), Rules::default()),
        Some(Value::Object(execute)) => execute,
        Some(other) => {
            let what = format!("`execute` must be an object, not {}", kind_of(other));
            findings.error("/execute", what, "Write \"execute\": {\"kind\": …}.");
            return (Executor::None, Rules::default());
        }
    };
    if !execute.contains_key("kind") {
        let what = "`execute` does not say its kind";
        let remedy = "Add \"kind\": static, http, lambda, mcp, knowledge_base or builtin.";
        findings.error("/execute", what, remedy);
        return (Executor::None, Rules::default());
    }
    let Some(kind) = findings.text_at(execute, "/execute", "kind") else {
        return (Executor::None, Rules::default());
    };
    let rules = rules::read(execute, findings);
    // A schema that names no properties may take any: then nothing can be called unknown.
    let properties = schema.get("properties").and_then(Value::as_object);
    let known = properties.filter(|all| !all.is_empty());
    let required = schema.get("required").and_then(Value::as_array);
    let mut remote = remote::Reader {
        execute,
        known: known.map(|properties| properties.keys().map(String::as_str).collect()),
        required: required.into_iter().flatten().filter_map(Value::as_str).collect(),
        findings,
    };
    let (executor, keys): (Executor, &[&str]) = match kind.as_str() {
        "builtin" => (read_builtin(execute, name, findings), &BUILTIN_KEYS),
        "static" => (Executor::Static(read_table(execute, schema, findings)), &STATIC_KEYS),
        "http" => (remote::or_none(remote.http(), Executor::Http), &remote::HTTP_KEYS),
        "lambda" => (remote::or_none(remote.lambda(), Executor::Lambda), &remote::LAMBDA_KEYS),
        "mcp" => {
            let has_schema = SCHEMA_KEYS.iter().any(|key| object.contains_key(*key));
            (remote::or_none(remote.mcp(name, has_schema), Executor::Mcp), &remote::MCP_KEYS)
        }
        "knowledge_base" => (
            remote::or_none(remote.knowledge_base(), Executor::KnowledgeBase),
            &remote::KNOWLEDGE_BASE_KEYS,
        ),
        kind => {
            let what = format!("the executor kind `{kind}` is unknown");
            let remedy = "The model will be told that the tool is not available; use static, \
                          http, lambda, mcp, knowledge_base or builtin to have it run.";
            findings.warn("/execute/kind", what, remedy);
            return (Executor::None, rules);
        }
    };
    rules::check_keys(execute, keys, findings);
    (executor, rules)
}

fn without_execute(name: &str, findings: &mut Findings<'_>) -> Executor {
    if let Some(builtin) = Builtin::from_name(name) {
        return Executor::Builtin(builtin);
    }
    findings.warn(
        "",
        format!("nothing says how `{name}` is executed"),
        "The model will be told that it is not available; add `execute` (tools/README.md).",
    );
    Executor::None
}

fn read_builtin(execute: &Map<String, Value>, tool: &str, findings: &mut Findings<'_>) -> Executor {
    let name = findings.text_at(execute, "/execute", "name").unwrap_or_else(|| tool.to_owned());
    match Builtin::from_name(&name) {
        Some(builtin) => Executor::Builtin(builtin),
        None => {
            let known: Vec<&str> = Builtin::ALL.into_iter().map(Builtin::as_str).collect();
            let what = format!("there is no builtin named `{name}`");
            findings.error("/execute", what, &format!("Use one of {}.", known.join(", ")));
            Executor::None
        }
    }
}

fn read_table(
    execute: &Map<String, Value>,
    schema: &Value,
    findings: &mut Findings<'_>,
) -> StaticTable {
    let properties = schema.get("properties").and_then(Value::as_object);
    // A schema that names no properties may take any: then nothing can be called unknown.
    let known: Option<BTreeSet<&str>> = properties
        .filter(|all| !all.is_empty())
        .map(|all| all.keys().map(String::as_str).collect());
    let mut reader = TableReader { known, delay_ms: 0, findings };
    reader.delay_ms = reader.delay(execute, "/execute");
    reader.table(execute)
}

/// Reads the keys of a `static` executor.
struct TableReader<'r, 'f> {
    /// The argument names of the schema, if it has any.
    known: Option<BTreeSet<&'r str>>,
    /// The delay of every answer that has none of its own.
    delay_ms: u64,
    findings: &'r mut Findings<'f>,
}

impl TableReader<'_, '_> {
    fn table(&mut self, execute: &Map<String, Value>) -> StaticTable {
        let mut table = StaticTable::default();
        match execute.get("rows") {
            None => {}
            Some(Value::Array(rows)) => {
                for (index, row) in rows.iter().enumerate() {
                    table.rows.extend(self.row(row, &format!("/execute/rows/{index}")));
                }
            }
            Some(other) => self.wrong_type("/execute/rows", "rows", "a list", other),
        }
        match execute.get("default") {
            // The short form: one answer for everybody, without rows.
            None if execute.contains_key("result") || execute.contains_key("fail") => {
                table.default = self.answer(execute, "/execute");
            }
            None => {}
            Some(Value::Object(answer)) => table.default = self.answer(answer, "/execute/default"),
            Some(other) => self.wrong_type("/execute/default", "default", "an object", other),
        }
        match execute.get("take") {
            None => {}
            Some(Value::Object(take)) => {
                for (pointer, argument) in take {
                    table.take.extend(self.take(pointer, argument));
                }
            }
            Some(other) => self.wrong_type("/execute/take", "take", "an object", other),
        }
        if table.rows.is_empty() && table.default.is_none() && !self.findings.has_error() {
            let what = "the table is empty";
            self.findings.error("/execute", what, "Add `rows`, `default`, `result` or `fail`.");
        }
        table
    }

    fn row(&mut self, row: &Value, pointer: &str) -> Option<Row> {
        let Value::Object(row) = row else {
            self.wrong_type(pointer, "a row", "an object", row);
            return None;
        };
        let when = match row.get("match") {
            None => Vec::new(),
            Some(Value::Object(wanted)) => {
                let place = child(pointer, "match");
                wanted
                    .keys()
                    .for_each(|argument| self.argument(argument, &child(&place, argument)));
                let any = |value: &Value| match value {
                    Value::Array(any) => any.clone(),
                    one => vec![one.clone()],
                };
                wanted.iter().map(|(key, value)| (key.clone(), any(value))).collect()
            }
            Some(other) => {
                self.wrong_type(&child(pointer, "match"), "match", "an object", other);
                return None;
            }
        };
        Some(Row { when, answer: self.answer(row, pointer)? })
    }

    fn answer(&mut self, object: &Map<String, Value>, pointer: &str) -> Option<Answer> {
        let outcome = match (object.get("result"), object.get("fail")) {
            (Some(result), None) => {
                self.templates(result, &child(pointer, "result"));
                Outcome::Result(result.clone())
            }
            (None, Some(Value::String(message))) => {
                self.templates(&object["fail"], &child(pointer, "fail"));
                Outcome::Fail(message.clone())
            }
            (None, Some(other)) => {
                self.wrong_type(&child(pointer, "fail"), "fail", "a text", other);
                return None;
            }
            (Some(_), Some(_)) => {
                let what = "an answer is either a `result` or a `fail`, not both";
                self.findings.error(pointer, what, "Take one of them away.");
                return None;
            }
            (None, None) => {
                let what = "there is no answer here";
                self.findings.error(pointer, what, "Add `result`, or `fail` with a message.");
                return None;
            }
        };
        Some(Answer { outcome, delay_ms: self.delay(object, pointer) })
    }

    fn delay(&mut self, object: &Map<String, Value>, pointer: &str) -> u64 {
        let Some(given) = object.get("delay_ms") else { return self.delay_ms };
        match given.as_u64() {
            Some(delay) if delay <= MAX_DELAY_MS => delay,
            _ => {
                let what = format!("`delay_ms` must be a whole number from 0 to {MAX_DELAY_MS}");
                self.findings.error(&child(pointer, "delay_ms"), what, "Write milliseconds.");
                self.delay_ms
            }
        }
    }

    fn take(&mut self, pointer: &str, argument: &Value) -> Option<(String, String)> {
        let place = child("/execute/take", pointer);
        let Value::String(argument) = argument else {
            self.wrong_type(&place, "take", "the name of an argument", argument);
            return None;
        };
        if !pointer.starts_with('/') {
            let what = format!("`{pointer}` is not a JSON pointer into the result");
            self.findings.error(&place, what, "Start it with `/`, such as \"/transactions\".");
            return None;
        }
        self.argument(argument, &place);
        Some((pointer.to_owned(), argument.clone()))
    }

    /// Checks every `{argument}` below a value.
    fn templates(&mut self, value: &Value, pointer: &str) {
        match value {
            Value::String(text) => {
                template::templates(text)
                    .iter()
                    .for_each(|(_, _, name)| self.argument(name, pointer));
            }
            Value::Array(items) => items
                .iter()
                .enumerate()
                .for_each(|(index, item)| self.templates(item, &format!("{pointer}/{index}"))),
            Value::Object(object) => {
                object.iter().for_each(|(key, item)| self.templates(item, &child(pointer, key)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn argument(&mut self, name: &str, pointer: &str) {
        if self.known.as_ref().is_some_and(|known| !known.contains(name)) {
            let what = format!("`{name}` is not an argument of this tool");
            self.findings.error(pointer, what, "Use a property of the schema, or add it there.");
        }
    }

    fn wrong_type(&mut self, pointer: &str, key: &str, wanted: &str, found: &Value) {
        let what = format!("`{key}` must be {wanted}, not {}", kind_of(found));
        self.findings.error(pointer, what, "See tools/README.md for the format.");
    }
}
