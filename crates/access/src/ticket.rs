//! One-time tickets: what a browser presents instead of a key.
//!
//! A ticket is a sealed note (AES-256-GCM) of who may come, from which page, and until when. Any
//! task with the same key can read it. That it is used once is for whoever redeems it to see to,
//! by [`Redeemed::id`]. A ticket goes into a subprotocol, so its letters are those of a token of
//! HTTP (RFC 9110 §5.6.2).

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hmac, rand,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::{Principal, Roles};

/// Seconds that a ticket is good for.
pub(crate) const LIFE: u64 = 60;
/// What the seal is bound to besides the key, so that nothing else sealed with it is a ticket.
const PURPOSE: &[u8] = b"voice-s2s ticket 1";
/// Random bytes of a ticket's id.
const ID_BYTES: usize = 16;
/// Longest ticket that is looked at.
const MAX_LENGTH: usize = 2_048;

/// The key that seals tickets. Not printable.
#[derive(Clone)]
pub struct TicketKey([u8; 32]);

impl TicketKey {
    /// A key of the configuration, the same for all tasks.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key made of another one that all tasks have, for installations that configure one only.
    pub fn derived(from: &[u8; 32]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, from);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&key, PURPOSE).as_ref());
        Self(bytes)
    }

    /// A key that nobody knows: tickets are good at this process only.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn random() -> Result<Self, TicketError> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(|_| TicketError::Sealing)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey(…)")
    }
}

/// Issues tickets and reads them.
pub struct Tickets(RandomizedNonceKey);

/// A ticket as it is handed out.
#[derive(Clone)]
pub struct Issued {
    /// The ticket.
    pub ticket: String,
    /// Until when it is good: seconds since 1970.
    pub until: u64,
}

/// A ticket that is good, unless it was used before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// Its number: 128 random bits.
    pub id: String,
    /// Until when it would be good: seconds since 1970.
    pub until: u64,
    /// Who comes.
    pub principal: Principal,
}

/// Why a ticket is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It is none of ours, or it was changed.
    #[error("this is no ticket of this server")]
    Unknown,
    /// It is too old.
    #[error("the ticket is older than {LIFE} seconds; ask for a fresh one")]
    Expired,
    /// It was issued to another page.
    #[error("the ticket was issued to another origin")]
    Origin,
    /// It was used before.
    #[error("the ticket was used before; ask for a fresh one")]
    Used,
    /// The key or the random numbers are not there.
    #[error("tickets cannot be issued at the moment")]
    Sealing,
}

#[derive(Serialize, Deserialize)]
struct Note {
    id: String,
    until: u64,
    user: Option<String>,
    key: Option<String>,
    roles: Roles,
    origin: Option<String>,
}

impl Tickets {
    /// Tickets under this key.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub fn new(key: &TicketKey) -> Result<Self, TicketError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key.0);
        key.map(Self).map_err(|_| TicketError::Sealing)
    }

    /// Issues a ticket for `principal`, bound to the page of `origin` if one is given.
    ///
    /// # Errors
    /// [`TicketError::Sealing`].
    pub fn issue(
        &self,
        principal: &Principal,
        origin: Option<&str>,
        now: u64,
    ) -> Result<Issued, TicketError> {
        let mut id = [0; ID_BYTES];
        rand::fill(&mut id).map_err(|_| TicketError::Sealing)?;
        let until = now + LIFE;
        let note = Note {
            id: hex::encode(id),
            until,
            user: principal.user.clone(),
            key: principal.key.clone(),
            roles: principal.roles,
            origin: origin.map(str::to_owned),
        };
        let mut sealed = serde_json::to_vec(&note).map_err(|_| TicketError::Sealing)?;
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(PURPOSE), &mut sealed)
            .map_err(|_| TicketError::Sealing)?;
        let mut bytes = nonce.as_ref().to_vec();
        bytes.append(&mut sealed);
        Ok(Issued { ticket: URL_SAFE_NO_PAD.encode(bytes), until })
    }

    /// Reads a ticket that a page of `origin` presents; a client that is no page has none.
    ///
    /// # Errors
    /// Why it is not good. Whether it was used before is not known here.
    pub fn read(
        &self,
        ticket: &str,
        origin: Option<&str>,
        now: u64,
    ) -> Result<Redeemed, TicketError> {
        let note = self.open(ticket).ok_or(TicketError::Unknown)?;
        if note.until <= now {
            return Err(TicketError::Expired);
        }
        if note.origin.is_some() && note.origin.as_deref() != origin {
            return Err(TicketError::Origin);
        }
        let principal = Principal { user: note.user, key: note.key, roles: note.roles };
        Ok(Redeemed { id: note.id, until: note.until, principal })
    }

    fn open(&self, ticket: &str) -> Option<Note> {
        if ticket.len() > MAX_LENGTH {
            return None;
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(ticket).ok()?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let note = self.0.open_in_place(nonce, Aad::from(PURPOSE), sealed).ok()?;
        serde_json::from_slice(note).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Role;

    fn tickets(key: u8) -> Tickets {
        Tickets::new(&TicketKey::new([key; 32])).expect("a key")
    }

    fn customer() -> Principal {
        let user = Some("customer-4711".to_owned());
        Principal { user, key: Some("bank".into()), roles: Role::Caller.into() }
    }

    const PAGE: Option<&str> = Some("https://bank.example");

    #[test]
    fn a_ticket_says_who_comes_to_any_task_with_the_key() {
        let issued = tickets(1).issue(&customer(), PAGE, 1_000).expect("a ticket");
        assert_eq!(issued.until, 1_060);
        let token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        assert!(issued.ticket.chars().all(token), "fit for a subprotocol");
        let redeemed = tickets(1).read(&issued.ticket, PAGE, 1_059).expect("good");
        assert_eq!((redeemed.principal, redeemed.until), (customer(), 1_060));
        assert_eq!(redeemed.id.len(), 32, "128 bits");
        let second = tickets(1).issue(&customer(), PAGE, 1_000).expect("a ticket");
        assert_ne!(tickets(1).read(&second.ticket, PAGE, 1_000).expect("good").id, redeemed.id);
    }

    #[test]
    fn a_ticket_is_good_for_its_page_and_its_minute_only() {
        let ours = tickets(1);
        let ticket = ours.issue(&customer(), PAGE, 1_000).expect("a ticket").ticket;
        let read = |origin, now| ours.read(&ticket, origin, now).map(|_| ());
        assert_eq!(read(PAGE, 1_060), Err(TicketError::Expired));
        assert_eq!(read(Some("https://evil.example"), 1_001), Err(TicketError::Origin));
        assert_eq!(read(None, 1_001), Err(TicketError::Origin));
        assert_eq!(tickets(2).read(&ticket, PAGE, 1_001), Err(TicketError::Unknown));
        let unbound = ours.issue(&customer(), None, 1_000).expect("a ticket").ticket;
        assert!(ours.read(&unbound, PAGE, 1_001).is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_not_ours_is_no_ticket(text in ".{0,200}", at in 0_usize..200, flip in 1_u8..) {
            let ours = tickets(1);
            prop_assert_eq!(ours.read(&text, PAGE, 0), Err(TicketError::Unknown));
            let ticket = ours.issue(&customer(), PAGE, 1_000).expect("a ticket").ticket;
            let mut bytes = URL_SAFE_NO_PAD.decode(&ticket).expect("our own letters");
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let changed = URL_SAFE_NO_PAD.encode(bytes);
            prop_assert_eq!(ours.read(&changed, PAGE, 1_000), Err(TicketError::Unknown));
        }
    }
}
