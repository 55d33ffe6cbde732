//! The clients of the kinds that leave the process, behind one [`Backend`].
//!
//! They live on threads of their own ([`Lane`]): a connection outlives the call that opened it,
//! and must not stand still because some worker of the server is busy.

mod aws;
mod http;
mod lane;
mod mcp;
mod secrets;
mod servers;

use std::{fmt, sync::Arc};

use serde_json::{Map, Value};

use self::{aws::Aws, http::HttpClient, lane::Lane, mcp::Mcp};
use super::{Backend, Executors, Fault, HttpPolicy, Run};
use crate::{
    problem::Problem,
    source::Sources,
    tool::{Executor, Tool},
};

/// Region, credentials and endpoints of AWS, as the SDK knows them.
pub use aws_config::SdkConfig;
pub use secrets::Secrets;
pub use servers::{McpServer, McpServers, McpTransport, WrongMcpServers};

/// What the clients need to know.
#[derive(Debug, Clone, Default)]
pub struct ClientOptions {
    /// Where `http` tools may go; nowhere unless told.
    pub http: HttpPolicy,
    /// Where `${env:NAME}` comes from.
    pub secrets: Secrets,
    /// Region, credentials and endpoints of AWS. When absent the default chain is asked at the
    /// first use, which knows `AWS_ENDPOINT_URL_LAMBDA` and
    /// `AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME`.
    pub aws: Option<SdkConfig>,
    /// The MCP servers tools may name.
    pub mcp: McpServers,
}

/// Why there are no clients.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The operating system gave no threads.
    #[error("the threads of the tools' clients cannot be started: {0}")]
    Threads(#[from] std::io::Error),
    /// TLS could not be set up.
    #[error("the HTTP client of the tools cannot be built: {0}")]
    Http(#[from] reqwest::Error),
}

/// HTTP, AWS and MCP clients of the process. Build it once; nothing is connected before the
/// first use.
pub struct Clients {
    http: Arc<HttpClient>,
    aws: Arc<Aws>,
    mcp: Arc<Mcp>,
    lane: Lane,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

impl Clients {
    /// Builds the clients.
    pub fn new(options: ClientOptions) -> Result<Self, SetupError> {
        let ClientOptions { http, secrets, aws, mcp } = options;
        Ok(Self {
            lane: Lane::new()?,
            http: Arc::new(HttpClient::new(http, secrets.clone())?),
            aws: Arc::new(Aws::new(aws)),
            mcp: Arc::new(Mcp::new(mcp, secrets)?),
        })
    }

    /// Adds to the tool files what MCP servers know: the schema (and a missing description) of
    /// every `mcp` tool whose file has none, and a file for every tool that a server's `offer`
    /// list admits and no file names. Call it between reading the folders and building the
    /// snapshot, also on a reload.
    ///
    /// A server that does not answer is a warning; its tools then take any arguments.
    pub async fn complete(&self, sources: &mut Sources) -> Vec<Problem> {
        let (mcp, mut tools) = (Arc::clone(&self.mcp), std::mem::take(&mut sources.tools));
        let before = tools.clone();
        let work = async move {
            let warnings = servers::complete(&mcp, &mut tools).await;
            Ok((tools, warnings))
        };
        match self.lane.run(work).await {
            Ok((tools, warnings)) => {
                sources.tools = tools;
                warnings
            }
            Err(fault) => {
                tracing::error!(detail = fault.detail, "the MCP servers could not be asked");
                sources.tools = before;
                Vec::new()
            }
        }
    }
}

impl Executors {
    /// Executors with clients of their own.
    pub fn with_clients(options: ClientOptions) -> Result<Self, SetupError> {
        Ok(Self::new(Arc::new(Clients::new(options)?)))
    }
}

impl Backend for Clients {
    fn run<'a>(&'a self, tool: &'a Tool, arguments: &'a Map<String, Value>) -> Run<'a> {
        let arguments = arguments.clone();
        match &tool.execute {
            Executor::Http(call) => {
                let (client, call) = (Arc::clone(&self.http), call.clone());
                Box::pin(self.lane.run(async move { client.run(&call, &arguments).await }))
            }
            Executor::Lambda(call) => {
                let (aws, call) = (Arc::clone(&self.aws), call.clone());
                Box::pin(self.lane.run(async move { aws.invoke(&call, arguments).await }))
            }
            Executor::KnowledgeBase(query) => {
                let (aws, query) = (Arc::clone(&self.aws), query.clone());
                Box::pin(self.lane.run(async move { aws.retrieve(&query, &arguments).await }))
            }
            Executor::Mcp(call) => {
                let (mcp, call) = (Arc::clone(&self.mcp), call.clone());
                Box::pin(self.lane.run(async move { mcp.call(&call, arguments).await }))
            }
            Executor::Builtin(_) | Executor::Static(_) | Executor::None => {
                let fault = Fault::lasting("not available", "this kind has no client");
                Box::pin(std::future::ready(Err(fault)))
            }
        }
    }
}
