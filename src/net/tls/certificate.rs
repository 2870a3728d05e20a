//! Getting a certificate with its key: from files, or a new self-signed one.
//!
//! Certificates are what operators get wrong most, so every way a file can be
//! wrong has its own error that names the file and the remedy.

use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use crate::net::tls::provider;
use crate::net::tls::validity::{Validity, readable};
use crate::secret::Secret;
use crate::unix_time::UnixTime;

/// How long a self-signed certificate is valid: the longest that browsers
/// accept of any certificate is 398 days.
const SELF_SIGNED_LIFETIME: Duration = Duration::from_secs(397 * 86_400);

/// How far a self-signed certificate reaches into the past, for clients whose
/// clock is slow.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(86_400);

/// A certificate that can be presented.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The chain and its key.
    pub certified: Arc<CertifiedKey>,
    /// When the first certificate of the chain is valid.
    pub validity: Validity,
}

/// A certificate made here, with what it takes to keep it across restarts.
pub struct SelfSigned {
    /// The certificate and its key, ready to be presented.
    pub certified: Arc<CertifiedKey>,
    /// When it is valid.
    pub validity: Validity,
    /// The certificate as PEM.
    pub certificate_pem: String,
    /// Its private key as PEM (PKCS #8).
    pub key_pem: Secret,
}

/// Loads a certificate chain and its private key from two PEM files, which may
/// be the same.
///
/// # Errors
/// When a file cannot be read or lacks what it should hold, when they do not
/// belong together, or when the certificate is not valid at `now`.
pub fn load_files(cert: &Path, key: &Path, now: UnixTime) -> Result<Certificate, TlsError> {
    let chain = read_chain(cert)?;
    let private_key = read_key(key)?;
    let certified = CertifiedKey::from_der(chain, private_key, &provider())
        .map_err(|error| TlsError::of_pair(cert, key, &error))?;
    let validity = certified
        .cert
        .first()
        .and_then(|first| Validity::of_certificate(first))
        .ok_or_else(|| TlsError::BadCertificate { path: cert.into() })?;
    if now < validity.from {
        return Err(TlsError::NotYetValid {
            path: cert.into(),
            from: validity.from,
        });
    }
    if now > validity.until {
        return Err(TlsError::Expired {
            path: cert.into(),
            until: validity.until,
        });
    }
    Ok(Certificate {
        certified: Arc::new(certified),
        validity,
    })
}

/// Makes a key and a certificate for `names` (DNS names and addresses) that
/// only clients who are told to will trust, valid for 397 days.
///
/// # Errors
/// [`TlsError::BadName`] when a name can stand in no certificate,
/// [`TlsError::CannotMake`] when the cryptography fails.
pub fn self_signed(names: &[String], now: UnixTime) -> Result<SelfSigned, TlsError> {
    let make_error = |error: rcgen::Error| TlsError::CannotMake {
        reason: error.to_string(),
    };
    for name in names {
        check_name(name)?;
    }
    let mut params = CertificateParams::new(names).map_err(make_error)?;
    let day_zero = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = day_zero + Duration::from_secs(now.0).saturating_sub(CLOCK_TOLERANCE);
    params.not_after = day_zero + Duration::from_secs(now.plus(SELF_SIGNED_LIFETIME).0);
    params
        .distinguished_name
        .push(DnType::CommonName, "turnstone self-signed certificate");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];

    let key = KeyPair::generate().map_err(make_error)?;
    let certificate = params.self_signed(&key).map_err(make_error)?;
    let tls_error = |error: Error| TlsError::CannotMake {
        reason: error.to_string(),
    };
    let private_key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let chain = vec![certificate.der().clone()];
    let certified = CertifiedKey::from_der(chain, private_key, &provider()).map_err(tls_error)?;
    let validity =
        Validity::of_certificate(certificate.der()).expect("rcgen writes what RFC 5280 asks for");
    Ok(SelfSigned {
        certified: Arc::new(certified),
        validity,
        certificate_pem: certificate.pem(),
        key_pem: Secret::new(key.serialize_pem()),
    })
}

/// Which of the two files is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsFile {
    /// The certificate chain.
    Certificate,
    /// The private key.
    Key,
}

impl fmt::Display for TlsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "certificate",
            Self::Key => "private key",
        })
    }
}

/// Why there is no certificate to present, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// There is no such file.
    #[error("the {file} file {} does not exist; check the path", path.display())]
    NotFound {
        /// Which file.
        file: TlsFile,
        /// Its path.
        path: PathBuf,
    },
    /// The file may not be read.
    #[error(
        "the {file} file {} may not be read by this user; give its group read access, or pass it \
         with LoadCredential= in the systemd unit",
        path.display()
    )]
    Permission {
        /// Which file.
        file: TlsFile,
        /// Its path.
        path: PathBuf,
    },
    /// The file cannot be read for another reason.
    #[error("the {file} file {} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which file.
        file: TlsFile,
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not PEM, or damaged.
    #[error(
        "the {file} file {} is damaged: between BEGIN and END it must hold base64 text",
        path.display()
    )]
    BadPem {
        /// Which file.
        file: TlsFile,
        /// Its path.
        path: PathBuf,
    },
    /// The file holds no certificate.
    #[error(
        "the file {} holds no certificate (no `BEGIN CERTIFICATE`); use the full chain in PEM \
         format, and check that certificate and key are not swapped",
        path.display()
    )]
    NoCertificate {
        /// Its path.
        path: PathBuf,
    },
    /// The file holds no private key.
    #[error(
        "the file {} holds no private key (no `BEGIN PRIVATE KEY`); use a key in PEM format, and \
         check that certificate and key are not swapped",
        path.display()
    )]
    NoKey {
        /// Its path.
        path: PathBuf,
    },
    /// The private key needs a pass phrase.
    #[error(
        "the private key in {} is encrypted; write it without a pass phrase: \
         `openssl pkey -in {0} -out plain.pem`",
        path.display()
    )]
    EncryptedKey {
        /// Its path.
        path: PathBuf,
    },
    /// The private key is of a kind that TLS cannot use here.
    #[error(
        "the private key in {} cannot be used; make an ECDSA P-256, Ed25519 or RSA key of at \
         least 2048 bits",
        path.display()
    )]
    UnusableKey {
        /// Its path.
        path: PathBuf,
    },
    /// The certificate cannot be understood.
    #[error("the first certificate in {} is damaged or not X.509", path.display())]
    BadCertificate {
        /// Its path.
        path: PathBuf,
    },
    /// Certificate and key do not belong together.
    #[error(
        "the private key in {} does not belong to the first certificate in {}; the server's own \
         certificate comes first in the file, and both come from the same renewal",
        key.display(), cert.display()
    )]
    KeyMismatch {
        /// The certificate's path.
        cert: PathBuf,
        /// The key's path.
        key: PathBuf,
    },
    /// The certificate's time has not come.
    #[error(
        "the certificate in {} is valid only from {}; check this host's clock",
        path.display(), readable(*from)
    )]
    NotYetValid {
        /// Its path.
        path: PathBuf,
        /// Its first second.
        from: UnixTime,
    },
    /// The certificate's time is over.
    #[error(
        "the certificate in {} has expired on {}; renew it and reload",
        path.display(), readable(*until)
    )]
    Expired {
        /// Its path.
        path: PathBuf,
        /// Its last second.
        until: UnixTime,
    },
    /// No certificate can be made for this name.
    #[error("`{name}` is neither a DNS name nor an IP address")]
    BadName {
        /// The name.
        name: String,
    },
    /// A self-signed certificate could not be made.
    #[error("a self-signed certificate cannot be made: {reason}")]
    CannotMake {
        /// What the library said.
        reason: String,
    },
}

impl TlsError {
    fn of_file(file: TlsFile, path: &Path, source: io::Error) -> Self {
        let path = path.into();
        if source.kind() == io::ErrorKind::NotFound {
            return Self::NotFound { file, path };
        }
        if source.kind() == io::ErrorKind::PermissionDenied {
            return Self::Permission { file, path };
        }
        Self::Unreadable { file, path, source }
    }

    fn of_pair(cert: &Path, key: &Path, error: &Error) -> Self {
        if *error == Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
            let (cert, key) = (cert.into(), key.into());
            return Self::KeyMismatch { cert, key };
        }
        if matches!(error, Error::InvalidCertificate(_)) {
            return Self::BadCertificate { path: cert.into() };
        }
        Self::UnusableKey { path: key.into() }
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text =
        fs::read(path).map_err(|error| TlsError::of_file(TlsFile::Certificate, path, error))?;
    let chain = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<Vec<_>, pem::Error>>()
        .map_err(|_| TlsError::BadPem {
            file: TlsFile::Certificate,
            path: path.into(),
        })?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: path.into() });
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = fs::read(path).map_err(|error| TlsError::of_file(TlsFile::Key, path, error))?;
    let text = Secret::new(text);
    match PrivateKeyDer::from_pem_slice(text.expose()) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if is_encrypted(text.expose()) => {
            Err(TlsError::EncryptedKey { path: path.into() })
        }
        Err(pem::Error::NoItemsFound) => Err(TlsError::NoKey { path: path.into() }),
        // What is wrong with it could quote the key.
        Err(_) => Err(TlsError::BadPem {
            file: TlsFile::Key,
            path: path.into(),
        }),
    }
}

fn is_encrypted(pem: &[u8]) -> bool {
    let marker = b"BEGIN ENCRYPTED PRIVATE KEY";
    pem.windows(marker.len()).any(|window| window == marker)
}

fn check_name(name: &str) -> Result<(), TlsError> {
    let is_name = rustls::pki_types::DnsName::try_from(name).is_ok();
    if is_name || name.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(TlsError::BadName {
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    #[test]
    fn a_certificate_made_here_can_be_loaded_from_files() {
        let made = self_signed(&names(), NOW).unwrap();
        let files = Files::with(&made.certificate_pem, made.key_pem.expose());
        let loaded = files.load(NOW).unwrap();
        assert_eq!(loaded.certified.cert, made.certified.cert);
        assert_eq!(loaded.validity, made.validity);
        assert_eq!(
            made.validity.from.until(made.validity.until),
            SELF_SIGNED_LIFETIME + CLOCK_TOLERANCE
        );
    }

    #[test]
    fn both_can_be_in_one_file() {
        let made = self_signed(&names(), NOW).unwrap();
        let both = [made.certificate_pem.as_bytes(), made.key_pem.expose()].concat();
        let files = Files::with("", &both);
        assert!(load_files(&files.key(), &files.key(), NOW).is_ok());
    }

    #[test]
    fn a_certificate_is_refused_before_and_after_its_time() {
        let made = self_signed(&names(), NOW).unwrap();
        let files = Files::with(&made.certificate_pem, made.key_pem.expose());
        let Validity { from, until } = made.validity;
        assert!(files.load(from).is_ok());
        assert!(files.load(until).is_ok());
        let early = files.load(UnixTime(from.0 - 1)).unwrap_err().to_string();
        assert!(
            early.contains("valid only from 2027-01-14 08:00 UTC"),
            "{early}"
        );
        let late = files.load(UnixTime(until.0 + 1)).unwrap_err().to_string();
        assert!(late.contains("expired on 2028-02-16 08:00 UTC"), "{late}");
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said() {
        let made = self_signed(&names(), NOW).unwrap();
        let other = self_signed(&names(), NOW).unwrap();
        let cert = made.certificate_pem.as_str();
        let key = std::str::from_utf8(made.key_pem.expose()).unwrap();
        let other_key = std::str::from_utf8(other.key_pem.expose()).unwrap();
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let damaged_cert = cert.replacen('M', "!", 1);
        let damaged_key = key.replacen("MI", "!!", 1);
        let no_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for (cert, key, said) in [
            (key, cert, "holds no certificate"),
            (cert, cert, "holds no private key"),
            ("", key, "holds no certificate"),
            (cert, other_key, "does not belong to"),
            (cert, &encrypted, "is encrypted"),
            (&damaged_cert, key, "certificate file"),
            (cert, &damaged_key, "private key file"),
            (no_x509, key, "not X.509"),
            (cert, no_key, "cannot be used"),
        ] {
            let files = Files::with(cert, key.as_bytes());
            let text = files.load(NOW).unwrap_err().to_string();
            assert!(text.contains(said), "{said}: {text}");
            let quotes_key = key.lines().nth(1).is_some_and(|line| text.contains(line));
            assert!(!quotes_key, "{text}");
        }
    }

    #[test]
    fn a_missing_or_unreadable_file_is_named() {
        let made = self_signed(&names(), NOW).unwrap();
        let files = Files::with(&made.certificate_pem, made.key_pem.expose());
        fs::remove_file(files.key()).unwrap();
        let text = files.load(NOW).unwrap_err().to_string();
        assert!(text.contains("private key file"), "{text}");
        assert!(text.contains("key.pem does not exist"), "{text}");
        fs::create_dir(files.key()).unwrap();
        let text = files.load(NOW).unwrap_err().to_string();
        assert!(text.contains("cannot be read"), "{text}");
        // Tests may run as root, who may read everything.
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let text = TlsError::of_file(TlsFile::Key, &files.key(), denied).to_string();
        assert!(text.contains("may not be read"), "{text}");
    }

    #[test]
    fn names_that_no_certificate_can_carry_are_refused() {
        for name in ["", "a b", "http://example.org", "münchen.example"] {
            let error = self_signed(&[name.to_owned()], NOW).err().unwrap();
            assert!(matches!(error, TlsError::BadName { .. }), "{error}");
        }
    }

    fn names() -> Vec<String> {
        vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
    }

    struct Files(TempDir);

    impl Files {
        fn with(cert: &str, key: &[u8]) -> Self {
            let files = Self(TempDir::new().unwrap());
            fs::write(files.cert(), cert).unwrap();
            fs::write(files.key(), key).unwrap();
            files
        }

        fn cert(&self) -> PathBuf {
            self.0.path().join("cert.pem")
        }

        fn key(&self) -> PathBuf {
            self.0.path().join("key.pem")
        }

        fn load(&self, now: UnixTime) -> Result<Certificate, TlsError> {
            load_files(&self.cert(), &self.key(), now)
        }
    }
}
