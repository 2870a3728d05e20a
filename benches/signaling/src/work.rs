//! The workloads: what the clients do, and the line that says how the server bore it.

use crate::generator::{Generator, Happening};
use crate::measure::{Delays, Json, Usage};
use crate::process;
use crate::protocol::Event;

/// One second in nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// What passes before anything is counted.
const WARM_UP: u64 = SECOND;

/// How far a client is brought before a workload begins.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Goal {
    /// The server knows it.
    Greeted,
    /// It is in its room.
    Joined,
}

/// Sessions that do nothing: what each of them weighs, and what keeping them costs.
pub fn idle(generator: &mut Generator) -> String {
    let server = generator.options.server_process;
    let base = process::resident_kib(server) as f64;
    let setup = bring_up(generator, Goal::Joined);
    // Every session has been silent for as long as it takes until pings run.
    rest(generator, 12 * SECOND);
    let resident = process::resident_kib(server) as f64;
    let proportional = process::proportional_kib(server) as f64;
    let before = Usage::read(&generator.options);
    let seconds = (generator.options.seconds * SECOND as f64) as u64;
    rest(generator, seconds);
    let used = Usage::read(&generator.options).since(before);
    let resident = resident.max(process::resident_kib(server) as f64);
    let sessions = generator.connected();
    for place in 0..generator.options.sessions {
        generator.send_close(place);
    }
    rest(generator, 2 * SECOND);
    for place in 0..generator.options.sessions {
        generator.drop_client(place);
    }
    rest(generator, 2 * SECOND);
    Json::new("idle", &generator.options)
        .number("sessions", sessions as f64)
        .number("failed", (generator.options.sessions - sessions) as f64)
        .number("setup_per_s", setup.done as f64 / setup.used.seconds())
        .number("setup_cpu_us", setup.cpu_us())
        .number("base_kib", base)
        .number("resident_kib", resident)
        .number("proportional_kib", proportional)
        .number("after_kib", process::resident_kib(server) as f64)
        .number(
            "bytes_per_session",
            (resident - base) * 1024.0 / sessions.max(1) as f64,
        )
        .number("cpu_percent", used.server_share() * 100.0)
        .end()
}

/// Candidates from each to its peer, at times that do not wait for the server.
pub fn relay(generator: &mut Generator) -> String {
    let setup = bring_up(generator, Goal::Joined);
    rest(generator, SECOND);
    let sessions = generator.options.sessions;
    let without_peer = (0..sessions)
        .filter(|place| !generator.has_peer(*place))
        .count();
    let interval = 1e9 / (generator.options.rate * sessions as f64);
    // Neighbours in time are not neighbours in a room.
    let stride = coprime_to(sessions);
    let (mut happenings, mut run) = (Vec::new(), RelayRun::default());
    let start = process::now() + SECOND / 100;
    let measured = start + WARM_UP;
    let end = measured + (generator.options.seconds * SECOND as f64) as u64;
    let mut before = None;
    for turn in 0.. {
        let due = start + (turn as f64 * interval) as u64;
        if due >= end {
            break;
        }
        while process::now() < due {
            generator.wait(due, &mut happenings);
            run.take(generator, &mut happenings, measured);
        }
        if due >= measured {
            before.get_or_insert_with(|| Usage::read(&generator.options));
            run.sent += 1;
        }
        generator.send_candidate(turn * stride % sessions, due);
    }
    let used = Usage::read(&generator.options)
        .since(before.unwrap_or_else(|| Usage::read(&generator.options)));
    let grace = process::now() + SECOND;
    while process::now() < grace && run.received < run.sent {
        generator.wait(grace, &mut happenings);
        run.take(generator, &mut happenings, measured);
    }
    let failed = setup.failed + run.failed + without_peer;
    run.json(generator, used, failed)
}

/// Joins and leaves over connections that stay.
pub fn joins(generator: &mut Generator) -> String {
    bring_up(generator, Goal::Greeted);
    let pairs = generator.options.sessions / 2;
    let mut next = 0;
    for _ in 0..(generator.options.window / 2).clamp(1, pairs) {
        generator.send(2 * next, |session| session.join());
        next += 1;
    }
    let mut cycles = Cycles::begin(generator);
    let mut happenings = Vec::new();
    while cycles.goes_on(generator) {
        generator.wait(cycles.end, &mut happenings);
        for Happening { place, event, .. } in happenings.drain(..) {
            match event {
                Event::Joined if place % 2 == 0 => {
                    generator.send(place + 1, |session| session.join())
                }
                Event::Joined => generator.send(place - 1, |session| session.leave()),
                Event::Left if place % 2 == 0 => {
                    generator.send(place + 1, |session| session.leave())
                }
                Event::Left => {
                    cycles.done += 2;
                    generator.send(2 * (next % pairs), |session| session.join());
                    next += 1;
                }
                Event::Greeted | Event::Relayed(_) | Event::Other => {}
                Event::Refused(what) | Event::Closed(what) => {
                    cycles.failed += 1;
                    generator.note(&what);
                }
            }
        }
    }
    cycles.json("joins", generator)
}

/// New people: a connection, a room, out again and away.
pub fn connects(generator: &mut Generator) -> String {
    let mut number = 0;
    for place in 0..generator.options.window {
        number = open_next(generator, place, number);
    }
    let has_rooms = generator.options.protocol.has_rooms();
    let mut is_over = vec![false; generator.options.window];
    let mut cycles = Cycles::begin(generator);
    let mut happenings = Vec::new();
    while cycles.goes_on(generator) {
        generator.wait(cycles.end, &mut happenings);
        for Happening { place, event, .. } in happenings.drain(..) {
            match event {
                Event::Greeted if has_rooms => generator.send(place, |session| session.join()),
                Event::Joined => generator.send(place, |session| session.leave()),
                Event::Greeted | Event::Left => {
                    is_over[place] = true;
                    generator.send_close(place);
                }
                Event::Relayed(_) | Event::Other => {}
                Event::Refused(what) => {
                    generator.note(&what);
                    generator.send_close(place);
                }
                Event::Closed(what) => {
                    if is_over[place] {
                        cycles.done += 1;
                    } else {
                        cycles.failed += 1;
                        generator.note(&what);
                    }
                    is_over[place] = false;
                    number = open_next(generator, place, number);
                }
            }
        }
    }
    cycles.json("connects", generator)
}

/// What bringing clients up took.
struct Setup {
    done: usize,
    failed: usize,
    used: Usage,
}

impl Setup {
    fn cpu_us(&self) -> f64 {
        self.used.server_us() / self.done.max(1) as f64
    }
}

/// Connects all clients, a window at a time, and brings each to its goal.
fn bring_up(generator: &mut Generator, goal: Goal) -> Setup {
    let sessions = generator.options.sessions;
    let joins = goal == Goal::Joined && generator.options.protocol.has_rooms();
    let before = Usage::read(&generator.options);
    let deadline = process::now() + 120 * SECOND;
    let (mut done, mut failed, mut next) = (0, 0, 0);
    let mut happenings = Vec::new();
    while done + failed < sessions && process::now() < deadline {
        while next < sessions && next - done - failed < generator.options.window {
            if let Err(error) = generator.open(next, next, false) {
                failed += 1;
                generator.note(&error.to_string());
            }
            next += 1;
        }
        generator.wait(deadline, &mut happenings);
        for Happening { place, event, .. } in happenings.drain(..) {
            match event {
                Event::Greeted if joins => generator.send(place, |session| session.join()),
                Event::Greeted | Event::Joined => done += 1,
                Event::Left | Event::Relayed(_) | Event::Other => {}
                Event::Refused(what) => generator.note(&what),
                Event::Closed(what) => {
                    failed += 1;
                    generator.note(&what);
                }
            }
        }
    }
    let used = Usage::read(&generator.options).since(before);
    Setup { done, failed, used }
}

/// Lets time pass, with nothing sent but what keeps a session alive.
fn rest(generator: &mut Generator, duration: u64) {
    let end = process::now() + duration;
    let keep_alive = generator.options.protocol.keep_alive();
    let sessions = generator.options.sessions.max(1);
    let step = keep_alive.map(|(_, seconds)| (seconds * SECOND as f64) as u64 / sessions as u64);
    let (mut place, mut due) = (0, process::now());
    let mut happenings = Vec::new();
    loop {
        let now = process::now();
        if now >= end {
            return;
        }
        if let (Some((text, _)), Some(step)) = (keep_alive, step) {
            while due <= now {
                generator.send(place % sessions, |_| text.to_owned());
                place += 1;
                due += step.max(1);
            }
        }
        let until = if keep_alive.is_some() {
            due.min(end)
        } else {
            end
        };
        generator.wait(until, &mut happenings);
        for happening in happenings.drain(..) {
            if let Event::Refused(what) = happening.event {
                generator.note(&what);
            }
        }
    }
}

fn open_next(generator: &mut Generator, place: usize, number: usize) -> usize {
    if let Err(error) = generator.open(place, number, true) {
        crate::options::refuse("connect", error);
    }
    number + 1
}

/// Returns a number near 0.4 of `count` that has no divisor in common with it.
fn coprime_to(count: usize) -> usize {
    let first = (count * 2 / 5).max(1);
    (first..)
        .find(|number| divisor(count, *number) == 1)
        .unwrap_or(1)
}

fn divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { divisor(b, a % b) }
}

/// Counts what a closed loop does between its warm-up and its end.
struct Cycles {
    measured: u64,
    end: u64,
    before: Option<(Usage, usize)>,
    done: usize,
    failed: usize,
}

impl Cycles {
    fn begin(generator: &Generator) -> Self {
        let measured = process::now() + WARM_UP;
        Self {
            measured,
            end: measured + (generator.options.seconds * SECOND as f64) as u64,
            before: None,
            done: 0,
            failed: 0,
        }
    }

    fn goes_on(&mut self, generator: &Generator) -> bool {
        let now = process::now();
        if now >= self.measured && self.before.is_none() {
            self.before = Some((Usage::read(&generator.options), self.done));
        }
        now < self.end
    }

    fn json(self, kind: &str, generator: &Generator) -> String {
        let now = Usage::read(&generator.options);
        let (before, done_before) = self.before.unwrap_or((now, 0));
        let (used, done) = (now.since(before), self.done - done_before);
        Json::new(kind, &generator.options)
            .number("window", generator.options.window as f64)
            .number("failed", self.failed as f64)
            .number("per_s", done as f64 / used.seconds())
            .number("cpu_us", used.server_us() / done.max(1) as f64)
            .number("server_busy", used.server_share())
            .number("generator_busy", used.own_share())
            .end()
    }
}

/// What the messages of a relay run took.
#[derive(Default)]
struct RelayRun {
    sent: usize,
    received: usize,
    failed: usize,
    from_schedule: Delays,
    from_send: Delays,
    lateness: Delays,
}

impl RelayRun {
    fn take(&mut self, generator: &mut Generator, happenings: &mut Vec<Happening>, measured: u64) {
        for Happening { at, event, .. } in happenings.drain(..) {
            match event {
                Event::Relayed(stamp) if stamp.scheduled >= measured => {
                    self.received += 1;
                    self.from_schedule.add(stamp.scheduled, at);
                    self.from_send.add(stamp.sent, at);
                    self.lateness.add(stamp.scheduled, stamp.sent);
                }
                Event::Refused(what) | Event::Closed(what) => {
                    self.failed += 1;
                    generator.note(&what);
                }
                Event::Relayed(_) | Event::Greeted | Event::Joined | Event::Left | Event::Other => {
                }
            }
        }
    }

    fn json(mut self, generator: &Generator, used: Usage, failed: usize) -> String {
        let [p50, p99, p999, most] = self.from_schedule.percentiles([0.5, 0.99, 0.999, 1.0]);
        let [sent_p50, sent_p99, sent_p999] = self.from_send.percentiles([0.5, 0.99, 0.999]);
        let [late_p99] = self.lateness.percentiles([0.99]);
        Json::new("relay", &generator.options)
            .number("sessions", generator.options.sessions as f64)
            .number("rate", generator.options.rate)
            .number("failed", failed as f64)
            .number("sent_per_s", self.sent as f64 / used.seconds().max(1e-9))
            .number("lost", self.sent.saturating_sub(self.received) as f64)
            .number("p50_us", p50)
            .number("p99_us", p99)
            .number("p999_us", p999)
            .number("max_us", most)
            .number("sent_p50_us", sent_p50)
            .number("sent_p99_us", sent_p99)
            .number("sent_p999_us", sent_p999)
            .number("late_p99_us", late_p99)
            .number("cpu_us", used.server_us() / self.sent.max(1) as f64)
            .number("server_busy", used.server_share())
            .number("generator_busy", used.own_share())
            .end()
    }
}
