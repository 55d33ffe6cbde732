//! Texts with `{slot}` and `{result.path}` in them. Compiled by `compile`, filled by the script.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a value of a tool may grow to in a spoken text, in characters.
const MAX_VALUE_CHARS: usize = 400;

/// What has been said and found out in the call so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// Slots that were filled.
    pub(super) slots: BTreeMap<String, String>,
    /// The caller's last words.
    pub(super) heard: String,
    /// The latest result of each tool.
    pub(super) results: BTreeMap<String, Value>,
    /// The tool that answered last.
    pub(super) answered: String,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// `{heard}`
    Heard,
    /// `{slot}`, with its default
    Slot(String, Option<String>),
    /// `{result.path}`: the tool that answered last
    Result(String),
    /// `{tool.path}`
    Tool(String, String),
}

/// How a value is put into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    /// `2481.36` is "2,481.36", `-42.8` is "minus 42.80".
    Money,
    /// `EUR` is "euros".
    Currency,
    /// `4021` is "4 0 2 1".
    Spell,
    /// `new york` is "New York".
    Title,
}

/// A compiled text.
#[derive(Debug, Clone)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    Value { source: Source, filters: Vec<Filter> },
}

impl Source {
    /// Reads a reference; `slot` gives the default of a slot, or `None` if there is no such slot.
    pub(super) fn parse(
        reference: &str,
        slot: impl Fn(&str) -> Option<Option<String>>,
    ) -> Result<Self, String> {
        match reference.split_once('.') {
            _ if reference == "heard" => Ok(Self::Heard),
            Some(("result", path)) => Ok(Self::Result(pointer(path)?)),
            Some((tool, path)) => Ok(Self::Tool(tool.to_owned(), pointer(path)?)),
            None => match slot(reference) {
                Some(default) => Ok(Self::Slot(reference.to_owned(), default)),
                None => Err(format!(
                    "there is no slot `{reference}`; values of tools are `result.path` or \
                     `tool_name.path`"
                )),
            },
        }
    }

    /// The value now; a slot's default counts only where `with_default` is set.
    pub(super) fn value(&self, memory: &Memory, with_default: bool) -> Option<Value> {
        let path = |tool: &str, pointer: &str| {
            memory.results.get(tool)?.pointer(pointer).filter(|value| !value.is_null()).cloned()
        };
        match self {
            Self::Heard => Some(Value::from(memory.heard.clone())),
            Self::Slot(name, default) => {
                let default = default.as_ref().filter(|_| with_default);
                memory.slots.get(name).or(default).cloned().map(Value::from)
            }
            Self::Result(pointer) => path(&memory.answered, pointer),
            Self::Tool(tool, pointer) => path(tool, pointer),
        }
    }
}

/// `a.0.b` as the JSON pointer `/a/0/b`.
fn pointer(path: &str) -> Result<String, String> {
    match path.split('.').all(|part| !part.is_empty() && !part.contains(['/', '~'])) {
        true => Ok(format!("/{}", path.replace('.', "/"))),
        false => Err(format!("`{path}` is no path: expected names or numbers with dots between")),
    }
}

impl Template {
    /// Compiles `source`. `slot` is as for [`Source::parse`].
    pub(super) fn compile(
        source: &str,
        slot: impl Fn(&str) -> Option<Option<String>>,
    ) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            text.push_str(before);
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                text.push_str(&brace[..1]);
                rest = after;
                continue;
            }
            let inner = brace.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let Some((reference, after)) = inner else {
                return Err("a brace stands alone; write `{{` or `}}` for a brace".to_owned());
            };
            let mut pieces = reference.split('|').map(str::trim);
            let value = Source::parse(pieces.next().unwrap_or_default(), &slot)?;
            let filters = pieces.map(Filter::parse).collect::<Result<_, _>>()?;
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(Part::Value { source: value, filters });
            rest = after;
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self { parts })
    }

    /// The tools whose results this text names.
    pub(super) fn tools(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value { source: Source::Tool(tool, _), .. } => Some(tool.as_str()),
            _ => None,
        })
    }

    /// The text, and whether all its values were there; a missing one reads "not available".
    pub(super) fn fill(&self, memory: &Memory) -> (String, bool) {
        let mut complete = true;
        let text = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Value { source, filters } => match source.value(memory, true) {
                Some(value) => filters.iter().fold(spoken(&value), |text, f| f.apply(&text)),
                None => {
                    complete = false;
                    "not available".to_owned()
                }
            },
        });
        (text.collect(), complete)
    }

    /// The value for a tool's input: a lone `{reference}` keeps the type of what it names and is
    /// null when that is missing; everything else is text.
    pub(super) fn value(&self, memory: &Memory) -> Value {
        match self.parts.as_slice() {
            [Part::Value { source, filters }] if filters.is_empty() => {
                source.value(memory, true).unwrap_or(Value::Null)
            }
            _ => Value::from(self.fill(memory).0),
        }
    }
}

/// A value as plain text.
fn spoken(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(spoken).collect::<Vec<_>>().join(", "),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null | Value::Number(_) | Value::Object(_) => value.to_string(),
    };
    match text.char_indices().nth(MAX_VALUE_CHARS) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

impl Filter {
    fn parse(name: &str) -> Result<Self, String> {
        match name {
            "money" => Ok(Self::Money),
            "currency" => Ok(Self::Currency),
            "spell" => Ok(Self::Spell),
            "title" => Ok(Self::Title),
            _ => Err(format!(
                "there is no filter `{name}`: expected money, currency, spell or title"
            )),
        }
    }

    fn apply(self, text: &str) -> String {
        match self {
            Self::Money => money(text).unwrap_or_else(|| text.to_owned()),
            Self::Currency => match text {
                "EUR" => "euros",
                "USD" => "dollars",
                "GBP" => "pounds",
                other => other,
            }
            .to_owned(),
            Self::Spell => text.chars().map(String::from).collect::<Vec<_>>().join(" "),
            Self::Title => {
                let capital = |word: &str| {
                    let mut chars = word.chars();
                    let first = chars.next().map(|first| first.to_uppercase().to_string());
                    first.unwrap_or_default() + chars.as_str()
                };
                text.split(' ').map(capital).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

/// An amount as it is read out: cents only if there are some.
fn money(text: &str) -> Option<String> {
    let amount: f64 = text.parse().ok().filter(|amount: &f64| amount.abs() < 1e12)?;
    let cents = (amount.abs() * 100.0).round() as u64;
    let whole = (cents / 100).to_string();
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if amount < 0.0 && cents > 0 { "minus " } else { "" };
    Some(match cents % 100 {
        0 => format!("{sign}{grouped}"),
        cents => format!("{sign}{grouped}.{cents:02}"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn slot(name: &str) -> Option<Option<String>> {
        match name {
            "account" => Some(Some("4021".to_owned())),
            "city" => Some(None),
            _ => None,
        }
    }

    fn memory() -> Memory {
        let balance = json!({"balance": 2481.36, "items": [{"amount": -42.8}, null]});
        Memory {
            slots: [("city".to_owned(), "new york".to_owned())].into(),
            heard: "hello".to_owned(),
            results: [("get_balance".to_owned(), balance)].into(),
            answered: "get_balance".to_owned(),
        }
    }

    fn fill(template: &str) -> (String, bool) {
        Template::compile(template, slot).unwrap().fill(&memory())
    }

    #[test]
    fn values_come_from_slots_results_and_words() {
        assert_eq!(fill("{city|title}, {account|spell}"), ("New York, 4 0 2 1".to_owned(), true));
        assert_eq!(fill("You said {heard}."), ("You said hello.".to_owned(), true));
        assert_eq!(fill("{result.balance|money}").0, "2,481.36");
        assert_eq!(fill("{get_balance.items.0.amount|money}").0, "minus 42.80");
        assert_eq!(fill("{{{city}}}").0, "{new york}");
    }

    #[test]
    fn a_missing_value_is_reported() {
        assert_eq!(fill("It is {result.nothing}."), ("It is not available.".to_owned(), false));
        assert!(!fill("{result.items.1}").1);
        assert!(!fill("{other_tool.x}").1);
    }

    #[test]
    fn a_lone_reference_keeps_its_type() {
        let value = |template| Template::compile(template, slot).unwrap().value(&memory());
        assert_eq!(value("{result.balance}"), json!(2481.36));
        assert_eq!(value("{account}"), json!("4021"));
        assert_eq!(value("n{account}"), json!("n4021"));
        assert_eq!(value("{result.nothing}"), json!(null));
    }

    #[test]
    fn amounts_are_read_out_as_people_do() {
        for (text, spoken) in [
            ("0", "0"),
            ("15900", "15,900"),
            ("1234567.5", "1,234,567.50"),
            ("-0.001", "0"),
            ("-860", "minus 860"),
        ] {
            assert_eq!(money(text).as_deref(), Some(spoken));
        }
        assert_eq!(money("none"), None);
        assert_eq!(money("NaN"), None);
    }

    #[test]
    fn what_is_no_template_is_refused_with_a_reason() {
        for (template, reason) in [
            ("{nobody}", "no slot `nobody`"),
            ("{city|shout}", "no filter `shout`"),
            ("{city", "brace"),
            ("city}", "brace"),
            ("{result.}", "no path"),
            ("{}", "no slot"),
        ] {
            let error = Template::compile(template, slot).unwrap_err();
            assert!(error.contains(reason), "{template}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_template_makes_it_panic(template in "[a-z{}|. ]{0,30}|.{0,20}") {
            if let Ok(template) = Template::compile(&template, slot) {
                let _ = template.fill(&memory());
            }
        }
    }
}
