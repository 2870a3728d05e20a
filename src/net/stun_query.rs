//! Asking a STUN server from which address our packets reach it.
//!
//! A client's side of RFC 8489, no more than one Binding transaction over UDP.
//! Used once at start, to find the public address of a host behind NAT.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::net::addresses::{Family, resolve};
use crate::stun::{AttributeType, Builder, Class, Message, Method, TransactionId};

/// Port of a STUN server where none is given (RFC 8489 section 8.1).
const DEFAULT_PORT: u16 = 3478;

/// Time until the first retransmission, doubled after each (RFC 8489 section
/// 6.2.1).
const INITIAL_WAIT: Duration = Duration::from_millis(500);

/// Why a STUN server could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum StunQueryError {
    /// Its name has no address.
    #[error("the STUN server {server} cannot be resolved: {source}")]
    Resolve {
        /// The server as it was given.
        server: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Its name has no address of the family in question.
    #[error("the STUN server {server} has no {} address", name_of(*family))]
    NoAddress {
        /// The server as it was given.
        server: String,
        /// The family.
        family: Family,
    },
    /// It cannot be reached.
    #[error("the STUN server {server} cannot be reached: {source}")]
    Unreachable {
        /// The server as it was given.
        server: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// It did not answer in time.
    #[error("the STUN server {server} did not answer within {waited:?}")]
    Timeout {
        /// The server as it was given.
        server: String,
        /// How long it had.
        waited: Duration,
    },
    /// It answered with an error, or without an address.
    #[error("the STUN server {server} gave no address{}", code.map(|code| format!(" (error {code})")).unwrap_or_default())]
    Refused {
        /// The server as it was given.
        server: String,
        /// The error code, if it named one.
        code: Option<u16>,
    },
}

/// Asks `server` (`host`, `host:port` or an address, port 3478 if none) over
/// `family` for the address our packets come from, waiting at most `limit`.
///
/// # Errors
/// When the server cannot be found or reached, or does not answer with one.
pub async fn stun_query(
    server: &str,
    family: Family,
    limit: Duration,
) -> Result<SocketAddr, StunQueryError> {
    let query = async {
        let address = locate(server, family).await?;
        let socket = connect(address)
            .await
            .map_err(|source| unreachable(server, source))?;
        exchange(server, &socket).await
    };
    timeout(limit, query).await.unwrap_or_else(|_| {
        Err(StunQueryError::Timeout {
            server: server.to_owned(),
            waited: limit,
        })
    })
}

async fn locate(server: &str, family: Family) -> Result<SocketAddr, StunQueryError> {
    let (host, port) = split_port(server);
    let found = resolve(host)
        .await
        .map_err(|source| StunQueryError::Resolve {
            server: server.to_owned(),
            source,
        })?;
    let ip = found.into_iter().find(|ip| Family::of(*ip) == family);
    let ip = ip.ok_or_else(|| StunQueryError::NoAddress {
        server: server.to_owned(),
        family,
    })?;
    Ok(SocketAddr::new(ip, port))
}

/// Splits `host:port`; an IPv6 address needs brackets to have a port.
fn split_port(server: &str) -> (&str, u16) {
    let is_bare_v6 = server.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6());
    let parts = server.rsplit_once(':').filter(|_| !is_bare_v6);
    let with_port = parts.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    with_port.unwrap_or((server, DEFAULT_PORT))
}

/// Opens a socket that takes answers from `server` only.
async fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(Family::of(server.ip()).wildcard()).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// Sends the request until it is answered.
async fn exchange(server: &str, socket: &UdpSocket) -> Result<SocketAddr, StunQueryError> {
    let id = random_id().map_err(|source| unreachable(server, source))?;
    let mut request = Vec::new();
    Builder::new(&mut request, Class::Request, Method::BINDING, id);
    let mut wait = INITIAL_WAIT;
    loop {
        let sent = socket.send(&request).await;
        sent.map_err(|source| unreachable(server, source))?;
        if let Ok(answer) = timeout(wait, answer(server, socket, id)).await {
            return answer;
        }
        wait *= 2;
    }
}

/// Waits for the answer to the request `id`; anything else is ignored.
async fn answer(
    server: &str,
    socket: &UdpSocket,
    id: TransactionId,
) -> Result<SocketAddr, StunQueryError> {
    let mut buffer = [0; 1500];
    loop {
        let received = socket.recv(&mut buffer).await;
        let len = received.map_err(|source| unreachable(server, source))?;
        let Ok(message) = Message::parse(&buffer[..len]) else {
            continue;
        };
        if message.transaction_id() != id || message.method() != Method::BINDING {
            continue;
        }
        let refused = |code| StunQueryError::Refused {
            server: server.to_owned(),
            code,
        };
        match message.class() {
            Class::SuccessResponse => {
                return mapped_address(&message).ok_or_else(|| refused(None));
            }
            Class::ErrorResponse => {
                return Err(refused(message.error_code().map(|(code, _)| code)));
            }
            Class::Request | Class::Indication => {}
        }
    }
}

/// Returns the address in a success response; servers of RFC 3489 write it
/// plainly.
fn mapped_address(message: &Message<'_>) -> Option<SocketAddr> {
    message
        .xor_address(AttributeType::XOR_MAPPED_ADDRESS)
        .or_else(|| message.address(AttributeType::MAPPED_ADDRESS))
}

fn random_id() -> io::Result<TransactionId> {
    let mut id = [0; 12];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(TransactionId::new(id))
}

fn unreachable(server: &str, source: io::Error) -> StunQueryError {
    StunQueryError::Unreachable {
        server: server.to_owned(),
        source,
    }
}

fn name_of(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

#[cfg(test)]
mod tests {
    use ::stun::message::{
        BINDING_SUCCESS, CLASS_ERROR_RESPONSE, METHOD_BINDING, Message as OtherMessage,
        MessageType, Setter,
    };
    use ::stun::xoraddr::XorMappedAddress;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn the_address_in_the_answer_is_returned() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let server = UdpSocket::bind(local).await.unwrap();
            let address = server.local_addr().unwrap();
            let serving = serve(server, 1);
            let name = address.to_string();
            let query = stun_query(&name, Family::of(address.ip()), LIMIT);
            let (client, mapped) = tokio::join!(serving, query);
            let mapped = mapped.unwrap();
            assert_eq!(mapped.ip(), address.ip());
            assert_eq!(mapped.port(), client.port());
        }
    }

    #[tokio::test]
    async fn a_lost_request_is_sent_again() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let name = server.local_addr().unwrap().to_string();
        let (_, mapped) = tokio::join!(serve(server, 2), stun_query(&name, Family::V4, LIMIT));
        assert!(mapped.is_ok());
    }

    #[tokio::test]
    async fn strangers_answers_and_stray_messages_are_ignored() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let name = server.local_addr().unwrap().to_string();
        let serving = async {
            let (request, client) = receive(&server).await;
            let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let forged = success(&request, "192.0.2.66:1".parse().unwrap());
            stranger.send_to(&forged, client).await.unwrap();
            let mut stray = forged.clone();
            stray[8] ^= 1;
            server.send_to(&stray, client).await.unwrap();
            server.send_to(b"no STUN", client).await.unwrap();
            let answer = success(&request, client);
            server.send_to(&answer, client).await.unwrap();
            client
        };
        let (client, mapped) = tokio::join!(serving, stun_query(&name, Family::V4, LIMIT));
        assert_eq!(mapped.unwrap(), client);
    }

    #[tokio::test]
    async fn an_error_response_is_an_error_with_its_code() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let name = server.local_addr().unwrap().to_string();
        let serving = async {
            let (request, client) = receive(&server).await;
            let mut answer = OtherMessage::new();
            let kind = MessageType::new(METHOD_BINDING, CLASS_ERROR_RESPONSE);
            let code = ::stun::error_code::CODE_TRY_ALTERNATE;
            answer
                .build(&[Box::new(request), Box::new(kind), Box::new(code)])
                .unwrap();
            server.send_to(&answer.raw, client).await.unwrap();
        };
        let ((), mapped) = tokio::join!(serving, stun_query(&name, Family::V4, LIMIT));
        let error = mapped.unwrap_err();
        assert!(
            error.to_string().ends_with("gave no address (error 300)"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn what_keeps_an_answer_away_is_said() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let name = silent.local_addr().unwrap().to_string();
        let wait = Duration::from_millis(50);
        let error = stun_query(&name, Family::V4, wait).await.unwrap_err();
        assert!(matches!(error, StunQueryError::Timeout { .. }), "{error}");

        drop(silent);
        let error = stun_query(&name, Family::V4, LIMIT).await.unwrap_err();
        assert!(
            matches!(error, StunQueryError::Unreachable { .. }),
            "{error}"
        );

        let error = stun_query("192.0.2.1", Family::V6, LIMIT)
            .await
            .unwrap_err();
        assert!(
            error.to_string().ends_with("has no IPv6 address"),
            "{error}"
        );

        let error = stun_query("nowhere.invalid", Family::V4, LIMIT)
            .await
            .unwrap_err();
        assert!(matches!(error, StunQueryError::Resolve { .. }), "{error}");
    }

    #[test]
    fn a_port_is_optional_and_ipv6_needs_brackets_for_one() {
        for (server, host, port) in [
            ("stun.example.org", "stun.example.org", 3478),
            ("stun.example.org:19302", "stun.example.org", 19302),
            ("192.0.2.1:5", "192.0.2.1", 5),
            ("2001:db8::1", "2001:db8::1", 3478),
            ("[2001:db8::1]", "[2001:db8::1]", 3478),
            ("[2001:db8::1]:5", "[2001:db8::1]", 5),
        ] {
            assert_eq!(split_port(server), (host, port));
        }
    }

    /// Answers the request number `answered`, ignoring those before it, and
    /// returns the client's address.
    async fn serve(server: UdpSocket, answered: usize) -> SocketAddr {
        for _ in 1..answered {
            receive(&server).await;
        }
        let (request, client) = receive(&server).await;
        let answer = success(&request, client);
        server.send_to(&answer, client).await.unwrap();
        client
    }

    async fn receive(server: &UdpSocket) -> (OtherMessage, SocketAddr) {
        let mut buffer = [0; 1500];
        let (len, client) = server.recv_from(&mut buffer).await.unwrap();
        let mut request = OtherMessage::new();
        request.unmarshal_binary(&buffer[..len]).unwrap();
        assert_eq!(request.typ, ::stun::message::BINDING_REQUEST);
        (request, client)
    }

    fn success(request: &OtherMessage, mapped: SocketAddr) -> Vec<u8> {
        let mut answer = OtherMessage::new();
        answer.transaction_id = request.transaction_id;
        answer.set_type(BINDING_SUCCESS);
        answer.write_header();
        let address = XorMappedAddress {
            ip: mapped.ip(),
            port: mapped.port(),
        };
        address.add_to(&mut answer).unwrap();
        answer.raw
    }
}
