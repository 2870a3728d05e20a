#![no_main]

#[path = "../bodies/stun_message.rs"]
mod stun_message;

libfuzzer_sys::fuzz_target!(|data: &[u8]| stun_message::stun_message(data));
