//! The settings that keep a call alive: renewal of its stream, and what happens when a part of it
//! gives no sign of life.

use std::time::Duration;

use clap::Args;
use voice_actors::EngineConfig;
use voice_sonic::RenewalLimits;

use super::{BadSetting, Interval, seconds};

/// Nova Sonic closes every stream at this age (`nova-sonic.md` §4.1).
const STREAM_LIFE: Duration = Duration::from_secs(480);

/// What of [`super::ServeArgs`] is about survival.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Calls that survive")]
pub struct SurvivalArgs {
    /// Age, in seconds, from which on a stream to Nova Sonic is replaced in the next pause of the
    /// conversation. The service closes it at 480.
    #[arg(long, env, default_value = "360", value_parser = seconds)]
    pub renewal_arm: Duration,
    /// Age, in seconds, at which it is replaced without waiting for a pause.
    #[arg(long, env, default_value = "450", value_parser = seconds)]
    pub renewal_force: Duration,
    /// Seconds of a silent caller's audio that a next stream hears first, because the onset of
    /// speech is noticed late.
    #[arg(long, env, default_value = "3", value_parser = seconds)]
    pub replay_window: Duration,
    /// Most seconds of a caller's audio that are kept while nobody has answered it or no stream
    /// is up; then the oldest silence goes first.
    #[arg(long, env, default_value = "30", value_parser = seconds)]
    pub caller_audio_limit: Duration,
    /// Seconds for which Nova Sonic may say nothing at all when it owes an answer; then another
    /// stream is opened.
    #[arg(long, env, default_value = "15", value_parser = seconds)]
    pub answer_deadline: Duration,
    /// Seconds that a stream may be gone before the client hears of it, when nobody was cut off.
    #[arg(long, env, default_value = "1", value_parser = seconds)]
    pub reconnect_notice: Duration,
    /// How often, in seconds, every part of a call is asked for a sign of life.
    #[arg(long, env, default_value = "10", value_parser = seconds)]
    pub probe_interval: Duration,
    /// Seconds that a call whose connection was lost waits for its client to come back, or `off`.
    #[arg(long, env, default_value = "30")]
    pub resume_window: Interval,
    /// Longest duration of a call, in seconds, or `off`. A load balancer waits at most an hour for
    /// calls of a task that is replaced.
    #[arg(long, env, default_value = "3300")]
    pub call_limit: Interval,
    /// Seconds before that at which the caller is told.
    #[arg(long, env, default_value = "300", value_parser = seconds)]
    pub call_warning: Duration,
    /// Seconds for which the assistant may go on speaking when the server stops.
    #[arg(long, env, default_value = "20", value_parser = seconds)]
    pub drain_patience: Duration,
    /// Seconds of a caller's audio that may come at once, as after a stall of the network; after that
    /// twice real time is taken.
    #[arg(long, env, default_value = "35", value_parser = seconds)]
    pub audio_burst: Duration,
    /// Seconds that a client may say nothing at all after it has connected, neither by voice nor by
    /// message, or `off`.
    #[arg(long, env, default_value = "30")]
    pub first_word_deadline: Interval,
    /// Seconds that a client may refuse to read before it is cut off.
    #[arg(long, env, default_value = "10", value_parser = seconds)]
    pub stall_limit: Duration,
}

impl SurvivalArgs {
    /// Puts the settings into `engine`.
    pub(super) fn apply(self, engine: &mut EngineConfig) -> Result<(), BadSetting> {
        let Self { renewal_arm: arm, renewal_force: force, .. } = self;
        if arm >= force {
            let what = format!("must be less than RENEWAL_FORCE ({} s)", force.as_secs_f64());
            return Err(BadSetting::new("RENEWAL_ARM", what));
        }
        if force >= STREAM_LIFE {
            let what = "must be less than 480 s, when Nova Sonic closes the stream";
            return Err(BadSetting::new("RENEWAL_FORCE", what));
        }
        if self.call_limit.0.is_some_and(|limit| limit <= self.call_warning) {
            return Err(BadSetting::new("CALL_WARNING", "must be less than CALL_LIMIT"));
        }
        if self.caller_audio_limit < self.replay_window {
            let what = "must not be less than REPLAY_WINDOW";
            return Err(BadSetting::new("CALLER_AUDIO_LIMIT", what));
        }
        for (variable, duration) in [
            ("ANSWER_DEADLINE", self.answer_deadline),
            ("PROBE_INTERVAL", self.probe_interval),
            ("STALL_LIMIT", self.stall_limit),
        ] {
            if duration < Duration::from_millis(100) {
                return Err(BadSetting::new(variable, "must be at least 0.1 s"));
            }
        }
        let press = arm + (force - arm) * 2 / 3;
        engine.renewal = RenewalLimits { arm, press, force, ..engine.renewal };
        engine.replay_window = self.replay_window;
        engine.caller_audio_limit = self.caller_audio_limit;
        engine.answer_deadline = self.answer_deadline;
        engine.reconnect_notice = self.reconnect_notice;
        engine.probe_interval = self.probe_interval;
        engine.stall_limit = self.stall_limit;
        engine.resume_window = self.resume_window.0;
        engine.audio_burst = self.audio_burst;
        engine.first_word_deadline = self.first_word_deadline.0;
        engine.call_limit = self.call_limit.0;
        engine.call_warning = self.call_warning;
        engine.drain_patience = self.drain_patience;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Cli;

    fn refused(flags: &[&str]) -> &'static str {
        let args = std::iter::once("voice-s2s").chain(flags.iter().copied());
        let cli = Cli::try_parse_from(args).expect("well-formed");
        cli.serve.into_config().expect_err("a contradiction").variable
    }

    #[test]
    fn numbers_that_contradict_each_other_are_refused_by_name() {
        assert_eq!(refused(&["--renewal-arm=450"]), "RENEWAL_ARM");
        assert_eq!(refused(&["--renewal-force=480"]), "RENEWAL_FORCE");
        assert_eq!(refused(&["--replay-window=31"]), "CALLER_AUDIO_LIMIT");
        assert_eq!(refused(&["--probe-interval=0"]), "PROBE_INTERVAL");
        assert_eq!(refused(&["--call-limit=60"]), "CALL_WARNING");
    }

    #[test]
    fn without_flags_the_engine_has_its_defaults() {
        let cli = Cli::try_parse_from(["voice-s2s"]).expect("well-formed");
        let engine = cli.serve.into_config().expect("valid").engine;
        let defaults = voice_actors::EngineConfig::default();
        assert_eq!(engine.renewal, defaults.renewal);
        assert_eq!(engine.replay_window, defaults.replay_window);
        assert_eq!(engine.caller_audio_limit, defaults.caller_audio_limit);
        assert_eq!(engine.answer_deadline, defaults.answer_deadline);
        assert_eq!(engine.reconnect_notice, defaults.reconnect_notice);
        assert_eq!(engine.probe_interval, defaults.probe_interval);
        assert_eq!(engine.stall_limit, defaults.stall_limit);
        assert_eq!(engine.resume_window, defaults.resume_window);
        assert_eq!(engine.call_limit, defaults.call_limit);
        assert_eq!(engine.call_warning, defaults.call_warning);
        assert_eq!(engine.drain_patience, defaults.drain_patience);
    }
}
