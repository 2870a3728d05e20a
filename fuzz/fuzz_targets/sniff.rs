#![no_main]

#[path = "../bodies/sniff.rs"]
mod sniff;

libfuzzer_sys::fuzz_target!(|data: &[u8]| sniff::sniff(data));
