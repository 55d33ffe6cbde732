//! The front end on sounds whose features are known.
use super::*;
