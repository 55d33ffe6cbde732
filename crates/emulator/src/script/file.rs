//! The scenario file as it is written: shapes only, nothing checked. Read by `compile`.
//!
//! The format is explained in `scenarios/README.md`; keep both in step.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::step::{BargeIn, FaultKind, Finals};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) name: String,
    /// For people only.
    #[serde(default, rename = "description")]
    _description: String,
    pub(super) start: String,
    pub(super) barge_in: Option<BargeIn>,
    pub(super) finals: Option<Finals>,
    #[serde(default, deserialize_with = "unique")]
    pub(super) slots: BTreeMap<String, SlotFile>,
    /// What callers say, for the recogniser.
    #[serde(default)]
    pub(super) phrases: Vec<String>,
    /// Words that no dictionary has → words that sound like them.
    #[serde(default, deserialize_with = "unique")]
    pub(super) sounds: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) unheard: Vec<ActionFile>,
    #[serde(default)]
    pub(super) unclear: Vec<ActionFile>,
    #[serde(default)]
    pub(super) otherwise: Vec<ActionFile>,
    #[serde(default)]
    pub(super) anywhere: Vec<TurnFile>,
    #[serde(deserialize_with = "unique")]
    pub(super) states: BTreeMap<String, StateFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StateFile {
    #[serde(default)]
    pub(super) turns: Vec<TurnFile>,
    #[serde(default)]
    pub(super) phrases: Vec<String>,
    #[serde(default)]
    pub(super) otherwise: Vec<ActionFile>,
    #[serde(default)]
    pub(super) end: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TurnFile {
    pub(super) when: WhenFile,
    #[serde(default, rename = "if", deserialize_with = "unique")]
    pub(super) guards: BTreeMap<String, Value>,
    #[serde(default, rename = "do")]
    pub(super) actions: Vec<ActionFile>,
    pub(super) goto: Option<String>,
    #[serde(default = "yes")]
    pub(super) unheard: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WhenFile {
    pub(super) greeting: bool,
    pub(super) any: bool,
    pub(super) turn: Option<u64>,
    pub(super) text: OneOrMany,
    pub(super) cue: OneOrMany,
    pub(super) dtmf: OneOrMany,
    pub(super) results: OneOrMany,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ActionFile {
    Say(OneOrMany),
    Call(CallFile),
    #[serde(deserialize_with = "unique")]
    Set(BTreeMap<String, String>),
    PauseMs(u64),
    BargeIn(BargeIn),
    Finals(Finals),
    Fault(FaultFile),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallFile {
    pub(super) tool: String,
    #[serde(default)]
    pub(super) input: Value,
    #[serde(default)]
    pub(super) double_encoded: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultFile {
    pub(super) kind: FaultKind,
    pub(super) message: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SlotFile {
    pub(super) kind: SlotKindFile,
    pub(super) length: Option<usize>,
    pub(super) max_words: Option<usize>,
    #[serde(default)]
    pub(super) values: Vec<String>,
    pub(super) default: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum SlotKindFile {
    Digits,
    SortCode,
    AccountNumber,
    Number,
    Amount,
    Date,
    YesNo,
    Words,
    Choice,
}

/// A text or a list of texts.
#[derive(Debug, Default)]
pub(super) struct OneOrMany(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        // Not an untagged enum: that would lose the place of an error.
        impl<'de> Visitor<'de> for Texts {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany(texts))
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

/// A map in which no key comes twice; JSON readers otherwise take the last one silently.
fn unique<'de, D, V>(deserializer: D) -> Result<BTreeMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    struct Unique<V>(PhantomData<V>);
    impl<'de, V: Deserialize<'de>> Visitor<'de> for Unique<V> {
        type Value = BTreeMap<String, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut unique = BTreeMap::new();
            while let Some(key) = map.next_key::<String>()? {
                if unique.contains_key(&key) {
                    return Err(A::Error::custom(format_args!("`{key}` is there twice")));
                }
                unique.insert(key, map.next_value()?);
            }
            Ok(unique)
        }
    }
    deserializer.deserialize_map(Unique(PhantomData))
}

fn yes() -> bool {
    true
}
