//! What follows when a part of a call fails: the policy table.
//!
//! ```text
//!                 ended by itself   panicked or hung    budget used up
//!   client        the caller left   end the call        (none: it holds the socket's state)
//!   sonic         open anew         open anew           end the call
//!   transcriber   start anew        start anew          go on without, tell the client
//!   tools         start anew        start anew          go on without, tell the client
//!   transfer      start anew        start anew          go on without, tell the client
//!   supervisor    the call is over  end the call        (the watcher of `start_call` does it; the
//!                                                       registry finds one that hangs)
//!
//!   a Sonic stream's fault: at once, after a pause, or never again (`FaultKind::remedy`)
//! ```
//!
//! A stream that is replaced in good time (`voice_sonic::renewal`) costs no budget, and neither
//! does a next stream that did not open while the present one lives.
//!
//! A machine: no actix, no clock.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use voice_call::{EndReason, FaultKind, Remedy, Role};

use crate::supervise::Exit;

/// Restarts of one role that are allowed within [`WINDOW`].
const BUDGET: usize = 5;
/// The window of the budget.
const WINDOW: Duration = Duration::from_secs(60);
/// The first pause before a stream is opened anew; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaction {
    /// Start the role anew after this pause (often zero).
    Restart(Duration),
    /// Go on without the role and tell the client.
    Degrade,
    /// End the call with this cause.
    End(EndReason),
}

/// The table with the budgets of one call.
#[derive(Debug, Default)]
pub struct Policy {
    restarts: [VecDeque<Instant>; Role::ALL.len()],
}

impl Policy {
    /// A child ended without having been asked to.
    pub fn on_exit(&mut self, role: Role, exit: &Exit, now: Instant) -> Reaction {
        let broke = *exit != Exit::Stopped;
        match role {
            Role::Client if broke => Reaction::End(EndReason::ChildFailed(role)),
            Role::Client => Reaction::End(EndReason::HungUp),
            Role::Sonic => match self.spend(role, now) {
                Some(spent) => Reaction::Restart(back_off(spent - 1)),
                None => Reaction::End(EndReason::ChildFailed(role)),
            },
            Role::Transcriber | Role::Tools | Role::Transfer => match self.spend(role, now) {
                Some(_) => Reaction::Restart(Duration::ZERO),
                None => Reaction::Degrade,
            },
        }
    }

    /// The Sonic stream ended with a fault.
    pub fn on_fault(&mut self, kind: FaultKind, now: Instant) -> Reaction {
        let remedy = kind.remedy();
        if remedy == Remedy::GiveUp {
            return Reaction::End(EndReason::SonicLost(kind));
        }
        match self.spend(Role::Sonic, now) {
            None => Reaction::End(EndReason::SonicLost(kind)),
            Some(spent) if remedy == Remedy::RenewAfterBackOff => {
                Reaction::Restart(back_off(spent))
            }
            Some(spent) => Reaction::Restart(back_off(spent - 1)),
        }
    }

    /// Takes one restart from the budget; answers how many were taken in the window.
    fn spend(&mut self, role: Role, now: Instant) -> Option<u32> {
        let index = Role::ALL.iter().position(|r| *r == role)?;
        let restarts = self.restarts.get_mut(index)?;
        while restarts.front().is_some_and(|at| now.saturating_duration_since(*at) > WINDOW) {
            restarts.pop_front();
        }
        if restarts.len() >= BUDGET {
            return None;
        }
        restarts.push_back(now);
        Some(restarts.len() as u32)
    }
}

/// The pause before an attempt; none before the first, numbered 0.
fn back_off(attempt: u32) -> Duration {
    let Some(doublings) = attempt.checked_sub(1) else { return Duration::ZERO };
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panicked() -> Exit {
        Exit::Panicked("x".into())
    }

    #[test]
    fn the_first_failure_of_each_role() {
        let now = Instant::now();
        let again = Reaction::Restart(Duration::ZERO);
        let table = [
            (Role::Client, Exit::Stopped, Reaction::End(EndReason::HungUp)),
            (Role::Client, panicked(), Reaction::End(EndReason::ChildFailed(Role::Client))),
            (Role::Client, Exit::Hung, Reaction::End(EndReason::ChildFailed(Role::Client))),
            (Role::Sonic, Exit::Stopped, again.clone()),
            (Role::Sonic, panicked(), again.clone()),
            (Role::Sonic, Exit::Hung, again.clone()),
            (Role::Transcriber, Exit::Stopped, again.clone()),
            (Role::Transcriber, panicked(), again.clone()),
            (Role::Transcriber, Exit::Hung, again.clone()),
            (Role::Tools, Exit::Stopped, again.clone()),
            (Role::Tools, panicked(), again.clone()),
            (Role::Tools, Exit::Hung, again.clone()),
            (Role::Transfer, Exit::Stopped, again.clone()),
            (Role::Transfer, panicked(), again.clone()),
            (Role::Transfer, Exit::Hung, again.clone()),
        ];
        for (role, exit, expected) in table {
            assert_eq!(Policy::default().on_exit(role, &exit, now), expected, "{role} {exit:?}");
        }
    }

    #[test]
    fn what_follows_when_the_budget_is_used_up() {
        let now = Instant::now();
        let table = [
            (Role::Sonic, Reaction::End(EndReason::ChildFailed(Role::Sonic))),
            (Role::Transcriber, Reaction::Degrade),
            (Role::Tools, Reaction::Degrade),
            (Role::Transfer, Reaction::Degrade),
        ];
        for (role, expected) in table {
            let mut policy = Policy::default();
            for _ in 0..BUDGET {
                policy.on_exit(role, &panicked(), now);
            }
            assert_eq!(policy.on_exit(role, &panicked(), now), expected, "{role}");
            let later = now + WINDOW + Duration::from_secs(1);
            let again = policy.on_exit(role, &panicked(), later);
            assert_eq!(again, Reaction::Restart(Duration::ZERO), "{role} after the window");
        }
    }

    #[test]
    fn faults_of_the_stream_follow_their_remedy() {
        let now = Instant::now();
        let mut policy = Policy::default();
        let gone = policy.on_fault(FaultKind::AccessDenied, now);
        assert_eq!(gone, Reaction::End(EndReason::SonicLost(FaultKind::AccessDenied)));
        assert_eq!(policy.on_fault(FaultKind::Idle, now), Reaction::Restart(Duration::ZERO));
        let pauses: Vec<_> = (0..5).map(|_| policy.on_fault(FaultKind::Throttled, now)).collect();
        let ms = |n| Reaction::Restart(Duration::from_millis(n));
        let end = Reaction::End(EndReason::SonicLost(FaultKind::Throttled));
        assert_eq!(pauses, [ms(500), ms(1_000), ms(2_000), ms(4_000), end]);
        // Even what passes by itself is not tried in a tight loop.
        let mut policy = Policy::default();
        let pauses: Vec<_> = (0..5).map(|_| policy.on_fault(FaultKind::Service, now)).collect();
        assert_eq!(pauses, [ms(0), ms(250), ms(500), ms(1_000), ms(2_000)]);
    }
}
