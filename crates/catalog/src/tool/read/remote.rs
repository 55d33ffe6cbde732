//! Reads the kinds that leave the process: `http`, `lambda`, `mcp`, `knowledge_base`.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::super::{
    Body, Executor, HttpCall, KnowledgeBaseQuery, LambdaCall, McpCall, UrlTemplate, remote,
    template::templates,
};
use crate::finding::{Findings, child, kind_of};

/// The keys of each kind, beside those of all.
pub(super) const HTTP_KEYS: [&str; 6] = ["method", "url", "headers", "body", "form", "result"];
pub(super) const LAMBDA_KEYS: [&str; 4] = ["function", "qualifier", "payload", "result"];
pub(super) const MCP_KEYS: [&str; 2] = ["server", "tool"];
pub(super) const KNOWLEDGE_BASE_KEYS: [&str; 4] =
    ["knowledge_base_id", "query", "results", "min_score"];

/// Headers that the client sets itself; a second one would let two parties disagree.
const OWN_HEADERS: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te"];

/// Variables whose values are the program's own keys.
const OWN_SECRETS: [&str; 3] = ["AWS_", "NOVA_AWS_", "LANGFUSE_"];

/// Passages when the file does not say.
const RESULTS: u64 = 5;

/// Reads one executor of these kinds.
pub(super) struct Reader<'a, 'b, 'c> {
    pub(super) execute: &'a Map<String, Value>,
    /// The properties of the schema; `None` when it may take any.
    pub(super) known: Option<BTreeSet<&'a str>>,
    /// The properties that must be given.
    pub(super) required: BTreeSet<&'a str>,
    pub(super) findings: &'b mut Findings<'c>,
}

impl Reader<'_, '_, '_> {
    pub(super) fn http(&mut self) -> Option<HttpCall> {
        let method = self.text("method").unwrap_or_else(|| "GET".to_owned()).to_ascii_uppercase();
        if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
            let what = format!("there is no method `{method}`");
            self.error("method", what, "Use GET, POST, PUT, PATCH or DELETE.");
        }
        let url = self.url();
        let headers = self.headers();
        let body = self.body(&method);
        Some(HttpCall { method, url: url?, headers, body, result: self.pointer() })
    }

    pub(super) fn lambda(&mut self) -> Option<LambdaCall> {
        let function = self.needed("function", "the name or ARN of the function");
        let qualifier = self.text("qualifier");
        let payload = self.execute.get("payload").cloned();
        if let Some(payload) = &payload {
            self.check_templates(payload, "/execute/payload");
        }
        Some(LambdaCall { function: function?, qualifier, payload, result: self.pointer() })
    }

    /// `has_schema`: whether the file says what the arguments are.
    pub(super) fn mcp(&mut self, name: &str, has_schema: bool) -> Option<McpCall> {
        let server = self.needed("server", "the name of a server in the program's MCP list")?;
        let tool = self.text("tool").unwrap_or_else(|| name.to_owned());
        Some(McpCall { server, tool, schema_from_server: !has_schema })
    }

    pub(super) fn knowledge_base(&mut self) -> Option<KnowledgeBaseQuery> {
        let id = self.needed("knowledge_base_id", "the id of the knowledge base");
        let query = self.needed("query", "what is searched for, such as \"{question}\"");
        if let Some(query) = &query {
            self.check_text(query, "/execute/query");
        }
        let results = match self.execute.get("results") {
            None => Some(RESULTS),
            Some(given) => given.as_u64().filter(|count| (1..=100).contains(count)),
        };
        if results.is_none() {
            self.error("results", "`results` must be a whole number from 1 to 100", "Write 5.");
        }
        let min_score = match self.execute.get("min_score") {
            None => None,
            Some(given) => {
                let score = given.as_f64().filter(|score| (0.0..=1.0).contains(score));
                if score.is_none() {
                    let what = "`min_score` must be a number from 0 to 1";
                    self.error("min_score", what, "Write 0.4, for example.");
                }
                score
            }
        };
        Some(KnowledgeBaseQuery {
            knowledge_base_id: id?,
            query: query?,
            results: results.and_then(|count| u16::try_from(count).ok())?,
            min_score,
        })
    }

    fn url(&mut self) -> Option<UrlTemplate> {
        let text = self.needed("url", "where the request goes")?;
        self.check_text(&text, "/execute/url");
        match UrlTemplate::parse(&text) {
            Ok(url) => {
                for name in url.required() {
                    if self.known.is_some() && !self.required.contains(name) {
                        let what = format!("`{name}` is part of the path but not required");
                        let remedy = "Add it to `required` of the schema: \
                                      without it the tool cannot run.";
                        self.findings.warn("/execute/url", what, remedy);
                    }
                }
                Some(url)
            }
            Err(why) => {
                let remedy = "Write https://host/path?name={argument}.";
                self.error("url", format!("the URL does not do: {why}"), remedy);
                None
            }
        }
    }

    fn headers(&mut self) -> Vec<(String, String)> {
        let headers = match self.execute.get("headers") {
            None => return Vec::new(),
            Some(Value::Object(headers)) => headers,
            Some(other) => {
                let what = format!("`headers` must be an object, not {}", kind_of(other));
                self.error("headers", what, "Write {\"Name\": \"value\"}.");
                return Vec::new();
            }
        };
        let mut read = Vec::new();
        for (name, text) in headers {
            let place = child("/execute/headers", name);
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if name.is_empty() || !name.bytes().all(token) {
                let what = format!("`{name}` cannot be the name of a header");
                self.findings.error(&place, what, "Use letters, digits and `-`.");
            } else if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
                let what = format!("the header `{name}` is set by the program");
                self.findings.error(&place, what, "Take it away.");
            }
            let Value::String(text) = text else {
                let what = format!("a header must be a text, not {}", kind_of(text));
                self.findings.error(&place, what, "Write it between double quotes.");
                continue;
            };
            self.check_text(text, &place);
            self.check_secrets(text, &place);
            read.push((name.clone(), text.clone()));
        }
        read
    }

    fn check_secrets(&mut self, text: &str, place: &str) {
        for part in remote::secret_parts(text) {
            let remote::Part::Secret(name) = part else { continue };
            let fits =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if !fits {
                let what = "`${env:` must be followed by the name of a variable and `}`";
                self.findings.error(place, what, "Write ${env:BANK_TOKEN}, for example.");
            } else if OWN_SECRETS.iter().any(|own| name.starts_with(own)) {
                let what = format!("`{name}` is the program's own and not for tools");
                self.findings.error(place, what, "Give the tool a variable of its own.");
            }
        }
    }

    fn body(&mut self, method: &str) -> Body {
        match (self.execute.get("body"), self.execute.get("form")) {
            (Some(_), Some(_)) => {
                self.error("form", "a request has either `body` or `form`", "Take one away.");
                Body::Empty
            }
            (Some(body), None) => {
                self.check_templates(body, "/execute/body");
                Body::Json(body.clone())
            }
            (None, Some(Value::Object(form))) => {
                let mut fields = Vec::new();
                for (name, text) in form {
                    let place = child("/execute/form", name);
                    match text {
                        Value::String(text) => {
                            self.check_text(text, &place);
                            fields.push((name.clone(), text.clone()));
                        }
                        other => {
                            let what = format!("a field must be a text, not {}", kind_of(other));
                            self.findings.error(&place, what, "Write it in double quotes.");
                        }
                    }
                }
                Body::Form(fields)
            }
            (None, Some(other)) => {
                let what = format!("`form` must be an object, not {}", kind_of(other));
                self.error("form", what, "Write {\"name\": \"{argument}\"}.");
                Body::Empty
            }
            (None, None) if matches!(method, "GET" | "DELETE") => Body::Empty,
            (None, None) => Body::Arguments,
        }
    }

    fn pointer(&mut self) -> Option<String> {
        let pointer = self.text("result")?;
        if !pointer.is_empty() && !pointer.starts_with('/') {
            let what = format!("`{pointer}` is not a JSON pointer into the answer");
            self.error("result", what, "Start it with `/`, such as \"/data\".");
        }
        Some(pointer)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        self.findings.text_at(self.execute, "/execute", key)
    }

    fn needed(&mut self, key: &str, what_it_is: &str) -> Option<String> {
        match self.text(key) {
            Some(text) if !text.trim().is_empty() => Some(text),
            Some(_) => {
                self.error(key, format!("`{key}` is empty"), &format!("It is {what_it_is}."));
                None
            }
            None => {
                if !self.execute.contains_key(key) {
                    let what = format!("`{key}` is missing");
                    let remedy = format!("Add it: {what_it_is}.");
                    self.findings.error("/execute", what, &remedy);
                }
                None
            }
        }
    }

    fn check_templates(&mut self, value: &Value, place: &str) {
        match value {
            Value::String(text) => self.check_text(text, place),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .for_each(|(index, item)| self.check_templates(item, &format!("{place}/{index}"))),
            Value::Object(object) => {
                object.iter().for_each(|(key, item)| self.check_templates(item, &child(place, key)))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn check_text(&mut self, text: &str, place: &str) {
        for (_, _, name) in templates(text) {
            if self.known.as_ref().is_some_and(|known| !known.contains(name)) {
                let what = format!("`{name}` is not an argument of this tool");
                let remedy = "Use a property of the schema, or add it there.";
                self.findings.error(place, what, remedy);
            }
        }
    }

    fn error(&mut self, key: &str, what: impl Into<String>, remedy: &str) {
        self.findings.error(&child("/execute", key), what, remedy);
    }
}

/// Wraps what was read; an executor with errors is none.
pub(super) fn or_none<T>(read: Option<T>, wrap: impl Fn(T) -> Executor) -> Executor {
    read.map_or(Executor::None, wrap)
}
