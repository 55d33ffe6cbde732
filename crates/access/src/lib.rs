//! Who may do what, from where, and how often.
//!
//! Decisions only: keys, tickets, tokens of an identity provider, roles, origins, addresses and
//! rates. What they guard is the server's. All is without I/O but [`Issuer`], which fetches the
//! public keys of an identity provider.

mod address;
mod issuer;
mod key;
mod keyring;
mod origin;
mod principal;
mod rate;
pub mod seal;
pub mod signature;
mod ticket;
mod token;

pub use address::{BadProxy, TrustedProxies, subscriber};
pub use issuer::Issuer;
pub use key::{ApiKeys, BadKey, NewKey};
pub use origin::{AllowedOrigins, BadOrigin, OwnOrigin, normal_origin};
pub use principal::{Principal, Role, Roles, UnknownRole};
pub use rate::{Rate, Rates, TooFast};
pub use ticket::{Issued, Redeemed, TicketError, TicketKey, Tickets};
pub use token::{TokenError, TokenRules};
