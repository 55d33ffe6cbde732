//! A safe door to SVOX Pico.
