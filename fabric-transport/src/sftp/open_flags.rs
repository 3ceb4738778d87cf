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
    /// Writes go to the end, wherever the request says.
    pub const APPEND: Self = Self(0x04);
    /// Make the file if there is none.
    pub const CREATE: Self = Self(0x08);
    /// Empty the file.
    pub const TRUNCATE: Self = Self(0x10);
    /// Fail if there is one; needs `CREATE`.
    pub const EXCLUSIVE: Self = Self(0x20);

    /// As the protocol has them.
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
