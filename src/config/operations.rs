//! The settings of what surrounds a process that runs for real: how it is taken out of service, and
//! what it asks of Amazon ECS.

use std::time::Duration;

use clap::{Args, ValueEnum};
use voice_ecs::{Agent, ProtectionTimes};

use super::{BadSetting, archive::Switch, seconds};

/// How long an answer of the ECS agent is waited for: it gives up by itself after four seconds
/// (`ops.md` §1.3).
const AGENT_DEADLINE: Duration = Duration::from_secs(6);

/// What of [`super::ServeArgs`] is about operations.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Operations")]
pub struct OperationsArgs {
    /// Seconds that calls get to end after SIGTERM.
    #[arg(long, env, default_value = "110", value_parser = seconds)]
    pub shutdown_grace: Duration,
    /// Whether Amazon ECS is asked not to end this task to scale in while it has calls: `auto`
    /// (where there is an ECS agent) or `off`. The task role needs `ecs:GetTaskProtection` and
    /// `ecs:UpdateTaskProtection`.
    #[arg(long, env, value_enum, default_value = "auto")]
    pub task_protection: TaskProtection,
    /// Address of the ECS agent. ECS sets this variable in every container.
    #[arg(long, env)]
    pub ecs_agent_uri: Option<String>,
    /// For how many minutes protection is asked for, 1 to 2880.
    #[arg(long, env, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=2_880))]
    pub task_protection_minutes: u32,
    /// How often, in seconds, it is asked for anew while there are calls.
    #[arg(long, env, default_value = "1200", value_parser = seconds)]
    pub task_protection_renewal: Duration,
    /// Whether the process ends, once its last call has, after somebody else has ended its
    /// protection. An operator who drains it says so himself.
    #[arg(long, env, value_enum, default_value = "on")]
    pub exit_when_drained: Switch,
}

/// Whether protection is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TaskProtection {
    /// Where there is an ECS agent.
    Auto,
    /// Never.
    Off,
}

/// How the process is taken out of service.
#[derive(Debug, Clone)]
pub struct OperationsSettings {
    /// How ECS is asked for protection; it is not when absent.
    pub protection: Option<ProtectionSettings>,
    /// Whether a process ends that is empty after its protection was ended by somebody else.
    pub exit_when_drained: bool,
}

/// How ECS is asked for protection.
#[derive(Debug, Clone)]
pub struct ProtectionSettings {
    /// The agent.
    pub agent: Agent,
    /// How often and for how long.
    pub times: ProtectionTimes,
}

impl Default for OperationsSettings {
    fn default() -> Self {
        Self { protection: None, exit_when_drained: true }
    }
}

impl ProtectionSettings {
    /// With the numbers that are recommended.
    ///
    /// # Errors
    /// [`BadSetting`] when `address` is none.
    pub fn of(address: &str) -> Result<Self, BadSetting> {
        let agent = Agent::new(address, AGENT_DEADLINE)
            .map_err(|error| BadSetting::new("ECS_AGENT_URI", error))?;
        Ok(Self { agent, times: ProtectionTimes::default() })
    }
}

impl OperationsArgs {
    /// The typed settings.
    pub(super) fn settings(self) -> Result<OperationsSettings, BadSetting> {
        let address = self.ecs_agent_uri.filter(|address| !address.is_empty());
        let protection = match (self.task_protection, address) {
            (TaskProtection::Off, _) | (_, None) => None,
            (TaskProtection::Auto, Some(address)) => {
                let minutes = self.task_protection_minutes;
                let renew = self.task_protection_renewal;
                let whole = Duration::from_secs(60 * u64::from(minutes));
                if renew.is_zero() || renew >= whole {
                    let what = format!(
                        "must be more than 0 and less than TASK_PROTECTION_MINUTES ({} s)",
                        whole.as_secs()
                    );
                    return Err(BadSetting::new("TASK_PROTECTION_RENEWAL", what));
                }
                let of = ProtectionSettings::of(&address)?;
                Some(ProtectionSettings {
                    times: ProtectionTimes { minutes, renew, ..of.times },
                    ..of
                })
            }
        };
        let exit_when_drained = self.exit_when_drained == Switch::On;
        Ok(OperationsSettings { protection, exit_when_drained })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::Cli, *};

    const AGENT: &str = "--ecs-agent-uri=http://169.254.170.2/api/x";

    fn settings(flags: &[&str]) -> Result<OperationsSettings, &'static str> {
        let args = std::iter::once("voice-s2s").chain(flags.iter().copied());
        let cli = Cli::try_parse_from(args).expect("well-formed");
        cli.serve.operations.settings().map_err(|error| error.variable)
    }

    #[test]
    fn protection_is_asked_for_where_there_is_an_agent() {
        assert!(settings(&[]).expect("valid").protection.is_none());
        assert!(settings(&["--ecs-agent-uri="]).expect("valid").protection.is_none());
        let times = settings(&[AGENT]).expect("valid").protection.expect("an agent").times;
        assert_eq!(times, ProtectionTimes::default());
        let off = settings(&[AGENT, "--task-protection=off"]).expect("valid");
        assert!(off.protection.is_none());
    }

    #[test]
    fn numbers_that_contradict_each_other_are_refused_by_name() {
        assert_eq!(settings(&["--ecs-agent-uri=agent"]).err(), Some("ECS_AGENT_URI"));
        for renewal in ["0", "3600"] {
            let renewal = format!("--task-protection-renewal={renewal}");
            assert_eq!(settings(&[AGENT, &renewal]).err(), Some("TASK_PROTECTION_RENEWAL"));
        }
        let minutes = Cli::try_parse_from(["voice-s2s", "--task-protection-minutes=2881"]);
        assert!(minutes.expect_err("too long").to_string().contains("TASK_PROTECTION_MINUTES"));
    }
}
