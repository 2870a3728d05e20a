//! `relaybench`: plays all TURN clients and all peers of a relay under test, or
//! a forwarder that shows the least a relay can cost.
//!
//! `run.py` starts both in their namespaces; README.md says what is measured.

mod addresses;
mod clients;
mod floor;
mod generator;
mod measure;
mod options;
mod packet;
mod process;
mod socket;
mod stream;
mod stun;

use std::thread;
use std::time::Duration;

use clients::Step;
use generator::Generator;
use measure::Json;
use options::{Arguments, Mode, refuse};

const USAGE: &str = "\
usage: relaybench generate [--label NAME] [--server IP:PORT] [--net A.B] [--cpu N]
           [--transport udp|tcp|tls] [--mode c2p|p2c|both|hairpin|binding]
           [--allocations N] [--size BYTES] [--train N] [--burst N] [--floor]
           [--server-process PID] [--receive-thread PID] [--user U --password P] ACTION...
       relaybench floor --variant one|gro|memory [--server IP:PORT] [--net A.B]
           [--allocations N] [--hairpin]
actions: run:RATE:SECONDS[:BURST]  search:START:SECONDS  half:SECONDS  memory";

fn main() {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let arguments = Arguments::read(words, &["floor", "hairpin"]);
    match command.as_str() {
        "generate" => generate(&arguments),
        "floor" => floor::serve(
            &arguments.value("variant", "one".to_owned()),
            arguments.listen(),
            arguments.net(),
            arguments.value("allocations", 50),
            arguments.has("hairpin"),
        ),
        _ => {
            eprintln!("{USAGE}");
            std::process::exit(2);
        }
    }
}

/// Carries out the actions in turn and prints a line for each.
fn generate(arguments: &Arguments) {
    if arguments.has("cpu") {
        process::pin(arguments.value("cpu", 0));
    }
    let mut generator = Generator::open(arguments.options());
    if arguments.words == ["memory"] {
        return measure_memory(&mut generator);
    }
    let setup = generator.set_up();
    if setup.failed > 0 {
        refuse("set-up failed for clients", setup.failed);
    }
    let mut highest = 0.0;
    for action in &arguments.words {
        println!("{}", act(&mut generator, action, &mut highest));
    }
    let options = &generator.options;
    if !options.is_floor && options.mode != Mode::Binding {
        generator.request(&[Step::Release]);
    }
}

/// Carries out one action; `highest` is the rate that the last search found.
fn act(generator: &mut Generator, action: &str, highest: &mut f64) -> String {
    let mut parts = action.split(':');
    let name = parts.next().unwrap_or_default();
    let numbers: Vec<f64> = parts
        .map(|part| part.parse().unwrap_or_else(|_| refuse("action", action)))
        .collect();
    let burst = generator.options.burst;
    match (name, numbers.as_slice()) {
        ("run", [rate, seconds]) => {
            let mut run = generator.run(*rate, *seconds, burst);
            run.json(&format!("run {rate} {burst}"), &generator.options)
        }
        ("run", [rate, seconds, burst]) => {
            let mut run = generator.run(*rate, *seconds, *burst as usize);
            run.json(&format!("run {rate} {burst}"), &generator.options)
        }
        ("half", [seconds]) => {
            let mut run = generator.run(*highest / 2.0, *seconds, burst);
            run.json("half", &generator.options)
        }
        ("search", [start, seconds]) => {
            let mut found = generator.search(*start, *seconds);
            *highest = found.rate;
            let kind = if found.is_generator_limited {
                "highest, generator-limited"
            } else {
                "highest"
            };
            found.run.json(kind, &generator.options)
        }
        _ => refuse("action", action),
    }
}

/// Makes all allocations, drops them, and says what the server's memory did.
fn measure_memory(generator: &mut Generator) {
    let server = generator.options.server_process;
    let idle = process::resident_kib(server) as f64;
    let setup = generator.request(&[Step::Allocate]);
    // The server's memory has settled once it has nothing left to answer.
    thread::sleep(Duration::from_millis(300));
    let full = process::resident_kib(server) as f64;
    let release = generator.request(&[Step::Release]);
    thread::sleep(Duration::from_millis(1500));
    let after = process::resident_kib(server) as f64;
    let made = (generator.options.allocations - setup.failed).max(1) as f64;
    let line = Json::new("memory", &generator.options)
        .number("failed", (setup.failed + release.failed) as f64)
        .number("retransmitted", setup.retransmitted as f64)
        .number("allocations_per_s", made / setup.seconds)
        .number("cpu_us_per_allocation", setup.cpu as f64 / 1000.0 / made)
        .number("idle_kib", idle)
        .number("full_kib", full)
        .number("after_kib", after)
        .number("bytes_per_allocation", (full - idle) * 1024.0 / made)
        .number("releases_per_s", made / release.seconds)
        .end();
    println!("{line}");
}
