//! Listening to voices, with and without a recogniser.

