//! The way of a STUN message: form, authentication, allocation, then its method.
//!
//! Follows RFC 8489 sections 6.3 and 9.2.4 and RFC 8656 section 5 in order. What
//! a stranger can draw from us is decided here: how much, and how little is in it.

use std::time::Instant;

use tracing::{debug, info};

use crate::auth::{AuthError, Identity, PASSWORD_ALGORITHMS};
use crate::redact::Redacted;
use crate::stun::{
    AttributeType, Builder, Class, Dialect, ErrorCode, Fingerprint, IntegrityAlgorithm,
    LongTermKey, Message, Method, TransactionId,
};
use crate::unix_time::UnixTime;

use super::counters::DropReason;
use super::five_tuple::ClientPath;
use super::refusal::Refusal;
use super::server::Server;
use super::verdict::{Output, Verdict};

/// An authenticated request.
pub(super) struct Request<'a> {
    pub(super) message: Message<'a>,
    pub(super) path: ClientPath,
    pub(super) identity: Identity,
    pub(super) reply: Reply,
    /// The allocation of the five-tuple, live or pending.
    pub(super) allocation: Option<usize>,
}

/// How to answer one authenticated request; outlives the request's bytes.
#[derive(Clone)]
pub(super) struct Reply {
    path: ClientPath,
    method: Method,
    transaction: TransactionId,
    integrity: IntegrityAlgorithm,
    key: LongTermKey,
    fingerprint: bool,
}

impl Server {
    /// Takes a STUN message from a client.
    pub(super) fn handle_message<'p>(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        from: ClientPath,
        datagram: &'p [u8],
    ) -> Verdict<'p> {
        let Ok(message) = Message::parse(datagram) else {
            return self.dropped(DropReason::MalformedMessage);
        };
        if message.fingerprint() == Fingerprint::Invalid {
            return self.dropped(DropReason::BadFingerprint);
        }
        match message.class() {
            Class::Request if message.method() == Method::BINDING => {
                self.handle_binding(now, from, &message)
            }
            Class::Request if message.dialect() == Dialect::Rfc8489 => {
                self.handle_request(now, unix_now, from, message)
            }
            Class::Indication if message.method() == Method::SEND => {
                self.handle_send(now, from, &message)
            }
            // A Binding indication keeps a NAT binding alive (RFC 8489 section 2).
            Class::Indication if message.method() == Method::BINDING => Verdict::Consumed,
            Class::Request | Class::Indication | Class::SuccessResponse | Class::ErrorResponse => {
                self.dropped(DropReason::UnexpectedClass)
            }
        }
    }

    fn handle_request<'p>(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        from: ClientPath,
        message: Message<'_>,
    ) -> Verdict<'p> {
        if !is_served(message.method()) {
            return self.dropped(DropReason::UnknownMethod);
        }
        let identity = match self.authenticate(now, from, &message) {
            Ok(identity) => identity,
            Err(challenge) => return self.challenge(now, from, &message, challenge),
        };
        let reply = Reply {
            path: from,
            method: message.method(),
            transaction: message.transaction_id(),
            integrity: identity.integrity(),
            key: identity.key().clone(),
            fingerprint: message.fingerprint() == Fingerprint::Valid,
        };
        let allocation = self.by_client.get(&from.five_tuple).copied();
        let request = Request {
            message,
            path: from,
            identity,
            reply,
            allocation,
        };
        if let Err(refusal) = self.dispatch(now, unix_now, &request) {
            self.refuse(now, &request.identity, &request.reply, &refusal);
        }
        Verdict::Consumed
    }

    /// Checks what all methods have in common, and calls the one at hand.
    fn dispatch(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        request: &Request<'_>,
    ) -> Result<(), Refusal> {
        // RFC 8489 section 6.3.1: unknown comprehension-required attributes.
        let unknown: Vec<AttributeType> = request
            .message
            .unknown_required(is_known)
            .take(MAX_UNKNOWN_LISTED)
            .collect();
        if !unknown.is_empty() {
            return Err(Refusal::UnknownAttributes(unknown));
        }
        if request.message.method() == Method::ALLOCATE {
            return self.handle_allocate(now, unix_now, request);
        }
        if request.message.method() == Method::CONNECTION_BIND {
            return self.handle_connection_bind(request);
        }
        // RFC 8656 section 5: other requests need an allocation, and its user. A
        // REST credential with another expiry is another username: 441.
        let Some(key) = request
            .allocation
            .filter(|key| self.allocations[*key].is_live())
        else {
            return Err(Refusal::AllocationMismatch);
        };
        let owner = &self.allocations[key].identity;
        if !owner.is_same_user(&request.identity) {
            return Err(Refusal::WrongCredentials);
        }
        match request.message.method() {
            Method::REFRESH => self.handle_refresh(now, unix_now, request, key),
            Method::CREATE_PERMISSION => self.handle_create_permission(now, request, key),
            Method::CHANNEL_BIND => self.handle_channel_bind(now, request, key),
            Method::CONNECT => self.handle_connect(now, request, key),
            // `is_served` lets no other method through.
            _ => Err(Refusal::BadRequest("unknown method")),
        }
    }

    /// RFC 8489 section 9.2.4, in an order that spends nothing on a spoofed
    /// source: the nonce is checked before any credential is looked up.
    fn authenticate(
        &self,
        now: Instant,
        from: ClientPath,
        message: &Message<'_>,
    ) -> Result<Identity, Challenge> {
        // Step 1: no integrity. Without an allocation only Allocate (and
        // ConnectionBind, which comes on a connection of its own) can succeed
        // later, so the rest gets a short answer instead of a challenge.
        if message.integrity().is_none() {
            let needs_allocation =
                message.method() != Method::ALLOCATE && message.method() != Method::CONNECTION_BIND;
            if needs_allocation && !self.by_client.contains_key(&from.five_tuple) {
                return Err(Challenge::Short(ErrorCode::AllocationMismatch));
            }
            return Err(Challenge::Unauthorized(AuthError::MissingIntegrity));
        }
        // Step 2: integrity without the attributes it needs.
        let has = |ty| message.attribute(ty).is_some();
        let has_user = has(AttributeType::USERNAME) || has(AttributeType::USERHASH);
        let (true, Some(_), Some(nonce)) = (
            has_user,
            message.attribute(AttributeType::REALM),
            message.attribute(AttributeType::NONCE),
        ) else {
            return Err(Challenge::Short(ErrorCode::BadRequest));
        };
        // Step 3: the nonce, and with it the security features it announces.
        let client = from.five_tuple.client;
        if !self
            .nonce
            .is_valid(now, client, self.directory.realm(), nonce)
        {
            return Err(Challenge::StaleNonce);
        }
        // The rest: bid-down protection, the user, the integrity.
        self.directory.authenticate(message).map_err(|error| {
            if error.code() == ErrorCode::Unauthorized {
                Challenge::Unauthorized(error)
            } else {
                Challenge::Short(error.code())
            }
        })
    }

    /// Answers a request that is not authenticated, within the budget.
    fn challenge<'p>(
        &mut self,
        now: Instant,
        from: ClientPath,
        message: &Message<'_>,
        challenge: Challenge,
    ) -> Verdict<'p> {
        let client = from.five_tuple.client;
        // A stream's client has shown that it is at its address.
        if !from.five_tuple.transport.is_stream() && !self.budget.take(now, client.ip()) {
            return self.dropped(DropReason::OverBudget);
        }
        let code = challenge.code();
        *self.counters.refused.entry(code.code()).or_insert(0) += 1;
        debug!(client = %Redacted(client), code = code.code(), cause = challenge.cause(), "challenged");
        let mut bytes = Vec::with_capacity(128);
        let mut builder = Builder::new(
            &mut bytes,
            Class::ErrorResponse,
            message.method(),
            message.transaction_id(),
        );
        // No reason phrase, SOFTWARE or FINGERPRINT: a stranger gets what the
        // protocol needs and nothing more.
        builder.error_code(code, "");
        if challenge.carries_nonce() {
            let features = self.directory.security_features();
            let realm = self.directory.realm();
            builder.attribute(AttributeType::REALM, realm.as_bytes());
            let nonce = self.nonce.make(now, client, realm, features);
            builder.attribute(AttributeType::NONCE, &nonce);
            if features.password_algorithms {
                builder.password_algorithms(&PASSWORD_ALGORITHMS);
            }
        }
        self.outputs.push_back(Output::Send {
            client: from,
            message: bytes,
        });
        Verdict::Consumed
    }

    /// Answers an authenticated request with an error response, and logs it.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        identity: &Identity,
        reply: &Reply,
        refusal: &Refusal,
    ) {
        let code = refusal.code();
        *self.counters.refused.entry(code.code()).or_insert(0) += 1;
        self.log_refusal(now, identity, reply, refusal);
        let directory = &self.directory;
        let client = reply.path.five_tuple.client;
        let nonce = &self.nonce;
        let output = reply.message(Class::ErrorResponse, |builder| {
            builder.error_code(code, code.reason());
            match refusal {
                Refusal::UnknownAttributes(list) => {
                    builder.unknown_attributes(list);
                }
                Refusal::TryAlternate(alternate) => {
                    builder.address(AttributeType::ALTERNATE_SERVER, alternate.address);
                    if let Some(domain) = &alternate.domain {
                        builder.attribute(AttributeType::ALTERNATE_DOMAIN, domain.as_bytes());
                    }
                }
                Refusal::Expired => {
                    let realm = directory.realm();
                    let features = directory.security_features();
                    builder.attribute(AttributeType::REALM, realm.as_bytes());
                    let nonce = nonce.make(now, client, realm, features);
                    builder.attribute(AttributeType::NONCE, &nonce);
                    if features.password_algorithms {
                        builder.password_algorithms(&PASSWORD_ALGORITHMS);
                    }
                }
                Refusal::BadRequest(_)
                | Refusal::DeniedPeer
                | Refusal::AllocationMismatch
                | Refusal::FamilyNotSupported
                | Refusal::WrongCredentials
                | Refusal::UnsupportedTransport
                | Refusal::PeerFamilyMismatch
                | Refusal::ConnectionAlreadyExists
                | Refusal::ConnectionFailed
                | Refusal::Quota(_)
                | Refusal::NoPort
                | Refusal::TooMany(_) => {}
            }
        });
        self.outputs.push_back(output);
    }

    fn log_refusal(&mut self, now: Instant, identity: &Identity, reply: &Reply, refusal: &Refusal) {
        let cause = refusal.cause();
        let Some(suppressed) = self.refusal_log.admit(now, cause) else {
            return;
        };
        info!(
            client = %Redacted(reply.path.five_tuple.client),
            transport = %reply.path.five_tuple.transport,
            user = %Redacted(&**identity.username()),
            code = refusal.code().code(),
            cause,
            suppressed,
            "request refused"
        );
    }
}

impl Reply {
    /// Makes the output that carries a success response.
    pub(super) fn success(&self, fill: impl FnOnce(&mut Builder<'_>)) -> Output {
        self.message(Class::SuccessResponse, fill)
    }

    fn message(&self, class: Class, fill: impl FnOnce(&mut Builder<'_>)) -> Output {
        let mut message = Vec::with_capacity(160);
        let mut builder = Builder::new(&mut message, class, self.method, self.transaction);
        fill(&mut builder);
        builder.integrity(self.integrity, self.key.as_bytes());
        if self.fingerprint {
            builder.fingerprint();
        }
        Output::Send {
            client: self.path,
            message,
        }
    }
}

/// Why a request counts as a stranger's.
#[derive(Clone, Copy)]
enum Challenge {
    /// 401 with realm and nonce.
    Unauthorized(AuthError),
    /// 438 with realm and a new nonce.
    StaleNonce,
    /// An error code and nothing else, 28 bytes.
    Short(ErrorCode),
}

impl Challenge {
    fn code(self) -> ErrorCode {
        match self {
            Self::Unauthorized(_) => ErrorCode::Unauthorized,
            Self::StaleNonce => ErrorCode::StaleNonce,
            Self::Short(code) => code,
        }
    }

    fn cause(self) -> String {
        match self {
            Self::Unauthorized(error) => error.to_string(),
            Self::StaleNonce => "stale nonce".to_owned(),
            Self::Short(_) => "incomplete".to_owned(),
        }
    }

    fn carries_nonce(self) -> bool {
        match self {
            Self::Unauthorized(_) | Self::StaleNonce => true,
            Self::Short(_) => false,
        }
    }
}

/// Request methods we serve besides Binding.
fn is_served(method: Method) -> bool {
    [
        Method::ALLOCATE,
        Method::REFRESH,
        Method::CREATE_PERMISSION,
        Method::CHANNEL_BIND,
        Method::CONNECT,
        Method::CONNECTION_BIND,
    ]
    .contains(&method)
}

/// Comprehension-required attributes we understand in requests and indications.
pub(super) fn is_known(attribute: AttributeType) -> bool {
    [
        AttributeType::USERNAME,
        AttributeType::USERHASH,
        AttributeType::MESSAGE_INTEGRITY,
        AttributeType::MESSAGE_INTEGRITY_SHA256,
        AttributeType::REALM,
        AttributeType::NONCE,
        AttributeType::PASSWORD_ALGORITHM,
        AttributeType::CHANNEL_NUMBER,
        AttributeType::LIFETIME,
        AttributeType::XOR_PEER_ADDRESS,
        AttributeType::DATA,
        AttributeType::REQUESTED_ADDRESS_FAMILY,
        AttributeType::EVEN_PORT,
        AttributeType::REQUESTED_TRANSPORT,
        AttributeType::DONT_FRAGMENT,
        AttributeType::RESERVATION_TOKEN,
        AttributeType::CONNECTION_ID,
    ]
    .contains(&attribute)
}

/// UNKNOWN-ATTRIBUTES lists at most this many, so that its size is fixed.
pub(super) const MAX_UNKNOWN_LISTED: usize = 2;
