//! What `/metrics` says at one moment.
//!
//! It is read from the text itself, in the OpenMetrics format: the library that keeps the meters
//! has no other way to walk over the labels of a family, and so nothing can be told to CloudWatch
//! that Prometheus would not see. Waits are finer than there, and come beside it.

use std::collections::{BTreeMap, HashMap};

use voice_call::{Meters, Spectrum};

use crate::table::{Of, Series};

/// Names and values of labels.
type Labels = Vec<(String, String)>;

/// The samples of one family, and what they are at.
type Samples = Vec<(Labels, f64)>;

/// All figures of one moment.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    families: HashMap<String, Samples>,
    waits: BTreeMap<&'static str, Spectrum>,
}

impl Reading {
    /// Reads the text of `/metrics`, and the waits beside it.
    pub fn of(exposition: &str, meters: &Meters) -> Self {
        let waits = [
            ("voice_s2s_turn_first_audio_seconds", &meters.first_audio),
            ("voice_s2s_turn_first_written_seconds", &meters.first_written),
        ];
        let waits = waits.map(|(name, waits)| (name, waits.spectrum()));
        Self { families: samples(exposition), waits: waits.into() }
    }

    /// The sum of some series; what has never counted is 0.
    pub(crate) fn sum(&self, series: &Series) -> f64 {
        let samples = self.families.get(series.family).into_iter().flatten();
        let label = |labels: &[(String, String)], name: &str| {
            labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.clone())
        };
        let fits = |labels: &[(String, String)]| match series.of {
            Of::All => true,
            Of::Only(name, values) => {
                label(labels, name).is_some_and(|value| values.contains(&value.as_str()))
            }
            Of::Except(name, value) => label(labels, name).is_none_or(|found| found != value),
        };
        let fitting = samples.filter(|(labels, _)| fits(labels));
        // What is no number is nothing that CloudWatch takes.
        fitting.map(|(_, value)| *value).filter(|value| value.is_finite()).sum()
    }

    /// The waits of a histogram, all of them so far.
    pub(crate) fn waits(&self, histogram: &str) -> Spectrum {
        self.waits.get(histogram).cloned().unwrap_or_default()
    }
}

/// The samples of a text, by family. Lines that are none are left out.
fn samples(text: &str) -> HashMap<String, Samples> {
    let mut families: HashMap<String, Samples> = HashMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, labels, value)) = sample(line) {
            families.entry(name.to_owned()).or_default().push((labels, value));
        }
    }
    families
}

/// `name{label="value",…} 1.5`, as one sample. A value of a label may hold anything, quotes and
/// backslashes with a backslash before them.
fn sample(line: &str) -> Option<(&str, Labels, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while let Some(after) = rest.strip_prefix(',').or(Some(rest))
            && !after.starts_with('}')
        {
            let (label, quoted) = after.split_once("=\"")?;
            let (value, behind) = unquote(quoted)?;
            labels.push((label.to_owned(), value));
            rest = behind;
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some((name, labels, value))
}

/// What stands before the closing quote, and what comes after it.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP calls_ended Calls ended.\n\
        # TYPE calls_ended counter\n\
        calls_ended_total{reason=\"hung_up\"} 7\n\
        calls_ended_total{reason=\"sonic_lost\"} 2\n\
        exits_total{role=\"a,b}\\\"c\",exit=\"hung\"} 1\n\
        cost_total 0.25\n\
        odd NaN\n\
        # EOF\n";

    fn sum(family: &'static str, of: Of) -> f64 {
        Reading::of(TEXT, &Meters::default()).sum(&Series { family, of })
    }

    #[test]
    fn a_family_is_summed_over_the_labels_that_are_asked_for() {
        assert_eq!(sum("calls_ended_total", Of::All), 9.0);
        assert_eq!(sum("calls_ended_total", Of::Only("reason", &["sonic_lost", "x"])), 2.0);
        assert_eq!(sum("calls_ended_total", Of::Except("reason", "hung_up")), 2.0);
        assert_eq!(sum("cost_total", Of::All), 0.25);
        assert_eq!(sum("exits_total", Of::Only("exit", &["hung"])), 1.0);
        assert_eq!(sum("exits_total", Of::Only("role", &["a,b}\"c"])), 1.0);
    }

    #[test]
    fn what_never_counted_is_zero_and_what_is_no_number_is_left_out() {
        assert_eq!(sum("no_such_total", Of::All), 0.0);
        assert_eq!(sum("odd", Of::All), 0.0);
    }

    #[test]
    fn lines_that_are_no_samples_are_passed_over() {
        for line in ["", "{", "x", "x{", "x{a", "x{a=\"", "x{a=\"b\" 1", "x y", "x{a=\"b\\"] {
            assert_eq!(sample(line), None, "{line}");
        }
    }
}
