//! Changed files: taken when they are sound, refused when they are not, never felt by a call.

use std::{fs, path::Path};

use tempfile::TempDir;
use voice_catalog::{Catalog, Dirs, PromptRequest, Reload, Rules};

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

#[test]
fn a_sound_change_is_swapped_in_and_a_call_keeps_what_it_has() {
    let (_root, dirs, catalog) = opened();
    let call = catalog.snapshot();
    assert_eq!(catalog.reload(), Reload::Unchanged);
    fs::write(dirs.prompts.join("persona-a.txt"), "Second.").unwrap();
    assert_eq!(catalog.reload(), Reload::Swapped { warnings: Vec::new() });
    assert_eq!(prompt(&catalog), "Second.");
    assert_eq!(call.system_prompt(&PromptRequest::default()).unwrap(), "First.");
    assert_eq!(catalog.current().generation, 2);
    assert_eq!(catalog.reload(), Reload::Unchanged);
}

#[test]
fn a_change_with_errors_changes_nothing_until_it_is_put_right() {
    let (_root, dirs, catalog) = opened();
    let tool = dirs.tools.join("t.json");
    fs::write(&tool, "{\n oops").unwrap();
    let Reload::Refused(problems) = catalog.reload() else { panic!("taken") };
    assert_eq!((problems.errors(), problems.0[0].line), (1, Some(2)));
    let current = catalog.current();
    assert_eq!((current.generation, current.snapshot.tools().len()), (1, 0));
    assert_eq!(current.refused.unwrap().problems, problems);
    assert_eq!(catalog.reload(), Reload::Unchanged, "judged already");
    assert!(catalog.current().refused.is_some(), "and still wrong");
    fs::write(&tool, r#"{"name": "t", "description": "d", "parameters": {}}"#).unwrap();
    assert!(matches!(catalog.reload(), Reload::Swapped { warnings } if warnings.len() == 1));
    assert!(catalog.current().refused.is_none());
    assert_eq!(catalog.current().generation, 2);
}

#[test]
fn a_folder_that_vanishes_takes_nothing_with_it() {
    let (_root, dirs, catalog) = opened();
    let aside = dirs.prompts.with_extension("old");
    fs::rename(&dirs.prompts, &aside).unwrap();
    assert!(matches!(catalog.reload(), Reload::Refused(_)));
    assert_eq!(prompt(&catalog), "First.");
    fs::rename(&aside, &dirs.prompts).unwrap();
    assert!(matches!(catalog.reload(), Reload::Swapped { .. }), "as before, and no longer refused");
    assert!(catalog.current().refused.is_none());
}

#[test]
fn a_poll_waits_until_a_change_stands_still() {
    let (_root, dirs, catalog) = opened();
    let persona = dirs.prompts.join("persona-a.txt");
    assert_eq!(catalog.poll(), Reload::Unchanged);
    for half in ["Sec", "Second"] {
        fs::write(&persona, half).unwrap();
        assert_eq!(catalog.poll(), Reload::Unchanged);
    }
    assert_eq!(catalog.poll(), Reload::Swapped { warnings: Vec::new() });
    assert_eq!(prompt(&catalog), "Second");
}

#[tokio::test]
async fn who_subscribes_hears_of_changes() {
    let (_root, dirs, catalog) = opened();
    let mut changes = catalog.subscribe();
    fs::write(dirs.prompts.join("persona-a.txt"), "Second.").unwrap();
    catalog.reload();
    let current = changes.wait_for(|current| current.generation == 2).await.unwrap();
    assert_eq!(current.snapshot.personas().count(), 1);
}
