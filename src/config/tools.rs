//! The settings of what tools may reach outside this process.

use std::path::PathBuf;

use clap::Args;
use voice_catalog::execute::{ClientOptions, HttpPolicy, McpServers};

use super::BadSetting;

/// What of [`super::ServeArgs`] is about tools.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "What tools may reach")]
pub struct ToolArgs {
    /// Public hosts that `http` tools may call over HTTPS, separated by commas, such as
    /// `api.bank.example,*.maps.example`.
    #[arg(long, env, default_value = "")]
    pub tool_http_hosts: String,
    /// Hosts of your own network that `http` tools may call, also without TLS and at private
    /// addresses, such as `core.internal:8443`.
    #[arg(long, env, default_value = "")]
    pub tool_http_private_hosts: String,
    /// File that lists the MCP servers for `mcp` tools (JSON, an `mcpServers` object). A server
    /// over stdio is a program that is started.
    #[arg(long, env)]
    pub mcp_servers: Option<PathBuf>,
}

impl ToolArgs {
    /// What the clients of the tools are built with. Credentials, region and endpoints of AWS
    /// are those of the SDK's default chain.
    pub(super) fn options(&self) -> Result<ClientOptions, BadSetting> {
        let (hosts, private) = (&self.tool_http_hosts, &self.tool_http_private_hosts);
        // One list at a time, so that the error names the right one.
        for (variable, list) in [("TOOL_HTTP_HOSTS", hosts), ("TOOL_HTTP_PRIVATE_HOSTS", private)] {
            HttpPolicy::parse(list, "")
                .map_err(|error| BadSetting::new(variable, error.to_string()))?;
        }
        let http = HttpPolicy::parse(hosts, private)
            .map_err(|error| BadSetting::new("TOOL_HTTP_HOSTS", error.to_string()))?;
        let mcp = match &self.mcp_servers {
            None => McpServers::default(),
            Some(path) => {
                let bad = |what: String| {
                    BadSetting::new("MCP_SERVERS", format!("{}: {what}", path.display()))
                };
                let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
                McpServers::parse(&text).map_err(|error| bad(error.to_string()))?
            }
        };
        Ok(ClientOptions { http, mcp, ..ClientOptions::default() })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::Cli, *};

    fn options(flags: &[&str]) -> Result<ClientOptions, &'static str> {
        let args = std::iter::once("voice-s2s").chain(flags.iter().copied());
        let cli = Cli::try_parse_from(args).expect("well-formed");
        cli.serve.tools.options().map_err(|error| error.variable)
    }

    #[test]
    fn nothing_is_reached_unless_it_is_listed() {
        let none = options(&[]).expect("valid");
        assert!(none.http.refuse("https", "api.bank.example", 443).is_some());
        let some =
            options(&["--tool-http-hosts=api.bank.example", "--tool-http-private-hosts=core:8443"])
                .expect("valid");
        assert_eq!(some.http.refuse("https", "api.bank.example", 443), None);
        assert_eq!(some.http.refuse("http", "core", 8443), None);
        assert!(some.http.refuse("http", "api.bank.example", 80).is_some());
    }

    #[test]
    fn a_wrong_list_is_named() {
        assert_eq!(options(&["--tool-http-hosts=*"]).err(), Some("TOOL_HTTP_HOSTS"));
        let private = options(&["--tool-http-private-hosts=a b/c"]).err();
        assert_eq!(private, Some("TOOL_HTTP_PRIVATE_HOSTS"));
        assert_eq!(options(&["--mcp-servers=/no/such/file"]).err(), Some("MCP_SERVERS"));
    }
}
