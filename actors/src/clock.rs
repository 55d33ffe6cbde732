//! The clock of the calls. It shows real time; in a test it can run faster, so that an hour of
//! conversation, with its sound, its pauses and its deadlines, passes in a minute.
//!
//! Actors ask it for `now` and for how long to really wait; machines are handed what it says.

use std::time::{Duration, Instant};

/// A clock that runs `rate` times as fast as the wall's.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    rate: f64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::scaled(1.0)
    }
}

impl Clock {
    /// A clock on which `rate` seconds pass in one real second. Tests only.
    pub fn scaled(rate: f64) -> Self {
        Self {
            start: Instant::now(),
            rate: if rate.is_finite() && rate > 0.0 { rate } else { 1.0 },
        }
    }

    /// The time on this clock.
    pub fn now(&self) -> Instant {
        self.at(Instant::now())
    }

    /// What this clock shows at a moment of real time.
    pub fn at(&self, real: Instant) -> Instant {
        if self.rate == 1.0 {
            return real;
        }
        self.start + real.saturating_duration_since(self.start).mul_f64(self.rate)
    }

    /// How long to really wait until `duration` has passed on this clock.
    pub fn wait(&self, duration: Duration) -> Duration {
        if self.rate == 1.0 { duration } else { duration.div_f64(self.rate) }
    }

    /// How long to really wait until this clock shows `at`.
    pub fn wait_until(&self, at: Instant) -> Duration {
        self.wait(at.saturating_duration_since(self.now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_clock_runs_ahead_of_the_wall() {
        let clock = Clock::scaled(40.0);
        let later = clock.at(clock.start + Duration::from_secs(90));
        assert_eq!(later - clock.start, Duration::from_secs(3_600));
        assert_eq!(clock.wait(Duration::from_secs(20)), Duration::from_millis(500));
    }
}
