//! Tools of MCP servers: one connection per server, opened at the first use, opened again after
//! it died.

use std::{
    collections::{BTreeMap, HashMap},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::header::{HeaderName, HeaderValue};
use rmcp::{
    RoleClient, ServiceError, ServiceExt,
    model::{CallToolRequestParams, CallToolResult, Tool as ServerTool},
    service::RunningService,
    transport::{
        StreamableHttpClientTransport, TokioChildProcess, common::client_side_sse::SseRetryPolicy,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::{
    super::{Fault, shape},
    McpServer, McpServers, McpTransport, Secrets,
};
use crate::tool::McpCall;

/// A server that has not greeted by then is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A server that has not listed its tools by then is down.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

/// Most bytes of one message.
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// What a child process inherits; everything else it needs is in its `env`. The program's own
/// keys stay here.
const INHERITED: [&str; 6] = ["PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR"];

const UNREACHABLE: &str = "The service cannot be reached.";

type Connection = RunningService<RoleClient, ()>;

/// A stream that breaks is taken up again once. The SDK's own default goes on for ever, and a
/// call on a dead server would wait for all of its time. A server may ask for a longer pause.
#[derive(Debug)]
struct OneRetry;

impl SseRetryPolicy for OneRetry {
    fn retry(&self, attempts: usize) -> Option<Duration> {
        (attempts == 0).then_some(Duration::from_millis(300))
    }
}

/// The servers and their connections.
pub(super) struct Mcp {
    servers: McpServers,
    slots: HashMap<String, Slot>,
    secrets: Secrets,
    http: reqwest::Client,
}

/// A server's place for its connection.
#[derive(Default)]
struct Slot {
    open: Mutex<Option<Arc<Connection>>>,
    /// One attempt to connect at a time; the others wait for it.
    connecting: tokio::sync::Mutex<()>,
}

impl Slot {
    fn current(&self) -> Option<Arc<Connection>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|open| open.is_closed() || open.is_transport_closed()) {
            *open = None;
        }
        open.clone()
    }

    fn keep(&self, connection: &Arc<Connection>) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(connection));
    }

    /// Lets a connection go, unless another has already taken its place. Runs that still hold it
    /// finish on it.
    fn forget(&self, connection: &Arc<Connection>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|open| Arc::ptr_eq(open, connection)) {
            *open = None;
        }
    }
}

/// A run in progress. When it is dropped before its end, because it took too long, the
/// connection is not trusted any more.
struct Watch<'a> {
    slot: &'a Slot,
    connection: Arc<Connection>,
    answered: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.slot.forget(&self.connection);
        }
    }
}

impl Mcp {
    pub(super) fn new(servers: McpServers, secrets: Secrets) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let slots = servers.0.keys().map(|name| (name.clone(), Slot::default())).collect();
        Ok(Self { servers, slots, secrets, http })
    }

    pub(super) fn servers(&self) -> &BTreeMap<String, McpServer> {
        &self.servers.0
    }

    /// Calls a tool once.
    pub(super) async fn call(
        &self,
        call: &McpCall,
        arguments: Map<String, Value>,
    ) -> Result<Value, Fault> {
        let (slot, connection) = self.connection(&call.server).await?;
        let mut watch = Watch { slot, connection, answered: false };
        let params = CallToolRequestParams::new(call.tool.clone()).with_arguments(arguments);
        match watch.connection.call_tool(params).await {
            Ok(result) => {
                watch.answered = true;
                to_answer(result)
            }
            Err(ServiceError::McpError(error)) => {
                watch.answered = true;
                // The server's text is for whoever calls its tool: the model, not the log.
                let detail = format!("the MCP server answers error {}", error.code.0);
                Err(Fault::lasting(format!("The service refused: {}", error.message), detail))
            }
            Err(error) => {
                let detail = format!("MCP server {}: {error}", call.server);
                Err(Fault::passing(UNREACHABLE, detail))
            }
        }
    }

    /// The tools a server has.
    pub(super) async fn tools(&self, server: &str) -> Result<Vec<ServerTool>, Fault> {
        let (slot, connection) = self.connection(server).await?;
        let mut watch = Watch { slot, connection, answered: false };
        let listed = timeout(LIST_TIMEOUT, watch.connection.list_all_tools()).await;
        let failed = |detail: String| Fault::passing(UNREACHABLE, detail);
        let tools = listed
            .map_err(|_| failed("it did not list its tools in time".to_owned()))?
            .map_err(|error| failed(error.to_string()))?;
        watch.answered = true;
        Ok(tools)
    }

    async fn connection(&self, name: &str) -> Result<(&Slot, Arc<Connection>), Fault> {
        let (Some(server), Some(slot)) = (self.servers.0.get(name), self.slots.get(name)) else {
            let detail = format!("there is no MCP server named {name}");
            return Err(Fault::lasting("The tool is not set up here.", detail));
        };
        if let Some(connection) = slot.current() {
            return Ok((slot, connection));
        }
        let _alone = slot.connecting.lock().await;
        if let Some(connection) = slot.current() {
            return Ok((slot, connection));
        }
        let connection = match timeout(CONNECT_TIMEOUT, self.connect(server)).await {
            Ok(connected) => Arc::new(connected?),
            Err(_) => {
                let detail = format!("MCP server {name}: no greeting in time");
                return Err(Fault::passing(UNREACHABLE, detail));
            }
        };
        slot.keep(&connection);
        tracing::info!(server = name, "connected to an MCP server");
        Ok((slot, connection))
    }

    async fn connect(&self, server: &McpServer) -> Result<Connection, Fault> {
        let none = Map::new();
        match &server.transport {
            McpTransport::Http { url, headers } => {
                let mut custom = HashMap::new();
                for (name, text) in headers {
                    let value = self.secrets.fill(text, &none)?;
                    let wrong = |_| {
                        let detail = format!("the header {name} cannot be sent");
                        Fault::lasting("The tool is not set up here.", detail)
                    };
                    let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong(()))?;
                    value.set_sensitive(true);
                    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong(()))?;
                    custom.insert(name, value);
                }
                let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
                    .custom_headers(custom)
                    .max_sse_event_size(MAX_MESSAGE_BYTES)
                    .max_json_response_size(MAX_MESSAGE_BYTES);
                config.retry_config = Arc::new(OneRetry);
                let transport =
                    StreamableHttpClientTransport::with_client(self.http.clone(), config);
                ().serve(transport).await.map_err(|error| unreachable(&error))
            }
            McpTransport::Stdio { command, args, env } => {
                let mut child = tokio::process::Command::new(command);
                child.args(args).env_clear().kill_on_drop(true);
                for name in INHERITED {
                    if let Some(value) = std::env::var_os(name) {
                        child.env(name, value);
                    }
                }
                for (name, text) in env {
                    child.env(name, self.secrets.fill(text, &none)?);
                }
                // What a server writes there may hold anything; it is not ours to log.
                let (transport, _) = TokioChildProcess::builder(child)
                    .stderr(Stdio::null())
                    .spawn()
                    .map_err(|error| unreachable(&error))?;
                ().serve(transport).await.map_err(|error| unreachable(&error))
            }
        }
    }
}

fn unreachable(error: &dyn std::error::Error) -> Fault {
    let mut detail = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        detail.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    Fault::passing(UNREACHABLE, detail)
}

/// What the model gets: the structured content, else the texts; of pictures and sounds only that
/// they were there.
fn to_answer(result: CallToolResult) -> Result<Value, Fault> {
    let failed = result.is_error == Some(true);
    let texts: Vec<String> = result
        .content
        .iter()
        .filter_map(|content| serde_json::to_value(content).ok())
        .filter_map(|content| {
            let text = content.get("text").or_else(|| content.pointer("/resource/text"));
            match text.and_then(Value::as_str) {
                Some(text) => Some(text.to_owned()),
                None => Some(format!("[{}]", content.get("type")?.as_str()?)),
            }
        })
        .collect();
    let text = texts.join("\n");
    if failed {
        let message = if text.trim().is_empty() { "The service failed.".to_owned() } else { text };
        return Err(Fault::lasting(message, "the MCP tool reports an error"));
    }
    match result.structured_content {
        Some(structured) if !structured.is_null() => Ok(structured),
        _ => Ok(match shape::decode(Value::String(text)) {
            Value::String(text) => json!({ "text": text }),
            decoded => decoded,
        }),
    }
}
