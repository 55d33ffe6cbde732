//! The list of MCP servers, and what they contribute to the catalog.
//!
//! The list is the operator's, not the tool files': a server over stdio is a program that is
//! started. Its format is the `mcpServers` object that other MCP clients read, plus `offer`.

use std::collections::{BTreeMap, HashMap};

use rmcp::model::Tool as ServerTool;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{super::Fault, mcp::Mcp};
use crate::{
    name::is_tool_name,
    problem::{Problem, Severity},
    source::SourceFile,
    tool::SCHEMA_KEYS,
};

/// The servers by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct McpServers(pub BTreeMap<String, McpServer>);

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpServer {
    /// How it is reached.
    pub transport: McpTransport,
    /// Names of its tools that are offered without a file of ours; `*` is all of them.
    pub offer: Vec<String>,
}

/// How a server is reached. Texts of `headers` and `env` may hold `${env:NAME}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum McpTransport {
    /// Streamable HTTP.
    Http {
        /// The endpoint, such as `https://mcp.bank.example/mcp`.
        url: String,
        /// Headers of every request.
        headers: BTreeMap<String, String>,
    },
    /// A child process that speaks on its standard input and output.
    Stdio {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Its environment, beside `PATH`, `HOME` and the like.
        env: BTreeMap<String, String>,
    },
}

/// A list that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the list of MCP servers is not valid: {0}")]
pub struct WrongMcpServers(String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    mcp_servers: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    offer: Vec<String>,
}

impl McpServers {
    /// Reads `{"mcpServers": {"name": {"url", "headers"?} | {"command", "args"?, "env"?}}}`, each
    /// with an optional `offer` list. Keys of other programs are ignored.
    pub fn parse(text: &str) -> Result<Self, WrongMcpServers> {
        let list: List =
            serde_json::from_str(text).map_err(|error| WrongMcpServers(error.to_string()))?;
        let mut servers = BTreeMap::new();
        for (name, entry) in list.mcp_servers {
            let wrong = |what: &str| Err(WrongMcpServers(format!("server `{name}` {what}")));
            let transport = match (entry.url, entry.command) {
                (Some(url), None) => match reqwest::Url::parse(&url) {
                    Ok(parsed) if matches!(parsed.scheme(), "http" | "https") => {
                        McpTransport::Http { url, headers: entry.headers }
                    }
                    _ => return wrong("has a `url` that is neither https:// nor http://"),
                },
                (None, Some(command)) if !command.trim().is_empty() => {
                    McpTransport::Stdio { command, args: entry.args, env: entry.env }
                }
                _ => return wrong("needs either a `url` or a `command`"),
            };
            servers.insert(name, McpServer { transport, offer: entry.offer });
        }
        Ok(Self(servers))
    }
}

/// See [`Clients::complete`](super::Clients::complete).
pub(super) async fn complete(mcp: &Mcp, files: &mut Vec<SourceFile>) -> Vec<Problem> {
    let mut listed: HashMap<String, Result<Vec<ServerTool>, Fault>> = HashMap::new();
    let mut warnings = Vec::new();
    let mut named = Vec::new();
    for file in files.iter_mut() {
        // What cannot be read is reported when the snapshot is built.
        let Ok(Value::Object(object)) = serde_json::from_slice(&file.bytes) else { continue };
        let Some((server, tool)) = mcp_call(&object) else { continue };
        named.push((server.clone(), tool.clone()));
        if SCHEMA_KEYS.iter().any(|key| object.contains_key(*key)) {
            continue;
        }
        if !listed.contains_key(&server) {
            let tools = mcp.tools(&server).await;
            listed.insert(server.clone(), tools);
        }
        let what = match &listed[&server] {
            Ok(tools) => match tools.iter().find(|known| known.name == tool) {
                Some(known) => {
                    append(file, &object, known);
                    continue;
                }
                None => format!("the MCP server `{server}` has no tool `{tool}`"),
            },
            Err(fault) => {
                format!("the MCP server `{server}` did not say its tools: {}", fault.detail)
            }
        };
        warnings.push(warning(format!("tools/{}", file.name), what));
    }
    for (name, server) in mcp.servers() {
        if server.offer.is_empty() {
            continue;
        }
        let tools = match listed.remove(name) {
            Some(tools) => tools,
            None => mcp.tools(name).await,
        };
        match tools {
            Ok(tools) => {
                let offered = |tool: &&ServerTool| {
                    server.offer.iter().any(|offer| offer == "*" || *offer == tool.name)
                        && !named.iter().any(|(of, known)| of == name && *known == tool.name)
                };
                files.extend(tools.iter().filter(offered).map(|tool| to_file(name, tool)));
                let missing = server.offer.iter().filter(|offer| {
                    *offer != "*" && !tools.iter().any(|tool| tool.name == offer.as_str())
                });
                for offer in missing {
                    let what = format!("the MCP server `{name}` has no tool `{offer}`");
                    warnings.push(warning("MCP servers".to_owned(), what));
                }
            }
            Err(fault) => {
                let what =
                    format!("the MCP server `{name}` did not say its tools: {}", fault.detail);
                warnings.push(warning("MCP servers".to_owned(), what));
            }
        }
    }
    warnings
}

/// Server and tool of a file that runs one.
fn mcp_call(object: &Map<String, Value>) -> Option<(String, String)> {
    let execute = object.get("execute")?;
    if execute.get("kind")?.as_str()? != "mcp" {
        return None;
    }
    let name = object.get("name").and_then(Value::as_str);
    let tool = execute.get("tool").and_then(Value::as_str).or(name)?;
    Some((execute.get("server")?.as_str()?.to_owned(), tool.to_owned()))
}

/// Adds what the file lacks behind its last key, so that line numbers stay true.
fn append(file: &mut SourceFile, object: &Map<String, Value>, known: &ServerTool) {
    let Some(end) = file.bytes.iter().rposition(|byte| *byte == b'}') else { return };
    let mut more = format!(", \"input_schema\": {}", schema(known));
    if let (false, Some(description)) = (object.contains_key("description"), &known.description) {
        more.push_str(&format!(", \"description\": {}", json!(description)));
    }
    file.bytes.splice(end..end, more.into_bytes());
}

fn to_file(server: &str, tool: &ServerTool) -> SourceFile {
    // The server's name keeps apart what two servers call the same.
    let name: String = format!("{server}_{}", tool.name)
        .chars()
        .map(|c| if c.is_ascii() && is_tool_name(&c.to_string()) { c } else { '_' })
        .collect();
    let description = tool.description.as_deref().filter(|text| !text.trim().is_empty());
    let file = json!({
        "name": name,
        "description": description.unwrap_or(&tool.name),
        "category": server,
        "input_schema": schema(tool),
        "execute": { "kind": "mcp", "server": server, "tool": tool.name }
    });
    SourceFile::new(format!("mcp-{name}.json"), file.to_string())
}

fn schema(tool: &ServerTool) -> Value {
    let mut schema = tool.input_schema.as_ref().clone();
    // A name of a dialect is nothing the model needs, and one the checker may not know.
    schema.remove("$schema");
    Value::Object(schema)
}

fn warning(file: String, what: String) -> Problem {
    Problem::of_file(
        Severity::Warning,
        file,
        what,
        "Check the list of MCP servers and whether the server runs.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_one_other_mcp_clients_read() {
        let list = McpServers::parse(
            r#"{"mcpServers": {
                "crm": {"type": "http", "url": "https://mcp.example/mcp", "offer": ["find"],
                        "headers": {"Authorization": "Bearer ${env:CRM}"}},
                "files": {"command": "npx", "args": ["-y", "x"], "env": {"A": "b"}}}}"#,
        )
        .unwrap();
        assert_eq!(list.0["crm"].offer, ["find"]);
        assert!(matches!(&list.0["files"].transport,
            McpTransport::Stdio { command, args, .. } if command == "npx" && args.len() == 2));
        for wrong in [
            "{}",
            r#"{"mcpServers": {"a": {}}}"#,
            r#"{"mcpServers": {"a": {"url": "ftp://x"}}}"#,
            r#"{"mcpServers": {"a": {"url": "https://x", "command": "y"}}}"#,
        ] {
            assert!(McpServers::parse(wrong).is_err(), "{wrong}");
        }
    }
}
