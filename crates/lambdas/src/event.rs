//! What Amazon Connect sends to a function, as far as it matters here.
//!
//! Our own types: those of `aws_lambda_events` know no `MediaStreams`, and fail on a null endpoint
//! and on nested parameters (connect-kvs.md §5.2). Everything may be absent or null; what is missing
//! for good is said by [`Event::call`] and [`Event::turn`]. Pure; called by [`crate::serve`].

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The event of a flow's `InvokeLambdaFunction`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Event {
    /// All there is.
    #[serde(deserialize_with = "or_default")]
    pub details: Details,
}

/// The contact, and what the flow wants to say.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Details {
    /// The call.
    #[serde(deserialize_with = "or_default")]
    pub contact_data: ContactData,
    /// `LambdaInvocationAttributes` of the flow; may be nested.
    #[serde(deserialize_with = "or_default")]
    pub parameters: Map<String, Value>,
}

/// The call.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContactData {
    /// Its id.
    pub contact_id: Option<String>,
    /// What the flow has set on it.
    #[serde(deserialize_with = "or_default")]
    pub attributes: Map<String, Value>,
    /// BCP 47.
    pub language_code: Option<String>,
    /// Null before streaming was started.
    #[serde(deserialize_with = "or_default")]
    pub media_streams: MediaStreams,
}

/// Whose media are streamed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MediaStreams {
    /// The caller's.
    #[serde(deserialize_with = "or_default")]
    pub customer: Customer,
}

/// The caller's media.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Customer {
    /// Null before streaming was started.
    pub audio: Option<Audio>,
}

/// Where the caller's voice is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Audio {
    /// Of the Kinesis video stream.
    #[serde(rename = "StreamARN")]
    pub stream_arn: Option<String>,
    /// Milliseconds since 1970, as text; a number is taken as well.
    pub start_timestamp: Option<Value>,
    /// 47 digits.
    pub start_fragment_number: Option<String>,
}

/// Null is the same as nothing.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What is missing in an event. The flow is at fault, and whoever made it reads this in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEvent(pub String);

impl std::fmt::Display for BadEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A turn of a flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The bridge's name of the call.
    pub session_id: String,
    /// Who has it, as the last answer said.
    pub owner: Option<String>,
    /// The same for every attempt at this turn.
    pub key: String,
    /// The key of the turn before: an answer that is not the bridge's repeats it, so that the next
    /// event asks for the same turn.
    pub after: String,
    /// Where another task would go on; the bridge has sealed it.
    pub resume: Option<String>,
    /// With it another task can take the call over; absent once streaming has stopped.
    pub contact: Option<Value>,
}

impl Event {
    /// Reads an event, whatever it is.
    ///
    /// # Errors
    /// [`BadEvent`] says what is wrong with it, and where.
    pub fn read(event: Value) -> Result<Self, BadEvent> {
        serde_path_to_error::deserialize(event).map_err(|error| {
            BadEvent(format!("the event is not Connect's: at {}: {}", error.path(), error.inner()))
        })
    }

    /// The call as the bridge wants to know it (`POST /start`).
    ///
    /// # Errors
    /// When there is no contact, or its voice is not streamed.
    pub fn call(&self) -> Result<Value, BadEvent> {
        let contact = &self.details.contact_data;
        let contact_id = filled(contact.contact_id.as_deref()).ok_or_else(|| {
            BadEvent("Details.ContactData.ContactId is missing: is this a contact flow?".to_owned())
        })?;
        let audio = contact.media_streams.customer.audio.as_ref();
        let stream = audio.and_then(|audio| filled(audio.stream_arn.as_deref()));
        let (Some(audio), Some(stream_arn)) = (audio, stream) else {
            return Err(BadEvent(
                "Details.ContactData.MediaStreams.Customer.Audio has no StreamARN: the flow has to \
                 start media streaming before it invokes this function"
                    .to_owned(),
            ));
        };
        let since = audio.start_timestamp.clone();
        let since = since.filter(|at| at.is_u64() || at.as_str().is_some_and(|at| !at.is_empty()));
        Ok(json!({
            "contactId": contact_id,
            "streamArn": stream_arn,
            "startTimestamp": since,
            "attributes": contact.attributes,
            "language": contact.language_code,
        }))
    }

    /// The turn that the flow asks for.
    ///
    /// # Errors
    /// When neither the flow nor the contact says which call it is.
    pub fn turn(&self) -> Result<Turn, BadEvent> {
        let said = |name: &str| {
            let value = self.details.parameters.get(name).and_then(Value::as_str);
            filled(value).map(str::to_owned)
        };
        let contact_id = filled(self.details.contact_data.contact_id.as_deref());
        let session_id = said("sessionId").or_else(|| contact_id.map(|id| format!("connect-{id}")));
        let session_id = session_id.ok_or_else(|| {
            BadEvent("the parameter sessionId is missing, and so is ContactId".to_owned())
        })?;
        let after = said("after").unwrap_or_default();
        // `start` is the key of the greeting; the turns are counted from 1.
        let key = after.parse::<u64>().map_or(1, |before| before.saturating_add(1)).to_string();
        Ok(Turn {
            session_id,
            owner: said("owner"),
            key,
            after,
            resume: said("resume"),
            contact: self.call().ok(),
        })
    }
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(contact: Value, parameters: Value) -> Event {
        let event = json!({"Name": "ContactFlowEvent",
            "Details": {"ContactData": contact, "Parameters": parameters}});
        Event::read(event).expect("an event")
    }

    fn contact() -> Value {
        json!({"ContactId": "c-1", "Channel": "VOICE", "CustomerEndpoint": null,
            "SystemEndpoint": {"Address": "+1", "Type": "TELEPHONE_NUMBER"}, "Queue": null,
            "LanguageCode": "en-US", "Attributes": {"tier": "gold"}, "CustomerId": null,
            "MediaStreams": {"Customer": {"Audio": {
                "StreamARN": "arn:aws:kinesisvideo:us-east-1:1:stream/a/1",
                "StartTimestamp": "1565781909613", "StopTimestamp": null,
                "StartFragmentNumber": "9134"}}}})
    }

    #[test]
    fn a_contact_is_read_with_its_stream() {
        let event = event(contact(), json!({"op": "start", "nested": {"a": [1]}}));
        assert_eq!(
            event.call().expect("a call"),
            json!({"contactId": "c-1", "streamArn": "arn:aws:kinesisvideo:us-east-1:1:stream/a/1",
                "startTimestamp": "1565781909613", "attributes": {"tier": "gold"},
                "language": "en-US"})
        );
    }

    #[test]
    fn a_stream_that_was_not_started_is_named_and_hinders_no_turn() {
        for streams in [
            json!(null),
            json!({}),
            json!({"Customer": null}),
            json!({"Customer": {"Audio": null}}),
            json!({"Customer": {"Audio": {"StreamARN": null}}}),
        ] {
            let mut contact = contact();
            contact["MediaStreams"] = streams;
            contact["Attributes"] = Value::Null;
            let event = event(contact, Value::Null);
            let why = event.call().expect_err("no stream").to_string();
            assert!(why.contains("start media streaming"), "{why}");
            let turn = event.turn().expect("a turn");
            assert_eq!((turn.session_id.as_str(), turn.contact), ("connect-c-1", None));
        }
    }

    #[test]
    fn turns_are_counted_from_the_answer_before() {
        let key = |parameters: Value| {
            let turn = event(contact(), parameters).turn().expect("a turn");
            (turn.after, turn.key)
        };
        let pair = |after: &str, key: &str| (after.to_owned(), key.to_owned());
        assert_eq!(key(json!({"after": "start"})), pair("start", "1"));
        assert_eq!(key(json!({"after": "7"})), pair("7", "8"));
        assert_eq!(key(json!({"after": ""})), pair("", "1"));
        assert_eq!(key(json!({"after": {"nested": 1}})), pair("", "1"));
        let last = u64::MAX.to_string();
        assert_eq!(key(json!({"after": last})), pair(&last, &last));
    }

    #[test]
    fn what_is_no_event_is_said_to_be_none() {
        let why = |event: Value| match Event::read(event) {
            Err(BadEvent(why)) => why,
            Ok(event) => event.turn().expect_err("no call").0,
        };
        assert!(why(json!(null)).contains("the event is not Connect's"));
        assert!(why(json!("x")).contains("the event is not Connect's"));
        assert!(why(json!({})).contains("sessionId is missing"));
        let wrong = json!({"Details": {"ContactData": {"ContactId": 7}}});
        assert!(why(wrong).contains("at Details.ContactData.ContactId"));
    }
}
