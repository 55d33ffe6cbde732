//! The JSON of every event, against the shapes of `nova-sonic.md` §2.

use serde_json::{Value, json};

use super::*;

fn value(event: &InputEvent<'_>) -> Value {
    serde_json::from_slice(&event.to_json()).unwrap()
}

#[test]
fn session_start_nests_turn_detection_and_keeps_numbers_short() {
    let event = InputEvent::SessionStart(SessionStart {
        inference_configuration: InferenceConfiguration {
            max_tokens: 1024,
            top_p: 0.9,
            temperature: 0.7,
        },
        turn_detection_configuration: Some(TurnDetectionConfiguration {
            endpointing_sensitivity: "MEDIUM",
        }),
    });
    assert_eq!(
        event.to_json(),
        r#"{"event":{"sessionStart":{"inferenceConfiguration":{"maxTokens":1024,"topP":0.9,"temperature":0.7},"turnDetectionConfiguration":{"endpointingSensitivity":"MEDIUM"}}}}"#
    );
}

#[test]
fn prompt_start_has_the_documented_shape() {
    let event = InputEvent::PromptStart(PromptStart {
        prompt_name: "p".into(),
        text_output_configuration: MediaConfiguration::TEXT,
        audio_output_configuration: AudioOutputConfiguration {
            format: AudioFormat::at(SampleRate::Hz24000),
            voice_id: "matthew".into(),
        },
        tool_use_output_configuration: Some(MediaConfiguration::JSON),
        tool_configuration: Some(ToolConfiguration {
            tools: vec![Tool {
                tool_spec: ToolSpecification {
                    name: "getWeather".into(),
                    description: "d".into(),
                    input_schema: InputSchema { json: "{}".into() },
                },
            }],
            tool_choice: Some(ToolChoice::Tool { name: "getWeather".into() }),
        }),
    });
    assert_eq!(
        value(&event),
        json!({"event": {"promptStart": {
            "promptName": "p",
            "textOutputConfiguration": {"mediaType": "text/plain"},
            "audioOutputConfiguration": {
                "mediaType": "audio/lpcm", "sampleRateHertz": 24000, "sampleSizeBits": 16,
                "channelCount": 1, "voiceId": "matthew", "encoding": "base64",
                "audioType": "SPEECH"},
            "toolUseOutputConfiguration": {"mediaType": "application/json"},
            "toolConfiguration": {
                "tools": [{"toolSpec": {"name": "getWeather", "description": "d",
                    "inputSchema": {"json": "{}"}}}],
                "toolChoice": {"tool": {"name": "getWeather"}}}}}})
    );
}

#[test]
fn contents_have_the_documented_shapes() {
    let system = ContentStart::text("p", "c", InputRole::SystemSpeech, false);
    assert_eq!(
        value(&InputEvent::ContentStart(system)),
        json!({"event": {"contentStart": {"promptName": "p", "contentName": "c",
            "type": "TEXT", "interactive": false, "role": "SYSTEM_SPEECH",
            "textInputConfiguration": {"mediaType": "text/plain"}}}})
    );
    let audio = ContentStart::audio("p", "c", SampleRate::Hz16000);
    assert_eq!(
        value(&InputEvent::ContentStart(audio)),
        json!({"event": {"contentStart": {"promptName": "p", "contentName": "c",
            "type": "AUDIO", "interactive": true, "role": "USER",
            "audioInputConfiguration": {"mediaType": "audio/lpcm", "sampleRateHertz": 16000,
                "sampleSizeBits": 16, "channelCount": 1, "audioType": "SPEECH",
                "encoding": "base64"}}}})
    );
    let tool = ContentStart::tool_result("p", "c", "t");
    assert_eq!(
        value(&InputEvent::ContentStart(tool)),
        json!({"event": {"contentStart": {"promptName": "p", "contentName": "c",
            "type": "TOOL", "interactive": false, "role": "TOOL",
            "toolResultInputConfiguration": {"toolUseId": "t", "type": "TEXT",
                "textInputConfiguration": {"mediaType": "text/plain"}}}}})
    );
}

#[test]
fn the_end_is_three_events() {
    let end = ContentEnd { prompt_name: "p".into(), content_name: "c".into() };
    assert_eq!(
        InputEvent::ContentEnd(end).to_json(),
        r#"{"event":{"contentEnd":{"promptName":"p","contentName":"c"}}}"#
    );
    assert_eq!(
        InputEvent::PromptEnd(PromptEnd { prompt_name: "p".into() }).to_json(),
        r#"{"event":{"promptEnd":{"promptName":"p"}}}"#
    );
    assert_eq!(InputEvent::SessionEnd(SessionEnd {}).to_json(), r#"{"event":{"sessionEnd":{}}}"#);
}
