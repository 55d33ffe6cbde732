//! The names of session logs, and where in a store they are.
//!
//! `session_<ISO time with - for : and .>_<sessionId>.json` (`contract.md` §4), in a folder of its
//! day: `2026/11/26/`. Logs of the system before stand without a folder and are found as well.

use std::fmt;

use jiff::{Timestamp, civil::Date};

/// Longest name that is looked up.
const LONGEST: usize = 220;

/// The name of one log's file, checked: it leads out of no folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogName(String);

impl LogName {
    /// The name of the log of a call that began at `at` (milliseconds since 1970).
    pub fn new(at: u64, session_id: &str) -> Self {
        let time = Timestamp::from_millisecond(at.try_into().unwrap_or(i64::MAX));
        let time = time.unwrap_or(Timestamp::UNIX_EPOCH);
        let time = time.strftime("%Y-%m-%dT%H-%M-%S-%3fZ");
        let id: String = session_id.chars().filter(|c| is_fine(*c)).take(128).collect();
        Self(format!("session_{time}_{id}.json"))
    }

    /// A name that somebody asks for.
    pub fn parse(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(".json")?;
        let is_name = !stem.is_empty()
            && name.len() <= LONGEST
            && !name.starts_with('.')
            && stem.chars().all(is_fine);
        is_name.then(|| Self(name.to_owned()))
    }

    /// As a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without `.json`.
    pub fn stem(&self) -> &str {
        self.0.strip_suffix(".json").unwrap_or(&self.0)
    }

    /// When the call began, if the name says so.
    pub fn began(&self) -> Option<Timestamp> {
        let (time, _) = self.stem().strip_prefix("session_")?.split_once('_')?;
        let (date, clock) = time.strip_suffix('Z')?.split_once('T')?;
        let date: Date = date.parse().ok()?;
        let mut parts = clock.split('-').map(|part| part.parse::<i16>().ok());
        let mut next = || parts.next().flatten();
        let (hour, minute, second, ms) = (next()?, next()?, next()?, next()?);
        let (hour, minute, second) =
            (i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second).ok()?);
        let time = jiff::civil::Time::new(hour, minute, second, i32::from(ms) * 1_000_000).ok()?;
        date.to_datetime(time).to_zoned(jiff::tz::TimeZone::UTC).ok().map(|at| at.timestamp())
    }

    /// Whose log it is, if the name says so.
    pub fn session_id(&self) -> Option<&str> {
        self.began()?;
        self.stem().strip_prefix("session_")?.split_once('_').map(|(_, id)| id)
    }

    /// Where it is in a store.
    pub fn key(&self) -> String {
        self.in_folder(&self.0)
    }

    /// Where the recording of the call is.
    pub fn recording_key(&self) -> String {
        self.in_folder(&format!("{}.wav", self.stem()))
    }

    fn in_folder(&self, name: &str) -> String {
        match self.began() {
            Some(at) => format!("{}/{name}", at.strftime("%Y/%m/%d")),
            None => name.to_owned(),
        }
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a session id, and so a name, may be made of (`contract.md` §1).
fn is_fine(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._:-".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_when_and_whose() {
        let name = LogName::new(1_764_194_210_123, "connect-1_2:3");
        assert_eq!(name.as_str(), "session_2025-11-26T21-56-50-123Z_connect-1_2:3.json");
        assert_eq!(name.key(), format!("2025/11/26/{name}"));
        assert_eq!(name.session_id(), Some("connect-1_2:3"));
        assert_eq!(name.began().map(|at| at.as_millisecond()), Some(1_764_194_210_123));
        assert_eq!(LogName::parse(name.as_str()), Some(name));
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        for name in
            ["../a.json", "a/b.json", ".json", ".a.json", "a.txt", "", "a\\b.json", "a\0.json"]
        {
            assert_eq!(LogName::parse(name), None, "{name}");
        }
        let old = LogName::parse("call-7.json").expect("a name of the system before");
        assert_eq!(
            (old.key().as_str(), old.began(), old.session_id()),
            ("call-7.json", None, None)
        );
        let odd = LogName::parse("session_2025-13-99T21-56-50-123Z_x.json").expect("a name");
        assert_eq!(odd.began(), None);
    }
}
