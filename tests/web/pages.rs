//! Pages and their files, and the headers of every answer.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::answer::{VERSIONS, curl, curl_plain};
use crate::support::Transport;
use crate::support::config::TestConfig;
use crate::support::server::Server;
use crate::{ADMIN_TOKEN, FRIEND, http_address, site};

#[test]
fn every_file_of_the_site_is_served_in_both_versions_of_http() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    for (argument, version) in VERSIONS {
        let mut served = 0;
        for (path, file) in files() {
            let text = fs::read_to_string(&file).unwrap();
            let answer = curl(&server, &path, &[argument]);
            assert_eq!(answer.version, version);
            assert_eq!((answer.status, &answer.body), (200, &text), "{path}");
            let kind = answer.header("content-type").unwrap();
            let expected = match file.extension().unwrap().to_str().unwrap() {
                "html" => "text/html; charset=utf-8",
                "js" => "text/javascript; charset=utf-8",
                "css" => "text/css; charset=utf-8",
                "svg" => "image/svg+xml",
                _ => kind,
            };
            assert_eq!(kind, expected, "{path}");
            assert_eq!(answer.header("cache-control"), Some("no-cache"));
            served += 1;
        }
        assert!(served > 0);
    }
}

#[test]
fn what_a_browser_has_is_not_sent_again() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    for (argument, _) in VERSIONS {
        let tag = curl(&server, "/", &[argument]);
        let tag = tag.header("etag").unwrap();
        for known in [tag, "*", &format!("W/{tag}"), &format!("\"a\", {tag}")] {
            let header = format!("If-None-Match: {known}");
            let answer = curl(&server, "/", &[argument, "--header", &header]);
            assert_eq!((answer.status, answer.body.as_str()), (304, ""), "{known}");
            assert_eq!(answer.header("etag"), Some(tag));
            assert_eq!(answer.header("cache-control"), Some("no-cache"));
        }
        let other = ["--header", "If-None-Match: \"another\"", argument];
        assert_eq!(curl(&server, "/", &other).status, 200);
    }
}

#[test]
fn head_is_get_without_the_body() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    for (argument, version) in VERSIONS {
        let whole = curl(&server, "/", &[argument]);
        let head = curl(&server, "/", &[argument, "--head"]);
        assert_eq!((head.version.as_str(), head.status), (version, 200));
        assert_eq!(head.body, "");
        for name in ["content-length", "content-type", "etag"] {
            assert!(head.header(name).is_some(), "{name}");
            assert_eq!(head.header(name), whole.header(name), "{version}");
        }
    }
}

#[test]
fn other_methods_are_told_which_ones_there_are() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    for (path, method, allowed) in [
        ("/", "POST", "GET, HEAD, OPTIONS"),
        ("/", "DELETE", "GET, HEAD, OPTIONS"),
        ("/", "BREW", "GET, HEAD, OPTIONS"),
        ("/api/v1/tokens", "GET", "POST, OPTIONS"),
        ("/turn/credentials", "PUT", "GET, POST, OPTIONS"),
        ("/ws", "POST", "GET"),
    ] {
        for (argument, _) in VERSIONS {
            let answer = curl(&server, path, &[argument, "--request", method]);
            answer.assert_problem(405);
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        }
    }
    let answer = curl(&server, "/", &["--request", "OPTIONS"]);
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"));
}

#[test]
fn there_is_nothing_at_other_paths() {
    let Some(server) = Server::requires_own_server(site()) else {
        return;
    };
    let long = format!("/r/{}", "a".repeat(65));
    for path in [
        "/no",
        "/r/",
        "/r/a%20b",
        "/r/a/b",
        &long,
        "/assets/",
        "/assets/no.js",
    ] {
        assert_eq!(curl(&server, path, &[]).status, 404, "{path}");
    }
    for path in ["/api/v1/no", "/turn/no"] {
        curl(&server, path, &[]).assert_problem(404);
    }
}

#[test]
fn every_answer_keeps_pages_to_themselves() {
    let Some(mut server) = Server::requires_own_server(site()) else {
        return;
    };
    let bearer = format!("Authorization: Bearer {ADMIN_TOKEN}");
    let socket = format!("wss://{}", server.address(Transport::Tls));
    let mut answers = Vec::new();
    for (argument, _) in VERSIONS {
        for (path, arguments) in [
            ("/", vec![]),
            ("/r/team", vec![]),
            ("/client.js", vec![]),
            ("/no", vec![]),
            ("/", vec!["--request", "POST"]),
            ("/", vec!["--request", "OPTIONS"]),
            ("/ws", vec![]),
            ("/turn/credentials", vec![]),
            ("/api/v1/tokens", vec!["--data", "{}"]),
            ("/api/v1/tokens", vec!["--data", "{}", "--header", &bearer]),
        ] {
            answers.push(curl(&server, path, &[&[argument][..], &arguments].concat()));
        }
    }
    // HTTP/2 resets such a stream.
    let bad_host = ["--http1.1", "--header", "Host: not a host"];
    answers.push(curl(&server, "/", &bad_host));
    answers.push(curl_plain(http_address(&mut server), "/", &[]));
    for answer in &answers {
        let policy = answer.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none';",
            "script-src 'self';",
            "style-src 'self';",
            "base-uri 'none';",
            &format!("frame-ancestors 'self' {FRIEND}"),
        ] {
            assert!(policy.contains(part), "{part} is not in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(
            answer.header("cross-origin-opener-policy"),
            Some("same-origin")
        );
        let permissions = answer.header("permissions-policy").unwrap();
        for feature in ["camera", "microphone", "display-capture", "autoplay"] {
            assert!(permissions.contains(&format!("{feature}=(self)")));
        }
        assert_eq!(answer.header("server"), None);
        // Nobody may be told to insist on a certificate that no browser trusts.
        assert_eq!(answer.header("strict-transport-security"), None);
    }
    let policy = answers[0].header("content-security-policy").unwrap();
    assert!(
        policy.contains(&format!("connect-src 'self' {socket};")),
        "{policy}"
    );
}

#[test]
fn browsers_are_told_to_insist_on_https_only_with_a_certificate_of_the_operator() {
    let directory = tempfile::tempdir().unwrap();
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| directory.path().join(name));
    let CertifiedKey {
        cert: made,
        signing_key,
    } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&cert, made.pem()).unwrap();
    fs::write(&key, signing_key.serialize_pem()).unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let config: TestConfig = site()
        .set("tls.mode", "files")
        .set("tls.cert", path(&cert))
        .set("tls.key", path(&key));
    let Some(mut server) = Server::requires_own_server(config) else {
        return;
    };
    let answer = curl(&server, "/", &[]);
    assert_eq!(
        answer.header("strict-transport-security"),
        Some("max-age=31536000")
    );
    // RFC 6797 section 7.2
    let plain = curl_plain(http_address(&mut server), "/", &[]);
    assert_eq!(plain.header("strict-transport-security"), None);
}

#[test]
fn pages_have_no_script_and_no_style_of_their_own() {
    for (_, file) in files() {
        if file.extension().is_none_or(|ending| ending != "html") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap().to_lowercase();
        for tag in text
            .split('<')
            .map(|rest| rest.split('>').next().unwrap_or_default())
        {
            let is_script = tag.split_whitespace().next() == Some("script");
            assert!(
                !is_script || tag.contains(" src="),
                "{}: <{tag}>",
                file.display()
            );
            let has_code = tag.split_whitespace().skip(1).any(|word| {
                word.starts_with("on") && word.contains('=') || word.starts_with("style=")
            });
            let is_style = tag.split_whitespace().next() == Some("style");
            assert!(!has_code && !is_style, "{}: <{tag}>", file.display());
        }
    }
}

/// Each path that a file of `web/` is at.
fn files() -> Vec<(String, PathBuf)> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    let mut found = vec![("/".to_owned(), web.join("index.html"))];
    for (path, file) in [
        ("/r/team-1_A.b", "room.html"),
        ("/client.js", "client/client.js"),
        ("/client.d.ts", "client/client.d.ts"),
    ] {
        found.push((path.to_owned(), web.join(file)));
    }
    let assets = fs::read_dir(web.join("app")).into_iter().flatten();
    for entry in assets {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap();
        found.push((format!("/assets/{name}"), file.clone()));
    }
    found.retain(|(_, file)| file.is_file());
    found
}
