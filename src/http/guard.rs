//! In front of every route: the address, the rate, the origin, and who asks.
//!
//! A request passes these in their order, and the first that refuses answers. WebSockets have
//! their credential checked by their door, since a browser presents it in other ways.

use std::net::IpAddr;

use actix_web::{
    Error, HttpMessage, HttpRequest, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderValue},
    },
    middleware::Next,
    web::Data,
};
use voice_access::{OwnOrigin, Principal, TooFast};
use voice_call::meters::ReasonLabel;

use super::{
    State,
    error::Refused,
    routes::{Who, other_methods, who},
};
use crate::access::{Access, Credential, Denied};

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";

/// The guard, as a middleware.
pub(crate) async fn guard(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match admit(&state, &request).await.and_then(|who| has_method(&request).map(|()| who)) {
        Ok(principal) => {
            if let Some(principal) = principal {
                request.extensions_mut().insert(principal);
            }
            next.call(request).await.map(ServiceResponse::map_into_boxed_body)
        }
        Err(refused) => {
            let reason = ReasonLabel { reason: refused.code() };
            state.meters.requests_refused.get_or_create(&reason).inc();
            Ok(request.into_response(refused.error_response()).map_into_boxed_body())
        }
    }
}

/// Told after the credential was checked: strangers learn no methods.
fn has_method(request: &ServiceRequest) -> Result<(), Refused> {
    let pattern = request.match_pattern();
    let Some(others) = other_methods(request.method(), pattern.as_deref()) else { return Ok(()) };
    let message = format!("{} is answered to {others}", request.path());
    let refused = Refused::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
    let Ok(others) = HeaderValue::from_str(&others) else { return Err(refused) };
    Err(refused.with_header(header::ALLOW, others))
}

/// Who asks, where somebody is asked.
async fn admit(state: &State, request: &ServiceRequest) -> Result<Option<Principal>, Refused> {
    let (access, request) = (&state.access, request.request());
    let who = who(request.method(), request.match_pattern().as_deref(), request.path());
    let probe = matches!(request.path(), "/health" | "/ready");
    let address = address(access, request);
    if !probe && let Some(address) = address {
        access.rates.request(address).map_err(too_fast)?;
    }
    check_host(access, request)?;
    if who != Who::Page {
        check_origin(access, request)?;
    }
    let bearer = bearer(request.headers());
    match (who, bearer) {
        (Who::Door, _) => Ok(None),
        (Who::Page, _) | (Who::Anybody, None) => Ok(None),
        (_, bearer) if access.is_guarded() => {
            let credential = Credential::Bearer(bearer.ok_or_else(unknown)?);
            let checked = access.check(credential, None).await;
            let principal = checked.map_err(|denied| denied_at(access, address, &denied))?;
            if !who.admits(principal.roles) {
                return Err(forbidden());
            }
            Ok(Some(principal))
        }
        _ => Ok(Some(Principal::anybody())),
    }
}

/// The address of the client, with the proxies taken away that are believed.
pub(super) fn address(access: &Access, request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    let forwarded: Vec<&str> = texts(request.headers(), X_FORWARDED_FOR).collect();
    Some(access.proxies.client(peer, forwarded.into_iter()))
}

/// The origin of the page that asks, if one does.
pub(super) fn origin(request: &HttpRequest) -> Option<&str> {
    request.headers().get(header::ORIGIN).and_then(|origin| origin.to_str().ok())
}

/// A page of elsewhere is answered only if it is on the list.
fn check_origin(access: &Access, request: &HttpRequest) -> Result<(), Refused> {
    let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(()) };
    let peer = request.peer_addr().map(|peer| peer.ip());
    let scheme = match peer.is_some_and(|peer| access.proxies.trusts(peer)) {
        true => texts(request.headers(), X_FORWARDED_PROTO).last(),
        false => None,
    };
    let own = host(request).map(|authority| OwnOrigin { authority, scheme });
    if origin.to_str().is_ok_and(|origin| access.allows(origin, own)) {
        return Ok(());
    }
    let message = "pages of this origin may not come here; ALLOWED_ORIGINS lists who may";
    Err(Refused::new(StatusCode::FORBIDDEN, "wrong_origin", message))
}

/// Where nobody is asked who it is, the name has to be one of this machine: a page elsewhere may
/// lead here by a name of its own.
fn check_host(access: &Access, request: &HttpRequest) -> Result<(), Refused> {
    if access.is_guarded() || host(request).is_none_or(names_this_machine) {
        return Ok(());
    }
    let message = "this server answers to names of this machine only, such as localhost";
    Err(Refused::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", message))
}

fn host(request: &HttpRequest) -> Option<&str> {
    request.headers().get(header::HOST).and_then(|host| host.to_str().ok())
}

fn names_this_machine(authority: &str) -> bool {
    let name = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => authority.split(':').next().unwrap_or(authority),
    };
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The credential of the `Authorization` header.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

fn texts<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).filter_map(|value| value.to_str().ok())
}

// Refusals.

/// Who does not say who it is.
pub(super) fn unknown() -> Refused {
    let message = "say who you are: an API key or a token in the header Authorization: Bearer …";
    unauthorized(message)
}

fn unauthorized(message: impl std::fmt::Display) -> Refused {
    Refused::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

pub(super) fn forbidden() -> Refused {
    let message = "whoever this credential is of may not do that";
    Refused::new(StatusCode::FORBIDDEN, "forbidden", message)
}

/// A credential that is not good. Whoever presents many of them has to wait.
pub(super) fn denied_at(access: &Access, address: Option<IpAddr>, denied: &Denied) -> Refused {
    if let Denied::Unavailable(_) = denied {
        return Refused::new(StatusCode::SERVICE_UNAVAILABLE, "cannot_check", denied)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    match address.map(|address| access.rates.failure(address)) {
        Some(Err(too_many)) => too_fast(too_many),
        _ => unauthorized(denied),
    }
}

pub(super) fn too_fast(error: TooFast) -> Refused {
    let seconds = HeaderValue::from(error.0.as_secs().max(1));
    Refused::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", error)
        .with_header(header::RETRY_AFTER, seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for own in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "a.localhost"] {
            assert!(names_this_machine(own), "{own}");
        }
        for other in ["evil.example", "localhost.evil.example", "10.0.0.1", "[::2]", "127.0.0.1.x"]
        {
            assert!(!names_this_machine(other), "{other}");
        }
    }

    #[test]
    fn a_bearer_is_read_in_any_case() {
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(read("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(read("bearer  abc").as_deref(), Some("abc"));
        assert_eq!((read("Basic abc"), read("abc")), (None, None));
    }
}
