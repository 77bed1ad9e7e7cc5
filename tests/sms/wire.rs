//! SMPP on both sides of a desk and a dispatcher: real links on loopback.
