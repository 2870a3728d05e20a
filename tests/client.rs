//! What can be known of the browser client, and of the pages that show its use, without a browser.

#![expect(
    clippy::unwrap_used,
    reason = "a file that cannot be read is a failed test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// It is read by people and loaded by phones.
const MOST_BYTES: u64 = 25_000;

#[test]
fn the_types_agree_with_the_code_and_an_app_compiles() {
    let compiler = path("tests/browser/node_modules/.bin/tsc");
    assert!(
        compiler.exists(),
        "typescript is missing: npm ci --prefix tests/browser (apt-get install npm)"
    );
    let project = path("tests/browser/tsconfig.json");
    let output = Command::new(compiler)
        .arg("--project")
        .arg(project)
        .output()
        .unwrap();
    let mistakes = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{mistakes}");
}

#[test]
fn a_session_survives_lost_sockets_and_keeps_to_the_limits() {
    let output = Command::new("node")
        .arg("--test")
        .arg(path("tests/browser/client.test.mjs"))
        .output()
        .expect("node is missing (apt-get install nodejs)");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}");
}

#[test]
fn the_client_stays_small() {
    let size = fs::metadata(path("web/client/client.js")).unwrap().len();
    assert!(size < MOST_BYTES, "{size} bytes");
}

#[test]
fn the_package_holds_what_it_names() {
    let package: Value = serde_json::from_str(&read("web/client/package.json")).unwrap();
    let files = package["files"].as_array().unwrap().iter();
    let entries = package["exports"]["."].as_object().unwrap().values();
    for name in files.chain(entries) {
        let file = path("web/client").join(name.as_str().unwrap());
        assert!(file.is_file(), "{name} is missing");
    }
    assert_eq!(package["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_smallest_client_is_under_40_lines_and_stands_alone() {
    let page = read("examples/minimal.html");
    assert!(page.lines().count() < 40);
    assert!(!page.contains("import") && !page.contains("src="));
}

#[test]
fn the_migrated_app_is_the_one_of_its_page() {
    let page = read("examples/migrate.html");
    let (_, rest) = page.split_once("<script type=\"module\">\n").unwrap();
    let (script, _) = rest.split_once("</script>").unwrap();
    let shown = format!("```js\n{script}```\n");
    assert!(read("docs/migrate.md").contains(&shown));
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}
