//! What a call costs: a table of prices, with its date and its source.
//!
//! Prices change, and a bank has its own: the table is configuration. The built-in one is what
//! could be found out (`nova-sonic.md` §7), in US dollars per million tokens.

use serde::{Deserialize, Serialize};

use crate::entry::Tokens;

/// The table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prices {
    /// ISO 4217.
    pub currency: String,
    /// Where the figures are from.
    pub source: String,
    /// When they were read: `2026-10`, `2026-10-31`.
    pub date: String,
    /// Per minute that Amazon Transcribe hears.
    #[serde(default)]
    pub transcribe_minute: f64,
    /// By the beginning of the model's id; the longest that fits counts.
    pub models: Vec<ModelPrice>,
}

/// Prices of one model, per million tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelPrice {
    /// What the model's id begins with, such as `amazon.nova-2-sonic`.
    pub model: String,
    /// Speech heard.
    pub input_speech: f64,
    /// Text read.
    pub input_text: f64,
    /// Speech spoken.
    pub output_speech: f64,
    /// Text written.
    pub output_text: f64,
}

/// A table that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadPrices {
    /// It is not what it should be.
    #[error("{0}")]
    Shape(#[from] serde_json::Error),
    /// A price is no price.
    #[error("a price of {model} is {price}; it must be 0 or more")]
    Negative {
        /// Whose.
        model: String,
        /// Which.
        price: f64,
    },
}

impl Default for Prices {
    fn default() -> Self {
        let model =
            |model: &str, [input_speech, output_speech, input_text, output_text]: [f64; 4]| {
                ModelPrice {
                    model: model.into(),
                    input_speech,
                    input_text,
                    output_speech,
                    output_text,
                }
            };
        Self {
            currency: "USD".into(),
            source: "public price lists as quoted by third parties; set PRICES_FILE to your own"
                .into(),
            date: "2026-10".into(),
            transcribe_minute: 0.010,
            models: vec![
                model("amazon.nova-2", [3.0, 12.0, 0.33, 2.75]),
                model("amazon.nova-sonic-v1", [3.4, 13.6, 0.06, 0.24]),
            ],
        }
    }
}

impl Prices {
    /// Reads a table in JSON.
    pub fn parse(text: &str) -> Result<Self, BadPrices> {
        let prices: Self = serde_json::from_str(text)?;
        for of in &prices.models {
            let all = [of.input_speech, of.input_text, of.output_speech, of.output_text];
            if let Some(price) = all.into_iter().find(|price| *price < 0.0) {
                return Err(BadPrices::Negative { model: of.model.clone(), price });
            }
        }
        if prices.transcribe_minute < 0.0 {
            let (model, price) = ("transcribeMinute".into(), prices.transcribe_minute);
            return Err(BadPrices::Negative { model, price });
        }
        Ok(prices)
    }

    /// What these tokens cost with that model; `None` when the table does not know it.
    pub fn of_tokens(&self, model_id: &str, tokens: &Tokens) -> Option<f64> {
        let price = self
            .models
            .iter()
            .filter(|of| model_id.starts_with(&of.model))
            .max_by_key(|of| of.model.len())?;
        let cost = |count: u64, price: f64| count as f64 * price / 1e6;
        Some(
            cost(tokens.input_speech, price.input_speech)
                + cost(tokens.input_text, price.input_text)
                + cost(tokens.output_speech, price.output_speech)
                + cost(tokens.output_text, price.output_text),
        )
    }

    /// What transcription costs.
    pub fn of_transcription(&self, seconds: f64) -> f64 {
        seconds / 60.0 * self.transcribe_minute
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_turn_costs_what_the_table_says() {
        // `nova-sonic.md` §7: 279 and 900 in, 118 and 70 out.
        let tokens =
            Tokens { input_speech: 279, input_text: 900, output_speech: 118, output_text: 70 };
        let cost = Prices::default().of_tokens("amazon.nova-2-sonic-v1:0", &tokens);
        assert!(cost.is_some_and(|cost| (cost - 0.002_742_5).abs() < 1e-9), "{cost:?}");
        assert_eq!(Prices::default().of_tokens("another", &tokens), None);
        assert!((Prices::default().of_transcription(90.0) - 0.015).abs() < 1e-12);
    }

    #[test]
    fn a_table_of_ones_own_is_checked() {
        let own = serde_json::to_string(&Prices::default()).expect("JSON");
        assert_eq!(Prices::parse(&own).expect("it is sound"), Prices::default());
        let bad = own.replace("2.75", "-1");
        assert!(Prices::parse(&bad).expect_err("negative").to_string().contains("amazon.nova-2"));
        assert!(Prices::parse(&own.replace("inputText", "inputTxt")).is_err());
    }
}
