//! The embedded metric format: distributions as lines of the log, from which CloudWatch Logs makes
//! metrics. Cheaper than a request with many values, and kept with the log.
//!
//! A line may be taken twice (the format promises "at least once"), so nothing is put here that is
//! summed up: no gauge, no counter. A percentile does not move when some waits count twice.
//!
//! The line must be the JSON and nothing else. A metric has at most 100 values in a line; an interval
//! with more turns has more lines. Source: the specification of the format in the CloudWatch user
//! guide, `ops.md` §1.8.

use std::time::SystemTime;

use serde_json::{Map, Value, json};
use voice_call::Spectrum;

use crate::{
    reading::Reading,
    table::{Kind, METRICS},
};

/// Most values of a metric in a line.
const VALUES: usize = 100;

/// Lines of one interval at most; 2,000 turns.
const LINES: usize = 20;

/// A metric of one line: its name, its unit, its values.
type Column = (&'static str, &'static str, Vec<f64>);

/// Makes lines of what was waited between two readings.
#[derive(Debug)]
pub struct Lines {
    namespace: String,
    dimensions: Vec<(&'static str, String)>,
    before: Reading,
}

impl Lines {
    /// Begins with what was waited so far.
    pub fn new(namespace: String, dimensions: Vec<(&'static str, String)>, now: Reading) -> Self {
        Self { namespace, dimensions, before: now }
    }

    /// The lines of the interval that has passed, without line ends; none when nobody waited.
    pub fn tick(&mut self, at: SystemTime, now: Reading) -> Vec<String> {
        let mut columns: Vec<_> = METRICS
            .iter()
            .filter_map(|metric| match metric.kind {
                Kind::Waits(name) => {
                    let waits = now.waits(name).since(&self.before.waits(name));
                    Some((metric.name, metric.unit.as_str(), parts(&waits).into_iter()))
                }
                _ => None,
            })
            .collect();
        self.before = now;
        let mut lines = Vec::new();
        while lines.len() < LINES {
            let next: Vec<Column> = columns
                .iter_mut()
                .filter_map(|(name, unit, parts)| Some((*name, *unit, parts.next()?)))
                .collect();
            if next.is_empty() {
                break;
            }
            lines.push(self.line(at, next));
        }
        lines
    }

    fn line(&self, at: SystemTime, columns: Vec<Column>) -> String {
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let names: Vec<&str> = self.dimensions.iter().map(|(name, _)| *name).collect();
        let metrics: Vec<Value> =
            columns.iter().map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
        let mut line = Map::new();
        line.insert(
            "_aws".into(),
            json!({
                "Timestamp": u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
                "CloudWatchMetrics": [{
                    "Namespace": self.namespace,
                    "Dimensions": [names],
                    "Metrics": metrics,
                }],
            }),
        );
        for (name, value) in &self.dimensions {
            line.insert((*name).to_owned(), value.as_str().into());
        }
        for (name, _, values) in columns {
            line.insert(name.to_owned(), values.into());
        }
        Value::Object(line).to_string()
    }
}

/// The waits, each by itself, in as many parts as there have to be. Each part has the shape of the
/// whole: it holds every n-th in a rising order.
fn parts(waits: &Spectrum) -> Vec<Vec<f64>> {
    let times = |count| usize::try_from(count).unwrap_or(usize::MAX);
    let all: Vec<f64> = waits
        .values()
        .flat_map(|(seconds, count)| std::iter::repeat_n(seconds, times(count)))
        .collect();
    let parts = all.len().div_ceil(VALUES);
    (0..parts).map(|part| all.iter().skip(part).step_by(parts).copied().collect()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use voice_call::Meters;

    use super::*;

    fn lines(meters: &Meters, waits: impl IntoIterator<Item = u64>) -> Vec<Value> {
        let dimensions = vec![("Environment", "test".to_owned())];
        let before = Reading::of("", meters);
        let mut lines = Lines::new("VoiceS2S".into(), dimensions, before);
        waits.into_iter().for_each(|ms| meters.first_audio.observe(Duration::from_millis(ms)));
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_123);
        let made = lines.tick(at, Reading::of("", meters));
        assert!(lines.tick(at, Reading::of("", meters)).is_empty(), "each wait is told once");
        made.iter().map(|line| serde_json::from_str(line).expect("pure JSON")).collect()
    }

    #[test]
    fn a_line_has_the_shape_of_the_specification() {
        let lines = lines(&Meters::default(), [500, 500, 900]);
        let line = &lines[0];
        assert_eq!(lines.len(), 1);
        assert_eq!(line["_aws"]["Timestamp"], 1_790_000_000_123_u64);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "VoiceS2S");
        assert_eq!(directive["Dimensions"], json!([["Environment"]]));
        assert_eq!(directive["Metrics"], json!([{"Name": "TurnFirstAudio", "Unit": "Seconds"}]));
        assert_eq!(line["Environment"], "test");
        let values = line["TurnFirstAudio"].as_array().expect("values");
        let near = |value: &Value, seconds: f64| {
            value.as_f64().is_some_and(|found| (found / seconds - 1.0).abs() < 0.04)
        };
        assert!(near(&values[0], 0.5) && near(&values[1], 0.5) && near(&values[2], 0.9), "{line}");
    }

    #[test]
    fn many_turns_become_several_lines_of_the_same_shape() {
        let lines = lines(&Meters::default(), (0..450).map(|n| 100 + n * 10));
        assert_eq!(lines.len(), 5);
        let mut all = 0;
        for line in &lines {
            let values = line["TurnFirstAudio"].as_array().expect("values");
            assert!(values.len() <= 100);
            all += values.len();
            let (first, last) = (values[0].as_f64(), values[values.len() - 1].as_f64());
            assert!(first < Some(0.2) && last > Some(4.0), "{line}");
        }
        assert_eq!(all, 450);
    }

    #[test]
    fn silence_has_no_line() {
        assert!(lines(&Meters::default(), []).is_empty());
    }
}
