//! The bodies of the fuzz targets as property tests: any bytes, the seeds of the
//! fuzzers, and the seeds with a few bytes changed. `fuzz/run` goes deeper.

#![expect(clippy::unwrap_used, reason = "a failed read is a failed test")]

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{FileFailurePersistence, TestRunner};

#[path = "../fuzz/bodies/channel_data.rs"]
mod channel_data;
#[path = "../fuzz/bodies/config_file.rs"]
mod config_file;
#[path = "../fuzz/bodies/peerjs_messages.rs"]
mod peerjs_messages;
#[path = "../fuzz/bodies/room_messages.rs"]
mod room_messages;
#[path = "../fuzz/bodies/room_token.rs"]
mod room_token;
#[path = "../fuzz/bodies/sniff.rs"]
mod sniff;
#[path = "../fuzz/bodies/stream_framing.rs"]
mod stream_framing;
#[path = "../fuzz/bodies/stun_message.rs"]
mod stun_message;
#[path = "../fuzz/bodies/turn_server.rs"]
mod turn_server;

#[test]
fn stun_message_takes_any_bytes() {
    feed("stun_message", stun_message::stun_message);
}

#[test]
fn channel_data_takes_any_bytes() {
    feed("channel_data", channel_data::channel_data);
}

#[test]
fn stream_framing_takes_any_bytes() {
    feed("stream_framing", stream_framing::stream_framing);
}

#[test]
fn sniff_takes_any_bytes() {
    feed("sniff", sniff::sniff);
}

#[test]
fn config_file_takes_any_bytes() {
    feed("config_file", config_file::config_file);
}

#[test]
fn peerjs_messages_takes_any_bytes() {
    feed("peerjs_messages", peerjs_messages::peerjs_messages);
}

#[test]
fn turn_server_takes_any_bytes() {
    feed("turn_server", turn_server::turn_server);
}

#[test]
fn room_token_takes_any_bytes() {
    feed("room_token", room_token::room_token);
}

#[test]
fn room_messages_takes_any_bytes() {
    feed("room_messages", room_messages::room_messages);
}

#[test]
fn every_fuzz_target_is_fed_here() {
    let here = include_str!("fuzz_bodies.rs");
    for target in fs::read_dir(fuzz_dir().join("fuzz_targets")).unwrap() {
        let path = target.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(here.contains(&format!("feed(\"{name}\"")), "{name}");
    }
}

/// Gives `body` each seed of `target`, then a few hundred inputs made up.
fn feed(target: &str, body: fn(&[u8])) {
    let seeds = seeds(target);
    seeds.iter().for_each(|seed| body(seed));
    let mut runner = TestRunner::new(ProptestConfig {
        source_file: Some(file!()),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/proptest-regressions/fuzz_bodies.txt",
        ))),
        ..ProptestConfig::default()
    });
    let result = runner.run(&inputs(seeds), |input| {
        body(&input);
        Ok(())
    });
    assert!(result.is_ok(), "{target}: {result:?}");
}

/// Any bytes, or up to three seeds with a few bytes changed, one after another.
fn inputs(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<Index>(), any::<u8>()), 0..4);
    let changed = (select(seeds), changes).prop_map(|(mut input, changes)| {
        for (index, byte) in changes {
            let at = index.index(input.len());
            input[at] = byte;
        }
        input
    });
    let several = vec(changed, 1..4).prop_map(|inputs| inputs.concat());
    prop_oneof![several, vec(any::<u8>(), 0..600)]
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(fuzz_dir().join("seeds").join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let seeds: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(!seeds.is_empty() && seeds.iter().all(|seed| !seed.is_empty()));
    seeds
}

fn fuzz_dir() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz"))
}
