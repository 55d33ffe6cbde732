//! Tests of `run` follow.
