//! Whatever a client sends in whatever order: no panic, one end, and output in proper blocks.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// The moves of a client, sensible and not.
fn moves() -> Vec<Vec<u8>> {
    let text = |name: &str, role: &str, interactive: bool| {
        json!({"contentStart": {"promptName": "p", "contentName": name, "type": "TEXT",
            "interactive": interactive, "role": role,
            "textInputConfiguration": {"mediaType": "text/plain"}}})
    };
    let data = |name: &str| {
        json!({"textInput": {"promptName": "p", "contentName": name,
        "content": "What is my balance?"}})
    };
    let end = |name: &str| json!({"contentEnd": {"promptName": "p", "contentName": name}});
    let loud: Vec<u8> =
        (0..3_200_u32).flat_map(|n| ((n * 7_919 % 20_000) as i16).to_le_bytes()).collect();
    let events = [
        json!({"sessionStart": {}}),
        json!({"promptStart": {"promptName": "p", "audioOutputConfiguration": {
            "mediaType": "audio/lpcm", "sampleRateHertz": 8_000, "voiceId": "amy"}}}),
        text("s", "SYSTEM", false),
        data("s"),
        end("s"),
        text("h", "USER", false),
        data("h"),
        end("h"),
        json!({"contentStart": {"promptName": "p", "contentName": "a", "type": "AUDIO",
            "role": "USER", "audioInputConfiguration": {
                "mediaType": "audio/lpcm", "sampleRateHertz": 16_000}}}),
        audio(&[0; 6_400]),
        audio(&loud),
        text("t", "USER", true),
        data("t"),
        end("t"),
        end("a"),
        json!({"promptEnd": {"promptName": "p"}}),
        json!({"sessionEnd": {}}),
    ];
    let mut moves: Vec<Vec<u8>> =
        events.iter().map(|event| json!({"event": event}).to_string().into_bytes()).collect();
    moves.push(b"{".to_vec());
    moves
}

/// Follows the output and fails at the first thing out of place.
#[derive(Default)]
struct Reader {
    open: BTreeSet<String>,
    completions: u32,
    head: bool,
    ended: bool,
    speaking: bool,
}

impl Reader {
    fn read(&mut self, act: &Act) {
        assert!(!self.ended || matches!(act, Act::Over), "after the end: {act:?}");
        let json: Value = match act {
            Act::Send(Outbound::Head) => {
                assert!(!std::mem::replace(&mut self.head, true), "a second head");
                return;
            }
            Act::Send(Outbound::End) => {
                self.ended = true;
                return;
            }
            Act::Send(Outbound::Event(event)) => event.clone(),
            Act::Send(Outbound::Json(json)) => serde_json::from_slice(json).unwrap(),
            Act::Say(_) => {
                assert!(!std::mem::replace(&mut self.speaking, true), "two sentences at once");
                return;
            }
            Act::Hush => {
                self.speaking = false;
                return;
            }
            _ => return,
        };
        assert!(self.head, "output before the head");
        let (name, body) = json["event"].as_object().unwrap().iter().next().unwrap();
        let id = body["contentId"].as_str().unwrap_or_default().to_owned();
        match name.as_str() {
            "completionStart" => self.completions += 1,
            "contentStart" => assert!(self.open.insert(id)),
            "contentEnd" => assert!(self.open.remove(&id)),
            "textOutput" | "audioOutput" | "toolUse" => assert!(self.open.contains(&id)),
            "completionEnd" => assert!(self.open.is_empty(), "open at the end: {:?}", self.open),
            _ => {}
        }
        assert!(self.completions <= 1, "a second completion");
    }
}

/// Plays the moves; the voice gives a chunk or ends whenever `voice` says so.
fn play(moves: &[Vec<u8>], picks: &[(usize, u8)]) {
    let mut stream = Stream::open(EmulatorConfig::default());
    let mut reader = Reader::default();
    let mut now = Duration::ZERO;
    for (pick, voice) in picks {
        now += ms(40);
        stream.service.event(now, &moves[pick % moves.len()]);
        stream.acts().iter().for_each(|act| reader.read(act));
        if reader.speaking {
            if voice % 3 == 0 {
                reader.speaking = false;
                stream.service.voice_ended(now);
            } else {
                stream.service.voice(now, &[0; 1_024]);
            }
            stream.acts().iter().for_each(|act| reader.read(act));
        }
        stream.service.tick(now);
        stream.acts().iter().for_each(|act| reader.read(act));
    }
    stream.service.input_ended();
    stream.acts().iter().for_each(|act| reader.read(act));
    assert!(reader.ended, "the stream has an end");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_events_ends_in_order(
        picks in prop::collection::vec((0_usize..64, any::<u8>()), 0..40),
    ) {
        play(&moves(), &picks);
    }

    #[test]
    fn any_order_of_events_in_an_open_conversation_ends_in_order(
        picks in prop::collection::vec((8_usize..14, any::<u8>()), 0..60),
    ) {
        let opening = (0..5).chain(8..10).map(|index| (index, 1));
        let picks: Vec<(usize, u8)> = opening.chain(picks).collect();
        play(&moves(), &picks);
    }

    #[test]
    fn any_bytes_are_refused_at_most(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        play(&[bytes], &[(0, 0)]);
    }
}
