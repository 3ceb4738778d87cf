//! A settings file and a fabfile are read alike, whatever their format.

use serde_json::{Value, json};
use tests::case;

/// The result of reading a file: the value of a setting, or an error with its place.
type Read = Result<Value, (String, &'static str)>;

/// Compares what `--show-config` has for a setting, or says, with what is expected.
#[track_caller]
fn reads(name: &str, text: &[u8], setting: &str, want: &Read) {
    let case = case!().args(["--show-config", "--format", "json"]).any_stdout().any_stderr();
    std::fs::write(case.dir().join(name), text).expect("a file of the case");
    match want {
        Ok(value) => {
            let shown: Value = serde_json::from_str(&case.run().stdout).expect("JSON");
            let found = &shown["settings"][setting]["value"];
            assert_eq!(found, value, "{name}: {}", String::from_utf8_lossy(text));
        }
        Err((place, message)) => drop(case.stderr_has(format!("{name}:{place}: error: {message}")).status(2).run()),
    }
}

#[test]
fn a_value_is_the_same_in_a_settings_file_and_in_a_fabfile() {
    let toml = [
        ("1.10", Ok(json!(1.1))),
        ("0o644", Ok(json!(420))),
        ("2024-01-01", Ok(json!("2024-01-01"))),
        ("'a\tb'", Ok(json!("a\tb"))),
        ("nan", Err((0, "a number must be finite"))),
        ("-inf", Err((0, "a number must be finite"))),
        ("[1, 1e999]", Err((4, "a number must be finite"))),
        ("9223372036854775808", Err((0, "the number is too large"))),
        ("{ a = 1, a = 2 }", Err((9, ""))),
        ("[1, ]]", Err((5, ""))),
    ];
    let yaml = [
        ("1.10", Ok(json!("1.10"))),
        ("[0644, 007, 1e999, .nan, .inf]", Ok(json!(["0644", "007", "1e999", ".nan", ".inf"]))),
        ("[0o644, 0x1F, 1.5, 8080]", Ok(json!([420, 31, 1.5, 8080]))),
        ("[yes, 'yes', no, TRUE, ~, null]", Ok(json!(["yes", "yes", "no", true, null, null]))),
        ("{1: a, 1.10: b, yes: c, 0644: d}", Ok(json!({"1": "a", "1.10": "b", "yes": "c", "0644": "d"}))),
        ("[&a {b: 1, c: 2}, {<<: *a, c: 3}, *a]", Ok(json!([{"b": 1, "c": 2}, {"b": 1, "c": 3}, {"b": 1, "c": 2}]))),
        ("[!!str 7, !own x, !!int '5']", Ok(json!(["7", "x", 5]))),
        ("{a: 1, a: 2}", Err((7, "the key `a` is given twice"))),
        ("{1: a, '1': b}", Err((7, "the key `1` is given twice"))),
        ("{~: a}", Err((1, "a key must be a text, not nothing"))),
        ("{[a]: b}", Err((1, "a key must be a text, not a list"))),
        ("&a [*a]", Err((4, "an alias inside of what it stands for"))),
        ("*nothing", Err((0, ""))),
        ("{<<: 1}", Err((5, "`<<` takes a table, or a list of tables"))),
        ("!!int x", Err((6, "the value is not what its tag says"))),
        ("!!binary aGk=", Err((9, "the tag `!!binary` has no meaning here"))),
    ];
    let json = [
        ("1.10", Ok(json!(1.1))),
        ("[1e3, 007.5, 1]", Err((6, "expected a value"))),
        ("[1e3, 18446744073709551615]", Ok(json!([1000.0, 18_446_744_073_709_551_615_u64]))),
        ("{\t\"a\":\t[1,\t2]\t}", Ok(json!({"a": [1, 2]}))),
        ("\"\\u00e9\\t\"", Ok(json!("é\t"))),
        ("NaN", Err((0, "expected a value"))),
        ("[1, -1e999]", Err((4, "the number is too large"))),
        ("{\"a\": 1, \"a\": 2}", Err((9, "the key `a` is given twice"))),
        ("{\"a\": 1,}", Err((8, "expected a key in double quotes"))),
        ("{1: 2}", Err((1, "expected a key in double quotes"))),
        ("\"\\ud800\"", Err((0, "a text is not valid"))),
        ("[1] // one", Err((4, "expected `,` or `}`"))),
    ];
    // The value begins in the same column of both.
    for (ending, values, settings, fabfile, end) in [
        ("toml", &toml[..], "transport_options     = { x = ", "env.transport_options = { x = ", [" }\n", " }\n"]),
        ("yaml", &yaml[..], "transport_options:       {x: ", "env: {transport_options: {x: ", ["}\n", "}}\n"]),
        (
            "json",
            &json[..],
            "{\"transport_options\":         {\"x\": ",
            "{\"env\": {\"transport_options\": {\"x\": ",
            ["}}\n", "}}}\n"],
        ),
    ] {
        assert_eq!(settings.len(), fabfile.len());
        for (written, want) in values {
            let column = |offset: usize| fabfile.len() + 1 + offset;
            let want = match want {
                Ok(value) => Ok(json!({ "x": value })),
                Err((offset, message)) => Err((format!("1:{}", column(*offset)), *message)),
            };
            for (name, begin, end) in [("fabric", settings, end[0]), ("fabfile", fabfile, end[1])] {
                let text = format!("{begin}{written}{end}");
                reads(&format!("{name}.{ending}"), text.as_bytes(), "transport_options", &want);
            }
        }
    }
}

#[test]
fn a_file_is_read_alike_as_settings_and_as_a_fabfile() {
    let me = || Ok(json!("me"));
    let unset = || Ok(json!([]));
    let wrong = |place: &str, message| Err((place.to_owned(), message));
    let utf16 =
        |text: &str| [&[0xff, 0xfe][..], &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()].concat();
    let both = |text: &[u8]| [text.to_vec(), text.to_vec()];
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(70), close.repeat(70)).into_bytes();
    let cases: [(&str, [Vec<u8>; 2], &str, Read); 22] = [
        ("toml", ["\u{feff}user = 'me'\r\n".into(), "\u{feff}env.user = 'me'\r\n".into()], "user", me()),
        ("yaml", ["\u{feff}user: me\r\n".into(), "\u{feff}env: {user: me}\r\n".into()], "user", me()),
        (
            "json",
            ["\u{feff}{\"user\":\r\n\"me\"}".into(), "\u{feff}{\"env\":\r\n{\"user\": \"me\"}}".into()],
            "user",
            me(),
        ),
        ("toml", both(b""), "hosts", unset()),
        ("toml", both(b"# nothing\n"), "hosts", unset()),
        ("yaml", both(b""), "hosts", unset()),
        ("yaml", both(b"\n# nothing\n"), "hosts", unset()),
        ("yaml", both(b"---\n...\n"), "hosts", unset()),
        ("json", both(b"{}"), "hosts", unset()),
        ("json", both(b"\n"), "hosts", wrong("2:1", "expected a value, found the end of the file")),
        ("yaml", both(b"\n- a\n"), "hosts", wrong("2:1", "the file must be a table of keys and values, not a list")),
        ("json", both(b"[1]"), "hosts", wrong("1:1", "the file must be a table of keys and values, not a list")),
        ("json", both(b"1"), "hosts", wrong("1:1", "the file must be a table of keys and values, not a number")),
        ("yaml", both(b"{}\n---\n{}\n"), "hosts", wrong("2:1", "a second document begins here, and a file is one")),
        ("toml", both(b"# \n# \xe9\n"), "hosts", wrong("2:3", "the file is not UTF-8: save it as UTF-8")),
        ("yaml", both(b"# \n# \xe9\n"), "hosts", wrong("2:3", "the file is not UTF-8: save it as UTF-8")),
        ("json", both(b"{\n\"\xe9\": 1}"), "hosts", wrong("2:2", "the file is not UTF-8: save it as UTF-8")),
        ("toml", both(&utf16("a = 1")), "hosts", wrong("1:1", "the file is UTF-16: save it as UTF-8")),
        ("yaml", both(&deep("[", "]")), "hosts", wrong("1:65", "more than 64 levels deep")),
        ("json", both(&deep("[", "]")), "hosts", wrong("1:65", "more than 64 levels deep")),
        (
            "toml",
            both(&[b"a = ".to_vec(), deep("[", "]")].concat()),
            "hosts",
            wrong("1:68", "more than 64 levels deep"),
        ),
        ("yaml", both(b"a: 1\nb:\n\t- c\n"), "hosts", wrong("3:2", "")),
    ];
    for (ending, texts, setting, want) in cases {
        for (name, text) in ["fabric", "fabfile"].into_iter().zip(texts) {
            reads(&format!("{name}.{ending}"), &text, setting, &want);
        }
    }
}

#[test]
fn words_of_yaml_are_switches_where_only_a_switch_fits() {
    let want = Ok(json!(true));
    reads("fabric.yaml", b"parallel: yes\n", "parallel", &want);
    reads("fabfile.yaml", b"env: {parallel: yes}\n", "parallel", &want);
    reads("fabfile.yaml", b"env:\n  run: {warn: on}\n", "warn_only", &want);
    let fabfile = "tasks:\n  t:\n    runs_once: yes\n    with: {parallel: no}\n    steps:\n    - {local: echo ran, pty: off, warn_only: no}\n";
    case!().file("fabfile.yaml", fabfile).args(["t"]).stdout_has("ran").any_stderr().run();
    let text = "expected true or false";
    case!().file("fabfile.yaml", "env: {parallel: 'yes'}\n").args(["--show-config"]).stderr_has(text).status(2).run();
    case!().file("fabric.yaml", "parallel: 'yes'\n").args(["--show-config"]).stderr_has(text).status(2).run();
}
