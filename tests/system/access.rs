//! Who comes in: every route with every kind of credential, tickets, limits and budgets.

use std::{num::NonZeroU32, time::Duration};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest, http::HeaderValue};
use voice_access::{ApiKeys, NewKey, Role, Roles, TokenRules};
use voice_s2s::config::{AccessSettings, Door, RateSettings};

use crate::support::{Bench, Caller, eventually, publisher};

const ISSUER: &str = "https://id.bank.example";
const PAGE: &str = "https://bank.example";

/// What opens the doors of a test's server.
struct Keys {
    caller: NewKey,
    operator: NewKey,
    editor: NewKey,
    signer: EncodingKey,
    kid: &'static str,
}

impl Keys {
    fn new() -> Self {
        let make = |name, role: Role| ApiKeys::make(name, role.into()).expect("a key");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let document = pair.to_pkcs8v1().expect("a document");
        Self {
            caller: make("caller", Role::Caller),
            operator: make("operator", Role::Operator),
            editor: make("editor", Role::Editor),
            signer: EncodingKey::from_ec_der(document.as_ref()),
            kid: "k1",
        }
    }

    fn entries(&self) -> String {
        let Self { caller, operator, editor, .. } = self;
        format!("{},{},{}", caller.entry, operator.entry, editor.entry)
    }

    /// A token with some claims changed.
    fn token(&self, changes: &[(&str, Value)]) -> String {
        let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
        let mut claims = json!({"iss": ISSUER, "sub": "u-1", "aud": "voice", "exp": now + 600,
            "roles": ["caller", "operator", "editor"]});
        for (name, value) in changes {
            claims[*name] = value.clone();
        }
        let header = Header { kid: Some(self.kid.into()), ..Header::new(Algorithm::ES256) };
        encode(&header, &claims, &self.signer).expect("signed")
    }

    /// Serves the public key, and says where.
    async fn publish(&self) -> String {
        let mut key = Jwk::from_encoding_key(&self.signer, Algorithm::ES256).expect("a key");
        key.common.key_id = Some(self.kid.into());
        let body = json!({ "keys": [key] }).to_string();
        publisher::publish(body).await
    }

    /// A server that asks everybody, with more changes.
    async fn bench(&self, change: impl FnOnce(&mut AccessSettings)) -> Bench {
        let issuer = TokenRules {
            issuer: ISSUER.into(),
            audiences: vec!["voice".into()],
            roles_claim: "roles".into(),
            default_roles: Roles::from(Role::Caller),
        };
        let url = self.publish().await;
        let keys = self.entries().parse().expect("entries");
        let mut access = AccessSettings {
            door: Door::Guarded { keys, issuer: Some((issuer, url)) },
            origins: PAGE.parse().expect("an origin"),
            ..AccessSettings::default()
        };
        change(&mut access);
        Bench::with(|config, _| config.access = access).await
    }
}

/// A request of the API: method, path, headers; the status and the body.
async fn ask(bench: &Bench, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let url = format!("{}{path}", bench.server.url());
    let mut request = reqwest::Client::new().request(method.parse().expect("a method"), url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

fn bearer(secret: &str) -> String {
    format!("Bearer {secret}")
}

async fn ticket(bench: &Bench, secret: &str, wish: Value, origin: Option<&str>) -> Value {
    let url = format!("{}/api/ticket", bench.server.url());
    let mut request = reqwest::Client::new().post(url).bearer_auth(secret).body(wish.to_string());
    if let Some(origin) = origin {
        request = request.header("Origin", origin);
    }
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.json().await.expect("JSON")
}

/// Opens `/sonic` with these headers.
async fn open(bench: &Bench, headers: &[(&'static str, &str)]) -> Result<Caller, (u16, String)> {
    let mut request = bench.sonic("").into_client_request().expect("a request");
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_str(value).expect("a value"));
    }
    match Caller::try_connect_with(request).await.map_err(|error| *error) {
        Ok(caller) => Ok(caller),
        Err(tungstenite::Error::Http(answer)) => {
            let body = answer.body().clone().unwrap_or_default();
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let code = body["error"]["code"].as_str().unwrap_or_default().to_owned();
            Err((answer.status().as_u16(), code))
        }
        Err(other) => panic!("neither opened nor refused: {other}"),
    }
}

#[actix_web::test]
async fn every_route_asks_for_what_it_says() {
    let keys = Keys::new();
    let bench = keys.bench(|_| ()).await;
    let (status, document) = ask(&bench, "GET", "/api/openapi.json", &[]).await;
    assert_eq!(status, 200);
    let expired = keys.token(&[("exp", json!(1_000_000))]);
    let elsewhere = keys.token(&[("aud", json!("other"))]);
    let stranger = Keys::new();
    let forged = stranger.token(&[]);
    let spent = ticket(&bench, &keys.caller.key, json!({}), None).await;
    let spent = spent["ticket"].as_str().expect("a ticket").to_owned();
    let bad = ["nonsense", &stranger.operator.key, &expired, &elsewhere, &forged, &spent];
    let good = [
        (Role::Caller, &keys.caller.key),
        (Role::Operator, &keys.operator.key),
        (Role::Editor, &keys.editor.key),
    ];
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let path = path.replace("{id}", "none").replace("{name}", "none");
        for (method, operation) in methods.as_object().expect("methods") {
            let method = method.to_uppercase();
            let roles = operation["x-roles"].as_array().cloned().unwrap_or_default();
            let (status, body) = ask(&bench, &method, &path, &[]).await;
            let refused = status == 401 && body["error"]["code"] == "unauthorized";
            assert_eq!(refused, !roles.is_empty(), "{method} {path} without: {status}");
            for secret in bad {
                let (status, body) =
                    ask(&bench, &method, &path, &[("Authorization", &bearer(secret))]).await;
                assert_eq!(status, 401, "{method} {path} with {secret:.12}: {body}");
                assert!(!body.to_string().contains(secret), "{body}");
                tried += 1;
            }
            for (role, secret) in good {
                let may = roles.is_empty() || roles.iter().any(|r| r == role.as_str());
                let (status, body) =
                    ask(&bench, &method, &path, &[("Authorization", &bearer(secret))]).await;
                assert_eq!(status != 403, may, "{method} {path} as {role:?}: {status} {body}");
                assert_ne!(status, 401, "{method} {path} as {role:?}");
                assert!(status < 500 || path == "/ready", "{method} {path}: {status}");
                tried += 1;
            }
            let token = keys.token(&[]);
            let foreign = [("Authorization", &*bearer(&token)), ("Origin", "https://evil.example")];
            let (status, body) = ask(&bench, &method, &path, &foreign).await;
            assert_eq!((status, &body["error"]["code"]), (403, &json!("wrong_origin")));
            let ours = [("Authorization", &*bearer(&token)), ("Origin", PAGE)];
            assert!(ask(&bench, &method, &path, &ours).await.0 != 403, "{method} {path}");
            tried += 2;
        }
    }
    println!("{tried} combinations of route and credential");
    for unlisted in ["/api/none", "/api/history/a/b", "/metrics/none"] {
        let (status, _) = ask(&bench, "GET", unlisted, &[]).await;
        let expected = if unlisted.starts_with("/api") { 401 } else { 404 };
        assert_eq!(status, expected, "{unlisted}");
    }
    assert_eq!(ask(&bench, "DELETE", "/metrics", &[]).await.0, 401);
    bench.finish().await;
}

#[actix_web::test]
async fn a_call_is_opened_by_a_key_a_token_or_a_ticket_and_by_nothing_else() {
    let keys = Keys::new();
    let bench = keys.bench(|_| ()).await;
    let token = keys.token(&[]);
    for secret in [&keys.caller.key, &token] {
        let mut caller = open(&bench, &[("Authorization", &bearer(secret))]).await.expect("opened");
        caller.message("connected").await;
        caller.hang_up().await;
    }
    // A ticket as a subprotocol, which is not repeated by the server.
    let issued = ticket(&bench, &keys.caller.key, json!({}), None).await;
    let subprotocol = issued["subprotocol"].as_str().expect("a subprotocol");
    let offered = format!("voice.v1, {subprotocol}");
    let headers = [("Sec-WebSocket-Protocol", offered.as_str())];
    let mut caller = open(&bench, &headers).await.expect("opened");
    assert_eq!(caller.protocol.as_deref(), Some("voice.v1"));
    caller.message("connected").await;
    caller.hang_up().await;
    // Once.
    assert_eq!(open(&bench, &headers).await.err(), Some((401, "unauthorized".into())));
    // A ticket of one page is not good on another.
    let issued = ticket(&bench, &keys.caller.key, json!({"origin": PAGE}), None).await;
    let offered = format!("voice.v1, {}", issued["subprotocol"].as_str().expect("a subprotocol"));
    let elsewhere = [("Sec-WebSocket-Protocol", offered.as_str())];
    assert_eq!(open(&bench, &elsewhere).await.err().map(|e| e.0), Some(401));
    let here = [("Sec-WebSocket-Protocol", offered.as_str()), ("Origin", PAGE)];
    let mut caller = open(&bench, &here).await.expect("opened");
    caller.message("connected").await;
    caller.hang_up().await;
    // Pages of elsewhere, and roles that hold no calls.
    let foreign =
        [("Authorization", &*bearer(&keys.caller.key)), ("Origin", "https://evil.example")];
    assert_eq!(open(&bench, &foreign).await.err(), Some((403, "wrong_origin".into())));
    let watcher = bearer(&keys.operator.key);
    let refused = open(&bench, &[("Authorization", &watcher)]).await.err();
    assert_eq!(refused, Some((403, "forbidden".into())));
    for query in ["?ticket=x", "?access_token=x"] {
        let (status, body) = Caller::refusal(&bench.sonic(query)).await;
        assert_eq!((status, &body["error"]["code"]), (400, &json!("credential_in_url")));
    }
    bench.finish().await;
}

#[actix_web::test]
async fn a_ticket_in_the_first_message_opens_a_call_and_anything_else_closes() {
    let keys = Keys::new();
    let bench = keys.bench(|_| ()).await;
    let issued = ticket(&bench, &keys.caller.key, json!({"user": "c-1"}), None).await;
    let mut caller = open(&bench, &[]).await.expect("opened");
    eventually("one who waits", || bench.meters().waiting_sockets.get() == 1).await;
    assert_eq!(bench.server.registry().active(), 0, "nothing is allocated for it");
    caller.send(json!({"type": "authenticate", "ticket": issued["ticket"]})).await;
    caller.message("connected").await;
    caller.hang_up().await;
    let rejected = [
        json!({"type": "authenticate", "ticket": issued["ticket"]}),
        json!({"type": "authenticate", "ticket": "nonsense"}),
        json!({"type": "textInput", "text": "let me in"}),
    ];
    for first in rejected {
        let mut caller = open(&bench, &[]).await.expect("opened");
        caller.send(first.clone()).await;
        let error = caller.message("error").await;
        assert_eq!((&error["code"], &error["fatal"]), (&json!("unauthorized"), &json!(true)));
        assert_eq!(caller.closed().await.0, 1008, "{first}");
    }
    // Who says nothing is not waited for.
    let mut silent = open(&bench, &[]).await.expect("opened");
    assert_eq!(silent.closed().await.0, 1008);
    assert_eq!(bench.meters().waiting_sockets.get(), 0);
    bench.finish().await;
}

#[actix_web::test]
async fn a_resume_token_opens_its_own_call_without_a_ticket_and_no_other() {
    let keys = Keys::new();
    let bench = keys.bench(|_| ()).await;
    let issued = async || ticket(&bench, &keys.caller.key, json!({}), None).await["ticket"].clone();
    let mut first = Caller::connect(&bench.sonic("?sessionId=mine")).await;
    first.send(json!({"type": "authenticate", "ticket": issued().await})).await;
    let token = first.message("connected").await["resumeToken"].clone();
    let token = token.as_str().expect("a token");
    first.vanish();
    let mut request = bench.sonic("?sessionId=mine").into_client_request().expect("a request");
    let offered = HeaderValue::from_str(&format!("voice.v1, resume.{token}")).expect("a value");
    request.headers_mut().insert("Sec-WebSocket-Protocol", offered);
    let mut back = Caller::try_connect_with(request).await.expect("opened");
    assert_eq!(back.message("connected").await["resumed"], true);
    // Whoever has no token gets neither that call nor its id, and hears why.
    let mut other = Caller::connect(&bench.sonic("?sessionId=theirs&resumeToken=guess")).await;
    other.send(json!({"type": "authenticate", "ticket": issued().await})).await;
    other.error("resume_failed").await;
    assert_ne!(other.message("connected").await["sessionId"], "theirs");
    back.hang_up().await;
    other.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_ticket_for_a_customer_is_a_callers() {
    let keys = Keys::new();
    let bench = keys.bench(|_| ()).await;
    let token = keys.token(&[]);
    let (status, me) = ask(&bench, "GET", "/api/auth", &[("Authorization", &bearer(&token))]).await;
    assert_eq!((status, &me["required"], &me["user"]), (200, &json!(true), &json!("u-1")));
    assert_eq!(me["roles"], json!(["caller", "operator", "editor"]));
    let (_, nobody) = ask(&bench, "GET", "/api/auth", &[]).await;
    assert_eq!(nobody, json!({"required": true, "user": null, "roles": null}));
    bench.finish().await;
}

#[actix_web::test]
async fn a_full_server_says_so_in_words_to_whoever_understands_them() {
    let bench = Bench::with(|config, _| config.max_calls = 1).await;
    let first = bench.call().await;
    let mut second = open(&bench, &[("Sec-WebSocket-Protocol", "voice.v1")]).await.expect("opened");
    let error = second.message("error").await;
    assert_eq!(
        (&error["code"], &error["fatal"], &error["retryAfterSeconds"]),
        (&json!("busy"), &json!(true), &json!(5))
    );
    assert_eq!(second.closed().await.0, 1013);
    assert_eq!(open(&bench, &[]).await.err(), Some((503, "full".into())));
    first.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn keys_users_and_addresses_have_limits_of_their_own() {
    let keys = Keys::new();
    let limited = format!("{}:1", keys.caller.entry);
    let bench = keys
        .bench(|access| {
            let Door::Guarded { keys: entries, .. } = &mut access.door else { return };
            *entries = limited.parse().expect("an entry");
            access.limits.calls_per_user = 1;
            access.limits.calls_per_address = 2;
        })
        .await;
    let by_key = bearer(&keys.caller.key);
    let first = open(&bench, &[("Authorization", &by_key)]).await.expect("opened");
    let refused = open(&bench, &[("Authorization", &by_key)]).await.err();
    assert_eq!(refused, Some((503, "too_many_calls".into())), "one call of the key");
    let by_token = bearer(&keys.token(&[]));
    let second = open(&bench, &[("Authorization", &by_token)]).await.expect("opened");
    let refused = open(&bench, &[("Authorization", &by_token)]).await.err();
    assert_eq!(refused, Some((503, "too_many_calls".into())), "one call of the user");
    let other = bearer(&keys.token(&[("sub", json!("u-2"))]));
    let refused = open(&bench, &[("Authorization", &other)]).await.err();
    assert_eq!(refused, Some((503, "too_many_calls".into())), "two calls from here");
    first.hang_up().await;
    eventually("a place", || bench.server.registry().active() == 1).await;
    let third = open(&bench, &[("Authorization", &other)]).await.expect("opened");
    second.hang_up().await;
    third.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn a_spent_budget_ends_the_call_with_a_goodbye_and_refuses_the_next() {
    let keys = Keys::new();
    let mut access = AccessSettings::default();
    let bench = {
        let url = keys.publish().await;
        let issuer = TokenRules {
            issuer: ISSUER.into(),
            audiences: vec!["voice".into()],
            roles_claim: "roles".into(),
            default_roles: Roles::NONE,
        };
        access.door = Door::Guarded { keys: ApiKeys::default(), issuer: Some((issuer, url)) };
        access.limits.minutes_per_day = Some(1.0 / 60.0);
        Bench::with(|config, _| {
            config.access = access;
            config.engine.probe_interval = Duration::from_millis(200);
        })
        .await
    };
    let token = bearer(&keys.token(&[]));
    let mut caller = open(&bench, &[("Authorization", &token)]).await.expect("opened");
    caller.configure(json!({})).await;
    let (code, reason) = caller.closed().await;
    assert_eq!((code, reason.as_str()), (1008, "The budget is used up"), "{}", caller.story());
    assert_eq!(bench.ended("budget_spent"), 1);
    let refused = open(&bench, &[("Authorization", &token)]).await.err();
    assert_eq!(refused, Some((403, "budget_spent".into())));
    let other = bearer(&keys.token(&[("sub", json!("u-2"))]));
    let other = open(&bench, &[("Authorization", &other)]).await.expect("opened");
    other.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn who_asks_too_often_waits_and_calls_go_on() {
    let keys = Keys::new();
    let bench = keys
        .bench(|access| {
            access.rates = RateSettings {
                requests: NonZeroU32::new(200),
                upgrades: NonZeroU32::new(3),
                refusals: NonZeroU32::new(5),
                calls: None,
            };
        })
        .await;
    let key = bearer(&keys.caller.key);
    let mut caller = open(&bench, &[("Authorization", &key)]).await.expect("opened");
    caller.configure(json!({})).await;
    let credential = [("Authorization", key.as_str())];
    let flood = futures::future::join_all((0..20).map(|_| open(&bench, &credential))).await;
    let (opened, refused): (Vec<_>, Vec<_>) = flood.into_iter().partition(Result::is_ok);
    assert_eq!(opened.len(), 2, "three a minute");
    assert!(refused.iter().all(|r| matches!(r, Err((429, code)) if code == "too_many_requests")));
    let guesses = futures::future::join_all((0..20).map(|n| {
        let bench = &bench;
        async move {
            ask(bench, "GET", "/api/voices", &[("Authorization", &bearer(&format!("guess-{n}")))])
                .await
                .0
        }
    }))
    .await;
    let told = |wanted| guesses.iter().filter(|status| **status == wanted).count();
    assert_eq!((told(401), told(429)), (5, 15));
    caller.final_line("assistant").await;
    assert_eq!(ask(&bench, "GET", "/health", &[]).await.0, 200);
    for other in opened.into_iter().flatten() {
        other.hang_up().await;
    }
    caller.hang_up().await;
    bench.finish().await;
}

#[actix_web::test]
async fn an_open_server_answers_to_names_of_this_machine_only() {
    let bench = Bench::start().await;
    let (status, body) = ask(&bench, "GET", "/api/voices", &[("Host", "evil.example")]).await;
    assert_eq!((status, &body["error"]["code"]), (421, &json!("wrong_host")));
    let rebound = [("Host", "evil.example"), ("Origin", "http://evil.example")];
    assert_eq!(open(&bench, &rebound).await.err(), Some((421, "wrong_host".into())));
    let foreign = [("Origin", "https://evil.example")];
    assert_eq!(open(&bench, &foreign).await.err(), Some((403, "wrong_origin".into())));
    assert_eq!(ask(&bench, "GET", "/api/voices", &[]).await.0, 200);
    bench.finish().await;
}

#[actix_web::test]
async fn pages_of_the_list_may_read_answers_and_others_may_not() {
    let keys = Keys::new();
    let bench = keys.bench(|_| ()).await;
    let client = reqwest::Client::new();
    let preflight = |origin: &'static str| {
        client
            .request(
                "OPTIONS".parse().expect("a method"),
                format!("{}/api/ticket", bench.server.url()),
            )
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization")
            .send()
    };
    let allowed = preflight(PAGE).await.expect("an answer");
    assert_eq!(
        allowed.headers().get("access-control-allow-origin").map(|v| v.as_bytes()),
        Some(PAGE.as_bytes())
    );
    assert!(allowed.headers().get("access-control-allow-credentials").is_none());
    let refused = preflight("https://evil.example").await.expect("an answer");
    assert!(refused.headers().get("access-control-allow-origin").is_none());
    bench.finish().await;
}
