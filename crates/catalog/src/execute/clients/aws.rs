//! AWS Lambda functions and Amazon Bedrock knowledge bases.
//!
//! The SDK's own repetitions are off: the rules of the tool's file decide about them.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_bedrockagentruntime as agent;
use aws_sdk_lambda::{
    self as lambda,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use super::super::{Fault, shape};
use crate::tool::{
    KnowledgeBaseQuery, LambdaCall,
    template::{fill_sparse, fill_text},
};

/// An endpoint that does not take the connection by then is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The clients, made at the first use.
pub(super) struct Aws {
    given: Option<SdkConfig>,
    clients: OnceCell<(lambda::Client, agent::Client)>,
}

impl Aws {
    pub(super) fn new(given: Option<SdkConfig>) -> Self {
        Self { given, clients: OnceCell::new() }
    }

    async fn clients(&self) -> &(lambda::Client, agent::Client) {
        self.clients
            .get_or_init(|| async {
                let config = match &self.given {
                    Some(config) => config.clone(),
                    None => aws_config::defaults(BehaviorVersion::latest()).load().await,
                };
                let config = config
                    .into_builder()
                    .retry_config(RetryConfig::disabled())
                    .timeout_config(
                        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build(),
                    )
                    .build();
                (lambda::Client::new(&config), agent::Client::new(&config))
            })
            .await
    }

    pub(super) async fn invoke(
        &self,
        call: &LambdaCall,
        arguments: Map<String, Value>,
    ) -> Result<Value, Fault> {
        let payload = match &call.payload {
            None => Value::Object(arguments),
            Some(template) => {
                let mut filled = template.clone();
                fill_sparse(&mut filled, &arguments);
                filled
            }
        };
        let (client, _) = self.clients().await;
        let answer = client
            .invoke()
            .function_name(&call.function)
            .set_qualifier(call.qualifier.clone())
            .payload(lambda::primitives::Blob::new(payload.to_string()))
            .send()
            .await
            .map_err(|error| describe(&error))?;
        if let Some(kind) = answer.function_error() {
            // What the function says of its failure may hold anything; it stays out of the log.
            let detail = format!("the function failed ({kind})");
            return Err(Fault::passing("The service has a problem.", detail));
        }
        let bytes = answer.payload().map(AsRef::as_ref).unwrap_or_default();
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(json!({"status": "done"}));
        }
        let answer = serde_json::from_slice(bytes).map_err(|error| {
            let detail = format!("the answer is not JSON: {error}");
            Fault::lasting("The service gave no answer that can be read.", detail)
        })?;
        shape::select(answer, call.result.as_deref()).ok_or_else(|| {
            let pointer = call.result.as_deref().unwrap_or_default();
            let detail = format!("the answer has nothing at {pointer}");
            Fault::lasting("The service did not give what was asked for.", detail)
        })
    }

    pub(super) async fn retrieve(
        &self,
        query: &KnowledgeBaseQuery,
        arguments: &Map<String, Value>,
    ) -> Result<Value, Fault> {
        let text = fill_text(&query.query, arguments);
        if text.trim().is_empty() {
            return Err(Fault::lasting("There is nothing to search for.", "the query is empty"));
        }
        let (_, client) = self.clients().await;
        let vector = agent::types::KnowledgeBaseVectorSearchConfiguration::builder()
            .number_of_results(i32::from(query.results))
            .build();
        let configuration = agent::types::KnowledgeBaseRetrievalConfiguration::builder()
            .vector_search_configuration(vector)
            .build();
        let answer = client
            .retrieve()
            .knowledge_base_id(&query.knowledge_base_id)
            .retrieval_query(agent::types::KnowledgeBaseQuery::builder().text(text).build())
            .retrieval_configuration(configuration)
            .send()
            .await
            .map_err(|error| describe(&error))?;
        let least = query.min_score.unwrap_or(0.0);
        let passages: Vec<Value> = answer
            .retrieval_results()
            .iter()
            .filter(|found| found.score().is_none_or(|score| score >= least))
            .filter_map(passage)
            .collect();
        Ok(json!({ "passages": passages }))
    }
}

/// What a model needs of a passage.
fn passage(found: &agent::types::KnowledgeBaseRetrievalResult) -> Option<Value> {
    let text = found.content()?.text();
    if text.trim().is_empty() {
        return None;
    }
    let location = found.location();
    let source = location.and_then(|location| {
        location
            .s3_location()
            .and_then(|place| place.uri())
            .or_else(|| location.web_location().and_then(|place| place.url()))
            .or_else(|| location.confluence_location().and_then(|place| place.url()))
            .or_else(|| location.share_point_location().and_then(|place| place.url()))
            .or_else(|| location.salesforce_location().and_then(|place| place.url()))
    });
    let mut passage = json!({ "text": text });
    if let Some(source) = source {
        passage["source"] = json!(source);
    }
    if let Some(score) = found.score() {
        passage["score"] = json!(score);
    }
    Some(passage)
}

fn describe<E, R>(error: &SdkError<E, R>) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    let detail = match error {
        SdkError::ServiceError(_) => format!("AWS says {code}"),
        other => DisplayErrorContext(other).to_string(),
    };
    match error {
        SdkError::ConstructionFailure(_) => Fault::lasting("The tool is not set up here.", detail),
        SdkError::ServiceError(_) => match code {
            "TooManyRequestsException"
            | "ThrottlingException"
            | "ServiceException"
            | "InternalServerException"
            | "EC2ThrottledException"
            | "ResourceNotReadyException"
            | "ServiceUnavailableException"
            | "DependencyFailedException"
            | "BadGatewayException" => Fault::passing("The service is busy.", detail),
            _ => Fault::lasting("The service refused the request.", detail),
        },
        _ => Fault::passing("The service cannot be reached.", detail),
    }
}
