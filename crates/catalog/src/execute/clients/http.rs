//! Requests to back ends, only where the allow list permits.
//!
//! Three checks, none of which an argument or a back end can go around: the host of the URL, the
//! addresses its name resolves to (the connection uses exactly those that were checked), and
//! the target of every redirect. No proxy of the environment is used, since a proxy would
//! resolve names itself; answers are not decompressed, so none can swell.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use reqwest::{
    Client, Method, Response, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use serde_json::{Map, Value, json};

use super::{
    super::{
        Fault, HttpPolicy,
        address::{Reach, reach},
        shape,
    },
    Secrets,
};
use crate::tool::{
    Body, HttpCall,
    remote::percent_encode,
    template::{fill_sparse, fill_text, templates},
};

/// A back end that does not take the connection by then is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);

/// Most redirects that are followed, all on the same host.
const MAX_REDIRECTS: usize = 3;

/// What the model is told when the rules of this program, not the back end, said no.
const FORBIDDEN: &str = "The tool is not set up here.";

/// The client.
pub(super) struct HttpClient {
    client: Client,
    policy: Arc<HttpPolicy>,
    secrets: Secrets,
}

impl HttpClient {
    pub(super) fn new(policy: HttpPolicy, secrets: Secrets) -> Result<Self, reqwest::Error> {
        let policy = Arc::new(policy);
        let client = Client::builder()
            .user_agent(concat!("voice-s2s/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE)
            .redirect(redirect::Policy::custom(follow_on_the_same_host))
            .dns_resolver(Arc::new(CheckedResolver { policy: Arc::clone(&policy) }))
            .build()?;
        Ok(Self { client, policy, secrets })
    }

    pub(super) async fn run(
        &self,
        call: &HttpCall,
        arguments: &Map<String, Value>,
    ) -> Result<Value, Fault> {
        let text = call
            .url
            .fill(arguments)
            .map_err(|message| Fault::lasting(message, "an argument does not fit the URL"))?;
        let url =
            Url::parse(&text).map_err(|error| Fault::lasting(FORBIDDEN, error.to_string()))?;
        if let Some(why) = refuse(&self.policy, &url) {
            let host = url.host_str().unwrap_or_default();
            return Err(Fault::lasting(FORBIDDEN, format!("{host}: {why}")));
        }
        let method = Method::from_bytes(call.method.as_bytes())
            .map_err(|error| Fault::lasting(FORBIDDEN, error.to_string()))?;
        let (content_type, body) = fill_body(&call.body, arguments);
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        headers.extend(self.headers(&call.headers, arguments)?);
        let mut request = self.client.request(method, url).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.map_err(describe)?;
        let status = response.status();
        if !status.is_success() {
            return Err(refused(status));
        }
        let is_text = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/plain"));
        let bytes = self.read(response).await?;
        let pointer = call.result.as_deref();
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(json!({"status": "done"}));
        }
        let answer = match serde_json::from_slice(&bytes) {
            Ok(answer) => answer,
            Err(_) if is_text && pointer.is_none() => {
                return Ok(json!({"text": String::from_utf8_lossy(&bytes)}));
            }
            Err(error) => {
                let detail = format!("the answer is not JSON: {error}");
                return Err(Fault::lasting("The service gave no answer that can be read.", detail));
            }
        };
        shape::select(answer, pointer).ok_or_else(|| {
            let detail = format!("the answer has nothing at {}", pointer.unwrap_or_default());
            Fault::lasting("The service did not give what was asked for.", detail)
        })
    }

    fn headers(
        &self,
        headers: &[(String, String)],
        arguments: &Map<String, Value>,
    ) -> Result<HeaderMap, Fault> {
        let mut filled = HeaderMap::new();
        for (name, text) in headers {
            let value = self.secrets.fill(text, arguments)?;
            // The message of this error would not show the value, but nobody needs it.
            let wrong = || Fault::lasting(FORBIDDEN, format!("the header {name} cannot be sent"));
            let mut value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            filled.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?, value);
        }
        Ok(filled)
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Fault> {
        let most = self.policy.max_response_bytes;
        let oversized = || {
            let detail = format!("the answer has more than {most} bytes");
            Fault::lasting("The service gave an answer that is too long. Ask for less.", detail)
        };
        if response.content_length().is_some_and(|length| length > most as u64) {
            return Err(oversized());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(describe)? {
            if bytes.len() + chunk.len() > most {
                return Err(oversized());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// Why the rules forbid this URL. An address in place of a name is never resolved, so it is
/// checked here.
fn refuse(policy: &HttpPolicy, url: &Url) -> Option<&'static str> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    if let Some(why) = policy.refuse(url.scheme(), host, port) {
        return Some(why);
    }
    let address = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    match reach(address) {
        Reach::Public => None,
        Reach::Private if policy.is_private_allowed(host) => None,
        Reach::Private => Some("the address is private"),
        Reach::Never => Some("the address is never a back end"),
    }
}

fn follow_on_the_same_host(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let same = attempt.previous().first().is_some_and(|first| {
        let (next, port) = (attempt.url(), Url::port_or_known_default);
        first.scheme() == next.scheme()
            && first.host_str() == next.host_str()
            && port(first) == port(next)
    });
    if !same {
        return attempt.error(Refused("a redirect leads to another host"));
    }
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error(Refused("there are too many redirects"));
    }
    attempt.follow()
}

/// What this program refuses; a further attempt would be refused as well.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(&'static str);

/// Resolves names and gives out only addresses that may be reached.
struct CheckedResolver {
    policy: Arc<HttpPolicy>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.policy.is_private_allowed(name.as_str());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found
                .filter(|address| match reach(address.ip()) {
                    Reach::Public => true,
                    Reach::Private => private,
                    Reach::Never => false,
                })
                .collect();
            if allowed.is_empty() {
                return Err(Refused("the name resolves to no address that is allowed").into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// A body and its type.
fn fill_body(
    body: &Body,
    arguments: &Map<String, Value>,
) -> (Option<&'static str>, Option<String>) {
    match body {
        Body::Empty => (None, None),
        Body::Arguments => {
            (Some("application/json"), Some(Value::Object(arguments.clone()).to_string()))
        }
        Body::Json(template) => {
            let mut filled = template.clone();
            fill_sparse(&mut filled, arguments);
            (Some("application/json"), Some(filled.to_string()))
        }
        Body::Form(fields) => {
            let lacks = |name: &str| arguments.get(name).is_none_or(Value::is_null);
            let pairs: Vec<String> = fields
                .iter()
                .filter(|(_, text)| {
                    let names = templates(text);
                    names.is_empty() || !names.iter().all(|(_, _, name)| lacks(name))
                })
                .map(|(name, text)| {
                    let value = fill_text(text, arguments);
                    format!("{}={}", percent_encode(name), percent_encode(&value))
                })
                .collect();
            (Some("application/x-www-form-urlencoded"), Some(pairs.join("&")))
        }
    }
}

/// An answer that is none, in words for the model.
fn refused(status: StatusCode) -> Fault {
    let detail = format!("HTTP status {}", status.as_u16());
    let code = status.as_u16();
    match code {
        404 | 410 => Fault::lasting("The service found nothing for these arguments.", detail),
        408 | 425 | 429 => Fault::passing("The service is busy.", detail),
        401 | 403 => Fault::lasting("The service refused access.", detail),
        400..=499 => {
            Fault::lasting(format!("The service refused the request (HTTP {code})."), detail)
        }
        500..=599 => Fault::passing(format!("The service has a problem (HTTP {code})."), detail),
        _ => Fault::lasting("The service sent the request elsewhere.", detail),
    }
}

/// A request without an answer. The URL is left out: it may hold what the caller said.
fn describe(error: reqwest::Error) -> Fault {
    let error = error.without_url();
    let mut detail = error.to_string();
    let mut refused = error.is_redirect();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        refused |= cause.is::<Refused>();
        detail.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    if refused {
        Fault::lasting(FORBIDDEN, detail)
    } else {
        Fault::passing("The service cannot be reached.", detail)
    }
}
