//! The voice of the emulator: text to PCM.
