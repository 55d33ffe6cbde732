//! What the kinds that leave the process send, as the file says it: `http`, `lambda`, `mcp` and
//! `knowledge_base`.
//!
//! Pure: the values and the filling in of a URL. Sending is [`crate::execute`]'s.

use serde_json::{Map, Value};

use super::template::{as_text, templates};

/// A request to a back end.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpCall {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// Where to.
    pub url: UrlTemplate,
    /// Names and texts; a text may hold `{argument}` and `${env:NAME}`.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Body,
    /// JSON pointer of the result in the answer; the whole answer when absent.
    pub result: Option<String>,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// None.
    Empty,
    /// The arguments as they are, as JSON.
    Arguments,
    /// JSON with `{argument}` templates.
    Json(Value),
    /// `application/x-www-form-urlencoded`, with templates.
    Form(Vec<(String, String)>),
}

/// An invocation of an AWS Lambda function.
#[derive(Debug, Clone, PartialEq)]
pub struct LambdaCall {
    /// Name, partial ARN or ARN.
    pub function: String,
    /// Version or alias.
    pub qualifier: Option<String>,
    /// JSON with templates; the arguments as they are when absent.
    pub payload: Option<Value>,
    /// JSON pointer of the result in the answer.
    pub result: Option<String>,
}

/// A call of a tool of an MCP server.
#[derive(Debug, Clone, PartialEq)]
pub struct McpCall {
    /// Name of the server in the server list of the program.
    pub server: String,
    /// The tool's name there.
    pub tool: String,
    /// Whether the file leaves the schema to the server.
    pub schema_from_server: bool,
}

/// A search in an Amazon Bedrock knowledge base.
#[derive(Debug, Clone, PartialEq)]
pub struct KnowledgeBaseQuery {
    /// Its id, ten letters and digits.
    pub knowledge_base_id: String,
    /// What is searched for; a text with templates.
    pub query: String,
    /// Most passages that come back.
    pub results: u16,
    /// Passages with a lower score are left out.
    pub min_score: Option<f64>,
}

/// A URL with `{argument}` in its path and its query; scheme and host are fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate(String);

impl UrlTemplate {
    /// Checks a template; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))
        else {
            return Err("it must start with https:// or http://");
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.is_empty() {
            return Err("it names no host");
        }
        if authority.contains(['{', '}', '$', '%']) {
            return Err("its host must be fixed: templates belong in the path and the query");
        }
        if authority.contains('@') {
            return Err("it must hold no user name or password: use a header with ${env:NAME}");
        }
        if text.contains('#') {
            return Err("a part behind # is never sent");
        }
        if text.contains("${env:") {
            return Err("secrets belong in a header, since URLs are logged on their way");
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err("it must hold no blanks, control characters or backslashes");
        }
        Ok(Self(text.to_owned()))
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The arguments of the path: without them there is no URL.
    pub(crate) fn required(&self) -> Vec<&str> {
        let path = self.0.split('?').next().unwrap_or_default();
        templates(path).into_iter().map(|(_, _, name)| name).collect()
    }

    /// The URL. Every argument is percent-encoded as a whole; a pair of the query whose arguments
    /// are all missing is left out; a path with a missing, empty or dot argument is refused.
    pub fn fill(&self, arguments: &Map<String, Value>) -> Result<String, String> {
        let (path, query) = match self.0.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (self.0.as_str(), None),
        };
        let lacks = |name: &str| arguments.get(name).is_none_or(Value::is_null);
        for (_, _, name) in templates(path) {
            if lacks(name) || arguments.get(name).map(as_text).is_some_and(|text| text.is_empty()) {
                return Err(format!("`{name}` must be given."));
            }
        }
        let mut url = encode_into(path, arguments);
        // A URL parser takes these for steps up, also when they are encoded.
        let dots = |part: &str| {
            matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
        };
        if url.split('/').any(dots) {
            return Err("An argument must not be made of dots alone.".to_owned());
        }
        let pairs: Vec<String> = query
            .into_iter()
            .flat_map(|query| query.split('&'))
            .filter(|pair| {
                let names = templates(pair);
                names.is_empty() || !names.iter().all(|(_, _, name)| lacks(name))
            })
            .map(|pair| encode_into(pair, arguments))
            .collect();
        if !pairs.is_empty() {
            url.push('?');
            url.push_str(&pairs.join("&"));
        }
        Ok(url)
    }
}

/// A stretch of a header's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// Text, perhaps with `{argument}`.
    Text(&'a str),
    /// The name in a `${env:NAME}`; empty when it is never closed.
    Secret(&'a str),
}

/// Takes a header's text apart at its `${env:NAME}`. The template alone is looked at, so an
/// argument can never name a variable.
pub(crate) fn secret_parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${env:") {
        parts.push(Part::Text(before));
        let (name, behind) = after.split_once('}').unwrap_or(("", ""));
        parts.push(Part::Secret(name));
        rest = behind;
    }
    parts.push(Part::Text(rest));
    parts
}

fn encode_into(text: &str, arguments: &Map<String, Value>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end, name) in templates(text) {
        filled.push_str(&text[done..start]);
        filled.push_str(&percent_encode(&arguments.get(name).map(as_text).unwrap_or_default()));
        done = end;
    }
    filled.push_str(&text[done..]);
    filled
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
pub(crate) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fill(template: &str, arguments: Value) -> Result<String, String> {
        UrlTemplate::parse(template).unwrap().fill(arguments.as_object().unwrap())
    }

    #[test]
    fn arguments_cannot_leave_their_place() {
        let url =
            fill("https://b.example/a/{id}?q={q}&x=1", json!({"id": "1/2?&#ä", "q": "a&b=c"}));
        assert_eq!(url.unwrap(), "https://b.example/a/1%2F2%3F%26%23%C3%A4?q=a%26b%3Dc&x=1");
        for dots in ["..", ".", "%2e%2E"] {
            let url = fill("https://b.example/a/{id}/b", json!({"id": dots}));
            assert!(url.as_ref().map_or(true, |url| url.contains("%25")), "{dots}: {url:?}");
        }
    }

    #[test]
    fn a_missing_argument_leaves_out_its_pair_but_not_a_part_of_the_path() {
        let template = "https://b.example/{id}?from={from}&to={to}";
        assert_eq!(fill(template, json!({"id": 7, "to": 2})).unwrap(), "https://b.example/7?to=2");
        assert_eq!(fill(template, json!({"id": 7})).unwrap(), "https://b.example/7");
        assert!(fill(template, json!({"id": ""})).is_err());
        assert!(fill(template, json!({})).unwrap_err().contains("`id`"));
    }

    #[test]
    fn the_host_is_the_files_alone() {
        for wrong in [
            "ftp://a.example/",
            "https:///x",
            "https://{host}/x",
            "https://a.example{x}/",
            "https://u:p@a.example/",
            "https://a.example/#x",
            "https://a.example\\@b/",
            "//x",
            "https://a.example/${env:KEY}",
            "https://a.example/ x",
        ] {
            assert!(UrlTemplate::parse(wrong).is_err(), "{wrong}");
        }
    }
}
