//! `signalingbench`: plays all people of a signaling server under test, or a forwarder
//! that shows the least a signaling server can cost.
//!
//! `measure.py` starts both; README.md says what is measured.

mod connection;
mod floor;
mod generator;
mod measure;
mod options;
mod process;
mod protocol;
mod websocket;
mod work;

use std::net::SocketAddrV4;
use std::path::PathBuf;

use generator::Generator;
use options::{Arguments, refuse};

const USAGE: &str = "\
usage: signalingbench generate [--label NAME] [--server IP:PORT] [--cpu N]
           [--protocol turnstone|peerjs|floor] [--server-process PID] [--sessions N]
           [--window N] [--rate MESSAGES] [--seconds S] [--sources N]
           idle|relay|joins|connects
       signalingbench floor --cert FILE --key FILE [--listen IP:PORT]";

fn main() {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let arguments = Arguments::read(words);
    match command.as_str() {
        "generate" => generate(&arguments),
        "floor" => floor(&arguments),
        _ => {
            eprintln!("{USAGE}");
            std::process::exit(2);
        }
    }
}

/// Does one workload and prints its line.
fn generate(arguments: &Arguments) {
    if arguments.has("cpu") {
        process::pin(arguments.value("cpu", 0));
    }
    let mut generator = Generator::new(arguments.options());
    let work = arguments.words.join(" ");
    let line = match work.as_str() {
        "idle" => work::idle(&mut generator),
        "relay" => work::relay(&mut generator),
        "joins" => work::joins(&mut generator),
        "connects" => work::connects(&mut generator),
        _ => refuse("workload", work),
    };
    println!("{line}");
}

fn floor(arguments: &Arguments) {
    let listen = SocketAddrV4::new([127, 0, 0, 1].into(), 0);
    let file = |name| PathBuf::from(arguments.value(name, String::new()));
    let served = floor::serve(
        arguments.value("listen", listen),
        &file("cert"),
        &file("key"),
    );
    if let Err(error) = served {
        refuse("floor", error);
    }
}
