//! The headers that every answer carries.

use actix_web::middleware::DefaultHeaders;

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
        .add(("Cross-Origin-Opener-Policy", "same-origin"))
        .add(("Cross-Origin-Resource-Policy", "same-origin"))
}
