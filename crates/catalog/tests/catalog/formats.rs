//! Files of the existing formats load unmodified.

use serde_json::json;
use voice_catalog::{Executor, PromptKind, Severity, Sources};

use crate::{built, files, with_tool};

#[test]
fn the_schema_is_found_under_all_three_spellings() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    for key in ["input_schema", "inputSchema", "parameters"] {
        for schema in [schema.clone(), json!({"json": schema})] {
            let file = json!({"name": "T", "description": "d", key: schema, "strange": [1]});
            let (catalog, warnings) = built(&with_tool(&file.to_string()));
            let tool = catalog.tool("t").unwrap();
            assert_eq!(tool.input_schema["properties"]["a"]["type"], "string");
            assert_eq!(tool.raw(), &file, "the file is kept as it was");
            assert_eq!(tool.file, "t.json", "the file's name is not the tool's");
            assert_eq!(tool.execute, Executor::None);
            assert_eq!(warnings.len(), 1, "nothing says how it is executed");
        }
    }
}

#[test]
fn both_names_of_workflow_files_are_read_and_others_are_ignored() {
    let graph = r#"{"nodes": [{"id": 1, "type": "start"}], "edges": [], "title": "T"}"#;
    let sources = Sources {
        workflows: files(&[
            ("workflow-a.json", graph),
            (
                "workflow_b.json",
                r#"{"id": "B2", "nodes": [{"id": "s", "type": "start"}], "edges": []}"#,
            ),
            ("notes.json", "{}"),
        ]),
        ..Sources::default()
    };
    let (catalog, warnings) = built(&sources);
    let ids: Vec<&str> = catalog.workflows().iter().map(|workflow| workflow.id.as_str()).collect();
    assert_eq!(ids, ["a", "B2"]);
    assert_eq!(catalog.workflow("b").unwrap().id, "B2", "found by its file's name as well");
    assert_eq!(catalog.workflow("a").unwrap().name, "T");
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].file, "workflows/notes.json");
    assert_eq!(warnings[0].severity, Severity::Warning);
}

#[test]
fn prefixes_say_what_a_prompt_is_for() {
    let sources = Sources {
        prompts: files(&[
            ("core-x.txt", "core"),
            ("hidden-y.txt", "hidden"),
            ("other.txt", "plain"),
            ("persona-z.txt", "\u{feff}persona"),
        ]),
        ..Sources::default()
    };
    let (catalog, _) = built(&sources);
    let kinds: Vec<PromptKind> = catalog.prompts().iter().map(|prompt| prompt.kind).collect();
    let all = [PromptKind::Core, PromptKind::Hidden, PromptKind::Plain, PromptKind::Persona];
    assert_eq!(kinds, all);
    assert_eq!(catalog.persona("z").unwrap().content, "persona", "a byte order mark is not text");
}
