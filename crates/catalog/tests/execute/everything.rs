//! A server nobody here wrote: `@modelcontextprotocol/server-everything`, over stdio and over
//! streamable HTTP.
//!
//! Runs when `MCP_EVERYTHING` names its `dist/index.js`; `npm ci` in `tests/mcp` installs it.
//! Without it the tests say that they were skipped.

use std::{collections::BTreeMap, process::Stdio, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::Command,
};
use voice_catalog::{
    Snapshot, Sources,
    execute::{ClientOptions, Clients, Executors, McpServer, McpServers, McpTransport},
};

#[expect(clippy::print_stderr, reason = "whoever reads the log should know what was not tested")]
fn program() -> Option<String> {
    let program = std::env::var("MCP_EVERYTHING").ok();
    if program.is_none() {
        eprintln!("skipped: MCP_EVERYTHING is not set");
    }
    program
}

/// Takes its tools from the server and uses them.
async fn use_it(transport: McpTransport) {
    let server = McpServer { transport, offer: vec!["*".to_owned()] };
    let options = ClientOptions {
        mcp: McpServers(BTreeMap::from([("all".to_owned(), server)])),
        ..ClientOptions::default()
    };
    let clients = Arc::new(Clients::new(options).unwrap());
    let mut sources = Sources::default();
    assert_eq!(clients.complete(&mut sources).await, []);
    let (catalog, warnings) = Snapshot::build(&sources).unwrap();
    assert_eq!(warnings, []);
    assert!(catalog.tools().len() > 5, "{:?}", catalog.tools());
    let (catalog, executors) = (Arc::new(catalog), Executors::new(clients));
    let ask = |name: &'static str, input: Value| {
        let (executors, context) = (&executors, crate::context(&catalog));
        async move { executors.call(name, &input, &context).await }
    };
    let echo = ask("all_echo", json!({"message": "Grüße"})).await.unwrap();
    assert_eq!(echo, json!({"text": "Echo: Grüße"}));
    let sum = ask("all_get-sum", json!({"a": 2, "b": 3})).await.unwrap();
    assert_eq!(sum, json!({"text": "The sum of 2 and 3 is 5."}));
    let weather = ask("all_get-structured-content", json!({"location": "Chicago"})).await.unwrap();
    assert!(weather["temperature"].is_number(), "{weather}");
    let image = ask("all_get-tiny-image", json!({})).await.unwrap();
    assert!(image["text"].as_str().unwrap().contains("[image]"), "{image}");
    let wrong = ask("all_get-sum", json!({"a": "two"})).await.unwrap_err();
    assert_eq!(wrong.as_str(), "invalid_arguments");
}

#[tokio::test]
async fn the_everything_server_is_used_over_stdio() {
    let Some(program) = program() else { return };
    use_it(McpTransport::Stdio {
        command: "node".to_owned(),
        args: vec![program, "stdio".to_owned()],
        env: BTreeMap::new(),
    })
    .await;
}

#[tokio::test]
async fn the_everything_server_is_used_over_http() {
    let Some(program) = program() else { return };
    // It prints the port it was told, so it must be told a free one.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut child = Command::new("node")
        .args([program.as_str(), "streamableHttp"])
        .env("PORT", port.to_string())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("listening") {
                return;
            }
        }
        panic!("the server did not start");
    };
    tokio::time::timeout(Duration::from_secs(30), ready).await.unwrap();
    // Somebody must read on, or the server would stop at a full pipe.
    let reader = tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let url = format!("http://127.0.0.1:{port}/mcp");
    use_it(McpTransport::Http { url, headers: BTreeMap::new() }).await;
    child.kill().await.unwrap();
    reader.await.unwrap();
}
