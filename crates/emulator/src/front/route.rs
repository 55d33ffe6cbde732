//! The route table: which operation a method and path stand for.
//!
//! One row per operation, so that further services become further rows. It decodes the path and
//! judges nothing else. Called once per request.

use http::Method;

/// An operation and what its path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) operation: Operation,
    /// The decoded labels, in the order of the pattern.
    pub(crate) labels: Vec<String>,
}

/// Operations the emulator knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `InvokeModelWithBidirectionalStream`; one label, the model id.
    BidirectionalStream,
    /// `StartStreamTranscription`; no label.
    Transcription,
    /// `PutMetricData` of CloudWatch, in Smithy's RPC protocol with CBOR or in the JSON protocol; no
    /// label.
    PutMetricData,
    /// `GetDataEndpoint` of Kinesis Video Streams.
    DataEndpoint,
    /// `GetMedia` of Kinesis Video Streams.
    Media,
    /// `SynthesizeSpeech` of Polly.
    Speech,
}

impl Operation {
    /// The service name requests for it are signed with.
    pub(crate) fn signing_name(self) -> &'static str {
        match self {
            Self::BidirectionalStream => "bedrock",
            Self::Transcription => "transcribe",
            Self::PutMetricData => "monitoring",
            Self::DataEndpoint | Self::Media => "kinesisvideo",
            Self::Speech => "polly",
        }
    }

    /// Whether one JSON body is the whole question.
    pub(crate) fn is_plain(self) -> bool {
        matches!(self, Self::DataEndpoint | Self::Media | Self::Speech)
    }
}

/// Method, pattern with `{}` for a label, operation.
const TABLE: &[(Method, &str, Operation)] = &[
    (Method::POST, "/model/{}/invoke-with-bidirectional-stream", Operation::BidirectionalStream),
    (Method::POST, "/stream-transcription", Operation::Transcription),
    (
        Method::POST,
        "/service/GraniteServiceVersion20100801/operation/PutMetricData",
        Operation::PutMetricData,
    ),
    (Method::POST, "/getDataEndpoint", Operation::DataEndpoint),
    (Method::POST, "/getMedia", Operation::Media),
    (Method::POST, "/v1/speech", Operation::Speech),
];

/// Operations of the JSON protocol, in which the path is `/` and a header names the operation.
const TARGETS: &[(&str, Operation)] =
    &[("GraniteServiceVersion20100801.PutMetricData", Operation::PutMetricData)];

/// Finds the operation; `None` when there is none. A label that is not UTF-8 matches nothing.
/// `target` is the header `x-amz-target`.
pub(crate) fn resolve(method: &Method, path: &str, target: Option<&str>) -> Option<Route> {
    if path == "/" && method == Method::POST {
        let named = TARGETS.iter().find(|(name, _)| Some(*name) == target);
        return named.map(|(_, operation)| Route { operation: *operation, labels: Vec::new() });
    }
    TABLE.iter().filter(|(expected, ..)| expected == method).find_map(|&(_, pattern, operation)| {
        Some(Route { operation, labels: labels(pattern, path)? })
    })
}

fn labels(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut labels = Vec::new();
    let mut segments = path.split('/');
    for expected in pattern.split('/') {
        let segment = segments.next()?;
        if expected == "{}" {
            labels.push(decode(segment)?);
        } else if expected != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(labels)
}

/// Percent-decodes one path segment.
fn decode(segment: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let pair = [bytes.next()?, bytes.next()?];
            let pair = std::str::from_utf8(&pair).ok()?.to_owned();
            // `from_str_radix` would take a sign.
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            decoded.push(u8::from_str_radix(&pair, 16).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_id_is_decoded() {
        for path in [
            "/model/amazon.nova-sonic-v1%3A0/invoke-with-bidirectional-stream",
            "/model/amazon.nova-sonic-v1:0/invoke-with-bidirectional-stream",
        ] {
            let route = resolve(&Method::POST, path, None).unwrap();
            assert_eq!(route.operation, Operation::BidirectionalStream);
            assert_eq!(route.labels, ["amazon.nova-sonic-v1:0"]);
        }
    }

    #[test]
    fn other_methods_and_paths_are_nothing() {
        let path = "/model/m/invoke-with-bidirectional-stream";
        assert_eq!(resolve(&Method::GET, path, None), None);
        for path in ["/", "", "/model/m/invoke", "/model/m/invoke-with-bidirectional-stream/x"] {
            assert_eq!(resolve(&Method::POST, path, None), None, "{path}");
        }
    }

    #[test]
    fn a_header_names_the_operation_of_the_json_protocol() {
        let target = "GraniteServiceVersion20100801.PutMetricData";
        let route = resolve(&Method::POST, "/", Some(target)).unwrap();
        assert_eq!(route.operation, Operation::PutMetricData);
        assert_eq!(resolve(&Method::GET, "/", Some(target)), None);
        assert_eq!(resolve(&Method::POST, "/", Some("GraniteServiceVersion20100801.X")), None);
    }

    #[test]
    fn broken_escapes_match_nothing() {
        for label in ["%", "%3", "%zz", "%+1", "%ff"] {
            let path = format!("/model/{label}/invoke-with-bidirectional-stream");
            assert_eq!(resolve(&Method::POST, &path, None), None, "{path}");
        }
    }
}
