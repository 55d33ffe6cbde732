//! A stand-in for Amazon Transcribe Streaming: what becomes of the audio of one stream.
//!
//! It hears when somebody speaks. *What* is said comes from the configuration, utterance by
//! utterance; speech beyond that is recognised if there are ears, and otherwise has no results:
//! nothing is pretended. The machine is
//! [`Hearing`]; `front/transcription.rs` brings it audio and carries its results away. Sources:
//! nova-sonic.md §6.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::HeaderMap;
use serde_json::{Value, json};
use voice_ears::Heard;

use crate::{
    config::Utterance,
    ear::EarEvent,
    ears::Ears,
    listener::{Listener, Noticed, Understood},
};

/// Longest audio of one event (§6.4).
const LONGEST_EVENT: Duration = Duration::from_secs(1);

/// What a client asks for, by the headers of its request (§6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) rate_hz: u32,
    pub(crate) channels: usize,
    /// Fixed, or identified: then the first of the options it is.
    pub(crate) language: String,
    pub(crate) identifies: bool,
    pub(crate) redacts: bool,
    pub(crate) stabilizes: bool,
    pub(crate) session_id: String,
}

const PREFIX: &str = "x-amzn-transcribe-";

impl Request {
    /// Reads the headers; an `Err` is the text of a `BadRequestException`.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, String> {
        let value = |name: &str| {
            let value = headers.get(format!("{PREFIX}{name}"))?.to_str().ok()?;
            Some(value.to_owned())
        };
        let is = |name: &str| value(name).as_deref() == Some("true");
        let rate_hz = value("sample-rate").and_then(|rate| rate.parse().ok()).unwrap_or(0);
        if !(8_000..=48_000).contains(&rate_hz) {
            return Err("The media sample rate must be between 8000 and 48000 Hz.".to_owned());
        }
        if value("media-encoding").as_deref() != Some("pcm") {
            return Err("The media encoding you specified isn't supported here: pcm.".to_owned());
        }
        let identifies = is("identify-language");
        let options = value("language-options").unwrap_or_default();
        let language = match (value("language-code"), identifies) {
            (Some(_), true) => {
                return Err("Specify either a language code or language identification.".to_owned());
            }
            (Some(language), false) => language,
            (None, true) if options.split(',').count() >= 2 => {
                options.split(',').next().unwrap_or_default().to_owned()
            }
            (None, true) => return Err("Provide at least two language options.".to_owned()),
            (None, false) => return Err("You must specify a language code.".to_owned()),
        };
        let single = ["vocabulary-name", "vocabulary-filter-name"];
        if identifies && single.into_iter().any(|name| value(name).is_some()) {
            return Err(
                "With language identification, vocabularies and filters come as lists.".to_owned()
            );
        }
        let channels = match (is("enable-channel-identification"), value("number-of-channels")) {
            (true, Some(number)) if number == "2" => 2,
            (true, _) => return Err("The number of channels must be 2.".to_owned()),
            (false, _) => 1,
        };
        if value("content-redaction-type").is_some()
            && value("content-identification-type").is_some()
        {
            return Err("Content identification and redaction exclude each other.".to_owned());
        }
        Ok(Self {
            rate_hz,
            channels,
            language,
            identifies,
            redacts: value("content-redaction-type").as_deref() == Some("PII"),
            stabilizes: is("enable-partial-results-stabilization"),
            session_id: value("session-id").unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
        })
    }

    /// The headers that the response repeats.
    pub(crate) fn headers(&self) -> BTreeMap<String, String> {
        let mut headers = BTreeMap::from([
            (format!("{PREFIX}session-id"), self.session_id.clone()),
            (format!("{PREFIX}sample-rate"), self.rate_hz.to_string()),
            (format!("{PREFIX}media-encoding"), "pcm".to_owned()),
        ]);
        if !self.identifies {
            headers.insert(format!("{PREFIX}language-code"), self.language.clone());
        }
        headers
    }
}

/// What a stream heard.
pub(crate) struct Hearing {
    request: Request,
    ears: Option<Arc<Ears>>,
    channels: Vec<Channel>,
    /// Half a frame of samples that waits for its other half.
    odd: Vec<u8>,
    /// Bytes heard.
    heard: u64,
    results: u64,
}

/// One channel of it.
struct Channel {
    listener: Listener,
    /// The utterance that is being said: its id, where it began, and its words.
    open: Option<(String, f64, Option<Utterance>)>,
}

impl Hearing {
    pub(crate) fn new(request: Request, pause: Duration, ears: Option<Arc<Ears>>) -> Self {
        let channel = || {
            let listener = Listener::new(request.rate_hz, pause, ears.as_deref());
            Channel { listener, open: None }
        };
        let channels = (0..request.channels).map(|_| channel()).collect();
        Self { request, ears, channels, odd: Vec::new(), heard: 0, results: 0 }
    }

    /// How much audio was heard.
    pub(crate) fn position(&self) -> Duration {
        let bytes_per_second = f64::from(self.request.rate_hz) * 2.0 * self.request.channels as f64;
        Duration::from_secs_f64(self.heard as f64 / bytes_per_second)
    }

    /// Hears the next audio; `next` gives the words of a channel's next utterance. An `Err` is the
    /// text of a `BadRequestException`.
    pub(crate) fn push(
        &mut self,
        pcm: &[u8],
        mut next: impl FnMut(usize) -> Option<Utterance>,
    ) -> Result<Vec<Value>, String> {
        let frame = 2 * self.request.channels;
        let longest = self.request.rate_hz as usize * frame * LONGEST_EVENT.as_secs() as usize;
        if pcm.len() > longest {
            return Err(
                "Your stream is too big. Reduce the frame size and try your request again."
                    .to_owned(),
            );
        }
        self.heard += pcm.len() as u64;
        self.odd.extend_from_slice(pcm);
        let whole = self.odd.len() / frame * frame;
        let audio: Vec<u8> = self.odd.drain(..whole).collect();
        let mut events = Vec::new();
        for channel in 0..self.request.channels {
            let one: Vec<u8> = audio
                .chunks_exact(frame)
                .flat_map(|frame| [frame[channel * 2], frame[channel * 2 + 1]])
                .collect();
            let ears = self.ears.clone();
            let domain = || ears.as_ref().map(|ears| ears.anywhere());
            for noticed in self.channels[channel].listener.push(&one, &domain) {
                events.extend(self.hear(channel, noticed, &mut next));
            }
        }
        Ok(events)
    }

    /// The audio is over: what is being said is final.
    pub(crate) fn finish(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        for channel in 0..self.channels.len() {
            if let Some(ended) = self.channels[channel].listener.force_end() {
                events.extend(self.hear(channel, ended, &mut |_| None));
            }
        }
        events
    }

    fn hear(
        &mut self,
        channel: usize,
        noticed: Noticed,
        next: &mut impl FnMut(usize) -> Option<Utterance>,
    ) -> Option<Value> {
        match noticed {
            Noticed::Started { offset_ms } => {
                self.results += 1;
                let id = format!("result-{}-{}", self.request.session_id, self.results);
                let begin = offset_ms as f64 / 1_000.0;
                let said = next(channel);
                let partial = said.as_ref().map(|said| {
                    let words: Vec<&str> = said.text.split(' ').collect();
                    let some = words[..words.len().div_ceil(2)].join(" ");
                    self.result(
                        &id,
                        channel,
                        (begin, begin + 0.3),
                        &evenly(&some, begin, 0.3),
                        true,
                    )
                });
                self.channels[channel].open = Some((id, begin, said));
                partial
            }
            Noticed::Partial { begin_ms, heard } => {
                // What the configuration says comes first.
                let open = self.channels[channel].open.as_ref();
                let (id, begin, _) = open.filter(|(.., said)| said.is_none())?;
                let items = recognised(&heard, begin_ms, true);
                let end = items.last()?.to;
                Some(self.result(id, channel, (*begin, end), &items, true))
            }
            Noticed::Ended { end, begin_ms, said: understood } => {
                let EarEvent::SpeechEnded { offset_ms, .. } = end else { return None };
                let (id, begin, said) = self.channels[channel].open.take()?;
                let end = offset_ms as f64 / 1_000.0;
                let items = match (said, understood) {
                    (Some(said), _) => {
                        let redacted = said.redacted.filter(|_| self.request.redacts);
                        evenly(&redacted.unwrap_or(said.text), begin, end - begin)
                    }
                    (None, Understood::Words(heard)) => recognised(&heard, begin_ms, false),
                    (None, Understood::Deaf | Understood::Unclear) => return None,
                };
                Some(self.result(&id, channel, (begin, end), &items, false))
            }
        }
    }

    /// A `TranscriptEvent` with one result (§6.2).
    fn result(
        &self,
        id: &str,
        channel: usize,
        (begin, end): (f64, f64),
        items: &[Item],
        partial: bool,
    ) -> Value {
        let words: Vec<&str> = items.iter().map(|item| item.text.as_str()).collect();
        let text = words.join(" ");
        let items: Vec<Value> = items
            .iter()
            .map(|item| {
                let mut json = json!({"StartTime": item.from, "EndTime": item.to,
                    "Type": "pronunciation", "Content": item.text,
                    "VocabularyFilterMatch": false, "Confidence": item.confidence});
                if self.request.stabilizes {
                    json["Stable"] = (item.stable || !partial).into();
                }
                json
            })
            .collect();
        let mut result = json!({"ResultId": id, "StartTime": begin, "EndTime": end,
            "IsPartial": partial, "Alternatives": [{"Transcript": text, "Items": items}]});
        if self.request.channels == 2 {
            result["ChannelId"] = format!("ch_{channel}").into();
        }
        if self.request.identifies {
            result["LanguageCode"] = self.request.language.clone().into();
            result["LanguageIdentification"] =
                json!([{"LanguageCode": self.request.language, "Score": 0.97}]);
        }
        json!({"Transcript": {"Results": [result]}})
    }
}

/// A word of a result.
struct Item {
    text: String,
    /// Seconds of the stream.
    from: f64,
    to: f64,
    confidence: f64,
    /// Will not change any more.
    stable: bool,
}

/// The words of a text that nobody listened to, spread over the time in which it was said.
fn evenly(text: &str, begin: f64, duration: f64) -> Vec<Item> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let step = duration / words.len().max(1) as f64;
    let items = words.iter().enumerate().map(|(number, word)| {
        let from = begin + step * number as f64;
        Item { text: (*word).to_owned(), from, to: from + step, confidence: 0.9, stable: false }
    });
    items.collect()
}

/// Words of a partial that may still change: those at its end.
const UNSTABLE: usize = 2;

/// Words that were recognised in a turn which began at `begin_ms`.
fn recognised(heard: &Heard, begin_ms: u64, partial: bool) -> Vec<Item> {
    let seconds = |ms: u64| (begin_ms + ms) as f64 / 1_000.0;
    let certain = if partial { heard.words.len().saturating_sub(UNSTABLE) } else { usize::MAX };
    let items = heard.words.iter().enumerate().map(|(number, word)| Item {
        text: word.text.clone(),
        from: seconds(word.start_ms),
        to: seconds(word.end_ms),
        // A gap of nothing is certainty, one of three nats a frame is chance.
        confidence: (1.0 + f64::from(word.gap) / 3.0).clamp(0.05, 0.99),
        stable: number < certain,
    });
    items.collect()
}

#[cfg(test)]
mod tests {
    use voice_audio::pcm;

    use super::*;
    use crate::script::Scenario;
    use crate::voice::{Accent, synthesize};

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = format!("{PREFIX}{name}").parse::<http::HeaderName>().unwrap();
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    const STEREO: &[(&str, &str)] = &[
        ("sample-rate", "16000"),
        ("media-encoding", "pcm"),
        ("language-code", "en-GB"),
        ("enable-channel-identification", "true"),
        ("number-of-channels", "2"),
    ];

    #[test]
    fn requests_are_checked() {
        let stereo = Request::read(&headers(STEREO)).unwrap();
        assert_eq!((stereo.channels, stereo.rate_hz, stereo.redacts), (2, 16_000, false));
        for wrong in [
            &STEREO[1..],
            &[("sample-rate", "16000"), ("media-encoding", "pcm")],
            &[("sample-rate", "16000"), ("media-encoding", "mp3"), ("language-code", "en-US")],
            &[("sample-rate", "16000"), ("media-encoding", "pcm"), ("identify-language", "true")],
        ] {
            assert!(Request::read(&headers(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn each_channel_has_its_own_utterances() {
        let request = Request::read(&headers(STEREO)).unwrap();
        let mut hearing = Hearing::new(request, Duration::from_millis(300), None);
        let speech =
            synthesize("I would like to know my balance", 16_000, Accent::British).unwrap();
        let quiet = vec![0_i16; speech.len()];
        let pairs = |left: &[i16], right: &[i16]| -> Vec<i16> {
            left.iter().zip(right).flat_map(|(left, right)| [*left, *right]).collect()
        };
        let audio =
            [pairs(&speech, &quiet), pairs(&quiet, &speech), pairs(&quiet, &quiet)].concat();
        let mut events = Vec::new();
        for piece in pcm::bytes(&audio).chunks(3_199) {
            let say = |channel: usize| Some(Utterance::from(["the caller", "the bot"][channel]));
            events.extend(hearing.push(piece, say).unwrap());
        }
        let results: Vec<_> =
            events.iter().map(|event| &event["Transcript"]["Results"][0]).collect();
        let finals: Vec<_> = results
            .iter()
            .filter(|result| result["IsPartial"] == false)
            .map(|result| {
                (result["ChannelId"].as_str(), result["Alternatives"][0]["Transcript"].as_str())
            })
            .collect();
        assert_eq!(finals, [(Some("ch_0"), Some("the caller")), (Some("ch_1"), Some("the bot"))]);
        let first = results.iter().find(|result| result["IsPartial"] == false).unwrap();
        assert_eq!(results[0]["ResultId"], first["ResultId"], "a partial becomes final");
        assert_eq!(results[0]["IsPartial"], true);
        assert!(hearing.push(&[0; 70_000], |_| None).is_err(), "a frame too big");
    }

    /// What nobody wrote down is recognised: the same words at the same times as a recogniser hears.
    #[test]
    fn what_is_said_is_recognised_with_the_times_of_its_words() {
        let Some(folder) = Ears::folder(None) else {
            println!("skipped: no acoustic model (package pocketsphinx-en-us)");
            return;
        };
        let ears = Arc::new(Ears::load(&folder, &Scenario::default()).unwrap().unwrap());
        let mut mono = STEREO[..3].to_vec();
        mono.push(("enable-partial-results-stabilization", "true"));
        mono.push(("partial-results-stability", "high"));
        let request = Request::read(&headers(&mono)).unwrap();
        let pause = Duration::from_millis(700);
        let mut hearing = Hearing::new(request, pause, Some(Arc::clone(&ears)));
        let speech = synthesize("What is my balance?", 16_000, Accent::British).unwrap();
        let audio = pcm::bytes(&[vec![0; 16_000], speech, vec![0; 16_000]].concat()).to_vec();
        let mut events = Vec::new();
        for piece in audio.chunks(3_200) {
            events.extend(hearing.push(piece, |_| None).unwrap());
        }
        let results: Vec<_> =
            events.iter().map(|event| &event["Transcript"]["Results"][0]).collect();
        let text = |result: &&Value| result["Alternatives"][0]["Transcript"].clone();
        let (last, partials) = results.split_last().unwrap();
        assert_eq!((text(last), &last["IsPartial"]), ("what is my balance".into(), &false.into()));
        assert!(partials.len() >= 2, "{results:?}");
        assert!(
            partials
                .iter()
                .all(|partial| partial["IsPartial"] == true
                    && partial["ResultId"] == last["ResultId"])
        );
        // What a partial calls stable stands in all that follow, at the same place.
        for (number, result) in results.iter().enumerate() {
            let items = result["Alternatives"][0]["Items"].as_array().unwrap();
            let stable = items.iter().enumerate().filter(|(_, item)| item["Stable"] == true);
            for (place, item) in stable {
                for later in &results[number..] {
                    let same = &later["Alternatives"][0]["Items"][place];
                    assert_eq!(same["Content"], item["Content"], "{results:?}");
                }
            }
        }
        let listened = {
            let mut listener = Listener::new(16_000, pause, Some(&ears));
            let domain = || Some(ears.anywhere());
            let mut noticed = audio.chunks(3_200).flat_map(|piece| listener.push(piece, &domain));
            noticed.find_map(|noticed| match noticed {
                Noticed::Ended { begin_ms, said: Understood::Words(heard), .. } => {
                    Some(recognised(&heard, begin_ms, false))
                }
                _ => None,
            })
        };
        let items = last["Alternatives"][0]["Items"].as_array().unwrap();
        for (item, word) in items.iter().zip(listened.unwrap()) {
            assert_eq!(item["Content"], word.text.as_str());
            assert_eq!(
                (item["StartTime"].as_f64(), item["EndTime"].as_f64()),
                (Some(word.from), Some(word.to))
            );
            assert!(word.from >= 1.0 && word.from < word.to, "{item}");
        }
    }
}
