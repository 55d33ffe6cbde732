//! Tokens against a provider that publishes its keys over HTTP on loopback.

#![expect(clippy::expect_used, reason = "what a test stands on must hold")]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use aws_lc_rs::{
    rsa::{KeyPair, KeySize},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use voice_access::{Issuer, Principal, Role, Roles, TokenError, TokenRules};

const ISSUER: &str = "https://id.bank.example";

/// A provider: what it publishes now, and how often it was asked.
#[derive(Clone, Default)]
struct Provider {
    answer: Arc<Mutex<String>>,
    asked: Arc<AtomicUsize>,
}

impl Provider {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/jwks.json", listener.local_addr().expect("an address"));
        let provider = self.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = socket.read_u8().await else { break };
                    head.push(byte);
                }
                provider.asked.fetch_add(1, Ordering::SeqCst);
                let body = provider.answer.lock().expect("unpoisoned").clone();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        url
    }

    fn publish(&self, keys: &[&Signer]) {
        let keys: Vec<_> = keys.iter().map(|signer| signer.public()).collect();
        *self.answer.lock().expect("unpoisoned") = json!({ "keys": keys }).to_string();
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

struct Signer {
    id: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    fn es256(id: &'static str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let pkcs8 = key.to_pkcs8v1().expect("a document");
        Self { id, algorithm: Algorithm::ES256, key: EncodingKey::from_ec_der(pkcs8.as_ref()) }
    }

    fn rs256(id: &'static str) -> Self {
        use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = key.as_der().expect("a document");
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der.as_ref())
        );
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a key");
        Self { id, algorithm: Algorithm::RS256, key }
    }

    fn public(&self) -> Value {
        let mut key = Jwk::from_encoding_key(&self.key, self.algorithm).expect("a key");
        key.common.key_id = Some(self.id.into());
        serde_json::to_value(key).expect("JSON")
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.into()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).expect("signed")
    }
}

fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()
}

/// Good claims with some of them changed; `null` takes one away.
fn claims(changes: &[(&str, Value)]) -> Value {
    let mut claims = json!({"iss": ISSUER, "sub": "u-1", "aud": "voice", "exp": now() + 600,
        "roles": ["caller", "operator", "something of others"]});
    let map = claims.as_object_mut().expect("an object");
    for (name, value) in changes {
        map.insert((*name).to_owned(), value.clone());
        map.retain(|_, value| !value.is_null());
    }
    claims
}

fn rules() -> TokenRules {
    TokenRules {
        issuer: ISSUER.into(),
        audiences: vec!["voice".into(), "app-client".into()],
        roles_claim: "roles".into(),
        default_roles: Role::Caller.into(),
    }
}

async fn issuer(provider: &Provider) -> Issuer {
    Issuer::new(rules(), provider.start().await).expect("TLS")
}

#[tokio::test]
async fn a_good_token_says_who_comes() {
    let provider = Provider::default();
    let (ec, rsa) = (Signer::es256("ec"), Signer::rs256("rsa"));
    provider.publish(&[&ec, &rsa]);
    let issuer = issuer(&provider).await;
    let expected = Principal {
        user: Some("u-1".into()),
        key: None,
        roles: [Role::Caller, Role::Operator].into_iter().collect(),
    };
    assert_eq!(issuer.verify(&ec.sign(&claims(&[]))).await, Ok(expected.clone()));
    assert_eq!(issuer.verify(&rsa.sign(&claims(&[]))).await, Ok(expected));
    let several = claims(&[("aud", json!(["other", "voice"]))]);
    assert!(issuer.verify(&ec.sign(&several)).await.is_ok());
    // An access token of Amazon Cognito.
    let cognito =
        claims(&[("aud", Value::Null), ("client_id", json!("app-client")), ("roles", Value::Null)]);
    let found = issuer.verify(&ec.sign(&cognito)).await.expect("good");
    assert_eq!(found.roles, Roles::from(Role::Caller));
    assert_eq!(provider.asked(), 1, "the keys are kept");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_is_told() {
    let provider = Provider::default();
    let (ec, stranger) = (Signer::es256("ec"), Signer::es256("ec"));
    provider.publish(&[&ec]);
    let issuer = issuer(&provider).await;
    let past = json!(now() - 120);
    let cases = [
        (claims(&[("exp", past.clone())]), TokenError::Expired),
        (claims(&[("exp", Value::Null)]), TokenError::Claim("exp".into())),
        (claims(&[("nbf", json!(now() + 600))]), TokenError::NotYet),
        (claims(&[("iss", json!("https://evil.example"))]), TokenError::Issuer),
        (claims(&[("iss", Value::Null)]), TokenError::Claim("iss".into())),
        (claims(&[("aud", json!("other"))]), TokenError::Audience),
        (claims(&[("aud", json!([]))]), TokenError::Audience),
        (claims(&[("aud", Value::Null)]), TokenError::Audience),
        (claims(&[("aud", Value::Null), ("client_id", json!("other"))]), TokenError::Audience),
    ];
    for (claims, expected) in cases {
        assert_eq!(issuer.verify(&ec.sign(&claims)).await, Err(expected), "{claims}");
    }
    assert_eq!(issuer.verify(&stranger.sign(&claims(&[]))).await, Err(TokenError::Signature));
    for nonsense in ["", "a.b.c", "e30.e30.", &"a".repeat(100_000)] {
        assert_eq!(issuer.verify(nonsense).await, Err(TokenError::Malformed), "{nonsense:.20}");
    }
}

#[tokio::test]
async fn a_shared_secret_and_no_signature_at_all_are_refused() {
    let provider = Provider::default();
    let ec = Signer::es256("ec");
    provider.publish(&[&ec]);
    let issuer = issuer(&provider).await;
    // The public key, used as a shared secret: the oldest trick.
    let public = ec.public().to_string();
    let header = Header { kid: Some("ec".into()), ..Header::new(Algorithm::HS256) };
    let forged = encode(&header, &claims(&[]), &EncodingKey::from_secret(public.as_bytes()));
    assert_eq!(issuer.verify(&forged.expect("signed")).await, Err(TokenError::Algorithm));
    let base64 = |text: &str| {
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text)
    };
    let unsigned = format!("{}.{}.", base64(r#"{"alg":"none"}"#), base64(&claims(&[]).to_string()));
    assert_eq!(issuer.verify(&unsigned).await, Err(TokenError::Malformed));
}

#[tokio::test]
async fn a_flood_of_unknown_keys_asks_the_provider_once() {
    let provider = Provider::default();
    let (ours, theirs) = (Signer::es256("ours"), Signer::es256("theirs"));
    provider.publish(&[&ours]);
    let issuer = issuer(&provider).await;
    for _ in 0..50 {
        let refused = issuer.verify(&theirs.sign(&claims(&[]))).await;
        assert_eq!(refused, Err(TokenError::UnknownKey));
    }
    assert_eq!(provider.asked(), 1);
    assert!(issuer.verify(&ours.sign(&claims(&[]))).await.is_ok());
}

#[tokio::test]
async fn without_keys_the_fault_is_ours() {
    let provider = Provider::default();
    *provider.answer.lock().expect("unpoisoned") = "<html>".into();
    let issuer = issuer(&provider).await;
    let refused = issuer.verify(&Signer::es256("x").sign(&claims(&[]))).await;
    assert_eq!(refused, Err(TokenError::Unavailable));
    assert!(refused.is_err_and(|error| error.is_ours()));
}
