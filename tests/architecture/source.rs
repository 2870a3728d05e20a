//! Reads Rust text just far enough to judge it.
//!
//! `code` blanks comments and literals so that a word in a sentence is not taken
//! for a use of it; `paths_after` lists the names that follow a path prefix.

/// Returns `text` with comments and the contents of literals blanked out; lines
/// stay where they are.
pub(crate) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, keep) = match token(rest) {
            Some(length) => (length, false),
            None => (first.len_utf8(), true),
        };
        let (taken, after) = rest.split_at(length);
        if keep {
            out.push_str(taken);
        } else {
            out.push(' ');
            out.extend(taken.chars().filter(|c| *c == '\n'));
        }
        // A prefix such as `r` in `for"` must not start a literal: take words whole.
        rest = if keep && is_word(first) {
            let word = after.find(|c| !is_word(c)).unwrap_or(after.len());
            out.push_str(&after[..word]);
            &after[word..]
        } else {
            after
        };
    }
    out
}

/// Returns the length of the comment or literal that `text` begins with.
fn token(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    let prefix = text.len() - text.trim_start_matches(['b', 'c', 'r']).len();
    let quoted = &text[prefix..];
    if prefix <= 2 && quoted.starts_with(['"', '#']) && text[..prefix].contains('r') {
        return raw_string(quoted).map(|length| prefix + length);
    }
    if prefix <= 1 && quoted.starts_with('"') {
        return Some(prefix + closed_by(quoted, '"'));
    }
    if prefix <= 1 && is_char_literal(quoted) {
        return Some(prefix + closed_by(quoted, '\''));
    }
    None
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Returns the length of `#*"..."#*`, or nothing for a raw identifier.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.len() - text.trim_start_matches('#').len();
    let body = text[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(hashes + 1 + length)
}

/// Tells `'a'` and `'\n'` from the lifetime `'a`.
fn is_char_literal(text: &str) -> bool {
    let mut chars = text.chars();
    if chars.next() != Some('\'') {
        return false;
    }
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

/// Returns the length of a literal that opens and closes with `quote`.
fn closed_by(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Returns the name behind each occurrence of `prefix` in `code`; an empty name
/// stands for something else there, such as a group or a glob.
pub(crate) fn paths_after(code: &str, prefix: &str) -> Vec<String> {
    code.match_indices(prefix)
        .filter(|(at, _)| !code[..*at].ends_with(is_word))
        .map(|(at, _)| {
            let rest = &code[at + prefix.len()..];
            rest.chars().take_while(|c| is_word(*c)).collect()
        })
        .collect()
}

/// Tells whether `word`, which may be a path, stands in `code` on its own.
pub(crate) fn names(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        !code[..at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word)
    })
}

/// Splits `code` before its inline test module, which closes a file by custom.
pub(crate) fn split_tests(code: &str) -> (&str, &str) {
    let mut from = 0;
    while let Some(at) = code[from..].find("#[cfg(test)]") {
        let at = from + at;
        let after = code[at..].trim_start_matches("#[cfg(test)]").trim_start();
        if after.starts_with("mod ") && after.lines().next().is_some_and(|l| l.ends_with('{')) {
            return code.split_at(at);
        }
        from = at + 1;
    }
    (code, "")
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn comments_and_literals_are_blanked() {
    let text = "f(\"tokio\", '\\'', b\"y\") // tokio\n/* tokio /* deep */ tokio */ g::<'x>()";
    assert_eq!(code(text), "f( ,  ,  )  \n  g::<'x>()");
}

#[test]
fn raw_strings_end_at_their_own_hashes() {
    assert_eq!(code("f(r#\"a \" tokio\"#, x)"), "f( , x)");
    assert_eq!(code("f(br\"\\\", x)"), "f( , x)");
    assert_eq!(code("r#type + for_r"), "r#type + for_r");
}

#[test]
fn blanking_keeps_the_number_of_lines() {
    let text = "/* one\ntwo */ \"three\nfour\"\nfive";
    assert_eq!(code(text).lines().count(), text.lines().count());
}

#[test]
fn paths_are_found_wherever_they_stand() {
    let code = "use crate::stun::Message;\nfn f() { crate::turn::g() } mycrate::x crate::{a}";
    assert_eq!(paths_after(code, "crate::"), ["stun", "turn", ""]);
}

#[test]
fn a_word_counts_only_on_its_own() {
    assert!(names("use tokio::net;", "tokio"));
    assert!(names("x.await", "await"));
    assert!(!names("use tokio_util::net;", "tokio"));
    assert!(!names("let mytokio = 1;", "tokio"));
}

#[test]
fn the_inline_test_module_is_split_off() {
    let (code, tests) = split_tests("fn a() {}\n#[cfg(test)]\nmod tests {\n}");
    assert_eq!(code, "fn a() {}\n");
    assert!(tests.starts_with("#[cfg(test)]"));
    let (code, tests) = split_tests("#[cfg(test)]\nmod tests;\nfn a() {}");
    assert!(code.ends_with("fn a() {}"));
    assert_eq!(tests, "");
}
