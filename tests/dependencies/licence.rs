//! Licence expressions as `Cargo.toml` writes them: SPDX, and the older `A/B`.

use std::collections::BTreeSet;

/// One licence expression.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Licence {
    /// A licence by its SPDX name, with its exception if it has one.
    Name(String),
    /// The user may choose.
    AnyOf(Vec<Self>),
    /// All apply.
    AllOf(Vec<Self>),
}

impl Licence {
    /// Parses `text`; nothing when it is not a licence expression.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let spaced = text
            .replace('(', " ( ")
            .replace(')', " ) ")
            .replace('/', " OR ");
        let mut words = spaced.split_whitespace().peekable();
        let licence = any_of(&mut words)?;
        words.next().is_none().then_some(licence)
    }

    /// Returns the names in `allowed` that permit use under this licence; nothing
    /// when it is not permitted.
    pub(crate) fn accepted(&self, allowed: &[String]) -> Option<BTreeSet<String>> {
        match self {
            Self::Name(name) => allowed
                .contains(name)
                .then(|| BTreeSet::from([name.clone()])),
            Self::AnyOf(choices) => {
                let accepted = choices.iter().filter_map(|one| one.accepted(allowed));
                accepted.reduce(|a, b| &a | &b)
            }
            Self::AllOf(parts) => parts.iter().try_fold(BTreeSet::new(), |names, one| {
                Some(&names | &one.accepted(allowed)?)
            }),
        }
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>) -> Option<Licence> {
    let mut choices = vec![all_of(words)?];
    while words.next_if_eq(&"OR").is_some() {
        choices.push(all_of(words)?);
    }
    Some(one_or(choices, Licence::AnyOf))
}

fn all_of(words: &mut Words<'_>) -> Option<Licence> {
    let mut parts = vec![single(words)?];
    while words.next_if_eq(&"AND").is_some() {
        parts.push(single(words)?);
    }
    Some(one_or(parts, Licence::AllOf))
}

fn single(words: &mut Words<'_>) -> Option<Licence> {
    let word = words.next()?;
    if word == "(" {
        let inner = any_of(words)?;
        return (words.next() == Some(")")).then_some(inner);
    }
    if [")", "AND", "OR", "WITH"].contains(&word) {
        return None;
    }
    if words.next_if_eq(&"WITH").is_some() {
        return Some(Licence::Name(format!("{word} WITH {}", words.next()?)));
    }
    Some(Licence::Name(word.to_owned()))
}

fn one_or(mut parts: Vec<Licence>, many: fn(Vec<Licence>) -> Licence) -> Licence {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        many(parts)
    }
}

#[test]
fn one_allowed_choice_is_enough() {
    assert!(is_accepted("MIT OR Apache-2.0", &["MIT"]));
    assert!(is_accepted("GPL-3.0/MIT", &["MIT"]));
    assert!(!is_accepted("GPL-3.0 OR AGPL-3.0", &["MIT"]));
}

#[test]
fn every_part_must_be_allowed() {
    assert!(is_accepted("MIT AND ISC", &["MIT", "ISC"]));
    assert!(!is_accepted("MIT AND ISC", &["MIT"]));
    assert!(is_accepted("ISC AND (GPL-3.0 OR MIT)", &["MIT", "ISC"]));
    assert!(!is_accepted("(GPL-3.0 OR MIT) AND BSL-1.0", &["MIT"]));
}

#[test]
fn and_binds_closer_than_or() {
    assert!(is_accepted("MIT OR GPL-3.0 AND BSL-1.0", &["MIT"]));
}

#[test]
fn a_licence_with_an_exception_is_another_licence() {
    let text = "Apache-2.0 WITH LLVM-exception";
    assert!(!is_accepted(text, &["Apache-2.0"]));
    assert!(is_accepted(text, &[text]));
}

#[test]
fn what_is_no_expression_is_not_accepted() {
    for text in ["", "MIT OR", "(MIT", "MIT ISC", ") MIT"] {
        assert_eq!(Licence::parse(text), None, "{text:?}");
    }
}

#[test]
fn all_acceptable_choices_are_named() {
    let allowed = ["MIT".to_owned(), "ISC".to_owned(), "Zlib".to_owned()];
    let licence = Licence::parse("MIT OR ISC OR GPL-3.0");
    let names = licence.and_then(|licence| licence.accepted(&allowed));
    assert_eq!(
        names,
        Some(BTreeSet::from(["ISC".to_owned(), "MIT".to_owned()]))
    );
}

fn is_accepted(text: &str, allowed: &[&str]) -> bool {
    let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
    let licence = Licence::parse(text);
    licence.is_some_and(|licence| licence.accepted(&allowed).is_some())
}
