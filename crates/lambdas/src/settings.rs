//! What the functions are told, by their environment.

use std::time::Duration;

use voice_access::signature::RequestKey;

/// Connect waits for eight seconds from its side; a cold start and the way to Lambda and back are
/// within them.
const BUDGET: Duration = Duration::from_millis(7_500);
/// What a caller is told when the bridge cannot be reached.
const APOLOGY: &str = "I am sorry, I have a technical problem. Please hold the line, I will \
                       connect you to one of my colleagues.";

/// Everything a function is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where any task of the bridge is reached, without a slash at the end.
    pub bridge: String,
    /// Signs requests; `None` where the bridge takes unsigned ones.
    pub key: Option<RequestKey>,
    /// Time for all of an invocation.
    pub budget: Duration,
    /// What a caller is told when nothing else can be said.
    pub apology: String,
}

impl Settings {
    /// From variables.
    ///
    /// # Errors
    /// Names the variable that is wrong, and what is expected.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let variable = |name: &str| variable(name).filter(|text| !text.is_empty());
        let bridge = variable("BRIDGE_URL").ok_or("BRIDGE_URL is missing: http://HOST:PORT")?;
        let bridge = bridge.trim_end_matches('/').to_owned();
        if !is_url(&bridge) {
            return Err(format!("BRIDGE_URL is {bridge:?}; expected http://HOST:PORT or https://"));
        }
        let key = match variable("BRIDGE_KEY") {
            Some(key) => {
                Some(RequestKey::new(&key).ok_or("BRIDGE_KEY must have 16 characters or more")?)
            }
            None if variable("BRIDGE_UNSIGNED").as_deref() == Some("on") => None,
            None => return Err("BRIDGE_KEY is missing: the key that the bridge has".to_owned()),
        };
        let budget = match variable("TURN_BUDGET") {
            Some(text) => {
                let seconds = text.parse::<f64>().ok().filter(|s| (1.0..=8.0).contains(s));
                let seconds = seconds
                    .ok_or_else(|| format!("TURN_BUDGET is {text:?}; expected 1 to 8 seconds"))?;
                Duration::from_secs_f64(seconds)
            }
            None => BUDGET,
        };
        let apology = variable("BRIDGE_APOLOGY").unwrap_or_else(|| APOLOGY.to_owned());
        Ok(Self { bridge, key, budget, apology })
    }
}

/// Whether a request can go there.
pub(crate) fn is_url(text: &str) -> bool {
    ["http://", "https://"]
        .iter()
        .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let url = ("BRIDGE_URL", "http://bridge:8081/");
        let key = ("BRIDGE_KEY", "a key of the bridge");
        let settings = read(&[url, key]).expect("settings");
        assert_eq!((settings.bridge.as_str(), settings.budget), ("http://bridge:8081", BUDGET));
        let why = |variables: &[(&str, &str)]| read(variables).map(|_| ()).expect_err("wrong");
        assert!(why(&[key]).starts_with("BRIDGE_URL is missing"));
        assert!(why(&[("BRIDGE_URL", "bridge"), key]).contains("expected http://"));
        assert!(why(&[url]).starts_with("BRIDGE_KEY is missing"));
        assert!(why(&[url, ("BRIDGE_KEY", "short")]).contains("16 characters"));
        assert!(why(&[url, key, ("TURN_BUDGET", "9")]).contains("1 to 8 seconds"));
        assert!(read(&[url, ("BRIDGE_UNSIGNED", "on")]).expect("settings").key.is_none());
    }
}
