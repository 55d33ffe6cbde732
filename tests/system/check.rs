//! `voice-s2s check`: the program as an editor or a pipeline calls it.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

/// Runs the program in the repository, with nothing of our own environment but what it needs.
fn check(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_voice-s2s"))
        .arg("check")
        .args(args)
        .env_clear()
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the program runs")
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("a report in JSON")
}

/// Folders with one sound persona; `tools` and `workflows` are empty.
fn folders() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a temporary folder");
    for name in ["tools", "workflows", "prompts"] {
        std::fs::create_dir(root.path().join(name)).expect("a folder");
    }
    write(root.path(), "prompts/persona-a.txt", "Hello.");
    root
}

fn write(root: &Path, name: &str, text: &str) {
    std::fs::write(root.join(name), text).expect("a file");
}

pub(crate) fn check_folders(root: &Path, more: &[&str]) -> Output {
    let dir = |name: &str| format!("--{name}-dir={}", root.join(name).display());
    let dirs = ["tools", "workflows", "prompts"].map(dir);
    let args: Vec<&str> = dirs.iter().map(String::as_str).chain(more.iter().copied()).collect();
    check(&args)
}

#[test]
fn the_shipped_files_pass() {
    let output = check(&["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let report = report(&output);
    assert_eq!((&report["ok"], &report["errors"]), (&true.into(), &0.into()));
    assert!(report["catalog"]["tools"].as_u64().is_some_and(|tools| tools >= 10), "{report}");
}

#[test]
fn mistakes_are_named_with_their_place_and_the_exit_code_is_64() {
    let root = folders();
    write(root.path(), "tools/t.json", "{\n  \"name\": \"t\",\n}");
    write(root.path(), "prompts/persona-a.txt", "Hello.\nIt is {{now}}.");
    let output = check_folders(root.path(), &["--json", "--default-persona", "nobody"]);
    assert_eq!(output.status.code(), Some(64));
    let report = report(&output);
    let found: Vec<(&str, u64, u64)> = report["problems"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|problem| {
            assert!(problem["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()));
            let number = |key: &str| problem[key].as_u64().unwrap_or_default();
            (problem["file"].as_str().expect("a file"), number("line"), number("column"))
        })
        .collect();
    assert_eq!(found, [("prompts/persona-a.txt", 2, 7), ("tools/t.json", 3, 1)]);
    assert_eq!((&report["ok"], &report["errors"]), (&false.into(), &2.into()));

    let output = check_folders(root.path(), &[]);
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.starts_with("prompts/persona-a.txt:2:7: error: there is no variable `now`"));
    assert!(text.ends_with("2 error(s), 0 warning(s)\n"), "{text}");
}

#[test]
fn warnings_do_not_fail() {
    let root = folders();
    write(root.path(), "tools/t.json", r#"{"name": "t", "description": "d", "parameters": {}}"#);
    let output = check_folders(root.path(), &["--json"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(report(&output)["warnings"], 1);
}

#[test]
fn settings_are_checked_too() {
    let root = folders();
    let args =
        ["--json", "--default-persona=nobody", "--default-voice=nobody", "--static-dir=nowhere"];
    let output = check_folders(root.path(), &args);
    assert_eq!(output.status.code(), Some(64));
    let report_of_all = report(&output);
    let problems = report_of_all["problems"].as_array().expect("a list");
    let named = |variable: &str| {
        problems.iter().any(|problem| {
            problem["file"] == "configuration"
                && problem["what"].as_str().is_some_and(|what| what.starts_with(variable))
        })
    };
    assert!(
        ["DEFAULT_PERSONA", "DEFAULT_VOICE", "STATIC_DIR"].into_iter().all(named),
        "{problems:?}"
    );

    let output = check(&["--json", "--port=eighty"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(report(&output)["problems"][0]["what"].as_str().is_some_and(|w| w.contains("--port")));
}

#[test]
fn the_schemas_are_written_where_they_are_wanted() {
    let root = folders();
    let schemas = root.path().join("schemas");
    let output = check_folders(root.path(), &["--schemas", &schemas.display().to_string()]);
    assert_eq!(output.status.code(), Some(0));
    for name in ["tool", "workflow", "prompt"] {
        let text = std::fs::read(schemas.join(format!("{name}.schema.json"))).expect("a schema");
        let schema: Value = serde_json::from_slice(&text).expect("JSON");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    }
}
