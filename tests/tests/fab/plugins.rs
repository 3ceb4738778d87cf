//! Plugins: the run goes their way, and goes on where one is broken.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tests::{BuiltPlugin, Case, case, tool};

fn direct_in_c() -> BuiltPlugin {
    BuiltPlugin::compile("direct-c", include_str!("../../../plugins/examples/direct.c"))
}

/// A gateway called `bad` whose `dial` is the given body.
fn bad(name: &str, dial: &str) -> BuiltPlugin {
    let source = r#"
#include "fabric_plugin.h"
#include <unistd.h>
static int32_t describe(fabric_buf *out) {
    static char text[] = "{\"kind\":\"gateway\",\"summary\":\"a bad one\"}";
    out->ptr = (uint8_t *)text; out->len = sizeof text - 1; out->capacity = 0; return FABRIC_OK;
}
static int32_t dial(fabric_str request, int32_t cancel_fd, int32_t *out_fd, fabric_buf *error) { DIAL }
const fabric_plugin *fabric_plugin_entry(void) {
    static fabric_plugin t;
    t.abi_version = FABRIC_ABI_VERSION; t.size = sizeof t;
    t.name.ptr = (const uint8_t *)"bad"; t.name.len = 3; t.version.ptr = (const uint8_t *)"1"; t.version.len = 1;
    t.describe = describe; t.dial = dial;
    return &t;
}
"#;
    BuiltPlugin::compile(name, &source.replace("DIAL", dial))
}

fn path(plugin: &BuiltPlugin) -> String {
    plugin.file().display().to_string()
}

/// Two hosts at once, the second of which is behind `bad://`.
fn second_behind_bad(plugin: &Path, isolation: bool) -> Case {
    case!()
        .hosts(2)
        .value("plugin", plugin.display().to_string())
        .fabfile(format!(
            "[env]\nplugin_isolation = {isolation}\ntimeout = 1\nbanner_timeout = 1\n\
             [hosts.\"{{address2}}\"]\ngateway = \"bad://there\"\n"
        ))
        .args(["-P", "--plugin", "{plugin}", "-H", "{hosts}", "--", "echo fine"])
        .stdout_has("[{h1}] out: fine\n")
        .stdout_lacks("[{h2}] out:")
        .stderr_has("1 ok, 1 failed")
        .status(1)
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
    // Nobody asks for a plugin: what lies there is not even looked at.
    case("none").stdout_has("[{h1}] out: there\n").stderr_lacks("broken.so").run();
    case("socks://x").any_stdout().stderr_has("`socks`").stderr_has("broken.so: is not a library").status(1).run();
}

#[test]
fn a_crash_in_a_child_is_an_error_of_its_host_alone() {
    let plugin = bad("crashing", "*(volatile int *)8 = 1; return FABRIC_OK;");
    second_behind_bad(plugin.file(), true)
        .stderr_has("[{h2}] error: ")
        .stderr_has("{plugin}: it crashed (signal 11)")
        .run();
}

#[test]
fn a_child_may_say_more_than_a_pipe_holds_and_its_last_line_is_told() {
    let talk = "for (int i = 0; i < 20000; i++) write(2, \"chatter\\n\", 8); write(2, \"last words\\n\", 11);\
                *(volatile int *)8 = 1; return FABRIC_OK;";
    let plugin = bad("talkative", talk);
    second_behind_bad(plugin.file(), true).stderr_has("{plugin}: it crashed (signal 11): last words").run();
}

#[test]
fn other_bad_plugins_are_errors_of_their_hosts_alone() {
    let bad_ones = [
        (bad("hanging", "for (;;) pause(); return FABRIC_OK;"), "gave no answer within 2 s"),
        (bad("failing", "return FABRIC_FAILED;"), "it failed and gave no reason"),
        (bad("closed", "*out_fd = 999; return FABRIC_OK;"), "it gave descriptor 999, which is not open"),
    ];
    for (plugin, reason) in &bad_ones {
        for isolation in [false, true] {
            let case = second_behind_bad(plugin.file(), isolation);
            case.stderr_has("{plugin}").stderr_has(*reason).run();
        }
    }
}

#[test]
fn a_plugin_that_cannot_be_loaded_is_an_error_of_the_hosts_that_need_it_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("broken.so");
    fs::write(&file, "no library").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    for isolation in [false, true] {
        second_behind_bad(&file, isolation)
            .stderr_has("warning: plugin {plugin}: is not a library for this system")
            .stderr_has("[{h2}] error: ")
            .stderr_has("no transport or gateway is called `bad`")
            .run();
    }
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
fn plugins_are_listed_with_what_they_serve() {
    let (container, direct) = (BuiltPlugin::new("container"), direct_in_c());
    let refused = bad("writable", "return FABRIC_FAILED;");
    fs::set_permissions(refused.file(), fs::Permissions::from_mode(0o777)).unwrap();
    case!()
        .value("container", path(&container))
        .value("direct", path(&direct))
        .value("refused", path(&refused))
        .args(["--plugin", "{container}", "--plugin", "{direct}", "--plugin", "{refused}", "--plugins"])
        .stdout_has(format!("container  transport  {} (ABI 1.0)", env!("CARGO_PKG_VERSION")))
        .stdout_has("{container}\n")
        .stdout_has("runtime (text): docker (default), podman, kubectl, nsenter or chroot\n")
        .stdout_has("direct-c  gateway  1.0.0 (ABI 1.0)\n")
        .stdout_has("{direct}\n")
        .stdout_has("not taken: plugin {refused}: refused, because others may write it")
        .run();
}

#[test]
fn a_transport_is_chosen_by_host_and_by_scheme_and_its_options_come_through_the_layers() {
    let plugin = BuiltPlugin::new("container");
    let case = || {
        case!().value("plugin", path(&plugin)).fabfile(
            "[env]\nplugins = [\"{plugin}\"]\n\
             transport_options = { container = { command = [\"env\", \"WHO={host}\"] } }\n\
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
    case()
        .args(["-g", "socks5://me:sesame@proxy:1080", "--show-config", "web3"])
        .stdout_has("WHO=other")
        .stdout_has("socks5://me:***@proxy:1080")
        .stdout_lacks("sesame")
        .run();
}

#[test]
fn the_starter_for_a_plugin_builds() {
    let case = case!().args(["--init", "plugin"]).any_stdout();
    let ran = case.run();
    let dir = ran.case().dir().join("my-gateway");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    // The versions that are here already, so that nothing is fetched.
    fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock")).unwrap();
    let sdk = root.join("plugins/sdk").canonicalize().unwrap();
    let built = Command::new(tool("cargo"))
        .args(["build", "--offline", "--target-dir", concat!(env!("CARGO_TARGET_TMPDIR"), "/starter"), "--config"])
        .arg(format!("patch.crates-io.fabric-plugin-sdk.path={sdk:?}"))
        .env("RUSTFLAGS", "-Dwarnings")
        .current_dir(&dir)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}
