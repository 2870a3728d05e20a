//! TLS for incoming connections: the server configuration and the certificate
//! it presents, which can be exchanged while the server runs.
//!
//! The cryptography provider is passed explicitly everywhere; there is no
//! process-wide default to depend on. Loading and making certificates is in
//! [`certificate`].

pub mod certificate;
pub mod validity;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// ALPN identifier of STUN and TURN (RFC 7443).
pub const ALPN_TURN: &[u8] = b"stun.turn";

/// ALPN identifier of STUN alone (RFC 7443).
pub const ALPN_STUN: &[u8] = b"stun.nat-discovery";

/// ALPN identifier of HTTP/1.1 (RFC 7301 section 6).
pub const ALPN_HTTP1: &[u8] = b"http/1.1";

/// ALPN identifier of HTTP/2 over TLS (RFC 9113 section 3.1).
pub const ALPN_HTTP2: &[u8] = b"h2";

/// What a port that serves both TURN and HTTP offers.
pub const ALPN_ALL: &[&[u8]] = &[ALPN_TURN, ALPN_STUN, ALPN_HTTP2, ALPN_HTTP1];

/// Makes the configuration of a server that presents `certificate`, speaks TLS
/// 1.2 and 1.3, and asks for no client certificate.
///
/// `alpn` are the protocols to choose from, best first. A client that offers
/// none is accepted, which browsers do for `turns:`; one that offers only
/// others is refused with an alert (RFC 7301 section 3.2).
#[must_use]
pub fn server_config(certificate: Arc<SwappableCert>, alpn: &[&[u8]]) -> Arc<ServerConfig> {
    let versions = &[&rustls::version::TLS13, &rustls::version::TLS12];
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("the provider has cipher suites of both versions")
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// Returns the cryptography that this program uses for TLS.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The certificate that new handshakes get. One that is under way keeps the
/// certificate it began with.
#[derive(Debug)]
pub struct SwappableCert {
    current: ArcSwap<CertifiedKey>,
}

impl SwappableCert {
    /// Begins with `certificate`.
    #[must_use]
    pub fn new(certificate: Arc<CertifiedKey>) -> Arc<Self> {
        Arc::new(Self {
            current: ArcSwap::new(certificate),
        })
    }

    /// Presents `certificate` from the next handshake on.
    pub fn swap(&self, certificate: Arc<CertifiedKey>) {
        self.current.store(certificate);
    }
}

impl ResolvesServerCert for SwappableCert {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

    use super::certificate::self_signed;
    use super::*;
    use crate::clock;

    #[tokio::test]
    async fn a_client_without_alpn_is_served_in_both_versions() {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let certificate = key_for("turn.example.org");
            let server = server_config(SwappableCert::new(certificate.clone()), ALPN_ALL);
            let trusted = &certificate.cert[0];
            let client = client_config(trusted, &[], version);
            let (mut ours, mut theirs) =
                handshake(server, client, "turn.example.org").await.unwrap();
            assert_eq!(ours.get_ref().1.alpn_protocol(), None);
            let spoken = ours.get_ref().1.protocol_version();
            assert_eq!(spoken, Some(version.version));
            theirs.write_all(b"hello").await.unwrap();
            theirs.flush().await.unwrap();
            let mut buffer = [0; 5];
            ours.read_exact(&mut buffer).await.unwrap();
            assert_eq!(&buffer, b"hello");
        }
    }

    #[tokio::test]
    async fn alpn_is_agreed_on_and_an_unknown_one_is_refused() {
        for (offered, agreed) in [
            (&[ALPN_TURN][..], Some(ALPN_TURN)),
            (&[ALPN_HTTP1, ALPN_HTTP2], Some(ALPN_HTTP2)),
            (&[b"h3"], None),
        ] {
            let certificate = key_for("turn.example.org");
            let server = server_config(SwappableCert::new(certificate.clone()), ALPN_ALL);
            let client = client_config(&certificate.cert[0], offered, &rustls::version::TLS13);
            let result = handshake(server, client, "turn.example.org").await;
            let found = result.ok().map(|(ours, _)| {
                let name = ours.get_ref().1.alpn_protocol();
                name.map(<[u8]>::to_vec)
            });
            assert_eq!(found, agreed.map(|name| Some(name.to_vec())));
        }
    }

    #[tokio::test]
    async fn addresses_are_names_too() {
        for name in ["192.0.2.7", "2001:db8::7"] {
            let certificate = key_for(name);
            let server = server_config(SwappableCert::new(certificate.clone()), ALPN_ALL);
            let client = client_config(&certificate.cert[0], &[], &rustls::version::TLS13);
            assert!(handshake(server, client, name).await.is_ok());
        }
    }

    #[tokio::test]
    async fn the_next_handshake_gets_the_new_certificate() {
        let (old, new) = (key_for("turn.example.org"), key_for("turn.example.org"));
        let presented = SwappableCert::new(old.clone());
        let server = server_config(presented.clone(), ALPN_ALL);
        for (certificate, accepted) in [(&old, true), (&new, false)] {
            let client = client_config(&certificate.cert[0], &[], &rustls::version::TLS13);
            let result = handshake(server.clone(), client, "turn.example.org").await;
            assert_eq!(result.is_ok(), accepted);
        }
        presented.swap(new.clone());
        for (certificate, accepted) in [(&old, false), (&new, true)] {
            let client = client_config(&certificate.cert[0], &[], &rustls::version::TLS13);
            let result = handshake(server.clone(), client, "turn.example.org").await;
            assert_eq!(result.is_ok(), accepted);
        }
    }

    type Wire = tokio::io::DuplexStream;

    /// Runs both sides of a handshake over a pipe in memory.
    async fn handshake(
        server: Arc<ServerConfig>,
        client: Arc<ClientConfig>,
        name: &str,
    ) -> io::Result<(server::TlsStream<Wire>, client::TlsStream<Wire>)> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let accept = TlsAcceptor::from(server).accept(ours);
        let connect = TlsConnector::from(client).connect(name, theirs);
        tokio::try_join!(accept, connect)
    }

    fn client_config(
        trusted: &CertificateDer<'static>,
        alpn: &[&[u8]],
        version: &'static SupportedProtocolVersion,
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }

    fn key_for(name: &str) -> Arc<CertifiedKey> {
        self_signed(&[name.to_owned()], clock::unix_now())
            .unwrap()
            .certified
    }
}
