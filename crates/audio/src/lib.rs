//! Sound as numbers: PCM16, resampling and voice activity.
//!
//! Pure: no I/O, no clock, no tokio; time is counted in samples. It knows nothing of calls or of
//! Nova Sonic. The emulator's voice and ear, the audio bridge and the tests call it.
//!
//! - [`pcm`]: bytes to samples and back, also when a frame ends in the middle of a sample
//! - [`mod@resample`]: a streaming resampler that neither shifts nor shortens what passes through
//! - [`activity`]: when somebody starts and stops speaking

pub mod activity;
pub mod pcm;
pub mod resample;

pub use activity::{Activity, ActivityConfig, ActivityEvent};
pub use pcm::SampleReader;
pub use resample::{ResampleError, Resampler, resample};
