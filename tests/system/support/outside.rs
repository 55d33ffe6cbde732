//! Programs that nobody here wrote: HAProxy for the load balancer, Redis for the session store.
//!
//! Without `haproxy` and `redis-server` on the machine the tests that need them are skipped, unless
//! `OUTSIDE=required` says that they have to run; `tests/run` installs both and says so.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use super::DEADLINE;

/// HAProxy and Redis. `None`: the test is skipped.
pub(crate) fn tools() -> Option<(PathBuf, PathBuf)> {
    let found = find("haproxy").zip(find("redis-server"));
    if found.is_none() {
        let required = std::env::var_os("OUTSIDE").is_some_and(|value| value == "required");
        assert!(!required, "haproxy and redis-server are not installed");
        println!("skipped: haproxy and redis-server are not installed");
    }
    found
}

/// A Redis that ends with the test, and its URL.
pub(crate) async fn start_redis(program: &Path) -> (Child, String) {
    let port = free_port();
    let number = port.to_string();
    let args = ["--port", &number, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    let redis = run(program, &args);
    listening(port).await;
    (redis, format!("redis://127.0.0.1:{port}"))
}

/// The path of a program, where it is installed.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian keeps daemons where not every PATH leads.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// A program that ends with the test.
pub(crate) fn run(program: &Path, args: &[&str]) -> Child {
    Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts")
}

/// Waits until something listens there.
pub(crate) async fn listening(port: u16) {
    let listens = tokio::time::timeout(DEADLINE, async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    listens.await.expect("it listens");
}
