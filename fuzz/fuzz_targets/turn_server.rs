#![no_main]

#[path = "../bodies/turn_server.rs"]
mod turn_server;

libfuzzer_sys::fuzz_target!(|data: &[u8]| turn_server::turn_server(data));
