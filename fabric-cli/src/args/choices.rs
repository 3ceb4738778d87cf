//! What some options let one choose from.

use crate::words::words;

words! {
    /// How something is written.
    #[derive(Default)]
    pub(crate) enum Format {
        /// For a person.
        #[default]
        Text = "text",
        /// For a program.
        Json = "json",
    }
}

words! {
    /// How tasks are listed (Fabric 1's `-F`, and JSON).
    pub(crate) enum ListFormat {
        /// Bare names, one a line.
        Short = "short",
        /// Names and summaries.
        Normal = "normal",
        /// Indented by collection.
        Nested = "nested",
        /// One JSON object.
        Json = "json",
    }
}

words! {
    /// Whether there is a live view.
    #[derive(Default)]
    pub(crate) enum Progress {
        /// On a terminal.
        #[default]
        Auto = "auto",
        /// Wherever output goes.
        Always = "always",
        /// No.
        Never = "never",
    }
}

words! {
    /// Which starter is written.
    #[derive(Default)]
    pub(crate) enum InitKind {
        /// `fabfile.toml`.
        #[default]
        Toml = "toml",
        /// `fabfile/`, a Rust program.
        Rust = "rust",
        /// A plugin crate.
        Plugin = "plugin",
    }
}

words! {
    /// The shells that there are completion scripts for.
    #[derive(Default)]
    pub(crate) enum Shell {
        #[default]
        Bash = "bash",
        Zsh = "zsh",
        Fish = "fish",
    }
}
