//! `${env:NAME}` and `{argument}` in headers, resolved at the moment of the request.

use std::{fmt, sync::Arc};

use serde_json::{Map, Value};

use super::super::Fault;
use crate::tool::{
    remote::{Part, secret_parts},
    template::fill_text,
};

type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Where secrets come from; the environment unless told otherwise. Never shown.
#[derive(Clone)]
pub struct Secrets(Arc<Lookup>);

impl Secrets {
    /// Secrets from elsewhere: a name in, its value out.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(lookup))
    }

    /// The text with its secrets and arguments; the error names a variable, never a value.
    pub(super) fn fill(&self, text: &str, arguments: &Map<String, Value>) -> Result<String, Fault> {
        let mut filled = String::with_capacity(text.len());
        for part in secret_parts(text) {
            match part {
                Part::Text(text) => filled.push_str(&fill_text(text, arguments)),
                Part::Secret(name) => filled.push_str(&(self.0)(name).ok_or_else(|| {
                    Fault::lasting(
                        "The tool is not set up here.",
                        format!("the variable {name} is not set"),
                    )
                })?),
            }
        }
        Ok(filled)
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_argument_never_names_a_variable() {
        let secrets = Secrets::new(|name| (name == "KEY").then(|| "hush {id}".to_owned()));
        let given = json!({"id": "${env:KEY}"}).as_object().cloned().unwrap();
        let filled = secrets.fill("Bearer ${env:KEY} for {id}", &given).unwrap();
        assert_eq!(filled, "Bearer hush {id} for ${env:KEY}");
        let fault = secrets.fill("${env:NONE}", &given).unwrap_err();
        assert!(fault.detail.contains("NONE") && !fault.message.contains("NONE"));
    }
}
