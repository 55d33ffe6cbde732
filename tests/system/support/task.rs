//! The program itself, as a process of its own.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
};

use super::DEADLINE;

/// One process of the server. It ends with the test.
pub(crate) struct Task {
    pub(crate) child: Child,
    pub(crate) port: u16,
    log: Arc<Mutex<String>>,
    /// Its output, when nobody takes it.
    _untaken: Option<Lines<BufReader<ChildStdout>>>,
    /// What it keeps, unless the test said where.
    _data: Option<TempDir>,
}

impl Task {
    /// Starts one with these settings, on a free port and in a folder of its own, and waits until
    /// it is ready.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let (mut task, mut lines) = Self::spawn(settings).await;
        let kept = Arc::default();
        task.log = Arc::clone(&kept);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = kept.lock().expect("no panic");
                log.push_str(&line);
                log.push('\n');
            }
        });
        task
    }

    /// The same, and nobody takes what it says from then on.
    pub(crate) async fn start_untaken(settings: &[(&str, &str)]) -> Self {
        let (mut task, lines) = Self::spawn(settings).await;
        task._untaken = Some(lines);
        task
    }

    async fn spawn(settings: &[(&str, &str)]) -> (Self, Lines<BufReader<ChildStdout>>) {
        let own = settings.iter().any(|(name, _)| *name == "DATA_DIR");
        let data = (!own).then(|| tempfile::tempdir().expect("a temporary folder"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_voice-s2s"));
        command
            .args(["serve", "--port", "0", "--log", "json", "--greeting-delay", "0.05"])
            .envs(settings.iter().copied());
        if let Some(data) = &data {
            command.env("DATA_DIR", data.path());
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the server starts");
        let stdout = child.stdout.take().expect("its output");
        let mut lines = BufReader::new(stdout).lines();
        let port = tokio::time::timeout(DEADLINE, async {
            loop {
                let line = lines.next_line().await.expect("output").expect("it is ready");
                let line: Value = serde_json::from_str(&line).unwrap_or_default();
                if let Some(port) = line["url"].as_str().and_then(|url| url.rsplit(':').next()) {
                    return port.trim_end_matches('/').parse().expect("a port");
                }
            }
        });
        let port = port.await.expect("ready in time");
        let task = Self { child, port, log: Arc::default(), _untaken: None, _data: data };
        (task, lines)
    }

    /// What it has logged since it was ready.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// Waits for its end, and for the last of its log.
    pub(crate) async fn ended(&mut self) {
        let waited = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        waited.expect("an end").expect("a status");
        super::eventually("its log is closed", || Arc::strong_count(&self.log) == 1).await;
    }

    /// The address of `/sonic`.
    pub(crate) fn sonic(&self, query: &str) -> String {
        format!("ws://127.0.0.1:{}/sonic{query}", self.port)
    }

    /// The body of a GET.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut tcp = TcpStream::connect(("127.0.0.1", self.port)).await.expect("a connection");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        tcp.write_all(request.as_bytes()).await.expect("a request");
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.expect("an answer");
        answer.split_once("\r\n\r\n").expect("a head").1.to_owned()
    }

    /// What its metrics say of one that has no labels.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").await;
        let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '));
        let line = text.lines().find(is_it).expect("the metric");
        line.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a number")
    }

    /// Sends it a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(sent.expect("kill").success());
    }

    /// Waits for its end.
    pub(crate) async fn exit_code(mut self) -> Option<i32> {
        let waited = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        waited.expect("an end").expect("a status").code()
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.child.start_kill().expect("SIGKILL");
        self.child.wait().await.expect("it is dead");
    }
}
