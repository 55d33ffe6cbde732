//! `/api/auth` and `/api/ticket`: who one is, and a one-time ticket for a WebSocket.

use actix_web::{
    Error, HttpMessage, HttpRequest, HttpResponse,
    http::{StatusCode, header::CACHE_CONTROL},
    web::{Bytes, Data},
};
use serde::Deserialize;
use serde_json::json;
use voice_access::{Principal, normal_origin};

use super::{State, body, door, error::Refused, guard};

/// Longest name of a customer.
const MAX_USER: usize = 128;
/// Longest body.
pub(super) const MAX_BODY: usize = 4 * 1024;

/// Whether clients have to say who they are, and who this one is.
pub(super) async fn whoami(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let extensions = request.extensions();
    let principal = extensions.get::<Principal>();
    HttpResponse::Ok().json(json!({
        "required": state.access.is_guarded(),
        "user": principal.and_then(|principal| principal.user.as_deref()),
        "roles": principal.map(|principal| principal.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>()),
    }))
}

/// What may be asked for. Absent: a ticket for oneself.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    /// A customer of whoever asks: a caller and no more.
    user: Option<String>,
    /// The page that will present the ticket, when another one asks for it.
    origin: Option<String>,
}

/// Issues a ticket.
pub(super) async fn issue(
    state: Data<State>,
    request: HttpRequest,
    body: Result<Bytes, Error>,
) -> Result<HttpResponse, Refused> {
    let principal = request.extensions().get::<Principal>().cloned();
    let principal = principal.ok_or_else(guard::unknown)?;
    let ask = read(&body::whole(body)?)?;
    let user = ask.user.as_deref().or(principal.user.as_deref()).unwrap_or_default();
    state.access.rates.user(user).map_err(guard::too_fast)?;
    let origin = ask.origin.as_deref().or(guard::origin(&request)).and_then(normal_origin);
    let issued =
        state.access.issue(&principal, ask.user.clone(), origin.as_deref()).map_err(|error| {
            tracing::error!(%error, "no ticket can be issued");
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "no_ticket", error)
        })?;
    let expires_at = jiff::Timestamp::from_second(issued.until.cast_signed()).unwrap_or_default();
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(json!({
        "subprotocol": format!("{}{}", door::TICKET, issued.ticket),
        "ticket": issued.ticket,
        "expiresAt": expires_at.to_string(),
    })))
}

fn read(body: &[u8]) -> Result<Ask, Refused> {
    let bad = |message: String| Refused::new(StatusCode::BAD_REQUEST, "bad_request", message);
    let expected = "{\"user\": …, \"origin\": …}";
    let ask: Ask = body::optional(body, "bad_request", expected)?;
    let odd = |user: &String| {
        user.is_empty() || user.len() > MAX_USER || user.chars().any(char::is_control)
    };
    if ask.user.as_ref().is_some_and(odd) {
        return Err(bad(format!(
            "user: expected 1 to {MAX_USER} bytes without control characters"
        )));
    }
    if let Some(origin) = &ask.origin
        && normal_origin(origin).is_none()
    {
        return Err(bad(format!("origin: {origin:?} is no origin, such as https://bank.example")));
    }
    Ok(ask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faulty_wish_is_explained() {
        assert!(read(b"").expect("a wish").user.is_none());
        let wish = read(br#"{"user":"c-1","origin":"https://bank.example"}"#).expect("a wish");
        assert_eq!(wish.user.as_deref(), Some("c-1"));
        for bad in [
            r#"{"user":""}"#,
            r#"{"user":"a\nb"}"#,
            r#"{"origin":"bank"}"#,
            r#"{"role":"x"}"#,
            "[",
            "[null, null]",
            "7",
        ] {
            assert_eq!(read(bad.as_bytes()).expect_err("faulty").code(), "bad_request", "{bad}");
        }
    }
}
