//! The files of `web/`, which are in the binary.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::reply::{Reply, reply};

#[derive(RustEmbed)]
#[folder = "web/"]
struct Files;

/// Answers with a file, or with 304 when the client has it already; `None` when
/// there is none of that name.
pub(super) fn serve(path: &str, headers: &HeaderMap) -> Option<Reply> {
    let file = Files::get(path)?;
    let tag = tag(&file);
    let is_known = has_tag(headers, &tag);
    let mut answer = reply(StatusCode::OK, content_type(path), body(file));
    let tag = HeaderValue::from_str(&tag).expect("hexadecimal digits in quotes");
    answer.headers_mut().insert(ETAG, tag);
    if is_known {
        // RFC 9110 section 15.4.5: the same headers but those of the content.
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer.headers_mut().remove(CONTENT_TYPE);
        *answer.body_mut() = Full::default();
    }
    Some(answer)
}

/// Answers with a page that stands for something else.
pub(super) fn page(status: StatusCode, path: &str) -> Option<Reply> {
    let file = Files::get(path)?;
    Some(reply(status, content_type(path), body(file)))
}

/// RFC 9110 section 13.1.2, where weak tags count as well.
fn has_tag(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
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
