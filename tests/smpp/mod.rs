//! SMPP against other implementations of it.

mod codec;
