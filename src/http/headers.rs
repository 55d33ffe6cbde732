//! The headers that every answer carries.

use std::sync::Arc;

use actix_cors::Cors;
use actix_web::{
    http::header::{AUTHORIZATION, CONTENT_TYPE, LINK, RETRY_AFTER},
    middleware::DefaultHeaders,
};

use super::State;

/// Everything from here and nothing from elsewhere, no inline script or style. A WebSocket to
/// the page's own origin is covered by `'self'`; an AudioWorklet counts as a script.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src 'self'; \
     script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; \
     worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// Adds the security headers.
pub(crate) fn security() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("Content-Security-Policy", CONTENT_SECURITY_POLICY))
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("Referrer-Policy", "no-referrer"))
        .add(("Permissions-Policy", "microphone=(self), camera=(), geolocation=()"))
        // Ignored without TLS (RFC 6797 §8.1).
        .add(("Strict-Transport-Security", "max-age=31536000"))
        .add(("Cross-Origin-Opener-Policy", "same-origin"))
        .add(("Cross-Origin-Resource-Policy", "same-origin"))
}

/// Lets pages of the allowed origins read answers. Others are refused by the guard.
pub(crate) fn cors(state: Arc<State>) -> Cors {
    Cors::default()
        .allowed_origin_fn(move |origin, _| {
            origin.to_str().is_ok_and(|origin| state.access.allows(origin, None))
        })
        .allowed_methods(["GET", "HEAD", "POST", "DELETE"])
        .allowed_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers([LINK, RETRY_AFTER])
        .max_age(600)
}
