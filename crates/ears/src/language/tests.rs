//! Models of a few phrases, whose chances can be worked out by hand.
use super::*;
