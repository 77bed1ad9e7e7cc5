//! Messages of peers, read.
