//! `mcp` tools against servers of the official SDK: over streamable HTTP in this process, over
//! stdio in a child process, and servers that die in the middle of a call.

use std::{collections::BTreeMap, future::pending, net::SocketAddr, sync::Arc, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::Notify,
    task::JoinHandle,
};
use voice_catalog::{
    Snapshot, SourceFile, Sources,
    execute::{ClientOptions, Clients, Executors, McpServer, McpServers, McpTransport, Secrets},
};

use crate::{one_tool, run, told};

/// Set in the child process that is a server.
const CHILD: &str = "MCP_TEST_CHILD";

#[derive(Clone, Default)]
struct Bank {
    /// Told when the tool `die` is called; without one the process ends.
    dies: Option<Arc<Notify>>,
}

impl ServerHandler for Bank {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"accountId": {"type": "string", "pattern": "^[0-9]{4}$"}},
            "required": ["accountId"]
        });
        let schema = Arc::new(schema.as_object().unwrap().clone());
        let tool = |name: &'static str| Tool::new(name, "From the server.", Arc::clone(&schema));
        Ok(ListToolsResult::with_all_items(vec![tool("balance"), tool("say.text")]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let result = match request.name.as_ref() {
            "balance" => CallToolResult::structured(json!({
                "asked": request.arguments, "process": std::process::id()
            })),
            "say.text" => CallToolResult::success(vec![ContentBlock::text("open until six")]),
            "json_text" => CallToolResult::success(vec![ContentBlock::text("{\"a\": 1}")]),
            "environment" => CallToolResult::structured(json!({
                "given": std::env::var("GIVEN").ok(), "cargo": std::env::var("CARGO").ok()
            })),
            "fails" => CallToolResult::error(vec![ContentBlock::text("The account is closed.")]),
            "never" => pending().await,
            "die" => match &self.dies {
                Some(dies) => {
                    dies.notify_one();
                    pending().await
                }
                None => std::process::exit(3),
            },
            _ => return Err(ErrorData::invalid_params("no such tool", None)),
        };
        Ok(result.into())
    }
}

/// A server over HTTP, here. It dies when `die` is called and when it is dropped.
struct Here {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Here {
    async fn start(at: Option<SocketAddr>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(at.unwrap_or_else(|| "127.0.0.1:0".parse().unwrap())).unwrap();
        let listener: TcpListener = socket.listen(16).unwrap();
        let address = listener.local_addr().unwrap();
        let dies = Arc::new(Notify::new());
        let bank = Bank { dies: Some(Arc::clone(&dies)) };
        let service = StreamableHttpService::new(
            move || Ok(bank.clone()),
            Arc::new(LocalSessionManager::default()),
            Default::default(),
        );
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            let accept = async {
                while let Ok((socket, _)) = listener.accept().await {
                    let service = TowerToHyperService::new(service.clone());
                    open.spawn(async move {
                        let _ = auto::Builder::new(TokioExecutor::new())
                            .serve_connection(TokioIo::new(socket), service)
                            .await;
                    });
                }
            };
            tokio::select! { () = accept => {}, () = dies.notified() => {} }
            open.abort_all();
        });
        Self { address, task }
    }

    fn transport(&self) -> McpTransport {
        let url = format!("http://{}/mcp", self.address);
        McpTransport::Http { url, headers: BTreeMap::new() }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A server in a child process: this test program, started once more to run `child` alone. The
/// test harness writes to standard output, so the protocol gets a descriptor of its own.
fn child_process() -> McpTransport {
    let this = std::env::current_exe().unwrap().to_str().unwrap().to_owned();
    let script = "exec 3>&1 1>/dev/null; exec \"$0\" --exact mcp::child --nocapture";
    McpTransport::Stdio {
        command: "sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned(), this],
        env: BTreeMap::from([
            (CHILD.to_owned(), "1".to_owned()),
            ("GIVEN".to_owned(), "${env:HUSH}".to_owned()),
        ]),
    }
}

#[tokio::test]
async fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let output = tokio::fs::OpenOptions::new().write(true).open("/dev/fd/3").await.unwrap();
    let server = Bank::default().serve((tokio::io::stdin(), output)).await.unwrap();
    server.waiting().await.unwrap();
}

fn options(transport: McpTransport, offer: &[&str]) -> ClientOptions {
    let offer = offer.iter().map(|tool| (*tool).to_owned()).collect();
    let server = McpServer { transport, offer };
    ClientOptions {
        mcp: McpServers(BTreeMap::from([("bank".to_owned(), server)])),
        secrets: Secrets::new(|name| (name == "HUSH").then(|| "hush".to_owned())),
        ..ClientOptions::default()
    }
}

fn tool(name: &str) -> Arc<Snapshot> {
    one_tool(json!({"kind": "mcp", "server": "bank", "tool": name, "timeout_ms": 20000}))
}

async fn answers_of_every_kind(transport: McpTransport) {
    let executors = Executors::with_clients(options(transport, &[])).unwrap();
    let ask = |name| {
        let (executors, catalog) = (&executors, tool(name));
        async move { run(executors, &catalog, json!({"accountId": "4021"})).await }
    };
    let first = ask("balance").await.unwrap();
    assert_eq!(first["asked"], json!({"accountId": "4021"}));
    assert_eq!(ask("balance").await.unwrap(), first, "on the same connection");
    assert_eq!(ask("say.text").await.unwrap(), json!({"text": "open until six"}));
    assert_eq!(ask("json_text").await.unwrap(), json!({"a": 1}));
    assert_eq!(told(ask("fails").await), "The account is closed.");
    assert_eq!(told(ask("nothing").await), "The service refused: no such tool");
    let (one, two) = futures::join!(ask("balance"), ask("say.text"));
    assert!(one.is_ok() && two.is_ok());
}

#[tokio::test]
async fn tools_answer_over_http() {
    let server = Here::start(None).await;
    answers_of_every_kind(server.transport()).await;
}

#[tokio::test]
async fn tools_answer_over_stdio() {
    answers_of_every_kind(child_process()).await;
}

#[tokio::test]
async fn a_child_gets_what_it_is_given_and_no_more() {
    let executors = Executors::with_clients(options(child_process(), &[])).unwrap();
    let answer = run(&executors, &tool("environment"), json!({})).await.unwrap();
    assert_eq!(answer, json!({"given": "hush", "cargo": null}));
}

#[tokio::test]
async fn a_child_that_dies_in_a_call_is_started_again_for_the_next() {
    let executors = Executors::with_clients(options(child_process(), &[])).unwrap();
    let first = run(&executors, &tool("balance"), json!({})).await.unwrap();
    let error = told(run(&executors, &tool("die"), json!({})).await);
    assert_eq!(error, "The service cannot be reached.");
    let second = run(&executors, &tool("balance"), json!({})).await.unwrap();
    assert_ne!(first["process"], second["process"]);
}

#[tokio::test]
async fn a_server_over_http_that_dies_in_a_call_is_found_again_when_it_is_back() {
    let server = Here::start(None).await;
    let executors = Executors::with_clients(options(server.transport(), &[])).unwrap();
    run(&executors, &tool("balance"), json!({})).await.unwrap();
    // Long before its time is over.
    let error = told(run(&executors, &tool("die"), json!({})).await);
    assert_eq!(error, "The service cannot be reached.");
    let down = told(run(&executors, &tool("balance"), json!({})).await);
    assert_eq!(down, "The service cannot be reached.");
    let again = Here::start(Some(server.address)).await;
    let back = run(&executors, &tool("balance"), json!({})).await.unwrap();
    assert!(back["process"].is_number());
    drop(again);
}

#[tokio::test]
async fn a_tool_that_never_answers_does_not_hold_up_the_next() {
    let executors = Executors::with_clients(options(child_process(), &[])).unwrap();
    run(&executors, &tool("balance"), json!({})).await.unwrap();
    let never =
        one_tool(json!({"kind": "mcp", "server": "bank", "tool": "never", "timeout_ms": 200}));
    let error = run(&executors, &never, json!({})).await.unwrap_err();
    assert_eq!(error.as_str(), "timed_out");
    run(&executors, &tool("balance"), json!({})).await.unwrap();
}

#[tokio::test]
async fn servers_that_are_not_there_are_an_answer() {
    let gone = McpTransport::Stdio {
        command: "/does/not/exist".to_owned(),
        args: vec![],
        env: BTreeMap::new(),
    };
    let executors = Executors::with_clients(options(gone, &[])).unwrap();
    let error = told(run(&executors, &tool("balance"), json!({})).await);
    assert_eq!(error, "The service cannot be reached.");
    let unknown = one_tool(json!({"kind": "mcp", "server": "nobody"}));
    let error = told(run(&executors, &unknown, json!({})).await);
    assert_eq!(error, "The tool is not set up here.");
}

#[tokio::test]
async fn schemas_and_whole_tools_come_from_the_server() {
    let server = Here::start(None).await;
    let clients = Arc::new(Clients::new(options(server.transport(), &["say.text", "no"])).unwrap());
    let file = |name: &str, tool: &str| {
        let text = format!(
            "{{\"name\": \"{name}\", \"execute\":\n \
             {{\"kind\": \"mcp\", \"server\": \"bank\", \"tool\": \"{tool}\"}}}}\n"
        );
        SourceFile::new(format!("{name}.json"), text)
    };
    let mut sources = Sources { tools: vec![file("get_balance", "balance")], ..Sources::default() };
    let warnings = clients.complete(&mut sources).await;
    let warnings: Vec<&str> = warnings.iter().map(|warning| warning.what.as_str()).collect();
    assert_eq!(warnings, ["the MCP server `bank` has no tool `no`"]);
    let (catalog, warnings) = Snapshot::build(&sources).unwrap();
    assert_eq!(warnings, []);
    let catalog = Arc::new(catalog);
    let names: Vec<&str> = catalog.tools().iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["get_balance", "bank_say_text"]);
    let executors = Executors::new(clients);
    let ask = |name: &'static str, input: Value| {
        let (executors, context) = (&executors, crate::context(&catalog));
        async move { executors.call(name, &input, &context).await }
    };
    let wrong = ask("get_balance", json!({"accountId": "x"})).await.unwrap_err();
    assert_eq!(wrong.as_str(), "invalid_arguments", "checked before the server is asked");
    assert!(ask("get_balance", json!({"accountId": "4021"})).await.is_ok());
    let said = ask("bank_say_text", json!({"accountId": "4021"})).await.unwrap();
    assert_eq!(said, json!({"text": "open until six"}));
}

#[tokio::test]
async fn a_server_that_is_away_costs_a_warning_and_no_start() {
    let server = Here::start(None).await;
    let transport = server.transport();
    drop(server);
    let clients = Clients::new(options(transport, &["*"])).unwrap();
    let text = r#"{"name": "t", "description": "d", "execute": {"kind": "mcp", "server": "bank"}}"#;
    let tools = vec![SourceFile::new("t.json", text)];
    let mut sources = Sources { tools, ..Sources::default() };
    let warnings =
        tokio::time::timeout(Duration::from_secs(30), clients.complete(&mut sources)).await;
    assert_eq!(warnings.unwrap().len(), 2, "one for the file, one for the list");
    assert!(Snapshot::build(&sources).is_ok());
}
