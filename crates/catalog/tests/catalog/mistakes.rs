//! What is wrong with files is reported at once, with place and remedy.

use std::path::{Path, PathBuf};

use voice_catalog::{Dirs, Limits, Rules, Severity, Snapshot, SourceFile, Sources};

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
        "prompts/persona-p.txt:3:16: error: `workflows` names `gone`",
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
        "workflows/workflow-x.json:1:12: warning: nothing comes after `s`",
        "workflows/workflow-x.json:2:2: error: no way leads from the start to `t`",
        "workflows/workflow-x.json:2:42: error: there is no tool `none`",
        "workflows/workflow-x.json:3:2: error: no way leads from the start to `u`",
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

fn workflow(text: &str) -> Sources {
    Sources { workflows: files(&[("workflow-w.json", text)]), ..Sources::default() }
}

#[test]
fn every_step_is_reached() {
    let graph = "{\"nodes\": [{\"id\": \"s\", \"type\": \"start\"},\n {\"id\": \"t\"}, {\"id\": \
                 \"u\", \"type\": \"end\"}],\n \"edges\": [{\"from\": \"s\", \"to\": \"u\"}]}";
    let found = problems(&workflow(graph));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with("workflows/workflow-w.json:2:2: error: no way leads"),
        "{found:?}"
    );
}

#[test]
fn ways_that_make_no_sense_are_warnings() {
    let graph = r#"{"nodes": [{"id": "s", "type": "start"}, {"id": "a"}, {"id": "e", "type": "end"}],
        "edges": [{"from": "s", "to": "a"}, {"from": "s", "to": "e"}, {"from": "e", "to": "s"},
        {"from": "s", "to": "a"}]}"#;
    let (_, warnings) = built(&workflow(graph));
    let pointers: Vec<_> = warnings.iter().filter_map(|w| w.pointer.as_deref()).collect();
    assert_eq!(pointers, ["/nodes/1", "/nodes/2", "/edges/3"], "{warnings:#?}");
    assert!(warnings.iter().all(|warning| warning.severity == Severity::Warning));
}

/// Ten mistakes in a folder on a disk, and what is said of each: place, mistake, remedy.
#[test]
fn ten_planted_mistakes_are_ten_reports() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let dirs =
        Dirs { tools: folder("tools"), workflows: folder("workflows"), prompts: folder("prompts") };
    let runs = r#""execute": {"kind": "static", "result": 1}"#;
    let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
    let tool = |name: &str, text: &str| write(&dirs.tools.join(name), text);
    let good = format!(r#"{{"name": "good", "description": "d", "parameters": {{}}, {runs}}}"#);
    tool("good.json", &good);
    tool("comma.json", "{\n  \"name\": \"comma\",\n}");
    tool(
        "again.json",
        &format!(
            "{{\"description\": \"d\",\n \"parameters\": {{}}, {runs},\n \"name\": \"good\"}}"
        ),
    );
    tool(
        "schema.json",
        &format!(
            "{{\"name\": \"schema\", \"description\": \"d\", {runs},\n \"parameters\": {{\"type\": \"object\",\n \"required\": \"x\"}}}}"
        ),
    );
    tool(
        "name.json",
        &format!(
            "{{\n \"name\": \"look up\", \"description\": \"d\", \"parameters\": {{}}, {runs}}}"
        ),
    );
    write(
        &dirs.workflows.join("workflow-a.json"),
        "{\"gating\": \"strict\", \"nodes\": [\n {\"id\": \"s\", \"type\": \"start\"},\n {\"id\": \"t\", \
         \"type\": \"tool\", \"toolName\": \"missing\"},\n {\"id\": \"e\", \"type\": \"end\"}],\n \
         \"edges\": [{\"from\": \"s\", \"to\": \"t\"},\n {\"from\": \"t\", \"to\": \"e\"}]}",
    );
    write(
        &dirs.workflows.join("workflow-b.json"),
        "{\"nodes\": [{\"id\": \"s\", \"type\": \"start\"},\n {\"id\": \"island\"}, {\"id\": \"e\", \
         \"type\": \"end\"}],\n \"edges\": [{\"from\": \"s\", \"to\": \"e\"}]}",
    );
    write(
        &dirs.prompts.join("persona-a.txt"),
        "Hello.\nToday is {{today}}.\n---\n{\n  \"voiceId\": \"nobody\",\n  \"tools\": [\"good\", 5]\n}",
    );
    write(&dirs.prompts.join("persona-b.txt"), "Hello.\n---\n{\"workflows\": [\n \"gone\"]}");
    let rules = Rules { voices: vec!["tiffany".into()], ..Rules::default() };
    let problems = Snapshot::load_by(&dirs, &rules).unwrap_err();
    let expected = [
        ("prompts/persona-a.txt:2:10: error: there is no variable `today`", "{{date}}"),
        ("prompts/persona-a.txt:5:14: error: there is no voice `nobody`", "tiffany"),
        (
            "prompts/persona-a.txt:6:21: error: item 1 of `tools` cannot be a number",
            "tools the persona",
        ),
        ("prompts/persona-b.txt:4:2: error: `workflows` names `gone`", "Correct the id"),
        ("tools/comma.json:3:1: error: this is not valid JSON: trailing comma", "Correct the JSON"),
        ("tools/good.json:1:10: error: the name `good` is taken by again.json", "of its own"),
        ("tools/name.json:2:10: error: `look up` cannot be the name", "Use letters"),
        ("tools/schema.json:3:14: error: the schema is not valid", "Correct it"),
        (
            "workflows/workflow-a.json:1:12: error: `gating` cannot be \"strict\"",
            "Use one of enforce, advise.",
        ),
        ("workflows/workflow-a.json:3:42: error: there is no tool `missing`", "add the tool"),
        (
            "workflows/workflow-b.json:2:2: error: no way leads from the start to `island`",
            "Add an edge",
        ),
    ];
    let found: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, (begins, remedy)) in found.iter().zip(expected) {
        assert!(
            found.starts_with(begins) && found.contains(remedy),
            "{found}\nis not\n{begins} … {remedy}"
        );
    }
}

#[test]
fn a_slip_in_a_key_and_a_key_that_stands_twice_are_warnings() {
    let text = r#"{"name": "a", "description": "d", "parameters": {}, "instrution": "i",
        "category": "x", "category": "y", "execute": {"kind": "static", "result": 1, "delayMs": 5}}"#;
    let (_, warnings) = built(&crate::with_tool(text));
    let found: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(
        found[0].contains("1:53: warning: the key `instrution`")
            && found[0].contains("`instruction`")
    );
    assert!(found[1].contains("2:26: warning: `category` stands twice"), "{found:#?}");
    assert!(found[2].contains("2:97: warning: `delayMs`"), "{found:#?}");
}

#[test]
fn a_voice_of_another_model_is_a_warning() {
    let rules = Rules {
        voices: vec!["tiffany".into()],
        other_voices: vec!["olivia".into()],
        ..Rules::default()
    };
    let text = "Hello.\n---\n{\"voiceId\": \"olivia\"}";
    let sources = Sources { prompts: files(&[("persona-a.txt", text)]), ..Sources::default() };
    let (_, warnings) = Snapshot::build_by(&sources, &rules).unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].to_string().starts_with("prompts/persona-a.txt:3:13: warning:"));
}

#[test]
fn what_the_model_could_not_take_is_refused() {
    let long = "x".repeat(3000);
    let tool = format!(
        r#"{{"name": "{}", "description": "{long}", "parameters": {{}},
        "execute": {{"kind": "static", "result": 1}}}}"#,
        "n".repeat(65)
    );
    let sources = Sources {
        tools: files(&[("a.json", &tool)]),
        workflows: Vec::new(),
        prompts: files(&[("persona-a.txt", &long)]),
    };
    let limits = Limits {
        tool: 2000,
        tools: 0,
        tools_total: 2500,
        system_prompt: 2500,
        ..Limits::default()
    };
    let found = Snapshot::build_by(&sources, &Rules { limits, ..Rules::default() }).unwrap_err();
    let found: Vec<String> = found.0.iter().map(ToString::to_string).collect();
    let expected = [
        "prompts/persona-a.txt:1:1: error: with speech, guardrails",
        "prompts/persona-a.txt:1:1: error: this persona offers 1 tools, at most 0",
        "prompts/persona-a.txt:1:1: error: the tools of this persona have",
        "tools/a.json:1:1: error: description, instruction and schema have",
        "tools/a.json:1:10: error: the name has 65 letters",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\nis not\n{expected}");
    }
}

#[test]
fn workflows_that_lead_into_each_other_in_a_circle_are_warned_of() {
    let graph = |inner: &str| {
        format!(
            r#"{{"nodes": [{{"id": "s", "type": "start"}},
 {{"id": "w", "type": "workflow", "workflowId": "{inner}"}},
 {{"id": "e", "type": "end"}}],
 "edges": [{{"from": "s", "to": "w"}}, {{"from": "w", "to": "e"}}]}}"#
        )
    };
    let (a, b, c) = (graph("b"), graph("c"), graph("a"));
    let outside = graph("a");
    let sources = Sources {
        workflows: files(&[
            ("workflow-a.json", &a),
            ("workflow-b.json", &b),
            ("workflow-c.json", &c),
            ("workflow-d.json", &outside),
        ]),
        ..Sources::default()
    };
    let (_, warnings) = built(&sources);
    let found: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let circles: Vec<_> = found.iter().filter(|what| what.contains("leads back")).collect();
    assert_eq!(circles.len(), 3, "{found:?}");
    assert!(circles[0].starts_with("workflows/workflow-a.json:2:"), "{circles:?}");
    assert!(!found.iter().any(|what| what.contains("workflow-d")), "{found:?}");
}
