//! The settings of transcription.

use clap::Args;
use voice_aws::PersonalData;
use voice_call::transcription::{Channels, Language};

use super::BadSetting;

/// What of [`super::ServeArgs`] is about transcription.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Transcription")]
pub struct TranscriptionArgs {
    /// Whose words Amazon Transcribe hears besides Nova Sonic: `off`, `caller` or `both`;
    /// `transcription` in a persona's settings prevails.
    #[arg(long, env, default_value = "off")]
    pub transcribe: Channels,
    /// Samples a second of what it hears: 8000 or 16000.
    #[arg(long, env, default_value_t = 16_000)]
    pub transcribe_rate: u32,
    /// Language of personas that name none, such as `en-GB`, or languages to tell apart, separated
    /// by commas, the likeliest first.
    #[arg(long, env)]
    pub transcribe_language: Option<String>,
    /// How soon partial results stand firm: `low`, `medium`, `high`, or `off`.
    #[arg(long, env, default_value = "high")]
    pub transcribe_stability: String,
    /// A custom vocabulary.
    #[arg(long, env)]
    pub transcribe_vocabulary: Option<String>,
    /// A vocabulary filter, with its method: `NAME:mask`, `NAME:remove` or `NAME:tag`.
    #[arg(long, env)]
    pub transcribe_filter: Option<String>,
    /// What becomes of personal data: `keep`, `identify`, or `redact`; then the redacted words are
    /// those that the session log keeps.
    #[arg(long, env, default_value = "keep")]
    pub transcribe_personal_data: String,
    /// Which personal data, as the service names it, such as `CREDIT_DEBIT_NUMBER,PIN`; all when
    /// absent.
    #[arg(long, env)]
    pub transcribe_entity_types: Option<String>,
    /// Region of Amazon Transcribe; absent: the region of Nova Sonic. It is not offered everywhere.
    #[arg(long, env)]
    pub transcribe_region: Option<String>,
    /// Endpoint of Transcribe instead of the region's own; AWS_ENDPOINT_URL works as well.
    #[arg(long, env)]
    pub aws_endpoint_url_transcribe_streaming: Option<String>,
}

/// How calls are transcribed.
#[derive(Debug, Clone)]
pub struct TranscriptionSettings {
    /// Whose words, when the persona does not say.
    pub channels: Channels,
    /// Samples a second.
    pub rate: u32,
    /// The language of personas that name none.
    pub language: Option<Language>,
    /// What is the same for all calls; region and endpoint where they are not the default.
    pub stability: Option<String>,
    /// A custom vocabulary.
    pub vocabulary: Option<String>,
    /// A vocabulary filter and its method.
    pub filter: Option<(String, String)>,
    /// What becomes of personal data.
    pub personal_data: PersonalData,
    /// Which.
    pub entity_types: Option<String>,
    /// The region, where it is another one.
    pub region: Option<String>,
    /// The endpoint, where it is another one.
    pub endpoint: Option<String>,
}

impl Default for TranscriptionSettings {
    fn default() -> Self {
        Self {
            channels: Channels::Off,
            rate: 16_000,
            language: None,
            stability: Some("high".into()),
            vocabulary: None,
            filter: None,
            personal_data: PersonalData::Keep,
            entity_types: None,
            region: None,
            endpoint: None,
        }
    }
}

impl TranscriptionArgs {
    /// The typed settings.
    pub(super) fn settings(self) -> Result<TranscriptionSettings, BadSetting> {
        if !matches!(self.transcribe_rate, 8_000 | 16_000) {
            return Err(BadSetting::new("TRANSCRIBE_RATE", "expected 8000 or 16000"));
        }
        let language = self.transcribe_language.map(|text| {
            let languages: Vec<String> = text
                .split(',')
                .map(|tag| tag.trim().to_owned())
                .filter(|t| !t.is_empty())
                .collect();
            match languages.as_slice() {
                [] => Err(BadSetting::new("TRANSCRIBE_LANGUAGE", "must not be empty")),
                [one] => Ok(Language::Known(one.clone())),
                _ => Ok(Language::OneOf(languages)),
            }
        });
        let stability = match self.transcribe_stability.as_str() {
            "off" => None,
            word @ ("low" | "medium" | "high") => Some(word.to_owned()),
            _ => {
                let what = "expected low, medium, high or off";
                return Err(BadSetting::new("TRANSCRIBE_STABILITY", what));
            }
        };
        let filter = self.transcribe_filter.map(|text| match text.rsplit_once(':') {
            Some((name, method @ ("mask" | "remove" | "tag"))) if !name.is_empty() => {
                Ok((name.to_owned(), method.to_owned()))
            }
            _ => {
                let what = "expected NAME:mask, NAME:remove or NAME:tag";
                Err(BadSetting::new("TRANSCRIBE_FILTER", what))
            }
        });
        let personal_data = match self.transcribe_personal_data.as_str() {
            "keep" => PersonalData::Keep,
            "identify" => PersonalData::Identify,
            "redact" => PersonalData::Redact,
            _ => {
                let what = "expected keep, identify or redact";
                return Err(BadSetting::new("TRANSCRIBE_PERSONAL_DATA", what));
            }
        };
        if self.transcribe_entity_types.is_some() && personal_data == PersonalData::Keep {
            let what = "needs TRANSCRIBE_PERSONAL_DATA: identify or redact";
            return Err(BadSetting::new("TRANSCRIBE_ENTITY_TYPES", what));
        }
        Ok(TranscriptionSettings {
            channels: self.transcribe,
            rate: self.transcribe_rate,
            language: language.transpose()?,
            stability,
            vocabulary: self.transcribe_vocabulary,
            filter: filter.transpose()?,
            personal_data,
            entity_types: self.transcribe_entity_types,
            region: self.transcribe_region,
            endpoint: self.aws_endpoint_url_transcribe_streaming,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::Cli, *};

    fn settings(flags: &[&str]) -> Result<TranscriptionSettings, &'static str> {
        let args = std::iter::once("voice-s2s").chain(flags.iter().copied());
        let cli = Cli::try_parse_from(args).expect("well-formed");
        cli.serve.transcription.settings().map_err(|error| error.variable)
    }

    #[test]
    fn settings_are_read_and_wrong_ones_are_named() {
        let flags = [
            "--transcribe=both",
            "--transcribe-language=en-GB, de-DE",
            "--transcribe-filter=rude:mask",
            "--transcribe-personal-data=redact",
            "--transcribe-entity-types=PIN",
            "--transcribe-stability=off",
        ];
        let settings_of_all = settings(&flags).expect("valid");
        assert_eq!(settings_of_all.channels, Channels::Both);
        let languages = Language::OneOf(vec!["en-GB".into(), "de-DE".into()]);
        assert_eq!(settings_of_all.language, Some(languages));
        assert_eq!(settings_of_all.filter, Some(("rude".into(), "mask".into())));
        assert_eq!(settings_of_all.stability, None);
        for (flag, variable) in [
            ("--transcribe-rate=44100", "TRANSCRIBE_RATE"),
            ("--transcribe-language=,", "TRANSCRIBE_LANGUAGE"),
            ("--transcribe-stability=rock", "TRANSCRIBE_STABILITY"),
            ("--transcribe-filter=rude", "TRANSCRIBE_FILTER"),
            ("--transcribe-personal-data=sell", "TRANSCRIBE_PERSONAL_DATA"),
            ("--transcribe-entity-types=PIN", "TRANSCRIBE_ENTITY_TYPES"),
        ] {
            assert_eq!(settings(&[flag]).err(), Some(variable), "{flag}");
        }
        assert!(Cli::try_parse_from(["voice-s2s", "--transcribe=loud"]).is_err());
    }
}
