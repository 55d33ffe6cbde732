//! The settings of the way to a human.

use std::time::Duration;

use clap::Args;
use voice_actors::TransferConfig;

use super::seconds;

/// What of [`super::ServeArgs`] is about the hand-over.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The way to a human")]
pub struct TransferArgs {
    /// Seconds that the sentence being spoken may take before the client is told of the transfer.
    #[arg(long, env, default_value = "8", value_parser = seconds)]
    pub transfer_sentence_limit: Duration,
    /// Seconds that the client has to hang up after it was told.
    #[arg(long, env, default_value = "30", value_parser = seconds)]
    pub transfer_close_after: Duration,
    /// Tools that may fail in a row before a human is offered; 0: any number.
    #[arg(long, env, default_value_t = 3)]
    pub transfer_failed_tools: u32,
    /// Turns in a row that may not be understood before a human is offered; 0: any number.
    #[arg(long, env, default_value_t = 3)]
    pub transfer_not_understood: u32,
    /// Whether a caller who asks for a human is offered one when the model does not react.
    #[arg(long, env, default_value_t = true, action = clap::ArgAction::Set)]
    pub transfer_hears_wish: bool,
    /// Whether an angry caller is offered a human.
    #[arg(long, env, default_value_t = true, action = clap::ArgAction::Set)]
    pub transfer_hears_anger: bool,
    /// How often in a call a human is offered.
    #[arg(long, env, default_value_t = 2)]
    pub transfer_offers: u32,
}

impl TransferArgs {
    /// The numbers of the hand-over.
    pub(super) fn config(&self) -> TransferConfig {
        TransferConfig {
            sentence_limit: self.transfer_sentence_limit,
            close_after: self.transfer_close_after,
            failed_tools: self.transfer_failed_tools,
            not_understood: self.transfer_not_understood,
            hears_wish: self.transfer_hears_wish,
            hears_anger: self.transfer_hears_anger,
            offers: self.transfer_offers,
            ..TransferConfig::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::Cli, *};

    fn config(flags: &[&str]) -> TransferConfig {
        let args = std::iter::once("voice-s2s").chain(flags.iter().copied());
        Cli::try_parse_from(args).expect("well-formed").serve.transfer.config()
    }

    #[test]
    fn without_flags_the_hand_over_has_its_defaults() {
        assert_eq!(format!("{:?}", config(&[])), format!("{:?}", TransferConfig::default()));
        let changed = config(&["--transfer-offers=0", "--transfer-hears-anger=false"]);
        assert_eq!((changed.offers, changed.hears_anger), (0, false));
    }
}
