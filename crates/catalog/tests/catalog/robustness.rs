//! No content of any file makes the catalog panic.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use voice_catalog::{PromptRequest, Snapshot, SourceFile, Sources, execute};

use crate::{context, files, with_tool};

/// JSON that looks like our files often enough to get past the first check.
fn plausible() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(vec![
        "name",
        "description",
        "input_schema",
        "parameters",
        "properties",
        "type",
        "execute",
        "kind",
        "rows",
        "match",
        "result",
        "fail",
        "default",
        "take",
        "delay_ms",
        "nodes",
        "edges",
        "id",
        "from",
        "to",
        "label",
        "toolName",
        "workflowId",
        "required_context",
        "gating",
        "toolname",
        "voiceId",
        "workflows",
        "endpointingSensitivity",
        "tools",
        "json",
        "$ref",
        "pattern",
        "required",
        "/a",
        "x",
    ]);
    let text = prop::sample::select(vec![
        "",
        "a",
        "x",
        "static",
        "builtin",
        "end_call",
        "object",
        "start",
        "tool",
        "{x}",
        "{",
        "#",
        "*",
        "start_workflow",
        "ä",
        "\u{0}",
        "(",
        "advise",
        "HIGH",
        "#/properties/x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|pairs| {
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }),
        ]
    })
}

/// Uses a snapshot in every way that needs no clock.
fn exercise(sources: &Sources) {
    match Snapshot::build(sources) {
        Err(problems) => assert!(problems.errors() > 0 && !problems.to_string().is_empty()),
        Ok((catalog, _)) => {
            let ids: Vec<String> = catalog.workflows().iter().map(|w| w.id.clone()).collect();
            let request = PromptRequest { workflows: &ids, ..PromptRequest::default() };
            assert!(catalog.system_prompt(&request).is_ok());
            catalog.offered_tools(None, &ids);
            let context = context(&Arc::new(catalog));
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            for tool in context.catalog.tools() {
                for input in [json!({}), json!({"x": 1, "a": [null]}), json!("{}")] {
                    let answer = runtime.block_on(execute::run(tool, &input, &context));
                    answer.unwrap_or_else(|error| error.to_result());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_in_a_file_make_the_loader_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        text in "(\\{\\{date\\}\\}|\\{|\\}|\"|:|,|\\[|---\n|\n|[a-z ä]){0,40}",
    ) {
        let both = |name: &str, other: &str| {
            vec![SourceFile::new(name, bytes.clone()), SourceFile::new(other, text.clone())]
        };
        exercise(&Sources {
            tools: both("a.json", "b.json"),
            workflows: both("workflow-a.json", "workflow_b.json"),
            prompts: both("persona-a.txt", "core-b.txt"),
        });
    }

    #[test]
    fn no_json_in_a_file_makes_the_loader_or_a_tool_panic(
        parts in (plausible(), plausible(), plausible(), plausible()),
        tail in plausible(),
    ) {
        let (schema, execute, nodes, edges) = parts;
        let tool = json!({"name": "t", "description": "d", "parameters": schema, "execute": execute});
        let bare = json!({"name": "u", "description": "d", "parameters": {}, "execute": execute});
        let table = json!({"name": "v", "description": "d", "parameters": {},
            "execute": {"kind": "static", "result": nodes, "rows": edges, "take": {"/x": "x"}}});
        for text in [tool.to_string(), bare.to_string(), table.to_string(), schema.to_string()] {
            exercise(&with_tool(&text));
        }
        let graph = json!({"nodes": nodes, "edges": edges});
        exercise(&Sources {
            workflows: files(&[("workflow-a.json", &graph.to_string())]),
            prompts: files(&[("persona-a.txt", &format!("Text\n---\n{tail}"))]),
            ..Sources::default()
        });
    }
}
