//! The catalog through its public entry: whole folders in, snapshots or problems out, tools run.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and so do its helpers")]

mod assembly;
mod execution;
mod formats;
mod mistakes;
mod reload;
mod robustness;
mod schemas;

use std::{path::Path, sync::Arc};

use serde_json::Value;
use voice_catalog::{
    Builtin, Dirs, Problem, Snapshot, SourceFile, Sources,
    execute::{self, ToolContext, ToolError},
};

pub(crate) fn repository() -> Dirs {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Dirs {
        tools: root.join("tools"),
        workflows: root.join("workflows"),
        prompts: root.join("prompts"),
    }
}

pub(crate) fn shipped() -> Arc<Snapshot> {
    let (snapshot, warnings) = Snapshot::load(&repository()).unwrap();
    assert_eq!(warnings, []);
    Arc::new(snapshot)
}

pub(crate) fn files(files: &[(&str, &str)]) -> Vec<SourceFile> {
    files.iter().map(|(name, text)| SourceFile::new(*name, *text)).collect()
}

pub(crate) fn with_tool(text: &str) -> Sources {
    Sources { tools: files(&[("t.json", text)]), ..Sources::default() }
}

pub(crate) fn built(sources: &Sources) -> (Arc<Snapshot>, Vec<Problem>) {
    let (snapshot, warnings) = Snapshot::build(sources).unwrap();
    (Arc::new(snapshot), warnings)
}

pub(crate) fn problems(sources: &Sources) -> Vec<String> {
    let problems = Snapshot::build(sources).unwrap_err();
    problems.0.iter().map(ToString::to_string).collect()
}

pub(crate) fn context(catalog: &Arc<Snapshot>) -> ToolContext {
    ToolContext {
        now: "2026-11-22T20:15:30Z".parse().unwrap(),
        timezone: Some("Europe/Berlin".to_owned()),
        catalog: Arc::clone(catalog),
        workflows: vec!["banking".to_owned()],
    }
}

pub(crate) async fn call(
    catalog: &Arc<Snapshot>,
    name: &str,
    input: Value,
) -> Result<Value, ToolError> {
    execute::call(name, &input, &context(catalog)).await
}

#[test]
fn the_shipped_files_load_without_a_warning() {
    let catalog = shipped();
    assert_eq!(catalog.tools().len(), 11);
    assert_eq!(catalog.workflows().len(), 2);
    let personas: Vec<&str> = catalog.personas().map(|persona| persona.short_id()).collect();
    assert_eq!(
        personas,
        ["banking", "airline", "banking-de", "clinic"],
        "the default persona is first"
    );
    let anna = catalog.persona("persona-banking").unwrap();
    assert_eq!(anna.name, "Anna, Meridian Bank");
    assert_eq!(anna.voice_id(), Some("tiffany"));
    assert!(anna.workflows().unwrap().contains(&"banking".to_owned()));
    let languages: Vec<_> = catalog.personas().filter_map(|persona| persona.language()).collect();
    assert_eq!(languages, ["en-US", "en-US", "de-DE", "en-AU"]);
    let built_in = |name: &str| catalog.tool(name).and_then(|tool| tool.builtin());
    assert_eq!(built_in("transfer_to_agent"), Some(Builtin::TransferToAgent));
    assert_eq!(built_in("end_call"), Some(Builtin::EndCall));
    assert_eq!(built_in("find_branch"), None);
}

#[test]
fn what_is_offered_is_what_nova_sonic_accepts() {
    let catalog = shipped();
    for offer in catalog.offered_tools(None, &["banking".to_owned()]) {
        assert!(voice_catalog::name::is_tool_name(&offer.name));
        assert!(!offer.description.trim().is_empty());
        assert_eq!(offer.input_schema["type"], "object", "{}", offer.name);
    }
}
