//! Runs through plugins.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tests::{BuiltPlugin, Sshd, case, tool};

fn direct_in_c() -> BuiltPlugin {
    BuiltPlugin::compile("direct-c", include_str!("../../../plugins/examples/direct.c"))
}

fn path(plugin: &BuiltPlugin) -> String {
    plugin.file().display().to_string()
}

#[test]
fn the_example_in_c_leads_to_the_host_in_the_program_and_in_a_child() {
    let plugin = direct_in_c();
    for isolation in ["true", "false"] {
        case!()
            .hosts(1)
            .value("plugin", path(&plugin))
            .fabfile(format!("[env]\nplugin_isolation = {isolation}\n"))
            .args(["--plugin", "{plugin}", "-g", "direct-c://", "-H", "{h1}", "--", "echo there"])
            .stdout_has("[{h1}] out: there\n")
            .any_stderr()
            .run();
    }
}

#[test]
fn the_users_directory_is_looked_into_when_a_host_asks() {
    let plugin = direct_in_c();
    let case = |gateway: &str| {
        let case = case!().hosts(1).args(["-g", gateway, "-H", "{h1}", "--", "echo there"]);
        let dir = case.home().join(".local/share/fabric/plugins");
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(plugin.file(), dir.join("direct-c.so")).unwrap();
        fs::write(dir.join("broken.so"), "no library").unwrap();
        fs::set_permissions(dir.join("broken.so"), fs::Permissions::from_mode(0o644)).unwrap();
        case
    };
    case("direct-c://").stdout_has("[{h1}] out: there\n").any_stderr().run();
    // No host needs a plugin: the directory isn't read.
    case("none").stdout_has("[{h1}] out: there\n").stderr_lacks("broken.so").run();
    case("socks://x").any_stdout().stderr_has("`socks`").stderr_has("broken.so: is not a library").status(1).run();
}

#[test]
fn options_that_are_nobodys_are_warned_of() {
    let plugin = direct_in_c();
    let case = |options: &str| {
        let case = case!().hosts(1).value("plugin", path(&plugin));
        let case =
            case.fabfile(format!("[env]\nplugins = [\"{{plugin}}\"]\n[env.transport_options.{options}]\nport = 1\n"));
        case.args(["-H", "{h1}", "--", "echo there"]).stdout_has("[{h1}] out: there\n")
    };
    case("direct-d").stderr_has("no plugin is called `direct-d`: did you mean `direct-c`?\n").run();
    case("elsewhere").stderr_has("warning: transport_options: no plugin is called `elsewhere`\n").run();
    case("direct-c").stderr_lacks("no plugin is called").run();
}

#[test]
fn what_nobody_serves_says_what_to_do() {
    case!()
        .args(["-H", "nowhere://web1", "--", "true"])
        .any_stdout()
        .stderr_has("no transport or gateway is called `nowhere`")
        .stderr_has("setting `plugins`")
        .status(1)
        .run();
}

#[test]
fn what_is_the_other_kind_says_so() {
    let (gateway, transport) = (direct_in_c(), BuiltPlugin::new("container"));
    let case = || {
        let case = case!().hosts(1).value("gateway", path(&gateway)).value("transport", path(&transport));
        case.args(["--plugin", "{gateway}", "--plugin", "{transport}"]).any_stdout().status(1)
    };
    let said = "no transport or gateway is called `direct-c` (it is a gateway: gateway = \"direct-c://..\")";
    case().args(["-H", "direct-c://web1", "--", "true"]).stderr_has(said).run();
    let said = "no transport or gateway is called `container` (it is a transport: transport = \"container\")";
    case().args(["-H", "{h1}", "-g", "container://web1", "--", "true"]).stderr_has(said).run();
    let said = "called `ssh` (a jump host is written without a scheme: me@web1:22)";
    case().args(["-H", "{h1}", "-g", "ssh://me@web1:22", "--", "true"]).stderr_has(said).run();
}

/// `ssh` in the background ends with the run, even if that is killed.
#[test]
fn a_connection_by_openssh_ends_with_whoever_opened_it() {
    let (plugin, sshd) = (BuiltPlugin::new("openssh"), Sshd::builder().start());
    let dir = openssh_project(&sshd, "");
    for (times, isolation) in [(1, "false"), (2, "true")] {
        let mut fab = Command::new(env!("CARGO_BIN_EXE_fab-under-test"));
        fab.arg("--set").arg(format!("plugin_isolation={isolation}"));
        fab.arg("--plugin").arg(plugin.file()).arg("-H").arg(format!("openssh://{}", sshd.hosts()[0].host_string()));
        fab.args(["--", "echo begun; read line"]).current_dir(dir.path()).env("HOME", dir.path());
        let mut fab = fab.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(fab.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().ends_with("out: begun")));
        fab.kill().unwrap();
        fab.wait().unwrap();
        sshd.wait_for_log("Disconnected from", times);
    }
}

/// A directory with a fabfile by which `ssh` knows the host and has the key, with more lines in its configuration.
fn openssh_project(sshd: &Sshd, lines: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (config, known_hosts) = (dir.path().join("config"), dir.path().join("known_hosts"));
    fs::write(&known_hosts, sshd.known_hosts()).unwrap();
    let files = format!("UserKnownHostsFile {}\nIdentityFile {}\n", known_hosts.display(), sshd.key().display());
    fs::write(&config, format!("{lines}\n{files}")).unwrap();
    let settings = format!("[env]\ntransport_options.openssh.args = [\"-F\", \"{}\"]\n", config.display());
    fs::write(dir.path().join("fabfile.toml"), settings).unwrap();
    dir
}

/// Defaults are not passed to programs with their own defaults.
#[test]
fn user_and_port_are_sshs_unless_somebody_says_them() {
    let (plugin, sshd) = (BuiltPlugin::new("openssh"), Sshd::shared());
    let host = &sshd.hosts()[0];
    let dir = openssh_project(sshd, &format!("User nobody-here\nPort {}", host.port));
    let said = |args: &[&str]| {
        let mut fab = Command::new(env!("CARGO_BIN_EXE_fab-under-test"));
        fab.arg("--plugin").arg(plugin.file()).args(args).args(["--", "echo there"]);
        let output = fab.current_dir(dir.path()).env("HOME", dir.path()).stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let address = format!("openssh://{}", host.address);
    assert!(said(&["-H", &address]).contains(&format!("nobody-here@{}: Permission denied", host.address)));
    let me = tests::current_user();
    assert!(said(&["-H", &address, "-u", &me]).contains("out: there"));
    assert!(said(&["-H", &address.replace("//", &format!("//{me}@"))]).contains("out: there"));
    // The usual port is another than none.
    assert!(said(&["-H", &format!("{address}:22"), "-u", &me]).contains("port 22: Connection refused"));
}

#[test]
fn a_container_has_its_own_user_unless_somebody_says_one() {
    let plugin = BuiltPlugin::new("container");
    let kubectl = plugin.script("kubectl", "while test \"$1\" != --; do shift; done\nshift\nexec \"$@\"");
    let case = |args: &[&str]| {
        let case = case!().value("plugin", path(&plugin)).value("kubectl", kubectl.display().to_string());
        let case = case.fabfile(
            "[env]\nplugins = [\"{plugin}\"]\n\
             transport_options = { container = { runtime = \"kubectl\", program = \"{kubectl}\" } }\n",
        );
        case.args(args).args(["--", "echo there"])
    };
    case(&["-H", "container://pod"]).stdout_has("[container://pod] out: there\n").any_stderr().run();
    for args in [&["-H", "container://app@pod"][..], &["-H", "container://pod", "-u", "app"]] {
        case(args).any_stdout().stderr_has("kubectl cannot become a user").status(1).run();
    }
}

#[test]
fn plugins_are_listed_with_what_they_serve() {
    let (container, direct, refused, second) =
        (BuiltPlugin::new("container"), direct_in_c(), direct_in_c(), direct_in_c());
    fs::set_permissions(refused.file(), fs::Permissions::from_mode(0o777)).unwrap();
    case!()
        .value("container", path(&container))
        .value("direct", path(&direct))
        .value("refused", path(&refused))
        .value("second", path(&second))
        .args(["--plugin", "{container}", "--plugin", "{direct}", "--plugin", "{refused}", "--plugin", "{second}"])
        .args(["--plugin", "{container}", "--plugin", "/nowhere/x.so", "--plugin", "/usr", "--plugins"])
        .stdout_has(format!("container  transport  {} (ABI 1.0)", env!("CARGO_PKG_VERSION")))
        .stdout_has("{container}\n")
        .stdout_has("runtime (text): docker (default), podman, kubectl, nsenter or chroot\n")
        .stdout_has("direct-c  gateway  1.0.0 (ABI 1.0)\n")
        .stdout_has("{direct}\n")
        .stdout_has("not taken: plugin {refused}: refused, because others may write it: chmod go-w {refused}\n")
        .stdout_has("not taken: plugin {second}: `direct-c` is served by {direct} already\n")
        .stdout_has("not taken: plugin /nowhere/x.so: cannot be read: No such file")
        .stdout_has("not taken: plugin /usr: is not a file: name the library in it\n")
        // Named twice, it is there once.
        .stdout_lacks("container` is served")
        // A named plugin that can't be loaded is an error.
        .status(2)
        .run();
}

#[test]
fn a_transport_is_chosen_by_host_and_by_scheme_and_its_options_come_through_the_layers() {
    let plugin = BuiltPlugin::new("container");
    let case = || {
        case!().value("plugin", path(&plugin)).fabfile(
            "[env]\nplugins = [\"{plugin}\"]\n\
             transport_options = { container = { command = [\"env\", \"WHO={host}\"] } }\n\
             [roledefs]\njails = { hosts = [\"web4\"], transport = \"container\" }\n\
             [tasks.here]\nrun = \"echo $WHO\"\nwith = { transport = \"container\" }\n\
             [hosts.web1]\ntransport = \"container\"\n\
             [hosts.web3]\ntransport = \"container\"\n\
             transport_options = { container = { command = [\"env\", \"WHO=other\"] } }\n",
        )
    };
    case()
        .args(["-H", "web1,container://web2,web3", "--", "echo $WHO"])
        .stdout_has("[web1] out: web1\n")
        .stdout_has("[container://web2] out: web2\n")
        .stdout_has("[web3] out: other\n")
        .any_stderr()
        .run();
    case().args(["-R", "jails", "--", "echo $WHO"]).stdout_has("[web4] out: web4\n").any_stderr().run();
    case().args(["-H", "web5", "here"]).stdout_has("[web5] out: web5\n").any_stderr().run();
    let shown = case().args(["--show-config", "container://web2"]).any_stdout().run();
    let line = shown.stdout.lines().find(|line| line.starts_with("transport ")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>()[1..], ["container", "host", "string,", "container://web2"]);
    case()
        .args(["-g", "socks5://me:sesame@proxy:1080", "--show-config", "web3"])
        .stdout_has("WHO=other")
        .stdout_has("socks5://me:***@proxy:1080")
        .stdout_lacks("sesame")
        .run();
}

/// The transport of docs/plugins.md, as a reader copies it from the page into what `--init plugin` has written.
#[test]
fn the_transport_of_the_page_builds_and_runs() {
    let page = include_str!("../../../docs/plugins.md");
    let code = page.split("## A transport in 40 lines").nth(1).and_then(|rest| rest.split("```rust\n").nth(1));
    let code = code.and_then(|rest| rest.split("```").next()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let plugin = built_by_cargo(dir.path(), "nice", code);
    let case = |host: &str, command: &str| {
        let case = case!().value("plugin", plugin.display().to_string());
        case.args(["--plugin", "{plugin}", "-H", host, "--", command]).any_stderr()
    };
    // The maximum, whatever the niceness of the tests.
    case("nice://19", "nice").stdout_has("[nice://19] out: 19\n").run();
    case("nice://very", "nice").any_stdout().stderr_has("the host must be a number: nice://10").status(1).run();
}

#[test]
fn the_starter_for_a_plugin_builds_and_passes_its_test() {
    let case = case!().args(["--init", "plugin"]).any_stdout();
    let ran = case.run();
    let mut cargo = Command::new(tool("cargo"));
    let built = build_starter("test", &ran.case().dir().join("my-gateway"), cargo.env("RUSTFLAGS", "-Dwarnings"));
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    assert!(String::from_utf8_lossy(&built.stdout).contains("1 passed"));
}

/// Where [`build_starter`] builds, for all tests.
fn starters() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("starter")
}

/// The library of a package called `name`.
pub(crate) fn built_by_cargo(dir: &Path, name: &str, source: &str) -> PathBuf {
    let built = cargo(dir, name, source, "");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let library = format!("{}{}{}", std::env::consts::DLL_PREFIX, name.replace('-', "_"), std::env::consts::DLL_SUFFIX);
    let file = dir.join(name).join(&library);
    fs::copy(starters().join("debug").join(&library), &file).unwrap();
    for path in [file.as_path(), file.parent().unwrap()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    file
}

/// What cargo says of a package that `--init plugin` has written, with another name and source, and `more` in its
/// manifest.
pub(crate) fn cargo(dir: &Path, name: &str, source: &str, more: &str) -> Output {
    let package = dir.join(name);
    fs::create_dir_all(package.join("src")).unwrap();
    fs::write(package.join("src/lib.rs"), source).unwrap();
    let manifest = include_str!("../../../fabric-cli/src/actions/init/plugin_Cargo.toml");
    let manifest = manifest.replace("my-gateway", name).replace("@VERSION@", env!("CARGO_PKG_VERSION"));
    fs::write(package.join("Cargo.toml"), format!("{manifest}{more}")).unwrap();
    build_starter("build", &package, &mut Command::new(tool("cargo")))
}

/// Builds or tests a package such as `--init plugin` writes, with the SDK and the versions that are here already, so that
/// nothing is fetched.
fn build_starter(what: &str, package: &Path, cargo: &mut Command) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    let sdk = root.join("plugins/sdk").canonicalize().unwrap().display().to_string();
    let patch = format!("patch.crates-io.fabric-plugin-sdk.path={sdk:?}");
    cargo.args([what, "--offline", "--target-dir"]).arg(starters()).args(["--config", &patch]);
    cargo.current_dir(package).output().unwrap()
}

#[test]
fn lines_of_ssh_config_count_for_the_systems_ssh() {
    let (plugin, sshd) = (BuiltPlugin::new("openssh"), Sshd::shared());
    let host = &sshd.hosts()[0];
    let dir = openssh_project(sshd, "");
    let said = |options: &str| {
        let mut fab = Command::new(env!("CARGO_BIN_EXE_fab-under-test"));
        fab.arg("--plugin").arg(plugin.file()).args(["-H", &format!("openssh://{}", host.host_string())]);
        fab.args(["--set", &format!("ssh_options={options}"), "--", "echo there $FABRIC_TEST_A"]);
        let output = fab.current_dir(dir.path()).env("HOME", dir.path()).stdin(Stdio::null()).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    for (options, words) in [
        ("SetEnv=FABRIC_TEST_A=set", "out: there set\n"),
        ("User=nobody-here", "nobody-here@"),
        ("Nonsense=yes", "Bad configuration option"),
        ("ForkAfterAuthentication=yes", "setting `ssh_options`: `ForkAfterAuthentication` is not possible"),
    ] {
        let said = said(options);
        assert!(said.to_lowercase().contains(&words.to_lowercase()), "{options}: {said}");
    }
}
