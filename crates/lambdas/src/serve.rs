//! The shell of both functions: Lambda's runtime on one side, HTTP to the bridge on the other.
//!
//! What is decided is decided by [`Event`], [`Plan`] and [`reply`]. Called by the two binaries.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde_json::{Value, json};
use voice_access::signature::{self, NONCE_HEADER, SIGNATURE_HEADER, TIME_HEADER};

use crate::{
    Function,
    event::{BadEvent, Event},
    plan::{Attempt, Failure, GaveUp, Next, Plan},
    reply::{self, Reply},
    settings::{Settings, is_url},
};

/// How long a connection may take: tasks of the bridge are in the same network.
const CONNECT: Duration = Duration::from_secs(1);
/// The largest answer that is read.
const LARGEST: usize = 256 * 1024;
/// A function that is told when it will be killed stops so long before.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Runs a function until Lambda ends it.
///
/// # Errors
/// When the environment is wrong, or there is no runtime to ask for events.
pub fn serve(function: Function) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_ansi(false)
        // CloudWatch has its own.
        .without_time()
        .with_max_level(tracing::Level::INFO)
        .init();
    let settings = Settings::read(|name| std::env::var(name).ok()).map_err(anyhow::Error::msg)?;
    let client = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let asker = Arc::new(Asker { function, settings, client });
    // One event at a time is all that Lambda gives to a process.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime
        .block_on(lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| {
            let asker = asker.clone();
            async move { Ok::<Reply, std::convert::Infallible>(asker.answer(event).await) }
        })))
        .map_err(|error| anyhow::anyhow!(error))
}

/// What every invocation needs.
struct Asker {
    function: Function,
    settings: Settings,
    client: reqwest::Client,
}

/// What is asked, and what is answered when nobody does.
struct Question {
    path: &'static str,
    body: Value,
    owner: Option<String>,
    can_adopt: bool,
    session_id: String,
    /// The key of the turn before.
    after: String,
}

impl Asker {
    /// Whatever comes, there is an answer.
    async fn answer(&self, event: LambdaEvent<Value>) -> Reply {
        let until = self.until(&event.context);
        let question = match self.question(event.payload) {
            Ok(question) => question,
            Err(why) => {
                tracing::error!(%why, "the event cannot be used");
                return reply::apology(
                    "",
                    "",
                    &self.settings.apology,
                    "The assistant cannot start.",
                );
            }
        };
        let (session_id, after) = (&question.session_id, &question.after);
        match self.ask(&question, until).await {
            Ok(reply) => reply,
            Err(GaveUp::OwnerSilent) => {
                tracing::warn!(
                    session = session_id,
                    "the owner is silent; another task comes next"
                );
                let resume = question.body["resume"].as_str().unwrap_or_default();
                reply::ask_elsewhere(session_id, after, resume)
            }
            Err(GaveUp::Because(why)) => {
                tracing::error!(session = session_id, why, "the caller goes to a human");
                let reason = "The assistant cannot be reached.";
                reply::apology(session_id, after, &self.settings.apology, reason)
            }
        }
    }

    /// The budget, or less when Lambda ends the function before.
    fn until(&self, context: &Context) -> Instant {
        let budget = self.settings.budget;
        let killed = UNIX_EPOCH + Duration::from_millis(context.deadline);
        let left = killed.duration_since(SystemTime::now()).unwrap_or_default();
        Instant::now() + budget.min(left.saturating_sub(LAST_WORDS))
    }

    fn question(&self, event: Value) -> Result<Question, BadEvent> {
        let event = Event::read(event)?;
        Ok(match self.function {
            Function::StartBotSession => {
                let call = event.call()?;
                let id = call["contactId"].as_str().unwrap_or_default();
                Question {
                    path: "/start",
                    session_id: format!("connect-{id}"),
                    body: call,
                    owner: None,
                    can_adopt: false,
                    after: String::new(),
                }
            }
            Function::ProcessBotTurn => {
                let turn = event.turn()?;
                Question {
                    path: "/turn",
                    body: json!({"sessionId": turn.session_id, "turnKey": turn.key,
                        "owner": turn.owner, "contact": turn.contact, "resume": turn.resume}),
                    can_adopt: turn.contact.is_some(),
                    owner: turn.owner.filter(|owner| is_url(owner)),
                    session_id: turn.session_id,
                    after: turn.after,
                }
            }
        })
    }

    async fn ask(&self, question: &Question, until: Instant) -> Result<Reply, GaveUp> {
        let owner = question.owner.as_deref();
        let mut plan = Plan::new(&self.settings.bridge, owner, question.can_adopt, until);
        let mut why = "there is no time".to_owned();
        while let Some(attempt) = plan.attempt(Instant::now()) {
            let failure = match self.send(question, &attempt).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            tracing::warn!(at = attempt.at, adopt = attempt.adopt, ?failure, "asked in vain");
            why = format!("{failure:?}, and there is no time left");
            match plan.failed(failure) {
                Next::Again(pause) => tokio::time::sleep(pause).await,
                Next::GiveUp(gave_up) => return Err(gave_up),
            }
        }
        Err(GaveUp::Because(why))
    }

    async fn send(&self, question: &Question, attempt: &Attempt) -> Result<Reply, Failure> {
        let mut body = question.body.clone();
        body["waitMs"] = json!(u64::try_from(attempt.wait.as_millis()).unwrap_or(u64::MAX));
        if attempt.adopt {
            body["adopt"] = json!(true);
        }
        let body = body.to_string();
        let mut request = self
            .client
            .post(format!("{}{}", attempt.at, question.path))
            .header("content-type", "application/json")
            .timeout(attempt.timeout);
        if let Some(key) = &self.settings.key {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let nonce = uuid::Uuid::new_v4().simple().to_string();
            let signature = signature::sign(key, now, &nonce, question.path, body.as_bytes());
            request = request
                .header(TIME_HEADER, now)
                .header(NONCE_HEADER, nonce)
                .header(SIGNATURE_HEADER, signature);
        }
        let response = request.body(body).send().await.map_err(failure)?;
        let status = response.status().as_u16();
        let answer = read(response).await?;
        if status == 200 {
            let no_answer = || Failure::Status(502, "this is no answer of a bridge".to_owned());
            return reply::of_bridge(answer).ok_or_else(no_answer);
        }
        Err(match status {
            421 => Failure::Elsewhere(
                answer["owner"].as_str().filter(|owner| is_url(owner)).map(str::to_owned),
            ),
            404 if answer["error"]["code"] == "unknown_session" => Failure::Unknown,
            _ => {
                let said = answer["error"]["message"].as_str().unwrap_or("without a word");
                Failure::Status(status, said.to_owned())
            }
        })
    }
}

/// The body of an answer, if it is not too large; what is no JSON is null.
async fn read(mut response: reqwest::Response) -> Result<Value, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > LARGEST {
            return Err(Failure::Status(502, "the answer is too large".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}

fn failure(error: reqwest::Error) -> Failure {
    // A connection that is not made in time counts as none.
    if error.is_timeout() && !error.is_connect() {
        return Failure::Slow;
    }
    let mut why = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        why = format!("{why}: {cause}");
        source = cause.source();
    }
    Failure::Broken(why)
}
