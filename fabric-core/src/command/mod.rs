//! What is to run on a host, and its one rendering to the text that goes over the wire.
//!
//! ```text
//! [sudo .. SHELL] 'export PATH=.. K=.. && cd DIR && PREFIX && .. && LINE'
//! ```
//!
//! Nothing of the line runs unless all that comes before it has succeeded. A line with operators that would end the
//! `&&` list (`;`, `||`, `&`, a line end, a comment, ..) comes after `|| exit` instead.
//!
//! Everything that Fabric 1 and 3 put together in several places (and quoted wrongly in most of them) is
//! put together here, in one pure function, for any bytes: [`Command::render`].

mod error;
mod guard;
mod login_shell;
mod quote;
mod rendered;
mod sudo;

use std::borrow::Cow;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use self::guard::Guard;
use self::quote::quote_dir;

pub use self::error::CommandError;
pub use self::login_shell::LoginShell;
pub use self::quote::{is_env_name, join_dir, quote};
pub use self::rendered::{LONGEST, Rendered};
pub use self::sudo::Sudo;

/// A command with its working directory, prefixes, path, environment, shell and sudo.
///
/// ```
/// use fabric_core::{Command, Sudo};
///
/// let command = Command::new("make install | tee log")
///     .cd("/srv/app")
///     .prefix(". venv/bin/activate")
///     .sudo(Sudo::new("[sudo] x: ").user("app"));
/// assert_eq!(
///     command.render()?.to_string(),
///     "sudo -S -p '[sudo] x: ' -u app sh -c 'cd /srv/app && . venv/bin/activate && make install | tee log'",
/// );
/// # Ok::<(), fabric_core::CommandError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    line: Vec<u8>,
    cwd: Vec<u8>,
    prefixes: Vec<Vec<u8>>,
    path: Option<(Vec<u8>, PathBehavior)>,
    env: IndexMap<String, Vec<u8>>,
    shell: Option<String>,
    shell_escape: bool,
    sudo: Option<Sudo>,
}

/// Where the `path` setting goes in `$PATH`; the default is [`PathBehavior::Append`] (Fabric 1,
/// `env.path_behavior`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathBehavior {
    /// After what is there.
    #[default]
    Append,
    /// Before what is there.
    Prepend,
    /// Instead of what is there.
    Replace,
}

impl Command {
    /// The command line itself, in the language of the shell that will read it.
    pub fn new(line: impl Into<Vec<u8>>) -> Self {
        Self {
            line: line.into(),
            cwd: Vec::new(),
            prefixes: Vec::new(),
            path: None,
            env: IndexMap::new(),
            shell: None,
            shell_escape: true,
            sudo: None,
        }
    }

    /// The command line as given.
    pub fn line(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.line)
    }

    /// Changes the working directory, as `cd` does: an absolute path or one that starts with `~`
    /// replaces what was set before, any other is below it. Empty changes nothing.
    #[must_use]
    pub fn cd(mut self, path: impl AsRef<[u8]>) -> Self {
        join_dir(&mut self.cwd, path.as_ref());
        self
    }

    /// A command that must succeed before this one, in the same shell; prefixes nest, outermost first. It may be
    /// anything that a shell takes: of a list, the last command's status counts.
    #[must_use]
    pub fn prefix(mut self, command: impl Into<Vec<u8>>) -> Self {
        self.prefixes.push(command.into());
        self
    }

    /// Adds directories to `$PATH`, `:`-separated; a later call replaces an earlier one (Fabric 1).
    #[must_use]
    pub fn path(mut self, path: impl Into<Vec<u8>>, behavior: PathBehavior) -> Self {
        let path = path.into();
        self.path = (!path.is_empty()).then_some((path, behavior));
        self
    }

    /// Sets an environment variable to exactly these bytes.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Runs the command by this shell (`/bin/bash -l -c`), to which it is given as one argument.
    /// Default: the user's login shell reads it, as with `ssh`.
    #[must_use]
    pub fn shell(mut self, shell: impl Into<String>) -> Self {
        self.shell = Some(shell.into());
        self
    }

    /// With `false` the command and its prefixes are put between the shell's double quotes without escaping
    /// (`shell_escape` of Fabric 1), for callers who escape by hand: the login shell expands `$(..)` and ends at a `"`
    /// before anything else. Default: true. Without a shell it has no effect.
    #[must_use]
    pub fn shell_escape(mut self, escape: bool) -> Self {
        self.shell_escape = escape;
        self
    }

    /// Runs the whole of it, directory, prefixes and environment included, by `sudo`.
    #[must_use]
    pub fn sudo(mut self, sudo: Sudo) -> Self {
        self.sudo = Some(sudo);
        self
    }

    /// How `sudo` is called, if it is.
    pub fn sudo_options(&self) -> Option<&Sudo> {
        self.sudo.as_ref()
    }

    /// The text for the wire.
    ///
    /// # Errors
    ///
    /// [`CommandError::Nul`] for a zero byte anywhere, [`CommandError::EnvName`] for a name that no shell
    /// takes, [`CommandError::TooLong`] over [`LONGEST`] bytes.
    pub fn render(&self) -> Result<Rendered, CommandError> {
        let raw = self.shell.is_some() && !self.shell_escape;
        let other = self.shell.as_deref().and_then(|shell| Some((shell, LoginShell::named(shell).or_exit()?)));
        let mut guard = Guard::new(raw && other.is_none());
        if let Some(text) = self.sudo.as_ref().and_then(|sudo| sudo.announcement.as_ref()) {
            guard.step(&[b"printf %s ", &*quote(text.as_bytes())?, b" >&2"].concat());
        }
        if let Some(exports) = self.render_exports()? {
            guard.step(&exports);
        }
        if !self.cwd.is_empty() {
            guard.step(&[b"cd ", &*quote_dir(&self.cwd)?].concat());
        }
        if let Some((shell, or_exit)) = other
            && !(guard.is_empty() && self.prefixes.is_empty())
        {
            return self.guarded_outside(shell, or_exit, guard);
        }
        for prefix in &self.prefixes {
            guard.prefix(prefix)?;
        }
        let inner = guard.before(&self.line);
        let alike = if self.shell.is_some() || self.sudo.is_some() {
            login_shell::quotes_are_common(&inner) && !(raw && inner.iter().any(|byte| matches!(byte, b'$' | b'`')))
        } else if inner == self.line {
            !login_shell::is_for_bourne(&inner)
        } else if self.prefixes.is_empty() && self.path.is_none() && self.env.is_empty() {
            login_shell::quotes_are_common(&self.cwd) && login_shell::is_common(&self.line)
        } else {
            false
        };

        let mut out = Vec::new();
        if let Some(sudo) = &self.sudo {
            out.extend_from_slice(&sudo.render()?);
            out.push(b' ');
        }
        match (&self.shell, &self.sudo) {
            (Some(shell), _) if self.shell_escape => wrap(&mut out, shell, &quote(&inner)?),
            (Some(shell), _) => wrap(&mut out, shell, &[b"\"", &inner[..], b"\""].concat()),
            (None, Some(_)) => wrap(&mut out, "sh -c", &quote(&inner)?),
            (None, None) => out = inner,
        }
        Rendered::checked(out, !alike)
    }

    /// The text for a shell that doesn't know the guard's language: what is a process's own (variables, directory) is
    /// made outside of it, prefixes before the line in its own language.
    fn guarded_outside(&self, shell: &str, or_exit: &[u8], guard: Guard) -> Result<Rendered, CommandError> {
        let mut inner = Vec::new();
        for prefix in &self.prefixes {
            inner.extend_from_slice(prefix);
            inner.extend_from_slice(or_exit);
        }
        inner.extend_from_slice(&self.line);
        let argument =
            if self.shell_escape { quote(&inner)?.into_owned() } else { [b"\"", &inner[..], b"\""].concat() };
        let mut line = b"exec ".to_vec();
        wrap(&mut line, shell, &argument);
        let guarded = guard.before_command(&line);
        let mut out = Vec::new();
        match &self.sudo {
            Some(sudo) => {
                out.extend_from_slice(&sudo.render()?);
                out.push(b' ');
                wrap(&mut out, "sh -c", &quote(&guarded)?);
            }
            None => out = guarded,
        }
        Rendered::checked(out, true)
    }

    /// PATH first, then the variables, in one `export` (Fabric 1's order).
    fn render_exports(&self) -> Result<Option<Vec<u8>>, CommandError> {
        if self.path.is_none() && self.env.is_empty() {
            return Ok(None);
        }
        let mut out = b"export".to_vec();
        if let Some((path, behavior)) = &self.path {
            let path = quote(path)?;
            let parts: [&[u8]; 3] = match behavior {
                PathBehavior::Append => [b" PATH=\"$PATH\":", &path, b""],
                PathBehavior::Prepend => [b" PATH=", &path, b":\"$PATH\""],
                PathBehavior::Replace => [b" PATH=", &path, b""],
            };
            out.extend_from_slice(&parts.concat());
        }
        for (name, value) in &self.env {
            if !is_env_name(name) {
                return Err(CommandError::EnvName { name: name.clone() });
            }
            out.push(b' ');
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            out.extend_from_slice(&quote(value)?);
        }
        Ok(Some(out))
    }
}

fn wrap(out: &mut Vec<u8>, shell: &str, argument: &[u8]) {
    out.extend_from_slice(shell.trim_end().as_bytes());
    out.push(b' ');
    out.extend_from_slice(argument);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process;

    fn text(command: &Command) -> String {
        command.render().unwrap().to_string()
    }

    #[test]
    fn order_is_exports_cd_prefixes_line() {
        let command = Command::new("ls")
            .path("/opt/bin", PathBehavior::Append)
            .env("A", "x y")
            .cd("/srv")
            .cd("my app")
            .prefix("true")
            .prefix(":");
        assert_eq!(text(&command), r#"export PATH="$PATH":/opt/bin A='x y' && cd '/srv/my app' && true && : && ls"#);
    }

    #[test]
    fn a_shell_gets_one_argument() {
        assert_eq!(text(&Command::new("echo $HOME").shell("/bin/bash -l -c")), "/bin/bash -l -c 'echo $HOME'");
        assert_eq!(text(&Command::new("echo 'a'").shell("sh -c").shell_escape(false)), "sh -c \"echo 'a'\"");
    }

    #[test]
    fn home_directories_stay_open() {
        assert_eq!(text(&Command::new("ls").cd("~/my app")), "cd ~/'my app' && ls");
        assert_eq!(text(&Command::new("ls").cd("~bob")), "cd ~bob && ls");
        assert_eq!(text(&Command::new("ls").cd("-x")), "cd ./-x && ls");
    }

    #[test]
    fn sudo_covers_the_whole_line() {
        let sudo = Sudo::new("it's: ").user("1001").group("www-data");
        assert_eq!(
            text(&Command::new("id | cat").cd("/tmp").sudo(sudo)),
            "sudo -S -p \"it's: \" -u '#1001' -g www-data sh -c 'cd /tmp && id | cat'"
        );
    }

    #[test]
    fn what_cannot_be_sent_is_an_error() {
        assert!(matches!(Command::new("a\0b").render(), Err(CommandError::Nul)));
        assert!(matches!(Command::new("a").env("A", "\0").render(), Err(CommandError::Nul)));
        assert!(matches!(Command::new("a").env("A-B", "x").render(), Err(CommandError::EnvName { .. })));
        assert!(matches!(Command::new("x".repeat(LONGEST + 1)).render(), Err(CommandError::TooLong { .. })));
        assert!(Command::new("x".repeat(LONGEST)).render().is_ok());
    }

    #[test]
    fn a_line_with_operators_comes_after_the_whole_guard() {
        let line = |line: &str| Command::new(line).cd("/srv");
        let csh = line("make; rm x").shell("tcsh -c");
        assert_eq!(text(&csh), "cd /srv && exec tcsh -c 'make; rm x'");
        assert_eq!(text(&Command::new("a; b").shell("fish -c").prefix("c")), "exec fish -c 'c\nor exit $status\na; b'");
        assert_eq!(text(&Command::new("a; b").shell("/bin/csh -c")), "/bin/csh -c 'a; b'");
        assert_eq!(text(&line("make; rm x")), "cd /srv || exit; make; rm x");
        assert_eq!(text(&line("make && rm 'a; b' | cat >&2")), "cd /srv && make && rm 'a; b' | cat >&2");
        assert_eq!(text(&line("make\nrm x # all")), "cd /srv || exit\nmake\nrm x # all");
        assert_eq!(text(&line("a; b").prefix("x || y").prefix("z")), "cd /srv && eval 'x || y' && z || exit; a; b");
        assert_eq!(text(&Command::new("a; b")), "a; b");
        let sudo = Sudo::new("p").announce("ok");
        assert_eq!(text(&Command::new("a; b").sudo(sudo)), "sudo -S -p p sh -c 'printf %s ok >&2 || exit; a; b'");
        let raw = line("echo \\\"a\\\"; b").prefix("x='1'; y").env("A", "$1").shell("sh -c").shell_escape(false);
        assert_eq!(text(&raw), r#"sh -c "export A='\$1' && cd /srv && eval 'x='\''1'\''; y' || exit; echo \"a\"; b""#);
    }

    const SHELLS: [&str; 4] = ["sh", "bash", "dash", "zsh"];

    /// Starts `rendered` as a login shell of a host does; what it prints and its exit status.
    fn said(shell: &str, rendered: &Rendered, dir: &std::path::Path) -> (String, Option<i32>) {
        use std::os::unix::ffi::OsStrExt as _;
        let line = std::ffi::OsStr::from_bytes(rendered.as_bytes());
        let mut command = process::Command::new(shell);
        command.arg("-c").arg(line).current_dir(dir).env("HOME", dir).env("ZDOTDIR", dir).stdin(process::Stdio::null());
        let output = command.output().unwrap_or_else(|error| panic!("{shell}: {error}; see scripts/setup-tests"));
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    }

    /// Texts of whatever a shell's grammar has, most of them not quite right.
    fn any_text() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        const PARTS: [&str; 41] = [
            "echo ran",
            "echo ran",
            "echo 'a b'",
            "printf x",
            "true",
            "false",
            "exit 3",
            "set -e",
            "! true",
            "f",
            " ",
            " ",
            ";",
            "; ",
            "\n",
            "\n",
            " && ",
            " || ",
            " | ",
            "#",
            " # ",
            "'",
            "\"",
            "\\",
            "`",
            "$(",
            "(",
            ")",
            "{ ",
            "; }",
            "f() { echo f; }",
            "if true; then ",
            "; fi",
            "case x in x) ",
            ";; esac",
            "cat <<E\na\nE\n",
            "<<E",
            "$'",
            "${x:-",
            "}",
            "return 2",
        ];
        prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..9).prop_map(|parts| parts.concat())
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(24))]
        #[test]
        fn nothing_of_a_command_runs_unless_all_before_it_succeeded(line in any_text(), prefix in any_text()) {
            let temp = tempfile::tempdir().unwrap();
            let command = Command::new(line.clone());
            let before = [
                command.clone().cd("/no/such"),
                command.clone().prefix("false"),
                command.clone().prefix("false # or so").env("A", "1"),
                command.clone().prefix("true; false").prefix("true"),
                command.clone().prefix("echo 'open"),
                command.clone().cd("/no/such").prefix(prefix.clone()),
                command.clone().prefix(prefix.clone()).prefix("! :"),
            ];
            for shell in SHELLS {
                for (n, guarded) in before.iter().enumerate() {
                    let rendered = guarded.render().unwrap();
                    for rendered in [rendered, guarded.clone().shell(format!("{shell} -c")).render().unwrap()] {
                        let (out, status) = said(shell, &rendered, temp.path());
                        // What the prefix prints is its own.
                        let prefixed = n == 6;
                        let own = if prefixed { said(shell, &Command::new(prefix.clone()).render().unwrap(), temp.path()).0 } else { String::new() };
                        proptest::prop_assert!(own.starts_with(&out), "{shell}: {rendered}: {out:?}");
                        // A prefix may exit by itself, with any status.
                        proptest::prop_assert!(status != Some(0) || prefixed, "{shell}: {rendered}");
                    }
                }
            }
        }

        #[test]
        fn a_command_does_the_same_after_a_guard_that_holds(line in any_text()) {
            let temp = tempfile::tempdir().unwrap();
            let alone = Command::new(line);
            let guarded = alone.clone().cd("/").prefix("true; true # so").env("A", "1");
            for shell in SHELLS {
                let want = said(shell, &alone.render().unwrap(), temp.path());
                for guarded in [guarded.clone(), guarded.clone().shell(format!("{shell} -c"))] {
                    let rendered = guarded.render().unwrap();
                    proptest::prop_assert_eq!(&said(shell, &rendered, temp.path()), &want, "{}: {}", shell, rendered);
                }
            }
        }
    }

    fn run(shell: &str, rendered: &Rendered, dir: &std::path::Path) -> Vec<u8> {
        use std::os::unix::ffi::OsStrExt as _;
        let line = std::ffi::OsStr::from_bytes(rendered.as_bytes());
        let output =
            process::Command::new(shell).arg("-c").arg(line).current_dir(dir).env("HOME", dir).output().unwrap();
        assert!(output.status.success(), "{shell}: {rendered}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn any_bytes() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
        use proptest::prelude::*;
        let nasty = prop::sample::select(b"'\"\\$`!;&|<>()*?[]{}~#= \t\n\r%^\x01\x7f\x80\xff-aZ0".to_vec());
        prop::collection::vec(prop_oneof![3 => nasty, 1 => 1_u8..=255], 0..24)
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(48))]
        #[test]
        fn real_shells_see_the_bytes_that_were_given(value in any_bytes(), name in any_bytes(), path in any_bytes()) {
            let name: Vec<u8> = name.into_iter().filter(|b| *b != b'/').collect();
            let temp = tempfile::tempdir().unwrap();
            let made = {
                use std::os::unix::ffi::OsStrExt as _;
                let name = [b"d", &name[..]].concat();
                std::fs::create_dir(temp.path().join(std::ffi::OsStr::from_bytes(&name))).unwrap();
                name
            };
            let command = Command::new(r#"printf '%s\0%s\0%s' "$V" "$PWD" "$PATH""#)
                .env("V", value.clone())
                .path([b"/x", &path[..]].concat(), PathBehavior::Prepend)
                .prefix("unset CDPATH; true")
                .cd(&made);
            for shell in ["sh", "bash"] {
                for wrapped in [command.clone(), command.clone().shell(format!("{shell} -c"))] {
                    let out = run(shell, &wrapped.render().unwrap(), temp.path());
                    let mut fields = out.splitn(3, |b| *b == 0);
                    proptest::prop_assert_eq!(fields.next().unwrap(), &value[..]);
                    proptest::prop_assert!(fields.next().unwrap().ends_with(&[b"/", &made[..]].concat()));
                    let want = [b"/x", &path[..], b":"].concat();
                    proptest::prop_assert!(fields.next().unwrap().starts_with(&want));
                }
            }
        }
    }
}
