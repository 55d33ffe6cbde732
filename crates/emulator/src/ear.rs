//! The ear of the emulator: voice activity and end of turn.
