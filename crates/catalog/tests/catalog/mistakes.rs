//! What is wrong with files is reported at once, with place and remedy.

use std::path::PathBuf;

use voice_catalog::{Dirs, Severity, Snapshot, SourceFile, Sources};

use crate::{built, files, problems};

#[test]
fn every_mistake_is_reported_with_its_place() {
    let sources = Sources {
        tools: files(&[
            ("a.json", "{\n  \"name\": \"a b\",\n  \"description\": \"\",\n  \"parameters\": 3\n}"),
            ("b.json", "{\n  \"name\": \"ok\",\n  oops\n}"),
            (
                "c.json",
                "{\"name\": \"c\", \"description\": \"d\", \"parameters\":\n {\"type\": \"array\"}}",
            ),
            (
                "d.json",
                "{\"name\": \"d\", \"description\": \"d\", \"parameters\":\n {\"type\": \"object\", \
                 \"properties\": {\"x\": {\"type\": \"strin\"}}}}",
            ),
            (
                "e.json",
                r#"{"name": "same", "description": "d", "parameters": {}, "execute": {"kind": "static", "result": "{who}"}}"#,
            ),
            (
                "f.json",
                r#"{"name": "same", "description": "d", "parameters": {"properties": {"a": {}}}, "execute": {"kind": "static", "result": "{who}"}}"#,
            ),
            (
                "g.json",
                r#"{"name": "same", "description": "d", "parameters": {}, "execute": {"kind": "builtin"}}"#,
            ),
        ]),
        workflows: files(&[
            (
                "workflow-w.json",
                "{\"nodes\": [{\"id\": \"a\", \"type\": \"tool\", \"toolName\": \"none\"}],\n \
                 \"edges\": [{\"from\": \"a\",\n \"to\": \"z\"}]}",
            ),
            (
                "workflow-x.json",
                "{\"nodes\": [{\"id\": \"s\", \"type\": \"start\"},\n {\"id\": \"t\", \"type\": \
                 \"tool\", \"toolName\": \"none\"},\n {\"id\": \"u\", \"type\": \"tool\", \
                 \"toolName\": \"b\"}], \"edges\": []}",
            ),
        ]),
        prompts: vec![
            SourceFile::new("persona-p.txt", "Text\n---\n{\"workflows\": [\"gone\"]}"),
            SourceFile::new("core-q.txt", b"ab\n\xff".to_vec()),
        ],
    };
    let found = problems(&sources);
    let expected = [
        "prompts/core-q.txt:2:1: error: this is not UTF-8",
        "prompts/persona-p.txt:2:1: error: `workflows` names `gone`",
        "tools/a.json:2:11: error: `a b` cannot be the name",
        "tools/a.json:3:18: error: the tool has no description",
        "tools/a.json:4:17: error: the schema is a number",
        "tools/b.json:3:3: error: this is not valid JSON",
        "tools/c.json:1:1: warning: nothing says how `c` is executed",
        "tools/c.json:2:11: error: the arguments of a tool are always an object",
        "tools/d.json:1:1: warning: nothing says how `d` is executed",
        "tools/d.json:2:50: error: the schema is not valid",
        "tools/f.json:1:119: error: `who` is not an argument",
        "tools/g.json:1:67: error: there is no builtin named `same`",
        "workflows/workflow-w.json:1:11: error: no node is the start",
        "workflows/workflow-w.json:1:52: error: there is no tool `none`",
        "workflows/workflow-w.json:3:8: error: there is no node `z`",
        "workflows/workflow-x.json:2:2: warning: no way leads from the start to `t`",
        "workflows/workflow-x.json:2:42: error: there is no tool `none`",
        "workflows/workflow-x.json:3:2: warning: no way leads from the start to `u`",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\nis not\n{expected}");
    }
}

#[test]
fn a_name_is_taken_only_once() {
    let tool = r#"{"name": "same", "description": "d", "parameters": {}}"#;
    let graph = r#"{"id": "w", "nodes": [{"id": "s", "type": "start"}], "edges": []}"#;
    let sources = Sources {
        tools: files(&[("a.json", tool), ("b.json", tool)]),
        workflows: files(&[("workflow-a.json", graph), ("workflow-b.json", graph)]),
        prompts: files(&[
            ("persona-a.txt", "a\n---\n{\"default\": true}"),
            ("persona-b.txt", "b\n---\n{\"default\": true}"),
        ]),
    };
    let found: Vec<String> =
        problems(&sources).into_iter().filter(|problem| problem.contains(": error: ")).collect();
    assert!(found[0].contains("`persona-a` is the default persona already"), "{found:#?}");
    assert!(found[1].contains("tools/b.json:1:10: error: the name `same` is taken by a.json"));
    assert!(found[2].contains("the workflow id `w` is taken by workflow-a.json"));
    assert_eq!(found.len(), 3);
}

#[test]
fn a_missing_folder_names_its_variable_and_nothing_else_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("broken.json"), "{").unwrap();
    std::fs::create_dir(dir.path().join("folder.json")).unwrap();
    let dirs = Dirs {
        tools: dir.path().to_path_buf(),
        workflows: PathBuf::from("/nowhere/at/all"),
        prompts: dir.path().to_path_buf(),
    };
    let problems = Snapshot::load(&dirs).unwrap_err();
    assert_eq!(problems.errors(), 2, "{problems}");
    assert_eq!(problems.0[0].file, "tools/broken.json");
    assert!(problems.0[1].remedy.contains("WORKFLOWS_DIR"));
}

#[test]
fn a_step_out_of_reach_is_a_warning() {
    let graph = "{\"nodes\": [{\"id\": \"s\", \"type\": \"start\"},\n {\"id\": \"t\"}, {\"id\": \
                 \"u\"}],\n \"edges\": [{\"from\": \"s\", \"to\": \"u\"}]}";
    let sources = Sources { workflows: files(&[("workflow-w.json", graph)]), ..Sources::default() };
    let (_, warnings) = built(&sources);
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].severity, Severity::Warning);
    assert_eq!((warnings[0].line, warnings[0].column), (Some(2), Some(2)));
}
