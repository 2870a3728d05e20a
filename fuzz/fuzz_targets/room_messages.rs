#![no_main]

#[path = "../bodies/room_messages.rs"]
mod room_messages;

libfuzzer_sys::fuzz_target!(|data: &[u8]| room_messages::room_messages(data));
