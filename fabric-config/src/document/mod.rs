//! Files of data, read with the line of every key: TOML, YAML and JSON.
//!
//! One [`Document`] is what all three become. What is wrong with a file comes as [`Problem`]s with file and line, and never
//! with the text there, which may hold a secret.

mod json;
mod lines;
mod toml;
mod yaml;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use fabric_core::settings::{Layer, Map, Origin, Problem, Value};

pub(crate) use lines::{LineIndex, text_of};

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// TOML 1.1.
    Toml,
    /// YAML 1.2; `yes` and `no` are booleans only where a setting is one.
    Yaml,
    /// JSON (RFC 8259).
    Json,
}

impl Format {
    /// The endings of file names, in the order in which they are looked for.
    pub const ENDINGS: [(&'static str, Format); 4] =
        [("toml", Self::Toml), ("yaml", Self::Yaml), ("yml", Self::Yaml), ("json", Self::Json)];

    /// The format that a file's name ends in, if it is one of them.
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?;
        Self::ENDINGS.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known)).map(|(_, format)| *format)
    }
}

/// A table of values and the lines on which its keys stand.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    /// The file, as it was named.
    pub(crate) path: PathBuf,
    /// The layer that it belongs to.
    pub(crate) layer: Layer,
    /// What is in it.
    pub(crate) values: Map,
    lines: Lines,
}

/// Lines by key path.
pub(crate) type Lines = HashMap<Vec<String>, usize>;

impl Document {
    /// Reads the text of a file, and reports all its problems at once.
    pub(crate) fn parse(layer: Layer, path: &Path, format: Format, bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let at = |line: usize| Origin::file(layer, path, Some(line));
        let text = text_of(bytes).map_err(|(line, message)| vec![Problem::new(message).at(at(line))])?;
        let faults = match match format {
            Format::Toml => toml::parse(text),
            Format::Yaml => yaml::parse(text),
            Format::Json => json::parse(text),
        } {
            Ok((values, lines)) => return Ok(Self { path: path.to_owned(), layer, values, lines }),
            Err(faults) => faults,
        };
        let problem = |fault: Fault| Problem::new(fault.message).at(at(fault.line));
        Err(faults.into_iter().map(problem).collect())
    }

    /// Where a key stands; for a key that has no line of its own, where the table around it does.
    pub(crate) fn origin(&self, path: &[String]) -> Origin {
        let line = (1..=path.len()).rev().find_map(|end| self.lines.get(&path[..end])).copied();
        Origin::file(self.layer, &self.path, line)
    }
}

/// What a parser found wrong, and on which line.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) message: String,
}

fn twice(key: &str) -> String {
    format!("the key `{key}` is given twice")
}

/// What a parser found.
type Parsed = Result<(Map, Lines), Vec<Fault>>;

/// A file's top level must be a table; nothing at all is an empty one.
fn table(value: Value, lines: Lines) -> Parsed {
    match value {
        Value::Object(map) => Ok((map, lines)),
        Value::Null => Ok((Map::new(), lines)),
        _ => Err(vec![Fault { line: 1, message: "the file must be a table of keys and values".to_owned() }]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(format: Format, text: &str) -> Result<Document, Vec<Problem>> {
        Document::parse(Layer::User, Path::new("f"), format, text.as_bytes())
    }

    fn line(document: &Document, path: &[&str]) -> Option<usize> {
        document.origin(&path.iter().map(|&key| key.to_owned()).collect::<Vec<_>>()).line
    }

    #[test]
    fn the_three_formats_agree_on_values_and_lines() {
        let toml = "user = 'me'\n\n[shell_env]\nA = \"1\"\nB = \"é\"\n[[x]]\ny = 1.5\n[[x]]\ny = true\n";
        let yaml = "user: me\n# c\nshell_env:\n  A: '1'\n  B: é\nx:\n- y: 1.5\n- y: true\n";
        let json = "{\"user\": \"me\",\n\n \"shell_env\": {\n\t\"A\": \"1\",\n \"B\": \"\\u00e9\"},\n \"x\": [{\"y\": 1.5}, {\"y\": true}]}";
        for (format, text) in [(Format::Toml, toml), (Format::Yaml, yaml), (Format::Json, json)] {
            let document = parse(format, text).unwrap_or_else(|problems| panic!("{format:?} {problems:?}"));
            let want = json!({"user": "me", "shell_env": {"A": "1", "B": "é"}, "x": [{"y": 1.5}, {"y": true}]});
            assert_eq!(Value::Object(document.values.clone()), want, "{format:?}");
            assert_eq!(line(&document, &["user"]), Some(1), "{format:?}");
            assert_eq!(line(&document, &["shell_env"]), Some(3), "{format:?}");
            assert_eq!(line(&document, &["shell_env", "B"]), Some(5), "{format:?}");
            assert_eq!(line(&document, &["shell_env", "B", "deeper"]), Some(5), "{format:?}");
        }
    }

    #[test]
    fn faults_have_lines() {
        let cases = [
            (Format::Toml, "a = 1\nb = \n", 2),
            (Format::Toml, "a = 1\nb = 2\na = 3\n", 3),
            (Format::Toml, "[t]\na = 1\n[t]\n", 3),
            (Format::Yaml, "a: 1\nb: [\n", 2),
            (Format::Yaml, "a: 1\nb: 2\na: 3\n", 3),
            (Format::Yaml, "- a\n", 1),
            (Format::Json, "{\"a\": 1,\n\"b\": }", 2),
            (Format::Json, "{\"a\": 1,\n\"b\": 2,\n\"a\": 3}", 3),
            (Format::Json, "{\"a\": 1}\n]", 2),
            (Format::Json, "[1]", 1),
        ];
        for (format, text, line) in cases {
            let problems = parse(format, text).expect_err(text);
            let origin = problems[0].origin.clone().unwrap();
            assert_eq!(origin.line, Some(line), "{text:?}: {problems:?}");
        }
    }

    #[test]
    fn a_line_with_a_secret_is_not_shown() {
        for (format, text) in [
            (Format::Toml, "password = \"hunter2\nuser = 'x'\n"),
            (Format::Yaml, "a: 1\npassword: \"hunter2\n"),
            (Format::Json, "{\"password\": \"hunter2}"),
            (Format::Json, "{\"sudo_password\": hunter2}"),
        ] {
            for problem in parse(format, text).unwrap_err() {
                assert!(!problem.to_string().contains("hunter2"), "{problem}");
            }
        }
    }

    #[test]
    fn other_encodings_are_named() {
        let utf16: Vec<u8> = "a = 1".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_mark = [&[0xff, 0xfe][..], &utf16].concat();
        let problems = Document::parse(Layer::User, Path::new("f"), Format::Toml, &with_mark).unwrap_err();
        assert!(problems[0].message.contains("UTF-16"), "{problems:?}");
        let problems = Document::parse(Layer::User, Path::new("f"), Format::Toml, b"a = 1\nb = '\xe9'\n").unwrap_err();
        assert_eq!(problems[0].origin.clone().unwrap().line, Some(2));
        let document = Document::parse(Layer::User, Path::new("f"), Format::Toml, b"\xef\xbb\xbfa = 1\n").unwrap();
        assert_eq!(document.values["a"], json!(1));
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            for (_, format) in Format::ENDINGS {
                let _ = Document::parse(Layer::User, Path::new("f"), format, &bytes);
            }
        }

        #[test]
        fn parsing_texts_never_panics(text in "[\\[\\]{}:,=\"'#\\-a-c0-9. \t\n\\\\]{0,60}") {
            for (_, format) in Format::ENDINGS {
                let _ = parse(format, &text);
            }
        }

        #[test]
        fn json_is_read_as_serde_json_does(text in "[\\[\\]{}:,\"a-b0-9. \n\\\\\\-etruflsn]{0,24}") {
            let ours = parse(Format::Json, &text).ok().map(|document| Value::Object(document.values));
            let theirs = serde_json::from_str::<Value>(&text).ok().filter(Value::is_object);
            let duplicate = theirs.is_some() && ours.is_none();
            proptest::prop_assert!(ours == theirs || duplicate, "{:?} {:?}", ours, theirs);
        }
    }
}
