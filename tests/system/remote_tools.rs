//! Tools that leave the process, through the whole server: a back end that answers, fails, lies or
//! falls silent. Each call of the model gets one proper answer, and the conversation goes on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};
use voice_catalog::execute::{HttpPolicy, McpServer, McpServers, McpTransport};

use crate::support::{Caller, House, TRANSFER, puppet};

/// What a back end does, by path.
const PATHS: [&str; 8] =
    ["good", "broken", "prose", "huge", "silent", "inside", "metadata", "elsewhere"];

/// A server on a free port; answers its port.
fn serve(routes: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static) -> u16 {
    let server = HttpServer::new(move || App::new().configure(routes.clone()))
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .expect("a free port");
    let port = server.addrs()[0].port();
    tokio::task::spawn_local(server.run());
    port
}

/// A place in the own network that nobody may be led to. Counts visits.
fn inside() -> (u16, Arc<AtomicUsize>) {
    let visits = Arc::new(AtomicUsize::new(0));
    let counter = visits.clone();
    let port = serve(move |routes| {
        let counter = counter.clone();
        routes.default_service(web::to(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            async { HttpResponse::Ok().json(json!({"secret": "of the house"})) }
        }));
    });
    (port, visits)
}

fn back_end(inside: u16) -> u16 {
    let redirect = |to: String| {
        move || {
            let to = to.clone();
            async move { HttpResponse::Found().insert_header(("location", to)).finish() }
        }
    };
    serve(move |routes| {
        let good = || async { HttpResponse::Ok().json(json!({"from": "the back end"})) };
        let broken = || async { HttpResponse::InternalServerError().body("stack trace: secret") };
        let prose = || async { HttpResponse::Ok().content_type("text/html").body("<p>Hi</p>") };
        let huge = || async { HttpResponse::Ok().json(json!({"x": "y".repeat(2 << 20)})) };
        let silent = || async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            HttpResponse::Ok().finish()
        };
        routes
            .route("/good", web::get().to(good))
            .route("/broken", web::get().to(broken))
            .route("/prose", web::get().to(prose))
            .route("/huge", web::get().to(huge))
            .route("/silent", web::get().to(silent))
            .route("/inside", web::get().to(redirect(format!("http://127.0.0.1:{inside}/"))))
            .route("/metadata", web::get().to(redirect("http://169.254.169.254/".to_owned())));
    })
}

fn tool(name: &str, url: &str) -> String {
    json!({
        "name": name, "description": "Asks the back end.", "category": "test",
        "input_schema": {"type": "object", "properties": {}},
        "execute": {"kind": "http", "url": url, "timeout_ms": 1_500},
    })
    .to_string()
}

/// Has the model use a tool; answers with what the tool gave.
async fn ask(caller: &mut Caller, name: &str) -> Value {
    caller.type_text(name).await;
    let result = caller.message("tool_result").await;
    assert_eq!(result["toolName"], name);
    let result = result["toolResult"].clone();
    // After some failures a human is offered as well.
    let expected = format!("So much for {name}.");
    while caller.final_line("assistant").await != expected {}
    result
}

fn turn(name: &str) -> String {
    format!(
        r#"{{ "when": {{ "text": "{name}" }}, "do": [{{ "call": {{ "tool": "{name}" }} }}] }},
        {{ "when": {{ "results": "{name}" }}, "do": [{{ "say": "So much for {name}." }}] }}"#
    )
}

#[actix_web::test]
async fn whatever_a_back_end_does_the_model_gets_an_answer_and_the_call_goes_on() {
    let (inside, visits) = inside();
    let port = back_end(inside);
    let file = |name: &&str| {
        // A host that is on no list.
        let host = if *name == "elsewhere" { inside } else { port };
        let url = format!("http://127.0.0.1:{host}/{name}");
        (format!("tools/{name}.json"), tool(name, &url))
    };
    let files: Vec<(String, String)> = PATHS.iter().map(file).collect();
    let mut house = vec![TRANSFER];
    house.extend(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let turns: Vec<String> = PATHS.iter().map(|name| turn(name)).collect();
    let bench = House::new(&house)
        .bench(&puppet(&turns.join(",")), |config, _| {
            let private = format!("127.0.0.1:{port}");
            config.tools.http = HttpPolicy::parse("", &private).expect("a list");
        })
        .await;
    let mut caller = bench.greeted().await;
    assert_eq!(ask(&mut caller, "good").await["from"], "the back end");
    for name in PATHS.into_iter().filter(|name| *name != "good") {
        let result = ask(&mut caller, name).await;
        assert!(result["error"].is_string(), "{name}: {result}");
        assert!(!result.to_string().contains("secret"), "{name}: {result}");
    }
    assert_eq!(visits.load(Ordering::Relaxed), 0, "nobody was led inside");
    assert_eq!(ask(&mut caller, "good").await["from"], "the back end", "and it still works");
    assert!(caller.messages("error").is_empty(), "{}", caller.story());
    assert_eq!(caller.messages("tool_result").len(), PATHS.len() + 1, "one answer for each");
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn an_mcp_server_that_dies_is_no_end_of_the_call() {
    let tool = json!({
        "name": "rates", "description": "Asks for rates.", "category": "test",
        "input_schema": {"type": "object", "properties": {}},
        "execute": {"kind": "mcp", "server": "crm", "tool": "rates", "timeout_ms": 3_000},
    })
    .to_string();
    let bench = House::new(&[TRANSFER, ("tools/rates.json", &tool)])
        .bench(&puppet(&turn("rates")), |config, _| {
            // It reads the first word that is said to it, and dies.
            let transport = McpTransport::Stdio {
                command: "sh".to_owned(),
                args: vec!["-c".to_owned(), "read line; exit 1".to_owned()],
                env: Default::default(),
            };
            let server = McpServer { transport, offer: Vec::new() };
            config.tools.mcp = McpServers([("crm".to_owned(), server)].into());
        })
        .await;
    let mut caller = bench.greeted().await;
    for _ in 0..2 {
        let result = ask(&mut caller, "rates").await;
        assert!(result["error"].is_string(), "{result}");
    }
    assert!(caller.messages("error").is_empty(), "{}", caller.story());
    caller.hang_up().await;
    bench.finish().await;
}

/// `@modelcontextprotocol/server-everything`, through the whole server. `tests/run` installs it
/// and names its `dist/index.js`.
#[actix_web::test]
async fn an_mcp_server_that_nobody_here_wrote_answers_in_a_call() {
    let Ok(program) = std::env::var("MCP_EVERYTHING") else {
        return println!("skipped: MCP_EVERYTHING is not set");
    };
    let script = r#"
        { "when": { "text": "add" },
          "do": [{ "call": { "tool": "all_get-sum", "input": { "a": 2, "b": 3 } } }] },
        { "when": { "results": "all_get-sum" }, "do": [{ "say": "{result.text}" }] }"#;
    let bench = House::new(&[TRANSFER])
        .bench(&puppet(script), |config, _| {
            let args = vec![program, "stdio".to_owned()];
            let command = "node".to_owned();
            let transport = McpTransport::Stdio { command, args, env: Default::default() };
            let server = McpServer { transport, offer: vec!["*".to_owned()] };
            config.tools.mcp = McpServers([("all".to_owned(), server)].into());
        })
        .await;
    let mut caller = bench.greeted().await;
    caller.type_text("add").await;
    assert_eq!(caller.final_line("assistant").await, "The sum of 2 and 3 is 5.");
    caller.hang_up().await;
    bench.finish().await;
}
