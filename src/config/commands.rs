//! The settings of the small subcommands.

use std::path::PathBuf;

use clap::Args;
use voice_access::Roles;

use super::ServeArgs;

/// The settings of `check`: those of the server that would run.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Write the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Also write the JSON Schemas of tool, workflow and prompt files into this folder.
    #[arg(long, value_name = "DIR")]
    pub schemas: Option<PathBuf>,
    /// The settings of the server.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The settings of `erase`.
#[derive(Debug, Clone, Args)]
pub struct EraseArgs {
    /// The session's id.
    #[arg(long, value_name = "ID")]
    pub session: String,
    /// The settings of the server.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The settings of `healthcheck`.
#[derive(Debug, Clone, Args)]
pub struct HealthcheckArgs {
    /// Address that the server listens on.
    #[arg(long, env, default_value = "127.0.0.1")]
    pub host: String,
    /// Port that the server listens on.
    #[arg(long, env, default_value_t = 8080)]
    pub port: u16,
}

/// The settings of `key`.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// Whose key it is: a name for logs and limits.
    #[arg(long)]
    pub name: String,
    /// What it may do: caller, operator, editor, or several with `+` between them.
    #[arg(long, default_value = "caller")]
    pub role: Roles,
}
