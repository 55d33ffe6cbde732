//! One finished span, from plain values to what the SDK exports.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jiff::Timestamp;
use opentelemetry::{
    Array, InstrumentationScope, KeyValue, StringValue, Value,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::attributes as names;

/// The name of every trace (`contract.md` §4).
const TRACE_NAME: &str = "voice-session";

/// The tags of every trace (`contract.md` §4).
const TAGS: [&str; 2] = ["voice", "nova-sonic"];

/// Longest text of an attribute, in bytes.
const TEXT_LIMIT: usize = 16 * 1024;

/// What all spans of a part of a call have in common.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) session_id: String,
    pub(super) trace: TraceId,
    pub(super) version: String,
    pub(super) model: String,
    pub(super) scope: InstrumentationScope,
}

/// The kinds of observation that are used (`ops.md` §4.2). Langfuse does not guess them from
/// names of speech, so each span says its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Span,
    Generation,
    Event,
}

/// A span while it is put together.
#[derive(Debug)]
pub(super) struct Draft {
    id: SpanId,
    parent: SpanId,
    name: Cow<'static, str>,
    start: u64,
    end: u64,
    attributes: Vec<KeyValue>,
    status: Status,
}

impl Common {
    /// Begins a span below `parent` ([`SpanId::INVALID`]: none), from `start` to `end` in
    /// milliseconds since 1970.
    pub(super) fn draft(
        &self,
        kind: Kind,
        name: impl Into<Cow<'static, str>>,
        (id, parent): (SpanId, SpanId),
        (start, end): (u64, u64),
    ) -> Draft {
        let kind = match kind {
            Kind::Span => "span",
            Kind::Generation => "generation",
            Kind::Event => "event",
        };
        let tags = TAGS.iter().map(|tag| StringValue::from(*tag)).collect();
        let session = names::SESSION.map(|name| KeyValue::new(name, self.session_id.clone()));
        let mut attributes = vec![
            KeyValue::new(names::TRACE_NAME, TRACE_NAME),
            KeyValue::new(names::TRACE_TAGS, Value::Array(Array::String(tags))),
            KeyValue::new(names::VERSION, self.version.clone()),
            KeyValue::new(names::TYPE, kind),
        ];
        attributes.extend(session);
        let end = end.max(start);
        Draft { id, parent, name: name.into(), start, end, attributes, status: Status::Unset }
    }

    pub(super) fn finish(&self, draft: Draft) -> SpanData {
        let Draft { id, parent, name, start, end, attributes, status } = draft;
        let (flags, state) = (TraceFlags::SAMPLED, TraceState::default());
        SpanData {
            span_context: SpanContext::new(self.trace, id, flags, false, state),
            parent_span_id: parent,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name,
            start_time: moment(start),
            end_time: moment(end),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

impl Draft {
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(name, value));
    }

    /// A text, cut when it is too long; an empty one is left out.
    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        if !text.is_empty() {
            self.set(name, cut(text));
        }
    }

    /// A key of the metadata; an empty text is left out.
    pub(super) fn metadata(&mut self, key: &str, value: impl Into<Value>) {
        let value = match value.into() {
            Value::String(text) if text.as_str().is_empty() => return,
            Value::String(text) => cut(text.as_str()).into(),
            other => other,
        };
        self.attributes.push(KeyValue::new(format!("{}{key}", names::METADATA), value));
    }

    pub(super) fn model(&mut self, model: &str) {
        names::MODEL.into_iter().for_each(|name| self.text(name, model));
    }

    pub(super) fn completion_start(&mut self, at: u64) {
        if let Ok(at) = Timestamp::from_millisecond(i64::try_from(at).unwrap_or(i64::MAX)) {
            self.set(names::COMPLETION_START, at.to_string());
        }
    }

    /// Something went wrong.
    pub(super) fn error(&mut self, message: &str) {
        self.level("ERROR", message);
        self.status = Status::error(cut(message));
    }

    /// Something is odd.
    pub(super) fn warning(&mut self, message: &str) {
        self.level("WARNING", message);
    }

    fn level(&mut self, level: &'static str, message: &str) {
        self.set(names::LEVEL, level);
        self.text(names::STATUS_MESSAGE, message);
    }
}

fn moment(at: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(at)).unwrap_or(UNIX_EPOCH)
}

/// A text that is not too long.
fn cut(text: &str) -> String {
    if text.len() <= TEXT_LIMIT {
        return text.to_owned();
    }
    let end = (0..=TEXT_LIMIT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}
