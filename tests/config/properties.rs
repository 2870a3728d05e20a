//! Whatever the file says: no panic, and no secret in an answer.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use turnstone::config::keys::{KEYS, SECTIONS};

#[path = "../../fuzz/bodies/config_file.rs"]
mod config_file;

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(
            proptest::test_runner::FileFailurePersistence::Direct(
                "tests/proptest-regressions/config.txt",
            ),
        )),
        ..ProptestConfig::with_cases(512)
    })]

    #[test]
    fn lines_that_look_like_a_file_are_taken(
        choices in any::<[u8; 2]>(),
        lines in vec(line(), 0..12),
    ) {
        let mut data = choices.to_vec();
        data.extend(lines.concat().bytes());
        config_file::config_file(&data);
    }

    #[test]
    fn any_text_is_taken(choices in any::<[u8; 2]>(), text in "\\PC{0,80}") {
        let mut data = choices.to_vec();
        data.extend(text.bytes());
        config_file::config_file(&data);
    }
}

/// A line of a file as somebody in a hurry writes it.
fn line() -> impl Strategy<Value = String> {
    let section = select(SECTIONS).prop_map(|section| format!("[{}]\n", section.name));
    let users = Just("[[turn.users]]\n".to_owned());
    let key = (select(KEYS), value(), any::<bool>()).prop_map(|(key, value, full)| {
        let name = if full { key.name } else { key.leaf() };
        format!("{name} = {value}\n")
    });
    let default = select(KEYS).prop_map(|key| format!("{} = {}\n", key.leaf(), key.default));
    let debris = select(vec![
        "\"\"\"\n",
        "'''\n",
        "]\n",
        "}\n",
        "[\n",
        "x = {\n",
        "x = [\n",
        "udp = [\n",
        "realm = \"\"\"\n",
        "realm: \"x\"\n",
        "= \n",
        "# \u{7f}\n",
        "\r",
        "name = \"a\", ",
        "\u{feff}\n",
    ])
    .prop_map(str::to_owned);
    prop_oneof![2 => section, 1 => users, 4 => key, 2 => default, 2 => debris]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9.:/\\[\\]-]{0,12}".prop_map(|text| format!("\"{text}\"")),
        "\\PC{0,8}",
        any::<i64>().prop_map(|number| number.to_string()),
        any::<bool>().prop_map(|boolean| boolean.to_string()),
        vec("\"[a-z0-9.:/\\[\\]-]{0,12}\"", 0..3).prop_map(|list| format!("[{}]", list.join(", "))),
        vec("[0-9a-z\"]{0,4}", 0..3).prop_map(|list| format!("[{}", list.join(", "))),
        Just("{ secret = \"x\" }".to_owned()),
        Just("1979-05-27".to_owned()),
        Just("\"\"\"".to_owned()),
        Just("\"é\u{1b}\\u0007\"".to_owned()),
    ]
}
