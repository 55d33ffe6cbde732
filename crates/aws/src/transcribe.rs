//! The port to Amazon Transcribe Streaming, on `aws-sdk-transcribestreaming`.
//!
//! Opening, sending, receiving, and the sorting of faults; when to open another stream is the
//! engine's business. Like a stream to Nova Sonic each has a connection of its own, as the service
//! wants it (`nova-sonic.md` §6.4). Built by `src/wiring.rs`.

use std::{sync::Arc, time::Duration};

use aws_sdk_transcribestreaming::{
    Client,
    config::{
        Builder, IdentityCache, StalledStreamProtectionConfig, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    operation::start_stream_transcription::StartStreamTranscriptionError as OpenError,
    primitives::event_stream::EventStreamSender,
    types::{
        AudioEvent, AudioStream, ContentIdentificationType, ContentRedactionType, LanguageCode,
        MediaEncoding, PartialResultsStability, Result as Transcript, TranscriptResultStream,
        VocabularyFilterMethod,
        error::{AudioStreamError, TranscriptResultStreamError as StreamError},
    },
};
use aws_smithy_types::Blob;
use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream};
use tokio::sync::mpsc;
use voice_call::{
    port::SendRefused,
    transcription::{
        AudioSender, Channels, Language, Segment, TranscriptionFault, TranscriptionFaultKind,
        TranscriptionPort, TranscriptionRequest, TranscriptionStream,
    },
};

use crate::{
    config::{Credentials, shared_config},
    link::{self, Link},
    trust::{Trust, TrustError},
    words::words_of,
};

/// Longest wait for the response head.
const OPEN_DEADLINE: Duration = Duration::from_secs(10);

/// Pieces of audio that may wait: six seconds of a tenth each.
const UNSENT: usize = 64;

/// How to reach Transcribe, and what is the same for all calls.
#[derive(Debug, Clone)]
pub struct TranscribeConfig {
    /// AWS region; it need not be that of Nova Sonic.
    pub region: String,
    /// Where to connect instead of the region's endpoint.
    pub endpoint: Option<String>,
    /// Who signs.
    pub credentials: Credentials,
    /// How soon partial results stand firm: `low`, `medium`, `high`; off when absent.
    pub stability: Option<String>,
    /// A custom vocabulary.
    pub vocabulary: Option<String>,
    /// A vocabulary filter and its method: `mask`, `remove`, `tag`.
    pub filter: Option<(String, String)>,
    /// What to do about personal data.
    pub personal_data: PersonalData,
    /// Which, as the service names it: `CREDIT_DEBIT_NUMBER,PIN`. All when absent.
    pub entity_types: Option<String>,
}

/// What the service does about personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonalData {
    /// Nothing.
    Keep,
    /// It is marked.
    Identify,
    /// It is taken out.
    Redact,
}

/// Opens streams to Transcribe. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TranscribePort {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: TranscribeConfig,
    base: Builder,
    trust: Arc<Trust>,
}

impl TranscribePort {
    /// Builds the port; nobody on the network is asked yet.
    pub async fn new(config: TranscribeConfig) -> Result<Self, TrustError> {
        let trust = Arc::new(Trust::new(None)?);
        let sdk = shared_config(&config.region, &config.credentials).await;
        let mut base = Builder::from(&sdk)
            .identity_cache(IdentityCache::lazy().build())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(endpoint) = &config.endpoint {
            base = base.endpoint_url(endpoint);
        }
        Ok(Self { shared: Arc::new(Shared { config, base, trust }) })
    }
}

impl TranscriptionPort for TranscribePort {
    fn open(
        &self,
        request: TranscriptionRequest,
    ) -> BoxFuture<'static, Result<TranscriptionStream, TranscriptionFault>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            match tokio::time::timeout(OPEN_DEADLINE, shared.open(request)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(TranscriptionFault {
                    kind: TranscriptionFaultKind::Transport,
                    message: format!("no response head within {} s", OPEN_DEADLINE.as_secs()),
                }),
            }
        })
    }
}

impl Shared {
    async fn open(
        &self,
        request: TranscriptionRequest,
    ) -> Result<TranscriptionStream, TranscriptionFault> {
        let (http, link) = link::dedicated(self.trust.clone());
        let client = Client::from_conf(self.base.clone().http_client(http).build());
        let (audio, waiting) = mpsc::channel::<Bytes>(UNSENT);
        let config = &self.config;
        let mut call = client
            .start_stream_transcription()
            .media_encoding(MediaEncoding::Pcm)
            .media_sample_rate_hertz(i32::try_from(request.rate).unwrap_or(16_000))
            .set_pii_entity_types(config.entity_types.clone())
            .audio_stream(body(waiting));
        // A service that tells languages apart takes lists of vocabularies and filters, and refuses
        // the other form (`nova-sonic.md` §6.1).
        let filter = config.filter.as_ref().map(|(name, _)| name.clone());
        call = match request.language {
            Language::Known(language) => call
                .language_code(LanguageCode::from(language.as_str()))
                .set_vocabulary_name(config.vocabulary.clone())
                .set_vocabulary_filter_name(filter),
            Language::OneOf(languages) => call
                .identify_language(true)
                .set_preferred_language(languages.first().map(|l| LanguageCode::from(l.as_str())))
                .language_options(languages.join(","))
                .set_vocabulary_names(config.vocabulary.clone())
                .set_vocabulary_filter_names(filter),
        };
        if request.channels == Channels::Both {
            call = call.enable_channel_identification(true).number_of_channels(2);
        }
        if let Some(stability) = &config.stability {
            call = call
                .enable_partial_results_stabilization(true)
                .partial_results_stability(PartialResultsStability::from(stability.as_str()));
        }
        if let Some((_, method)) = &config.filter {
            call = call.vocabulary_filter_method(VocabularyFilterMethod::from(method.as_str()));
        }
        call = match config.personal_data {
            PersonalData::Keep => call,
            PersonalData::Identify => {
                call.content_identification_type(ContentIdentificationType::Pii)
            }
            PersonalData::Redact => call.content_redaction_type(ContentRedactionType::Pii),
        };
        let redacted = config.personal_data == PersonalData::Redact;
        let answer = call.send().await.map_err(|error| of_open(&error))?;
        let receiver = stream::unfold(
            (answer.transcript_result_stream, link.clone(), Vec::new().into_iter()),
            move |(mut results, link, mut ready)| async move {
                loop {
                    if let Some(segment) = ready.next() {
                        return Some((Ok(segment), (results, link, ready)));
                    }
                    match results.recv().await {
                        Ok(Some(TranscriptResultStream::TranscriptEvent(event))) => {
                            let found = event.transcript.and_then(|transcript| transcript.results);
                            let segments = found.unwrap_or_default().into_iter();
                            let segments = segments.filter_map(|result| segment(result, redacted));
                            ready = segments
                                .map(Ok::<_, TranscriptionFault>)
                                .filter_map(Result::ok)
                                .collect::<Vec<_>>()
                                .into_iter();
                        }
                        Ok(Some(_)) => {}
                        Ok(None) => return None,
                        Err(error) => {
                            // Nothing follows a fault: the next call finds the end.
                            return Some((Err(of_stream(&error)), (results, link, ready)));
                        }
                    }
                }
            },
        );
        let mut failed = false;
        let receiver = receiver.take_while(move |item| {
            let goes_on = !failed;
            failed |= item.is_err();
            std::future::ready(goes_on)
        });
        Ok(TranscriptionStream {
            sender: Box::new(Sender { audio, _link: link }),
            receiver: receiver.boxed(),
        })
    }
}

/// The engine's half.
struct Sender {
    audio: mpsc::Sender<Bytes>,
    /// Keeps the connection until both halves are gone.
    _link: Link,
}

impl AudioSender for Sender {
    fn send(&mut self, pcm: Bytes) -> Result<(), SendRefused> {
        self.audio.try_send(pcm).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendRefused::Stalled,
            mpsc::error::TrySendError::Closed(_) => SendRefused::Closed,
        })
    }
}

/// What waits, as the SDK signs and sends it; at its end an empty event, as the service's guide
/// asks for (`nova-sonic.md` §6.2).
fn body(waiting: mpsc::Receiver<Bytes>) -> EventStreamSender<AudioStream, AudioStreamError> {
    let event = |pcm: Bytes| {
        let chunk = AudioEvent::builder().audio_chunk(Blob::new(pcm)).build();
        Ok(AudioStream::AudioEvent(chunk))
    };
    let events = stream::unfold(Some(waiting), move |waiting| async move {
        let mut waiting = waiting?;
        match waiting.recv().await {
            Some(pcm) => Some((event(pcm), Some(waiting))),
            None => Some((event(Bytes::new()), None)),
        }
    });
    // The SDK may ask again after the end.
    events.fuse().into()
}

/// A result with words in it.
fn segment(result: Transcript, redacted: bool) -> Option<Segment> {
    let language = result.language_code.as_ref().map(|code| code.as_str().to_owned());
    let score = |language: &str| {
        let known = result.language_identification.as_deref().unwrap_or_default();
        let found = known.iter().find(|known| {
            known.language_code.as_ref().is_some_and(|code| code.as_str() == language)
        });
        found.map_or(0.0, |found| found.score)
    };
    let language = language.map(|language| {
        let score = score(&language);
        (language, score)
    });
    let best = result.alternatives?.into_iter().next()?;
    let time = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let text = best.transcript.filter(|text| !text.trim().is_empty())?;
    Some(Segment {
        id: result.result_id.unwrap_or_default(),
        channel: u8::from(result.channel_id.as_deref() == Some("ch_1")),
        start: time(result.start_time),
        end: time(result.end_time),
        text,
        is_final: !result.is_partial,
        language,
        redacted,
    })
}

fn of_open<R: std::fmt::Debug + 'static>(error: &SdkError<OpenError, R>) -> TranscriptionFault {
    let SdkError::ServiceError(context) = error else { return of_transport(error) };
    let message = context.err().message().unwrap_or("no message").to_owned();
    let kind = match context.err() {
        OpenError::BadRequestException(_) => of_bad_request(&message),
        OpenError::LimitExceededException(_) => TranscriptionFaultKind::Limit,
        OpenError::ConflictException(_) => TranscriptionFaultKind::Conflict,
        OpenError::InternalFailureException(_) | OpenError::ServiceUnavailableException(_) => {
            TranscriptionFaultKind::Unavailable
        }
        _ => match context.err().code() {
            Some(code) if code.contains("Throttl") => TranscriptionFaultKind::Limit,
            Some(_) => TranscriptionFaultKind::Denied,
            None => TranscriptionFaultKind::Unavailable,
        },
    };
    TranscriptionFault { kind, message }
}

fn of_stream<R: std::fmt::Debug + 'static>(error: &SdkError<StreamError, R>) -> TranscriptionFault {
    let SdkError::ServiceError(context) = error else { return of_transport(error) };
    let message = context.err().message().unwrap_or("no message").to_owned();
    let kind = match context.err() {
        StreamError::BadRequestException(_) => of_bad_request(&message),
        StreamError::LimitExceededException(_) if message.contains("maximum duration") => {
            TranscriptionFaultKind::Expired
        }
        StreamError::LimitExceededException(_) => TranscriptionFaultKind::Limit,
        StreamError::ConflictException(_) => TranscriptionFaultKind::Conflict,
        _ => TranscriptionFaultKind::Unavailable,
    };
    TranscriptionFault { kind, message }
}

/// One exception means two things; its text tells them apart (`nova-sonic.md` §6.3).
fn of_bad_request(message: &str) -> TranscriptionFaultKind {
    if message.contains("no new audio") {
        TranscriptionFaultKind::Expired
    } else {
        TranscriptionFaultKind::Invalid
    }
}

fn of_transport<E, R>(error: &SdkError<E, R>) -> TranscriptionFault
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug + 'static,
{
    let kind = match error {
        SdkError::ConstructionFailure(_) => TranscriptionFaultKind::Invalid,
        _ => TranscriptionFaultKind::Transport,
    };
    let credentials =
        std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| {
            error.source()
        })
        .any(|error| error.is::<aws_credential_types::provider::error::CredentialsError>());
    let kind = if credentials { TranscriptionFaultKind::Denied } else { kind };
    TranscriptionFault { kind, message: words_of(error) }
}
