//! The sound of the telephone path, measured from outside.

mod response;
mod sox;
