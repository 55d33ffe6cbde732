//! How often one address or one user may ask.
//!
//! The counting is `governor`'s (GCRA). What is added: a bound on how many askers are remembered,
//! since whoever has a network of addresses could fill the memory otherwise.

use std::{hash::Hash, net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

use crate::address::subscriber;

/// Askers that are remembered. Those who could ask at full rate again are forgotten first.
const MAX_ASKERS: usize = 50_000;

/// So many a minute, as many at once; `None`: as often as one likes.
pub type Rate = Option<NonZeroU32>;

/// Somebody asks too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; try again in {} s", .0.as_secs().max(1))]
pub struct TooFast(pub Duration);

/// What is limited.
pub struct Rates {
    requests: Limiter<IpAddr>,
    upgrades: Limiter<IpAddr>,
    failures: Limiter<IpAddr>,
    by_user: Limiter<String>,
}

struct Limiter<K: Hash + Eq + Clone>(Option<DefaultKeyedRateLimiter<K>>);

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn new(rate: Rate) -> Self {
        Self(rate.map(|rate| RateLimiter::keyed(Quota::per_minute(rate))))
    }

    fn admit(&self, key: K) -> Result<(), TooFast> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        if limiter.len() >= MAX_ASKERS {
            limiter.retain_recent();
        }
        limiter
            .check_key(&key)
            .map_err(|not_until| TooFast(not_until.wait_time_from(limiter.clock().now())))
    }
}

impl Rates {
    /// The rates, a minute: requests, upgrades and refused credentials by address; upgrades and
    /// tickets by user.
    pub fn new(requests: Rate, upgrades: Rate, failures: Rate, by_user: Rate) -> Self {
        Self {
            requests: Limiter::new(requests),
            upgrades: Limiter::new(upgrades),
            failures: Limiter::new(failures),
            by_user: Limiter::new(by_user),
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// When it is one too many.
    pub fn request(&self, from: IpAddr) -> Result<(), TooFast> {
        self.requests.admit(subscriber(from))
    }

    /// Counts an upgrade to a WebSocket.
    ///
    /// # Errors
    /// When it is one too many.
    pub fn upgrade(&self, from: IpAddr) -> Result<(), TooFast> {
        self.upgrades.admit(subscriber(from))
    }

    /// Counts a credential that was refused.
    ///
    /// # Errors
    /// When it is one too many.
    pub fn failure(&self, from: IpAddr) -> Result<(), TooFast> {
        self.failures.admit(subscriber(from))
    }

    /// Counts a call or a ticket of a user.
    ///
    /// # Errors
    /// When it is one too many.
    pub fn user(&self, user: &str) -> Result<(), TooFast> {
        self.by_user.admit(user.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    #[test]
    fn who_asks_too_often_is_told_when_to_come_back_and_others_are_not_held_up() {
        let rates = Rates::new(NonZeroU32::new(3), None, None, NonZeroU32::new(1));
        let asked: Vec<_> = (0..5).map(|_| rates.request(address(1)).is_ok()).collect();
        assert_eq!(asked, [true, true, true, false, false]);
        let TooFast(wait) = rates.request(address(1)).expect_err("too fast");
        assert!(wait > Duration::from_secs(10) && wait <= Duration::from_secs(20), "{wait:?}");
        assert!(rates.request(address(2)).is_ok());
        assert!((0..100).all(|_| rates.upgrade(address(1)).is_ok()), "no rate, no limit");
        assert!(rates.user("a").is_ok() && rates.user("b").is_ok() && rates.user("a").is_err());
    }

    #[test]
    fn a_network_of_addresses_does_not_fill_the_memory() {
        let rates = Rates::new(NonZeroU32::new(60_000), None, None, None);
        for n in 0..(MAX_ASKERS as u32 * 2) {
            let _ = rates.request(IpAddr::from(n.to_be_bytes()));
        }
        let remembered = rates.requests.0.as_ref().map_or(0, |limiter| limiter.len());
        assert!(remembered <= MAX_ASKERS, "{remembered}");
    }
}
