//! How a file is opened.

use std::ops::BitOr;

/// How a file is opened; combine with `|`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpenFlags(u32);

impl OpenFlags {
    /// For reading.
    pub const READ: Self = Self(0x01);
    /// For writing.
    pub const WRITE: Self = Self(0x02);
    /// Writes go to the end, whatever their offset.
    pub const APPEND: Self = Self(0x04);
    /// Create the file if it doesn't exist.
    pub const CREATE: Self = Self(0x08);
    /// Empty the file.
    pub const TRUNCATE: Self = Self(0x10);
    /// Fail if the file exists; needs `CREATE`.
    pub const EXCLUSIVE: Self = Self(0x20);

    /// The bits of the protocol.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl BitOr for OpenFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
