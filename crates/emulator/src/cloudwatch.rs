//! What Amazon CloudWatch makes of a `PutMetricData` request: the body as data, or why not.
//!
//! Pure: a body and the time in, data or a fault out. It is stricter than the service where the
//! service is lenient by accident: a member that the API does not have is refused, not passed over.
//! Called by `front::metrics`. Sources: the API reference (PutMetricData, MetricDatum, Dimension),
//! ops.md §1.8.

use std::collections::BTreeMap;

use ciborium::Value;
use jiff::{SignedDuration, Timestamp};

/// Data in one request.
const DATA: usize = 1000;
/// Values of one datum.
const VALUES: usize = 150;
/// Dimensions of one datum.
const DIMENSIONS: usize = 30;
/// Largest magnitude of a value: 2^360.
const LARGEST: f64 = 2.348_542_582_773_833e108;
/// Oldest and newest that a datum may be.
const PAST: SignedDuration = SignedDuration::from_hours(14 * 24);
const FUTURE: SignedDuration = SignedDuration::from_hours(2);

/// One datum, as it was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct TakenDatum {
    /// Where it was put.
    pub namespace: String,
    /// Of what.
    pub name: String,
    /// Dimensions, by name.
    pub dimensions: BTreeMap<String, String>,
    /// When it was so: as it was given, or the time of arrival.
    pub at: Timestamp,
    /// Values, each with how often it occurred; a single `Value` occurred once.
    pub values: Vec<(f64, f64)>,
    /// Whether it came as `Values`, not as `Value`.
    pub many: bool,
    /// Unit; `None` by name when none was given.
    pub unit: String,
    /// 60, or 1 for high resolution.
    pub storage_resolution: i64,
}

impl TakenDatum {
    /// All of it added up.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.values.iter().map(|(value, count)| value * count).sum()
    }

    /// How many values it stands for.
    #[must_use]
    pub fn sample_count(&self) -> f64 {
        self.values.iter().map(|(_, count)| count).sum()
    }
}

/// Why a request is not taken: the error of the API, and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
}

/// Errors of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The body is not of the protocol.
    Serialization,
    Value,
    Combination,
    Missing,
}

fn value(message: impl Into<String>) -> Fault {
    Fault { kind: FaultKind::Value, message: message.into() }
}

fn missing(parameter: &str) -> Fault {
    let message = format!("The parameter {parameter} is required.");
    Fault { kind: FaultKind::Missing, message }
}

fn combination(message: impl Into<String>) -> Fault {
    Fault { kind: FaultKind::Combination, message: message.into() }
}

fn malformed(what: &str) -> Fault {
    Fault { kind: FaultKind::Serialization, message: format!("{what} is not of the expected type") }
}

/// Judges a request that arrived `now`.
pub(crate) fn take(body: Value, now: Timestamp) -> Result<Vec<TakenDatum>, Fault> {
    let mut members = Members::of(body, "The body")?;
    let namespace = members.text("Namespace")?.ok_or_else(|| missing("Namespace"))?;
    let data = members.list("MetricData")?.ok_or_else(|| missing("MetricData"))?;
    members.end()?;
    let is_namespace = (1..=255).contains(&namespace.len())
        && !namespace.starts_with(':')
        && namespace.chars().all(|c| c.is_ascii_alphanumeric() || ".-_/#: ".contains(c));
    if !is_namespace {
        return Err(value(format!("The value {namespace} for parameter Namespace is invalid.")));
    }
    if namespace.starts_with("AWS/") {
        return Err(value("The value AWS/ for parameter Namespace is invalid."));
    }
    if data.is_empty() {
        return Err(missing("MetricData"));
    }
    if data.len() > DATA {
        return Err(value(format!(
            "The collection MetricData must not have a size greater than {DATA}."
        )));
    }
    let place = |n: usize| format!("MetricData.member.{}", n + 1);
    data.into_iter().enumerate().map(|(n, one)| datum(&namespace, one, &place(n), now)).collect()
}

fn datum(namespace: &str, one: Value, place: &str, now: Timestamp) -> Result<TakenDatum, Fault> {
    let mut members = Members::of(one, place)?;
    let name = members.text("MetricName")?;
    let name = name.ok_or_else(|| missing(&format!("{place}.MetricName")))?;
    if !(1..=255).contains(&name.len()) || !name.is_ascii() {
        return Err(value(format!("The parameter {place}.MetricName is invalid.")));
    }
    let dimensions = dimensions(members.list("Dimensions")?.unwrap_or_default(), place)?;
    let at = members.time("Timestamp")?.unwrap_or(now);
    let age = now.duration_since(at);
    if age > PAST || age < -FUTURE {
        return Err(value(format!(
            "The parameter {place}.Timestamp must specify a time no more than two weeks in the \
             past and no more than two hours in the future."
        )));
    }
    let single = members.number("Value")?;
    let values = members.numbers("Values")?;
    let counts = members.numbers("Counts")?;
    let unit = members.text("Unit")?.unwrap_or_else(|| "None".to_owned());
    let storage_resolution = members.integer("StorageResolution")?.unwrap_or(60);
    if members.take("StatisticValues").is_some() {
        // Nobody here sends any; what is not understood is not taken.
        return Err(value("StatisticValues are not understood by this stand-in."));
    }
    members.end()?;
    let (many, values) = match (single, values, counts) {
        (Some(_), Some(_), _) | (Some(_), None, Some(_)) => {
            return Err(combination(format!(
                "The parameters {place}.Value and {place}.Values are mutually exclusive."
            )));
        }
        (Some(one), None, None) => (false, vec![(one, 1.0)]),
        (None, Some(values), counts) => (true, pairs(values, counts, place)?),
        (None, None, _) => return Err(missing(&format!("{place}.Value"))),
    };
    if let Some((wrong, _)) = values.iter().find(|(v, _)| !v.is_finite() || v.abs() > LARGEST) {
        return Err(value(format!("The value {wrong} for parameter {place}.Value is invalid.")));
    }
    if !UNITS.contains(&unit.as_str()) {
        return Err(value(format!("The value {unit} for parameter {place}.Unit is invalid.")));
    }
    if !matches!(storage_resolution, 1 | 60) {
        return Err(value(format!("{place}.StorageResolution must be 1 or 60.")));
    }
    Ok(TakenDatum {
        namespace: namespace.to_owned(),
        name,
        dimensions,
        at,
        values,
        many,
        unit,
        storage_resolution,
    })
}

fn pairs(
    values: Vec<f64>,
    counts: Option<Vec<f64>>,
    place: &str,
) -> Result<Vec<(f64, f64)>, Fault> {
    if values.is_empty() {
        return Err(missing(&format!("{place}.Values")));
    }
    if values.len() > VALUES {
        return Err(value(format!(
            "The collection {place}.Values must not have a size greater than {VALUES}."
        )));
    }
    let counts = counts.unwrap_or_else(|| vec![1.0; values.len()]);
    if counts.len() != values.len() {
        return Err(value(format!(
            "The parameters {place}.Values and {place}.Counts must be of the same size."
        )));
    }
    if counts.iter().any(|count| !count.is_finite() || *count <= 0.0) {
        return Err(value(format!("A value of {place}.Counts is invalid.")));
    }
    Ok(values.into_iter().zip(counts).collect())
}

fn dimensions(list: Vec<Value>, place: &str) -> Result<BTreeMap<String, String>, Fault> {
    if list.len() > DIMENSIONS {
        return Err(value(format!(
            "The collection {place}.Dimensions must not have a size greater than {DIMENSIONS}."
        )));
    }
    let mut all = BTreeMap::new();
    for (n, one) in list.into_iter().enumerate() {
        let place = format!("{place}.Dimensions.member.{}", n + 1);
        let mut members = Members::of(one, &place)?;
        let mut text = |name: &str, longest: usize| {
            let text = members.text(name)?.ok_or_else(|| missing(&format!("{place}.{name}")))?;
            let fits = text.len() <= longest
                && text.chars().all(|c| c.is_ascii() && !c.is_ascii_control())
                && !text.trim().is_empty()
                && !(name == "Name" && text.starts_with(':'));
            if fits { Ok(text) } else { Err(value(format!("{place}.{name} is invalid."))) }
        };
        let (name, held) = (text("Name", 255)?, text("Value", 1024)?);
        members.end()?;
        if all.insert(name.clone(), held).is_some() {
            return Err(value(format!("The dimension {name} is there twice.")));
        }
    }
    Ok(all)
}

/// Units of the API.
const UNITS: &[&str] = &[
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// The members of one structure; each is taken out once, and none may be left.
struct Members {
    place: String,
    left: Vec<(String, Value)>,
}

impl Members {
    fn of(structure: Value, place: &str) -> Result<Self, Fault> {
        let members = structure.into_map().map_err(|_| malformed(place))?;
        let named = members.into_iter().map(|(name, held)| match name {
            Value::Text(name) => Ok((name, held)),
            _ => Err(malformed(place)),
        });
        Ok(Self { place: place.to_owned(), left: named.collect::<Result<_, _>>()? })
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.left.iter().position(|(member, _)| member == name)?;
        Some(self.left.swap_remove(at).1).filter(|held| !held.is_null())
    }

    fn typed<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        let Some(held) = self.take(name) else { return Ok(None) };
        read(held).map(Some).ok_or_else(|| malformed(&format!("{}.{name}", self.place)))
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, Fault> {
        self.typed(name, |held| held.into_text().ok())
    }

    fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, Fault> {
        self.typed(name, |held| held.into_array().ok())
    }

    fn number(&mut self, name: &str) -> Result<Option<f64>, Fault> {
        self.typed(name, |held| number(&held))
    }

    fn numbers(&mut self, name: &str) -> Result<Option<Vec<f64>>, Fault> {
        self.typed(name, |held| held.into_array().ok()?.iter().map(number).collect())
    }

    fn integer(&mut self, name: &str) -> Result<Option<i64>, Fault> {
        self.typed(name, |held| held.as_integer()?.try_into().ok())
    }

    /// Seconds since 1970 under tag 1 (RFC 8949 §3.4.2).
    fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Fault> {
        self.typed(name, |held| {
            let Value::Tag(1, seconds) = held else { return None };
            let seconds = SignedDuration::try_from_secs_f64(number(&seconds)?).ok()?;
            Timestamp::from_duration(seconds).ok()
        })
    }

    fn end(self) -> Result<(), Fault> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => Err(Fault {
                kind: FaultKind::Serialization,
                message: format!("{} has a member {name}, which the API does not have", self.place),
            }),
        }
    }
}

/// A number, however it is encoded.
fn number(held: &Value) -> Option<f64> {
    held.as_float().or_else(|| {
        let whole: i128 = held.as_integer()?.into();
        Some(whole as f64)
    })
}

#[cfg(test)]
mod tests;
