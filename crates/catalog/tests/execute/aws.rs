//! `lambda` and `knowledge_base` tools, against endpoints that speak the services' REST-JSON
//! (the Lambda `Invoke` and the Bedrock `Retrieve` operation of the AWS API references).

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use serde_json::{Value, json};
use voice_catalog::execute::{ClientOptions, Executors, SdkConfig};

use crate::{
    backend::{Backend, Reply},
    one_tool, run, told,
};

fn executors(backend: &Backend) -> Executors {
    let keys = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .endpoint_url(backend.url(""))
        .build();
    let options = ClientOptions { aws: Some(config), ..ClientOptions::default() };
    Executors::with_clients(options).unwrap()
}

#[tokio::test]
async fn a_function_is_invoked_with_the_arguments() {
    let backend = Backend::start(|_| {
        Reply::Json(200, json!({"statusCode": 200, "body": "{\"balance\": 7}"}))
    })
    .await;
    let catalog = one_tool(json!({
        "kind": "lambda", "function": "bank-balance", "qualifier": "live",
        "payload": {"account": "{accountId}", "missing": "{missing}"}, "result": "/body"
    }));
    let answer = run(&executors(&backend), &catalog, json!({"accountId": 4021})).await.unwrap();
    assert_eq!(answer, json!({"balance": 7}));
    let seen = &backend.seen()[0];
    assert_eq!(seen.method, "POST");
    assert_eq!(seen.target, "/2015-03-31/functions/bank-balance/invocations?Qualifier=live");
    assert_eq!(serde_json::from_str::<Value>(&seen.body).unwrap(), json!({"account": 4021}));
    assert!(seen.header("authorization").unwrap().contains("/us-east-1/lambda/aws4_request"));
}

#[tokio::test]
async fn a_function_that_fails_is_told_without_its_inner_life() {
    let backend = Backend::start(|seen| match seen.target.split('/').nth(3).unwrap() {
        "throws" => Reply::Text(
            200,
            vec![("x-amz-function-error", "Unhandled".to_owned())],
            json!({"errorMessage": "password is x", "errorType": "Error"}).to_string(),
        ),
        "gone" => Reply::Text(
            404,
            vec![("x-amzn-errortype", "ResourceNotFoundException".to_owned())],
            json!({"Message": "Function not found"}).to_string(),
        ),
        "busy" => Reply::Text(
            429,
            vec![("x-amzn-errortype", "TooManyRequestsException".to_owned())],
            json!({"message": "Rate exceeded"}).to_string(),
        ),
        "text" => Reply::Text(200, vec![], "no json".to_owned()),
        _ => Reply::Close,
    })
    .await;
    let executors = executors(&backend);
    for (function, expected) in [
        ("throws", "The service has a problem."),
        ("gone", "The service refused the request."),
        ("busy", "The service is busy."),
        ("text", "The service gave no answer that can be read."),
        ("closes", "The service cannot be reached."),
    ] {
        let catalog = one_tool(json!({"kind": "lambda", "function": function}));
        assert_eq!(told(run(&executors, &catalog, json!({})).await), expected, "{function}");
    }
    let asked = backend.seen().len();
    let catalog = one_tool(json!({
        "kind": "lambda", "function": "busy", "idempotent": true, "retries": 1
    }));
    run(&executors, &catalog, json!({})).await.unwrap_err();
    assert_eq!(backend.seen().len() - asked, 2, "the file decides, not the SDK");
}

#[tokio::test]
async fn passages_of_a_knowledge_base_come_with_their_source() {
    let backend = Backend::start(|_| {
        Reply::Json(
            200,
            json!({"retrievalResults": [
                {"content": {"text": "Cards are blocked at once."}, "score": 0.81,
                 "location": {"type": "S3", "s3Location": {"uri": "s3://docs/cards.pdf"}}},
                {"content": {"text": "Unlikely."}, "score": 0.1}
            ]}),
        )
    })
    .await;
    let catalog = one_tool(json!({
        "kind": "knowledge_base", "knowledge_base_id": "ABCDEFGHIJ", "query": "bank: {question}",
        "results": 3, "min_score": 0.4
    }));
    let executors = executors(&backend);
    let answer = run(&executors, &catalog, json!({"question": "lost card"})).await.unwrap();
    let passage = json!({"text": "Cards are blocked at once.", "source": "s3://docs/cards.pdf",
                         "score": 0.81});
    assert_eq!(answer, json!({"passages": [passage]}));
    let seen = &backend.seen()[0];
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/knowledgebases/ABCDEFGHIJ/retrieve")
    );
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body["retrievalQuery"]["text"], "bank: lost card");
    let count = "/retrievalConfiguration/vectorSearchConfiguration/numberOfResults";
    assert_eq!(body.pointer(count), Some(&json!(3)));
}

/// Set in the child process that takes everything from its environment.
const CHILD: &str = "AWS_TEST_CHILD";

#[tokio::test]
async fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let executors = Executors::with_clients(ClientOptions::default()).unwrap();
    let lambda = one_tool(json!({"kind": "lambda", "function": "f"}));
    assert_eq!(run(&executors, &lambda, json!({})).await.unwrap(), json!({"answer": 1}));
    let search =
        one_tool(json!({"kind": "knowledge_base", "knowledge_base_id": "A", "query": "q"}));
    assert_eq!(run(&executors, &search, json!({})).await.unwrap(), json!({"passages": []}));
}

#[tokio::test]
async fn the_environment_leads_the_clients_elsewhere() {
    let backend = Backend::start(|_| Reply::Json(200, json!({"answer": 1}))).await;
    let search = Backend::start(|_| Reply::Json(200, json!({"retrievalResults": []}))).await;
    let output = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "aws::child"])
        .env(CHILD, "1")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("AWS_ENDPOINT_URL_LAMBDA", backend.url(""))
        .env("AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME", search.url(""))
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((backend.seen().len(), search.seen().len()), (1, 1));
}
