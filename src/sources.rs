//! Where tools, workflows and prompts come from: the folders, MCP servers, Langfuse.
//!
//! The server and `check` open the catalog here, so that one finds what the other would.

use std::sync::Arc;

use voice_catalog::{
    Catalog, Complete, Dirs, Problem, Problems, Rules,
    execute::{ClientOptions, Clients, SetupError},
};
use voice_langfuse::Prompts;

use crate::config::{LangfuseSettings, ServerConfig};

/// What has to be known to open the catalog.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    pub(crate) dirs: Dirs,
    pub(crate) rules: Rules,
    pub(crate) tools: ClientOptions,
    pub(crate) langfuse: Option<LangfuseSettings>,
}

/// The open catalog, and who keeps it complete.
pub(crate) struct Opened {
    pub(crate) catalog: Catalog,
    pub(crate) warnings: Vec<Problem>,
    pub(crate) clients: Arc<Clients>,
    /// Langfuse's prompts, when they are used.
    pub(crate) prompts: Option<Arc<Prompts>>,
}

/// Why it could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{0}")]
    Files(Problems),
    #[error(transparent)]
    Tools(#[from] SetupError),
    #[error(transparent)]
    Langfuse(#[from] voice_langfuse::SetupError),
}

impl From<&ServerConfig> for Sources {
    fn from(config: &ServerConfig) -> Self {
        Self {
            dirs: config.dirs.clone(),
            rules: config.rules(),
            tools: config.tools.clone(),
            langfuse: config.langfuse.clone(),
        }
    }
}

impl Sources {
    /// Reads and completes everything.
    pub(crate) async fn open(self) -> Result<Opened, OpenError> {
        let clients = Arc::new(Clients::new(self.tools)?);
        let mut completers: Vec<Arc<dyn Complete>> = vec![clients.clone()];
        let mut prompts = None;
        if let Some(LangfuseSettings { project, prompts: Some(options), .. }) = self.langfuse {
            let opened = Arc::new(Prompts::new(project, options)?);
            completers.push(opened.clone());
            prompts = Some(opened);
        }
        let opened = Catalog::open_completed(self.dirs, self.rules, completers).await;
        let (catalog, warnings) = opened.map_err(OpenError::Files)?;
        Ok(Opened { catalog, warnings, clients, prompts })
    }
}
