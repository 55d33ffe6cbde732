//! CPU and memory of processes and of the machine, from /proc. Linux only; elsewhere naming a
//! process is an error, and how busy the machine is remains unknown.

use std::time::Duration;

use anyhow::Result;

/// CPU and memory of some processes with their children.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Usage {
    /// CPU since they began.
    pub cpu: Duration,
    /// Resident memory in KiB.
    pub rss_kib: u64,
    /// Resident memory in KiB with shared pages divided by their users.
    pub pss_kib: u64,
}

/// CPU of all cores together since the machine started.
#[derive(Debug, Default, Clone, Copy)]
pub struct Machine {
    /// Spent, or stolen by the host.
    pub busy: Duration,
    /// Of that: stolen by the host of a virtual machine.
    pub stolen: Duration,
    /// Spent or not.
    pub total: Duration,
}

impl Machine {
    /// The share of all cores that was spent since `before` by others than those who spent `ours`.
    pub fn others_since(&self, before: &Self, ours: Duration) -> f64 {
        let total = self.total.saturating_sub(before.total).as_secs_f64();
        let busy = self.busy.saturating_sub(before.busy);
        if total > 0.0 { busy.saturating_sub(ours).as_secs_f64() / total } else { 0.0 }
    }

    /// The share of all cores that the host took away since `before`. Whoever was running then stood
    /// still, which nobody's CPU time shows and every delay does.
    pub fn stolen_since(&self, before: &Self) -> f64 {
        let total = self.total.saturating_sub(before.total).as_secs_f64();
        let stolen = self.stolen.saturating_sub(before.stolen).as_secs_f64();
        if total > 0.0 { stolen / total } else { 0.0 }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::HashSet;

    use anyhow::Context;
    use procfs::{Current, CurrentSI, WithCurrentSystemInfo, process::Process};

    use super::{Duration, Machine, Result, Usage};

    /// Whether PSS is wanted: it takes the kernel long to add up.
    pub fn of(pids: &[u32], with_pss: bool) -> Result<Usage> {
        let mut sum = Usage::default();
        for process in family(pids)? {
            let Ok(stat) = process.stat() else { continue };
            let waited_for = u64::try_from(stat.cutime + stat.cstime).unwrap_or(0);
            let of_children =
                if pids.contains(&u32::try_from(stat.pid).unwrap_or(0)) { waited_for } else { 0 };
            sum.cpu += ticks(stat.utime + stat.stime + of_children);
            sum.rss_kib += stat.rss_bytes().get() / 1024;
            if with_pss && let Ok(maps) = process.smaps_rollup() {
                let pss =
                    maps.memory_map_rollup.iter().filter_map(|map| map.extension.map.get("Pss"));
                sum.pss_kib += pss.sum::<u64>() / 1024;
            }
        }
        Ok(sum)
    }

    /// These processes and all below them.
    fn family(pids: &[u32]) -> Result<Vec<Process>> {
        let mut known = HashSet::new();
        for pid in pids {
            let pid = i32::try_from(*pid).context("no process id")?;
            Process::new(pid).with_context(|| format!("--pid {pid}: there is no such process"))?;
            known.insert(pid);
        }
        let mut rest: Vec<(i32, Process)> = procfs::process::all_processes()?
            .flatten()
            .filter_map(|process| Some((process.stat().ok()?.ppid, process)))
            .collect();
        let mut family = Vec::new();
        loop {
            let before = family.len();
            let (found, others): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|(parent, process)| {
                    known.contains(&process.pid) || known.contains(parent)
                });
            known.extend(found.iter().map(|(_, process)| process.pid));
            family.extend(found.into_iter().map(|(_, process)| process));
            rest = others;
            if family.len() == before {
                return Ok(family);
            }
        }
    }

    /// CPU of all cores.
    pub fn machine() -> Option<Machine> {
        let all = procfs::KernelStats::current().ok()?.total;
        let idle = all.idle + all.iowait.unwrap_or(0);
        let stolen = all.steal.unwrap_or(0);
        let busy = all.user
            + all.nice
            + all.system
            + all.irq.unwrap_or(0)
            + all.softirq.unwrap_or(0)
            + stolen;
        Some(Machine { busy: ticks(busy), stolen: ticks(stolen), total: ticks(busy + idle) })
    }

    /// How many cores a process may run on.
    pub fn cores(pid: u32) -> Option<usize> {
        let status = Process::new(i32::try_from(pid).ok()?).ok()?.status().ok()?;
        let allowed = status.cpus_allowed_list?;
        Some(allowed.iter().map(|(first, last)| (last - first + 1) as usize).sum())
    }

    /// What the kernel is, for the report.
    pub fn describe() -> String {
        let kernel = procfs::sys::kernel::Version::current()
            .map(|version| format!("Linux {}.{}.{}", version.major, version.minor, version.patch));
        let model = procfs::CpuInfo::current()
            .ok()
            .and_then(|info| Some((info.num_cores(), info.model_name(0)?.to_owned())));
        let (cores, model) = model.unwrap_or_default();
        format!("{}, {cores} × {model}", kernel.unwrap_or_default())
    }

    fn ticks(ticks: u64) -> Duration {
        Duration::from_millis(ticks * 1000 / procfs::ticks_per_second().max(1))
    }
}

#[cfg(target_os = "linux")]
pub use linux::{cores, describe, machine, of};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::*;

    /// Refuses when a process is named.
    pub fn of(pids: &[u32], _: bool) -> Result<Usage> {
        anyhow::ensure!(pids.is_empty(), "--pid and --beside need /proc, which only Linux has");
        Ok(Usage::default())
    }

    /// Not known.
    pub fn machine() -> Option<Machine> {
        None
    }

    /// Not known.
    pub fn cores(_: u32) -> Option<usize> {
        None
    }

    /// What the system is, for the report.
    pub fn describe() -> String {
        std::env::consts::OS.to_owned()
    }
}

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{cores, describe, machine, of};

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_counted_with_its_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let own = of(&[std::process::id()], true).expect("this process");
        let child_alone = of(&[child.id()], true).expect("the child");
        child.kill().and_then(|()| child.wait()).expect("its end");
        assert!(child_alone.rss_kib > 0 && child_alone.pss_kib <= child_alone.rss_kib);
        assert!(own.rss_kib > child_alone.rss_kib);
        let error = of(&[u32::MAX >> 1], false).expect_err("no such process");
        assert!(error.to_string().contains("no such process"), "{error}");
    }

    #[test]
    fn what_others_and_the_host_take_are_shares_of_all_cores() {
        let at = |busy, stolen, total| Machine {
            busy: Duration::from_secs(busy),
            stolen: Duration::from_secs(stolen),
            total: Duration::from_secs(total),
        };
        let (before, after) = (at(10, 1, 20), at(30, 3, 120));
        let share = after.others_since(&before, Duration::from_secs(15));
        assert!((share - 0.05).abs() < 1e-9, "{share}");
        assert!((after.stolen_since(&before) - 0.02).abs() < 1e-9);
        assert!(machine().is_some_and(|now| now.total >= now.busy));
    }
}
