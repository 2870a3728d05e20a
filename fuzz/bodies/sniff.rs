//! Sniffing a stream byte by byte: it never panics, never takes back an answer,
//! and always has one after `SNIFF_LIMIT` bytes.

use turnstone::net::sniff::{SNIFF_LIMIT, Sniff, datagram_kind};

/// Checks one stream.
pub(crate) fn sniff(data: &[u8]) {
    let _ = datagram_kind(data);
    let mut decided = Sniff::NeedMore;
    for len in 0..=data.len().min(2 * SNIFF_LIMIT) {
        let found = turnstone::net::sniff::sniff(&data[..len]);
        assert!(decided == Sniff::NeedMore || decided == found);
        assert!(found != Sniff::NeedMore || len < SNIFF_LIMIT);
        decided = found;
    }
}
