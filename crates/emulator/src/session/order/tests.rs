//! The order rules as tables: what was sent before, what is sent now, what the service says.

use super::*;

const SESSION: &str = r#"{"event":{"sessionStart":{"inferenceConfiguration":{"maxTokens":1024,"topP":0.9,"temperature":0.7}}}}"#;
const PROMPT: &str = r#"{"event":{"promptStart":{"promptName":"p","textOutputConfiguration":{"mediaType":"text/plain"},"audioOutputConfiguration":{"mediaType":"audio/lpcm","sampleRateHertz":24000,"sampleSizeBits":16,"channelCount":1,"voiceId":"matthew","encoding":"base64","audioType":"SPEECH"}}}}"#;
const SESSION_END: &str = r#"{"event":{"sessionEnd":{}}}"#;

fn prompt(members: &str) -> String {
    format!(
        r#"{{"event":{{"promptStart":{{"promptName":"p","audioOutputConfiguration":{{"mediaType":"audio/lpcm","sampleRateHertz":16000{members}}}}}}}"#
    )
}

fn with_tool(name: &str, schema: &str) -> String {
    prompt(&format!(
        r#","voiceId":"tiffany"}},"toolConfiguration":{{"tools":[{{"toolSpec":{{"name":"{name}","description":"d","inputSchema":{{"json":{schema}}}}}}}],"toolChoice":{{"auto":{{}}}}}}"#
    ))
}

fn text_start(name: &str, role: &str, interactive: bool) -> String {
    format!(
        r#"{{"event":{{"contentStart":{{"promptName":"p","contentName":"{name}","type":"TEXT","interactive":{interactive},"role":"{role}","textInputConfiguration":{{"mediaType":"text/plain"}}}}}}}}"#
    )
}

fn audio_start(name: &str) -> String {
    format!(
        r#"{{"event":{{"contentStart":{{"promptName":"p","contentName":"{name}","type":"AUDIO","interactive":true,"role":"USER","audioInputConfiguration":{{"mediaType":"audio/lpcm","sampleRateHertz":16000,"sampleSizeBits":16,"channelCount":1,"audioType":"SPEECH","encoding":"base64"}}}}}}}}"#
    )
}

fn tool_start(name: &str, id: &str, media: &str) -> String {
    format!(
        r#"{{"event":{{"contentStart":{{"promptName":"p","contentName":"{name}","type":"TOOL","interactive":false,"role":"TOOL","toolResultInputConfiguration":{{"toolUseId":"{id}","type":"TEXT","textInputConfiguration":{{"mediaType":"{media}"}}}}}}}}}}"#
    )
}

fn data(event: &str, name: &str, content: &str) -> String {
    let content = serde_json::json!(content);
    format!(
        r#"{{"event":{{"{event}":{{"promptName":"p","contentName":"{name}","content":{content}}}}}}}"#
    )
}

fn end(name: &str) -> String {
    format!(r#"{{"event":{{"contentEnd":{{"promptName":"p","contentName":"{name}"}}}}}}"#)
}

fn prompt_end() -> String {
    r#"{"event":{"promptEnd":{"promptName":"p"}}}"#.to_owned()
}

fn text(name: &str, role: &str, content: &str) -> Vec<String> {
    vec![text_start(name, role, false), data("textInput", name, content), end(name)]
}

/// Up to the SYSTEM block.
fn with_system() -> Vec<String> {
    let mut events = vec![SESSION.to_owned(), PROMPT.to_owned()];
    events.extend(text("system", "SYSTEM", "Be kind."));
    events
}

/// Up to the first audio.
fn with_audio() -> Vec<String> {
    let mut events = with_system();
    events.extend([audio_start("audio"), data("audioInput", "audio", "AAAA")]);
    events
}

/// Feeds the events; all but the last must be accepted. Returns what is said of the last.
fn last(order: &mut Order, events: &[String]) -> Result<String, Violation> {
    let (last, before) = events.split_last().unwrap();
    for event in before {
        let parsed = ClientEvent::parse(event.as_bytes()).unwrap();
        order.accept(parsed).unwrap_or_else(|violation| panic!("{event}: {violation}"));
    }
    ClientEvent::parse(last.as_bytes())
        .and_then(|event| order.accept(event))
        .map(|accepted| format!("{accepted:?}"))
}

fn after(
    generation: Generation,
    mut before: Vec<String>,
    now: &[String],
) -> Result<String, Violation> {
    before.extend_from_slice(now);
    last(&mut Order::new(generation), &before)
}

fn v2(before: Vec<String>, now: &[String]) -> Result<String, Violation> {
    after(Generation::V2, before, now)
}

#[test]
fn each_broken_rule_is_answered_in_the_words_of_the_service() {
    let session = || vec![SESSION.to_owned()];
    let prompted = || vec![SESSION.to_owned(), PROMPT.to_owned()];
    let cases: Vec<(&str, Vec<String>, Vec<String>, &str)> = vec![
        ("prompt before session", vec![], vec![PROMPT.into()], "Invalid input request, please fix your input and try again."),
        ("session twice", session(), vec![SESSION.into()], "Invalid input request, please fix your input and try again."),
        ("content before prompt", session(), vec![audio_start("a")], "No open prompt found for prompt name: p"),
        ("first content audio", prompted(), vec![audio_start("a")], "First content must have SYSTEM role"),
        ("first content user", prompted(), vec![text_start("h", "USER", false)], "First content must have SYSTEM role"),
        ("second system", with_system(), vec![text_start("s", "SYSTEM", false)], "Duplicate SYSTEM content. SYSTEM content can only be provided once per prompt."),
        ("second prompt", with_system(), vec![PROMPT.into()], "Duplicate prompt name: p"),
        ("history starts with assistant", with_system(), vec![text_start("h", "ASSISTANT", false)], "First message in chat history should not be Assistant."),
        ("history after audio", with_audio(), vec![text_start("h", "USER", false)], "Chat history should be sent completely before streaming audio."),
        ("audio content inside history", with_system(), vec![text_start("h", "USER", false), audio_start("a")], "Chat history should be sent completely before streaming audio."),
        ("audio inside interactive text", with_audio(), vec![text_start("t", "USER", true), data("audioInput", "audio", "AAAA")], "Chat history should be sent completely before streaming audio."),
        ("data for unknown content", with_system(), vec![data("audioInput", "ghost", "AAAA")], "No open content found for content name: ghost"),
        ("data for closed content", with_system(), vec![data("textInput", "system", "more")], "No open content found for content name: system"),
        ("end of unknown content", with_system(), vec![end("ghost")], "No open content found for content name: ghost"),
        ("end without data", with_system(), vec![audio_start("a"), end("a")], "Cannot end content [a] as no content data was received"),
        ("prompt end with open content", with_audio(), vec![prompt_end()], "All contents must be closed before ending prompt"),
        ("prompt without audio", with_system(), vec![prompt_end()], "Prompt [p] must have at least one audio content"),
        ("session end without prompt", session(), vec![SESSION_END.into()], "No prompts were received in the sequence"),
        ("wrong kind of data", with_audio(), vec![data("textInput", "audio", "hello")], "Invalid input request, please fix your input and try again."),
        ("name in use", with_audio(), vec![audio_start("audio")], "Invalid input request, please fix your input and try again."),
        ("result of no call", with_audio(), vec![tool_start("t", "42", "text/plain")], "No open tool use found for toolUseId: 42"),
        ("result of another type", with_audio(), vec![tool_start("t", "42", "application/json")], "Tool result media type must be one of: [text/plain]"),
        ("no voice", session(), vec![prompt("}")], "Received invalid voiceId: value must not be empty"),
        ("empty voice", session(), vec![prompt(r#","voiceId":""}"#)], "Received invalid voiceId: value must not be empty"),
        ("schema as object", session(), vec![with_tool("t", r#"{"type":"object"}"#)], "Unable to parse input chunk. Please check input format contains correct format."),
        ("schema that is no JSON", session(), vec![with_tool("t", r#""{type""#)], "Invalid input request, please fix your input and try again."),
        ("flat sensitivity", vec![], vec![r#"{"event":{"sessionStart":{"endpointingSensitivity":"HIGH"}}}"#.into()], "Invalid input request, please fix your input and try again."),
        ("unknown sensitivity", vec![], vec![r#"{"event":{"sessionStart":{"turnDetectionConfiguration":{"endpointingSensitivity":"huge"}}}}"#.into()], "Invalid input request, please fix your input and try again."),
        ("temperature out of range", vec![], vec![r#"{"event":{"sessionStart":{"inferenceConfiguration":{"temperature":1.5}}}}"#.into()], "Invalid input request, please fix your input and try again."),
        ("huge text", with_system(), vec![text_start("h", "USER", false), data("textInput", "h", &"x".repeat(32_768))], "Invalid input request, please fix your input and try again."),
    ];
    for (what, before, now, words) in cases {
        let said = v2(before, &now).map_err(|violation| violation.to_string());
        assert_eq!(said, Err(words.to_owned()), "{what}");
    }
}

#[test]
fn a_bad_tool_name_quotes_the_pattern() {
    let said = v2(vec![SESSION.into()], &[with_tool("get weather", r#""{}""#)]);
    let words = said.unwrap_err().to_string();
    assert!(words.contains("'get weather'") && words.contains("^[a-zA-Z0-9_-]+$"), "{words}");
}

#[test]
fn an_orderly_session_is_accepted() {
    let mut events = with_system();
    events.extend(text("h1", "USER", "hello"));
    events.extend(text("h2", "ASSISTANT", "good day"));
    events.extend(text("s2", "SYSTEM_SPEECH", "Devanagari"));
    events.extend([
        audio_start("audio"),
        data("audioInput", "audio", "AAAA"),
        text_start("t", "USER", true),
        data("textInput", "t", "what is "),
        data("textInput", "t", "my balance"),
        end("t"),
    ]);
    assert_eq!(v2(events.clone(), &[]).unwrap(), r#"Text("what is my balance")"#);
    events.extend([data("audioInput", "audio", "AAAA"), end("audio")]);
    assert_eq!(v2(events.clone(), &[]).unwrap(), "AudioClosed");
    assert_eq!(v2(events.clone(), &[prompt_end()]).unwrap(), "PromptEnded");
    assert_eq!(v2(events.clone(), &[prompt_end(), PROMPT.into()]).unwrap(), "PromptAfterEnd");
    assert_eq!(v2(events, &[prompt_end(), SESSION_END.into()]).unwrap(), "SessionEnded");
}

#[test]
fn the_first_generation_knows_no_turn_detection_and_no_script_of_speech() {
    let tuned = r#"{"event":{"sessionStart":{"turnDetectionConfiguration":{"endpointingSensitivity":"HIGH"}}}}"#.to_owned();
    assert_eq!(v2(vec![], std::slice::from_ref(&tuned)).unwrap(), "SessionStarted(High)");
    assert_eq!(after(Generation::V1, vec![], &[tuned]), Err(Violation::InvalidRequest));
    let devanagari = [text_start("s2", "SYSTEM_SPEECH", false)];
    assert!(v2(with_system(), &devanagari).is_ok());
    assert_eq!(after(Generation::V1, with_system(), &devanagari), Err(Violation::InvalidRequest));
}

#[test]
fn history_has_a_size() {
    let long = "x".repeat(25_000);
    let mut events = with_system();
    events.push(text_start("h", "USER", false));
    events.extend([data("textInput", "h", &long), data("textInput", "h", &long)]);
    assert!(v2(events.clone(), &[]).is_ok());
    assert_eq!(v2(events, &[data("textInput", "h", &long)]), Err(Violation::HistoryTooLong));

    let mut events = with_system();
    for n in 0..8 {
        events.push(text_start(&format!("h{n}"), "USER", false));
        events.extend([data("textInput", &format!("h{n}"), &long), end(&format!("h{n}"))]);
    }
    events.push(text_start("h9", "USER", false));
    assert_eq!(v2(events, &[data("textInput", "h9", &long)]), Err(Violation::HistoryTooLong));

    let mut events = with_system();
    for n in 0..40 {
        events.extend(text(&format!("h{n}"), "USER", "hello"));
    }
    let one_more = [text_start("h40", "USER", false)];
    assert_eq!(after(Generation::V1, events, &one_more), Err(Violation::HistoryTooLong));
}

#[test]
fn text_without_effect_is_accepted_once_the_conversation_began() {
    let late = text("late", "USER", "a note");
    let mut order = Order::new(Generation::V2);
    last(&mut order, &with_audio()).unwrap();
    order.conversation_began();
    assert_eq!(last(&mut order, &late).unwrap(), "ContextEnded { bytes: 6 }");
}

#[test]
fn a_tool_result_answers_its_call_once_and_is_json() {
    let mut order = Order::new(Generation::V2);
    last(&mut order, &with_audio()).unwrap();
    order.tool_called("t1");
    order.tool_called("t2");
    let result = |name: &str, id: &str, content: &str| {
        vec![tool_start(name, id, "text/plain"), data("toolResult", name, content), end(name)]
    };
    let said = last(&mut order, &result("r2", "t2", r#"{"temp":21}"#)).unwrap();
    assert_eq!(said, r#"ToolResult { id: "t2", result: Object {"temp": Number(21)} }"#);
    let again = last(&mut order, &[tool_start("r3", "t2", "text/plain")]);
    assert_eq!(again, Err(Violation::UnknownToolUse("t2".into())));
    let prose = last(&mut order, &result("r1", "t1", "CANCELLED"));
    assert_eq!(prose, Err(Violation::ToolResultNotJson));
}
