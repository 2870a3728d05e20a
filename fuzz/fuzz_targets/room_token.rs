#![no_main]

#[path = "../bodies/room_token.rs"]
mod room_token;

libfuzzer_sys::fuzz_target!(|data: &[u8]| room_token::room_token(data));
