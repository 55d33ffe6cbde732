//! The door of `/sonic`: who comes, with which wish, and to which call.
//!
//! ```text
//!   request ──credential good, or none needed──▶ a call
//!      │  └──a resume token that is good───────▶ the call it belongs to
//!      └──no credential──▶ waits for `authenticate`, 5 s ──ticket good──▶ a call
//! ```
//!
//! A browser can send no header with a WebSocket, so a ticket comes as a subprotocol or in the
//! first message, and never in the URL, which ends up in logs (ASVS 5.0, 14.2.1). Nothing is
//! allocated for whoever waits but the socket.

use std::{net::IpAddr, time::Duration};

use actix_web::{
    HttpRequest,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web::Query,
};
use serde::Deserialize;
use voice_access::{Principal, Role, normal_origin};
use voice_actors::{CallLease, Claim, NoSuchCall, Party, PartyRefusal, Recalled, Refusal, Seen};
use voice_call::{CallId, CloseCode, meters::ReasonLabel};
use voice_wire::ServerMessage;

use super::{
    State,
    error::{Refused, bad_query},
    guard,
};
use crate::access::Credential;

/// The subprotocol. A client that offers it understands a refusal in words after the upgrade,
/// since a browser cannot read the status of one before it.
pub(super) const PROTOCOL: &str = "voice.v1";
/// Before a ticket among the subprotocols.
pub(super) const TICKET: &str = "ticket.";
/// Before a resume token among the subprotocols; it may stand in the query as well.
const RESUME: &str = "resume.";
/// What must not stand in a URL.
const SECRETS: [&str; 6] = ["ticket", "token", "access_token", "key", "api_key", "authorization"];

/// How long a client may take for its first message, where that has to bring a ticket.
pub(super) const FIRST_MESSAGE: Duration = Duration::from_secs(5);
/// Sockets that may wait for theirs.
const MAX_WAITING: i64 = 1_000;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SonicQuery {
    session_id: Option<String>,
    /// With it a client comes back to the call `sessionId`.
    resume_token: Option<String>,
    /// The `seq` of the last message that it has seen.
    last_seq: Option<u64>,
    /// How many bytes of audio it has got, over all connections of the call.
    heard_bytes: Option<u64>,
}

/// What a client asks for when it connects.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wish {
    id: Option<CallId>,
    back: Option<(String, Seen)>,
}

/// The subprotocols that a client offers, as far as we know them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Offered<'a> {
    /// Whether it understands refusals in words.
    speaks: bool,
    ticket: Option<&'a str>,
    resume: Option<&'a str>,
}

/// Somebody at the door.
pub(super) struct Visitor {
    address: Option<IpAddr>,
    origin: Option<String>,
    wish: Wish,
    pub(super) speaks: bool,
}

/// What becomes of a visitor.
pub(super) enum Entry {
    /// It has a call.
    Call(Box<Arrival>),
    /// It has to bring a ticket first.
    Wait(Visitor),
    /// It is told why not, after the upgrade.
    Turned(Box<Refused>),
}

/// The call that a new socket belongs to.
pub(super) enum Arrival {
    /// A fresh one.
    New(CallLease),
    /// A fresh one, although the client wanted to come back to another.
    NewInstead(CallLease, NoSuchCall),
    /// One that was there.
    Back(Claim, Seen),
    /// One whose task is gone.
    Recalled(CallLease, Recalled, Seen),
}

/// Opens, or says why not.
pub(super) async fn open(state: &State, request: &HttpRequest) -> Result<Entry, Refused> {
    let offered = offered(protocols(request));
    let wish = wish(request.query_string(), offered.resume)?;
    let visitor = Visitor::of(state, request, wish, offered.speaks)?;
    match presented(request, &offered) {
        None if state.access.is_guarded() => wait(state, visitor).await,
        credential => {
            let principal = identify(state, &visitor, credential).await?;
            enter(state, visitor, &principal).await
        }
    }
}

/// Asks for `role` at the door of a WebSocket that holds no call. Nobody is waited for.
pub(super) async fn require(
    state: &State,
    request: &HttpRequest,
    role: Role,
) -> Result<(), Refused> {
    let offered = offered(protocols(request));
    let visitor = Visitor::of(state, request, Wish::default(), offered.speaks)?;
    let principal = identify(state, &visitor, presented(request, &offered)).await?;
    if principal.roles.has(role) { Ok(()) } else { Err(guard::forbidden()) }
}

/// What a client presents when it connects.
fn presented<'a>(request: &'a HttpRequest, offered: &Offered<'a>) -> Option<Credential<'a>> {
    let bearer = guard::bearer(request.headers()).map(Credential::Bearer);
    bearer.or(offered.ticket.map(Credential::Ticket))
}

/// Who that is; anybody, where nobody is asked.
async fn identify(
    state: &State,
    visitor: &Visitor,
    credential: Option<Credential<'_>>,
) -> Result<Principal, Refused> {
    let Some(credential) = credential else {
        let open = !state.access.is_guarded();
        return open.then(Principal::anybody).ok_or_else(guard::unknown);
    };
    let checked = state.access.check(credential, visitor.origin.as_deref()).await;
    checked.map_err(|denied| guard::denied_at(&state.access, visitor.address, &denied))
}

/// Gives somebody who is known a call, or says why not.
async fn enter(state: &State, visitor: Visitor, principal: &Principal) -> Result<Entry, Refused> {
    let speaks = visitor.speaks;
    match admit(state, visitor, principal).await {
        Ok(arrival) => Ok(Entry::Call(Box::new(arrival))),
        Err(refused) => turn_away(refused, speaks),
    }
}

/// Lets somebody in who waited and brings a ticket now.
pub(super) async fn let_in(
    state: &State,
    visitor: Visitor,
    ticket: &str,
) -> Result<Arrival, Refused> {
    let principal = identify(state, &visitor, Some(Credential::Ticket(ticket))).await?;
    admit(state, visitor, &principal).await
}

/// Who has no credential may have a resume token, which nobody else can have; otherwise it waits.
async fn wait(state: &State, visitor: Visitor) -> Result<Entry, Refused> {
    // The wish is kept: once the ticket is there, the client has to hear that its call is over, and
    // must not get a new one under an id that may be somebody else's.
    if let (Some(id), Some((token, seen))) = (&visitor.wish.id, &visitor.wish.back) {
        match come_back(state, id, token, *seen, visitor.party(state, None)).await {
            Ok(arrival) => return Ok(Entry::Call(Box::new(arrival))),
            Err(NoReturn::Refused(refusal)) => {
                return turn_away(refuse_call(refusal), visitor.speaks);
            }
            Err(NoReturn::NoSuchCall(_)) => {}
        }
    }
    if state.meters.waiting_sockets.get() >= MAX_WAITING {
        return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "full", "too many wait here")
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("5")));
    }
    Ok(Entry::Wait(visitor))
}

/// Gives somebody who may call a call.
async fn admit(state: &State, visitor: Visitor, principal: &Principal) -> Result<Arrival, Refused> {
    if !principal.roles.has(Role::Caller) {
        return Err(guard::forbidden());
    }
    let party = visitor.party(state, Some(principal));
    let Wish { id, back } = visitor.wish;
    if let (Some(id), Some((token, seen))) = (&id, back) {
        return match come_back(state, id, &token, seen, party.clone()).await {
            Ok(arrival) => Ok(arrival),
            Err(NoReturn::Refused(refusal)) => Err(refuse_call(refusal)),
            // Not under the old id: it may be somebody else's.
            Err(NoReturn::NoSuchCall(none)) => {
                let lease = state.registry.admit(None, party).await.map_err(refuse_call)?;
                Ok(Arrival::NewInstead(lease, none))
            }
        };
    }
    if let Some(user) = &principal.user {
        state.access.rates.user(user).map_err(guard::too_fast)?;
    }
    state.registry.admit(id, party).await.map(Arrival::New).map_err(refuse_call)
}

/// Why a client does not come back to its call.
enum NoReturn {
    /// There is none.
    NoSuchCall(NoSuchCall),
    /// There is no place for it here; the next task may have one.
    Refused(Refusal),
}

/// The call that the token belongs to, here or at a task that is gone. The place comes first:
/// whoever is refused one must keep a token that is good.
async fn come_back(
    state: &State,
    id: &CallId,
    token: &str,
    seen: Seen,
    party: Party,
) -> Result<Arrival, NoReturn> {
    let registry = &state.registry;
    let none = match registry.claim(id.clone(), token.to_owned()).await {
        Ok(claim) => return Ok(Arrival::Back(claim, seen)),
        Err(none) => none,
    };
    let count = |reason| state.meters.resumes.get_or_create(&ReasonLabel { reason }).inc();
    match registry.admit_returning(id.clone(), party).await {
        Ok(lease) => {
            if let Some(recalled) = state.engine.recall(id, token).await {
                count("recalled");
                return Ok(Arrival::Recalled(lease, recalled, seen));
            }
        }
        Err(Refusal::AlreadyLive(_)) => {}
        Err(refusal) => return Err(NoReturn::Refused(refusal)),
    }
    count("refused");
    Err(NoReturn::NoSuchCall(none))
}

impl Visitor {
    /// Whoever asks for an upgrade, counted against the rate of its address.
    fn of(state: &State, request: &HttpRequest, wish: Wish, speaks: bool) -> Result<Self, Refused> {
        let address = guard::address(&state.access, request);
        if let Some(address) = address {
            state.access.rates.upgrade(address).map_err(guard::too_fast)?;
        }
        let origin = guard::origin(request).and_then(normal_origin);
        Ok(Self { address, origin, wish, speaks })
    }

    fn party(&self, state: &State, principal: Option<&Principal>) -> Party {
        state.access.party(principal, self.address)
    }
}

/// A refusal that passes is told in words to whoever understands them.
fn turn_away(refused: Refused, speaks: bool) -> Result<Entry, Refused> {
    let passes = matches!(refused.code(), "full" | "draining" | "too_many_calls");
    if speaks && passes { Ok(Entry::Turned(Box::new(refused))) } else { Err(refused) }
}

/// A refusal as the client hears it after the upgrade, and the close code that follows.
pub(super) fn in_words(refused: &Refused) -> (ServerMessage, CloseCode) {
    let message = refused.to_string();
    match refused.retry_after() {
        Some(retry_after_seconds) => {
            let busy =
                ServerMessage::Busy { message, code: "busy", fatal: true, retry_after_seconds };
            (busy, CloseCode(1013))
        }
        None => {
            let code = refused.code();
            (ServerMessage::Error { message, code, fatal: true }, CloseCode(1008))
        }
    }
}

/// What the query says. A token among the subprotocols prevails.
fn wish(query: &str, resume: Option<&str>) -> Result<Wish, Refused> {
    let bad = |code, why: String| Err(Refused::new(StatusCode::BAD_REQUEST, code, why));
    let names = query.split('&').map(|pair| pair.split('=').next().unwrap_or(pair));
    for name in names {
        if SECRETS.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
            let why = format!(
                "{name}: a credential never stands in a URL; expected is the \
                 header Authorization, the subprotocol {TICKET}…, or `authenticate` as first message"
            );
            return bad("credential_in_url", why);
        }
    }
    let query = match Query::<SonicQuery>::from_query(query) {
        Ok(query) => query.into_inner(),
        Err(error) => return Err(bad_query(error)),
    };
    let id = match query.session_id.map(|id| id.parse::<CallId>()).transpose() {
        Ok(id) => id,
        Err(error) => return bad("bad_session_id", format!("sessionId: {error}")),
    };
    let seen = Seen { last_seq: query.last_seq.unwrap_or(0), heard_bytes: query.heard_bytes };
    let token = resume.map(str::to_owned).or(query.resume_token);
    let back = token.map(|token| (token, seen));
    if back.is_some() && id.is_none() {
        return bad("bad_session_id", "resumeToken needs the sessionId of its call".into());
    }
    Ok(Wish { id, back })
}

fn protocols(request: &HttpRequest) -> impl Iterator<Item = &str> {
    let values = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    values.filter_map(|value| value.to_str().ok())
}

fn offered<'a>(values: impl Iterator<Item = &'a str>) -> Offered<'a> {
    let mut offered = Offered::default();
    for protocol in values.flat_map(|value| value.split(',')).map(str::trim) {
        if protocol == PROTOCOL {
            offered.speaks = true;
        } else if let Some(ticket) = protocol.strip_prefix(TICKET) {
            offered.ticket = Some(ticket);
        } else if let Some(token) = protocol.strip_prefix(RESUME) {
            offered.resume = Some(token);
        }
    }
    offered
}

fn refuse_call(refusal: Refusal) -> Refused {
    let unavailable = |code, seconds| {
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, code, &refusal)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static(seconds))
    };
    match &refusal {
        Refusal::AlreadyLive(_) => Refused::new(StatusCode::CONFLICT, "session_live", &refusal),
        Refusal::Full => unavailable("full", "5"),
        Refusal::Party(PartyRefusal::TooMany(_)) => unavailable("too_many_calls", "5"),
        Refusal::Party(PartyRefusal::BudgetSpent) => {
            Refused::new(StatusCode::FORBIDDEN, "budget_spent", &refusal)
        }
        Refusal::Draining | Refusal::Unavailable => unavailable("draining", "1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_is_optional_but_never_odd() {
        let wished = |query| wish(query, None).map_err(|error| error.code());
        assert_eq!(wished(""), Ok(Wish::default()));
        assert_eq!(wished("x=1&lastSeq=7"), Ok(Wish::default()));
        let id = wished("sessionId=a.b%3Ac").expect("valid").id;
        assert_eq!(id.map(String::from).as_deref(), Some("a.b:c"));
        for bad in
            ["sessionId=", "sessionId=..%2Fx", "sessionId=a%20b", "sessionId=%ff", "resumeToken=x"]
        {
            assert_eq!(wished(bad), Err("bad_session_id"), "{bad}");
        }
        for bad in ["lastSeq=-1", "heardBytes=much"] {
            assert_eq!(wished(bad), Err("bad_query"), "{bad}");
        }
        let back = wished("sessionId=a&resumeToken=t&lastSeq=7&heardBytes=9").expect("valid").back;
        assert_eq!(back, Some(("t".into(), Seen { last_seq: 7, heard_bytes: Some(9) })));
    }

    #[test]
    fn a_credential_in_the_url_is_refused_unread() {
        for bad in ["ticket=x", "a=1&access_token=x", "KEY=x"] {
            let refused = wish(bad, None).expect_err("a secret in the URL");
            assert_eq!(refused.code(), "credential_in_url");
            assert!(!refused.to_string().contains("=x"), "{refused}");
        }
    }

    #[test]
    fn subprotocols_bring_a_ticket_and_a_resume_token() {
        let found = offered(["voice.v1, ticket.abc", "resume.r-1,other"].into_iter());
        let expected = Offered { speaks: true, ticket: Some("abc"), resume: Some("r-1") };
        assert_eq!(found, expected);
        assert_eq!(offered(["other"].into_iter()), Offered::default());
        let wish = wish("sessionId=a&resumeToken=old", Some("new")).expect("valid");
        assert_eq!(wish.back.map(|(token, _)| token).as_deref(), Some("new"));
    }
}
