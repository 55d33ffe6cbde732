//! One figure on its way to CloudWatch.

use std::time::SystemTime;

use voice_call::Spectrum;

/// Units, as CloudWatch names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Pieces.
    Count,
    /// Of a hundred.
    Percent,
    /// Time.
    Seconds,
    /// Without one, such as money.
    None,
}

impl Unit {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Percent => "Percent",
            Self::Seconds => "Seconds",
            Self::None => "None",
        }
    }
}

/// One figure: `MetricDatum` of the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Datum {
    /// What it is of.
    pub name: &'static str,
    /// Names and values, in the order in which they are sent.
    pub dimensions: Vec<(&'static str, String)>,
    /// When it was so.
    pub at: SystemTime,
    /// How much.
    pub figure: Figure,
    /// In what.
    pub unit: Unit,
    /// Kept by the second, not by the minute.
    pub high_resolution: bool,
}

/// How much: one number, or many.
///
/// Many go as values with counts and not as a set of statistics, because CloudWatch can work
/// percentiles out of the former alone.
#[derive(Debug, Clone, PartialEq)]
pub enum Figure {
    /// A state.
    Gauge(f64),
    /// What was added since the last time.
    Added(f64),
    /// Waits since the last time.
    Waits(Spectrum),
}
