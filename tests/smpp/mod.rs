//! SMPP: the codec, links on sockets, and real peers.

mod ends;
mod link;
mod peers;
mod rough;
mod tls;
