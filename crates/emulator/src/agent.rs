//! The stand-in for the task protection endpoint of the Amazon ECS agent: what it knows, and what
//! it answers. The door to it is `front::agent`.
//!
//! Bodies and codes are those of `ops.md` §1.3, from the agent's own source and tests. It is as
//! strict as the agent: an unknown field is refused. Tests hold it by [`TaskAgent`]: they see what
//! was asked, take the protection away as a deployment does, and have requests fail.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

/// The task that is protected. A test value.
const TASK_ARN: &str = "arn:aws:ecs:us-east-1:123456789012:task/emulator/0123456789abcdef";
/// What ECS numbers its answers with. A test value.
const REQUEST_ID: &str = "00000000-0000-0000-0000-000000000001";
/// Minutes of a protection that names none.
const DEFAULT_MINUTES: i64 = 120;
/// Requests kept; the oldest go first.
const REQUESTS_KEPT: usize = 1_024;
/// How long the agent waits for ECS before it gives up.
const GIVES_UP: Duration = Duration::from_secs(4);

/// How a request fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentFault {
    /// ECS refuses, with HTTP 200, such as with `DEPLOYMENT_BLOCKED` or `TASK_NOT_VALID`.
    Refuse(&'static str),
    /// The task has no role (403).
    NoRole,
    /// ECS answers with an error of its own: status, code and message.
    Ecs(u16, &'static str, &'static str),
    /// The agent does not know the task (404).
    UnknownTask,
    /// The agent fails (500).
    Broken,
    /// ECS does not answer the agent, which gives up (504).
    TimedOut,
    /// The answer is right, and comes so late.
    Late(Duration),
}

/// One request, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRequest {
    /// `GET` or `PUT`.
    pub method: String,
    /// Its body.
    pub body: String,
    /// Status of the answer.
    pub status: u16,
}

/// The hand on the stand-in. Cheap to clone; outlives the emulator.
#[derive(Debug, Clone)]
pub struct TaskAgent {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Counts requests; waiters watch it.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// Until when the task is protected.
    until: Option<Timestamp>,
    requests: Vec<AgentRequest>,
    /// Of the next requests, in order.
    faults: VecDeque<AgentFault>,
    /// Of all that come after them.
    always: Option<AgentFault>,
}

/// An answer, and how long it is held back.
#[derive(Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    pub(crate) after: Duration,
}

/// What a `PUT` may say.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Wish {
    protection_enabled: Option<bool>,
    expires_in_minutes: Option<i64>,
}

impl Default for TaskAgent {
    fn default() -> Self {
        let (changes, _) = watch::channel(0);
        Self { shared: Arc::new(Shared { state: Mutex::default(), changes }) }
    }
}

impl TaskAgent {
    /// Whether the task is protected now.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        self.lock().is_protected(Timestamp::now())
    }

    /// Takes the protection away, as whoever deploys does by ECS's own API.
    pub fn withdraw(&self) {
        self.lock().until = None;
    }

    /// Has the next requests fail, one after the other.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = AgentFault>) {
        self.lock().faults.extend(faults);
    }

    /// Has every request fail from now on, or none.
    pub fn fail_always(&self, fault: Option<AgentFault>) {
        self.lock().always = fault;
    }

    /// What was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<AgentRequest> {
        self.lock().requests.clone()
    }

    /// Waits until `reached` holds for what was asked. `false` after `deadline`.
    pub async fn wait_for(
        &self,
        mut reached: impl FnMut(&[AgentRequest]) -> bool,
        deadline: Duration,
    ) -> bool {
        let mut changes = self.shared.changes.subscribe();
        let waited = changes.wait_for(|_| reached(&self.lock().requests));
        tokio::time::timeout(deadline, waited).await.is_ok_and(|result| result.is_ok())
    }

    pub(crate) fn answer(&self, method: &Method, body: &[u8], now: Timestamp) -> Reply {
        let mut state = self.lock();
        let reply = state.answer(method, body, now);
        if state.requests.len() == REQUESTS_KEPT {
            state.requests.remove(0);
        }
        state.requests.push(AgentRequest {
            method: method.to_string(),
            body: String::from_utf8_lossy(body).into_owned(),
            status: reply.status.as_u16(),
        });
        drop(state);
        self.shared.changes.send_modify(|count| *count += 1);
        reply
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_protected(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    fn answer(&mut self, method: &Method, body: &[u8], now: Timestamp) -> Reply {
        let wish = match *method {
            Method::GET => None,
            Method::PUT => match read(body) {
                Ok(wish) => Some(wish),
                Err(refusal) => return refusal,
            },
            _ => return Reply::new(StatusCode::METHOD_NOT_ALLOWED, Value::Null),
        };
        let mut after = Duration::ZERO;
        match self.faults.pop_front().or_else(|| self.always.clone()) {
            Some(AgentFault::Late(late)) => after = late,
            Some(fault) => return fault.reply(),
            None => {}
        }
        if let Some((on, minutes)) = wish {
            let until = now.saturating_add(SignedDuration::from_mins(minutes)).unwrap_or(now);
            self.until = on.then_some(until);
        }
        let until = self.until.filter(|until| now < *until);
        let date = until.map(|until| format!("{until:.0}"));
        let body = json!({"protection": {
            "ExpirationDate": date, "ProtectionEnabled": until.is_some(), "TaskArn": TASK_ARN,
        }});
        Reply { after, ..Reply::new(StatusCode::OK, body) }
    }
}

/// On or off, and for how long.
fn read(body: &[u8]) -> Result<(bool, i64), Reply> {
    let invalid = "InvalidParameterException";
    let wish: Wish = serde_json::from_slice(body).map_err(|_| {
        let message = "UpdateTaskProtection: failed to decode request";
        let error = json!({"error": {"Code": invalid, "Message": message}});
        Reply::new(StatusCode::BAD_REQUEST, error)
    })?;
    let Some(on) = wish.protection_enabled else {
        let message = "Invalid request: does not contain 'ProtectionEnabled' field";
        return Err(Reply::of_agent(StatusCode::BAD_REQUEST, invalid, message));
    };
    match wish.expires_in_minutes.unwrap_or(DEFAULT_MINUTES) {
        minutes @ 1..=2_880 => Ok((on, minutes)),
        // ECS's own check; its words are not published.
        _ => Err(AgentFault::Ecs(400, invalid, "ExpiresInMinutes: expected 1 to 2880").reply()),
    }
}

impl Reply {
    fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body, after: Duration::ZERO }
    }

    /// An error of the agent's own.
    fn of_agent(status: StatusCode, code: &str, message: &str) -> Self {
        let error = json!({"Arn": TASK_ARN, "Code": code, "Message": message});
        Self::new(status, json!({ "error": error }))
    }
}

impl AgentFault {
    fn reply(self) -> Reply {
        match self {
            Self::Refuse(reason) => {
                let failure = json!({"Arn": TASK_ARN, "Detail": null, "Reason": reason});
                Reply::new(StatusCode::OK, json!({ "failure": failure }))
            }
            Self::NoRole => Reply::of_agent(
                StatusCode::FORBIDDEN,
                "AccessDeniedException",
                "Invalid Request: no task IAM role credentials available for task",
            ),
            Self::Ecs(status, code, message) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
                let mut reply = Reply::of_agent(status, code, message);
                reply.body["requestID"] = REQUEST_ID.into();
                reply
            }
            Self::UnknownTask => Reply::of_agent(
                StatusCode::NOT_FOUND,
                "ResourceNotFoundException",
                "Failed to find a task for the request",
            ),
            Self::Broken => Reply::of_agent(
                StatusCode::INTERNAL_SERVER_ERROR,
                "ServerException",
                "Failed to find a task for the request",
            ),
            Self::TimedOut => Reply {
                after: GIVES_UP,
                ..Reply::of_agent(
                    StatusCode::GATEWAY_TIMEOUT,
                    "RequestCanceled",
                    "Timed out calling ECS Task Protection API",
                )
            },
            Self::Late(after) => Reply { after, ..Reply::new(StatusCode::OK, Value::Null) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T10:00:00Z".parse().expect("ISO")
    }

    fn put(agent: &TaskAgent, body: &str) -> (u16, Value) {
        let reply = agent.answer(&Method::PUT, body.as_bytes(), now());
        (reply.status.as_u16(), reply.body)
    }

    fn get(agent: &TaskAgent, at: Timestamp) -> Value {
        agent.answer(&Method::GET, b"", at).body
    }

    #[test]
    fn the_answers_have_the_agents_shapes() {
        let agent = TaskAgent::default();
        let off = json!({"protection":
            {"ExpirationDate": null, "ProtectionEnabled": false, "TaskArn": TASK_ARN}});
        assert_eq!(get(&agent, now()), off);
        let on = json!({"protection": {"ExpirationDate": "2026-11-22T11:00:00Z",
            "ProtectionEnabled": true, "TaskArn": TASK_ARN}});
        let asked = r#"{"ProtectionEnabled":true,"ExpiresInMinutes":60}"#;
        assert_eq!(put(&agent, asked), (200, on.clone()));
        assert_eq!(get(&agent, now() + SignedDuration::from_mins(59)), on);
        assert_eq!(get(&agent, now() + SignedDuration::from_mins(60)), off, "it has run out");
        assert_eq!(put(&agent, r#"{"ProtectionEnabled":false}"#), (200, off.clone()));
        put(&agent, r#"{"ProtectionEnabled":true}"#);
        let default = &get(&agent, now())["protection"]["ExpirationDate"];
        assert_eq!(default, "2026-11-22T12:00:00Z");
        agent.withdraw();
        assert_eq!(get(&agent, now()), off);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_the_agents_words() {
        let agent = TaskAgent::default();
        let decode = json!({"error": {"Code": "InvalidParameterException",
            "Message": "UpdateTaskProtection: failed to decode request"}});
        for body in
            ["", "{", r#"{"ProtectionEnabled":"yes"}"#, r#"{"ProtectionEnabled":true,"x":1}"#]
        {
            assert_eq!(put(&agent, body), (400, decode.clone()), "{body}");
        }
        let missing = json!({"error": {"Arn": TASK_ARN, "Code": "InvalidParameterException",
            "Message": "Invalid request: does not contain 'ProtectionEnabled' field"}});
        assert_eq!(put(&agent, r#"{"ExpiresInMinutes":60}"#), (400, missing));
        for minutes in [0, 2_881] {
            let body = format!(r#"{{"ProtectionEnabled":true,"ExpiresInMinutes":{minutes}}}"#);
            let (status, error) = put(&agent, &body);
            assert_eq!((status, &error["requestID"]), (400, &json!(REQUEST_ID)));
        }
        assert_eq!(agent.answer(&Method::POST, b"", now()).status, 405);
        assert!(!agent.is_protected());
    }

    #[test]
    fn faults_come_in_order_and_change_nothing() {
        let agent = TaskAgent::default();
        agent.fail_next([
            AgentFault::Refuse("DEPLOYMENT_BLOCKED"),
            AgentFault::NoRole,
            AgentFault::Ecs(400, "ThrottlingException", "Rate exceeded"),
            AgentFault::UnknownTask,
            AgentFault::Broken,
            AgentFault::TimedOut,
        ]);
        let asked = r#"{"ProtectionEnabled":true,"ExpiresInMinutes":60}"#;
        let blocked = json!({"failure":
            {"Arn": TASK_ARN, "Detail": null, "Reason": "DEPLOYMENT_BLOCKED"}});
        assert_eq!(put(&agent, asked), (200, blocked));
        let error = |(status, body): (u16, Value)| (status, body["error"]["Code"].clone());
        let expected = [
            (403, "AccessDeniedException"),
            (400, "ThrottlingException"),
            (404, "ResourceNotFoundException"),
            (500, "ServerException"),
            (504, "RequestCanceled"),
        ];
        for (status, code) in expected {
            assert_eq!(error(put(&agent, asked)), (status, json!(code)));
            assert_eq!(agent.lock().until, None);
        }
        assert_eq!(put(&agent, asked).1["protection"]["ProtectionEnabled"], true);
        agent.fail_always(Some(AgentFault::Broken));
        assert_eq!(get(&agent, now())["error"]["Code"], "ServerException");
        assert_eq!(agent.requests().len(), 8);
    }
}
