//! What can be understood at one place of a conversation: phrases, compiled.
//!
//! A domain is a language model and the network of its words. Made at start-up, shared by all
//! sessions, never changed.

use std::collections::BTreeMap;
use std::fmt;

use crate::language::{Language, Phrase};
use crate::model::{Model, ModelError};
use crate::network::Network;

/// Phrases, ready to be recognised.
pub struct Domain {
    pub(crate) language: Language,
    pub(crate) network: Network,
    missing: Vec<String>,
}

impl Domain {
    /// Compiles phrases. `sounds` tells how words are said that no dictionary has, by words that it
    /// has: `cloudgate` → `cloud gate`. A word without a pronunciation is no error: see
    /// [`Domain::missing`].
    pub fn compile(
        model: &Model,
        phrases: &[Phrase],
        sounds: &BTreeMap<String, String>,
    ) -> Result<Self, ModelError> {
        let language = Language::of(phrases);
        let (network, missing) = Network::build(model, &language, sounds)?;
        Ok(Self { language, network, missing })
    }

    /// Words of the phrases that the dictionary does not have: nobody can say them.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// The language model as text in the ARPA format.
    pub fn to_arpa(&self) -> String {
        self.language.to_arpa()
    }

    /// How many different words can be said.
    pub fn words(&self) -> usize {
        self.language.words().len()
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.network.nodes().len();
        f.debug_struct("Domain").field("words", &self.words()).field("nodes", &nodes).finish()
    }
}
