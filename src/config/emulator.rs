//! The settings of the built-in emulator: inside the server, and on its own.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use voice_emulator::{
    Chaos, Clocks, Denoise, Ears, EmulatorConfig, MediaConfig, MediaShape, MediaSource,
    RecordLimits, TranscribeConfig, script::Scenario,
};

use super::{BadSetting, MediaFile};
use crate::telemetry::LogFormat;

/// What of [`super::ServeArgs`] is about the emulator inside the server.
#[derive(Debug, Clone, Args)]
pub struct EmbeddedArgs {
    /// Script of the built-in emulator (JSON); absent = the script it comes with.
    #[arg(long, env)]
    pub emulator_scenario: Option<PathBuf>,
    /// Let the built-in emulator break its streams by chance: SEED or SEED:PERCENT. The same seed
    /// gives the same faults.
    #[arg(long, env, value_name = "SEED[:PERCENT]")]
    pub emulator_chaos: Option<Chaos>,
    /// Whether the built-in emulator understands what is said: `auto` when the acoustic model is on
    /// this machine, or `off`.
    #[arg(long, env, value_enum, default_value = "auto")]
    pub ears: EarsSetting,
    /// Folder of the acoustic model; absent = where Debian's package pocketsphinx-en-us puts it.
    #[arg(long, env)]
    pub ears_model_dir: Option<PathBuf>,
    /// Whether noise is taken away before speech is recognised: `on` or `off`. `on` needs a program
    /// built with `--features denoise`; it helps where it is loud, and costs clean speech some words.
    #[arg(long, env, default_value = "off")]
    pub ears_denoise: Denoise,
}

/// Whether speech is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EarsSetting {
    /// If a model is there.
    Auto,
    /// Never.
    Off,
}

impl EmbeddedArgs {
    /// What the emulator is started with.
    pub(super) fn config(&self) -> Result<EmulatorConfig, BadSetting> {
        Ok(EmulatorConfig {
            scenario: load_scenario(self.emulator_scenario.as_deref(), "EMULATOR_SCENARIO")?,
            chaos: self.emulator_chaos,
            ears: ears(self.ears, self.ears_model_dir.as_deref(), "EARS_MODEL_DIR")?,
            denoise: self.ears_denoise,
            record: RecordLimits::nothing(),
            ..EmulatorConfig::embedded()
        })
    }
}

/// The settings of `emulator`.
#[derive(Debug, Clone, Args)]
pub struct EmulatorArgs {
    /// Plaintext port (HTTP/1.1 and h2c); 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// TLS port (HTTP/2 and HTTP/1.1); 0 takes a free one; absent = no TLS.
    #[arg(long)]
    pub tls_port: Option<u16>,
    /// Where to write the CA of the TLS port; absent = a file in the temporary folder.
    #[arg(long)]
    pub ca_file: Option<PathBuf>,
    /// Return the caller's audio instead of following a script.
    #[arg(long)]
    pub echo: bool,
    /// Script to follow (JSON); absent = the script it comes with.
    #[arg(long)]
    pub scenario: Option<PathBuf>,
    /// Recognise the script's phrases with the acoustic model in this folder.
    #[arg(long)]
    pub ears_model_dir: Option<PathBuf>,
    /// Take noise away before that: `on` (needs a program built with `--features denoise`) or `off`.
    #[arg(long, default_value = "off")]
    pub ears_denoise: Denoise,
    /// What the stand-in for Amazon Transcribe understands, an utterance each, over and over; without
    /// one it notices speech and has no words for it.
    #[arg(long = "utterance", value_name = "TEXT")]
    pub utterances: Vec<String>,
    /// A call at the stand-in for Kinesis Video Streams: the name of its stream and a WAV file (8 kHz)
    /// with what the caller says. Its contact id is the stream's name.
    #[arg(long = "media", value_name = "STREAM=FILE")]
    pub media: Vec<MediaFile>,
    /// Break streams by chance: SEED or SEED:PERCENT. The same seed gives the same faults.
    #[arg(long, value_name = "SEED[:PERCENT]")]
    pub chaos: Option<Chaos>,
    /// How many seconds of the service pass in one second; 60 ends a stream after 8 seconds.
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    pub scale: f64,
    /// Log format.
    #[arg(long, env, value_enum, default_value = "auto")]
    pub log: LogFormat,
    /// Which log lines.
    #[arg(long, env, default_value = "info,actix_server=warn")]
    pub rust_log: String,
}

impl EmulatorArgs {
    /// What the emulator is started with.
    pub fn config(&self) -> Result<EmulatorConfig, BadSetting> {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(EmulatorConfig {
            listen: local(self.port),
            tls_listen: self.tls_port.map(local),
            scenario: load_scenario(self.scenario.as_deref(), "--scenario")?,
            chaos: self.chaos,
            ears: match &self.ears_model_dir {
                Some(folder) => ears(EarsSetting::Auto, Some(folder), "--ears-model-dir")?,
                None => None,
            },
            denoise: self.ears_denoise,
            echo: self.echo,
            clocks: Clocks { scale: self.scale, ..Clocks::default() },
            transcribe: TranscribeConfig {
                utterances: [
                    self.utterances.iter().map(|text| text.as_str().into()).collect(),
                    vec![],
                ],
                endless: true,
                ..TranscribeConfig::default()
            },
            media: MediaConfig {
                sources: self.media.iter().map(load_media).collect::<Result<_, _>>()?,
                ..MediaConfig::default()
            },
            record: RecordLimits::nothing(),
            ..EmulatorConfig::default()
        })
    }
}

fn load_media(file: &MediaFile) -> Result<MediaSource, BadSetting> {
    let bad = |why: String| BadSetting::new("--media", format!("{}: {why}", file.path.display()));
    let bytes = std::fs::read(&file.path).map_err(|error| bad(error.to_string()))?;
    let recording = voice_audio::wav::read(&bytes).map_err(|error| bad(error.to_string()))?;
    if recording.rate_hz != 8_000 {
        return Err(bad(format!("{} Hz; expected 8000", recording.rate_hz)));
    }
    Ok(MediaSource {
        name: file.stream.clone(),
        contact_id: file.stream.clone(),
        samples: recording.channel(0),
        shape: MediaShape::default(),
    })
}

/// A rate of time.
fn scale(text: &str) -> Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    match (0.01..=1_000.0).contains(&scale) {
        true => Ok(scale),
        false => Err("must be between 0.01 and 1000".to_owned()),
    }
}

/// Where the acoustic model is, if speech is to be recognised.
fn ears(
    setting: EarsSetting,
    folder: Option<&Path>,
    variable: &'static str,
) -> Result<Option<PathBuf>, BadSetting> {
    if setting == EarsSetting::Off {
        return Ok(None);
    }
    match (Ears::folder(folder), folder) {
        (None, Some(folder)) => Err(BadSetting::new(
            variable,
            format!(
                "{}: expected the folder of an acoustic model, with `en-us/mdef` and \
                 `cmudict-en-us.dict` in it",
                folder.display()
            ),
        )),
        (found, _) => Ok(found),
    }
}

/// Reads a script for the emulator. `variable` names the setting in the error.
fn load_scenario(path: Option<&Path>, variable: &'static str) -> Result<Arc<Scenario>, BadSetting> {
    match path {
        None => Ok(Arc::default()),
        Some(path) => Scenario::load(path)
            .map(Arc::new)
            .map_err(|error| BadSetting::new(variable, format!("{}: {error}", path.display()))),
    }
}
