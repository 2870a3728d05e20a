//! All clients of a run, in one loop: opens connections, carries texts between them
//! and their sessions, and tells the workload what happened.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use rustls::ClientConfig;

use crate::connection::{self, Connection, Input};
use crate::options::{Options, refuse};
use crate::process;
use crate::protocol::{Event, Session, Stamp};
use crate::websocket;

/// The clients of one run.
pub struct Generator {
    /// What the generator was told.
    pub options: Options,
    epoll: Epoll,
    timer: TimerFd,
    config: Arc<ClientConfig>,
    clients: Vec<Option<Client>>,
    opened: usize,
    ready: Vec<EpollEvent>,
    inputs: Vec<Input>,
    refusals: usize,
}

struct Client {
    connection: Connection,
    session: Session,
    /// Whether the socket is watched for room to write.
    waits_to_write: bool,
}

/// What happened to the client in this place, and when it was read.
pub struct Happening {
    /// The client's place.
    pub place: usize,
    /// In nanoseconds.
    pub at: u64,
    /// What happened.
    pub event: Event,
}

impl Generator {
    /// Makes a generator without clients.
    pub fn new(options: Options) -> Self {
        let (epoll, timer) = watch_nothing().unwrap_or_else(|error| refuse("epoll", error));
        Self {
            options,
            epoll,
            timer,
            config: connection::tls_config(),
            clients: Vec::new(),
            opened: 0,
            ready: vec![EpollEvent::empty(); 256],
            inputs: Vec::new(),
            refusals: 0,
        }
    }

    /// Begins to connect the person with this number; a client that was in this place
    /// is gone.
    pub fn open(&mut self, place: usize, number: usize, is_alone: bool) -> io::Result<()> {
        if self.clients.len() <= place {
            self.clients.resize_with(place + 1, || None);
        }
        self.clients[place] = None;
        let protocol = self.options.protocol;
        let session = Session::new(protocol, number);
        let request = websocket::upgrade(&session.path(is_alone), protocol.subprotocol());
        let source = 2 + (self.opened % self.options.sources) as u8;
        self.opened += 1;
        let connection = Connection::open(
            self.options.server,
            Ipv4Addr::new(127, 0, 0, source),
            &request,
            &self.config,
        )?;
        self.epoll.add(
            connection.socket(),
            EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT, place as u64),
        )?;
        self.clients[place] = Some(Client {
            connection,
            session,
            waits_to_write: true,
        });
        Ok(())
    }

    /// Drops the client in this place; the server sees its connection end.
    pub fn drop_client(&mut self, place: usize) {
        self.clients[place] = None;
    }

    /// How many clients there are.
    pub fn connected(&self) -> usize {
        self.clients.iter().flatten().count()
    }

    /// Whether the client in this place has somebody to send to.
    pub fn has_peer(&self, place: usize) -> bool {
        let client = self.clients.get(place).and_then(Option::as_ref);
        client.is_some_and(|client| client.session.has_peer())
    }

    /// Sends what `compose` makes, unless the client is gone.
    pub fn send(&mut self, place: usize, compose: impl FnOnce(&mut Session) -> String) {
        let Some(client) = self.clients.get_mut(place).and_then(Option::as_mut) else {
            return;
        };
        let text = compose(&mut client.session);
        // An error shows when the connection is read next.
        let _ = client.connection.send(&text);
        let _ = client.watch(&self.epoll, place);
    }

    /// Sends a candidate that was due at `scheduled`.
    pub fn send_candidate(&mut self, place: usize, scheduled: u64) {
        let sent = process::now();
        self.send(place, |session| {
            session.candidate(Stamp { scheduled, sent })
        });
    }

    /// Sends a WebSocket close frame.
    pub fn send_close(&mut self, place: usize) {
        if let Some(client) = self.clients[place].as_mut() {
            // As in `send`.
            let _ = client.connection.send_close();
            let _ = client.watch(&self.epoll, place);
        }
    }

    /// Waits until something happens, but not past the time `until`, and adds it to
    /// `happenings`.
    pub fn wait(&mut self, until: u64, happenings: &mut Vec<Happening>) {
        let waited = self.wait_for_sockets(until);
        let count = waited.unwrap_or_else(|error| refuse("epoll", error));
        for at in 0..count {
            let ready = self.ready[at];
            if ready.data() != TIMER {
                self.serve(ready.data() as usize, ready.events(), happenings);
            }
        }
    }

    /// Says on standard error what a server refused: the first few times.
    pub fn note(&mut self, what: &str) {
        self.refusals += 1;
        if self.refusals <= 3 {
            eprintln!("{}: {what}", self.options.label);
        }
    }

    fn wait_for_sockets(&mut self, until: u64) -> nix::Result<usize> {
        let now = process::now();
        if until <= now {
            return self.epoll.wait(&mut self.ready, EpollTimeout::ZERO);
        }
        // An epoll timeout has only milliseconds.
        let time = TimeSpec::from(Duration::from_nanos(until));
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        self.timer.set(Expiration::OneShot(time), flags)?;
        self.epoll.wait(&mut self.ready, EpollTimeout::NONE)
    }

    fn serve(&mut self, place: usize, flags: EpollFlags, happenings: &mut Vec<Happening>) {
        let Some(client) = self.clients.get_mut(place).and_then(Option::as_mut) else {
            return;
        };
        let mut result = Ok(());
        if flags.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR) {
            result = client.connection.receive(&mut self.inputs);
        }
        let at = process::now();
        for input in self.inputs.drain(..) {
            let event = client.handle(input);
            happenings.push(Happening { place, at, event });
        }
        let result = result.and_then(|()| client.watch(&self.epoll, place));
        if let Err(error) = result {
            let event = Event::Closed(error.to_string());
            happenings.push(Happening { place, at, event });
            self.clients[place] = None;
        }
    }
}

impl Client {
    fn handle(&mut self, input: Input) -> Event {
        match input {
            Input::Upgraded => match self.session.handle_upgraded() {
                Ok(text) => {
                    // As in `Generator::send`.
                    let _ = self.connection.send(&text);
                    Event::Other
                }
                Err(event) => event,
            },
            Input::Text(text) => self.session.handle_text(&text),
        }
    }

    /// Writes what waits, and has the socket watched for what it needs.
    fn watch(&mut self, epoll: &Epoll, place: usize) -> io::Result<()> {
        let waits_to_write = self.connection.flush()?;
        if waits_to_write == self.waits_to_write {
            return Ok(());
        }
        self.waits_to_write = waits_to_write;
        let mut flags = EpollFlags::EPOLLIN;
        flags.set(EpollFlags::EPOLLOUT, waits_to_write);
        let mut event = EpollEvent::new(flags, place as u64);
        epoll.modify(self.connection.socket(), &mut event)?;
        Ok(())
    }
}

/// Marks the timer among the clients' places.
const TIMER: u64 = u64::MAX;

fn watch_nothing() -> nix::Result<(Epoll, TimerFd)> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
    epoll.add(timer.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
    Ok((epoll, timer))
}
