//! Refresh (RFC 8656 section 8): prolongs an allocation, or ends it.

use std::time::{Duration, Instant};

use tracing::debug;

use crate::redact::Redacted;
use crate::stun::AttributeType;
use crate::unix_time::UnixTime;

use super::five_tuple::Family;
use super::refusal::Refusal;
use super::request::Request;
use super::server::{Server, Timer};

impl Server {
    pub(super) fn handle_refresh(
        &mut self,
        now: Instant,
        unix_now: UnixTime,
        request: &Request<'_>,
        key: usize,
    ) -> Result<(), Refusal> {
        // REQUESTED-ADDRESS-FAMILY names one family of the allocation.
        let family = self.refreshed_family(request, key)?;

        // LIFETIME 0 ends the allocation, or its one named family.
        let asked = request.message.u32(AttributeType::LIFETIME);
        if asked == Some(0) {
            self.end_family(now, key, family);
            self.outputs.push_back(request.reply.success(|builder| {
                builder.u32(AttributeType::LIFETIME, 0);
            }));
            return Ok(());
        }

        // A credential that has expired prolongs nothing.
        if request.identity.is_expired(unix_now) {
            return Err(Refusal::Expired);
        }

        // Otherwise the lifetime starts anew.
        let lifetime = self.lifetime(unix_now, request);
        let allocation = &mut self.allocations[key];
        self.deadlines
            .clear(allocation.expires_at, Timer::Allocation(key));
        allocation.expires_at = now + lifetime;
        allocation.identity = request.identity.clone();
        self.deadlines
            .set(allocation.expires_at, Timer::Allocation(key));
        debug!(client = %Redacted(request.path.five_tuple.client), ?lifetime, "allocation refreshed");
        self.outputs.push_back(request.reply.success(|builder| {
            builder.u32(AttributeType::LIFETIME, whole_seconds(lifetime));
        }));
        Ok(())
    }

    /// RFC 8656 section 7.2, step 12: at least the default, at most the maximum,
    /// and never past the expiry of the credential.
    pub(super) fn lifetime(&self, unix_now: UnixTime, request: &Request<'_>) -> Duration {
        let asked = request.message.u32(AttributeType::LIFETIME).unwrap_or(0);
        let lifetime = Duration::from_secs(u64::from(asked))
            .max(self.options.default_lifetime)
            .min(self.options.max_lifetime);
        match request.identity.expires() {
            Some(expires) => lifetime.min(unix_now.until(expires)),
            None => lifetime,
        }
    }

    fn refreshed_family(
        &self,
        request: &Request<'_>,
        key: usize,
    ) -> Result<Option<Family>, Refusal> {
        let Some(value) = request
            .message
            .attribute(AttributeType::REQUESTED_ADDRESS_FAMILY)
        else {
            return Ok(None);
        };
        let family = value.first().copied().and_then(Family::from_wire);
        let has_family = family.is_some_and(|f| self.allocations[key].relay(f).is_some());
        if has_family {
            Ok(family)
        } else {
            Err(Refusal::PeerFamilyMismatch)
        }
    }

    fn end_family(&mut self, now: Instant, key: usize, family: Option<Family>) {
        let allocation = &mut self.allocations[key];
        let Some(family) = family.filter(|_| allocation.relays.len() > 1) else {
            self.end_allocation(now, key, "released by the client");
            return;
        };
        let Some(relay) = allocation.relay(family) else {
            return;
        };
        allocation.relays.retain(|(f, _)| *f != family);
        allocation
            .permissions
            .retain(|p| Family::of(p.ip) != family);
        allocation.channels.retain(|c| c.relay != relay);
        self.end_connections_to(now, key, |peer| Family::of(peer) == family);
        self.close_relay(relay);
    }
}

/// Rounds down; a lifetime of less than a second is told as one.
pub(super) fn whole_seconds(lifetime: Duration) -> u32 {
    u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).max(1)
}
