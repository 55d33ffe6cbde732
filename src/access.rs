//! Who comes in: `voice-access` with what the server knows, the store of used tickets and the
//! clock.
//!
//! Asked by the guard in front of every route (`http/guard.rs`) and by the door of `/sonic`
//! (`http/door.rs`). What each route asks for stands in `http/routes.rs`.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use voice_access::{
    AllowedOrigins, ApiKeys, Issued, Issuer, OwnOrigin, Principal, Rates, Role, Roles, TicketError,
    TicketKey, Tickets, TokenError, TrustedProxies, subscriber,
};
use voice_actors::Party;

use crate::{
    config::{AccessSettings, Door},
    store::Vault,
};

/// Why access could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// TLS could not be set up.
    #[error("the client of JWT_JWKS_URL cannot be built: {0}")]
    Http(String),
    /// The key cannot be used.
    #[error("TICKET_SECRET: {0}")]
    Ticket(#[from] TicketError),
}

/// Why a credential is not good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    /// It is no key of ours, or a token that is not good.
    #[error("the credential is not good: {0}")]
    Credential(String),
    /// The ticket is not good.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// It cannot be checked now.
    #[error("the credential cannot be checked now: {0}")]
    Unavailable(String),
}

/// Who may come in.
pub(crate) struct Access {
    asks: Option<Asks>,
    tickets: Tickets,
    spent: Arc<Vault>,
    pub(crate) origins: AllowedOrigins,
    pub(crate) proxies: TrustedProxies,
    pub(crate) rates: Rates,
}

/// What is asked of everybody.
struct Asks {
    keys: ApiKeys,
    issuer: Option<Issuer>,
}

/// What a client presents.
pub(crate) enum Credential<'a> {
    /// A key, or a token of the identity provider.
    Bearer(&'a str),
    /// A one-time ticket.
    Ticket(&'a str),
}

impl Access {
    pub(crate) fn new(settings: &AccessSettings, spent: Arc<Vault>) -> Result<Self, AccessError> {
        let asks = match &settings.door {
            Door::Open => None,
            Door::Guarded { keys, issuer } => {
                let issuer = issuer.clone().map(|(rules, url)| Issuer::new(rules, url));
                let issuer = issuer.transpose().map_err(|e| AccessError::Http(e.to_string()))?;
                Some(Asks { keys: keys.clone(), issuer })
            }
        };
        let key = settings.ticket_key.clone().map_or_else(TicketKey::random, Ok)?;
        let rates = &settings.rates;
        Ok(Self {
            asks,
            tickets: Tickets::new(&key)?,
            spent,
            origins: settings.origins.clone(),
            proxies: settings.proxies.clone(),
            rates: Rates::new(rates.requests, rates.upgrades, rates.refusals, rates.calls),
        })
    }

    /// Whether clients have to say who they are.
    pub(crate) fn is_guarded(&self) -> bool {
        self.asks.is_some()
    }

    /// Whose credential this is, presented by a page of `origin`, if by one.
    pub(crate) async fn check(
        &self,
        credential: Credential<'_>,
        origin: Option<&str>,
    ) -> Result<Principal, Denied> {
        match (&self.asks, credential) {
            (None, _) => Ok(Principal::anybody()),
            (Some(asks), Credential::Bearer(secret)) => asks.bearer(secret).await,
            (Some(asks), Credential::Ticket(ticket)) => self.redeem(asks, ticket, origin).await,
        }
    }

    async fn redeem(
        &self,
        asks: &Asks,
        ticket: &str,
        origin: Option<&str>,
    ) -> Result<Principal, Denied> {
        let now = seconds();
        let redeemed = self.tickets.read(ticket, origin, now)?;
        let left = Duration::from_secs(redeemed.until - now);
        match self.spent.spend(&redeemed.id, left).await {
            Ok(true) => {}
            Ok(false) => return Err(TicketError::Used.into()),
            Err(error) => return Err(Denied::Unavailable(error.to_string())),
        }
        let mut principal = redeemed.principal;
        // What was taken from a key is taken from its tickets.
        if let Some(key) = &principal.key {
            principal.roles = principal.roles.and(asks.keys.roles(key).unwrap_or(Roles::NONE));
        }
        Ok(principal)
    }

    /// A ticket for `principal` itself, or for a customer of it, who is a caller and no more.
    pub(crate) fn issue(
        &self,
        principal: &Principal,
        customer: Option<String>,
        origin: Option<&str>,
    ) -> Result<Issued, TicketError> {
        let holder = match customer {
            None => principal.clone(),
            Some(user) => Principal {
                user: Some(user),
                key: principal.key.clone(),
                roles: principal.roles.and(Role::Caller.into()),
            },
        };
        self.tickets.issue(&holder, origin, seconds())
    }

    /// Whose the calls of `principal` are.
    pub(crate) fn party(&self, principal: Option<&Principal>, address: Option<IpAddr>) -> Party {
        let key = principal.and_then(|principal| principal.key.clone());
        let most = |key: &str| self.asks.as_ref().and_then(|asks| asks.keys.max_calls(key));
        // A key that calls by itself holds the calls of many people.
        let user = principal.and_then(|principal| principal.user.clone());
        Party {
            user: user.filter(|user| key.as_ref() != Some(user)),
            key: key.map(|key| {
                let most = most(&key);
                (key, most)
            }),
            address: address.map(subscriber),
        }
    }

    /// Whether a page of `origin` may come to the server that was reached as `own`.
    pub(crate) fn allows(&self, origin: &str, own: Option<OwnOrigin<'_>>) -> bool {
        self.origins.allows(origin, own)
    }
}

impl Asks {
    async fn bearer(&self, secret: &str) -> Result<Principal, Denied> {
        if let Some(principal) = self.keys.find(secret) {
            return Ok(principal);
        }
        let Some(issuer) = &self.issuer else {
            return Err(Denied::Credential("there is no such key".into()));
        };
        issuer.verify(secret).await.map_err(|error| match error {
            TokenError::Unavailable => Denied::Unavailable(error.to_string()),
            error => Denied::Credential(error.to_string()),
        })
    }
}

/// Since 1970.
fn seconds() -> u64 {
    UNIX_EPOCH.elapsed().unwrap_or_default().as_secs()
}
