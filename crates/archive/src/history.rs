//! What is kept, newest first; one log whole; and all of one session taken away.
//!
//! Logs lie in folders by day, so a page of the newest reads a few folders however many years
//! there are. Logs of the system before have no folder; they are few, and merged by their names.

use std::{cmp::Reverse, path::Path, sync::Arc};

use futures::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    instance::Instance,
    name::LogName,
    store::{FaultKind, Object, ObjectStore, StoreFault},
};

/// Logs that are read at a time.
const AT_ONCE: usize = 8;

/// Characters of a summary.
const SUMMARY: usize = 120;

/// The kept logs.
#[derive(Debug, Clone)]
pub struct History {
    store: Arc<dyn ObjectStore>,
}

/// What was taken away.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Erased {
    /// Keys and local files that are gone.
    pub gone: Vec<String>,
    /// Local files of a call that is still in progress.
    pub in_progress: Vec<String>,
}

/// Newest first: by time, and those without one last.
fn order(name: &LogName) -> Reverse<(Option<Timestamp>, &LogName)> {
    Reverse((name.began(), name))
}

impl History {
    /// Of this store.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }

    /// The names of the newest logs, those after `after` (exclusive) in the order of the list.
    pub async fn names(
        &self,
        limit: usize,
        after: Option<&LogName>,
    ) -> Result<Vec<LogName>, StoreFault> {
        let root = self.store.list(String::new()).await?;
        let is_after = |name: &LogName| after.is_none_or(|after| order(name) > order(after));
        let mut loose = parse(&root.objects);
        loose.retain(is_after);
        let mut names = Vec::new();
        let newest_day =
            after.and_then(LogName::began).map(|at| at.strftime("%Y/%m/%d").to_string());
        let may_hold = |folder: &str| {
            // A folder later than the day of `after` holds newer logs only.
            newest_day.as_deref().is_none_or(|day| folder <= &day[..folder.len().min(day.len())])
                && (after.is_none() || newest_day.is_some())
        };
        for year in numbers(root.folders, 4) {
            if !may_hold(&year) {
                continue;
            }
            for month in numbers(self.store.list(year.clone()).await?.folders, 2) {
                let month = format!("{year}/{month}");
                if !may_hold(&month) {
                    continue;
                }
                for day in numbers(self.store.list(month.clone()).await?.folders, 2) {
                    let day = format!("{month}/{day}");
                    if !may_hold(&day) {
                        continue;
                    }
                    let mut found = parse(&self.store.list(day).await?.objects);
                    found.retain(is_after);
                    names.append(&mut found);
                    // What is older than the oldest of these cannot come before it.
                    if names.len() >= limit {
                        names.append(&mut loose);
                        names.sort_by(|a, b| order(a).cmp(&order(b)));
                        names.truncate(limit);
                        return Ok(names);
                    }
                }
            }
        }
        names.append(&mut loose);
        names.sort_by(|a, b| order(a).cmp(&order(b)));
        names.truncate(limit);
        Ok(names)
    }

    /// The newest logs in short (`contract.md` §3, `/api/history`). A log that cannot be read is
    /// left out, and said.
    pub async fn page(
        &self,
        limit: usize,
        after: Option<&LogName>,
    ) -> Result<(Vec<Value>, Option<LogName>), StoreFault> {
        // One more than asked for tells whether there is more.
        let mut names = self.names(limit + 1, after).await?;
        let more = names.len() > limit;
        names.truncate(limit);
        let next = names.last().filter(|_| more).cloned();
        let reading = names.into_iter().map(async |name| {
            let log = self.log(&name).await;
            (name, log)
        });
        let read: Vec<_> = stream::iter(reading).buffered(AT_ONCE).collect().await;
        let mut items = Vec::with_capacity(read.len());
        for (name, log) in read {
            match log {
                Ok(Some(log)) => items.push(brief(&name, &log)),
                // It was erased a moment ago.
                Ok(None) => {}
                Err(fault) if fault.kind == FaultKind::Other => {
                    tracing::warn!(%name, %fault, "a session log cannot be read");
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok((items, next))
    }

    /// One log.
    pub async fn log(&self, name: &LogName) -> Result<Option<Value>, StoreFault> {
        let mut object = self.store.get(name.key(), None).await?;
        if object.is_none() {
            // Of the system before, which knew no folders.
            object = self.store.get(name.to_string(), None).await?;
        }
        let Some(object) = object else { return Ok(None) };
        let bytes = object.read().await?;
        let log = serde_json::from_slice(&bytes)
            .map_err(|error| StoreFault::new(FaultKind::Other, format!("no JSON: {error}")))?;
        Ok(Some(log))
    }

    /// The latest log of a session that began in the last two days, by UTC.
    pub async fn latest_of(
        &self,
        session_id: &str,
        now: Timestamp,
    ) -> Result<Option<LogName>, StoreFault> {
        for day in [now, now - SignedDuration::from_hours(24)] {
            let folder = day.strftime("%Y/%m/%d").to_string();
            let mut names = parse(&self.store.list(folder).await?.objects);
            names.retain(|name| name.session_id() == Some(session_id));
            if let Some(latest) = names.into_iter().max_by_key(|name| name.began()) {
                return Ok(Some(latest));
            }
        }
        Ok(None)
    }

    /// The recording of a call, or a part of it.
    pub async fn recording(
        &self,
        name: &LogName,
        range: Option<std::ops::RangeInclusive<u64>>,
    ) -> Result<Option<Object>, StoreFault> {
        self.store.get(name.recording_key(), range).await
    }

    /// Takes away everything of one session: logs, recordings, and what is on the local disk.
    pub async fn erase(&self, session_id: &str, dir: &Path) -> Result<Erased, StoreFault> {
        let mut erased = Erased::default();
        for (file, lives) in Instance::files(dir) {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            // `<stem>.json`, `<stem>.2.part`; an id may have dots of its own.
            let is_of = name.match_indices('.').any(|(at, _)| {
                LogName::parse(&format!("{}.json", &name[..at]))
                    .is_some_and(|name| name.session_id() == Some(session_id))
            });
            if !is_of {
                continue;
            }
            let grows = file.extension().is_some_and(|end| end == "jsonl" || end == "open");
            if lives && grows {
                erased.in_progress.push(name.to_owned());
                continue;
            }
            std::fs::remove_file(&file)
                .map_err(|error| StoreFault::new(FaultKind::Denied, error.to_string()))?;
            erased.gone.push(file.display().to_string());
        }
        for name in self.names(usize::MAX, None).await? {
            if name.session_id() != Some(session_id)
                && !self.is_loose_log_of(&name, session_id).await?
            {
                continue;
            }
            for key in [name.recording_key(), name.key(), name.to_string()] {
                if self.store.get(key.clone(), Some(0..=0)).await?.is_some() {
                    self.store.delete(key.clone()).await?;
                    erased.gone.push(key);
                }
            }
        }
        Ok(erased)
    }

    /// Whether a log whose name does not say whose it is belongs to that session.
    async fn is_loose_log_of(&self, name: &LogName, id: &str) -> Result<bool, StoreFault> {
        if name.session_id().is_some() {
            return Ok(false);
        }
        match self.log(name).await {
            Ok(log) => Ok(log.is_some_and(|log| log["sessionId"] == id)),
            Err(fault) if fault.kind == FaultKind::Other => Ok(false),
            Err(fault) => Err(fault),
        }
    }
}

fn parse(objects: &[String]) -> Vec<LogName> {
    objects.iter().filter_map(|object| LogName::parse(object)).collect()
}

/// Folders that are numbers of so many digits, the highest first.
fn numbers(folders: Vec<String>, digits: usize) -> impl Iterator<Item = String> {
    let is_number =
        move |name: &String| name.len() == digits && name.bytes().all(|byte| byte.is_ascii_digit());
    let mut folders: Vec<String> = folders.into_iter().filter(is_number).collect();
    folders.sort();
    folders.into_iter().rev()
}

/// A log in short. Logs of the system before lack some of this.
fn brief(name: &LogName, log: &Value) -> Value {
    let empty = Vec::new();
    let transcript = log["transcript"].as_array().unwrap_or(&empty);
    let is_said = |said: &&Value| matches!(said["role"].as_str(), Some("user" | "assistant"));
    let is_final = |said: &&Value| is_said(said) && said["type"] != "speculative";
    let text_of = |role: &str| {
        let said = transcript.iter().find(|said| said["role"] == role);
        said.and_then(|said| said["text"].as_str()).filter(|text| !text.trim().is_empty())
    };
    let summary = text_of("user").or_else(|| text_of("assistant")).unwrap_or_default();
    let date = log["startTime"]
        .as_i64()
        .and_then(|at| Timestamp::from_millisecond(at).ok())
        .or_else(|| name.began())
        .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
    json!({
        "id": name.as_str(),
        "date": date,
        "sessionId": log["sessionId"],
        "summary": summary.chars().take(SUMMARY).collect::<String>(),
        "totalMessages": transcript.iter().filter(is_said).count(),
        "finalMessages": transcript.iter().filter(is_final).count(),
        "transcript": transcript,
        "usage": log["usage"],
        "feedback": log["feedback"],
        "durationMs": log["endTime"].as_u64().zip(log["startTime"].as_u64())
            .map(|(end, start)| end.saturating_sub(start)),
        "end": log["end"],
        "persona": log["settings"]["persona"],
        "errors": log["errors"].as_array().map_or(0, Vec::len),
        "transferred": log["transfer"].is_object(),
        "recording": log["recording"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::Folder;

    fn store(logs: &[(&str, Value)]) -> (tempfile::TempDir, History) {
        let root = tempfile::tempdir().expect("a folder");
        for (key, log) in logs {
            let path = root.path().join(key);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, log.to_string()).expect("a file");
        }
        let history = History::new(Arc::new(Folder::new(root.path())));
        (root, history)
    }

    fn key(day: u32, second: u32) -> String {
        let name = format!("session_2026-10-{day:02}T10-00-{second:02}-000Z_s{day}.json");
        LogName::parse(&name).expect("a name").key()
    }

    #[tokio::test]
    async fn pages_go_from_the_newest_to_the_oldest_and_miss_none() {
        let mut logs: Vec<(String, Value)> = Vec::new();
        for day in [1, 2, 9, 30] {
            logs.extend((0..7).map(|second| (key(day, second), json!({"sessionId": day}))));
        }
        // Of the system before: one with a time in its name, one without.
        logs.push(("session_2026-10-09T10-00-03-500Z_old.json".into(), json!({})));
        logs.push(("notes.json".into(), json!({})));
        let logs: Vec<_> = logs.iter().map(|(key, log)| (key.as_str(), log.clone())).collect();
        let (_root, history) = store(&logs);
        let all = history.names(100, None).await.expect("a list");
        assert_eq!(all.len(), 30);
        assert!(all.is_sorted_by(|a, b| order(a) <= order(b)));
        assert_eq!(all.last().map(LogName::as_str), Some("notes.json"));
        for size in [1, 3, 7, 8, 29, 30] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let (page, next) = history.page(size, after.as_ref()).await.expect("a page");
                seen.extend(page.iter().map(|item| item["id"].as_str().unwrap_or("").to_owned()));
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, all.iter().map(|name| name.to_string()).collect::<Vec<_>>(), "{size}");
        }
    }

    #[tokio::test]
    async fn a_log_of_the_system_before_is_shown_and_a_broken_one_is_left_out() {
        let old = json!({"sessionId": "x", "startTime": 1_764_194_210_000_u64,
            "endTime": 1_764_194_230_000_u64, "transcript": [
                {"role": "assistant", "text": "Hi", "type": "speculative"},
                {"role": "assistant", "text": "Hi", "type": "final"},
                {"role": "user", "text": "my balance"},
                {"role": "tool_use", "text": "", "toolName": "a"}],
            "usage": {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3, "cost": 0.1}});
        let (root, history) = store(&[(&key(1, 1), old.clone()), ("old.json", old)]);
        std::fs::write(root.path().join("broken.json"), "{").expect("a file");
        let (page, next) = history.page(10, None).await.expect("a page");
        assert_eq!((page.len(), next), (2, None));
        let item = &page[0];
        assert_eq!((&item["totalMessages"], &item["finalMessages"]), (&3.into(), &2.into()));
        assert_eq!(
            (&item["summary"], &item["date"]),
            (&"my balance".into(), &"2025-11-26T21:56:50.000Z".into())
        );
        assert_eq!((&item["usage"]["cost"], &item["durationMs"]), (&0.1.into(), &20_000.into()));
    }

    #[tokio::test]
    async fn erasing_takes_one_session_and_no_other() {
        let of = |id: &str| json!({"sessionId": id});
        let (root, history) =
            store(&[(&key(1, 1), of("s1")), (&key(2, 1), of("s2")), ("old.json", of("s1"))]);
        let wav = root.path().join(key(1, 1).replace(".json", ".wav"));
        std::fs::write(&wav, "RIFF").expect("a file");
        let local = tempfile::tempdir().expect("a folder");
        let instance = Instance::create(local.path()).expect("a place");
        let stem = "session_2026-10-01T10-00-01-000Z_s1";
        for name in [format!("spool/{stem}.json"), format!("journal/{stem}.jsonl")] {
            std::fs::write(instance.spool().join("..").join(name), "{}").expect("a file");
        }
        let erased = history.erase("s1", local.path()).await.expect("erased");
        assert_eq!(erased.in_progress, [format!("{stem}.jsonl")]);
        assert_eq!(erased.gone.len(), 4, "{erased:?}");
        assert!(!wav.exists());
        let left = history.names(10, None).await.expect("a list");
        assert_eq!(left.len(), 1);
        drop(instance);
        let erased = history.erase("s1", local.path()).await.expect("erased");
        assert_eq!((erased.gone.len(), erased.in_progress.len()), (1, 0));
    }
}
