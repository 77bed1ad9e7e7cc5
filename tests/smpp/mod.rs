//! SMPP: the codec against other implementations of it, links on sockets, and real peers.

mod codec;
mod ends;
mod link;
mod peers;
mod rough;
mod tls;
