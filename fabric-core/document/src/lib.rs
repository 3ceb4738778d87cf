//! TOML, YAML and JSON as one tree of values that know their places in the file.
//!
//! Settings files, fabfiles and inventories are read here and nowhere else, so that a file means the same everywhere. An
//! error names file, line and column, and never shows the text there, which may hold a secret.
//!
//! ```
//! use std::path::Path;
//! use fabric_core::Layer;
//! use fabric_core_document::{Document, Format};
//!
//! let document = Document::parse(Layer::User, Path::new("fabric.yaml"), Format::Yaml, b"user: me\nport: 22\n")?;
//! assert_eq!(document.table()?["port"].node.value(), 22);
//! assert_eq!(document.origin(document.table()?["port"].line).to_string(), "fabric.yaml:2");
//!
//! let problems = Document::parse(Layer::User, Path::new("fabric.json"), Format::Json, b"{\n\t\"port\": NaN}").unwrap_err();
//! assert_eq!(problems.to_string(), "fabric.json:2:10: expected a value");
//! # Ok::<(), fabric_core::settings::Problems>(())
//! ```

mod json;
mod scalar;
mod source;
#[cfg(test)]
mod tests;
mod toml;
mod tree;
mod yaml;

use std::path::Path;
use std::sync::Arc;

use fabric_core::Layer;
use fabric_core::settings::{Origin, Problem, Problems};

pub use source::Source;
pub use tree::{Kind, Member, Members, Node, SwitchWord};

/// Deeper than this is no file that a person writes, and would exhaust the stack.
const DEEPEST: usize = 64;

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// TOML 1.1.
    Toml,
    /// YAML 1.2; a key that takes true or false takes `yes` and `no` too.
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

/// What a key means that a table has twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeated {
    /// An error.
    Refused,
    /// The last value counts, as in Ansible. TOML refuses such a key in any case.
    TakesLast,
}

/// A file's contents.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Document {
    /// The file and its text.
    pub source: Arc<Source>,
    /// The layer that it belongs to.
    pub layer: Layer,
    /// What is in it; nothing where an empty file is read as YAML.
    pub root: Node,
}

impl Document {
    /// Reads the text of a file, in which each key of a table is given once.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, each with line and column.
    pub fn parse(layer: Layer, path: &Path, format: Format, bytes: &[u8]) -> Result<Self, Problems> {
        Self::parse_with(layer, path, format, bytes, Repeated::Refused)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// All that is wrong with it, each with line and column.
    pub fn parse_with(
        layer: Layer,
        path: &Path,
        format: Format,
        bytes: &[u8],
        repeated: Repeated,
    ) -> Result<Self, Problems> {
        let source = Source::decode(layer, path, bytes)?;
        let root = match format {
            Format::Toml => toml::parse(&source),
            Format::Yaml => yaml::parse(&source, repeated).map_err(|fault| vec![fault]),
            Format::Json => json::parse(&source, repeated).map_err(|fault| vec![fault]),
        };
        match root {
            Ok(root) => Ok(Self { source: Arc::new(source), layer, root }),
            Err(faults) => {
                let problem = |fault: Fault| Problem::new(fault.message).at(source.origin(layer, fault.at));
                Err(Problems(faults.into_iter().map(problem).collect()))
            }
        }
    }

    /// The keys and values of a file that is a table; of an empty one none.
    ///
    /// # Errors
    ///
    /// A file that is a list or a single value.
    pub fn table(&self) -> Result<&Members, Problem> {
        self.root.members().ok_or_else(|| {
            let found = format!("the file must be a table of keys and values, not {}", self.root.what());
            Problem::new(found).at(self.source.origin(self.layer, self.root.span.start))
        })
    }

    /// A line of the file.
    pub fn origin(&self, line: usize) -> Origin {
        Origin::file(self.layer, &self.source.path, Some(line))
    }
}

/// What a parser found wrong, and the byte at which it is.
#[derive(Debug)]
struct Fault {
    at: usize,
    message: String,
}

impl Fault {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }

    fn twice(at: usize, key: &str) -> Self {
        Self::new(at, format!("the key `{key}` is given twice"))
    }

    fn too_deep(at: usize) -> Self {
        Self::new(at, format!("more than {DEEPEST} levels deep"))
    }
}
