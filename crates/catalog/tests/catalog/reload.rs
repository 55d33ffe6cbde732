//! Changed files: taken when they are sound, refused when they are not, never felt by a call.

use std::{fs, path::Path, pin::Pin, sync::Arc};

use tempfile::TempDir;
use voice_catalog::{
    Catalog, Complete, Dirs, Problem, PromptRequest, Reload, Rules, SourceFile, Sources,
};

fn folders(root: &Path) -> Dirs {
    let dirs = Dirs {
        tools: root.join("tools"),
        workflows: root.join("workflows"),
        prompts: root.join("prompts"),
    };
    for dir in [&dirs.tools, &dirs.workflows, &dirs.prompts] {
        fs::create_dir(dir).unwrap();
    }
    dirs
}

fn opened() -> (TempDir, Dirs, Catalog) {
    let root = tempfile::tempdir().unwrap();
    let dirs = folders(root.path());
    fs::write(dirs.prompts.join("persona-a.txt"), "First.").unwrap();
    let (catalog, warnings) = Catalog::open(dirs.clone(), Rules::default()).unwrap();
    assert_eq!(warnings, []);
    (root, dirs, catalog)
}

fn prompt(catalog: &Catalog) -> String {
    catalog.snapshot().system_prompt(&PromptRequest::default()).unwrap()
}

#[tokio::test]
async fn a_sound_change_is_swapped_in_and_a_call_keeps_what_it_has() {
    let (_root, dirs, catalog) = opened();
    let call = catalog.snapshot();
    assert_eq!(catalog.reload().await, Reload::Unchanged);
    fs::write(dirs.prompts.join("persona-a.txt"), "Second.").unwrap();
    assert_eq!(catalog.reload().await, Reload::Swapped { warnings: Vec::new() });
    assert_eq!(prompt(&catalog), "Second.");
    assert_eq!(call.system_prompt(&PromptRequest::default()).unwrap(), "First.");
    assert_eq!(catalog.current().generation, 2);
    assert_eq!(catalog.reload().await, Reload::Unchanged);
}

#[tokio::test]
async fn a_change_with_errors_changes_nothing_until_it_is_put_right() {
    let (_root, dirs, catalog) = opened();
    let tool = dirs.tools.join("t.json");
    fs::write(&tool, "{\n oops").unwrap();
    let Reload::Refused(problems) = catalog.reload().await else { panic!("taken") };
    assert_eq!((problems.errors(), problems.0[0].line), (1, Some(2)));
    let current = catalog.current();
    assert_eq!((current.generation, current.snapshot.tools().len()), (1, 0));
    assert_eq!(current.refused.unwrap().problems, problems);
    assert_eq!(catalog.reload().await, Reload::Unchanged, "judged already");
    assert!(catalog.current().refused.is_some(), "and still wrong");
    fs::write(&tool, r#"{"name": "t", "description": "d", "parameters": {}}"#).unwrap();
    assert!(matches!(catalog.reload().await, Reload::Swapped { warnings } if warnings.len() == 1));
    assert!(catalog.current().refused.is_none());
    assert_eq!(catalog.current().generation, 2);
}

#[tokio::test]
async fn a_folder_that_vanishes_takes_nothing_with_it() {
    let (_root, dirs, catalog) = opened();
    let aside = dirs.prompts.with_extension("old");
    fs::rename(&dirs.prompts, &aside).unwrap();
    assert!(matches!(catalog.reload().await, Reload::Refused(_)));
    assert_eq!(prompt(&catalog), "First.");
    fs::rename(&aside, &dirs.prompts).unwrap();
    assert!(
        matches!(catalog.reload().await, Reload::Swapped { .. }),
        "as before, and no longer refused"
    );
    assert!(catalog.current().refused.is_none());
}

#[tokio::test]
async fn a_poll_waits_until_a_change_stands_still() {
    let (_root, dirs, catalog) = opened();
    let persona = dirs.prompts.join("persona-a.txt");
    assert_eq!(catalog.poll().await, Reload::Unchanged);
    for half in ["Sec", "Second"] {
        fs::write(&persona, half).unwrap();
        assert_eq!(catalog.poll().await, Reload::Unchanged);
    }
    assert_eq!(catalog.poll().await, Reload::Swapped { warnings: Vec::new() });
    assert_eq!(prompt(&catalog), "Second");
}

#[tokio::test]
async fn who_subscribes_hears_of_changes() {
    let (_root, dirs, catalog) = opened();
    let mut changes = catalog.subscribe();
    fs::write(dirs.prompts.join("persona-a.txt"), "Second.").unwrap();
    catalog.reload().await;
    let current = changes.wait_for(|current| current.generation == 2).await.unwrap();
    assert_eq!(current.snapshot.personas().count(), 1);
}

/// Adds a tool, as an MCP server does whose tools are offered without files.
struct Server;

impl Complete for Server {
    fn complete<'a>(
        &'a self,
        sources: &'a mut Sources,
    ) -> Pin<Box<dyn Future<Output = Vec<Problem>> + Send + 'a>> {
        let tool = r#"{"name": "far", "description": "d", "parameters": {},
            "execute": {"kind": "static", "result": 1}}"#;
        sources.tools.push(SourceFile::new("far.json", tool));
        Box::pin(std::future::ready(Vec::new()))
    }
}

#[tokio::test]
async fn what_others_add_is_there_from_the_start_and_after_a_change() {
    let root = tempfile::tempdir().unwrap();
    let dirs = folders(root.path());
    let persona = dirs.prompts.join("persona-a.txt");
    fs::write(&persona, "First.\n---\n{\"tools\": [\"far\"]}").unwrap();
    let (catalog, _) =
        Catalog::open_completed(dirs, Rules::default(), vec![Arc::new(Server)]).await.unwrap();
    assert!(catalog.snapshot().tool("far").is_some());
    assert_eq!(catalog.reload().await, Reload::Unchanged, "what was added is no change");
    fs::write(&persona, "Second.\n---\n{\"tools\": [\"far\"]}").unwrap();
    assert!(matches!(catalog.reload().await, Reload::Swapped { .. }));
    assert!(catalog.snapshot().tool("far").is_some());
}
