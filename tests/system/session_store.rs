//! Session logs in a bucket, by the real SDK, on an S3 server that nobody here wrote.

use std::{fs, time::Duration};

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
