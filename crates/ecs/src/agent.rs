//! The agent's endpoint for the protection of its task, as a client. Plain HTTP on a link-local
//! address that only this task reaches: no signature, no SDK.
//!
//! The shapes are those of `ops.md` §1.3. A refusal by ECS comes as HTTP 200 with `failure`.

use std::{error::Error, time::Duration};

use jiff::Timestamp;
use reqwest::{StatusCode, Url, header, redirect};
use serde::Deserialize;

/// Longest answer that is read. A real one has a few hundred bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// A client of the agent of this task. Connections are kept.
#[derive(Debug, Clone)]
pub struct Agent {
    http: reqwest::Client,
    state: Url,
}

/// Why the agent cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It is no address.
    #[error(
        "{0:?} is not the address of the ECS agent; expected a URL such as \
         http://169.254.170.2/api/0123abcd"
    )]
    Address(String),
    /// The client could not be built.
    #[error("the HTTP client cannot be built: {0}")]
    Http(#[from] reqwest::Error),
}

/// Whether the task is protected, as ECS says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Whether it is.
    pub protected: bool,
    /// Until when.
    pub expires: Option<Timestamp>,
}

/// Why a question was not answered as wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// The agent does not answer, or not in time.
    #[error("the ECS agent does not answer: {0}")]
    Unreachable(String),
    /// ECS refuses, such as with `DEPLOYMENT_BLOCKED`: more tasks are protected than wanted.
    #[error("ECS refuses: {reason}{}", detail.as_ref().map(|d| format!(" ({d})")).unwrap_or_default())]
    Refused {
        /// A word of its own.
        reason: String,
        /// More of it.
        detail: Option<String>,
    },
    /// The agent, or ECS behind it, answers with an error.
    #[error("the ECS agent answers {status}: {code}: {message}")]
    Status {
        /// Of HTTP.
        status: u16,
        /// Such as `AccessDeniedException`.
        code: String,
        /// For people.
        message: String,
    },
    /// Its answer has another shape.
    #[error("the answer of the ECS agent cannot be understood: {0}")]
    Shape(String),
}

impl AgentError {
    /// A bounded word for the metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Refused { .. } => "refused",
            Self::Status { .. } => "error",
            Self::Shape(_) => "shape",
        }
    }
}

impl Agent {
    /// The agent at `address`, which ECS gives its containers as `ECS_AGENT_URI`. An answer is
    /// waited for as long as `deadline`; the agent itself gives up after four seconds.
    ///
    /// # Errors
    /// [`SetupError`] when that cannot be an address.
    pub fn new(address: &str, deadline: Duration) -> Result<Self, SetupError> {
        let wrong = || SetupError::Address(address.to_owned());
        let mut state = Url::parse(address).map_err(|_| wrong())?;
        if !matches!(state.scheme(), "http" | "https") || !state.has_host() {
            return Err(wrong());
        }
        state.path_segments_mut().map_err(|()| wrong())?.pop_if_empty().extend([
            "task-protection",
            "v1",
            "state",
        ]);
        let http = reqwest::Client::builder()
            .timeout(deadline)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { http, state })
    }

    /// Whether the task is protected.
    ///
    /// # Errors
    /// [`AgentError`], whatever went wrong.
    pub async fn get(&self) -> Result<Answer, AgentError> {
        self.ask(self.http.get(self.state.clone())).await
    }

    /// Protects the task for so many minutes from now on.
    ///
    /// # Errors
    /// [`AgentError`], whatever went wrong.
    pub async fn protect(&self, minutes: u32) -> Result<Answer, AgentError> {
        self.put(format!(r#"{{"ProtectionEnabled":true,"ExpiresInMinutes":{minutes}}}"#)).await
    }

    /// Lets ECS end the task.
    ///
    /// # Errors
    /// [`AgentError`], whatever went wrong.
    pub async fn release(&self) -> Result<Answer, AgentError> {
        self.put(r#"{"ProtectionEnabled":false}"#.to_owned()).await
    }

    async fn put(&self, body: String) -> Result<Answer, AgentError> {
        let request = self.http.put(self.state.clone());
        self.ask(request.header(header::CONTENT_TYPE, "application/json").body(body)).await
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Answer, AgentError> {
        let mut answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(AgentError::Shape(format!("it is longer than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        read(status, &body)
    }
}

/// Every body that there is; which part is there says what it is.
#[derive(Debug, Deserialize)]
struct Body {
    protection: Option<BodyProtection>,
    failure: Option<BodyFailure>,
    error: Option<BodyError>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BodyProtection {
    protection_enabled: bool,
    expiration_date: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BodyFailure {
    reason: Option<String>,
    detail: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BodyError {
    code: Option<String>,
    message: Option<String>,
}

fn read(status: StatusCode, body: &[u8]) -> Result<Answer, AgentError> {
    let said: Option<Body> = serde_json::from_slice(body).ok();
    if !status.is_success() {
        let error = said.and_then(|body| body.error).unwrap_or_default();
        return Err(AgentError::Status {
            status: status.as_u16(),
            code: error.code.unwrap_or_else(|| "no code".to_owned()),
            message: error.message.unwrap_or_else(|| "no message".to_owned()),
        });
    }
    match said {
        Some(Body { failure: Some(failure), .. }) => Err(AgentError::Refused {
            reason: failure.reason.unwrap_or_else(|| "no reason".to_owned()),
            detail: failure.detail,
        }),
        Some(Body { protection: Some(protection), .. }) => Ok(Answer {
            protected: protection.protection_enabled,
            expires: protection.expiration_date,
        }),
        _ => Err(AgentError::Shape("it has neither `protection` nor `failure`".to_owned())),
    }
}

fn unreachable(error: reqwest::Error) -> AgentError {
    if error.is_timeout() {
        return AgentError::Unreachable("not in time".to_owned());
    }
    // What went wrong is at the end of the chain. The URL names the task, and is left out.
    let error = error.without_url();
    let mut deepest: &dyn Error = &error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    AgentError::Unreachable(deepest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bodies_of_the_endpoint_are_understood() {
        let ok = |body: &str| read(StatusCode::OK, body.as_bytes());
        let on = r#"{"protection":{"ExpirationDate":"2026-11-22T11:00:00Z","ProtectionEnabled":true,
            "TaskArn":"arn:aws:ecs:task"}}"#;
        let expires = "2026-11-22T11:00:00Z".parse().ok();
        assert_eq!(ok(on), Ok(Answer { protected: true, expires }));
        let off = r#"{"protection":{"ExpirationDate":null,"ProtectionEnabled":false,
            "TaskArn":"arn:aws:ecs:task"}}"#;
        assert_eq!(ok(off), Ok(Answer { protected: false, expires: None }));
        let refused = r#"{"failure":{"Arn":"arn:aws:ecs:task","Detail":null,
            "Reason":"DEPLOYMENT_BLOCKED"}}"#;
        let error = ok(refused).expect_err("a refusal");
        assert_eq!(
            (error.word(), error.to_string().as_str()),
            ("refused", "ECS refuses: DEPLOYMENT_BLOCKED")
        );
        assert!(matches!(ok("{}"), Err(AgentError::Shape(_))));
        assert!(matches!(ok("<html>"), Err(AgentError::Shape(_))));
    }

    #[test]
    fn errors_say_what_the_agent_says() {
        let timed_out = r#"{"error":{"Arn":"arn:aws:ecs:task","Code":"RequestCanceled",
            "Message":"Timed out calling ECS Task Protection API"}}"#;
        let error = read(StatusCode::GATEWAY_TIMEOUT, timed_out.as_bytes()).expect_err("an error");
        assert_eq!(
            error.to_string(),
            "the ECS agent answers 504: RequestCanceled: Timed out calling ECS Task Protection API"
        );
        let error = read(StatusCode::BAD_GATEWAY, b"<html>").expect_err("an error");
        assert_eq!(error.word(), "error");
    }

    #[test]
    fn an_address_leads_to_the_state_of_its_task() {
        let second = Duration::from_secs(1);
        for address in ["http://169.254.170.2/api/0123", "http://169.254.170.2/api/0123/"] {
            let agent = Agent::new(address, second).expect("an address");
            assert_eq!(
                agent.state.as_str(),
                "http://169.254.170.2/api/0123/task-protection/v1/state"
            );
        }
        for wrong in ["", "169.254.170.2", "file:///etc/passwd", "mailto:x@y"] {
            assert!(matches!(Agent::new(wrong, second), Err(SetupError::Address(_))), "{wrong}");
        }
    }
}
