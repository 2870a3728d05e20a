//! The files of `web/`, which are in the binary.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use hyper::header::{ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use hyper::{Method, StatusCode};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::reply::{Reply, empty, reply};

#[derive(RustEmbed)]
#[folder = "web/"]
struct Files;

/// Answers with a file; `None` when there is none of that name.
pub(super) fn serve(path: &str, method: &Method, headers: &HeaderMap) -> Option<Reply> {
    let file = Files::get(path)?;
    let tag = tag(&file);
    let is_known = headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        value
            .as_bytes()
            .windows(tag.len())
            .any(|part| part == tag.as_bytes())
    });
    let mut answer = if is_known {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        // Hyper leaves the body of an answer to HEAD out and keeps its length.
        let _ = method;
        reply(StatusCode::OK, content_type(path), body(file))
    };
    let tag = HeaderValue::from_str(&tag).expect("hexadecimal digits in quotes");
    answer.headers_mut().insert(ETAG, tag);
    Some(answer)
}

fn body(file: EmbeddedFile) -> Bytes {
    match file.data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    }
}

/// A strong entity tag (RFC 9110 section 8.8.3) from the file's hash.
fn tag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let mut tag = String::from("\"");
    for byte in &hash[..TAG_BYTES] {
        // Writing to a string cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        _ => "text/plain; charset=utf-8",
    }
}

/// 96 bits: two versions of a file never share them.
const TAG_BYTES: usize = 12;
