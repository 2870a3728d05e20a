//! Holds the Markdown pages to what is there: links lead somewhere, and commands
//! that they show exist.

#![expect(
    clippy::unwrap_used,
    reason = "a page that cannot be read is a failed test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn every_relative_link_leads_somewhere() {
    let broken: Vec<String> = pages()
        .iter()
        .flat_map(|page| {
            let text = fs::read_to_string(page).unwrap();
            let broken = links(&text)
                .into_iter()
                .filter(|link| !leads_somewhere(page, link));
            broken
                .map(|link| format!("{}: {link}", page.display()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_command_and_option_shown_exists() {
    let overview = help(&[]);
    let shown: Vec<(PathBuf, String)> = pages()
        .into_iter()
        .flat_map(|page| {
            let text = fs::read_to_string(&page).unwrap();
            commands(&text)
                .into_iter()
                .map(move |command| (page.clone(), command))
        })
        .collect();
    assert!(!shown.is_empty(), "the pages show no command at all");
    for (page, command) in shown {
        let page = page.display();
        let mut words = command.split_whitespace();
        let name = words.next().unwrap();
        assert!(
            lists(&overview, name),
            "{page}: there is no `turnstone {name}`"
        );
        let mut of_command = help(&[name]);
        // `token create` has the options, not `token`.
        let mut words = words.peekable();
        let is_below = |word: &&str| !word.starts_with('-') && lists(&of_command, word);
        if let Some(below) = words.next_if(is_below) {
            of_command = help(&[name, below]);
        }
        for option in words.filter(|word| word.starts_with("--")) {
            assert!(
                of_command.contains(option),
                "{page}: `turnstone {name}` has no {option}"
            );
        }
    }
}

#[test]
fn links_and_commands_are_found() {
    let text = "# A b: c\n[x](a.md#b) and [y](https://z) and `turnstone\nrun --config F`\n\
                ```sh\n$ turnstone check\n[no](link)\n```\nturnstone is a relay\n";
    assert_eq!(links(text), ["a.md#b"]);
    assert_eq!(commands(text), ["check", "run --config F"]);
    assert_eq!(anchors(text), ["a-b-c"]);
}

/// Says whether a help text lists a command.
fn lists(help: &str, name: &str) -> bool {
    let mut lines = help.lines();
    lines.any(|line| line.starts_with("  ") && line.split_whitespace().next() == Some(name))
}

/// Every Markdown page of the repository.
fn pages() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR"))];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            // Hidden directories, build output and installed packages are not ours.
            let is_foreign = name.starts_with('.') || name == "target" || name == "node_modules";
            if path.is_dir() && !is_foreign {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Targets of links that lead to a file, `#fragment` included.
fn links(text: &str) -> Vec<String> {
    let (prose, _) = parted(text);
    prose
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .collect()
}

fn leads_somewhere(page: &Path, link: &str) -> bool {
    let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() {
        page.to_owned()
    } else {
        page.parent().unwrap().join(file)
    };
    if fragment.is_empty() {
        return target.exists();
    }
    fs::read_to_string(target)
        .is_ok_and(|text| anchors(&text).iter().any(|anchor| anchor == fragment))
}

/// What the headings of a page are called in links to it.
fn anchors(text: &str) -> Vec<String> {
    let (prose, _) = parted(text);
    prose
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            heading
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

/// What follows `turnstone` wherever a page shows it as a command: first in code
/// blocks, then in the text.
fn commands(text: &str) -> Vec<String> {
    let (prose, blocks) = parted(text);
    let spans = prose.split('`').skip(1).step_by(2);
    blocks
        .lines()
        .map(|line| line.trim_start_matches("$ ").to_owned())
        .chain(spans.map(|span| span.replace('\n', " ")))
        .filter_map(|code| code.strip_prefix("turnstone ").map(str::to_owned))
        .filter(|command| command.starts_with(|c: char| c.is_ascii_lowercase()))
        .collect()
}

/// A page without its code blocks, and the code blocks.
fn parted(text: &str) -> (String, String) {
    let (mut prose, mut blocks) = (String::new(), String::new());
    let mut is_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        }
        let part = if is_code { &mut blocks } else { &mut prose };
        part.push_str(line);
        part.push('\n');
    }
    (prose, blocks)
}

fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_turnstone"))
        .args(command)
        .arg("--help")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}
