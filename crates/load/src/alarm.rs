//! Waits for a moment with the precision of the kernel's clock. tokio's own timers wake on whole
//! milliseconds, which is as much as the delay that is to be measured. Used by `worker`.

use std::{io, time::Duration};

/// A timer of the monotonic clock.
#[derive(Debug)]
pub(crate) struct Alarm {
    #[cfg(target_os = "linux")]
    timer: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Alarm {
    #[expect(deprecated, reason = "its successor is unsafe code; an OwnedFd is what that asks for")]
    pub(crate) fn new() -> io::Result<Self> {
        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { timer: tokio::io::unix::AsyncFd::new(timer)? })
    }

    pub(crate) async fn sleep(&mut self, pause: Duration) -> io::Result<()> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Timespec {
            tv_sec: pause.as_secs() as i64,
            // Zero would disarm it.
            tv_nsec: pause.subsec_nanos().max(1).into(),
        };
        let when = Itimerspec { it_interval: zero, it_value: value };
        // Arming it forgets earlier expiries, so they need not be read.
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &when)?;
        self.timer.readable().await?.clear_ready();
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
impl Alarm {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(crate) async fn sleep(&mut self, pause: Duration) -> io::Result<()> {
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
