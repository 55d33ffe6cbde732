//! Tools run: arguments, tables, builtins, refusals.

use std::time::Duration;

use serde_json::json;
use voice_catalog::execute::{self, ToolContext};

use crate::{built, call, context, problems, shipped, with_tool};

#[tokio::test]
async fn static_tables_answer_by_argument() {
    let catalog = shipped();
    let balance =
        call(&catalog, "get_account_balance", json!({"accountId": "4021"})).await.unwrap();
    assert_eq!(balance["balance"], 2481.36);
    let latest = json!({"accountId": "4021", "limit": 2});
    let latest = call(&catalog, "GetRecentTransactions", latest).await.unwrap();
    assert_eq!(latest["transactions"].as_array().unwrap().len(), 2);
    let nowhere = call(&catalog, "find_branch", json!({"city": "Rome"})).await.unwrap();
    assert_eq!(nowhere["branches"], json!([]));
    let wrong = json!({"accountId": "4021", "securityCode": "0000"});
    assert_eq!(call(&catalog, "verify_identity", wrong).await.unwrap()["verified"], false);
    let error =
        call(&catalog, "get_account_balance", json!({"accountId": "9999"})).await.unwrap_err();
    assert_eq!(error.to_result(), json!({"error": "There is no account 9999."}));
}

#[tokio::test]
async fn arguments_that_do_not_fit_come_back_with_what_is_expected() {
    let catalog = shipped();
    let error =
        call(&catalog, "get_account_balance", json!({"accountId": "40"})).await.unwrap_err();
    let result = error.to_result();
    assert!(result["error"].as_str().unwrap().contains("get_account_balance"));
    assert!(result["problems"][0].as_str().unwrap().starts_with("accountId: "), "{result}");
    assert_eq!(result["expected"]["required"], json!(["accountId"]));
    let secret = json!({"accountId": "4021", "securityCode": "11 88"});
    let error = call(&catalog, "verify_identity", secret).await.unwrap_err();
    assert!(!format!("{error} {}", error.to_result()).contains("11 88"), "never repeated: {error}");
    let missing = call(&catalog, "get_account_balance", json!({})).await.unwrap_err();
    assert!(missing.to_string().contains("\"accountId\" is a required property"), "{missing}");
    for wrong in [json!({}), json!(null), json!([1]), json!("no json"), json!(7), json!("[]")] {
        let error = call(&catalog, "get_account_balance", wrong.clone()).await.unwrap_err();
        assert_eq!(error.as_str(), "invalid_arguments", "{wrong}");
        assert!(error.to_result()["expected"].is_object());
    }
}

#[tokio::test]
async fn arguments_encoded_twice_are_understood() {
    let catalog = shipped();
    let input = json!("{\"city\": \"BERLIN\"}");
    let found = call(&catalog, "find_branch", input).await.unwrap();
    assert_eq!(found["branches"][0]["name"], "Meridian Bank Mitte");
    assert!(call(&catalog, "end_call", json!("")).await.is_ok());
}

#[tokio::test]
async fn tools_that_cannot_run_say_so() {
    let (catalog, _) = built(&with_tool(
        r#"{"name": "later", "description": "d", "parameters": {}, "execute": {"kind": "telex"}}"#,
    ));
    let error = call(&catalog, "later", json!({})).await.unwrap_err();
    assert_eq!(error.to_result()["error"], "not available");
    let error = call(&catalog, "never", json!({})).await.unwrap_err();
    assert_eq!(error.to_result()["available"], json!(["later"]));
}

#[tokio::test(start_paused = true)]
async fn a_delay_is_waited_for() {
    let (catalog, _) = built(&with_tool(
        r#"{"name": "slow", "description": "d", "parameters": {},
            "execute": {"kind": "static", "delay_ms": 3000, "fail": "too late"}}"#,
    ));
    let context = context(&catalog);
    let input = json!({});
    let mut run = Box::pin(execute::call("slow", &input, &context));
    assert!(tokio::time::timeout(Duration::from_millis(2900), &mut run).await.is_err());
    let late = tokio::time::timeout(Duration::from_millis(200), run).await.unwrap();
    assert_eq!(late.unwrap_err().to_result(), json!({"error": "too late"}));
}

#[tokio::test]
async fn the_time_is_told_in_the_callers_zone_or_in_the_one_asked_for() {
    let catalog = shipped();
    let there = call(&catalog, "get_current_time", json!({})).await.unwrap();
    let expected = json!({"date": "2026-11-22", "time": "21:15", "weekday": "Sunday",
                          "timezone": "Europe/Berlin", "utcOffset": "+01:00"});
    assert_eq!(there, expected);
    let tokyo =
        call(&catalog, "get_current_time", json!({"timezone": "Asia/Tokyo"})).await.unwrap();
    assert_eq!((&tokyo["weekday"], &tokyo["time"]), (&json!("Monday"), &json!("05:15")));
    let error =
        call(&catalog, "get_current_time", json!({"timezone": "Moon/Sea"})).await.unwrap_err();
    assert!(error.to_result()["error"].as_str().unwrap().contains("IANA"));
    let lost = ToolContext { timezone: Some("../etc/passwd".into()), ..context(&catalog) };
    let utc = execute::call("get_current_time", &json!({}), &lost).await.unwrap();
    assert_eq!((&utc["time"], &utc["timezone"]), (&json!("20:15"), &json!("UTC")));
}

#[tokio::test]
async fn start_workflow_hands_out_linked_workflows_only() {
    let catalog = shipped();
    let started = call(&catalog, "start_workflow", json!({"workflowId": "Banking"})).await.unwrap();
    assert_eq!(started["workflowId"], "banking");
    assert_eq!(started["currentStep"], "start");
    assert!(started["steps"].as_str().unwrap().contains("Call the tool `verify_identity`"));
    let error = call(&catalog, "start_workflow", json!({"workflowId": "x"})).await.unwrap_err();
    assert!(error.to_result()["error"].as_str().unwrap().contains("Use one of: banking."));
    let unlinked = ToolContext { workflows: vec![], ..context(&catalog) };
    let input = json!({"workflowId": "banking"});
    assert!(execute::call("start_workflow", &input, &unlinked).await.is_err());
}

#[tokio::test]
async fn schemas_that_refer_to_themselves_or_to_elsewhere_do_no_harm() {
    let circle = r##"{"type": "object", "allOf": [{"$ref": "#"}]}"##;
    let tool = |schema: &str| {
        with_tool(&format!(
            r#"{{"name": "t", "description": "d", "parameters": {schema},
                "execute": {{"kind": "static", "result": 1}}}}"#
        ))
    };
    let (catalog, _) = built(&tool(circle));
    assert_eq!(call(&catalog, "t", json!({"a": {}})).await, Ok(json!({"result": 1})));
    for elsewhere in ["http://127.0.0.1:1/x", "file:///etc/passwd"] {
        let found = problems(&tool(&format!(r#"{{"$ref": "{elsewhere}"}}"#)));
        assert!(found[0].contains("the schema is not valid"), "{found:?}");
    }
}
