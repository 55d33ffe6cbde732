//! What the emulator can recognise: the acoustic model, and the phrases of a scenario, compiled.
//!
//! Made once at start-up and shared by all sessions. It listens to nobody: `listener` does. Without
//! a model on this machine there are no ears, and the emulator hears that somebody speaks and no
//! words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use voice_ears::{DEBIAN, Domain, Model, ModelError};

use crate::denoise::Denoise;
use crate::script::Scenario;

/// A model, and a domain for each state of a scenario.
pub struct Ears {
    model: Arc<Model>,
    /// What can be said in each state.
    states: BTreeMap<String, Arc<Domain>>,
    /// All of it: for the stand-in for Transcribe, which knows no states.
    all: Arc<Domain>,
    missing: Vec<String>,
    denoise: Denoise,
}

impl Ears {
    /// Where the model is on this machine: in `folder` if one is given, else where Debian's package
    /// `pocketsphinx-en-us` puts it; `None` if nothing is there.
    pub fn folder(folder: Option<&Path>) -> Option<PathBuf> {
        let folder = folder.unwrap_or(Path::new(DEBIAN));
        Model::is_in(folder).then(|| folder.to_owned())
    }

    /// Reads the model in `folder` and compiles the phrases of a scenario; `None` if it has none.
    ///
    /// # Errors
    /// [`ModelError`] when a file of the model is not there or damaged.
    pub fn load(folder: &Path, scenario: &Scenario) -> Result<Option<Self>, ModelError> {
        if scenario.phrases().values().all(Vec::is_empty) {
            return Ok(None);
        }
        let model = Model::load(folder)?;
        let (mut states, mut missing) = (BTreeMap::new(), BTreeSet::new());
        let mut all = Vec::new();
        for (state, phrases) in scenario.phrases() {
            if phrases.is_empty() {
                continue;
            }
            let domain = Domain::compile(&model, &phrases, scenario.sounds())?;
            missing.extend(domain.missing().iter().cloned());
            states.insert(state.to_owned(), Arc::new(domain));
            for phrase in phrases {
                if !all.contains(&phrase) {
                    all.push(phrase);
                }
            }
        }
        let all = Arc::new(Domain::compile(&model, &all, scenario.sounds())?);
        let missing = missing.into_iter().collect();
        Ok(Some(Self { model: Arc::new(model), states, all, missing, denoise: Denoise::default() }))
    }

    /// The same ears, with noise taken away before them or not.
    #[must_use]
    pub fn with_denoise(self, denoise: Denoise) -> Self {
        Self { denoise, ..self }
    }

    pub(crate) fn denoise(&self) -> Denoise {
        self.denoise
    }

    /// Words of the phrases that the dictionary does not have: they are never recognised.
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// How many different words can be recognised.
    pub fn words(&self) -> usize {
        self.all.words()
    }

    pub(crate) fn model(&self) -> Arc<Model> {
        Arc::clone(&self.model)
    }

    /// What can be said in a state; in one without phrases, nothing.
    pub(crate) fn in_state(&self, state: &str) -> Option<Arc<Domain>> {
        self.states.get(state).cloned()
    }

    /// What can be said anywhere.
    pub(crate) fn anywhere(&self) -> Arc<Domain> {
        Arc::clone(&self.all)
    }
}

impl fmt::Debug for Ears {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ears")
            .field("states", &self.states.len())
            .field("words", &self.words())
            .finish()
    }
}
