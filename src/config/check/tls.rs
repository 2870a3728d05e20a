//! `[tls]` and `[tls.acme]`.

use std::path::PathBuf;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::config::fields::Fields;
use crate::config::fields::Found;
use crate::config::files;
use crate::config::files::Content;
use crate::config::problem::Finding;
use crate::config::secrets::Strength;
use crate::config::settings::Acme;
use crate::config::settings::ExternalAccount;
use crate::config::settings::Listen;
use crate::config::settings::Server;
use crate::config::settings::Tls;
use crate::config::settings::TlsMode;

pub(super) fn tls(fields: &mut Fields<'_>, server: &Server, listen: &Listen) -> Tls {
    let mode = fields.choice("tls.mode", &[Mode::Files, Mode::SelfSigned, Mode::Acme]);
    let cert = fields.text("tls.cert");
    let key = fields.text("tls.key");
    match mode.value {
        Mode::Files => {}
        Mode::SelfSigned => self_signed(fields, &mode, [&cert, &key], server, listen),
        Mode::Acme => fields.push(
            Finding::error(
                "tls.mode",
                &mode.place,
                "\"acme\" is not available in this version",
            )
            .why("certificates cannot be fetched yet")
            .write("mode = \"files\" with cert and key, or mode = \"self-signed\""),
        ),
    }
    let files = match mode.value {
        Mode::Files => files_mode(fields, &mode, &cert, &key),
        Mode::SelfSigned | Mode::Acme => None,
    };
    Tls {
        mode: files.unwrap_or(TlsMode::SelfSigned),
        acme: acme(fields),
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Mode {
    Files,
    SelfSigned,
    Acme,
}

fn self_signed(
    fields: &mut Fields<'_>,
    mode: &Found<Mode>,
    files: [&Found<String>; 2],
    server: &Server,
    listen: &Listen,
) {
    let unused = files.iter().find(|file| !file.value.is_empty());
    if let Some(file) = unused {
        let what = "the certificate files are not used";
        let finding = if mode.given {
            Finding::warning("tls.mode", &mode.place, what).why("mode is not \"files\"")
        } else {
            Finding::error("tls.mode", &file.place, what)
                .why("without tls.mode a self-signed certificate is made")
        };
        fields.push(finding.write("mode = \"files\""));
    } else if !mode.given && server.domain.is_some() && !listen.tls.is_empty() {
        let what = "a self-signed certificate will be used";
        fields.push(
            Finding::warning("tls.mode", &mode.place, what)
                .why("browsers refuse it for turns: and show no reason")
                .write("[tls] with mode = \"files\", cert and key; or say mode = \"self-signed\", or listen.tls = []"),
        );
    }
}

fn files_mode(
    fields: &mut Fields<'_>,
    mode: &Found<Mode>,
    cert: &Found<String>,
    key: &Found<String>,
) -> Option<TlsMode> {
    for (name, file, example) in [("cert", cert, "fullchain.pem"), ("key", key, "privkey.pem")] {
        // It may be there under a misspelled name.
        if file.value.is_empty() && !fields.record.has_unknown {
            let place = if file.given { &file.place } else { &mode.place };
            let what = "mode \"files\" needs this file";
            fields.push(
                Finding::error(format!("tls.{name}"), place, what)
                    .write(format!("{name} = \"/etc/turnstone/{example}\"")),
            );
        }
    }
    let chain = pem_file(fields, "tls.cert", cert, certificates);
    let private = pem_file(fields, "tls.key", key, |pem| {
        PrivateKeyDer::from_pem_slice(pem).ok()
    });
    let ((cert_path, chain, _), (key_path, private, is_public)) = (chain?, private?);
    if is_public {
        let shown = key_path.display();
        let what = format!("everybody on this machine may read {shown}");
        let finding = Finding::warning("tls.key", &key.place, what);
        fields.push(finding.write(format!("chmod o-r {shown}")));
    }
    if let Err(finding) = belong_together(chain, private, key) {
        fields.push(*finding);
        return None;
    }
    Some(TlsMode::Files {
        cert: cert_path,
        key: key_path,
    })
}

fn belong_together(
    chain: Vec<CertificateDer<'static>>,
    private: PrivateKeyDer<'static>,
    key: &Found<String>,
) -> Result<(), Box<Finding>> {
    let provider = aws_lc_rs::default_provider();
    let Err(error) = CertifiedKey::from_der(chain, private, &provider) else {
        return Ok(());
    };
    let finding = |what: &str| Finding::error("tls.key", &key.place, what);
    Err(Box::new(
        if matches!(error, rustls::Error::InconsistentKeys(_)) {
            finding("this key does not belong to tls.cert")
                .why("the first certificate of tls.cert is for another key")
                .write("the two files that were issued together")
        } else {
            finding("certificate and key cannot be used").why(error.to_string())
        },
    ))
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    chain.ok().filter(|chain| !chain.is_empty())
}

fn pem_file<T>(
    fields: &mut Fields<'_>,
    name: &str,
    file: &Found<String>,
    parse: impl Fn(&[u8]) -> Option<T>,
) -> Option<(PathBuf, T, bool)> {
    if file.value.is_empty() {
        return None;
    }
    let path = fields.files.resolve(&file.value);
    let shown = path.display();
    let wanted = match name {
        "tls.cert" => "CERTIFICATE",
        _ => "PRIVATE KEY",
    };
    match files::read(&path) {
        Err(reason) => {
            let what = format!("the file {shown} cannot be read");
            fields.push(
                Finding::error(name, &file.place, what)
                    .why(reason)
                    .write("the path of a PEM file that the user of this service may read"),
            );
            None
        }
        Ok(Content { bytes, is_public }) => {
            if let Some(parsed) = parse(&bytes) {
                return Some((path, parsed, is_public));
            }
            let what = format!("the file {shown} holds no usable PEM block {wanted}");
            fields.push(Finding::error(name, &file.place, what).why(format!(
                "it must contain -----BEGIN ... {wanted}-----, unencrypted"
            )));
            None
        }
    }
}

fn acme(fields: &mut Fields<'_>) -> Acme {
    let email = fields.text("tls.acme.email");
    if !email.value.is_empty() && !email.value.contains('@') {
        fields.push(
            Finding::error("tls.acme.email", &email.place, "this is not a mail address")
                .write("email = \"admin@example.org\""),
        );
    }
    let directory = fields.text("tls.acme.directory");
    if !directory.value.starts_with("https://") {
        fields.push(
            Finding::error(
                "tls.acme.directory",
                &directory.place,
                "this is not an https URL",
            )
            .why("accounts and keys must not travel in the clear (RFC 8555 section 6.1)")
            .write("directory = \"https://acme-v02.api.letsencrypt.org/directory\""),
        );
    }
    let kid = fields.text("tls.acme.eab_kid");
    let hmac = fields.secret("tls.acme.eab_hmac", Strength::Derived);
    if kid.value.is_empty() != hmac.is_none() {
        let place = hmac.as_ref().map_or(&kid.place, |hmac| &hmac.place);
        fields.push(
            Finding::error(
                "tls.acme.eab_kid",
                place,
                "one half of the account binding is missing",
            )
            .why("eab_kid and eab_hmac belong together"),
        );
    }
    Acme {
        email: Some(email.value).filter(|email| !email.is_empty()),
        directory: directory.value,
        eab: hmac
            .filter(|_| !kid.value.is_empty())
            .map(|hmac| ExternalAccount {
                kid: kid.value,
                hmac: hmac.value,
            }),
    }
}
