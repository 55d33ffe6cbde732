//! Counts the instructions of the hot paths under valgrind, and compares them with what they took
//! before: a guard that works on a busy machine, where times mean nothing.
//!
//!   cargo bench -p voice-actors --bench instructions              compares; exit 1 when one grew
//!   cargo bench -p voice-actors --bench instructions -- --accept  writes the counts as they are now
//!
//! Each path runs often and more often, in processes of their own; the difference, divided, is one
//! run without what comes before and after. The counts belong to one compiler and one kind of
//! processor, which stand beside them.

#![expect(clippy::print_stdout, reason = "a program for the command line")]

mod paths;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, ExitCode},
};

use serde::{Deserialize, Serialize};

/// How much more a path may take, in per cent.
const TOLERANCE: f64 = 5.0;
/// Runs of the shorter and the longer measurement.
const RUNS: [u64; 2] = [200, 1_200];

#[derive(Serialize, Deserialize)]
struct Baseline {
    /// `x86_64 avx2`, `aarch64`: libraries choose their code by it.
    processor: String,
    /// As `rustc --version` says.
    compiler: String,
    /// Instructions of one run.
    counts: BTreeMap<String, u64>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--run", name, times] => run(name, times.parse().unwrap_or_default()),
        _ => match compare(arguments.iter().any(|argument| argument == "--accept")) {
            Ok(code) => code,
            Err(why) => {
                println!("instructions: {why}");
                ExitCode::FAILURE
            }
        },
    }
}

/// Within valgrind: one path, so often.
fn run(name: &str, times: u64) -> ExitCode {
    let Some((_, make)) = paths::ALL.iter().find(|(known, _)| *known == name) else {
        println!("no path `{name}`");
        return ExitCode::FAILURE;
    };
    let mut path = make();
    (0..times).for_each(|_| path());
    ExitCode::SUCCESS
}

fn compare(accept: bool) -> Result<ExitCode, String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.json");
    let compiler = compiler()?;
    let mut now = Baseline { processor: processor(), compiler, counts: BTreeMap::new() };
    for (name, _) in paths::ALL {
        let [few, many] = RUNS.map(|times| count(name, times));
        let each = (many?.saturating_sub(few?)) / (RUNS[1] - RUNS[0]);
        now.counts.insert((*name).to_owned(), each);
    }
    if accept {
        let json = serde_json::to_string_pretty(&now).map_err(|error| error.to_string())?;
        std::fs::write(&file, json + "\n")
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let before = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let before: Baseline = serde_json::from_slice(&before).map_err(|error| error.to_string())?;
    let alike = before.processor == now.processor && before.compiler == now.compiler;
    if !alike {
        println!(
            "the counts to compare with are of {} on {}, and this is {} on {}: nothing fails",
            before.compiler, before.processor, now.compiler, now.processor
        );
    }
    let mut grown = 0;
    println!("{:<30}{:>12}{:>12}{:>9}", "instructions", "before", "now", "");
    for (name, count) in &now.counts {
        let Some(was) = before.counts.get(name) else {
            grown += 1;
            println!("{name:<30}{:>12}{count:>12}   not in the baseline: run with --accept", "-");
            continue;
        };
        let change = (*count as f64 / *was as f64 - 1.0) * 100.0;
        let word = match change {
            change if change > TOLERANCE => "  GROWN",
            change if change < -TOLERANCE => "  shrunk: run with --accept",
            _ => "",
        };
        grown += u32::from(alike && change > TOLERANCE);
        println!("{name:<30}{was:>12}{count:>12}{change:>+8.1}%{word}");
    }
    // As a test runner would say it.
    println!(
        "test result: {}. {} passed; {grown} failed; 0 ignored",
        if grown == 0 { "ok" } else { "FAILED" },
        now.counts.len() as u32 - grown
    );
    Ok(if grown == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Instructions of a process that runs a path so often.
fn count(name: &str, times: u64) -> Result<u64, String> {
    let me = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(me)
        .args(["--run", name, &times.to_string()])
        // Hashes of a fixed seed would be better still; addresses at least are the same.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .map_err(|error| format!("valgrind is needed: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("refs:"));
    line.and_then(|line| line.rsplit(' ').next()?.replace(',', "").parse().ok())
        .ok_or_else(|| format!("valgrind said: {said}"))
}

fn processor() -> String {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        return "x86_64 avx2".to_owned();
    }
    std::env::consts::ARCH.to_owned()
}

fn compiler() -> Result<String, String> {
    let output = Command::new(option_env!("RUSTC").unwrap_or("rustc")).arg("--version").output();
    let output = output.map_err(|error| format!("rustc: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).split(" (").next().unwrap_or_default().to_owned())
}
