#![no_main]

#[path = "../bodies/stream_framing.rs"]
mod stream_framing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| stream_framing::stream_framing(data));
