//! The routes without sockets: what they answer before a call, and with which headers.

use std::{sync::Arc, time::Duration};

use actix_web::{
    App,
    body::MessageBody,
    dev::{Service, ServiceResponse},
    http::{StatusCode, header},
    middleware::from_fn,
    test::{self, TestRequest},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::Value;
use voice_actors::{Engine, EngineConfig, Identity, Party, PartyLimits, Ports, Registry};
use voice_call::{FaultKind, Meters, SonicPort, SonicStream, StreamFault};
use voice_catalog::{Catalog, Snapshot, SourceFile, Sources};
use voice_sonic::ModelFamily;
use voice_wire::server::Version;

use super::{State, guard, headers, routes};
use crate::{
    access::Access,
    config::AccessSettings,
    store::{MemoryShelf, Vault},
    wiring::AwsStatus,
};

struct NobodyThere;

impl SonicPort for NobodyThere {
    fn open(&self, _: Vec<Bytes>) -> BoxFuture<'static, Result<SonicStream, StreamFault>> {
        Box::pin(async { Err(StreamFault::new(FaultKind::Unavailable, "nobody there")) })
    }
}

const TOOL: &str = r#"{"name": "check_balance", "description": "Balance of an account.",
    "input_schema": {"type": "object", "properties": {}}, "category": "banking", "ours": 1}"#;
const WORKFLOW: &str = r#"{"id": "banking", "name": "Banking", "nodes": [
    {"id": "s", "label": "Start", "type": "start"}, {"id": "e", "label": "End", "type": "end"}],
    "edges": [{"from": "s", "to": "e"}]}"#;

fn state() -> Arc<State> {
    let sources = Sources {
        tools: vec![SourceFile::new("check_balance.json", TOOL)],
        workflows: vec![SourceFile::new("workflow-banking.json", WORKFLOW)],
        prompts: vec![
            SourceFile::new("persona-banking.txt", "You work for a bank."),
            SourceFile::new("hidden-notes.txt", "Not for the page."),
        ],
    };
    let (catalog, _) = Snapshot::build(&sources).expect("a sound catalog");
    let catalog = Catalog::from(catalog);
    let meters = Meters::default();
    let identity = Identity {
        version: Version {
            version: "1.2.3".into(),
            build_time: String::new(),
            name: "voice-s2s".into(),
        },
        backend: "emulator",
        has_credentials: true,
    };
    let monitor =
        voice_archive::Monitor::start(Default::default(), meters.clone()).expect("a thread");
    let ports = Ports {
        sonic: Arc::new(NobodyThere),
        catalog: catalog.clone(),
        executors: Arc::default(),
        store: Arc::new(Vault::in_memory(MemoryShelf::default(), &[0; 32]).expect("a vault")),
        transcription: None,
        archive: None,
        monitor: monitor.clone(),
    };
    let vault = Vault::in_memory(MemoryShelf::default(), &[0; 32]).expect("a vault");
    let access = Access::new(&AccessSettings::default(), Arc::new(vault)).expect("access");
    let engine = Engine::new(EngineConfig::default(), ports, meters.clone(), identity.clone());
    let (probe, limits) = (Duration::from_secs(10), PartyLimits::default());
    Arc::new(State {
        access,
        engine,
        registry: Registry::start(meters.clone(), probe, 0, limits),
        catalog,
        metrics: Arc::new(super::Exposition::of(&meters)),
        meters,
        identity,
        status: AwsStatus::emulator("us-east-1", false),
        model: ModelFamily::Sonic2,
        archive: None,
        history: None,
        monitor,
        setup: Vec::new(),
        warnings: Vec::new(),
        traces: None,
    })
}

/// A page of one file beside a secret.
fn page() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = dir.path().join("static");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("index.html"), "<!doctype html>").expect("a file");
    std::fs::write(folder.join(".hidden"), "secret").expect("a file");
    std::fs::write(dir.path().join("secret.txt"), "secret").expect("a file");
    dir
}

/// Answers one request.
async fn answer(state: &Arc<State>, request: TestRequest) -> ServiceResponse<impl MessageBody> {
    let dir = page();
    let (shared, folder) = (state.clone(), dir.path().join("static"));
    let app = App::new()
        .wrap(from_fn(guard::guard))
        .wrap(headers::cors(state.clone()))
        .wrap(headers::security())
        .configure(move |config| routes(config, shared, &folder));
    let app = test::init_service(app).await;
    app.call(request.to_request()).await.expect("an answer").map_into_boxed_body()
}

async fn json(response: ServiceResponse<impl MessageBody>) -> Value {
    let bytes = test::read_body(response).await;
    serde_json::from_slice(&bytes).expect("JSON")
}

async fn get(state: &Arc<State>, path: &str) -> ServiceResponse<impl MessageBody> {
    answer(state, TestRequest::get().uri(path)).await
}

fn handshake(path: &str) -> TestRequest {
    TestRequest::get()
        .uri(path)
        .insert_header((header::UPGRADE, "websocket"))
        .insert_header((header::CONNECTION, "upgrade"))
        .insert_header((header::SEC_WEBSOCKET_VERSION, "13"))
        .insert_header((header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="))
}

#[actix_web::test]
async fn every_answer_carries_the_security_headers() {
    let state = state();
    for path in ["/", "/health", "/api/version", "/api/nothing", "/nothing", "/sonic"] {
        let response = get(&state, path).await;
        let header = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_else(|| panic!("{path} lacks {name}")).to_owned()
        };
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        assert!(header("permissions-policy").contains("microphone=(self)"));
        assert!(!header("referrer-policy").is_empty());
    }
}

#[actix_web::test]
async fn health_is_ok_in_plain_text_even_while_draining() {
    let state = state();
    state.registry.drain(Duration::ZERO).await;
    let response = get(&state, "/health").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(test::read_body(response).await, "OK");
}

#[actix_web::test]
async fn ready_says_no_while_draining() {
    let state = state();
    let response = get(&state, "/ready").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(json(response).await["ready"], true);
    state.registry.drain(Duration::ZERO).await;
    let response = get(&state, "/ready").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(json(response).await["draining"], true);
}

#[actix_web::test]
async fn metrics_have_names_that_dashboards_can_rely_on() {
    let body = test::read_body(get(&state(), "/metrics").await).await;
    let text = String::from_utf8(body.to_vec()).expect("text");
    assert!(text.contains("voice_s2s_active_calls 0"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[actix_web::test]
async fn the_lists_have_the_contracts_shapes() {
    let state = state();
    let version = json(get(&state, "/api/version").await).await;
    assert_eq!(
        version,
        serde_json::json!({"version": "1.2.3", "buildTime": "", "name": "voice-s2s"})
    );
    let voices = json(get(&state, "/api/voices").await).await;
    let matthew = serde_json::json!({"id": "matthew", "name": "Matthew"});
    assert!(voices.as_array().is_some_and(|voices| voices.contains(&matthew)), "{voices}");
    let personas = json(get(&state, "/api/personas").await).await;
    assert_eq!(personas[0]["id"], "persona-banking");
    let prompts = json(get(&state, "/api/prompts").await).await;
    assert_eq!(prompts.as_array().map(Vec::len), Some(1), "hidden ones stay hidden: {prompts}");
    assert_eq!(prompts[0]["content"], "You work for a bank.");
    assert_eq!(prompts[0]["source"], "local");
    let tools = json(get(&state, "/api/tools").await).await;
    assert_eq!(tools[0]["ours"], 1, "the raw file, unknown keys included: {tools}");
    let workflows = json(get(&state, "/api/workflows").await).await;
    assert_eq!(
        workflows,
        serde_json::json!([{"id": "banking", "name": "Banking",
            "filename": "workflow-banking.json"}])
    );
    let graph = json(get(&state, "/api/workflow/banking").await).await;
    assert_eq!(graph["nodes"][0]["type"], "start");
    let status = json(get(&state, "/api/system/status").await).await;
    assert_eq!(
        status,
        serde_json::json!({"aws": "emulator", "region": "us-east-1", "hears": "speech"})
    );
}

#[actix_web::test]
async fn what_does_not_exist_is_a_json_404() {
    let state = state();
    for path in [
        "/api",
        "/api/nothing",
        "/api/workflow/none",
        "/api/workflow/..%2F..%2Fsecret.txt",
        "/nothing.html",
        "/../secret.txt",
        "/%2e%2e/secret.txt",
    ] {
        let response = get(&state, path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(json(response).await["error"]["code"], "not_found", "{path}");
    }
}

#[actix_web::test]
async fn no_path_leads_out_of_the_page() {
    let state = state();
    for path in ["/..%2fsecret.txt", "/%2e%2e%2fsecret.txt", "/..%5csecret.txt", "/.hidden"] {
        let response = get(&state, path).await;
        assert!(response.status().is_client_error(), "{path}: {}", response.status());
        assert_ne!(test::read_body(response).await, "secret", "{path}");
    }
}

#[actix_web::test]
async fn the_page_is_revalidated_by_its_etag() {
    let state = state();
    let dir = page();
    let (shared, folder) = (state.clone(), dir.path().join("static"));
    let app = App::new().configure(move |config| routes(config, shared, &folder));
    let app = test::init_service(app).await;
    let first = test::call_service(&app, TestRequest::get().uri("/").to_request()).await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(first.headers().get(header::CACHE_CONTROL).expect("caching"), "no-cache");
    let etag = first.headers().get(header::ETAG).expect("an ETag").clone();
    let again = TestRequest::get().uri("/").insert_header((header::IF_NONE_MATCH, etag));
    let second = test::call_service(&app, again.to_request()).await;
    assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
}

#[actix_web::test]
async fn a_call_is_refused_before_the_upgrade_with_a_reason() {
    let state = state();
    let lease =
        state.registry.admit("live".parse().ok(), Party::default()).await.expect("admitted");
    let cases = [
        (TestRequest::get().uri("/sonic"), 426, "upgrade_required"),
        (TestRequest::post().uri("/sonic"), 405, "method_not_allowed"),
        (handshake("/sonic?sessionId=..%2Fx"), 400, "bad_session_id"),
        (handshake("/sonic?sessionId="), 400, "bad_session_id"),
        (handshake("/sonic?sessionId=live"), 409, "session_live"),
    ];
    for (request, status, code) in cases {
        let response = answer(&state, request).await;
        assert_eq!(response.status().as_u16(), status, "{code}");
        let error = json(response).await;
        assert_eq!(error["error"]["code"], code);
        assert!(error["error"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{error}");
    }
    drop(lease);
    state.registry.drain(Duration::from_secs(5)).await;
    let response = answer(&state, handshake("/sonic")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key(header::RETRY_AFTER));
}
