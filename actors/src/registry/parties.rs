//! Whose calls these are, how many each may hold, and what each has used up today.
//!
//! A machine: no actix, no clock. The registry asks it for every call, one after the other, so
//! the limits are exact. What was used is of this process and of this day (UTC): a user who calls
//! several tasks has the budget at each of them.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use voice_call::CallId;

const SECONDS_OF_DAY: u64 = 86_400;
/// Users whose use is remembered. Beyond that the whole day's book is too long to be honest use,
/// and unknown users have to wait for a place.
const MAX_USERS: usize = 100_000;
/// Millionths of the currency are counted.
const MICRO: f64 = 1e6;

/// Whose a call is, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Party {
    /// The user; absent where calls are held by a key itself, or by anybody.
    pub user: Option<String>,
    /// The API key, and most calls at a time under it.
    pub key: Option<(String, Option<usize>)>,
    /// The address that the client has; of IPv6, its network.
    pub address: Option<IpAddr>,
}

/// How much each may have. Zero or `None`: as much as it likes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PartyLimits {
    /// Calls of one user at a time.
    pub calls_per_user: usize,
    /// Calls from one address at a time.
    pub calls_per_address: usize,
    /// Minutes of calls of one user a day.
    pub minutes_per_day: Option<f64>,
    /// What the calls of one user may cost a day, in the currency of the table of prices.
    pub cost_per_day: Option<f64>,
}

/// Why somebody gets no call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartyRefusal {
    /// Too many at a time.
    #[error("too many calls at a time of this {0}; end one of them or try again in a moment")]
    TooMany(&'static str),
    /// The day's budget is used up.
    #[error("the budget of this user is used up for today (UTC)")]
    BudgetSpent,
}

/// What a call costs so far. Written by the call, read by the registry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tab(Arc<AtomicU64>);

impl Tab {
    /// Adds to it.
    pub(crate) fn add(&self, cost: f64) {
        // Never negative, and far from the end of the range.
        self.0.fetch_add((cost.max(0.0) * MICRO) as u64, Ordering::Relaxed);
    }

    fn micro(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Running {
    party: Party,
    since: u64,
    tab: Tab,
}

#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    seconds: u64,
    micro: u64,
}

/// The book.
#[derive(Default)]
pub(super) struct Parties {
    limits: PartyLimits,
    running: HashMap<CallId, Running>,
    /// Of calls that ended today, by user.
    spent: HashMap<String, Spent>,
    day: u64,
}

impl Parties {
    pub(super) fn new(limits: PartyLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Whether `party` may have one more call; `now` in seconds since 1970.
    pub(super) fn judge(&mut self, party: &Party, now: u64) -> Result<(), PartyRefusal> {
        self.turn_page(now);
        let count = |same: &dyn Fn(&Party) -> bool| {
            self.running.values().filter(|running| same(&running.party)).count()
        };
        if let Some((key, Some(max))) = &party.key {
            let same = |other: &Party| other.key.as_ref().is_some_and(|(name, _)| name == key);
            if count(&same) >= *max {
                return Err(PartyRefusal::TooMany("key"));
            }
        }
        let per_user = self.limits.calls_per_user;
        if per_user > 0
            && party.user.is_some()
            && count(&|other| other.user == party.user) >= per_user
        {
            return Err(PartyRefusal::TooMany("user"));
        }
        let per_address = self.limits.calls_per_address;
        if per_address > 0
            && party.address.is_some()
            && count(&|other| other.address == party.address) >= per_address
        {
            return Err(PartyRefusal::TooMany("address"));
        }
        match &party.user {
            Some(user) if self.is_spent(user, now) => Err(PartyRefusal::BudgetSpent),
            _ => Ok(()),
        }
    }

    /// A call of `party` begins.
    pub(super) fn begin(&mut self, id: &CallId, party: Party, tab: Tab, now: u64) {
        self.running.insert(id.clone(), Running { party, since: now, tab });
    }

    /// A call ends.
    pub(super) fn end(&mut self, id: &CallId, now: u64) {
        self.turn_page(now);
        let Some(Running { party, since, tab }) = self.running.remove(id) else { return };
        let Some(user) = party.user.filter(|_| self.has_budget()) else { return };
        if self.spent.len() < MAX_USERS || self.spent.contains_key(&user) {
            let spent = self.spent.entry(user).or_default();
            spent.seconds += now.saturating_sub(since);
            spent.micro += tab.micro();
        }
    }

    /// The calls of users whose budget is used up.
    pub(super) fn overdrawn(&mut self, now: u64) -> Vec<CallId> {
        self.turn_page(now);
        if !self.has_budget() {
            return Vec::new();
        }
        let used = self.used(now, None);
        let over = |running: &Running| {
            let user = running.party.user.as_deref();
            user.and_then(|user| used.get(user)).is_some_and(|used| self.exceeds(used))
        };
        self.running.iter().filter(|(_, r)| over(r)).map(|(id, _)| id.clone()).collect()
    }

    fn has_budget(&self) -> bool {
        self.limits.minutes_per_day.is_some() || self.limits.cost_per_day.is_some()
    }

    fn is_spent(&self, user: &str, now: u64) -> bool {
        self.has_budget() && self.used(now, Some(user)).values().any(|used| self.exceeds(used))
    }

    /// What users, or one of them, have used today, in calls that ended and in those that run.
    fn used(&self, now: u64, only: Option<&str>) -> HashMap<&str, Spent> {
        let wanted = |user: &str| only.is_none_or(|only| only == user);
        let ended = self.spent.iter().filter(|(user, _)| wanted(user));
        let mut used: HashMap<&str, Spent> = ended.map(|(user, s)| (user.as_str(), *s)).collect();
        for Running { party, since, tab } in self.running.values() {
            if let Some(user) = party.user.as_deref().filter(|user| wanted(user)) {
                let used = used.entry(user).or_default();
                used.seconds += now.saturating_sub(*since);
                used.micro += tab.micro();
            }
        }
        used
    }

    fn exceeds(&self, used: &Spent) -> bool {
        let minutes = used.seconds as f64 / 60.0;
        self.limits.minutes_per_day.is_some_and(|most| minutes >= most)
            || self.limits.cost_per_day.is_some_and(|most| used.micro as f64 / MICRO >= most)
    }

    /// A new day begins with an empty book.
    fn turn_page(&mut self, now: u64) {
        let day = now / SECONDS_OF_DAY;
        if std::mem::replace(&mut self.day, day) != day {
            self.spent.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Party {
        Party { user: Some(name.into()), ..Party::default() }
    }

    fn key(name: &str, max: Option<usize>) -> Party {
        Party { key: Some((name.into(), max)), ..Party::default() }
    }

    fn from(last: u8) -> Party {
        Party { address: Some([203, 0, 113, last].into()), ..Party::default() }
    }

    fn begin(
        parties: &mut Parties,
        party: &Party,
        now: u64,
    ) -> Result<(CallId, Tab), PartyRefusal> {
        parties.judge(party, now)?;
        let (id, tab) = (CallId::random(), Tab::default());
        parties.begin(&id, party.clone(), tab.clone(), now);
        Ok((id, tab))
    }

    #[test]
    fn each_key_user_and_address_has_its_own_limit() {
        let limits =
            PartyLimits { calls_per_user: 2, calls_per_address: 3, ..PartyLimits::default() };
        let mut parties = Parties::new(limits);
        for (party, other, whose, most) in [
            (user("a"), user("b"), "user", 2),
            (from(1), from(2), "address", 3),
            (key("k", Some(1)), key("l", None), "key", 1),
        ] {
            let mut held: Vec<_> =
                (0..most).map(|_| begin(&mut parties, &party, 0).expect("a place").0).collect();
            let refused = begin(&mut parties, &party, 0).map(|_| ());
            assert_eq!(refused, Err(PartyRefusal::TooMany(whose)));
            assert!(begin(&mut parties, &other, 0).is_ok());
            parties.end(&held.remove(0), 1);
            assert!(begin(&mut parties, &party, 1).is_ok(), "the place is free again");
        }
        for _ in 0..100 {
            assert!(begin(&mut parties, &key("l", None), 0).is_ok());
            assert!(begin(&mut parties, &Party::default(), 0).is_ok());
        }
    }

    #[test]
    fn minutes_are_counted_over_calls_until_the_day_ends() {
        let limits = PartyLimits { minutes_per_day: Some(10.0), ..PartyLimits::default() };
        let mut parties = Parties::new(limits);
        let (first, _) = begin(&mut parties, &user("a"), 0).expect("a call");
        parties.end(&first, 540);
        let (second, _) = begin(&mut parties, &user("a"), 540).expect("a minute is left");
        assert_eq!(parties.overdrawn(599), []);
        assert_eq!(parties.overdrawn(600), std::slice::from_ref(&second), "in mid-call");
        let refused = begin(&mut parties, &user("a"), 600).map(|_| ());
        assert_eq!(refused, Err(PartyRefusal::BudgetSpent));
        assert!(begin(&mut parties, &user("b"), 600).is_ok(), "everybody has a budget");
        parties.end(&second, 600);
        assert!(begin(&mut parties, &user("a"), 600).is_err());
        assert!(begin(&mut parties, &user("a"), SECONDS_OF_DAY).is_ok(), "a new day");
    }

    #[test]
    fn cost_is_counted_as_it_grows() {
        let limits = PartyLimits { cost_per_day: Some(0.5), ..PartyLimits::default() };
        let mut parties = Parties::new(limits);
        let (id, tab) = begin(&mut parties, &user("a"), 0).expect("a call");
        tab.add(0.3);
        assert_eq!(parties.overdrawn(1), []);
        tab.add(0.2);
        assert_eq!(parties.overdrawn(2), [id]);
    }
}
