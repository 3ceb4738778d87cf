//! The values of options that take one of several words.

use crate::choices::choices;

choices! {
    /// An output format.
    #[derive(Default)]
    pub(crate) enum Format {
        /// For people.
        #[default]
        Text = "text",
        /// For programs.
        Json = "json",
    }
}

choices! {
    /// The format of the task list (Fabric 1's `-F`, and JSON).
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

choices! {
    /// When the live view is shown.
    #[derive(Default)]
    pub(crate) enum Progress {
        /// If standard error is a terminal.
        #[default]
        Auto = "auto",
        /// Always.
        Always = "always",
        /// Never.
        Never = "never",
    }
}

choices! {
    /// What the demo's fabfile is written in.
    #[derive(Default)]
    pub(crate) enum DemoKind {
        /// TOML.
        #[default]
        Toml = "toml",
        /// Python.
        Python = "python",
    }
}

choices! {
    /// The kind of starter project.
    #[derive(Default)]
    pub(crate) enum InitKind {
        /// `fabfile.toml`.
        #[default]
        Toml = "toml",
        /// `fabfile.py`.
        Python = "python",
        /// `fabfile/`, a Rust program.
        Rust = "rust",
        /// A plugin crate.
        Plugin = "plugin",
    }
}

choices! {
    /// The shells that have a completion script.
    #[derive(Default)]
    pub(crate) enum Shell {
        #[default]
        Bash = "bash",
        Zsh = "zsh",
        Fish = "fish",
    }
}
