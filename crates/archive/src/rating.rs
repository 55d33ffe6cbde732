//! An opinion that comes over HTTP: into the journal of a call in progress, or into the log of one
//! that has ended, which is where most callers give it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    archive::Archive,
    entry::{Entry, Event, Feedback},
    history::History,
    journal::clean,
    name::LogName,
    store::{FaultKind, StoreFault},
};

/// How often a log that is on its way to the store is looked for.
const TRIES: u32 = 20;

/// How long after each other.
const PAUSE: Duration = Duration::from_millis(100);

/// What became of an opinion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rated {
    /// The call goes on; its journal has it, and so have the witnesses.
    InProgress,
    /// The call has ended, and its log has it.
    InLog,
    /// There is no log of such a call. Another task may have it in progress.
    Unknown,
}

impl Archive {
    /// An opinion without what must not be kept.
    pub fn clean(&self, feedback: Feedback) -> Feedback {
        let mut event = Event::Feedback(feedback);
        clean(&self.redactor, &mut event);
        match event {
            Event::Feedback(feedback) => feedback,
            _ => Feedback::default(),
        }
    }

    /// Keeps what a caller thinks of a session. It must be clean. The last opinion counts.
    pub async fn rate(&self, session_id: &str, feedback: &Feedback) -> Result<Rated, StoreFault> {
        if let Some(journal) = self.journal_of(session_id) {
            journal.note(Event::Feedback(feedback.clone()));
            return Ok(Rated::InProgress);
        }
        let Some(kept) = &self.kept else { return Ok(Rated::Unknown) };
        let history = History::new(kept.store());
        let ended_here = self.live.ended(session_id);
        // A log of ours may be on its way to the store.
        let tries = if ended_here.is_some() { TRIES } else { 1 };
        let name = match ended_here {
            Some(name) => Some(name),
            None => history.latest_of(session_id, Timestamp::now()).await?,
        };
        let Some(name) = name else { return Ok(Rated::Unknown) };
        for _ in 0..tries {
            if let Some(log) = history.log(&name).await? {
                let at = Entry::now(Event::Feedback(feedback.clone())).at;
                self.amend(&name, log, feedback.to_json(at)).await?;
                return Ok(Rated::InLog);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(Rated::Unknown)
    }

    async fn amend(&self, name: &LogName, mut log: Value, said: Value) -> Result<(), StoreFault> {
        let Some(kept) = &self.kept else { return Ok(()) };
        log["feedback"] = said;
        let other = |error: &dyn std::fmt::Display| {
            StoreFault::new(FaultKind::Other, format!("the log cannot be written anew: {error}"))
        };
        let document = serde_json::to_vec(&log).map_err(|error| other(&error))?;
        // The spool leaves files of this ending alone.
        let file = kept.scratch(&format!("{name}.{}.partial", uuid::Uuid::new_v4()));
        tokio::fs::write(&file, document).await.map_err(|error| other(&error))?;
        let put = kept.store().put(name.key(), "application/json", file.clone()).await;
        if let Err(error) = tokio::fs::remove_file(&file).await {
            tracing::warn!(%error, file = %file.display(), "a file of no use is left");
        }
        put
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use voice_call::Meters;

    use super::*;
    use crate::{ArchiveConfig, Keeping, Pauses, entry::Began, folder::Folder, redact::Redactor};

    fn archive(root: &std::path::Path) -> Archive {
        let keep = Keeping {
            dir: root.join("data"),
            store: Arc::new(Folder::new(root.join("store"))),
            prices: Arc::default(),
            spool_limit: 1 << 20,
            pauses: Pauses::default(),
        };
        let config = ArchiveConfig {
            redactor: Redactor::default(),
            witnesses: Vec::new(),
            keep: Some(keep),
        };
        Archive::open(config, Meters::default()).expect("a place")
    }

    fn said(score: f64, comment: &str) -> Feedback {
        Feedback { score, comment: Some(comment.into()), name: None }
    }

    #[tokio::test]
    async fn an_opinion_is_kept_whenever_it_comes() {
        let root = tempfile::tempdir().expect("a folder");
        let archive = archive(root.path());
        let began = Began { session_id: "s1".into(), ..Began::default() };
        let journal = archive.journal(began);
        let rated = archive.rate("s1", &said(1.0, "early")).await.expect("no fault");
        assert_eq!(rated, Rated::InProgress);
        assert_eq!(archive.rate("s2", &said(1.0, "")).await.expect("no fault"), Rated::Unknown);
        journal.end("hung_up", "");
        let late = archive.clean(said(5.0, "mail ann@example.com"));
        assert_eq!(archive.rate("s1", &late).await.expect("no fault"), Rated::InLog);
        archive.close(Duration::from_secs(5)).await;

        // Another task has the same store and was not there.
        let other = self::archive(root.path());
        let history = History::new(Arc::new(Folder::new(root.path().join("store"))));
        let name = history.latest_of("s1", Timestamp::now()).await.expect("a list").expect("a log");
        let log = history.log(&name).await.expect("read").expect("there");
        assert_eq!(
            (&log["feedback"]["score"], &log["feedback"]["comment"]),
            (&5.0.into(), &"mail [e-mail]".into())
        );
        assert_eq!(log["end"]["cause"], "hung_up", "the rest is as it was");
        assert_eq!(other.rate("s1", &said(2.0, "")).await.expect("no fault"), Rated::InLog);
        let log = history.log(&name).await.expect("read").expect("there");
        assert_eq!(log["feedback"]["score"], 2.0);
        other.close(Duration::from_secs(5)).await;
    }
}
