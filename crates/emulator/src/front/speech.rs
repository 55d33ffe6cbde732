//! `SynthesizeSpeech` of Amazon Polly, by the embedded voice: PCM, µ-law or A-law.
//!
//! It speaks English only, as a robot of the nineties, in whatever language it is asked; it does
//! not obey mark-up and reads what is between the tags. Called by `front::plain`. Source:
//! connect-kvs.md §8.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde::Deserialize;
use voice_audio::{g711, pcm};

use super::refusal::ErrorAnswer;
use super::{Body, plain};
use crate::voice::{self, Accent};
use crate::world::World;

/// Characters that are paid for, and with mark-up.
const LONGEST: usize = 3_000;
const LONGEST_MARKED_UP: usize = 6_000;

/// Voices that speak with a British accent.
const BRITISH: [&str; 4] = ["Amy", "Emma", "Brian", "Arthur"];

const ENGINES: [&str; 4] = ["standard", "neural", "long-form", "generative"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    engine: Option<String>,
    output_format: String,
    sample_rate: Option<String>,
    text: String,
    text_type: Option<String>,
    voice_id: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Pcm,
    Mulaw,
    Alaw,
}

/// Speaks. The voice computes on a thread that may block.
pub(super) async fn synthesize(body: &[u8], world: &World) -> Result<Response<Body>, ErrorAnswer> {
    let request: Request = plain::read(body)?;
    let number = world.media.synthesis();
    if number <= world.config.polly.failing {
        let text = "An unknown condition has caused a service failure.";
        return Err(ErrorAnswer::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "ServiceFailureException",
            text,
        ));
    }
    let engine = request.engine.as_deref().unwrap_or("standard");
    if !ENGINES.contains(&engine) {
        return Err(bad("ValidationException", format!("Engine: {engine:?} is not known.")));
    }
    let format = match request.output_format.as_str() {
        "pcm" => Format::Pcm,
        "mulaw" => Format::Mulaw,
        "alaw" => Format::Alaw,
        other => {
            let text = format!("OutputFormat: this stand-in has pcm, mulaw and alaw, not {other}.");
            return Err(bad("ValidationException", text));
        }
    };
    if format != Format::Pcm && world.config.polly.without_g711.iter().any(|one| one == engine) {
        let text = "This voice does not support the selected engine and output format.";
        return Err(bad("EngineNotSupportedException", text.to_owned()));
    }
    let rate = match (format, request.sample_rate.as_deref()) {
        (Format::Pcm, None | Some("16000")) => 16_000,
        (_, None | Some("8000")) => 8_000,
        (_, Some(rate)) => {
            let text = format!("The sample rate {rate} is not valid for this output format.");
            return Err(bad("InvalidSampleRateException", text));
        }
    };
    let text = spoken(&request)?;
    let charged = text.chars().count().to_string();
    let is_british = BRITISH.contains(&request.voice_id.as_str());
    let accent = if is_british { Accent::British } else { Accent::American };
    let speaking = tokio::task::spawn_blocking(move || voice::synthesize(&text, rate, accent));
    let samples = match speaking.await {
        Ok(Ok(samples)) => samples,
        _ => {
            let text = "The voice failed.";
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return Err(ErrorAnswer::new(status, "ServiceFailureException", text));
        }
    };
    let (content_type, audio): (_, Bytes) = match format {
        Format::Pcm => ("audio/pcm", pcm::bytes(&samples)),
        Format::Mulaw => ("audio/mulaw", samples.into_iter().map(g711::mulaw_encode).collect()),
        Format::Alaw => ("audio/alaw", samples.into_iter().map(g711::alaw_encode).collect()),
    };
    let mut response = plain::whole(content_type, audio);
    if let Ok(charged) = HeaderValue::from_str(&charged) {
        response.headers_mut().insert("x-amzn-RequestCharacters", charged);
    }
    Ok(response)
}

/// The words of a request, without their mark-up.
fn spoken(request: &Request) -> Result<String, ErrorAnswer> {
    let text = request.text.trim();
    let words = match request.text_type.as_deref() {
        None | Some("text") => text.to_owned(),
        Some("ssml") => {
            let inner = text.strip_prefix("<speak>").and_then(|rest| rest.strip_suffix("</speak>"));
            let inner = inner.ok_or_else(|| {
                let what = "Invalid SSML request: expected <speak> ... </speak>";
                bad("InvalidSsmlException", what.to_owned())
            })?;
            let between = inner.split('<').enumerate().map(|(n, part)| match n {
                0 => part,
                _ => part.split_once('>').map_or("", |(_, rest)| rest),
            });
            between.collect()
        }
        Some(other) => {
            return Err(bad("ValidationException", format!("TextType: {other:?} is not known.")));
        }
    };
    if words.chars().count() > LONGEST || text.chars().count() > LONGEST_MARKED_UP {
        let text = format!("Maximum text length has been exceeded: {LONGEST} characters.");
        return Err(bad("TextLengthExceededException", text));
    }
    Ok(words)
}

fn bad(kind: &'static str, text: String) -> ErrorAnswer {
    ErrorAnswer::new(StatusCode::BAD_REQUEST, kind, text)
}
