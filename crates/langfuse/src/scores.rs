//! Gives scores to Langfuse, one request each, a few at a time.

use std::time::Duration;

use futures::future::join_all;
use reqwest::StatusCode;
use tokio::{sync::mpsc::Receiver, time::Instant};
use voice_archive::Pauses;
use voice_call::{
    Meters,
    meters::{Queue, ReasonLabel},
};

use crate::{
    client::{AskError, Client, LangfuseConfig, SetupError},
    closing::Closing,
    score::Score,
};

/// Scores that may wait.
pub(crate) const QUEUE: usize = 1024;

/// Requests at a time.
const AT_ONCE: usize = 4;

/// The path of the API.
const PATH: [&str; 3] = ["api", "public", "scores"];

/// How often the process log says that nothing arrives.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// The task's side.
#[derive(Debug)]
pub(crate) struct Scorer {
    client: Client,
    pauses: Pauses,
    closing: Closing,
    meters: Meters,
    said: Option<Instant>,
}

impl Scorer {
    pub(crate) fn new(
        project: LangfuseConfig,
        pauses: Pauses,
        closing: Closing,
        meters: Meters,
    ) -> Result<Self, SetupError> {
        Ok(Self { client: Client::new(project)?, pauses, closing, meters, said: None })
    }

    /// Works until nobody gives scores any more, and all have arrived.
    pub(crate) async fn run(mut self, mut scores: Receiver<Score>) {
        let (mut waiting, mut failures) = (Vec::new(), 0_u32);
        loop {
            if waiting.is_empty() && scores.recv_many(&mut waiting, AT_ONCE).await == 0 {
                return;
            }
            let answers =
                join_all(waiting.iter().map(|score| self.client.post(&PATH, score))).await;
            let mut later = Vec::new();
            for (score, answer) in waiting.drain(..).zip(answers) {
                match answer {
                    Ok(()) => self.count("given"),
                    // It is the score that is wrong.
                    Err(AskError::Status(status)) if is_final(status) => {
                        tracing::warn!(%status, "a score is not wanted; it is dropped");
                        self.count("rejected");
                    }
                    Err(error) => {
                        self.say(&error);
                        later.push(score);
                    }
                }
            }
            waiting = later;
            if waiting.is_empty() {
                failures = 0;
                if self.said.take().is_some() {
                    tracing::info!("scores arrive at Langfuse again");
                }
            } else {
                failures = failures.saturating_add(1);
                self.closing.pause(self.pauses.after(failures)).await;
            }
        }
    }

    fn say(&mut self, error: &AskError) {
        if self.said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
            self.said = Some(Instant::now());
            tracing::error!(%error, "scores do not arrive at Langfuse; they wait");
        }
    }

    fn count(&self, reason: &'static str) {
        self.meters.scores.get_or_create(&ReasonLabel { reason }).inc();
        self.meters.depth(Queue::Scores).dec();
    }
}

/// Whether asking again would lead to the same answer.
fn is_final(status: StatusCode) -> bool {
    status.is_client_error()
        && status != StatusCode::TOO_MANY_REQUESTS
        && status != StatusCode::REQUEST_TIMEOUT
}
