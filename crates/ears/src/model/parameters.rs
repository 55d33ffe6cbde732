//! `feat.params`: how the sound was prepared when the model was trained.
//!
//! Options as on a command line, one a line. What the front end can vary is read; what it cannot
//! must have the value it was written for, because a model fed differently hears nothing at all.

use std::path::Path;

use super::ModelError;
use super::codebooks::WIDTH;

/// How features are made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameters {
    /// The lowest frequency that is listened to, in Hz.
    pub(crate) low_hz: f32,
    /// The highest.
    pub(crate) high_hz: f32,
    /// Bands on the mel scale.
    pub(crate) bands: usize,
    /// How much higher cepstra are raised.
    pub(crate) lifter: f32,
    /// What an average speaker's cepstra are on average.
    pub(crate) mean: [f32; WIDTH],
}

/// What must be so, if it is said.
const FIXED: [(&str, &str); 6] = [
    ("-transform", "dct"),
    ("-feat", "1s_c_d_dd"),
    ("-svspec", "0-12/13-25/26-38"),
    ("-agc", "none"),
    ("-varnorm", "no"),
    ("-model", "ptm"),
];

pub(super) fn read(path: &Path) -> Result<Parameters, ModelError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ModelError::Read { path: path.to_owned(), source })?;
    parse(path, &text)
}

pub(crate) fn parse(path: &Path, text: &str) -> Result<Parameters, ModelError> {
    let mut found =
        Parameters { low_hz: 133.33, high_hz: 6855.5, bands: 40, lifter: 0.0, mean: [0.0; WIDTH] };
    found.mean[0] = 40.0;
    for (index, line) in text.lines().enumerate() {
        let wrong = |expected: String| ModelError::Line {
            path: path.to_owned(),
            line: index as u64 + 1,
            expected,
        };
        let mut parts = line.split_whitespace();
        let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
        if let Some((_, wanted)) = FIXED.iter().find(|(fixed, _)| *fixed == name)
            && value != *wanted
        {
            return Err(wrong(format!("{name} {wanted}, and it is `{value}`")));
        }
        let number = |low: f32, high: f32| match value.parse::<f32>() {
            Ok(number) if (low..=high).contains(&number) => Ok(number),
            _ => Err(wrong(format!("{name}: a number from {low} to {high}, and it is `{value}`"))),
        };
        match name {
            "-lowerf" => found.low_hz = number(0.0, 4_000.0)?,
            "-upperf" => found.high_hz = number(4_000.0, 8_000.0)?,
            "-nfilt" => found.bands = number(WIDTH as f32, 64.0)? as usize,
            "-lifter" => found.lifter = number(0.0, 100.0)?,
            "-cmninit" => {
                for (place, value) in found.mean.iter_mut().zip(value.split(',')) {
                    let mean = value.parse::<f32>().ok().filter(|mean| mean.abs() < 1e3);
                    *place = mean.ok_or_else(|| {
                        wrong(format!("{name}: numbers with commas, and one is `{value}`"))
                    })?;
                }
            }
            _ => {}
        }
    }
    Ok(found)
}
