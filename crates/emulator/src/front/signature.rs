//! Signature Version 4, from the verifier's side: the request, then the chain of frames.
//!
//! Pure and independent of the SDK's signer, so that a mistake in either shows. It does not look
//! at the clock: an old but well-signed request passes. A session token is not examined beyond
//! being part of what is signed. Called by `bidirectional` (request) and `upstream` (frames).
//! Sources: nova-sonic.md §1.1 and §1.3.

use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit, Mac};
use http::request::Parts;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::config::TestCredentials;

/// Payload hash of clients that announce a signed event stream.
const STREAMING_PAYLOAD: &str = "STREAMING-AWS4-HMAC-SHA256-EVENTS";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Why a request is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestFault {
    /// No `authorization` header.
    #[error("Missing Authentication Token")]
    Missing,
    /// A bearer token; this operation takes Signature Version 4 only.
    #[error("Authorization method mismatch: this operation accepts Signature Version 4 only")]
    Bearer,
    /// The header or something it names cannot be read.
    #[error("{0}")]
    Incomplete(String),
    /// The access key is not the known one.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// Date, service or terminator of the scope is wrong.
    #[error("Credential should be scoped to {0}.")]
    Scope(String),
    /// It was computed with another key or over another request.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check \
         your AWS Secret Access Key and signing method. Consult the service documentation for \
         details."
    )]
    Mismatch,
}

/// Why a frame is not accepted. Its text goes to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameFault {
    /// `:date` or `:chunk-signature` is absent or of another type.
    #[error("The event is not signed: :date and :chunk-signature are required on every message.")]
    Unsigned,
    /// The signature does not continue the chain.
    #[error("The event signature we calculated does not match the signature you provided.")]
    Mismatch,
    /// `:date` is no moment a calendar knows.
    #[error("The :date of the event is out of range.")]
    Date,
}

/// Checks the signature of a request and returns the chain that its frames have to continue.
pub(crate) fn verify_request(
    parts: &Parts,
    credentials: &TestCredentials,
    service: &str,
) -> Result<FrameChain, RequestFault> {
    verify(parts, credentials, service, &payload_hash(parts)?)
}

/// Checks the signature of a request whose body is all there.
pub(crate) fn verify_plain(
    parts: &Parts,
    credentials: &TestCredentials,
    service: &str,
    body: &[u8],
) -> Result<(), RequestFault> {
    let hash = hex::encode(Sha256::digest(body));
    match header(parts, "x-amz-content-sha256") {
        Some(announced) if announced != hash => Err(RequestFault::Mismatch),
        _ => verify(parts, credentials, service, &hash).map(drop),
    }
}

fn verify(
    parts: &Parts,
    credentials: &TestCredentials,
    service: &str,
    payload_hash: &str,
) -> Result<FrameChain, RequestFault> {
    let authorization = Authorization::read(parts)?;
    let [key_id, date, region, scope_service, terminator] = authorization.scope();
    if key_id != credentials.access_key_id {
        return Err(RequestFault::UnknownKey);
    }
    if scope_service != service {
        return Err(RequestFault::Scope(format!("correct service: '{service}'")));
    }
    if terminator != "aws4_request" {
        return Err(RequestFault::Scope("a valid terminator: 'aws4_request'".to_owned()));
    }
    let moment = header(parts, "x-amz-date")
        .ok_or_else(|| RequestFault::Incomplete("x-amz-date is missing".to_owned()))?;
    if !moment.starts_with(date) {
        return Err(RequestFault::Scope(format!("the date of x-amz-date, {moment}")));
    }

    let canonical = canonical_request(parts, &authorization, payload_hash)?;
    let to_sign = format!(
        "{ALGORITHM}\n{moment}\n{date}/{region}/{service}/aws4_request\n{}",
        hex::encode(Sha256::digest(canonical.as_bytes()))
    );
    let key = signing_key(&credentials.secret_access_key, date, region, service);
    let expected = hmac(&key, to_sign.as_bytes());
    if hex::encode(expected) != authorization.signature {
        return Err(RequestFault::Mismatch);
    }
    Ok(FrameChain {
        secret: credentials.secret_access_key.clone(),
        region: region.to_owned(),
        service: service.to_owned(),
        key: (date.to_owned(), key),
        previous: expected,
    })
}

/// The chain of frame signatures: each one signs the one before it.
#[derive(Clone)]
pub(crate) struct FrameChain {
    secret: String,
    region: String,
    service: String,
    /// Day and the key derived for it; a stream may live past midnight.
    key: (String, [u8; 32]),
    previous: [u8; 32],
}

impl FrameChain {
    /// Checks the next frame: its `:date` in milliseconds since 1970, its signature, its payload.
    /// A wrong frame does not advance the chain.
    pub(crate) fn verify(
        &mut self,
        date_millis: i64,
        signature: &[u8],
        payload: &[u8],
    ) -> Result<(), FrameFault> {
        let moment = Timestamp::from_millisecond(date_millis).map_err(|_| FrameFault::Date)?;
        let moment = moment.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = moment.split_once('T').map_or("", |(day, _)| day);
        if day != self.key.0 {
            let key = signing_key(&self.secret, day, &self.region, &self.service);
            self.key = (day.to_owned(), key);
        }
        let to_sign = format!(
            "{ALGORITHM}-PAYLOAD\n{moment}\n{day}/{}/{}/aws4_request\n{}\n{}\n{}",
            self.region,
            self.service,
            hex::encode(self.previous),
            hex::encode(Sha256::digest(encoded_date_header(date_millis))),
            hex::encode(Sha256::digest(payload)),
        );
        let expected = hmac(&self.key.1, to_sign.as_bytes());
        if expected != signature {
            return Err(FrameFault::Mismatch);
        }
        self.previous = expected;
        Ok(())
    }
}

/// The `:date` header alone, as it stands in a frame: the part of the headers that is signed.
fn encoded_date_header(date_millis: i64) -> [u8; 15] {
    let mut encoded = *b"\x05:date\x0800000000";
    encoded[7..].copy_from_slice(&date_millis.to_be_bytes());
    encoded
}

/// The parts of an `authorization` header.
struct Authorization<'a> {
    credential: [&'a str; 5],
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn read(parts: &'a Parts) -> Result<Self, RequestFault> {
        let value = parts.headers.get(http::header::AUTHORIZATION).ok_or(RequestFault::Missing)?;
        let value = value
            .to_str()
            .map_err(|_| RequestFault::Incomplete("authorization is not ASCII".to_owned()))?;
        if value.starts_with("Bearer ") {
            return Err(RequestFault::Bearer);
        }
        let fields = value.strip_prefix(ALGORITHM).ok_or_else(|| {
            RequestFault::Incomplete(format!("Unsupported authorization, expected {ALGORITHM}"))
        })?;
        let field = |name: &str| {
            fields
                .split(',')
                .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
                .ok_or_else(|| {
                    RequestFault::Incomplete(format!("Authorization header requires '{name}'"))
                })
        };
        // An access key id has no slash; what follows it has four parts.
        let parts: Vec<&str> = field("Credential")?.split('/').collect();
        let credential = <[&str; 5]>::try_from(parts).map_err(|parts| {
            RequestFault::Incomplete(format!(
                "Credential must have 5 slash-delimited elements, got {}",
                parts.len()
            ))
        })?;
        Ok(Self {
            credential,
            signed_headers: field("SignedHeaders")?,
            signature: field("Signature")?,
        })
    }

    fn scope(&self) -> [&'a str; 5] {
        self.credential
    }
}

fn canonical_request(
    parts: &Parts,
    authorization: &Authorization<'_>,
    payload_hash: &str,
) -> Result<String, RequestFault> {
    let mut headers = String::new();
    let names: BTreeSet<&str> = authorization.signed_headers.split(';').collect();
    if !names.contains("host") && !names.contains(":authority") {
        return Err(RequestFault::Incomplete(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
        ));
    }
    for name in authorization.signed_headers.split(';') {
        let value = header(parts, name).ok_or_else(|| {
            RequestFault::Incomplete(format!("the signed header '{name}' is missing"))
        })?;
        headers.push_str(&format!("{name}:{value}\n"));
    }
    Ok(format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        parts.method,
        encode(parts.uri.path(), b"/"),
        canonical_query(parts.uri.query().unwrap_or_default()),
        authorization.signed_headers,
        payload_hash,
    ))
}

/// Either the announced literal, or the hash of nothing when there is no header (nova-sonic.md
/// §1.1: both are in use).
fn payload_hash(parts: &Parts) -> Result<String, RequestFault> {
    let empty = hex::encode(Sha256::digest(b""));
    match header(parts, "x-amz-content-sha256") {
        None => Ok(empty),
        Some(hash) if hash == STREAMING_PAYLOAD || hash == empty => Ok(hash),
        Some(hash) => Err(RequestFault::Incomplete(format!(
            "x-amz-content-sha256 must be {STREAMING_PAYLOAD} or absent, not {hash}"
        ))),
    }
}

/// Value of a header as it is signed: several joined, blanks collapsed. On HTTP/2 `host` is the
/// authority of the request, and `:authority` is signed by JavaScript under that very name.
fn header(parts: &Parts, name: &str) -> Option<String> {
    if name == "host" || name == ":authority" {
        let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
        return host.map(str::to_owned).or_else(|| parts.uri.authority().map(ToString::to_string));
    }
    let mut values = parts.headers.get_all(name).iter().peekable();
    values.peek()?;
    let values: Option<Vec<String>> = values
        .map(|value| {
            Some(value.to_str().ok()?.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect();
    Some(values?.join(","))
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    pairs.sort_unstable();
    // What is percent-encoded on the wire is signed as it stands.
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(name, value)| format!("{}={}", encode(name, b"%"), encode(value, b"%")))
        .collect();
    pairs.join("&")
}

/// Percent-encodes all but the unreserved characters and those in `keep`. The path comes encoded
/// once from the wire, so `%3A` becomes `%253A`.
fn encode(text: &str, keep: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || keep.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn signing_key(secret: &str, day: &str, region: &str, service: &str) -> [u8; 32] {
    let key = hmac(format!("AWS4{secret}").as_bytes(), day.as_bytes());
    let key = hmac(&key, region.as_bytes());
    let key = hmac(&key, service.as_bytes());
    hmac(&key, b"aws4_request")
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    // A key padded to the block size by hand makes the constructor infallible.
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(data);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked example of the Signature Version 4 documentation for a derived key.
    #[test]
    fn the_signing_key_matches_the_published_example() {
        let key =
            signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam");
        assert_eq!(
            hex::encode(key),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
        );
    }

    #[test]
    fn long_keys_are_hashed_first() {
        // RFC 4231, test case 6.
        assert_eq!(
            hex::encode(hmac(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn the_path_is_encoded_once_more_than_on_the_wire() {
        assert_eq!(
            encode("/model/amazon.nova-sonic-v1%3A0/invoke", b"/"),
            "/model/amazon.nova-sonic-v1%253A0/invoke"
        );
    }

    #[test]
    fn the_query_is_sorted_and_keeps_its_encoding() {
        assert_eq!(canonical_query("b=2&a=%20x&c"), "a=%20x&b=2&c=");
        assert_eq!(canonical_query(""), "");
    }

    #[test]
    fn a_request_without_authorization_is_told_so() {
        let (parts, ()) = http::Request::post("/model/m/invoke").body(()).unwrap().into_parts();
        assert_eq!(
            verify_request(&parts, &TestCredentials::default(), "bedrock").err(),
            Some(RequestFault::Missing)
        );
    }

    #[test]
    fn a_bearer_token_is_refused() {
        let (parts, ()) = http::Request::post("/model/m/invoke")
            .header("authorization", "Bearer abc")
            .body(())
            .unwrap()
            .into_parts();
        assert_eq!(
            verify_request(&parts, &TestCredentials::default(), "bedrock").err(),
            Some(RequestFault::Bearer)
        );
    }

    #[test]
    fn a_wrong_frame_does_not_advance_the_chain() {
        let mut chain = FrameChain {
            secret: "s".into(),
            region: "r".into(),
            service: "bedrock".into(),
            key: (String::new(), [0; 32]),
            previous: [7; 32],
        };
        assert_eq!(chain.verify(0, &[0; 32], b""), Err(FrameFault::Mismatch));
        assert_eq!(chain.previous, [7; 32]);
        assert_eq!(chain.verify(i64::MAX, &[0; 32], b""), Err(FrameFault::Date));
    }
}
