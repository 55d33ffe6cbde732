//! The program: parse, build, run, wait for a signal, drain.

use std::{io::Write, process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Parser;
use voice_access::ApiKeys;
use voice_bridge::Bridge;
use voice_emulator::Emulator;
use voice_s2s::{
    BuildError, Server,
    check::{self, Report},
    config::{BadSetting, BridgeArgs, Cli, Command, EXIT_USAGE, EmulatorArgs, KeyArgs, ServeArgs},
    erase, healthcheck, load,
    shutdown::Signals,
    telemetry::{self, Output, outlet},
};

/// What a call needs is many small pieces that come and go.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long the last lines of the log may take when nobody takes them.
const LAST_LINES: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let code = run();
    outlet::flush(LAST_LINES);
    code
}

fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            if message.use_stderr() && wants_json_check() {
                let report = Report::of_usage(&message.to_string());
                let _ = report.write(true, &mut std::io::stdout().lock());
                return report.exit_code();
            }
            // Help and version are no mistakes; they go to stdout.
            let _ = message.print();
            return ExitCode::from(if message.use_stderr() { EXIT_USAGE } else { 0 });
        }
    };
    let outcome = match cli.command {
        None => serve(cli.serve),
        Some(Command::Serve(args)) => serve(*args),
        Some(Command::Bridge(args)) => bridge(*args),
        Some(Command::Check(args)) => check::run(*args, &mut std::io::stdout().lock()),
        Some(Command::Erase(args)) => erase::run(*args, &mut std::io::stdout().lock()),
        Some(Command::Key(args)) => make_key(&args),
        Some(Command::Emulator(args)) => emulate(args),
        Some(Command::Load(args)) => load::load(&args, &mut std::io::stdout().lock()),
        Some(Command::Healthcheck(args)) => healthcheck::ask(&args.host, args.port),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "voice-s2s: {error:#}");
            let usage = error.is::<BadSetting>()
                || error.downcast_ref::<BuildError>().is_some_and(BuildError::is_usage);
            ExitCode::from(if usage { EXIT_USAGE } else { 1 })
        }
    }
}

/// Whether the command line, though it could not be read, asks for a report in JSON.
fn wants_json_check() -> bool {
    let mut arguments = std::env::args().skip(1);
    arguments.next().is_some_and(|first| first == "check") && arguments.any(|arg| arg == "--json")
}

/// Says one thing on stdout.
fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Makes an API key: shown once, and the entry for the configuration beside it.
fn make_key(args: &KeyArgs) -> anyhow::Result<ExitCode> {
    let made = ApiKeys::make(&args.name, args.role)
        .map_err(|why| BadSetting { variable: "--name", what: why })?;
    say(&format!("key (give it to whoever will use it, it is not shown again):\n{}", made.key))?;
    say(&format!("\nentry for API_KEYS:\n{}", made.entry))?;
    Ok(ExitCode::SUCCESS)
}

fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    telemetry::start(args.log, &args.rust_log, Output::Stdout)?;
    let json = args.log.is_json();
    let config = args.into_config()?;
    let grace = config.shutdown_grace;
    // Each call has two sockets; some systems allow 1,024 unless asked for more.
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
    actix_web::rt::System::new().block_on(async move {
        let mut signals = Signals::install().context("cannot take over the signals")?;
        let mut server = Server::build(config).await?;
        outlet::stdout().say(server.ready_line(json));
        let registry = server.registry().clone();
        let why = tokio::select! {
            signal = signals.next() => signal,
            () = registry.exit_wanted() => "drained",
            error = server.failed() => return Err(error).context("the server failed"),
        };
        tracing::info!(why, active = registry.active(), "stopping");
        let report = tokio::select! {
            report = server.stop(grace) => report,
            signal = signals.next() => {
                tracing::warn!(signal, "second signal: stopping at once");
                return Ok(ExitCode::FAILURE);
            }
        };
        match report.left {
            0 => tracing::info!(ended = report.active, "stopped"),
            left => tracing::warn!(left, "stopped with calls that did not end in time"),
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn bridge(args: BridgeArgs) -> anyhow::Result<ExitCode> {
    telemetry::start(args.log, &args.rust_log, Output::Stdout)?;
    let (json, grace) = (args.log.is_json(), args.shutdown_grace);
    let config = args.into_config()?;
    let (listen, server) = (config.listen, config.server.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async move {
        let mut signals = Signals::install().context("cannot take over the signals")?;
        let bridge = Bridge::start(config).await;
        let bridge = bridge.with_context(|| format!("BRIDGE_HOST and BRIDGE_PORT: {listen}"))?;
        let url = format!("http://{}", bridge.addr());
        say(&match json {
            true => serde_json::json!({"level": "INFO", "message": "ready", "url": url, "server": server})
                .to_string(),
            false => format!("ready: {url} (server: {server})"),
        })?;
        let signal = signals.next().await;
        tracing::info!(signal, active = bridge.meters().active_calls.get(), "stopping");
        let left = tokio::select! {
            left = bridge.stop(grace) => left,
            signal = signals.next() => {
                tracing::warn!(signal, "second signal: stopping at once");
                return Ok(ExitCode::FAILURE);
            }
        };
        tracing::info!(left, "stopped");
        Ok(ExitCode::SUCCESS)
    })
}

fn emulate(args: EmulatorArgs) -> anyhow::Result<ExitCode> {
    telemetry::start(args.log, &args.rust_log, Output::Stderr)?;
    let emulator = Emulator::start(args.config()?)?;
    let keep_ca = args.ca_file.is_some();
    let ca_file = emulator.tls_endpoint().map(|_| {
        let name = format!("voice-s2s-emulator-ca-{}.pem", std::process::id());
        args.ca_file.unwrap_or_else(|| std::env::temp_dir().join(name))
    });
    if let Some(path) = &ca_file {
        std::fs::write(path, emulator.ca_pem())
            .with_context(|| format!("cannot write the CA to {}", path.display()))?;
    }
    let line = serde_json::json!({
        "endpoint": emulator.endpoint(),
        "tlsEndpoint": emulator.tls_endpoint(),
        "caFile": ca_file,
        "ecsAgentUri": emulator.agent_uri(),
    });
    say(&line.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let signal = runtime.block_on(async { anyhow::Ok(Signals::install()?.next().await) })?;
    tracing::info!(signal, "stopping");
    emulator.shutdown();
    if let Some(path) = ca_file.filter(|_| !keep_ca) {
        let _ = std::fs::remove_file(path);
    }
    Ok(ExitCode::SUCCESS)
}
