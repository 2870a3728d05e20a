//! Holds the written pages to what is there: links lead somewhere.

#![expect(clippy::unwrap_used, reason = "an unreadable page is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_link_leads_somewhere() {
    let pages = pages(repository());
    assert!(pages.len() > 5, "{pages:?}");
    let mut dead = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            let target = link.split('#').next().unwrap_or_default();
            let is_ours = !target.is_empty() && !target.contains(':');
            if is_ours && !page.parent().unwrap().join(target).exists() {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "\n{}", dead.join("\n"));
}

#[test]
fn links_are_read_from_running_text() {
    let text = "See [a](b.md) and\n[c d](../e/#f), not `x[0](y)` in code.\n```\n[g](h)\n```\n";
    assert_eq!(links(text), ["b.md", "../e/#f"]);
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the Markdown pages below `dir` that belong to the project.
fn pages(dir: &Path) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if name == "target" || name == "node_modules" || name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            pages.extend(self::pages(&path));
        } else if name.ends_with(".md") {
            pages.push(path);
        }
    }
    pages
}

/// Returns the targets of the links in `text`, code aside.
fn links(text: &str) -> Vec<String> {
    let running = text.split("```").step_by(2).collect::<String>();
    let running = running.split('`').step_by(2).collect::<String>();
    running
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.to_owned())
        .collect()
}
