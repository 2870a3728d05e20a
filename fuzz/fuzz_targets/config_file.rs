#![no_main]

#[path = "../bodies/config_file.rs"]
mod config_file;

libfuzzer_sys::fuzz_target!(|data: &[u8]| config_file::config_file(data));
