//! A run from the first call to the report: starts the threads, reads CPU and memory at the
//! moments that the timeline names, adds up, and judges whether it may be told.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use voice_emulator::voice::{Accent, synthesize};

use crate::{
    marker::{FRAME, MAX_SLOTS},
    pace::Timeline,
    plan::{Plan, Scenario},
    report::{Capacity, Course, Report, Spread},
    usage::{self, Machine, Usage},
    verdict::{Circumstances, Held, Search},
    worker::{self, Board, Delays, Job, Seen},
};

/// How long the machine is watched before the first call.
const WATCH: Duration = Duration::from_millis(500);
/// How often CPU and memory are read for the plots.
const SAMPLE: Duration = Duration::from_millis(500);
/// What callers of a conversation say.
const SENTENCE: &str = "Good morning, I would like to know when you are open tomorrow.";
/// Short calls after which memory should have reached its level.
const WARM_CALLS: u64 = 1_000;

/// CPU and memory at one moment.
#[derive(Debug, Default, Clone, Copy)]
struct Reading {
    at: Duration,
    server: Usage,
    beside: Usage,
    own: Usage,
    machine: Option<Machine>,
}

/// Runs the plan. An error is either something that does not work, or a refusal to report.
pub fn run(plan: Plan) -> Result<Report> {
    ensure!(plan.calls > 0, "--calls must be at least 1");
    ensure!(plan.calls < MAX_SLOTS, "--calls must be below {MAX_SLOTS}");
    ensure!(plan.threads > 0, "--threads must be at least 1");
    let others = watch_machine();
    let before = Circumstances { jitter: Duration::ZERO, others, before: true };
    plan.limits.judge(&before)?;

    let sentence = match plan.scenario {
        Scenario::Conversation => sentence()?,
        _ => Vec::new(),
    };
    let (plan, sentence) = (Arc::new(plan), Arc::new(sentence));
    let timeline = Timeline::new(plan.calls, plan.ramp, plan.settle, plan.window);
    let board = Arc::new(Board::default());
    let epoch = Instant::now();
    let base = read(&plan, epoch, true)?;
    let threads = u32::try_from(plan.threads).unwrap_or(1).min(plan.calls);
    let workers: Vec<_> = (0..threads)
        .map(|at| {
            let job = Job {
                plan: plan.clone(),
                timeline,
                slots: (0..plan.calls).filter(|slot| slot % threads == at).collect(),
                epoch,
                board: board.clone(),
                sentence: sentence.clone(),
            };
            thread::Builder::new().name(format!("callers {at}")).spawn(move || worker::run(job))
        })
        .collect::<Result<_, _>>()
        .context("a thread for the callers")?;

    let watched = watch(&plan, &timeline, epoch, &board, base)?;
    let mut seen = Seen::new(plan.window);
    for worker in workers {
        seen.add(worker.join().map_err(|_| anyhow!("a thread of callers panicked"))??);
    }
    let report = report(&plan, &timeline, &board, &watched, &seen);
    if report.started_calls == 0 {
        bail!("no call began: {}", report.refused_because.as_deref().unwrap_or("no reason given"));
    }
    plan.limits.judge(&Circumstances {
        jitter: Duration::from_secs_f64(report.pacing.p99_ms / 1e3),
        others: report.others_share,
        before: false,
    })?;
    Ok(report)
}

/// Looks for the largest number of calls that is held well, up to `most`.
pub fn search(plan: &Plan, most: u32, mut tell: impl FnMut(&Report)) -> Result<Capacity> {
    ensure!(plan.scenario.echoes(), "--search needs a scenario with echoes");
    let mut search = Search::new(plan.calls, most);
    let mut tries = Vec::new();
    while let Some(calls) = search.next() {
        let ramp = plan.ramp.mul_f64(f64::from(calls) / f64::from(plan.calls.max(1)));
        let report = run(Plan { calls, ramp, ..plan.clone() })?;
        tell(&report);
        search.tried(held(&report).well());
        tries.push(report);
        // The calls of this try end before the next ones begin.
        thread::sleep(Duration::from_secs(2));
    }
    let cores = plan.pids.first().and_then(|pid| usage::cores(*pid));
    let cores = cores.or_else(|| Some(thread::available_parallelism().ok()?.get())).unwrap_or(1);
    let calls = search.best();
    Ok(Capacity { calls, cores, calls_per_core: f64::from(calls) / cores as f64, tries })
}

/// How a run stands against what a caller notices.
pub fn held(report: &Report) -> Held {
    Held {
        p99: Duration::from_secs_f64(report.p99_ms.unwrap_or_default() / 1e3),
        lost: report.lost_frames.unwrap_or_default(),
        failed: report.refused_calls + report.broken_calls,
    }
}

/// The share of all cores that is taken before we begin.
fn watch_machine() -> Option<f64> {
    let before = usage::machine()?;
    thread::sleep(WATCH);
    Some(usage::machine()?.others_since(&before, Duration::ZERO))
}

fn sentence() -> Result<Vec<Bytes>> {
    let samples = synthesize(SENTENCE, 16_000, Accent::British).context("the caller's sentence")?;
    let mut pcm: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    pcm.resize(pcm.len().next_multiple_of(FRAME), 0);
    Ok(pcm.chunks(FRAME).map(Bytes::copy_from_slice).collect())
}

fn read(plan: &Plan, epoch: Instant, with_pss: bool) -> Result<Reading> {
    Ok(Reading {
        server: usage::of(&plan.pids, with_pss)?,
        beside: usage::of(&plan.beside, false)?,
        own: match cfg!(target_os = "linux") {
            true => usage::of(&[std::process::id()], false)?,
            false => Usage::default(),
        },
        machine: usage::machine(),
        at: epoch.elapsed(),
    })
}

/// What was read, and when.
struct Watched {
    base: Reading,
    half: Reading,
    begin: Reading,
    end: Reading,
    thousand: Option<Reading>,
    samples: Vec<(Reading, u64)>,
}

fn watch(
    plan: &Plan,
    timeline: &Timeline,
    epoch: Instant,
    board: &Board,
    base: Reading,
) -> Result<Watched> {
    let (mut samples, mut thousand) = (vec![(base, 0)], None);
    let mut until = |moment: Duration| -> Result<Reading> {
        loop {
            let left = moment.saturating_sub(epoch.elapsed());
            if left.is_zero() {
                return read(plan, epoch, true);
            }
            thread::sleep(left.min(SAMPLE));
            if !plan.pids.is_empty() {
                let reading = read(plan, epoch, false)?;
                samples.push((reading, board.active.load(Relaxed)));
                if thousand.is_none() && board.started.load(Relaxed) >= WARM_CALLS {
                    thousand = Some(reading);
                }
            }
        }
    };
    let half = until(timeline.half_settled())?;
    let begin = until(timeline.window_begins())?;
    let end = until(timeline.window_ends())?;
    Ok(Watched { base, half, begin, end, thousand, samples })
}

fn report(
    plan: &Plan,
    timeline: &Timeline,
    board: &Board,
    watched: &Watched,
    seen: &Seen,
) -> Report {
    let Watched { base, half, begin, end, .. } = watched;
    let seconds = end.at.saturating_sub(begin.at).as_secs_f64();
    let minutes = f64::from(plan.calls) * seconds / 60.0;
    let spent = |of: fn(&Reading) -> Usage| of(end).cpu.saturating_sub(of(begin).cpu);
    let (server, beside, own) = (spent(|r| r.server), spent(|r| r.beside), spent(|r| r.own));
    let measured = !plan.pids.is_empty();
    let others = begin.machine.zip(end.machine).filter(|_| measured);
    let echoes = plan.scenario.echoes();
    let delay = spread(&seen.echoes);
    let kib = |reading: &Reading| reading.server.rss_kib as f64;
    let per_call = match (plan.scenario, timeline.half()) {
        (Scenario::Churn, _) => None,
        (_, 0) => Some(kib(end) - kib(base)),
        (_, half_calls) => Some((kib(end) - kib(half)) / f64::from(plan.calls - half_calls)),
    };
    Report {
        scenario: plan.scenario,
        calls: plan.calls,
        seconds,
        cpu_s_per_call_minute: measured.then(|| server.as_secs_f64() / minutes),
        p50_ms: echoes.then_some(delay.p50_ms),
        p95_ms: echoes.then_some(delay.p95_ms),
        p99_ms: echoes.then_some(delay.p99_ms),
        max_ms: echoes.then_some(delay.max_ms),
        lost_frames: echoes.then(|| seen.sums.lost()),
        late_frames: echoes.then_some(seen.sums.late),
        kib_per_call: per_call.filter(|_| measured),
        base_kib: measured.then_some(base.server.rss_kib),
        end_kib: measured.then_some(end.server.rss_kib),
        end_pss_kib: measured.then_some(end.server.pss_kib),
        thousand_kib: watched
            .thousand
            .filter(|_| plan.scenario == Scenario::Churn)
            .map(|reading| reading.server.rss_kib),
        server_cores: plan.pids.first().and_then(|pid| usage::cores(*pid)),
        server_core_share: measured.then(|| server.as_secs_f64() / seconds),
        beside_cpu_s_per_call_minute: (!plan.beside.is_empty())
            .then(|| beside.as_secs_f64() / minutes),
        load_cpu_s_per_call_minute: cfg!(target_os = "linux").then(|| own.as_secs_f64() / minutes),
        others_share: others
            .map(|(before, after)| after.others_since(&before, server + beside + own)),
        stolen_share: others.map(|(before, after)| after.stolen_since(&before)),
        pacing: spread(&seen.jitter),
        start: spread(&seen.starts),
        answer: (plan.scenario == Scenario::Conversation).then(|| spread(&seen.answers)),
        frames: seen.sums,
        started_calls: board.started.load(Relaxed),
        refused_calls: seen.refused,
        refused_because: seen.why.clone(),
        broken_calls: seen.broken,
        blocked_frames: seen.blocked,
        interruptions: seen.interruptions,
        tool_results: seen.tools,
        audio_bytes: seen.audio_bytes,
        machine: usage::describe(),
        course: course(watched, seen),
    }
}

fn ms(micros: u64) -> f64 {
    micros as f64 / 1e3
}

fn spread(delays: &Delays) -> Spread {
    let at = |quantile| ms(delays.value_at_quantile(quantile));
    Spread {
        count: delays.len(),
        p50_ms: at(0.5),
        p95_ms: at(0.95),
        p99_ms: at(0.99),
        max_ms: ms(delays.max()),
    }
}

fn course(watched: &Watched, seen: &Seen) -> Course {
    let percentiles = (0..=1000)
        .filter(|_| !seen.echoes.is_empty())
        .map(|tenth| f64::from(tenth) / 10.0)
        .map(|percentile| (percentile, ms(seen.echoes.value_at_quantile(percentile / 100.0))))
        .collect();
    let delays = seen
        .seconds
        .iter()
        .enumerate()
        .filter(|(_, delays)| !delays.is_empty())
        .map(|(second, delays)| {
            let at = |quantile| ms(delays.value_at_quantile(quantile));
            (second as f64, at(0.5), at(0.99))
        })
        .collect();
    let cpu = watched
        .samples
        .windows(2)
        .filter_map(|pair| {
            let [(before, _), (after, _)] = pair else { return None };
            let seconds = after.at.saturating_sub(before.at).as_secs_f64();
            let cores = |of: fn(&Reading) -> Usage| {
                of(after).cpu.saturating_sub(of(before).cpu).as_secs_f64() / seconds
            };
            (seconds > 0.0)
                .then(|| (after.at.as_secs_f64(), cores(|r| r.server), cores(|r| r.beside)))
        })
        .collect();
    let memory = watched
        .samples
        .iter()
        .map(|(reading, calls)| {
            (reading.at.as_secs_f64(), reading.server.rss_kib as f64 / 1024.0, *calls as f64)
        })
        .collect();
    Course { percentiles, delays, cpu, memory }
}
