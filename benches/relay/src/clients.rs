//! The control side of the generator: what its clients ask before and after the
//! load.
//!
//! A window of clients is busy at a time, each with one request in flight, so
//! that the setup rate of a server can be measured as well.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::generator::Generator;
use crate::measure::Usage;
use crate::options::Mode;
use crate::process;
use crate::stun::{self, Answer, Credentials, Request};

/// How many clients are busy at a time.
const WINDOW: usize = 32;

/// When a request is sent again, in nanoseconds.
const RETRY_AFTER: u64 = 500_000_000;

/// The most times one request is sent, with and without an answer.
const MAX_TRIES: u8 = 7;

/// One kind of request that every client makes.
#[derive(Clone, Copy, Eq, PartialEq)]
#[repr(u8)]
pub enum Step {
    /// An allocation.
    Allocate,
    /// A permission for the client's peer.
    Permit,
    /// A channel for the client's peer.
    Bind,
    /// The end of the allocation.
    Release,
}

/// What came of a round of requests.
#[derive(Default)]
pub struct Setup {
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The CPU time of the server's process, in nanoseconds.
    pub cpu: u64,
    /// Clients that did not get through.
    pub failed: usize,
    /// Requests sent again.
    pub retransmitted: usize,
}

/// A round of requests under way.
struct Round<'a> {
    steps: &'a [Step],
    clients: Vec<Progress>,
    busy: Vec<usize>,
    done: usize,
    setup: Setup,
    salt: [u8; 4],
}

/// How far one client is.
#[derive(Clone, Default)]
struct Progress {
    step: usize,
    tries: u8,
    last_sent: u64,
}

impl Generator {
    /// Lets every client go through `steps`.
    pub fn request(&mut self, steps: &[Step]) -> Setup {
        let count = self.options.allocations;
        self.prepare_clients(count);
        let usage = Usage::read(&self.options);
        let start = process::now();
        let mut round = Round {
            steps,
            clients: vec![Progress::default(); count],
            busy: Vec::new(),
            done: 0,
            setup: Setup::default(),
            salt: (start as u32).to_be_bytes(),
        };
        let mut waiting: VecDeque<usize> = (0..count).collect();
        let mut answers = Vec::new();
        let mut check_at = start + RETRY_AFTER;
        while round.done + round.setup.failed < count {
            while round.busy.len() < WINDOW {
                let Some(index) = waiting.pop_front() else {
                    break;
                };
                round.busy.push(index);
                self.send_request(&mut round, index);
            }
            self.receive_control(&mut answers);
            for (index, bytes) in answers.drain(..) {
                if let Some(answer) = stun::parse(&bytes) {
                    self.handle_answer(&mut round, index, answer);
                }
            }
            if process::now() > check_at {
                self.retransmit(&mut round);
                check_at = process::now() + RETRY_AFTER / 10;
            }
        }
        round.setup.seconds = (process::now() - start) as f64 / 1e9;
        round.setup.cpu = Usage::read(&self.options).since(usage).process();
        round.setup
    }

    fn prepare_clients(&mut self, count: usize) {
        if self.credentials.len() == count {
            return;
        }
        let unknown = Credentials {
            user: self.options.user.clone(),
            realm: String::new(),
            nonce: Vec::new(),
            key: [0; 16],
        };
        self.credentials = vec![unknown; count];
        self.relays = vec![SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0); count];
    }

    /// Sends the request of the step that client `index` is at.
    fn send_request(&mut self, round: &mut Round<'_>, index: usize) {
        let progress = &mut round.clients[index];
        progress.last_sent = process::now();
        let step = round.steps[progress.step];
        let request = match step {
            Step::Allocate => Request::Allocate,
            Step::Permit => Request::CreatePermission(self.peer_of(index)),
            Step::Bind => Request::ChannelBind(self.peer_of(index)),
            Step::Release => Request::Release,
        };
        let mut transaction = [0; 12];
        transaction[..4].copy_from_slice(&(index as u32).to_be_bytes());
        transaction[4] = step as u8;
        transaction[5] = progress.tries;
        transaction[8..].copy_from_slice(&round.salt);
        let bytes = stun::encode(request, transaction, &self.credentials[index]);
        self.send_control(index, &bytes);
    }

    /// The peer that client `index` talks to.
    fn peer_of(&self, index: usize) -> SocketAddrV4 {
        match self.options.mode {
            Mode::Hairpin => self.relays[index ^ 1],
            Mode::ClientToPeer | Mode::PeerToClient | Mode::Both | Mode::Binding => {
                self.options.net.peer(index)
            }
        }
    }

    fn handle_answer(&mut self, round: &mut Round<'_>, index: usize, answer: Answer) {
        let Some(progress) = round.clients.get_mut(index) else {
            return;
        };
        let Some(step) = round.steps.get(progress.step).copied() else {
            return;
        };
        let is_old = answer.transaction[4] != step as u8 || answer.transaction[8..] != round.salt;
        // An error that answers an earlier try says nothing about this one.
        if is_old || (!answer.success && answer.transaction[5] != progress.tries) {
            return;
        }
        if answer.success {
            if step == Step::Allocate {
                let Some(relayed) = answer.relayed else {
                    return self.give_up(round, index, "without a relayed address");
                };
                self.relays[index] = relayed;
            }
            progress.step += 1;
            progress.tries = 0;
            if progress.step == round.steps.len() {
                round.done += 1;
                round.busy.retain(|busy| *busy != index);
                return;
            }
        } else {
            progress.tries += 1;
            let is_challenge = answer.code == 401 || answer.code == 438;
            let (Some(nonce), true, true) = (answer.nonce, is_challenge, progress.tries < 4) else {
                return self.give_up(round, index, &format!("with error {}", answer.code));
            };
            let realm = answer.realm.unwrap_or_default();
            let credentials = &mut self.credentials[index];
            credentials.key =
                stun::long_term_key(&credentials.user, &realm, &self.options.password);
            credentials.realm = realm;
            credentials.nonce = nonce;
        }
        self.send_request(round, index);
    }

    fn retransmit(&mut self, round: &mut Round<'_>) {
        let now = process::now();
        for index in round.busy.clone() {
            let progress = &mut round.clients[index];
            if now <= progress.last_sent + RETRY_AFTER {
                continue;
            }
            progress.tries += 1;
            round.setup.retransmitted += 1;
            if progress.tries >= MAX_TRIES {
                self.give_up(round, index, "without an answer");
            } else {
                self.send_request(round, index);
            }
        }
    }

    fn give_up(&self, round: &mut Round<'_>, index: usize, how: &str) {
        let at = round.clients[index].step;
        if round.setup.failed < 3 {
            eprintln!("client {index} ended {how} at step {at}");
        }
        round.clients[index].step = round.steps.len();
        round.setup.failed += 1;
        round.busy.retain(|busy| *busy != index);
    }
}
