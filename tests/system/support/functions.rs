//! The two functions of a contact flow: the real binaries of `crates/lambdas`, behind Lambda's
//! Runtime API on loopback.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

use serde_json::{Map, Value};
use voice_bridge::Bridge;

use super::{contact::KEY, runtime_api::Function};

/// Placeholders of `deploy/connect`, and the programs behind them.
const PROGRAMS: [(&str, &str); 2] =
    [("${StartBotSessionArn}", "start-bot-session"), ("${ProcessBotTurnArn}", "process-bot-turn")];

/// Connect takes answers of less than 32 KB.
const LARGEST: usize = 32 * 1024;

/// Both functions, as they are deployed.
pub(crate) struct Functions(Vec<(&'static str, Function)>);

impl Functions {
    /// Functions that ask this bridge.
    pub(crate) async fn start(bridge: &Bridge) -> Self {
        Self::at(&format!("http://{}", bridge.addr())).await
    }

    /// Functions that ask there.
    pub(crate) async fn at(bridge: &str) -> Self {
        let variables = [("BRIDGE_URL", bridge), ("BRIDGE_KEY", KEY)];
        let mut functions = Vec::new();
        for (placeholder, name) in PROGRAMS {
            let function = Function::start(&program(name), &variables).await;
            functions.push((placeholder, function));
        }
        Self(functions)
    }

    /// Invokes one as a flow does. `None` is the flow's error branch.
    pub(crate) async fn invoke(&self, arn: &str, event: &Value) -> Option<Map<String, Value>> {
        let (_, function) = self.0.iter().find(|(name, _)| *name == arn).expect("a function");
        let answer = function.invoke(event).await.ok()?;
        assert!(answer.to_string().len() < LARGEST, "too large for Connect");
        let answer = answer.as_object().cloned().expect("an object");
        assert!(answer.values().all(Value::is_string), "STRING_MAP: {answer:?}");
        Some(answer)
    }
}

/// A program of `crates/lambdas`. `cargo test --workspace` has built it; a test that is run alone
/// builds it here, because cargo knows no programs of other packages.
fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        let test = std::env::current_exe().expect("our own path");
        let folder = test.parent().and_then(Path::parent).expect("target/debug").to_owned();
        let is_fresh = |(_, program): &(&str, &str)| {
            let built = std::fs::metadata(folder.join(program)).and_then(|file| file.modified());
            built.is_ok_and(|built| built >= newest_source())
        };
        if !PROGRAMS.iter().all(is_fresh) {
            let cargo = Command::new(env!("CARGO"))
                .args(["build", "--locked", "--package", "voice-lambdas", "--bins", "--target-dir"])
                .arg(folder.parent().expect("target"))
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .status();
            assert!(cargo.expect("cargo runs").success(), "the functions do not build");
        }
        folder
    });
    folder.join(name)
}

/// When what the programs are made of was changed last.
fn newest_source() -> SystemTime {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = vec![root.join("crates/lambdas/src"), root.join("crates/access/src")];
    let mut newest = SystemTime::UNIX_EPOCH;
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let about = entry.metadata().expect("a file");
            match about.is_dir() {
                true => open.push(entry.path()),
                false => newest = newest.max(about.modified().expect("a time")),
            }
        }
    }
    newest
}
