//! The program as a whole: from a checked configuration to a running server,
//! and to its end.
//!
//! `build.rs` turns the configuration into what each module wants, `addresses.rs`
//! finds out where we are in the network, `supervise.rs` watches the workers.

mod addresses;
mod build;
mod clients;
mod memory;
mod supervise;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::auth::SessionAccess;
use crate::clock;
use crate::config::{self, Config, Source, TlsMode};
use crate::net::accept::{Acceptor, serve};
use crate::net::bind;
use crate::net::rate_limit::ConnectionLimit;
use crate::net::tls::{self, SwappableCert};
use crate::observability::{self, LogLevel};
use crate::redact;
use crate::secret::Secret;
use crate::service::{self, Request, Signals};
use crate::signaling::{Hub, LiveSessions, PeerJs};
use crate::turn::{NonceKey, RelayPorts, Server, Shared};
use crate::web::{Door, Site};
use crate::worker::{Command, Prepared, SharedLedger, Worker, WorkerHandle};

use addresses::Place;
use build::Builder;
use supervise::Supervisor;

/// What to run.
pub struct Settings {
    /// The checked configuration.
    pub config: Config,
    /// Where it came from, for a reload.
    pub source: Source,
    /// A secret that stands in when the configuration has no credential at all.
    pub generated_secret: Option<Secret>,
}

/// What is served, once it is.
#[derive(Clone, Debug)]
pub struct Serving {
    /// The address that clients are told, of the family that is preferred.
    pub announced: IpAddr,
    /// UDP listeners as the kernel bound them.
    pub udp: Vec<SocketAddr>,
    /// TCP listeners.
    pub tcp: Vec<SocketAddr>,
    /// TLS listeners.
    pub tls: Vec<SocketAddr>,
    /// Listeners of plain HTTP.
    pub http: Vec<SocketAddr>,
}

/// Serves until it is told to stop, by SIGTERM or SIGINT.
///
/// `on_ready` is called once, when every listener is open.
///
/// # Errors
/// When it cannot begin: a port that cannot be had, a certificate that does not
/// load, an address that cannot be found. Each says what to do.
pub fn run(
    settings: Settings,
    on_ready: impl FnOnce(&Serving) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let log = observability::init(
        build::log_format(settings.config.log.format),
        build::log_level(settings.config.log.level),
    )?;
    redact::set(settings.config.log.addresses);
    raise_descriptor_limit();
    memory::use_small_pages();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .context("cannot start the control threads")?;
    let place = runtime.block_on(addresses::find(&settings.config))?;
    place.warn_about_private_addresses();
    let server = Running::start(&runtime, settings, place, log)?;
    on_ready(&server.serving)?;
    runtime.block_on(server.until_stopped())
}

/// Everything that runs.
struct Running {
    source: Source,
    /// What listeners, workers and relay addresses were made from.
    started_with: Config,
    tls_mode: TlsMode,
    generated_secret: Option<Secret>,
    place: Place,
    log: LogLevel,
    certificate: Option<Arc<SwappableCert>>,
    connections: ConnectionLimit,
    ledger: Arc<SharedLedger>,
    workers: Arc<Vec<WorkerHandle>>,
    access: SessionAccess,
    hub: Arc<Hub>,
    peerjs: Arc<PeerJs>,
    site: Arc<Site>,
    /// Listeners, the site and the timers of rooms.
    listeners: JoinSet<()>,
    stop: watch::Sender<bool>,
    serving: Serving,
}

impl Running {
    fn start(
        runtime: &Runtime,
        settings: Settings,
        place: Place,
        log: LogLevel,
    ) -> anyhow::Result<Self> {
        let Settings {
            config,
            source,
            generated_secret,
        } = settings;
        let count = config
            .server
            .workers
            .or_else(|| available_parallelism().ok());
        let count = count.map_or(1, NonZeroUsize::get).min(MAX_WORKERS);

        let mut serving = Serving {
            announced: place.announced(),
            udp: Vec::new(),
            tcp: Vec::new(),
            tls: Vec::new(),
            http: Vec::new(),
        };
        let fronts = bind_fronts(&config, count, &mut serving)?;
        let tcp = bind_tcp(&config.listen.tcp, &mut serving.tcp)?;
        let tls = bind_tcp(&config.listen.tls, &mut serving.tls)?;
        let http = bind_http(&config.listen.http, &mut serving.http);

        let certificate = build::certificate(&config, &place, clock::unix_now())?;
        let ledger = Arc::new(SharedLedger::new(build::quota_limits(&config)));
        let live = Arc::new(LiveSessions::default());
        let access = SessionAccess {
            secret: Secret::new(build::random()?),
            sessions: Arc::<LiveSessions>::clone(&live),
        };
        let secret = generated_secret.as_ref();
        let builder = Builder::new(&config, &place, secret, &access, count);
        let workers = Arc::new(start_workers(&builder, fronts, &ledger, &config)?);

        let options = builder.signaling_options(&serving);
        let hub = Hub::new(options, build::random()?, live, Arc::clone(&workers));
        let peers = builder.peerjs_options();
        let peerjs = PeerJs::new(peers, config.tokens(), build::random()?);
        let site = Site::new(
            builder.web_options(&serving),
            Arc::clone(&hub),
            Arc::clone(&peerjs),
        );
        let (door, visitors) = Door::new();

        let connections = build::connection_limit(&config);
        let (stop, stopped) = watch::channel(false);
        let mut listeners = JoinSet::new();
        let acceptor = Arc::new(Acceptor {
            tls: certificate
                .clone()
                .map(|cert| tls::server_config(cert, tls::ALPN_ALL)),
            limit: connections.clone(),
            sink: clients::sink(Arc::clone(&workers), door),
        });
        let _guard = runtime.enter();
        listeners.spawn(Arc::clone(&hub).run(stopped.clone()));
        listeners.spawn(Arc::clone(&peerjs).run(stopped.clone()));
        listeners.spawn(Arc::clone(&site).run(visitors, stopped.clone()));
        for listener in tcp.into_iter().chain(tls).chain(http) {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let task = serve(listener, Arc::clone(&acceptor), stopped.clone());
            listeners.spawn_on(task, runtime.handle());
        }
        log_listening(&serving);
        Ok(Self {
            source,
            tls_mode: config.tls.mode.clone(),
            started_with: config,
            generated_secret,
            place,
            log,
            certificate,
            connections,
            ledger,
            workers,
            access,
            hub,
            peerjs,
            site,
            listeners,
            stop,
            serving,
        })
    }

    /// Serves, reloads when asked, and stops.
    async fn until_stopped(mut self) -> anyhow::Result<()> {
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        let mut supervisor = Supervisor::new(Arc::clone(&self.workers));
        let death = supervise::worker_died(Arc::clone(&self.workers));
        tokio::pin!(death);
        service::ready();
        info!(workers = self.workers.len(), "ready");
        loop {
            tokio::select! {
                request = signals.next() => match request {
                    Request::Reload => self.reload().await,
                    Request::Stop => break,
                },
                () = supervisor.look() => {}
                () = &mut death => {
                    error!("a worker has stopped; ending, so that the service manager starts anew");
                    self.shut_down().await;
                    anyhow::bail!("a worker has stopped unexpectedly");
                }
            }
        }
        info!("stopping");
        self.shut_down().await;
        info!("stopped");
        Ok(())
    }

    /// Ends listeners first, so that nobody comes while the rest goes.
    async fn shut_down(mut self) {
        service::stopping();
        let _ = self.stop.send(true);
        while self.listeners.join_next().await.is_some() {}
        // In time or not at all: what is left ends with the process.
        let stopped = supervise::stop(&self.workers);
        if tokio::time::timeout(STOP_TIMEOUT, stopped).await.is_err() {
            warn!("workers did not stop in time");
        }
    }

    /// Takes over what may change while running; a bad file changes nothing.
    async fn reload(&mut self) {
        service::reloading();
        match self.try_reload().await {
            Ok(()) => info!("configuration reloaded"),
            Err(error) => error!("configuration not reloaded, the old one stays: {error:#}"),
        }
        service::ready();
    }

    async fn try_reload(&mut self) -> anyhow::Result<()> {
        let loaded =
            config::load(&self.source).map_err(|problems| anyhow::anyhow!("{problems}"))?;
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let config = loaded.config;
        let certified = match build::certified_key(&config, clock::unix_now())? {
            None if self.tls_mode != config.tls.mode => {
                Some(build::self_signed(&config, &self.place, clock::unix_now())?)
            }
            certified => certified,
        };
        let waiting = build::needs_restart(&self.started_with, &config);
        if !waiting.is_empty() {
            warn!(
                "changed in the file, but takes a restart: {}",
                waiting.join(", ")
            );
        }
        if let (Some(current), Some(certified)) = (&self.certificate, certified) {
            current.swap(certified);
        }
        redact::set(config.log.addresses);
        self.log.set(build::log_level(config.log.level));
        self.ledger.set_limits(build::quota_limits(&config));
        build::set_connection_limit(&self.connections, &config);
        let count = self.workers.len();
        let secret = self.generated_secret.as_ref();
        let builder = Builder::new(&config, &self.place, secret, &self.access, count);
        self.hub
            .set_options(builder.signaling_options(&self.serving));
        self.peerjs
            .set_options(builder.peerjs_options(), config.tokens());
        self.site.set_options(builder.web_options(&self.serving));
        let directory = builder.directory();
        for (index, worker) in self.workers.iter().enumerate() {
            let options = Box::new(builder.turn_options(index));
            supervise::send(
                worker,
                Command::Reconfigure(options, Arc::clone(&directory)),
            )
            .await?;
        }
        self.tls_mode = config.tls.mode;
        Ok(())
    }
}

fn bind_fronts(
    config: &Config,
    count: usize,
    serving: &mut Serving,
) -> anyhow::Result<Vec<Vec<UdpSocket>>> {
    let mut fronts: Vec<Vec<UdpSocket>> = (0..count).map(|_| Vec::new()).collect();
    for address in &config.listen.udp {
        let sockets = bind::udp_front(*address, count)?;
        if let Some(first) = sockets.first() {
            serving.udp.push(first.local_addr()?);
        }
        for (worker, socket) in fronts.iter_mut().zip(sockets) {
            worker.push(socket);
        }
    }
    Ok(fronts)
}

fn bind_tcp(
    addresses: &[SocketAddr],
    bound: &mut Vec<SocketAddr>,
) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = bind::tcp_listener(*address)?;
        bound.push(listener.local_addr()?);
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Plain HTTP only sends people on to HTTPS: a port that another web server has
/// is no reason not to start.
fn bind_http(addresses: &[SocketAddr], bound: &mut Vec<SocketAddr>) -> Vec<TcpListener> {
    let mut listeners = Vec::new();
    for address in addresses {
        match bind_tcp(&[*address], bound) {
            Ok(opened) => listeners.extend(opened),
            Err(error) => warn!(
                "no redirects from plain HTTP: {error:#}; where another server has the port, \
                 write listen.http = []"
            ),
        }
    }
    listeners
}

fn start_workers(
    builder: &Builder<'_>,
    fronts: Vec<Vec<UdpSocket>>,
    ledger: &Arc<SharedLedger>,
    config: &Config,
) -> anyhow::Result<Vec<WorkerHandle>> {
    let now = clock::now();
    let shared = Shared {
        directory: builder.directory(),
        nonce: NonceKey::new(now, &build::random()?),
        ledger: Arc::<SharedLedger>::clone(ledger),
        relay_ports: Arc::new(RelayPorts::new(
            builder.relay_addresses().to_vec(),
            config.turn.relay_ports.clone(),
            u16::try_from(fronts.len()).unwrap_or(u16::MAX),
        )),
    };
    let prepared = Prepared::all(fronts.len()).context("cannot prepare the workers")?;
    let mut workers = Vec::new();
    for (index, (prepared, fronts)) in prepared.into_iter().zip(fronts).enumerate() {
        let options = builder.turn_options(index);
        let server = Server::new(now, options, shared.clone(), build::random()?);
        let worker = Worker::new(prepared, server, fronts, build::worker_options(config))
            .context("cannot prepare a worker")?;
        workers.push(
            worker
                .spawn(index)
                .context("cannot start a worker thread")?,
        );
    }
    Ok(workers)
}

fn log_listening(serving: &Serving) {
    let kinds = BTreeMap::from([
        ("udp", &serving.udp),
        ("tcp", &serving.tcp),
        ("tls", &serving.tls),
        ("http", &serving.http),
    ]);
    for (transport, addresses) in kinds {
        for address in addresses {
            info!(transport, %address, "listening");
        }
    }
}

/// Every allocation is a socket; the usual soft limit of 1024 is soon reached.
fn raise_descriptor_limit() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_err() {
        warn!(
            soft,
            hard, "cannot raise the limit of open files; set LimitNOFILE= in the unit"
        );
    }
}

/// Handshakes and signals; media never passes here.
const CONTROL_THREADS: usize = 2;

/// A connection id has one byte for the worker (`turn::ConnectionId`).
const MAX_WORKERS: usize = 256;

const STOP_TIMEOUT: Duration = Duration::from_secs(5);
