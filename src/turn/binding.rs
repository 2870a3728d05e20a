//! Binding (RFC 8489 section 3): tells a client its address as we see it.

use std::time::Instant;

use crate::stun::{AttributeType, Builder, Class, Dialect, ErrorCode, Message};

use super::counters::DropReason;
use super::five_tuple::ClientPath;
use super::request::{MAX_UNKNOWN_LISTED, is_known};
use super::server::Server;
use super::verdict::{Output, Verdict};

impl Server {
    /// Answers a Binding request, without authentication and so within the budget.
    ///
    /// The answer is 32 bytes over IPv4 and never longer for anything in the
    /// request but an attribute the standard makes us name (36 bytes).
    pub(super) fn handle_binding<'p>(
        &mut self,
        now: Instant,
        from: ClientPath,
        message: &Message<'_>,
    ) -> Verdict<'p> {
        let client = from.five_tuple.client;
        if !from.five_tuple.transport.is_stream() && !self.budget.take(now, client.ip()) {
            return self.dropped(DropReason::OverBudget);
        }
        let unknown: Vec<AttributeType> = message
            .unknown_required(|ty| is_known(ty) || is_ignored(ty))
            .take(MAX_UNKNOWN_LISTED)
            .collect();
        let is_refused = !unknown.is_empty() && message.dialect() == Dialect::Rfc8489;
        let class = if is_refused {
            Class::ErrorResponse
        } else {
            Class::SuccessResponse
        };
        let mut bytes = Vec::with_capacity(64);
        let mut builder = Builder::new(
            &mut bytes,
            class,
            message.method(),
            message.transaction_id(),
        );
        if is_refused {
            // RFC 8489 section 6.3.1.
            builder.error_code(ErrorCode::UnknownAttribute, "");
            builder.unknown_attributes(&unknown);
        } else {
            match message.dialect() {
                Dialect::Rfc8489 => {
                    builder.xor_address(AttributeType::XOR_MAPPED_ADDRESS, client);
                }
                // RFC 8489 section 11: an RFC 3489 client knows only the plain form.
                Dialect::Rfc3489 => {
                    builder.address(AttributeType::MAPPED_ADDRESS, client);
                }
            }
        }
        self.counters.bindings += 1;
        self.outputs.push_back(Output::Send {
            client: from,
            message: bytes,
        });
        Verdict::Consumed
    }
}

/// Attributes of NAT behaviour discovery and ICE that change nothing here: we do
/// not serve RFC 5780, and padding an answer on request would make us an amplifier.
fn is_ignored(attribute: AttributeType) -> bool {
    [
        AttributeType::PADDING,
        AttributeType::PRIORITY,
        AttributeType::USE_CANDIDATE,
    ]
    .contains(&attribute)
}
