//! Session logs in a bucket, by the real SDK, on an S3 server that nobody here wrote.

use std::{fs, time::Duration};

use voice_archive::store::{FaultKind, ObjectStore, Upload};
use voice_call::meters::ReasonLabel;

use crate::{
    session_log::{get, only_log},
    support::{Bench, eventually, store::Store},
};

fn uploads(bench: &Bench, reason: &'static str) -> u64 {
    bench.meters().uploads.get_or_create(&ReasonLabel { reason }).get()
}

async fn bench(store: &Store, change: impl FnOnce(&mut voice_s2s::config::ServerConfig)) -> Bench {
    Bench::with(|config, _| {
        store.keep(config);
        config.archive.pauses.first = Duration::from_millis(50);
        config.archive.pauses.longest = Duration::from_millis(200);
        change(config);
    })
    .await
}

#[actix_web::test]
async fn a_log_comes_to_the_bucket_and_back() {
    let store = Store::start();
    let bench = bench(&store, |_| ()).await;
    bench.greeted().await.hang_up().await;
    let log = only_log(&bench).await;
    assert_eq!(log["end"]["cause"], "hung_up");
    let id = get(&bench, "/api/history").await[0]["id"].as_str().expect("an id").to_owned();
    let day = &id["session_".len().."session_".len() + 10];
    let file = store.file(&format!("{}/{id}", day.replace('-', "/")));
    let kept: serde_json::Value =
        serde_json::from_slice(&fs::read(&file).expect("the object")).expect("JSON");
    assert_eq!(kept, log);
    assert!(crate::pages::get(&bench, "/api/history/nothing.json").await.0 == 404);
    bench.finish().await;
}

#[actix_web::test]
async fn an_outage_delays_logs_and_loses_none() {
    let mut store = Store::start();
    let bench = bench(&store, |_| ()).await;
    store.go_away();
    for _ in 0..3 {
        bench.greeted().await.hang_up().await;
    }
    eventually("attempts", || uploads(&bench, "unavailable") >= 3).await;
    assert_eq!(bench.meters().spool_files.get(), 3, "they wait on the disk");
    let (status, _, body) = crate::pages::get(&bench, "/api/history").await;
    assert_eq!(status, 502, "{body}");
    // Callers notice nothing.
    bench.greeted().await.hang_up().await;
    store.come_back();
    eventually("all of them", || uploads(&bench, "ok") == 4).await;
    assert_eq!(get(&bench, "/api/history").await.as_array().map(Vec::len), Some(4));
    assert_eq!(bench.meters().spool_files.get(), 0);
    bench.finish().await;
}

#[actix_web::test]
async fn logs_that_found_no_store_are_brought_after_the_next_start() {
    let mut store = Store::start();
    let data = tempfile::tempdir().expect("a folder");
    let here = data.path().to_owned();
    let first = bench(&store, |config| config.data_dir.clone_from(&here)).await;
    store.go_away();
    first.greeted().await.hang_up().await;
    eventually("an attempt", || uploads(&first, "unavailable") >= 1).await;
    first.finish().await;
    store.come_back();
    let second = bench(&store, |config| config.data_dir.clone_from(&here)).await;
    eventually("the log", || uploads(&second, "ok") == 1).await;
    assert_eq!(only_log(&second).await["end"]["cause"], "hung_up");
    second.finish().await;
}

/// Parts of a recording, by the real SDK: in any order, read back whole and in part, given up.
#[actix_web::test]
async fn an_object_that_comes_in_parts_is_whole() {
    let server = Store::start();
    let store = server.client().await;
    let folder = tempfile::tempdir().expect("a folder");
    let part = |number: u8, size: usize| {
        let path = folder.path().join(number.to_string());
        fs::write(&path, vec![number; size]).expect("a file");
        path
    };
    // S3 wants 5 MiB of all but the last.
    let (mib, key) = (1024 * 1024, "2026/11/26/a.wav".to_owned());
    let id = store.begin(key.clone(), "audio/wav").await.expect("begun");
    let upload = Upload { key: key.clone(), id };
    let mut tags = vec![String::new(); 3];
    for (number, size) in [(2, 5 * mib), (3, 1000), (1, 5 * mib)] {
        let put = store.put_part(upload.clone(), u32::from(number), part(number, size));
        tags[usize::from(number) - 1] = put.await.expect("a part");
    }
    assert!(store.get(key.clone(), None).await.expect("no error").is_none());
    store.complete(upload.clone(), tags).await.expect("complete");
    let whole = store.get(key.clone(), None).await.expect("no error").expect("there");
    assert_eq!(whole.size, 10 * mib as u64 + 1000);
    let bytes = whole.read().await.expect("read");
    assert!(bytes[..5 * mib].iter().all(|byte| *byte == 1) && bytes[10 * mib..] == [3; 1000]);
    let edge = 5 * mib as u64;
    let some = store.get(key.clone(), Some(edge - 2..=edge + 1)).await.expect("no error");
    let some = some.expect("there");
    assert_eq!(some.size, 10 * mib as u64 + 1000, "the size is that of the whole");
    assert_eq!(some.read().await.expect("read"), [1, 1, 2, 2]);
    assert_eq!(store.list("2026/11/26".into()).await.expect("a list").objects, ["a.wav"]);
    let other = store.begin("2026/11/26/b.wav".into(), "audio/wav").await.expect("begun");
    let other = Upload { key: "2026/11/26/b.wav".into(), id: other };
    store.put_part(other.clone(), 1, part(9, 10)).await.expect("a part");
    store.abort(other.clone()).await.expect("given up");
    // Amazon S3 says that there is no such upload; this server says that it is nobody's. It says so
    // before it has read the part, so that some attempts end in the middle of writing it.
    let mut attempts = 0;
    let late = loop {
        attempts += 1;
        let put = store.put_part(other.clone(), 2, part(9, 10)).await;
        let late = put.expect_err("it is over");
        if late.kind != FaultKind::Unavailable || attempts == 10 {
            break late;
        }
    };
    assert!(matches!(late.kind, FaultKind::NoUpload | FaultKind::Denied), "{late}");
    store.delete(key.clone()).await.expect("deleted");
    assert!(store.get(key, None).await.expect("no error").is_none());
}

#[actix_web::test]
async fn wrong_credentials_are_said_and_harm_no_call() {
    let store = Store::start();
    let denied = bench(&store, |config| config.credentials = Store::keys("wrong")).await;
    denied.greeted().await.hang_up().await;
    eventually("a refusal", || uploads(&denied, "denied") >= 1).await;
    let denied_left = denied.meters().spool_files.get();
    denied.finish().await;
    assert_eq!(denied_left, 1, "it waits on the disk");
}

#[actix_web::test]
async fn a_full_spool_keeps_the_journal_and_is_loud() {
    let mut store = Store::start();
    let first = bench(&store, |_| ()).await;
    first.greeted().await.hang_up().await;
    let size = only_log(&first).await.to_string().len() as u64;
    first.finish().await;
    // Room for one log and no more.
    let bench = bench(&store, |config| config.archive.spool_limit = size * 3 / 2).await;
    store.go_away();
    for _ in 0..3 {
        bench.greeted().await.hang_up().await;
    }
    eventually("a complaint", || bench.meters().journal_errors.get() >= 1).await;
    assert!(bench.meters().spool_files.get() < 3);
    store.come_back();
    eventually("all of them", || uploads(&bench, "ok") == 3).await;
    bench.finish().await;
}
