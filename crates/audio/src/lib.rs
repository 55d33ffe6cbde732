//! Sound as numbers: PCM16, G.711, WAV files, resampling, levels and voice activity.
//!
//! Pure: no I/O, no clock, no tokio; time is counted in samples. It knows nothing of calls or of
//! Nova Sonic. The emulator's voice and ear, the audio bridge and the tests call it.
//!
//! - [`pcm`]: bytes to samples and back, also when a frame ends in the middle of a sample
//! - [`g711`]: µ-law and A-law
//! - [`wav`]: files, as Amazon Connect plays them
//! - [`mod@resample`]: a streaming resampler that neither shifts nor shortens what passes through
//! - [`level`]: how loud something is
//! - [`activity`]: when somebody starts and stops speaking
//! - [`utterance`]: the same with the samples

pub mod activity;
pub mod g711;
pub mod level;
pub mod packed;
pub mod pcm;
pub mod resample;
pub mod utterance;
pub mod wav;

pub use activity::{Activity, ActivityConfig, ActivityEvent};
pub use level::{Level, LevelMeter};
pub use packed::Packed;
pub use pcm::SampleReader;
pub use resample::{ResampleError, Resampler, resample};
pub use utterance::{UtteranceConfig, UtteranceEvent, Utterances};
pub use wav::{Encoding, Recording, WavError};
