//! The JSON Schemas of our files: published for editors, and checked here.
//!
//! What the readers of each format have found already is said in their words and not once more
//! in the schema's.

mod files;

use std::sync::LazyLock;

use jsonschema::{ValidationError, Validator, error::ValidationErrorKind};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};

use crate::{
    finding::{Findings, child, kind_of},
    name::fold,
};

/// Which format a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `tools/*.json`
    Tool,
    /// `workflows/workflow-<id>.json`
    Workflow,
    /// The tail of `prompts/*.txt`
    Prompt,
}

struct Compiled {
    schema: Value,
    /// Absent only if our own schema were not one, which a test rules out.
    validator: Option<Validator>,
}

static TOOL: LazyLock<Compiled> = LazyLock::new(compile::<files::ToolFile>);
static WORKFLOW: LazyLock<Compiled> = LazyLock::new(compile::<files::WorkflowFile>);
static PROMPT: LazyLock<Compiled> = LazyLock::new(compile::<files::PromptConfig>);

fn compile<T: JsonSchema>() -> Compiled {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    let schema = schema.to_value();
    let validator = jsonschema::validator_for(&schema).ok();
    Compiled { schema, validator }
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tool, Self::Workflow, Self::Prompt];

    /// The name of its published file below `schemas/`.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Tool => "tool.schema.json",
            Self::Workflow => "workflow.schema.json",
            Self::Prompt => "prompt.schema.json",
        }
    }

    /// The schema, as a JSON Schema of draft 2020-12.
    pub fn schema(self) -> &'static Value {
        &self.compiled().schema
    }

    /// The text of its published file.
    pub fn to_text(self) -> String {
        // An alternate display of a JSON value cannot fail.
        format!("{:#}\n", self.schema())
    }

    fn compiled(self) -> &'static Compiled {
        match self {
            Self::Tool => &TOOL,
            Self::Workflow => &WORKFLOW,
            Self::Prompt => &PROMPT,
        }
    }
}

/// Reports what the schema of `format` has against `object`, and keys that are almost known.
/// Called after the format's own reader.
pub(crate) fn check(format: Format, object: &Map<String, Value>, findings: &mut Findings<'_>) {
    let compiled = format.compiled();
    let value = Value::Object(object.clone());
    if let Some(validator) = &compiled.validator {
        for error in validator.iter_errors(&value) {
            report(&error, &compiled.schema, format, findings);
        }
    }
    warn_of_typos(&compiled.schema, &compiled.schema, &value, "", findings);
}

fn report(error: &ValidationError<'_>, root: &Value, format: Format, findings: &mut Findings<'_>) {
    if let ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } =
        error.kind()
    {
        // Of the alternatives, the one that was meant: the value is of its type at least. Words
        // are alternatives too, and none of them was meant.
        let path = error.instance_path().as_str();
        let misses = |error: &ValidationError<'_>| {
            use ValidationErrorKind::{Constant, Type};
            matches!(error.kind(), Type { .. } | Constant { .. })
                && error.instance_path().as_str() == path
        };
        if let Some(meant) = context.iter().find(|errors| !errors.iter().any(misses)) {
            meant.iter().for_each(|error| report(error, root, format, findings));
            return;
        }
    }
    let pointer = error.instance_path().as_str();
    let described = |pointer: &str| {
        let (above, _) = pointer.rsplit_once('/').unwrap_or_default();
        // The items of a list are described where the list is.
        let text = [pointer, above]
            .into_iter()
            .find_map(|at| root.pointer(at)?.get("description").and_then(Value::as_str))?;
        Some(text.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let above = error.schema_path().as_str().rsplit_once('/').map_or("", |(above, _)| above);
    let named = in_words(pointer);
    let (what, help) = match error.kind() {
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            if findings.names_error(pointer, property) {
                return;
            }
            let help = described(&format!("{}/properties/{property}", above));
            (format!("`{property}` is missing"), help)
        }
        // Which errors are forgiven is for the reader to say.
        _ if findings.has_any_at(pointer) || findings.has_error_around(pointer) => return,
        ValidationErrorKind::Enum { .. } | ValidationErrorKind::Constant { .. } => {
            (format!("{} is none of the values of {named}", error.instance()), None)
        }
        ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::AnyOf { .. } => {
            let found = match &**error.instance() {
                Value::String(text) => format!("{text:?}"),
                other => kind_of(other).to_owned(),
            };
            (format!("{named} cannot be {found}"), described(above))
        }
        ValidationErrorKind::Type { .. } => {
            (format!("{named} cannot be {}", kind_of(error.instance())), described(above))
        }
        ValidationErrorKind::Pattern { .. } => {
            (format!("{named} cannot be {}", error.instance()), described(above))
        }
        _ => (format!("{named}: {error}"), described(above)),
    };
    let choices = choices(root, error, above);
    let remedy = match (choices, help) {
        (Some(choices), _) => format!("Use one of {choices}."),
        (None, Some(help)) => format!("See what it is for: {help}"),
        (None, None) => format!("See schemas/{}.", format.file_name()),
    };
    findings.error(pointer, what, &remedy);
}

/// What stands at a pointer: `` `name` ``, or the item of a list.
fn in_words(pointer: &str) -> String {
    let mut keys = pointer.rsplit('/').filter(|key| !key.is_empty());
    match (keys.next(), keys.next()) {
        (None, _) => "the file".to_owned(),
        (Some(index), Some(list)) if index.bytes().all(|b| b.is_ascii_digit()) => {
            format!("item {index} of `{list}`")
        }
        (Some(key), _) => format!("`{key}`"),
    }
}

/// The words that are allowed where `error` is about words.
fn choices(root: &Value, error: &ValidationError<'_>, above: &str) -> Option<String> {
    let is_about_words = matches!(
        error.kind(),
        ValidationErrorKind::Enum { .. }
            | ValidationErrorKind::OneOfNotValid { .. }
            | ValidationErrorKind::AnyOf { .. }
    );
    let mut words = Vec::new();
    collect_words(root, root.pointer(above).filter(|_| is_about_words)?, &mut words);
    (!words.is_empty()).then(|| words.join(", "))
}

fn collect_words<'s>(root: &'s Value, schema: &'s Value, words: &mut Vec<&'s str>) {
    let schema = resolve(root, schema);
    words.extend(schema.get("const").and_then(Value::as_str));
    let listed = schema.get("enum").and_then(Value::as_array);
    words.extend(listed.into_iter().flatten().filter_map(Value::as_str));
    for key in ["oneOf", "anyOf"] {
        let inner = schema.get(key).and_then(Value::as_array);
        inner.into_iter().flatten().for_each(|schema| collect_words(root, schema, words));
    }
}

/// Follows a `$ref` within the schema, and picks the filled one of "this or null".
fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return root.pointer(target.trim_start_matches('#')).unwrap_or(schema);
    }
    let alternatives = schema.get("anyOf").and_then(Value::as_array);
    let referred = alternatives.into_iter().flatten().find(|inner| inner.get("$ref").is_some());
    referred.map_or(schema, |inner| resolve(root, inner))
}

/// Unknown keys are allowed, but one that is nearly a known key which is missing is a slip.
fn warn_of_typos(
    root: &Value,
    schema: &Value,
    value: &Value,
    pointer: &str,
    findings: &mut Findings<'_>,
) {
    let schema = resolve(root, schema);
    match value {
        Value::Object(object) => {
            let Some(known) = schema.get("properties").and_then(Value::as_object) else { return };
            for (key, value) in object {
                if let Some(inner) = known.get(key) {
                    warn_of_typos(root, inner, value, &child(pointer, key), findings);
                    continue;
                }
                let missing = known.keys().filter(|name| !object.contains_key(*name));
                let place = child(pointer, key);
                if let Some(name) = missing.into_iter().find(|name| is_near(key, name))
                    && !findings.has_any_at(&place)
                {
                    let what = format!("the key `{key}` has no meaning here");
                    let remedy = format!("Was `{name}` meant?");
                    findings.warn_key(&place, what, &remedy);
                }
            }
        }
        Value::Array(items) => {
            let Some(inner) = schema.get("items") else { return };
            for (index, item) in items.iter().enumerate() {
                warn_of_typos(root, inner, item, &format!("{pointer}/{index}"), findings);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether two names differ by their spelling alone, or by one letter.
fn is_near(a: &str, b: &str) -> bool {
    if fold(a) == fold(b) {
        return true;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len() < 4 || a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let same_start = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same_start..], &b[same_start..]);
    let same_end = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - same_end], &b[..b.len() - same_end]);
    // One letter changed, added or left out, or two neighbours swapped.
    a.len().max(b.len()) <= 1 || (a.len() == 2 && b.len() == 2 && a[0] == b[1] && a[1] == b[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_are_schemas() {
        for format in Format::ALL {
            assert!(format.compiled().validator.is_some(), "{format:?}");
            assert!(format.schema()["title"].is_string());
        }
    }

    #[test]
    fn near_is_one_slip_away() {
        for (a, b) in [("toolname", "toolName"), ("lable", "label"), ("instrution", "instruction")]
        {
            assert!(is_near(a, b), "{a} {b}");
        }
        for (a, b) in [("id", "to"), ("form", "label"), ("x", "id"), ("message", "metadata")] {
            assert!(!is_near(a, b), "{a} {b}");
        }
    }
}
