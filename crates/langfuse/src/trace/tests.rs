//! What becomes of a call's entries, by the rules of `ops.md` §4.2.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry::{Array, Value as Attribute, trace::TraceId};
use proptest::prelude::*;
use serde_json::json;
use voice_archive::entry::{Feedback, Heard, Line};

use super::*;

const START: u64 = 1_764_194_210_000;
const MODEL: &str = "amazon.nova-2-sonic-v1:0";

fn rules() -> TraceRules {
    TraceRules { prices: Arc::default(), redactor: Redactor::default() }
}

fn began(session_id: &str, continued: bool) -> Began {
    Began {
        session_id: session_id.into(),
        program: "voice-s2s 0.1.0".into(),
        model_id: MODEL.into(),
        continued,
        ..Began::default()
    }
}

/// A call that is told its events, `step` milliseconds apart.
struct Call {
    trace: Trace,
    at: u64,
    spans: Vec<SpanData>,
    scores: Vec<Score>,
}

impl Call {
    fn new() -> Self {
        Self::of(&began("call-1", false))
    }

    fn of(began: &Began) -> Self {
        let trace = Trace::begin(START, began, rules());
        Self { trace, at: START, spans: Vec::new(), scores: Vec::new() }
    }

    fn tell(&mut self, after: u64, event: Event) -> &mut Self {
        self.at += after;
        self.trace.take(&Entry { at: self.at, event });
        self.collect();
        self
    }

    fn wait(&mut self, ms: u64) -> &mut Self {
        self.at += ms;
        self.trace.tick(self.at);
        self.collect();
        self
    }

    fn end(&mut self) -> &mut Self {
        self.tell(10, Event::Ended { cause: "hung_up".into(), detail: String::new() })
    }

    fn collect(&mut self) {
        let Finished { spans, scores } = self.trace.finished();
        self.spans.extend(spans);
        self.scores.extend(scores);
    }

    fn names(&self) -> Vec<&str> {
        self.spans.iter().map(|span| span.name.as_ref()).collect()
    }

    fn all(&self, name: &str) -> Vec<&SpanData> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    fn only(&self, name: &str) -> &SpanData {
        match self.all(name)[..] {
            [span] => span,
            _ => panic!("expected one {name}: {:?}", self.names()),
        }
    }

    fn scores(&self, name: &str) -> Vec<serde_json::Value> {
        let all = self.scores.iter().map(|score| serde_json::to_value(score).expect("JSON"));
        all.filter(|score| score["name"] == name).collect()
    }
}

fn attribute(span: &SpanData, name: &str) -> Option<Attribute> {
    let found = span.attributes.iter().filter(|pair| pair.key.as_str() == name);
    let values: Vec<_> = found.map(|pair| pair.value.clone()).collect();
    assert!(values.len() < 2, "{name} is there twice");
    values.into_iter().next()
}

fn text(span: &SpanData, name: &str) -> String {
    attribute(span, name).map(|value| value.to_string()).unwrap_or_default()
}

fn user(id: &str, said: &str) -> Event {
    line(id, Speaker::User, said, true)
}

fn assistant(id: &str, said: &str) -> Event {
    line(id, Speaker::Assistant, said, true)
}

fn line(id: &str, role: Speaker, said: &str, is_final: bool) -> Event {
    let (id, text) = (id.to_owned(), said.to_owned());
    Event::Line(Line { id, role, text, is_final, interrupted: false, heard: None })
}

fn ended(interrupted: bool) -> Event {
    Event::AnswerEnded { interrupted }
}

fn tokens(n: u64) -> Tokens {
    Tokens { input_speech: n, input_text: 2 * n, output_speech: 3 * n, output_text: 4 * n }
}

fn called(id: &str, name: &str) -> Event {
    Event::ToolCalled { id: id.into(), name: name.into(), input: json!({"sortCode": 1}) }
}

fn answered(id: &str, outcome: &str) -> Event {
    Event::ToolAnswered { id: id.into(), result: json!({"b": 2}), outcome: outcome.into() }
}

/// What must hold of every span (`ops.md` §4.1 and §4.2).
fn is_well_formed(spans: &[SpanData], session_id: &str) -> Result<(), TestCaseError> {
    let known: BTreeSet<_> =
        spans.iter().map(|span| span.span_context.span_id().to_string()).collect();
    prop_assert_eq!(known.len(), spans.len(), "an id is there twice");
    for span in spans {
        let context = &span.span_context;
        prop_assert_eq!(context.trace_id(), trace_id(session_id));
        prop_assert!(context.trace_id() != TraceId::INVALID);
        prop_assert!(context.span_id() != SpanId::INVALID);
        prop_assert!(span.end_time >= span.start_time, "{} ends before it starts", span.name);
        let parent = span.parent_span_id;
        let is_top = span.name.starts_with("voice-session");
        prop_assert!(is_top || known.contains(&parent.to_string()), "{} hangs nowhere", span.name);
        prop_assert_eq!(text(span, "langfuse.session.id"), session_id);
        prop_assert_eq!(text(span, "session.id"), session_id);
        prop_assert_eq!(text(span, "langfuse.trace.name"), "voice-session");
        let tags = attribute(span, "langfuse.trace.tags");
        let is_list =
            matches!(&tags, Some(Attribute::Array(Array::String(list))) if list.len() == 2);
        prop_assert!(is_list, "{:?}", tags);
        let kind = text(span, "langfuse.observation.type");
        prop_assert!(["span", "generation", "event"].contains(&kind.as_str()), "{}", kind);
        let mut keys = BTreeSet::new();
        for pair in &span.attributes {
            let key = pair.key.as_str();
            prop_assert!(keys.insert(key), "{} is there twice", key);
            prop_assert!(!key.starts_with("gen_ai.usage"), "would be counted twice: {}", key);
            prop_assert!(key != "gen_ai.tool.name", "would take the name's place");
        }
        for name in ["langfuse.observation.usage_details", "langfuse.observation.cost_details"] {
            let Some(details) = attribute(span, name) else { continue };
            prop_assert_eq!(&kind, "generation");
            let details: BTreeMap<String, f64> =
                serde_json::from_str(&details.as_str()).expect("an object of numbers");
            let buckets: Vec<_> = details.keys().map(String::as_str).collect();
            prop_assert_eq!(buckets, ["input_audio", "input_text", "output_audio", "output_text"]);
        }
    }
    Ok(())
}

/// Tokens over all generations.
fn counted(spans: &[SpanData]) -> u64 {
    let usage =
        spans.iter().filter_map(|span| attribute(span, "langfuse.observation.usage_details"));
    usage
        .map(|details| {
            let details: BTreeMap<String, u64> =
                serde_json::from_str(&details.as_str()).expect("an object of numbers");
            details.values().sum::<u64>()
        })
        .sum()
}

#[test]
fn a_turn_has_the_shape_of_the_contract() {
    let mut call = Call::new();
    let settings = Settings {
        persona: Some("anna".into()),
        prompts: vec![
            PromptUsed { id: "core-x".into(), source: "langfuse".into(), version: Some(1) },
            PromptUsed { id: "persona-anna".into(), source: "langfuse".into(), version: Some(7) },
        ],
        ..Settings::default()
    };
    call.tell(1, Event::Settings(Box::new(settings)))
        .tell(100, line("u1", Speaker::User, "what is", false))
        .tell(400, user("u1", "what is my balance?"))
        .tell(50, called("t1", "get_balance"))
        .tell(200, answered("t1", "ok"))
        .tell(100, Event::AnswerBegan)
        .tell(20, line("a1", Speaker::Assistant, "You have", false))
        .tell(30, Event::AnswerHeard)
        .tell(500, assistant("a1", "You have ten pounds."))
        .tell(10, assistant("a2", "Anything else?"))
        .tell(20, ended(false))
        .tell(
            5,
            Event::Turn(Turn {
                first_audio_ms: Some(820),
                whole_ms: Some(1_400),
                ..Turn::default()
            }),
        )
        .tell(5, Event::Usage(tokens(10)));
    assert_eq!(call.names(), ["tool-get_balance"], "the rest may still change");
    call.wait(SETTLE);
    assert_eq!(call.names(), ["tool-get_balance", "user-input", "assistant-response"]);
    call.end();
    is_well_formed(&call.spans, "call-1").expect("sound");

    let said = call.only("user-input");
    assert_eq!(text(said, attributes::INPUT), "what is my balance?");
    assert_eq!(said.end_time.duration_since(said.start_time).expect("later").as_millis(), 400);
    let answer = call.only("assistant-response");
    assert_eq!(text(answer, attributes::OUTPUT), "You have ten pounds. Anything else?");
    for name in attributes::MODEL {
        assert_eq!(text(answer, name), MODEL);
    }
    assert_eq!(text(answer, attributes::COMPLETION_START), "2025-11-26T21:56:50.901Z");
    assert_eq!(text(answer, attributes::PROMPT_NAME), "persona-anna");
    assert_eq!(attribute(answer, attributes::PROMPT_VERSION), Some(Attribute::I64(7)));
    assert_eq!(
        serde_json::from_str::<Value>(&text(answer, attributes::USAGE)).expect("JSON"),
        json!({"input_audio": 10, "input_text": 20, "output_audio": 30, "output_text": 40})
    );
    let cost: BTreeMap<String, f64> =
        serde_json::from_str(&text(answer, attributes::COST)).expect("JSON");
    let whole = Prices::default().of_tokens(MODEL, &tokens(10)).expect("a price");
    assert!((cost.values().sum::<f64>() - whole).abs() < 1e-12, "{cost:?}");
    let tool = call.only("tool-get_balance");
    assert_eq!(text(tool, attributes::INPUT), r#"{"sortCode":1}"#);
    assert_eq!(text(tool, attributes::OUTPUT), r#"{"b":2}"#);

    let session = call.only("voice-session");
    assert_eq!(session.parent_span_id, SpanId::INVALID);
    assert!(call.spans.iter().all(|span| {
        span.name == "voice-session" || span.parent_span_id == session.span_context.span_id()
    }));
    assert_eq!(text(session, attributes::INPUT), "what is my balance?");
    assert_eq!(text(session, "langfuse.observation.metadata.end"), "hung_up");

    let latency = call.scores("latency-score");
    let id = answer.span_context.span_id().to_string();
    assert_eq!((latency.len(), &latency[0]["observationId"]), (1, &id.into()));
    assert!(latency[0]["value"].as_f64().is_some_and(|value| value > 0.98 && value < 1.0));
    assert_eq!(call.scores("turn-success")[0]["value"], 1.0);
}

#[test]
fn a_greeting_is_answered_by_nobody_and_has_no_latency() {
    let mut call = Call::new();
    call.tell(5, Event::AnswerBegan)
        .tell(5, Event::AnswerHeard)
        .tell(5, assistant("a1", "Hello."))
        .tell(5, ended(false))
        .end();
    assert!(call.scores("latency-score").is_empty());
    assert_eq!(call.scores("turn-success").len(), 1);
}

#[test]
fn what_goes_wrong_has_a_level_and_a_message() {
    let mut call = Call::new();
    call.tell(1, called("t1", "pay"))
        .tell(9, answered("t1", "timed_out"))
        .tell(1, called("t2", "pay"))
        .tell(9, answered("t2", "refused"))
        .tell(1, called("t3", "wait"))
        .tell(5, Event::AnswerBegan)
        .tell(5, Event::AnswerHeard)
        .tell(5, Event::BargeIn)
        .tell(0, ended(true))
        .tell(1, Event::Error { code: "sonic_lost".into(), message: "the service is away".into() })
        .tell(9, Event::Ended { cause: "sonic_lost".into(), detail: "no stream".into() });
    is_well_formed(&call.spans, "call-1").expect("sound");
    let levels = |name: &str| {
        let of = |span: &&SpanData| {
            (text(span, attributes::LEVEL), text(span, attributes::STATUS_MESSAGE))
        };
        call.all(name).iter().map(of).collect::<Vec<_>>()
    };
    let pair = |level: &str, message: &str| (level.to_owned(), message.to_owned());
    assert_eq!(
        levels("tool-pay"),
        [pair("ERROR", "timed_out"), pair("WARNING", "refused by the workflow")]
    );
    assert_eq!(levels("tool-wait"), [pair("ERROR", "unanswered")]);
    assert_eq!(levels("error"), [pair("ERROR", "sonic_lost: the service is away")]);
    assert_eq!(levels("voice-session"), [pair("ERROR", "no stream")]);
    assert_eq!(levels("interruption"), [pair("", "")]);
    assert_eq!(text(call.only("interruption"), attributes::TYPE), "event");
    assert!(matches!(call.only("error").status, opentelemetry::trace::Status::Error { .. }));
    let success = call.scores("turn-success");
    assert_eq!((success.len(), &success[0]["value"]), (1, &0.0.into()), "a tool failed before it");
}

#[test]
fn an_answer_that_was_cut_while_it_was_played_is_interrupted() {
    let mut call = Call::new();
    let cut = |id: &str, interrupted| {
        let (id, text, role) = (id.to_owned(), "Let me tell".to_owned(), Speaker::Assistant);
        Event::Line(Line { id, role, text, is_final: true, interrupted, heard: None })
    };
    call.tell(1, Event::AnswerBegan)
        .tell(1, assistant("a1", "Let me tell you a story."))
        .tell(1, ended(false))
        .tell(900, Event::BargeIn)
        .tell(1, cut("a1", true))
        .end();
    let answer = call.only("assistant-response");
    assert_eq!(text(answer, attributes::OUTPUT), "Let me tell");
    assert_eq!(
        attribute(answer, "langfuse.observation.metadata.interrupted"),
        Some(Attribute::Bool(true))
    );
}

#[test]
fn every_token_is_counted_once() {
    let mut call = Call::new();
    // The model counts the caller's silence before anybody says anything, and a turn after it.
    call.tell(1, Event::Usage(tokens(1)))
        .tell(1, Event::AnswerBegan)
        .tell(9, ended(false))
        .tell(1, Event::Usage(tokens(5)))
        .wait(SETTLE)
        .tell(1, Event::Usage(tokens(6)))
        .tell(1, Event::AnswerBegan)
        .tell(9, ended(false))
        .tell(1, Event::Usage(tokens(9)))
        .wait(SETTLE)
        .tell(1, Event::Usage(tokens(11)))
        .end();
    assert_eq!(counted(&call.spans), 110);
    assert_eq!(text(call.only("unattributed-usage"), attributes::TYPE), "generation");
    is_well_formed(&call.spans, "call-1").expect("sound");
}

#[test]
fn a_part_that_goes_on_elsewhere_is_in_the_same_trace_below_the_session() {
    let mut first = Call::new();
    first.tell(1, user("u1", "hello")).tell(1, Event::Usage(tokens(4)));
    let mut second = Call::of(&began("call-1", true));
    second
        .tell(1, Event::Before(tokens(4)))
        .tell(1, user("u1", "are you there?"))
        .tell(1, Event::AnswerBegan)
        .tell(1, ended(false))
        .tell(1, Event::Usage(tokens(7)))
        .end();
    first.end();
    let session = first.only("voice-session").span_context.span_id();
    let part = second.only("voice-session-continued");
    assert_eq!(part.parent_span_id, session);
    assert_eq!(second.only("user-input").parent_span_id, part.span_context.span_id());
    let all: Vec<_> = first.spans.iter().chain(&second.spans).cloned().collect();
    assert_eq!(counted(&all), 70, "each part counts its own");
    // The first one began a moment before; both have a line u1.
    let mut later = began("call-1", true);
    later.program = "another".into();
    assert_ne!(
        Trace::begin(START, &later, rules()).own,
        Trace::begin(START + 1, &later, rules()).own
    );
}

#[test]
fn a_call_that_is_told_once_more_has_the_same_ids() {
    let ids = || {
        let mut call = Call::new();
        call.tell(1, user("u1", "a")).tell(1, Event::BargeIn).tell(1, Event::BargeIn).end();
        call.spans.iter().map(|span| span.span_context.span_id()).collect::<Vec<_>>()
    };
    assert_eq!(ids(), ids());
}

#[test]
fn a_number_that_is_said_in_pieces_is_never_shown() {
    let mut call = Call::new();
    for (n, piece) in ["my card is 4111", "1111", "1111"].into_iter().enumerate() {
        call.tell(100, user(&format!("u{n}"), piece)).wait(SETTLE);
    }
    assert!(call.names().is_empty(), "it waits for the last piece");
    call.tell(100, user("u3", "1111")).wait(SETTLE);
    let shown: Vec<_> =
        call.all("user-input").iter().map(|span| text(span, attributes::INPUT)).collect();
    assert_eq!(shown, ["[card number]"; 4]);
    // A correction does not bring it back, and what was no number is shown at last.
    call.tell(1, user("u1", "1111")).tell(1, user("u4", "my code is 1188")).wait(SETTLE);
    assert_eq!(call.all("user-input").len(), 4);
    call.tell(1, user("u5", "thank you")).wait(SETTLE);
    assert_eq!(call.all("user-input").len(), 6);
    call.end();
    let all = format!("{:?}", call.spans);
    assert!(!all.contains("4111") && all.contains("1188"), "{all}");
}

#[test]
fn words_that_were_cleaned_by_transcription_take_the_place_of_the_others() {
    let mut call = Call::new();
    let heard = |redacted| {
        Some(Heard { text: "I am [NAME]".into(), start: 0.0, end: 1.0, language: None, redacted })
    };
    let said = |id: &str, heard| {
        let (id, text) = (id.to_owned(), "I am Ann Smith".to_owned());
        let role = Speaker::User;
        Event::Line(Line { id, role, text, is_final: true, interrupted: false, heard })
    };
    call.tell(1, said("u1", None)).wait(3_000).tell(1, said("u1", heard(true)));
    call.tell(1, said("u2", heard(false))).end();
    let shown: Vec<_> =
        call.all("user-input").iter().map(|span| text(span, attributes::INPUT)).collect();
    assert_eq!(shown, ["I am [NAME]", "I am Ann Smith"]);
}

#[test]
fn an_opinion_is_a_score_of_the_trace() {
    let mut call = Call::new();
    let feedback = Feedback { score: 4.0, comment: Some("fine".into()), name: None };
    call.tell(1, Event::Feedback(feedback));
    let score = &call.scores("user-feedback")[0];
    assert_eq!((&score["value"], &score["comment"]), (&4.0.into(), &"fine".into()));
    assert_eq!(score["traceId"], trace_id("call-1").to_string());
    assert!(score.get("observationId").is_none());
}

#[test]
fn a_call_whose_end_is_lost_is_closed() {
    let mut call = Call::new();
    call.tell(1, user("u1", "hello"));
    call.trace.abandon("lost");
    call.collect();
    assert_eq!(call.names(), ["user-input", "voice-session"]);
    assert!(call.trace.is_over());
    call.tell(1, user("u2", "too late")).wait(SETTLE);
    assert_eq!(call.spans.len(), 2);
}

fn any_event() -> impl Strategy<Value = Event> {
    let id = prop_oneof![Just("1"), Just("2"), Just("3")];
    let role = prop_oneof![Just(Speaker::User), Just(Speaker::Assistant)];
    let words = prop_oneof![
        Just(""),
        Just("hello"),
        Just("4111 1111"),
        Just("1111 1111"),
        Just("four one"),
    ];
    let lines = (id.clone(), role, words, any::<bool>())
        .prop_map(|(id, role, said, is_final)| line(id, role, said, is_final));
    prop_oneof![
        4 => lines,
        2 => Just(Event::AnswerBegan),
        1 => Just(Event::AnswerHeard),
        2 => any::<bool>().prop_map(ended),
        1 => Just(Event::BargeIn),
        2 => id.clone().prop_map(|id| called(id, "a")),
        2 => id.prop_map(|id| answered(id, "failed")),
        1 => any::<Option<u32>>().prop_map(|ms| {
            Event::Turn(Turn { first_audio_ms: ms.map(u64::from), ..Turn::default() })
        }),
        2 => (0_u64..1_000).prop_map(|n| Event::Usage(tokens(n))),
        1 => Just(Event::Before(tokens(3))),
        1 => Just(Event::Error { code: "x".into(), message: "y".into() }),
        1 => Just(Event::Gap { lost: 1 }),
        1 => Just(Event::Connection { state: "back".into() }),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_in_whatever_order_the_spans_are_sound(
        events in proptest::collection::vec((any_event(), 0_u64..40_000, any::<bool>()), 0..60),
        session in "[A-Za-z0-9._:-]{1,40}",
        backwards in any::<bool>(),
    ) {
        let mut call = Call::of(&began(&session, false));
        for (event, after, waits) in events {
            // The wall clock may be set back.
            if backwards && after % 7 == 0 {
                call.at -= after;
            }
            call.tell(after, event);
            if waits {
                call.wait(after);
            }
        }
        call.end();
        is_well_formed(&call.spans, &session)?;
        prop_assert!(call.trace.is_over());
        // Whoever reads the caller's lines together finds no card.
        let lines = call.all("user-input");
        let lines: Vec<_> = lines.iter().map(|span| text(span, attributes::INPUT)).collect();
        let together = lines.join(" ");
        let cards = |text: &str| text.matches("[card number]").count();
        prop_assert_eq!(cards(&Redactor::default().text(&together)), cards(&together), "{}", together);
    }

    #[test]
    fn usage_that_grows_adds_up(
        events in proptest::collection::vec((any_event(), 0_u64..20_000, 0_u64..50), 0..60),
    ) {
        let (mut call, mut total) = (Call::new(), 0);
        for (event, after, more) in events {
            if matches!(event, Event::Usage(_) | Event::Before(_)) {
                total += more;
                call.tell(after, Event::Usage(tokens(total)));
            } else {
                call.tell(after, event);
            }
        }
        call.end();
        prop_assert_eq!(counted(&call.spans), total * 10);
    }
}
