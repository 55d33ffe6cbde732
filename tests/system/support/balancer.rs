//! HAProxy before a few tasks, told over its socket which of them it may use, as Amazon ECS tells a
//! load balancer.

use std::{fmt::Write, path::Path};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::Child,
};

use super::outside::{free_port, listening, run};

/// Places for tasks.
const SLOTS: usize = 4;

/// The load balancer.
pub(crate) struct Balancer {
    port: u16,
    dir: TempDir,
    _haproxy: Child,
}

impl Balancer {
    /// Without a task.
    ///
    /// It asks `/ready`, which says when a task wants no new calls, and not `/health`: what it finds
    /// there it only stops using; ECS would end it (`ops.md` §1.2). A new call goes where there are
    /// the fewest. One that was refused with 503, because the task learned of its end later than the
    /// last check, or that met a task which had just gone, is tried at another one: nothing of a
    /// refused handshake has happened yet. An Application Load Balancer does not do that; there the
    /// client tries again after the second that `Retry-After` names, as the page does.
    pub(crate) async fn start(program: &Path) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let mut config = format!(
            "global\n stats socket {} mode 600 level admin\n\
             defaults\n mode http\n timeout connect 1s\n timeout client 60s\n timeout server 60s\n \
             timeout check 5s\n timeout tunnel 1h\n retries 5\n option redispatch 1\n \
             retry-on conn-failure empty-response 503\n\
             frontend web\n bind 127.0.0.1:{port}\n default_backend tasks\n\
             backend tasks\n balance leastconn\n option httpchk GET /ready\n",
            dir.path().join("socket").display()
        );
        for slot in 0..SLOTS {
            let server =
                format!(" server s{slot} 127.0.0.1:1 disabled check inter 200ms fall 1 rise 1\n");
            config.write_str(&server).expect("text");
        }
        let file = dir.path().join("haproxy.cfg");
        std::fs::write(&file, config).expect("a file");
        let haproxy = run(program, &["-db", "-f", &file.display().to_string()]);
        listening(port).await;
        Self { port, dir, _haproxy: haproxy }
    }

    /// The address of `/sonic` behind it.
    pub(crate) fn sonic(&self) -> String {
        format!("ws://127.0.0.1:{}/sonic", self.port)
    }

    /// Uses the task at `port`, once it is ready.
    pub(crate) async fn enter(&self, slot: usize, port: u16) {
        self.tell(&format!("set server tasks/s{slot} addr 127.0.0.1 port {port}")).await;
        self.tell(&format!("set server tasks/s{slot} state ready")).await;
        for _ in 0..200 {
            // `show servers state`: the sixth column is the operational state, 2 is running.
            let states = self.tell("show servers state tasks").await;
            let name = format!("s{slot}");
            let row = states.lines().find(|row| row.split(' ').nth(3) == Some(&name));
            if row.and_then(|row| row.split(' ').nth(5)) == Some("2") {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the load balancer does not use slot {slot}");
    }

    /// No new calls for a task; those that it has go on: what ECS does before it ends one.
    pub(crate) async fn deregister(&self, slot: usize) {
        self.tell(&format!("set server tasks/s{slot} state drain")).await;
    }

    /// The task is gone.
    pub(crate) async fn forget(&self, slot: usize) {
        self.tell(&format!("set server tasks/s{slot} state maint")).await;
    }

    async fn tell(&self, command: &str) -> String {
        let path = self.dir.path().join("socket");
        let mut socket = UnixStream::connect(path).await.expect("HAProxy's socket");
        socket.write_all(format!("{command}\n").as_bytes()).await.expect("a command");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("an answer");
        answer
    }
}
