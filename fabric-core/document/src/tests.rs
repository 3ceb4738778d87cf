use std::path::Path;

use fabric_core::Layer;
use fabric_core::settings::{self, Problems, Value};
use proptest::prelude::*;
use serde_json::json;

use crate::{Document, Format, Kind, Node, Repeated, SwitchWord};

fn parse(format: Format, text: impl AsRef<[u8]>) -> Result<Document, Problems> {
    Document::parse(Layer::User, Path::new("f"), format, text.as_ref())
}

fn value(format: Format, text: &str) -> Value {
    parse(format, text).unwrap_or_else(|problems| panic!("{format:?} {text:?}: {problems}")).root.value()
}

fn error(format: Format, text: impl AsRef<[u8]>) -> String {
    let shown = String::from_utf8_lossy(text.as_ref()).into_owned();
    match parse(format, text) {
        Ok(document) => panic!("{format:?} {shown:?}: {}", document.root.value()),
        Err(problems) => problems.0[0].to_string(),
    }
}

fn member<'n>(node: &'n Node, path: &[&str]) -> (usize, &'n Node) {
    let start = (node.line, node);
    path.iter().fold(start, |(_, node), key| match &node.kind {
        Kind::Table(members) => (members[*key].line, &members[*key].node),
        Kind::List(items) => (0, &items[key.parse::<usize>().unwrap()]),
        Kind::Scalar(_) => panic!("{key}"),
    })
}

#[test]
fn the_three_formats_are_one_tree_with_lines() {
    let toml = "user = 'me'\n\n[shell_env]\nA = \"1\"\nB = \"é\"\n[[x]]\ny = 1.5\n[[x]]\ny = true\n[t]\nlist = [\n 'a',\n 'b',\n]\n";
    let yaml = "user: me\n# c\nshell_env:\n  A: '1'\n  B: é\nx:\n- y: 1.5\n- y: true\nt:\n  list:\n\n  - a\n  - b\n";
    let json = "{\"user\": \"me\",\n\n \"shell_env\": {\n\t\"A\": \"1\",\n \"B\": \"\\u00e9\"},\n \"x\": [{\"y\": 1.5}, {\"y\": true}],\n\
                \"t\": {\n\n\n\"list\": [\n\"a\",\n\n\"b\"]}}";
    let want = json!({
        "user": "me", "shell_env": {"A": "1", "B": "é"}, "x": [{"y": 1.5}, {"y": true}], "t": {"list": ["a", "b"]},
    });
    for (format, text) in [(Format::Toml, toml), (Format::Yaml, yaml), (Format::Json, json)] {
        let root = parse(format, text).unwrap().root;
        assert_eq!(root.value(), want, "{format:?}");
        assert_eq!(member(&root, &["user"]).0, 1, "{format:?}");
        assert_eq!(member(&root, &["shell_env"]).0, 3, "{format:?}");
        assert_eq!(member(&root, &["shell_env", "B"]).0, 5, "{format:?}");
        assert_eq!(member(&root, &["t", "list", "1"]).1.line, 13, "{format:?}");
        let written = &text[member(&root, &["shell_env", "A"]).1.span.clone()];
        assert_eq!(written.trim_matches(['"', '\'']), "1", "{format:?}");
    }
}

#[test]
fn what_is_wrong_has_a_line_and_a_column_and_shows_no_value() {
    for (format, text, want) in [
        (Format::Toml, "a = 1\nb = \n", "f:2:5: "),
        (Format::Toml, "a = 1\nb = 2\na = 3\n", "f:3:1: "),
        (Format::Toml, "[t]\na = 1\n[t]\n", "f:3:"),
        (Format::Toml, "a = 9223372036854775808\n", "f:1:5: the number is too large"),
        (Format::Toml, "a = [1, nan]\n", "f:1:9: a number must be finite"),
        (Format::Toml, "a = 1e999\n", "f:1:5: a number must be finite"),
        (Format::Yaml, "a: 1\nb: [\n", "f:2:4: "),
        (Format::Yaml, "a: 1\nb:\n  c: 2\n  c: 3\n", "f:4:3: the key `c` is given twice"),
        (Format::Yaml, "1: 1\n\"1\": 2\n", "f:2:1: the key `1` is given twice"),
        (Format::Yaml, "a: 1\n---\nb: 2\n", "f:2:1: a second document begins here"),
        (Format::Yaml, "a: &x [*x]\n", "f:1:8: an alias inside of what it stands for"),
        (Format::Yaml, "a: *x\n", "f:1:4: "),
        (Format::Yaml, "~: 1\n", "f:1:1: a key must be a text, not nothing"),
        (Format::Yaml, "? [a]\n: 1\n", "f:1:3: a key must be a text, not a list"),
        (Format::Yaml, "a: {<<: 1}\n", "f:1:9: `<<` takes a table"),
        (Format::Yaml, "a: !!int x\n", "f:1:10: the value is not what its tag says"),
        (Format::Yaml, "a: !!binary aGk=\n", "f:1:13: the tag `!!binary` has no meaning here"),
        (Format::Json, "{\"a\": 1,\n\"b\": }", "f:2:6: expected a value"),
        (Format::Json, "{\"a\": 1,\n\"b\": {\"c\": 2,\n\n\"c\": 3}}", "f:4:1: the key `c` is given twice"),
        (Format::Json, "{\"a\": 1}\n]", "f:2:1: expected the end of the file"),
        (Format::Json, "{\"a\":\t1e999}", "f:1:7: the number is too large"),
        (Format::Json, "", "f:1:1: expected a value, found the end of the file"),
    ] {
        let error = error(format, text);
        assert!(error.starts_with(want), "{format:?} {text:?}: {error}");
    }
    for (format, text) in [
        (Format::Toml, "password = \"hunter2\nuser = 'x'\n"),
        (Format::Yaml, "a: 1\npassword: \"hunter2\n"),
        (Format::Json, "{\"password\": \"hunter2}"),
        (Format::Json, "{\"sudo_password\": hunter2}"),
    ] {
        assert!(!error(format, text).contains("hunter2"));
    }
    let list = parse(Format::Yaml, "\n- a\n").unwrap();
    let error = list.table().unwrap_err().to_string();
    assert_eq!(error, "f:2:1: the file must be a table of keys and values, not a list");
}

#[test]
fn empty_files_and_encodings() {
    for (format, text) in
        [(Format::Toml, ""), (Format::Toml, "# c\n"), (Format::Yaml, " \n"), (Format::Yaml, "# c\n---\n")]
    {
        assert!(parse(format, text).unwrap().table().unwrap().is_empty(), "{text:?}");
    }
    for (format, text) in [(Format::Toml, "a = 1\n"), (Format::Yaml, "a: 1\n"), (Format::Json, "{\"a\": 1}")] {
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        assert_eq!(parse(format, marked).unwrap().root.value(), json!({"a": 1}), "{format:?}");
        assert_eq!(
            error(format, [text.as_bytes(), b"\n\xe9"].concat()).split_once(": ").unwrap().1,
            "the file is not UTF-8: save it as UTF-8"
        );
        let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(error(format, [&[0xff, 0xfe][..], &utf16].concat()).starts_with("f:1:1: the file is UTF-16"));
    }
}

#[test]
fn a_tree_is_sixty_four_levels_deep_at_most() {
    for (format, open, close, inside) in
        [(Format::Toml, "[", "]", "a = "), (Format::Yaml, "[", "]", "a: "), (Format::Json, "[", "]}", "{\"a\": ")]
    {
        let text = |levels: usize| {
            let close = if close == "]}" { format!("{}}}", "]".repeat(levels)) } else { close.repeat(levels) };
            format!("{inside}{}{close}\n", open.repeat(levels))
        };
        parse(format, text(63)).unwrap_or_else(|problems| panic!("{format:?}: {problems}"));
        assert!(error(format, text(64)).ends_with("more than 64 levels deep"), "{format:?}");
        error(format, text(100_000));
    }
    let lines: Vec<String> = (1..40).map(|level| format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1)).collect();
    let bomb = lines.concat();
    assert!(error(Format::Yaml, format!("a0: &a0 x\n{bomb}")).contains("stand for more than"));
}

#[test]
fn plain_scalars_of_yaml_are_what_is_written() {
    let text = "a: 0644\nb: &version 1.10\nc: [1.5, 012, *version, -1_0]\nd: {e: 0x1F, f: .inf, g: \"5\", h: !!str 7, i: ~}\n\
                j: 1e999 # comment\nk: 12:30:45\nl: [007,1e3]\nm: no\nn: on\no: [True, yes, null]\np: !own 5\nq:\n";
    let expected = json!({
        "a": "0644", "b": "1.10", "c": [1.5, "012", "1.10", "-1_0"],
        "d": {"e": 31, "f": ".inf", "g": "5", "h": "7", "i": null},
        "j": "1e999", "k": "12:30:45", "l": ["007", "1e3"], "m": "no", "n": "on", "o": [true, "yes", null], "p": "5", "q": null,
    });
    assert_eq!(value(Format::Yaml, text), expected);
    assert_eq!(
        value(Format::Yaml, "1.10: a\nyes: b\n0644: c\n!!int 5: d\n"),
        json!({"1.10": "a", "yes": "b", "0644": "c", "5": "d"})
    );
    // Numbers of JSON are numbers (RFC 8259).
    assert_eq!(value(Format::Json, "{\"a\":[1.10,\t2, 1e3]}"), json!({"a": [1.1, 2, 1000.0]}));
}

#[test]
fn the_type_that_is_expected_decides_what_yaml_leaves_open() {
    use settings::Kind as Type;
    let root = parse(Format::Yaml, "a: no\nb: 'no'\nc: 1.50\nd: '1.50'\n").unwrap().root;
    let typed = |key: &str, kind| member(&root, &[key]).1.typed(kind);
    assert_eq!(typed("a", Type::Bool), Ok(json!(false)));
    assert_eq!(typed("a", Type::Text), Ok(json!("no")));
    assert_eq!(typed("a", Type::Switch), Err(SwitchWord("no".to_owned())));
    assert_eq!(typed("b", Type::Bool), Ok(json!("no")));
    assert_eq!(typed("b", Type::Switch), Ok(json!("no")));
    assert_eq!(typed("c", Type::Seconds), Ok(json!(1.5)));
    assert_eq!(typed("c", Type::Text), Ok(json!("1.50")));
    assert_eq!(typed("d", Type::Seconds), Ok(json!("1.50")));
}

#[test]
fn tables_are_merged_and_what_a_table_says_itself_counts() {
    let text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\none: {<<: *base, b: 9}\nboth:\n  <<: [*base, *more]\n  d: 5\n";
    let root = parse(Format::Yaml, text).unwrap().root;
    assert_eq!(member(&root, &["one"]).1.value(), json!({"a": 1, "b": 9}));
    assert_eq!(member(&root, &["both"]).1.value(), json!({"b": 2, "c": 4, "a": 1, "d": 5}));
    assert_eq!(member(&root, &["one", "a"]).0, 1);
    assert_eq!(value(Format::Yaml, "\"<<\": 1\n"), json!({"<<": 1}));
}

#[test]
fn of_a_key_that_is_given_twice_the_last_value_may_count() {
    for (format, text) in [(Format::Yaml, "a: 1\nb: 2\na: 3\n"), (Format::Json, "{\"a\": 1, \"b\": 2, \"a\": 3}")] {
        let document = Document::parse_with(Layer::Role, Path::new("f"), format, text.as_bytes(), Repeated::TakesLast);
        assert_eq!(document.unwrap().root.value().to_string(), r#"{"a":3,"b":2}"#, "{format:?}");
    }
}

proptest! {
    #[test]
    fn parsing_never_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        text in "[\\[\\]{}:,=\"'#\\-a-c0-9. \t\n\\\\&*!|>%]{0,60}",
    ) {
        for (_, format) in Format::ENDINGS {
            let _ = parse(format, &bytes);
            let _ = parse(format, &text);
        }
    }

    #[test]
    fn json_is_read_as_serde_json_does(text in "[\\[\\]{}:,\"a-b0-9. \n\\\\\\-etruflsn]{0,24}") {
        let ours = parse(Format::Json, &text).ok().map(|document| document.root.value());
        let theirs = serde_json::from_str::<Value>(&text).ok();
        let duplicate = theirs.is_some() && ours.is_none();
        prop_assert!(ours == theirs || duplicate, "{:?} {:?}", ours, theirs);
    }

    #[test]
    fn json_is_yaml(value in "[a-z \"\\\\é\\n]{0,8}", key in "[a-z\"0-9~ ]{0,8}", number in any::<i32>()) {
        let text = json!({key: [value, number, null, true]}).to_string();
        prop_assert_eq!(parse(Format::Yaml, &text).unwrap().root.value(), parse(Format::Json, &text).unwrap().root.value());
    }
}
