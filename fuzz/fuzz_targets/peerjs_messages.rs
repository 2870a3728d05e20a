#![no_main]

#[path = "../bodies/peerjs_messages.rs"]
mod peerjs_messages;

libfuzzer_sys::fuzz_target!(|data: &[u8]| peerjs_messages::peerjs_messages(data));
