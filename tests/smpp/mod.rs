//! SMPP: the codec, links on sockets, and real peers.

mod ends;
mod link;
mod rough;
mod tls;
