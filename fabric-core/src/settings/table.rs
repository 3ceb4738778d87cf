//! The table: each setting in one block.

use std::path::PathBuf;

use indexmap::IndexMap;

use super::kind::{Amount, FromValue, Gate, NotOfKind, Seconds, Switch};
use super::layer::Problem;
use super::setting::{About, Setting};
use super::value::{Map, Value};
use crate::command::{PathBehavior, Sudo};
use crate::secret::Secret;

macro_rules! settings {
    ($( $group:literal { $( $(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr
        $(, option $option:literal)? $(, alias $($alias:literal)|+)? $(, inverse $inverse:literal)?
        $(, unit $unit:literal)? $(, ($about:ident))? $(, classic $classic:literal)?; )+ } )+) => {
        /// The settings in force, typed. See [`TABLE`] for what each does.
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub struct Settings {
            $($( $(#[doc = $doc])+ pub $name: $type, )+)+
            /// Shared state: every other key, as tasks and fabfiles have set it.
            pub extra: IndexMap<String, Value>,
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($( $name: $default, )+)+ extra: IndexMap::new() }
            }
        }

        /// Every setting, grouped as the classic documentation groups them.
        pub static TABLE: &[Setting] = &[ $($( Setting {
            name: stringify!($name),
            group: $group,
            kind: <$type as FromValue>::KIND,
            doc: concat!($($doc, "\n"),+),
            option: concat!("" $(, $option)?),
            aliases: &[$($($alias),+)?],
            inverse: &[$($inverse)?],
            unit: concat!("" $(, $unit)?),
            about: settings!(@about $($about)?),
            classic: concat!("" $(, $classic)?),
            default: || { let default: $type = $default; default.to_value() },
        }, )+)+ ];

        impl Settings {
            /// Sets one by its classic name; any other name is shared state.
            ///
            /// # Errors
            ///
            /// A value of the wrong type; the message says what was expected and never holds a secret.
            pub fn set(&mut self, name: &str, value: &Value) -> Result<(), Problem> {
                match name {
                    $($( stringify!($name) => match value {
                        Value::Null => self.$name = $default,
                        _ => self.$name = typed(name, value)?,
                    }, )+)+
                    _ => { self.extra.insert(name.to_owned(), value.clone()); }
                }
                Ok(())
            }

            /// One by its classic name, or shared state, as an untyped value. Secrets come as texts.
            pub fn get(&self, name: &str) -> Option<Value> {
                match name {
                    $($( stringify!($name) => Some(self.$name.to_value()), )+)+
                    _ => self.extra.get(name).cloned(),
                }
            }
        }
    };
    (@about) => { About::Hosts };
    (@about information) => { About::Information };
    (@about lists) => { About::Lists };
    (@about files) => { About::Files };
}

impl Setting {
    /// The setting of this classic name.
    pub fn find(name: &str) -> Option<&'static Setting> {
        TABLE.iter().find(|setting| setting.name == name)
    }
}

fn typed<T: FromValue>(name: &str, value: &Value) -> Result<T, Problem> {
    let wrong = |why: NotOfKind| {
        let found = Setting::find(name).map(|setting| setting.found(value)).unwrap_or_default();
        Problem::new(format!("setting `{name}`: {why}{found}"))
    };
    T::KIND.check(value).map_err(wrong)?;
    T::from_value(value).ok_or_else(|| wrong(NotOfKind(T::KIND)))
}

settings! {
    "Failures" {
        /// The exception a Python fabfile raises instead of exiting when a run aborts.
        /// Only a Python fabfile can set it.
        abort_exception: Option<String> = None;
        /// Whether to fail instead of asking a person for anything: passwords, passphrases, hosts, questions of tasks.
        abort_on_prompts: bool = false, option "--abort-on-prompts";
        /// Whether a failing command is a warning instead of a failure of the task.
        warn_only: bool = false, option "-w, --warn-only", alias "run.warn";
        /// The exit statuses of commands that count as success.
        ok_ret_codes: Vec<u32> = vec![0];
        /// Whether hosts that can't be reached are skipped with a warning instead of failing the run.
        skip_bad_hosts: bool = false, option "--skip-bad-hosts";
        /// Whether unknown task names are skipped with a warning instead of refusing the whole command line.
        skip_unknown_tasks: bool = false, option "--skip-unknown-tasks", (lists);
        /// Which kinds of failure a Python fabfile gets as exceptions: `network`.
        use_exceptions_for: IndexMap<String, bool> = IndexMap::from([("network".to_owned(), false)]);
    }

    "Information" {
        /// The host list of the running task.
        all_hosts: Vec<String> = Vec::new(), (information);
        /// The name of the running task.
        command: Option<String> = None, (information);
        /// The roles whose hosts the running task has.
        effective_roles: Vec<String> = Vec::new(), (information);
        /// The name or address of the current host, ssh_config applied.
        host: Option<String> = None, (information);
        /// The current host, as written.
        host_string: Option<String> = None, (information);
        /// The user who runs this program.
        local_user: Option<String> = None, (information);
        /// The fabfile that was loaded.
        real_fabfile: Option<PathBuf> = None, (information);
        /// The tasks of the command line, as typed.
        tasks: Vec<String> = Vec::new(), (information);
        /// The version of this program.
        version: String = env!("CARGO_PKG_VERSION").to_owned(), (information);
    }

    "Host lists" {
        /// The global host list.
        /// In a fabfile's `[env]` also `{ extend = [..] }` or `{ replace = [..] }`.
        hosts: Vec<String> = Vec::new(), option "-H, --hosts", (lists);
        /// The global role list.
        /// In a fabfile's `[env]` also `{ extend = [..] }` or `{ replace = [..] }`.
        roles: Vec<String> = Vec::new(), option "-R, --roles", (lists);
        /// Roles: names for lists of hosts, or for commands that print one.
        roledefs: Map = Map::new(), (lists);
        /// Hosts that are left out of global host lists; `-x` always adds to them.
        /// In files also `{ extend = [..] }`, which adds to those of lower layers.
        exclude_hosts: Vec<String> = Vec::new(), option "-x, --exclude-hosts", (lists);
        /// The only hosts that any host list may have, whichever level it comes from; empty: all.
        only_hosts: Vec<String> = Vec::new(), option "--only", (lists);
        /// Whether a host that is listed twice is used once.
        dedupe_hosts: bool = true, (lists);
        /// Whether tasks run on their hosts at the same time.
        parallel: bool = false, option "-P, --parallel", (lists);
        /// How many hosts a parallel task runs on at the same time; 0 is all.
        pool_size: u32 = 0, option "-z, --pool-size", unit "hosts", (lists);
        /// Whether output is shown in whole lines only; implied by `parallel`.
        linewise: bool = false, option "--linewise";
        /// Whether connections are closed after each task instead of at the end of the run.
        eagerly_disconnect: bool = false, option "-e, --eagerly-disconnect", (lists);
        /// Rolling execution: how many hosts, or what share of them (`25%`), a task runs on before it goes on to the next.
        batch: Option<Amount> = None, option "--batch", unit "hosts or %", (lists);
        /// How many hosts, or what share of them, may fail before nothing new is started. If it is not set, a task that
        /// runs in parallel is still started on all hosts of its batch, or of its list without batches, and nothing after that.
        max_failures: Option<Amount> = None, option "--max-failures", unit "hosts or %", (lists);
        /// How often a task is tried again on a host on which it failed.
        retries: u32 = 0, option "--retries";
        /// Only the first so many hosts, or that share, of each host list.
        limit: Option<Amount> = None, option "--limit", unit "hosts or %", (lists);
    }

    "Commands" {
        /// Whether commands may have a pseudo-terminal; if it is set to true, they have one unless a call says otherwise.
        always_use_pty: Gate = Gate::Open, option "--no-pty (false)", alias "run.pty";
        /// Whether commands may have their stderr merged into stdout; if it is set to true, it is merged unless a call says otherwise.
        combine_stderr: Gate = Gate::Open;
        /// Commands that must succeed before each command, in the same shell.
        command_prefixes: Vec<String> = Vec::new();
        /// The remote working directory.
        cwd: String = String::new();
        /// The local working directory.
        lcwd: String = String::new();
        /// Directories for `$PATH`, separated by `:`.
        path: String = String::new();
        /// Where `path` goes in `$PATH`.
        path_behavior: PathBehavior = PathBehavior::Append;
        /// Environment variables of commands.
        shell_env: IndexMap<String, String> = IndexMap::new(), alias "run.env";
        /// The shell that commands are wrapped in, where they are.
        /// Naming one asks for it, unless `use_shell` is false.
        shell: String = "/bin/bash -l -c".to_owned(), option "-s, --shell", alias "run.shell";
        /// Whether commands may be wrapped in `shell`; if it is set to true, they are wrapped unless a call says otherwise.
        use_shell: Gate = Gate::Open;
        /// Whether a wrapped command is quoted for its shell.
        shell_escape: bool = true;
        /// How long a command may take; unset or 0 is no limit.
        command_timeout: Option<Seconds> = None, option "-T, --command-timeout", alias "timeouts.command", unit "seconds";
        /// Whether Ctrl-C is passed to the remote command before the run ends it.
        /// True: it is typed on the command's pseudo-terminal, and the command has 3 seconds to end by itself. Unset or false: the
        /// command is ended at once. In an open shell it is always passed on.
        remote_interrupt: Option<bool> = None;
        /// Answers to prompts of commands, by the text of the prompt. With any of them, the input of commands stays open
        /// until they end, so a command that reads to the end of its input waits. A warning is shown, once, if a command is silent
        /// for 15 s.
        prompts: IndexMap<String, String> = IndexMap::new();
        /// Whether lines of output begin with `[host] out:` or `[host] err:`.
        output_prefix: bool = true;
        /// Whether errors are red and warnings magenta on a terminal.
        colorize_errors: bool = false, option "--colorize-errors";
        /// Whether what is typed for a command without a terminal is shown.
        echo_stdin: bool = true, alias "run.echo_stdin";
        /// How much of each output stream a command's outcome keeps, from its end; unset is all.
        capture_buffer_size: Option<u64> = None, unit "bytes";
    }

    "Login and sudo" {
        /// The login user; unset is the user who runs this program.
        user: Option<String> = None, option "-u, --user";
        /// The login password, which is the answer to `sudo` too.
        password: Option<Secret> = None, option "-p, --password; -I", alias "connect_kwargs.password";
        /// Login passwords by host: `user@host:port`, or any shorter host string.
        passwords: IndexMap<String, Secret> = IndexMap::new();
        /// The passphrase of encrypted keys.
        passphrase: Option<Secret> = None, alias "connect_kwargs.passphrase";
        /// The password for `sudo`; unset is the login password.
        sudo_password: Option<Secret> = None, option "--sudo-password; --initial-sudo-password-prompt", alias "sudo.password";
        /// Passwords for `sudo` by host.
        sudo_passwords: IndexMap<String, Secret> = IndexMap::new();
        /// How `sudo` is called, before user and group.
        sudo_prefix: String = Sudo::PREFIX.to_owned();
        /// The text with which `sudo` asks for the password; unset is a random one for each run, which no output can imitate.
        sudo_prompt: Option<String> = None, alias "sudo.prompt",
            classic "`sudo password:`: any output could imitate a text that is known";
        /// The user that `sudo` becomes; unset is root.
        sudo_user: Option<String> = None, alias "sudo.user";
        /// The text of a private key.
        key: Option<Secret> = None, alias "connect_kwargs.pkey";
        /// Private key files to try.
        key_filename: Vec<String> = Vec::new(), option "-i", alias "connect_kwargs.key_filename" | "authentication.identities", (files);
        /// Whether the user's agent is not used.
        no_agent: bool = false, option "-a, --no-agent", inverse "connect_kwargs.allow_agent";
        /// Whether the keys in `~/.ssh` are not used.
        no_keys: bool = false, option "-k, --no-keys", inverse "connect_kwargs.look_for_keys";
        /// Whether processes on the host may use the user's agent.
        forward_agent: bool = false, option "-A, --forward-agent";
        /// Whether to log in by GSSAPI (Kerberos): in builds with the feature `gssapi`, and with the transport `openssh`, as its
        /// ssh_config says.
        gss_auth: bool = false, option "--gss-auth", alias "connect_kwargs.gss_auth";
        /// Whether to delegate GSSAPI credentials: in builds with the feature `gssapi`, and with the transport `openssh`, as its
        /// ssh_config says.
        gss_deleg: bool = false, option "--gss-deleg", alias "connect_kwargs.gss_deleg_creds";
        /// Whether to exchange keys by GSSAPI: with the transport `openssh` only, as its ssh_config says.
        gss_kex: bool = false, option "--gss-kex", alias "connect_kwargs.gss_kex";
    }

    "Connecting" {
        /// How long connecting to one address, or through the gateway, may take, up to the server's version line; 0 is no limit.
        /// As ConnectTimeout of ssh. With `banner_timeout` it ends with the connected stream. The connection to a jump host has a
        /// limit of its own.
        timeout: Seconds = Seconds(10.0), option "-t, --timeout", alias "timeouts.connect" | "connect_kwargs.timeout", unit "seconds";
        /// How long each answer of the server during login may take.
        auth_timeout: Seconds = Seconds(30.0), option "--auth-timeout", alias "connect_kwargs.auth_timeout", unit "seconds";
        /// How long the server's version line may take once the stream is connected, and then the key exchange; 0 is no limit.
        /// Unset: `timeout` covers the version line too, and the key exchange may take 15 s.
        banner_timeout: Option<Seconds> = None, option "--banner-timeout", alias "connect_kwargs.banner_timeout", unit "seconds";
        /// How long opening a channel may take.
        /// If the server accepts no more sessions (`MaxSessions`): how long to wait for one of the open ones to end.
        channel_timeout: Seconds = Seconds(30.0), alias "connect_kwargs.channel_timeout", unit "seconds";
        /// How often to try to connect, the first time included.
        connection_attempts: u32 = 1, option "-n, --connection-attempts";
        /// After how much silence to ask whether the host is still there; 0 is never.
        /// After 3 questions without an answer (ssh_config's ServerAliveCountMax), and as much silence again, the connection is
        /// closed: after two minutes by default. A host whose output isn't read at the moment is not asked. ssh_config's
        /// ServerAliveInterval applies, 0 too.
        keepalive: Seconds = Seconds(30.0), option "--keepalive", unit "seconds",
            classic "0: a host whose network is gone would be waited for without end";
        /// The way to the host: jump hosts, a command or a plugin.
        /// It is a plugin's if it begins with `scheme://`, a command (ProxyCommand) if it has white space in it, else a list of hosts
        /// separated by commas (ProxyJump). `false` or `none` is a direct connection.
        gateway: Switch = Switch::Unset, option "-g, --gateway";
        /// The port, if neither the host string nor ssh_config has one; unset is 22.
        port: Option<u16> = None, option "--port";
        /// The name or address to dial instead of the host part of the host string, as ssh_config's HostName, which it overrides.
        /// Host keys are looked up by it. `[hosts.*]`, ssh_config's `Host`, lists and output use the host string. An inventory's
        /// `ansible_host` sets this.
        hostname: Option<String> = None;
        /// Lines of ssh_config that beat those of all files, as of `ssh -o`: `ServerAliveInterval=30`.
        /// They count below all other settings, and where ssh_config is not read, too; only the transports `ssh` and `openssh` take them.
        ssh_options: Vec<String> = Vec::new();
        /// Whether to compress.
        compression: bool = false, alias "connect_kwargs.compress";
        /// Ciphers to offer, in order. Empty: ssh_config's, else the transport's own.
        ciphers: Vec<String> = Vec::new();
        /// Key exchange algorithms to offer, in order. Empty: ssh_config's, else the transport's own.
        kex_algorithms: Vec<String> = Vec::new();
        /// Message authentication codes to offer, in order. Empty: ssh_config's, else the transport's own.
        macs: Vec<String> = Vec::new();
        /// Types of host keys to accept, in order. Empty: ssh_config's, else the transport's own.
        host_key_algorithms: Vec<String> = Vec::new();
        /// Whether to accept any host key without checking or recording it.
        disable_known_hosts: bool = false, option "-D, --disable-known-hosts";
        /// Whether hosts that are in no known_hosts file are refused.
        reject_unknown_hosts: bool = false, option "-r, --reject-unknown-hosts";
        /// A further known_hosts file that is read and never written.
        system_known_hosts: Option<PathBuf> = None, option "--system-known-hosts", (files);
        /// Whether ssh_config is read.
        /// The default of Fabric 1 was false; in a Python fabfile of the classic API it still is.
        use_ssh_config: bool = true, option "--ignore-ssh-config (false)", alias "load_ssh_configs",
            classic "false: `ssh` reads it, and so does Fabric 3; a Python fabfile of the classic API keeps false";
        /// The ssh_config to read instead of the user's and the system's.
        ssh_config_path: Option<PathBuf> = None, option "--ssh-config-path", (files),
            classic "`$HOME/.ssh/config`: unset reads it too, and the system's file after it, as `ssh` does";
        /// How hosts are reached: `ssh`, `local`, or a plugin's name.
        transport: String = "ssh".to_owned();
        /// Options of a plugin's transport or gateway, by plugin.
        transport_options: Map = Map::new();
        /// Plugin files to load.
        plugins: Vec<String> = Vec::new(), option "--plugin", (files);
        /// Whether plugins run in child processes, so that even a crash of one is only an error of its hosts.
        plugin_isolation: bool = false;
        /// Whether environment variables are part of the command; false sends them separately, and most servers drop them.
        inline_ssh_env: bool = true;
    }

    "Files" {
        /// The fabfile's name to search for, or its path.
        fabfile: String = "fabfile".to_owned(), option "-f, --fabfile", alias "tasks.collection_name",
            classic "`fabfile.py`: fabfiles may be TOML, YAML, JSON and Rust too, so the ending is left open";
        /// The Python that runs fabfiles in Python: a path, a name on `PATH`, or the directory of a virtual environment. If it is
        /// unset, one is looked for: `fab --explain python` says which, and why.
        python: Option<String> = None, option "--python";
        /// What to do with fabfiles in Python 2: `convert` makes them Python 3 in memory, each time they are loaded. Unset: an error
        /// that says where they are (`fab --to-python3` converts files).
        python2: Option<String> = None;
        /// The user's settings file; unset is `~/.fabricrc`.
        rcfile: Option<PathBuf> = None, option "-c, --config",
            classic "`$HOME/.fabricrc`: the same file, which unset stands for";
    }
}
