//! The text of the configuration file, and what of it may be shown.
//!
//! Values of secrets, and of keys that are not known (a misspelled
//! `password`), are hidden wherever a line is printed. In a file that is not
//! valid TOML nobody knows what belongs to which key, so there a line is shown
//! only when it plainly sets a known key that is no secret.

use std::collections::BTreeSet;
use std::ops::Range;

use super::keys;
use super::keys::KEYS;
use super::problem::Excerpt;
use super::problem::Finding;
use super::problem::Place;
use super::problem::Problem;
use super::problem::Severity;
use super::suggest;

/// The text of the file and the parts of it that must not be printed.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    name: &'a str,
    text: &'a str,
    hidden: Vec<Range<usize>>,
}

impl<'a> Page<'a> {
    /// Takes the text of the file called `name`; nothing of it is hidden yet.
    pub(crate) fn new(name: &'a str, text: &'a str) -> Self {
        Self {
            name,
            text,
            hidden: Vec::new(),
        }
    }

    /// Hides some bytes from now on.
    pub(crate) fn hide(&mut self, bytes: Range<usize>) {
        self.hidden.push(bytes);
    }

    /// Hides every line that may hold a secret, for a text that is not TOML.
    pub(crate) fn hide_doubtful_lines(&mut self) {
        let mut shows = false;
        let mut open_quotes = false;
        let mut start = 0;
        for line in self.text.split_inclusive('\n') {
            let end = start + line.len();
            match Statement::of(line) {
                Statement::Key { known, shown } => {
                    shows = shown && !open_quotes;
                    if !shows {
                        let kept = if known && !open_quotes {
                            kept_of(line)
                        } else {
                            0
                        };
                        self.hidden.push(start + kept..end);
                    }
                }
                Statement::Section if !open_quotes => shows = false,
                Statement::Section | Statement::Other => {
                    if !shows || open_quotes {
                        self.hidden.push(start..end);
                    }
                }
            }
            let quotes = line.matches("\"\"\"").count() + line.matches("'''").count();
            open_quotes ^= quotes % 2 == 1;
            start = end;
        }
    }

    /// Says whether all of these bytes may be printed.
    pub(crate) fn may_show(&self, bytes: &Range<usize>) -> bool {
        !self
            .hidden
            .iter()
            .any(|hidden| hidden.start < bytes.end.max(bytes.start + 1) && bytes.start < hidden.end)
    }

    /// Returns the line of a place in the file, from 1.
    pub(crate) fn line_of(&self, place: &Place) -> Option<usize> {
        match place {
            Place::File(bytes) => {
                let before = &self.text[..self.line_start(bytes.start)];
                Some(before.matches('\n').count() + 1)
            }
            Place::Variable(_) | Place::Absent => None,
        }
    }

    /// Says whether a finding holds although the text is not TOML on the lines
    /// `broken`: an error about a value that plainly belongs to its key.
    pub(crate) fn is_certain(&self, finding: &Finding, broken: &BTreeSet<usize>) -> bool {
        if finding.severity != Severity::Error {
            return false;
        }
        match &finding.place {
            Place::File(bytes) => {
                let line = self.line_of(&finding.place);
                self.may_show(bytes) && line.is_some_and(|line| !broken.contains(&line))
            }
            Place::Variable(_) => true,
            Place::Absent => false,
        }
    }

    /// Gives a finding its line, column and excerpt.
    pub(crate) fn problem(&self, finding: Finding) -> Problem {
        let mut problem = Problem {
            severity: finding.severity,
            key: finding.key,
            source: self.name.to_owned(),
            line: None,
            column: None,
            what: finding.what.chars().map(printable).collect(),
            why: finding.why.chars().map(printable).collect(),
            write: finding.write.chars().map(printable).collect(),
            excerpt: None,
        };
        problem.line = self.line_of(&finding.place);
        match finding.place {
            Place::File(bytes) => {
                let line_start = self.line_start(bytes.start);
                let column = self.text[line_start..self.floor(bytes.start)]
                    .chars()
                    .count();
                problem.column = Some(column + 1);
                problem.excerpt = self.excerpt(line_start, &bytes);
            }
            Place::Variable(name) => problem.source = format!("environment variable {name}"),
            Place::Absent => {}
        }
        problem
    }

    fn excerpt(&self, line_start: usize, bytes: &Range<usize>) -> Option<Excerpt> {
        let line = self.text[line_start..].split('\n').next().unwrap_or("");
        let hidden: Vec<_> = self
            .hidden
            .iter()
            .filter(|hidden| hidden.start < line_start + line.len() && line_start < hidden.end)
            .collect();
        let mut text: Vec<char> = Vec::new();
        let mut marked: Option<Range<usize>> = None;
        let mut in_hidden = false;
        for (offset, c) in line.trim_end().char_indices() {
            let at = line_start + offset;
            let is_hidden = hidden.iter().any(|hidden| hidden.contains(&at));
            let start = if is_hidden && in_hidden {
                text.len() - HIDDEN.len()
            } else {
                text.len()
            };
            match (is_hidden, in_hidden) {
                (true, true) => {}
                (true, false) => text.extend(HIDDEN.chars()),
                (false, _) => text.push(printable(c)),
            }
            if text.len() > LONGEST {
                return None;
            }
            in_hidden = is_hidden;
            if bytes.contains(&at) || bytes.start == at {
                let start = marked.map_or(start, |marked| marked.start);
                marked = Some(start..text.len());
            }
        }
        let end = text.len();
        Some(Excerpt {
            text: text.into_iter().collect(),
            marked: marked.unwrap_or(end..end),
        })
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..self.floor(at)]
            .rfind('\n')
            .map_or(0, |newline| newline + 1)
    }

    fn floor(&self, at: usize) -> usize {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

// What a line of a text that is not TOML seems to be.
enum Statement {
    /// `name = ...`
    Key { known: bool, shown: bool },
    /// `[known.section]`
    Section,
    /// Anything else: the rest of a value, a comment, nonsense.
    Other,
}

impl Statement {
    fn of(line: &str) -> Self {
        let line = line.trim();
        let header = line.trim_matches(['[', ']']).trim();
        if line.starts_with('[') && keys::is_section(header) {
            return Self::Section;
        }
        let Some((name, value)) = line.split_once(SEPARATORS) else {
            return Self::Other;
        };
        let leaf = name.rsplit('.').next().unwrap_or(name);
        let leaf = leaf.trim().trim_matches(['"', '\'']);
        let named: Vec<_> = KEYS.iter().filter(|key| key.leaf() == leaf).collect();
        let is_secret = named.iter().any(|key| key.kind.is_secret());
        Self::Key {
            known: suggest::resembles_a_key(leaf),
            // A second "=" may start a second key on the same line.
            shown: !named.is_empty() && !is_secret && !value.contains('='),
        }
    }
}

// How many bytes of `name = value` say nothing of the value.
fn kept_of(line: &str) -> usize {
    let Some(separator) = line.find(SEPARATORS) else {
        return 0;
    };
    let value = &line[separator + 1..];
    line.len() - value.trim_start_matches(' ').len()
}

// What stands between name and value; people who know YAML write a colon.
const SEPARATORS: [char; 2] = ['=', ':'];

// A character of the file as a terminal may get it.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '?',
        c => c,
    }
}

const HIDDEN: &str = "***";
// Longer lines do not help on a terminal; line and column say enough.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_becomes_line_and_column_and_a_mark() {
        let text = "[turn]\n\trealm = 5\n";
        let page = Page::new("t.toml", text);
        let problem = page.problem(finding(16..17));
        assert_eq!((problem.line, problem.column), (Some(2), Some(10)));
        let excerpt = problem.excerpt.unwrap();
        assert_eq!(excerpt.text, " realm = 5");
        assert_eq!(excerpt.marked, 9..10);
    }

    #[test]
    fn hidden_bytes_are_replaced_and_still_marked() {
        let text = "secret = \"hunter2\" # why\n";
        let mut page = Page::new("t.toml", text);
        page.hide(9..18);
        let excerpt = page.problem(finding(9..18)).excerpt.unwrap();
        assert_eq!(excerpt.text, "secret = *** # why");
        assert_eq!(excerpt.marked, 9..12);
    }

    #[test]
    fn a_place_past_the_end_and_inside_a_character_is_fine() {
        let page = Page::new("t.toml", "é");
        for place in [0..1, 1..2, 2..2, 7..9] {
            let problem = page.problem(finding(place));
            assert_eq!(problem.line, Some(1));
        }
    }

    #[test]
    fn in_broken_text_only_plain_lines_are_shown() {
        let lines = [
            ("realm = foo", true),
            ("password = foo", false),
            ("pasword = foo", false),
            ("realm = a, password = b", false),
            ("rest = { secrets = [\"x\"] }", false),
            ("turn.realm = foo", true),
            ("[turn.rest]", true),
            ("[hunter2]", false),
            ("hunter2", false),
            ("# hunter2", false),
        ];
        for (line, shown) in lines {
            let mut page = Page::new("t.toml", line);
            page.hide_doubtful_lines();
            assert_eq!(page.may_show(&(0..line.len())), shown, "{line}");
        }
    }

    #[test]
    fn in_broken_text_continuation_lines_follow_their_key() {
        let text = "udp = [\n \"a\",\n]\nsecrets = [\n \"b\"\n]\n";
        let mut page = Page::new("t.toml", text);
        page.hide_doubtful_lines();
        assert!(page.may_show(&place(text, "\"a\"")));
        assert!(!page.may_show(&place(text, "\"b\"")));
    }

    #[test]
    fn in_broken_text_an_open_multi_line_text_hides_what_follows() {
        let text = "password = \"\"\"\nrealm = hunter2\n\"\"\"\nrealm = shown\n";
        let mut page = Page::new("t.toml", text);
        page.hide_doubtful_lines();
        assert!(!page.may_show(&place(text, "hunter2")));
        assert!(page.may_show(&place(text, "shown")));
    }

    fn finding(bytes: Range<usize>) -> Finding {
        Finding::error("", &Place::File(bytes), "wrong")
    }

    fn place(text: &str, part: &str) -> Range<usize> {
        let start = text.find(part).expect("the test text contains it");
        start..start + part.len()
    }
}
