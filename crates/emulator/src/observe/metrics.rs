//! What was put to the stand-in for CloudWatch: the requests, and the data that were taken.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

use crate::cloudwatch::TakenDatum;

/// Requests kept; the oldest go first.
const REQUESTS: usize = 1024;

/// All requests to one emulator. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    kept: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    attempts: u64,
    requests: VecDeque<PutRequest>,
    data: VecDeque<TakenDatum>,
}

/// One `PutMetricData` request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutRequest {
    /// When it arrived.
    pub at: Timestamp,
    /// How many data were taken of it; 0 when it was refused.
    pub taken: usize,
    /// Whether it came compressed.
    pub gzip: bool,
    /// Status of the answer; `None` when the connection was cut instead.
    pub status: Option<u16>,
    /// Code of the error, as in `x-amzn-query-error`.
    pub error: Option<&'static str>,
}

impl Metrics {
    pub(crate) fn new(kept: usize) -> Self {
        Self { kept, state: Arc::default() }
    }

    /// The data that were taken, in order of arrival (bounded).
    #[must_use]
    pub fn data(&self) -> Vec<TakenDatum> {
        self.lock().data.iter().cloned().collect()
    }

    /// The data of one metric, in all its dimensions.
    #[must_use]
    pub fn of(&self, name: &str) -> Vec<TakenDatum> {
        self.lock().data.iter().filter(|datum| datum.name == name).cloned().collect()
    }

    /// The requests, in order of arrival (bounded).
    #[must_use]
    pub fn requests(&self) -> Vec<PutRequest> {
        self.lock().requests.iter().cloned().collect()
    }

    /// Numbers a request, from 1.
    pub(crate) fn attempt(&self) -> u64 {
        let mut state = self.lock();
        state.attempts += 1;
        state.attempts
    }

    pub(crate) fn note(&self, request: PutRequest, taken: Vec<TakenDatum>) {
        let mut state = self.lock();
        state.requests.push_back(request);
        state.data.extend(taken);
        let (requests, data) = (state.requests.len(), state.data.len());
        state.requests.drain(..requests.saturating_sub(REQUESTS));
        state.data.drain(..data.saturating_sub(self.kept));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
