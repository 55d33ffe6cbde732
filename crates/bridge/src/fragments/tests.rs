//! What the follower of fragments makes of every stream that Connect and the network can give.

use proptest::prelude::*;
use voice_audio::pcm;

use super::*;

const BEGAN: u64 = 1_726_677_688_000;

/// The elements of a fragment of 100 ms whose samples count on, with its tags in front or behind.
fn fragment(number: u64, contact: Option<&str>, tags_first: bool) -> Vec<Element> {
    let tag = |name: &str, value: &str| Element::Tag { name: name.into(), value: value.into() };
    let track = |number, name: &str| Element::Track { number, name: Some(name.into()) };
    // The caller's track has another number in every fragment.
    let customer = number % 2 + 1;
    let mut elements = vec![
        Element::Document,
        track(customer, CUSTOMER),
        track(3 - customer, "AUDIO_TO_CUSTOMER"),
        tag("AWS_KINESISVIDEO_FRAGMENT_NUMBER", &format!("91{number:045}")),
    ];
    let identity = contact.map(|id| tag("ContactId", id));
    if tags_first {
        elements.extend(identity.clone());
    }
    elements.push(Element::ClusterTime(BEGAN + number * 100));
    let samples: Vec<i16> = (number * 800..(number + 1) * 800).map(|n| n as i16).collect();
    let bytes = pcm::bytes(&samples);
    // Blocks of odd lengths.
    let mut at = 0;
    for length in [333, 512, 1, 754] {
        let offset = (at / 16) as i16;
        let content = bytes.slice(at..at + length);
        elements.push(Element::Block { track: customer, offset, content });
        let content = Bytes::from(vec![0x77; 64]);
        elements.push(Element::Block { track: 3 - customer, offset, content });
        at += length;
    }
    if !tags_first {
        elements.extend(identity);
    }
    elements.push(tag("AWS_KINESISVIDEO_MILLIS_BEHIND_NOW", "12"));
    elements.push(tag("AWS_KINESISVIDEO_CONTINUATION_TOKEN", &format!("token-{number}")));
    elements
}

fn hear(follower: &mut Follower, elements: impl IntoIterator<Item = Element>) -> Vec<Heard> {
    let mut all = Vec::new();
    for element in elements {
        follower.take(element, &mut |heard| all.push(heard));
    }
    all.retain(|heard| !matches!(heard, Heard::Behind { .. }));
    all
}

fn voice(heard: &[Heard]) -> Vec<i16> {
    let samples = heard.iter().filter_map(|heard| match heard {
        Heard::Voice { samples, .. } => Some(samples.as_slice()),
        _ => None,
    });
    samples.flatten().copied().collect()
}

fn count(from: u64, to: u64) -> Vec<i16> {
    (from * 800..to * 800).map(|n| n as i16).collect()
}

fn follower() -> Follower {
    Follower::new("ours", BEGAN, Encoding::Pcm16)
}

#[test]
fn the_callers_track_is_heard_whatever_its_number_is() {
    for tags_first in [false, true] {
        let mut follower = follower();
        let all = (0..4).flat_map(|number| fragment(number, Some("ours"), tags_first));
        let heard = hear(&mut follower, all);
        assert_eq!(voice(&heard), count(0, 4));
        assert!(matches!(heard[0], Heard::Voice { at_ms: BEGAN, .. }));
        assert_eq!(follower.start(), MediaStart::Token("token-3".into()));
    }
}

#[test]
fn the_first_fragment_is_held_back_until_it_is_known_whose_it_is() {
    let mut follower = follower();
    let mut first = fragment(0, Some("ours"), false);
    let tail = first.split_off(first.len() - 3);
    assert_eq!(hear(&mut follower, first), []);
    assert_eq!(voice(&hear(&mut follower, tail)), count(0, 1));
    // From then on nothing waits.
    let second = fragment(1, Some("ours"), false).into_iter().take(6);
    assert!(!voice(&hear(&mut follower, second)).is_empty());
}

#[test]
fn a_fragment_without_a_name_belongs_to_the_one_before_it() {
    let mut follower = follower();
    hear(&mut follower, fragment(0, Some("ours"), false));
    assert_eq!(voice(&hear(&mut follower, fragment(1, None, false))), count(1, 2));
    // At the beginning it waits for the next one, if it is of the time of the call.
    let mut early = super::tests::follower();
    assert_eq!(hear(&mut early, fragment(0, None, false)), []);
    assert_eq!(voice(&hear(&mut early, fragment(1, Some("ours"), false))), count(0, 2));
    let mut late = Follower::new("ours", BEGAN + 60_000, Encoding::Pcm16);
    hear(&mut late, fragment(0, None, false));
    assert_eq!(voice(&hear(&mut late, fragment(600, Some("ours"), false))), count(600, 601));
}

#[test]
fn another_contact_is_not_heard_before_and_ends_the_call_after() {
    let mut follower = follower();
    assert_eq!(hear(&mut follower, fragment(0, Some("theirs"), false)), []);
    assert_eq!(hear(&mut follower, fragment(1, Some("theirs"), true)), []);
    assert_eq!(voice(&hear(&mut follower, fragment(2, Some("ours"), false))), count(2, 3));
    assert_eq!(hear(&mut follower, fragment(3, Some("theirs"), true)), [Heard::OtherContact]);
}

#[test]
fn a_lost_fragment_becomes_silence_of_its_length() {
    let mut follower = follower();
    hear(&mut follower, fragment(0, Some("ours"), false));
    let heard = hear(&mut follower, fragment(3, Some("ours"), false));
    assert_eq!(heard[0], Heard::Missing { ms: 200 });
    assert_eq!(voice(&heard), count(3, 4));
}

#[test]
fn the_mime_type_says_what_the_codec_does_not() {
    let tag = |value: &str| Element::Tag { name: "MimeType".into(), value: value.into() };
    let mut follower = follower();
    hear(&mut follower, fragment(0, Some("ours"), false));
    assert_eq!(hear(&mut follower, [tag("audio/L16;rate=8000;channels=1;")]), []);
    assert_eq!(hear(&mut follower, [tag("audio/PCMU;rate=8000;channels=1;")]), []);
    let mut second = fragment(1, None, false);
    second.truncate(5);
    second.push(Element::Block { track: 2, offset: 0, content: Bytes::from_static(&[0x80]) });
    assert_eq!(voice(&hear(&mut follower, second)), [32_124]);
    let mime = "audio/L16;rate=16000;channels=1;";
    assert_eq!(hear(&mut follower, [tag(mime)]), [Heard::Unsupported { mime: mime.into() }]);
}

#[test]
fn a_lone_track_without_a_name_is_the_callers() {
    for name in [None, Some(String::new()), Some(LEGACY.to_owned())] {
        let mut follower = follower();
        let mut elements = fragment(1, Some("ours"), false);
        elements[1] = Element::Track { number: 2, name };
        elements.remove(2);
        assert_eq!(voice(&hear(&mut follower, elements)), count(1, 2));
    }
    let mut follower = follower();
    let mut elements = fragment(1, Some("ours"), false);
    elements.remove(1);
    assert!(voice(&hear(&mut follower, elements)).is_empty(), "the bot is not the caller");
}

#[test]
fn a_place_that_is_lost_is_given_up() {
    let mut follower = follower();
    assert_eq!(follower.start(), MediaStart::At(BEGAN));
    hear(&mut follower, fragment(0, Some("ours"), false));
    follower.lose_place();
    assert_eq!(follower.start(), MediaStart::Now);
    // What comes twice is heard once all the same as long as its number is known.
    assert_eq!(Follower::new("ours", 0, Encoding::Pcm16).start(), MediaStart::Now);
}

proptest! {
    /// Connections break off anywhere, and begin again at the token or some fragments earlier.
    #[test]
    fn nothing_is_lost_and_nothing_doubled_however_connections_break_off(
        tags_first: bool,
        breaks in prop::collection::vec((0_usize..60, 0_u64..3), 0..12),
    ) {
        const FRAGMENTS: u64 = 12;
        let mut follower = follower();
        let mut heard = Vec::new();
        let next = |follower: &Follower| match follower.start() {
            MediaStart::Token(token) => {
                token.trim_start_matches("token-").parse::<u64>().expect("a number") + 1
            }
            _ => 0,
        };
        for (elements, earlier) in breaks {
            let from = next(&follower).saturating_sub(earlier);
            let stream = (from..FRAGMENTS).flat_map(|n| fragment(n, Some("ours"), tags_first));
            heard.extend(hear(&mut follower, stream.take(elements)));
            follower.disconnected();
        }
        let rest = (next(&follower)..FRAGMENTS).flat_map(|n| fragment(n, Some("ours"), tags_first));
        heard.extend(hear(&mut follower, rest));
        prop_assert_eq!(voice(&heard), count(0, FRAGMENTS));
        let missing = heard.iter().any(|heard| matches!(heard, Heard::Missing { .. }));
        prop_assert!(!missing);
    }

    #[test]
    fn no_order_of_elements_breaks_it(
        picks in prop::collection::vec((0_u64..5, 0_usize..14, any::<bool>()), 0..200),
    ) {
        let mut follower = follower();
        for (number, pick, tags_first) in picks {
            let contact = [None, Some("ours"), Some("theirs")][number as usize % 3];
            hear(&mut follower, fragment(number, contact, tags_first).into_iter().nth(pick));
        }
    }
}
