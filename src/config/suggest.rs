//! What was probably meant by a name that is not known.

use super::keys::KEYS;
use super::keys::SECTIONS;

/// Returns why an unknown key or section is refused and what to write.
pub(crate) fn for_unknown(name: &str) -> (String, String) {
    let leaf = leaf_of(name);
    let section = name
        .strip_suffix(leaf)
        .map_or("", |s| s.trim_end_matches('.'));
    if let Some(key) = nearest_in_section(section, leaf) {
        return (WHY.to_owned(), format!("{} = ...", leaf_of(key)));
    }
    if let Some(key) = KEYS.iter().find(|key| key.leaf() == leaf) {
        let why = format!("{leaf} belongs to section [{}]", key.section());
        return (why, format!("{leaf} = ... below [{}]", key.section()));
    }
    if let Some(section) = nearest_section(name) {
        return (WHY.to_owned(), format!("[{section}]"));
    }
    (WHY.to_owned(), String::new())
}

/// Returns the known key or section that is spelled most like `name`.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let names = KEYS.iter().map(|key| key.name);
    let sections = SECTIONS.iter().map(|section| section.name);
    best(name, names.chain(sections)).or_else(|| {
        let leaf = leaf_of(name);
        best_by(KEYS.iter().map(|key| (key.leaf(), key.name)), leaf)
    })
}

/// Says whether a name is the last name of a key, or a misspelled one.
pub(crate) fn resembles_a_key(leaf: &str) -> bool {
    best(leaf, KEYS.iter().map(super::keys::Key::leaf)).is_some()
}

/// Says whether a key's name can be shown: a bare key of usual length.
pub(crate) fn is_plain(name: &str) -> bool {
    name.len() <= LONGEST
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

fn nearest_in_section(section: &str, leaf: &str) -> Option<&'static str> {
    let siblings = KEYS.iter().filter(|key| key.section() == section);
    best_by(siblings.map(|key| (key.leaf(), key.name)), leaf)
}

fn nearest_section(name: &str) -> Option<&'static str> {
    best(name, SECTIONS.iter().map(|section| section.name))
}

fn best(name: &str, candidates: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    best_by(candidates.map(|candidate| (candidate, candidate)), name)
}

fn best_by(
    candidates: impl Iterator<Item = (&'static str, &'static str)>,
    name: &str,
) -> Option<&'static str> {
    candidates
        .map(|(spelling, candidate)| (distance(name, spelling), spelling, candidate))
        .filter(|(distance, spelling, _)| *distance <= allowed(name, spelling))
        .min_by_key(|(distance, ..)| *distance)
        .map(|(_, _, candidate)| candidate)
}

// A name that begins the other is as near as one wrong letter: `max_part`.
fn distance(name: &str, spelling: &str) -> usize {
    let rest = spelling
        .strip_prefix(name)
        .or_else(|| name.strip_prefix(spelling));
    let short = name.len().min(spelling.len());
    if short >= 4 && rest.is_some_and(|rest| !rest.contains('.')) {
        return 1;
    }
    strsim::damerau_levenshtein(name, spelling)
}

fn allowed(name: &str, spelling: &str) -> usize {
    name.len().max(spelling.len()).div_ceil(4).min(4)
}

fn leaf_of(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

const WHY: &str = "unknown keys are errors, or a misspelled one would silently do nothing";

// Longer than any key of ours; a secret taken for a key is usually longer.
const LONGEST: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_key_finds_its_neighbour() {
        assert_eq!(for_unknown("turn.relm").1, "realm = ...");
        assert_eq!(for_unknown("turn.relay_port").1, "relay_ports = ...");
        assert_eq!(for_unknown("turn.users.pasword").1, "password = ...");
        assert_eq!(for_unknown("server.publicips").1, "public_ips = ...");
    }

    #[test]
    fn a_key_in_the_wrong_section_is_told_where_it_belongs() {
        let (why, write) = for_unknown("server.realm");
        assert_eq!(why, "realm belongs to section [turn]");
        assert_eq!(write, "realm = ... below [turn]");
    }

    #[test]
    fn a_misspelled_section_finds_its_neighbour() {
        assert_eq!(for_unknown("limit").1, "[limits]");
        assert_eq!(for_unknown("turn.user").1, "[turn.users]");
    }

    #[test]
    fn nonsense_gets_no_suggestion() {
        assert_eq!(for_unknown("zzzzzz").1, "");
        assert_eq!(nearest("zzzzzz"), None);
    }

    #[test]
    fn nearest_takes_full_names_and_leaves() {
        assert_eq!(nearest("turn.relm"), Some("turn.realm"));
        assert_eq!(nearest("relay_port"), Some("turn.relay_ports"));
        assert_eq!(nearest("turn.rset"), Some("turn.rest"));
    }
}
