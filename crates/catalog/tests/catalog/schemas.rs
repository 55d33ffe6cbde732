//! The published JSON Schemas: fresh, and as generous as the readers.

use std::path::Path;

use serde_json::{Value, json};
use voice_catalog::schema::Format;

use crate::shipped;

#[test]
fn the_published_schemas_are_not_stale() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    for format in Format::ALL {
        let path = folder.join(format.file_name());
        let published = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
        assert!(
            published == format.to_text(),
            "schemas/{} is stale: run `cargo run -- check --schemas schemas` and commit it",
            format.file_name()
        );
    }
}

#[test]
fn an_editor_accepts_what_the_server_accepts() {
    let catalog = shipped();
    let validator = |format: Format| jsonschema::validator_for(format.schema()).unwrap();
    let (tool, workflow, prompt) =
        (validator(Format::Tool), validator(Format::Workflow), validator(Format::Prompt));
    let check = |validator: &jsonschema::Validator, value: &Value| {
        let errors: Vec<String> = validator.iter_errors(value).map(|e| e.to_string()).collect();
        assert_eq!(errors, [""; 0], "{value}");
    };
    catalog.tools().iter().for_each(|one| check(&tool, one.raw()));
    catalog.workflows().iter().for_each(|one| check(&workflow, one.raw()));
    catalog.prompts().iter().for_each(|one| check(&prompt, &one.config.clone().into()));
    // Older files: numbers for ids, one name instead of a list, tools as objects, unknown keys.
    check(
        &workflow,
        &json!({"nodes": [{"id": 1, "type": "start", "x": 3}, {"id": "e",
        "required_context": "accountId"}], "edges": [{"from": 1, "to": "e", "label": null}],
        "tools": ["a", {"name": "b"}], "testConfig": {}, "metadata": [1], "persona": {"a": 1}}),
    );
    let of_server = json!({"name": "t", "execute": {"kind": "mcp", "server": "s"}});
    check(&tool, &of_server);
    for key in ["input_schema", "inputSchema", "parameters"] {
        check(&tool, &json!({"name": "t", "description": "d", key: {"json": {}}}));
    }
}

#[test]
fn an_editor_refuses_what_the_server_refuses() {
    let refused = [
        (Format::Tool, json!({"description": "no name"})),
        (Format::Tool, json!({"name": "a"})),
        (Format::Tool, json!({"name": "a b", "description": "d"})),
        (Format::Tool, json!({"name": "a", "description": "d", "execute": {"kind": "magic"}})),
        (Format::Workflow, json!({"nodes": [{"label": "no id"}], "edges": []})),
        (Format::Workflow, json!({"nodes": [], "edges": [], "gating": "maybe"})),
        (Format::Prompt, json!({"voiceId": 3})),
        (Format::Prompt, json!({"endpointingSensitivity": "EXTREME"})),
    ];
    for (format, value) in refused {
        let validator = jsonschema::validator_for(format.schema()).unwrap();
        assert!(!validator.is_valid(&value), "{value}");
    }
}
