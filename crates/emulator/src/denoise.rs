//! Takes noise away before the recogniser listens: the cargo feature `denoise`.
//!
//! Off unless asked for: it helps in noise, and costs clean speech some accuracy. Not for the ear,
//! which copes with noise. The setting is there in every build, so that one without the feature can
//! say so. `Ears` has the setting; `listener` has the denoiser.

use std::str::FromStr;

#[cfg(feature = "denoise")]
mod rnnoise;

#[cfg(feature = "denoise")]
pub(crate) use self::rnnoise::Denoiser;

/// Whether noise is taken away before speech is recognised. Written `on` or `off`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denoise {
    /// The recogniser hears what came.
    #[default]
    Off,
    /// By RNNoise.
    #[cfg(feature = "denoise")]
    On,
}

/// A text is no [`Denoise`], or none that this program can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDenoise {
    /// Neither of the two.
    #[error("`{0}` is neither `on` nor `off`")]
    Unknown(String),
    /// This program cannot take noise away.
    #[error(
        "this program was built without noise reduction: expected `off`, or a program built with \
         `--features denoise`"
    )]
    NotBuilt,
}

impl FromStr for Denoise {
    type Err = BadDenoise;

    fn from_str(text: &str) -> Result<Self, BadDenoise> {
        match text {
            "off" => Ok(Self::Off),
            #[cfg(feature = "denoise")]
            "on" => Ok(Self::On),
            #[cfg(not(feature = "denoise"))]
            "on" => Err(BadDenoise::NotBuilt),
            _ => Err(BadDenoise::Unknown(text.to_owned())),
        }
    }
}

/// Of a program without the feature there are none.
#[cfg(not(feature = "denoise"))]
#[derive(Debug)]
pub(crate) enum Denoiser {}

#[cfg(not(feature = "denoise"))]
impl Denoiser {
    pub(crate) fn new(_: Denoise) -> Option<Self> {
        None
    }

    pub(crate) fn push(&mut self, _: &[i16]) -> Vec<i16> {
        match *self {}
    }

    pub(crate) fn flush(&mut self) -> Vec<i16> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_cannot_take_noise_away_says_so() {
        assert_eq!("off".parse(), Ok(Denoise::Off));
        let loud = "loud".parse::<Denoise>();
        assert_eq!(loud, Err(BadDenoise::Unknown("loud".to_owned())));
        #[cfg(feature = "denoise")]
        assert_eq!("on".parse(), Ok(Denoise::On));
        #[cfg(not(feature = "denoise"))]
        assert_eq!("on".parse::<Denoise>(), Err(BadDenoise::NotBuilt));
    }
}
