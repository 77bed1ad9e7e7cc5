//! What a peer can send once it is bound.
#![no_main]

#[path = "../drive.rs"]
mod drive;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    drive::after_bind(octets);
});
