//! Texts of files, and the lines and columns in them.

use std::path::{Path, PathBuf};

use fabric_core::Layer;
use fabric_core::settings::{Origin, Problem};

/// A file's name and text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The file, as it was named.
    pub path: PathBuf,
    /// Its text, without a byte order mark.
    pub text: String,
    /// The bytes at which lines end.
    ends: Vec<usize>,
}

impl Source {
    /// A file whose text is known.
    pub fn new(path: &Path, text: impl Into<String>) -> Self {
        let text = text.into();
        let ends = text.match_indices('\n').map(|(at, _)| at).collect();
        Self { path: path.to_owned(), text, ends }
    }

    /// A file from its bytes, which are UTF-8, perhaps behind a byte order mark.
    ///
    /// # Errors
    ///
    /// Any other encoding, with its line and column.
    pub fn decode(layer: Layer, path: &Path, bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            let problem = Problem::new("the file is UTF-16: save it as UTF-8");
            return Err(problem.at(Origin::file(layer, path, Some(1)).column(1)));
        }
        let bytes = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes);
        let text = String::from_utf8_lossy(bytes);
        match std::str::from_utf8(bytes) {
            Ok(_) => Ok(Self::new(path, text)),
            Err(error) => {
                let origin = Self::new(path, text).origin(layer, error.valid_up_to());
                Err(Problem::new("the file is not UTF-8: save it as UTF-8").at(origin))
            }
        }
    }

    /// The line of a byte, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.ends.partition_point(|end| *end < offset) + 1
    }

    /// The line and column of a byte.
    pub fn origin(&self, layer: Layer, offset: usize) -> Origin {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.line(offset);
        let start = if line == 1 { 0 } else { self.ends[line - 2] + 1 };
        Origin::file(layer, &self.path, Some(line)).column(self.text[start..offset].chars().count() + 1)
    }
}
