//! Allocate (RFC 8656 section 7.2; section 5.1 of RFC 6062 for TCP relays).
//!
//! The request is checked in the numbered steps of the section. Success is
//! answered only after the driver has bound every relay socket, so a request
//! waits as a `PendingAllocate` between its steps 9 and 10.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng as _;
use tracing::info;

use crate::redact::Redacted;
use crate::stun::{AttributeType, Builder, ErrorCode};
use crate::unix_time::UnixTime;

use super::allocation::{AllocateAnswer, Allocation, Stage};
use super::bandwidth::Bucket;
use super::counters::Traffic;
use super::five_tuple::{Family, RelayId, Transport};
use super::ledger::{Reservation, ReservationToken};
use super::quota::QuotaReached;
use super::refresh::whole_seconds;
use super::refusal::Refusal;
use super::relay_ports::{PortWish, RelayKind, RelayPort};
use super::request::{Reply, Request};
use super::server::{Relay, RelayOwner, Server, Timer};
use super::verdict::Output;

/// An Allocate request whose relay sockets are being bound, one after the other.
pub(super) struct PendingAllocate {
    reply: Reply,
    wish: PortWish,
    /// The reserved port that the client has a token for.
    claimed: Option<RelayPort>,
    additional: Option<Family>,
    step: Step,
    tries_left: u8,
    /// The relay that the driver is binding.
    binding: Option<RelayId>,
}

/// Which socket is being bound.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Main,
    Additional,
}

/// What a well-formed request asks for.
struct Asked {
    kind: RelayKind,
    family: Family,
    additional: Option<Family>,
    wish: PortWish,
    token: Option<ReservationToken>,
}

impl Server {
    pub(super) fn handle_allocate(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        request: &Request<'_>,
    ) -> Result<(), Refusal> {
        // Step 1, the credential, is done. Step 2: the five-tuple is in use,
        // unless this is the same request again.
        if let Some(key) = request.allocation {
            return self.repeat_allocate(key, request);
        }
        // Steps 3 to 8: attributes and their combinations.
        let asked = read(request, self.options.tcp_relay)?;
        if request.identity.is_expired(unix_now) {
            return Err(Refusal::Expired);
        }
        // Step 9: the server is leaving and names another one.
        if let Some(alternate) = &self.alternate {
            return Err(Refusal::TryAlternate(alternate.clone()));
        }
        if asked.token.is_none() && self.address_for(asked.family).is_none() {
            return Err(Refusal::FamilyNotSupported);
        }
        // Step 5: the reserved port, if it is there and the same user's. Another
        // worker may have reserved it; from now on it is ours.
        let user = request.identity.user();
        let claimed = match asked.token.map(|token| self.ledger.claim(token, user)) {
            None => None,
            Some(Some(port)) => Some(port),
            Some(None) => return Err(Refusal::NoPort),
        };
        let bandwidth = self.acquire(now, request, asked.wish).map_err(|reached| {
            claimed.inspect(|port| self.relay_ports.release(*port));
            Refusal::Quota(reached)
        })?;
        let lifetime = self.lifetime(unix_now, request);
        let key = self.insert_pending(now, request, &asked, lifetime, bandwidth);
        if let Some(port) = claimed {
            self.take_claimed(key, port);
        }
        self.bind_next(now, key);
        Ok(())
    }

    /// Reports that the socket of a `BindRelay` output is bound.
    pub fn handle_relay_bound(&mut self, now: Instant, relay: RelayId) {
        let Some(key) = self.take_binding(relay) else {
            self.close_relay(relay);
            return;
        };
        let Relay { kind, place, owner } = &mut self.relays[relay.0 as usize];
        *owner = RelayOwner::Allocation(key);
        let (kind, place) = (*kind, *place);
        self.relay_ports.set_live(self.options.worker, place, kind);
        let family = self.options.relay_addresses[place.address].family();
        let allocation = &mut self.allocations[key];
        allocation.relays.push((family, relay));
        let Stage::Pending(pending) = &mut allocation.stage else {
            return;
        };
        if pending.step == Step::Additional {
            return self.finish_allocate(now, key, None, None);
        }
        let (wish, has_additional) = (pending.wish, pending.additional.is_some());
        if has_additional {
            pending.step = Step::Additional;
            pending.tries_left = BIND_TRIES;
            return self.bind_next(now, key);
        }
        let reserved = match wish {
            PortWish::Any | PortWish::Even => None,
            PortWish::EvenPair => {
                let Some(next) = self.take_next_port(place) else {
                    return self.try_another_port(now, key);
                };
                Some(next)
            }
        };
        self.finish_allocate(now, key, None, reserved);
    }

    /// Reports that the socket of a `BindRelay` output cannot be bound: another
    /// port is tried a few times.
    pub fn handle_relay_failed(&mut self, now: Instant, relay: RelayId) {
        let key = self.take_binding(relay);
        self.forget_relay(relay);
        if let Some(key) = key {
            self.try_another_port(now, key);
        }
    }

    /// Lets go of the socket that a dying allocation is waiting for.
    pub(super) fn abandon_bind(&mut self, allocation: &Allocation) {
        let Stage::Pending(pending) = &allocation.stage else {
            return;
        };
        if pending.wish == PortWish::EvenPair {
            let client = allocation.path.five_tuple.client.ip();
            self.ledger.release(allocation.identity.user(), client);
        }
        if let Some(relay) = pending.binding {
            self.relays[relay.0 as usize].owner = RelayOwner::Abandoned;
        }
    }

    /// Frees a reserved port that nobody claimed in time.
    pub(super) fn end_reservation(&self, token: ReservationToken) {
        if let Some(port) = self.ledger.withdraw(token) {
            self.relay_ports.release(port);
        }
    }

    /// The quota: a port that is kept for a next allocation counts as one, or a
    /// user could have all of them kept.
    fn acquire(
        &self,
        now: Instant,
        request: &Request<'_>,
        wish: PortWish,
    ) -> Result<Option<Arc<Bucket>>, QuotaReached> {
        let user = request.identity.user();
        let client = request.path.five_tuple.client.ip();
        let bandwidth = self.ledger.acquire(now, user, client)?;
        if wish == PortWish::EvenPair
            && let Err(reached) = self.ledger.acquire(now, user, client)
        {
            self.ledger.release(user, client);
            return Err(reached);
        }
        Ok(bandwidth)
    }

    fn repeat_allocate(&mut self, key: usize, request: &Request<'_>) -> Result<(), Refusal> {
        let allocation = &self.allocations[key];
        if allocation.answer.transaction != request.message.transaction_id()
            || !allocation.identity.is_same_user(&request.identity)
        {
            return Err(Refusal::AllocationMismatch);
        }
        if allocation.is_live() {
            self.answer_allocate(key, &request.reply);
        }
        Ok(())
    }

    fn insert_pending(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        asked: &Asked,
        lifetime: Duration,
        user_bandwidth: Option<Arc<Bucket>>,
    ) -> usize {
        let pending = PendingAllocate {
            reply: request.reply.clone(),
            wish: asked.wish,
            claimed: None,
            additional: asked.additional,
            step: Step::Main,
            tries_left: BIND_TRIES,
            binding: None,
        };
        let key = self.allocations.insert(Allocation {
            path: request.path,
            identity: request.identity.clone(),
            kind: asked.kind,
            stage: Stage::Pending(Box::new(pending)),
            relays: Vec::new(),
            created_at: now,
            expires_at: now + lifetime,
            answer: AllocateAnswer {
                transaction: request.message.transaction_id(),
                family: asked.family,
                lifetime,
                reservation_token: None,
                failed_family: None,
            },
            permissions: Vec::new(),
            channels: Vec::new(),
            connections: Vec::new(),
            user_bandwidth,
            from_client: Traffic::default(),
            to_client: Traffic::default(),
        });
        self.by_client.insert(request.path.five_tuple, key);
        if let Some(session) = request.identity.session() {
            let keys = self.by_session.entry(Arc::clone(session));
            keys.or_default().push(key);
        }
        self.deadlines.set(now + lifetime, Timer::Allocation(key));
        key
    }

    /// Notes that an allocation gets the port of a reservation.
    fn take_claimed(&mut self, key: usize, port: RelayPort) {
        self.relay_ports.hand_over(self.options.worker, port);
        let allocation = &mut self.allocations[key];
        allocation.answer.family = self.options.relay_addresses[port.address].family();
        if let Stage::Pending(pending) = &mut allocation.stage {
            pending.claimed = Some(port);
            // No other port will do.
            pending.tries_left = 1;
        }
    }

    /// After a port could not be had: closes what is half done and tries again.
    fn try_another_port(&mut self, now: Instant, key: usize) {
        let allocation = &mut self.allocations[key];
        let Stage::Pending(pending) = &mut allocation.stage else {
            return;
        };
        pending.tries_left = pending.tries_left.saturating_sub(1);
        if pending.step == Step::Main {
            for (_, relay) in std::mem::take(&mut allocation.relays) {
                self.close_relay(relay);
            }
        }
        self.bind_next(now, key);
    }

    /// Asks the driver for the socket of the current step, or gives up.
    fn bind_next(&mut self, now: Instant, key: usize) {
        let allocation = &mut self.allocations[key];
        let kind = allocation.kind;
        let Stage::Pending(pending) = &mut allocation.stage else {
            return;
        };
        let (step, claimed) = (pending.step, pending.claimed.take());
        let (family, wish) = match step {
            Step::Main => (allocation.answer.family, pending.wish),
            Step::Additional => (pending.additional.unwrap_or(Family::V6), PortWish::Any),
        };
        let may_try = pending.tries_left > 0;
        let place = claimed.or_else(|| {
            if may_try {
                self.take_port(family, wish)
            } else {
                None
            }
        });
        let Some(place) = place else {
            return self.give_up(now, key, step, family);
        };
        let index = self.relays.insert(Relay {
            kind,
            place,
            owner: RelayOwner::Binding(key),
        });
        let relay = RelayId(u32::try_from(index).expect("fewer relays than ports and addresses"));
        self.by_port.insert((place, kind), relay);
        if let Stage::Pending(pending) = &mut self.allocations[key].stage {
            pending.binding = Some(relay);
        }
        let address = self.local_address(relay);
        self.outputs.push_back(Output::BindRelay {
            relay,
            address,
            kind,
        });
    }

    fn give_up(&mut self, now: Instant, key: usize, step: Step, family: Family) {
        if step == Step::Additional {
            // Step 10: one family is better than none.
            return self.finish_allocate(now, key, Some(family), None);
        }
        let Stage::Pending(pending) = &self.allocations[key].stage else {
            return;
        };
        let reply = pending.reply.clone();
        let identity = self.allocations[key].identity.clone();
        self.end_allocation(now, key, "no relay port");
        self.refuse(now, &identity, &reply, &Refusal::NoPort);
    }

    fn finish_allocate(
        &mut self,
        now: Instant,
        key: usize,
        failed_family: Option<Family>,
        reserved: Option<RelayPort>,
    ) {
        let stage = std::mem::replace(&mut self.allocations[key].stage, Stage::Live);
        let Stage::Pending(pending) = stage else {
            return;
        };
        let token = reserved.map(|port| self.reserve(now, key, port));
        let allocation = &mut self.allocations[key];
        allocation.answer.reservation_token = token;
        allocation.answer.failed_family = failed_family;
        self.counters.allocations_created += 1;
        self.answer_allocate(key, &pending.reply);
        self.log_created(key);
    }

    /// Step 10: the success response.
    fn answer_allocate(&mut self, key: usize, reply: &Reply) {
        let allocation = &self.allocations[key];
        let answer = allocation.answer;
        let relayed: Vec<_> = allocation
            .relays
            .iter()
            .map(|(_, relay)| self.announced_address(*relay))
            .collect();
        let client = allocation.path.five_tuple.client;
        let has_family = answer
            .failed_family
            .is_some_and(|f| self.address_for(f).is_some());
        let why = if has_family {
            ErrorCode::InsufficientCapacity
        } else {
            ErrorCode::AddressFamilyNotSupported
        };
        let output = reply.success(|builder: &mut Builder<'_>| {
            for address in &relayed {
                builder.xor_address(AttributeType::XOR_RELAYED_ADDRESS, *address);
            }
            builder.u32(AttributeType::LIFETIME, whole_seconds(answer.lifetime));
            if let Some(token) = answer.reservation_token {
                builder.attribute(AttributeType::RESERVATION_TOKEN, &token);
            }
            if let Some(family) = answer.failed_family {
                builder.attribute(
                    AttributeType::ADDRESS_ERROR_CODE,
                    &address_error(family, why),
                );
            }
            builder.xor_address(AttributeType::XOR_MAPPED_ADDRESS, client);
        });
        self.outputs.push_back(output);
    }

    fn log_created(&self, key: usize) {
        let allocation = &self.allocations[key];
        let relayed = |nth: usize| {
            let relay = allocation
                .relays
                .get(nth)
                .map(|(_, relay)| self.announced_address(*relay));
            relay.map(tracing::field::display)
        };
        info!(
            client = %Redacted(allocation.path.five_tuple.client),
            transport = %allocation.path.five_tuple.transport,
            user = %Redacted(&**allocation.identity.username()),
            relayed = relayed(0),
            relayed_too = relayed(1),
            lifetime = allocation.answer.lifetime.as_secs(),
            "allocation created"
        );
    }

    fn reserve(&mut self, now: Instant, key: usize, port: RelayPort) -> ReservationToken {
        let mut token = [0; 8];
        self.rng.fill_bytes(&mut token);
        let allocation = &self.allocations[key];
        let reservation = Reservation {
            port,
            user: Arc::clone(allocation.identity.user()),
            client: allocation.path.five_tuple.client.ip(),
        };
        self.ledger.reserve(token, reservation);
        self.deadlines
            .set(now + RESERVATION_LIFETIME, Timer::Reservation(token));
        token
    }

    /// Takes a relay from "being bound" to its allocation; `None` when that is gone.
    fn take_binding(&mut self, relay: RelayId) -> Option<usize> {
        let RelayOwner::Binding(key) = self.relays[relay.0 as usize].owner else {
            return None;
        };
        let Stage::Pending(pending) = &mut self.allocations[key].stage else {
            return None;
        };
        pending.binding = None;
        Some(key)
    }

    fn take_port(&mut self, family: Family, wish: PortWish) -> Option<RelayPort> {
        let candidates: Vec<usize> = (0..self.options.relay_addresses.len())
            .filter(|i| self.options.relay_addresses[*i].family() == family)
            .collect();
        // Several addresses of a family take turns, beginning at a random one.
        let start = usize::try_from(self.rng.next_u32()).unwrap_or(0);
        (0..candidates.len()).find_map(|turn| {
            let address = candidates[(start.wrapping_add(turn)) % candidates.len()];
            let worker = self.options.worker;
            let port = self
                .relay_ports
                .take(worker, address, wish, &mut self.rng)?;
            Some(RelayPort { address, port })
        })
    }

    fn take_next_port(&self, RelayPort { address, port }: RelayPort) -> Option<RelayPort> {
        let next = RelayPort {
            address,
            port: port.checked_add(1)?,
        };
        self.relay_ports
            .take_exact(self.options.worker, next)
            .then_some(next)
    }

    fn address_for(&self, family: Family) -> Option<usize> {
        self.options
            .relay_addresses
            .iter()
            .position(|a| a.family() == family)
    }
}

/// Steps 3 to 8.
fn read(request: &Request<'_>, tcp_relay: bool) -> Result<Asked, Refusal> {
    let message = &request.message;
    let has = |ty| message.attribute(ty).is_some();

    // Step 3: REQUESTED-TRANSPORT, UDP; or TCP over a stream where it is offered.
    let transport = message
        .u32(AttributeType::REQUESTED_TRANSPORT)
        .ok_or(Refusal::BadRequest(
            "REQUESTED-TRANSPORT missing or malformed",
        ))?;
    let kind = match transport >> 24 {
        PROTOCOL_UDP => RelayKind::Udp,
        PROTOCOL_TCP if tcp_relay => RelayKind::Tcp,
        _ => return Err(Refusal::UnsupportedTransport),
    };
    if kind == RelayKind::Tcp {
        // RFC 6062 section 5.1.
        if request.path.five_tuple.transport == Transport::Udp {
            return Err(Refusal::BadRequest(
                "a TCP allocation needs a TCP or TLS client",
            ));
        }
        if has(AttributeType::EVEN_PORT)
            || has(AttributeType::DONT_FRAGMENT)
            || has(AttributeType::RESERVATION_TOKEN)
        {
            return Err(Refusal::BadRequest(
                "attribute not allowed for a TCP allocation",
            ));
        }
    }

    // Step 4: DONT-FRAGMENT is understood, and heeded on every Send.

    // Step 5: RESERVATION-TOKEN stands alone.
    let token = match message.attribute(AttributeType::RESERVATION_TOKEN) {
        None => None,
        Some(value) => Some(
            <[u8; 8]>::try_from(value)
                .map_err(|_| Refusal::BadRequest("RESERVATION-TOKEN is not 8 bytes"))?,
        ),
    };
    let additional = additional_family(request)?;
    let requested = message.attribute(AttributeType::REQUESTED_ADDRESS_FAMILY);
    if token.is_some()
        && (has(AttributeType::EVEN_PORT) || requested.is_some() || additional.is_some())
    {
        return Err(Refusal::BadRequest(
            "RESERVATION-TOKEN with EVEN-PORT or an address family",
        ));
    }

    // Step 6: REQUESTED-ADDRESS-FAMILY.
    if requested.is_some() && additional.is_some() {
        return Err(Refusal::BadRequest(
            "REQUESTED- and ADDITIONAL-ADDRESS-FAMILY together",
        ));
    }
    let family = match requested {
        None => Family::V4,
        Some(value) => value
            .first()
            .copied()
            .and_then(Family::from_wire)
            .ok_or(Refusal::FamilyNotSupported)?,
    };

    // Steps 7 and 8: EVEN-PORT; no pair together with a second family.
    let wish = match message
        .attribute(AttributeType::EVEN_PORT)
        .map(<[u8]>::first)
    {
        None => PortWish::Any,
        Some(None) => return Err(Refusal::BadRequest("EVEN-PORT is empty")),
        Some(Some(value)) if value & 0x80 != 0 => PortWish::EvenPair,
        Some(Some(_)) => PortWish::Even,
    };
    if wish == PortWish::EvenPair && additional.is_some() {
        return Err(Refusal::BadRequest(
            "EVEN-PORT with R and ADDITIONAL-ADDRESS-FAMILY together",
        ));
    }
    Ok(Asked {
        kind,
        family,
        additional,
        wish,
        token,
    })
}

/// ADDITIONAL-ADDRESS-FAMILY must name IPv6; Debian's turnutils_uclient still
/// sends it under the number of an earlier draft.
fn additional_family(request: &Request<'_>) -> Result<Option<Family>, Refusal> {
    let value = request
        .message
        .attribute(AttributeType::ADDITIONAL_ADDRESS_FAMILY)
        .or_else(|| {
            request
                .message
                .attribute(AttributeType::ADDITIONAL_ADDRESS_FAMILY_DRAFT)
        });
    match value.map(|value| value.first().copied().and_then(Family::from_wire)) {
        None => Ok(None),
        Some(Some(Family::V6)) => Ok(Some(Family::V6)),
        Some(Some(Family::V4) | None) => {
            Err(Refusal::BadRequest("ADDITIONAL-ADDRESS-FAMILY is not IPv6"))
        }
    }
}

/// RFC 8656 section 18.12: family, class and number of the error.
fn address_error(family: Family, error: ErrorCode) -> [u8; 4] {
    let code = error.code();
    let class = u8::try_from(code / 100).expect("a digit");
    let number = u8::try_from(code % 100).expect("two digits");
    [family.to_wire(), 0, class, number]
}

/// Protocol numbers as in IP headers (RFC 8656 section 18.7).
const PROTOCOL_UDP: u32 = 17;
const PROTOCOL_TCP: u32 = 6;

/// RFC 8656 section 7.2: a reserved port is kept at least 30 s.
const RESERVATION_LIFETIME: Duration = Duration::from_secs(30);

/// How many ports are tried when others are taken by other programs.
const BIND_TRIES: u8 = 10;
