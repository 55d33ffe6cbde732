//! JSON bodies of small requests.

use actix_web::{Error, http::StatusCode, web::Bytes};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Map, Value};

use super::error::Refused;

/// An object, and nothing else: a struct alone may be written as an array as well.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = Map::<String, Value>::deserialize(deserializer)?;
        serde_json::from_value(map.into()).map(Self).map_err(D::Error::custom)
    }
}

/// The body as it came.
pub(super) fn whole(body: Result<Bytes, Error>) -> Result<Bytes, Refused> {
    body.map_err(|error| {
        let status = error.as_response_error().status_code();
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Refused::new(status, "too_long", "the body is too long")
            }
            _ => Refused::new(StatusCode::BAD_REQUEST, "no_body", error),
        }
    })
}

/// An object that may be left out. `code` and `expected` are for whoever sends something else.
pub(super) fn optional<T: DeserializeOwned + Default>(
    body: &[u8],
    code: &'static str,
    expected: &str,
) -> Result<T, Refused> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map(|Object(read)| read).map_err(|error| {
        let message = format!("{error}; expected nothing, or an object such as {expected}");
        Refused::new(StatusCode::BAD_REQUEST, code, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    struct Ask {
        user: Option<String>,
    }

    #[test]
    fn an_object_is_an_object() {
        let read = |text: &str| optional::<Ask>(text.as_bytes(), "bad", "{}").map_err(|e| e.code());
        assert_eq!(read(""), Ok(Ask::default()));
        assert_eq!(read(r#"{"user":"u"}"#), Ok(Ask { user: Some("u".into()) }));
        for other in ["[null]", "[]", "null", "7", "{", r#"{"user":7}"#] {
            assert_eq!(read(other), Err("bad"), "{other}");
        }
    }
}
