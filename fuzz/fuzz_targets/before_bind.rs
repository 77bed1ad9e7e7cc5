//! What a peer can send before it has said who it is.
#![no_main]

#[path = "../drive.rs"]
mod drive;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    drive::before_bind(octets);
});
