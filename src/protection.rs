//! Keeps Amazon ECS from ending this task to scale in while it has calls, and notices when somebody
//! has taken that protection away: then the task is to be replaced, and takes no new calls.
//!
//! When what is asked decides `voice_ecs::Protection`; here are the clock, the HTTP, the log and the
//! count. One task per process, started by [`crate::Server::build`]. No call ever waits for it.

use std::time::Instant;

use tokio::task::JoinHandle;
use voice_actors::{
    Registry,
    drain::{Cause, Leave, Order},
};
use voice_call::{Meters, meters::ReasonLabel};
use voice_ecs::{Agent, AgentError, Answer, Protection, ProtectionTimes, Request, Step};

/// The task between the agent, the machine and the registry.
pub(crate) struct Keeper {
    pub(crate) agent: Agent,
    pub(crate) times: ProtectionTimes,
    pub(crate) registry: Registry,
    /// Whether the process ends when its calls have, after the protection was withdrawn.
    pub(crate) exit: bool,
    pub(crate) meters: Meters,
}

impl Keeper {
    /// Follows the number of calls until it is aborted.
    pub(crate) fn start(self) -> JoinHandle<()> {
        tokio::spawn(self.run())
    }

    async fn run(self) {
        let mut active = self.registry.watch_active();
        let mut protection = Protection::new(self.times);
        loop {
            protection.count(*active.borrow_and_update());
            match protection.step(Instant::now()) {
                Step::Ask(request) => {
                    let answer = self.ask(request).await;
                    protection.answered(request, &answer, Instant::now());
                    self.meters.task_protected.set(protection.is_on().into());
                }
                Step::Withdrawn => {
                    self.meters.task_protected.set(0);
                    self.drain().await;
                }
                Step::Wait(until) => {
                    let due = async {
                        match until {
                            Some(at) => tokio::time::sleep_until(at.into()).await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        changed = active.changed() => if changed.is_err() { return },
                        () = due => {}
                    }
                }
            }
        }
    }

    async fn ask(&self, request: Request) -> Result<Answer, AgentError> {
        let answer = match request {
            Request::Look => self.agent.get().await,
            Request::Protect(minutes) => self.agent.protect(minutes).await,
            Request::Release => self.agent.release().await,
        };
        let reason = match &answer {
            Ok(answer) => {
                tracing::debug!(?request, ?answer, "task protection");
                "ok"
            }
            Err(error) => {
                tracing::warn!(?request, %error, "task protection: calls go on without it");
                error.word()
            }
        };
        self.meters.task_protection.get_or_create(&ReasonLabel { reason }).inc();
        answer
    }

    async fn drain(&self) {
        tracing::warn!(
            exit = self.exit,
            "somebody has ended the protection of this task: it takes no new calls"
        );
        let (cause, leave) = (Cause::ProtectionWithdrawn, Leave::ByThemselves);
        if self.registry.begin_drain(Order { cause, leave, exit: self.exit }).await.is_err() {
            tracing::error!("the registry is gone, and cannot be drained");
        }
    }
}
