//! Secrets of the configuration: in place, or in a file of their own.
//!
//! A secret is looked at for being one of those that samples and tutorials
//! contain. Its value never reaches a message.

use std::path::Path;

use super::fields::Fields;
use super::fields::Found;
use super::files;
use super::problem::Finding;
use super::problem::Place;
use crate::secret::Secret;

/// How long a secret must be to be taken without a warning, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Strength {
    /// Shared between machines: 16 bytes.
    Machine,
    /// A password: 8 bytes.
    Password,
    /// Derived from something else: not looked at.
    Derived,
}

impl Fields<'_> {
    /// Reads a secret from its key or from the file under `<name>_file`.
    pub(crate) fn secret(&mut self, name: &str, strength: Strength) -> Option<Found<Secret>> {
        let inline = self.text(name);
        let file_key = format!("{name}_file");
        let file = self.text(&file_key);
        let from_file = self.takes_file((name, &inline.place, !inline.value.is_empty()), &file);
        let (text, place) = if from_file {
            let lines = self.lines_of(&file_key, &file)?;
            if lines.len() > 1 {
                self.push(
                    Finding::error(&file_key, &file.place, "the file has several lines")
                        .why("it holds one secret on one line"),
                );
                return None;
            }
            (lines.into_iter().next()?, file.place)
        } else {
            (inline.value, inline.place)
        };
        if text.is_empty() {
            return None;
        }
        self.look_at(name, &text, &place, strength);
        Some(Found {
            value: Secret::from(text.as_str()),
            place,
            given: true,
        })
    }

    /// Reads a list of secrets from its key or from the lines of its file.
    pub(crate) fn secrets(&mut self, name: &str) -> Vec<Secret> {
        let texts = self.texts(name, |lines| lines);
        for (text, place) in &texts {
            self.look_at(name, text, place, Strength::Machine);
        }
        let secrets = texts.iter().map(|(text, _)| Secret::from(text.as_str()));
        secrets.collect()
    }

    /// Reads a list of secrets and PEM blocks from its key or from its file.
    pub(crate) fn keys(&mut self, name: &str) -> Vec<(String, Place)> {
        let texts = self.texts(name, pem_blocks);
        for (text, place) in texts.iter().filter(|(text, _)| !is_pem(text)) {
            self.look_at(name, text, place, Strength::Machine);
        }
        texts
    }

    /// Returns the entries of a list that are not empty, or those that `entries`
    /// makes of the lines of its file.
    fn texts(
        &mut self,
        name: &str,
        entries: impl Fn(Vec<String>) -> Vec<String>,
    ) -> Vec<(String, Place)> {
        let inline = self.many(name, |text| Ok(text.to_owned()));
        let list = inline.value.into_iter();
        let mut texts: Vec<_> = list.map(|f| (f.value, f.place)).collect();
        let file_key = format!("{name}_file");
        let file = self.text(&file_key);
        if self.takes_file((name, &inline.place, !texts.is_empty()), &file) {
            let lines = self.lines_of(&file_key, &file).unwrap_or_default();
            let lines = entries(lines).into_iter();
            texts = lines.map(|l| (l, file.place.clone())).collect();
        }
        for (i, (text, place)) in texts.iter().enumerate() {
            if text.is_empty() {
                self.push(Finding::error(name, place, "an entry is empty"));
            } else if texts[..i].iter().any(|(earlier, _)| earlier == text) {
                self.push(Finding::warning(
                    name,
                    place,
                    "the same secret is listed twice",
                ));
            }
        }
        texts.retain(|(text, _)| !text.is_empty());
        texts
    }

    // Decides between the key and its file. What the environment says wins
    // over the configuration file; two in the same place are a contradiction.
    fn takes_file(
        &mut self,
        (name, inline, has_inline): (&str, &Place, bool),
        file: &Found<String>,
    ) -> bool {
        if file.value.is_empty() || !has_inline {
            return !file.value.is_empty();
        }
        let in_environment = |place: &Place| matches!(place, Place::Variable(_));
        match (in_environment(inline), in_environment(&file.place)) {
            (true, false) => false,
            (false, true) => true,
            (true, true) | (false, false) => {
                self.push(
                    Finding::error(name, inline, "it is given here and in a file")
                        .why(format!("{name} and {name}_file exclude each other"))
                        .write("one of the two"),
                );
                false
            }
        }
    }

    fn lines_of(&mut self, key: &str, file: &Found<String>) -> Option<Vec<String>> {
        let path = self.files.resolve(&file.value);
        let shown = path.display();
        let content = match files::read(&path) {
            Ok(content) => content,
            Err(reason) => {
                let what = format!("the file {shown} cannot be read");
                self.push(
                    Finding::error(key, &file.place, what)
                        .why(reason)
                        .write(makes_one(&path)),
                );
                return None;
            }
        };
        let Ok(text) = std::str::from_utf8(&content.bytes) else {
            let what = format!("the file {shown} is not text");
            self.push(
                Finding::error(key, &file.place, what)
                    .why("a secret is one line of UTF-8")
                    .write(makes_one(&path)),
            );
            return None;
        };
        let lines: Vec<_> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect();
        if lines.is_empty() {
            self.push(
                Finding::error(key, &file.place, format!("the file {shown} is empty"))
                    .write(makes_one(&path)),
            );
            return None;
        }
        if content.is_public {
            let what = format!("everybody on this machine may read {shown}");
            self.push(Finding::warning(key, &file.place, what).write(format!("chmod o-r {shown}")));
        }
        Some(lines)
    }

    fn look_at(&mut self, name: &str, text: &str, place: &Place, strength: Strength) {
        if let Some(why) = weakness(text, strength) {
            self.push(
                Finding::warning(name, place, "this secret is easy to guess")
                    .why(why)
                    .write("the output of: openssl rand -base64 32"),
            );
        }
    }
}

/// Says whether a text is, or should be, PEM (RFC 7468) rather than a secret.
pub(crate) fn is_pem(text: &str) -> bool {
    text.trim_start().starts_with(PEM_BEGIN)
}

// Joins the lines of each PEM block; a block without an end takes all the rest.
fn pem_blocks(lines: Vec<String>) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    let mut is_inside = false;
    for line in lines {
        let is_end = line.starts_with(PEM_END);
        match entries.last_mut().filter(|_| is_inside) {
            Some(block) => {
                block.push('\n');
                block.push_str(&line);
                is_inside = !is_end;
            }
            None => {
                is_inside = is_pem(&line);
                entries.push(line);
            }
        }
    }
    entries
}

fn makes_one(path: &Path) -> String {
    let path = path.display();
    format!("openssl rand -base64 32 > {path}, which makes one")
}

fn weakness(text: &str, strength: Strength) -> Option<String> {
    let least = match strength {
        Strength::Machine => 16,
        Strength::Password => 8,
        Strength::Derived => return None,
    };
    let letters: String = text
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    let word = letters.trim_end_matches(|c: char| c.is_ascii_digit());
    let is_sample = SAMPLES.contains(&word)
        || SAMPLE_PARTS.iter().any(|part| letters.contains(part))
        || (word.is_empty() && letters.len() < least);
    let mut chars = text.chars();
    let first = chars.next();
    if is_sample {
        Some("samples and tutorials contain it, and attackers try those first".to_owned())
    } else if chars.all(|c| Some(c) == first) {
        Some("it repeats one character".to_owned())
    } else if text.len() < least {
        Some(format!("it is shorter than {least} characters"))
    } else {
        None
    }
}

const PEM_BEGIN: &str = "-----BEGIN";
const PEM_END: &str = "-----END";

// Whole secrets, without digits at the end and without punctuation.
const SAMPLES: &[&str] = &[
    "admin",
    "alice",
    "bob",
    "coturn",
    "default",
    "foobar",
    "guest",
    "hackme",
    "hello",
    "letmein",
    "logen",
    "mysecret",
    "north",
    "pass",
    "password",
    "qwerty",
    "secret",
    "sharedsecret",
    "staticauthsecret",
    "test",
    "token",
    "turn",
    "turnpassword",
    "turnsecret",
    "turnserver",
    "turnstone",
    "user",
    "username",
    "youhavetosetthis",
];
// What placeholders contain wherever they stand.
const SAMPLE_PARTS: &[&str] = &[
    "changeme",
    "changethis",
    "example",
    "insert",
    "placeholder",
    "replaceme",
    "replacethis",
    "supersecret",
    "topsecret",
    "verysecret",
    "yourpassword",
    "yoursecret",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_secrets_are_found() {
        for text in [
            "secret",
            "Secret123",
            "changeme",
            "CHANGE-ME-please-0123456789",
            "your_secret_here_now",
            "password",
            "...",
            "aaaaaaaaaaaaaaaaaaaaaaaa",
            "static-auth-secret",
            "0123456789",
        ] {
            assert!(weakness(text, Strength::Machine).is_some(), "{text}");
        }
    }

    #[test]
    fn length_depends_on_who_has_to_remember_it() {
        let text = "tq8-Zk_5w1";
        assert!(weakness(text, Strength::Machine).is_some());
        assert!(weakness(text, Strength::Password).is_none());
        assert!(weakness("tq8-Zk", Strength::Password).is_some());
    }

    #[test]
    fn a_file_of_keys_has_blocks_and_lines() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        let block = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----";
        let text = format!("one\n{block}\n{block}\ntwo\n-----BEGIN X-----\nrest");
        assert_eq!(
            pem_blocks(lines(&text)),
            ["one", block, block, "two", "-----BEGIN X-----\nrest"]
        );
    }

    #[test]
    fn a_random_secret_is_fine() {
        let text = "q3v0cX2l7R8nJm4TtY6wZs1aKf5hUe9i";
        assert_eq!(weakness(text, Strength::Machine), None);
        assert_eq!(
            weakness("a8f5f167f44f4964e6c998dee827110c", Strength::Machine),
            None
        );
    }
}
