//! Broken plugins: the run goes on for other hosts, and the error names the file and the problem.

use std::fs;
use std::path::Path;

use tests::{BuiltPlugin, Case, case};

use super::plugins::{built_by_cargo, cargo};

/// The common part of the plugins in C, with many faulty descriptions.
const BEGIN: &str = r#"
#include "fabric_plugin.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int32_t say(fabric_buf *out, const char *text, size_t len) {
    out->ptr = (uint8_t *)text; out->len = len; out->capacity = 0; return FABRIC_OK;
}
#define SAY(out, text) say(out, text, sizeof text - 1)
"#;

/// A gateway called `bad` whose `dial` is the given body, and whose table the statements change.
fn gateway(name: &str, dial: &str, statements: &str) -> BuiltPlugin {
    let source = r#"
static int32_t describe(fabric_buf *out) { return SAY(out, "{\"kind\":\"gateway\",\"summary\":\"a bad one\"}"); }
static int32_t garbage(fabric_buf *out) { return SAY(out, "{\"kind\": gate"); }
static int32_t no_text(fabric_buf *out) { return SAY(out, "\xff\xfe"); }
static int32_t nothing(fabric_buf *out) { out->ptr = 0; out->len = 100; return FABRIC_OK; }
static int32_t hang(fabric_buf *out) { for (;;) pause(); return FABRIC_OK; }
static int32_t dial(fabric_str request, int32_t cancel_fd, int32_t *out_fd, fabric_buf *error) { DIAL }
const fabric_plugin *fabric_plugin_entry(void) {
    static fabric_plugin t;
    t.abi_version = FABRIC_ABI_VERSION; t.size = sizeof t;
    t.name.ptr = (const uint8_t *)"bad"; t.name.len = 3; t.version.ptr = (const uint8_t *)"1"; t.version.len = 1;
    t.describe = describe; t.dial = dial;
    (void)garbage; (void)no_text; (void)nothing; (void)hang;
    STATEMENTS
    return &t;
}
"#;
    let source = source.replace("DIAL", dial).replace("STATEMENTS", statements);
    BuiltPlugin::compile(name, &format!("{BEGIN}{source}"))
}

/// A transport called `bad` whose `spawn` is the given body.
fn transport(name: &str, spawn: &str) -> BuiltPlugin {
    let source = r#"
static int32_t describe(fabric_buf *out) { return SAY(out, "{\"kind\":\"transport\",\"summary\":\"a bad one\"}"); }
static int32_t open_(fabric_str request, int32_t cancel_fd, uint64_t *session, fabric_buf *error) { return FABRIC_OK; }
static int32_t spawn(uint64_t session, fabric_str request, int32_t cancel_fd, int32_t fds[4], fabric_buf *error) { SPAWN }
const fabric_plugin *fabric_plugin_entry(void) {
    static fabric_plugin t;
    t.abi_version = FABRIC_ABI_VERSION; t.size = sizeof t;
    t.name.ptr = (const uint8_t *)"bad"; t.name.len = 3; t.version.ptr = (const uint8_t *)"1"; t.version.len = 1;
    t.describe = describe; t.open = open_; t.spawn = spawn;
    return &t;
}
"#;
    BuiltPlugin::compile(name, &format!("{BEGIN}{}", source.replace("SPAWN", spawn)))
}

const CRASH: &str = "*(volatile int *)8 = 1; return FABRIC_OK;";

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

/// One host by SSH, and beside it those that the transport `bad` reaches; `what` is run on all.
fn beside_bad(plugin: &Path, isolation: bool, bad: &str, what: &[&str]) -> Case {
    case!()
        .hosts(1)
        .value("plugin", plugin.display().to_string())
        .file("local", "content")
        .fabfile(format!(
            "[env]\nplugin_isolation = {isolation}\n\
             [tasks.send]\nsteps = [{{ put = \"local\", to = \"{{far}}/there\" }}]\n"
        ))
        .args(["-P", "--plugin", "{plugin}", "-H", &format!("{{h1}},{bad}")])
        .args(what)
}

const FINE: &[&str] = &["--", "echo fine"];

#[test]
fn a_crash_in_a_child_is_an_error_of_its_host_alone() {
    second_behind_bad(gateway("crashing", CRASH, "").file(), true)
        .stderr_has("[{h2}] error: ")
        .stderr_has("{plugin}: it crashed (signal 11)")
        .run();
    // Of a transport in the middle of starting a process, too.
    beside_bad(transport("crashing", CRASH).file(), true, "bad://web2", FINE)
        .stdout_has("[{h1}] out: fine\n")
        .stderr_has("[bad://web2] error: ")
        .stderr_has("plugin {plugin}: starting a process: it crashed (signal 11)")
        .stderr_has("1 ok, 1 failed")
        .status(1)
        .run();
}

#[test]
fn a_child_may_say_more_than_a_pipe_holds_and_its_last_line_is_told() {
    let talk =
        "for (int i = 0; i < 20000; i++) (void)!write(2, \"chatter\\n\", 8); (void)!write(2, \"last words\\n\", 11);";
    let plugin = gateway("talkative", &format!("{talk}{CRASH}"), "");
    second_behind_bad(plugin.file(), true).stderr_has("{plugin}: it crashed (signal 11): last words").run();
}

/// An isolated plugin may do anything to the standard descriptors and input of its process.
#[test]
fn a_child_without_standard_descriptors_serves_on() {
    let dial = "char c; if (read(0, &c, 1) != 0) return 77; (void)!write(1, \"noise\\n\", 6); \
                close(0); close(1); close(2); return FABRIC_FAILED;";
    second_behind_bad(gateway("closing", dial, "").file(), true)
        .stderr_has("{plugin}: it failed and gave no reason")
        .stdout_lacks("noise")
        .run();
}

#[test]
fn bad_answers_are_errors_of_their_hosts_alone() {
    let bad_ones = [
        (gateway("failing", "return FABRIC_FAILED;", ""), "it failed and gave no reason"),
        (gateway("closed", "*out_fd = 999; return FABRIC_OK;", ""), "it gave descriptor 999, which is not open"),
        (gateway("ours", "*out_fd = 1; return FABRIC_OK;", ""), "it gave descriptor 1, which is not its to give"),
        (gateway("none", "return FABRIC_OK;", ""), "it gave descriptor -1, which is not its to give"),
        (gateway("status", "return 77;", ""), "it answered with the unknown status 77"),
        (gateway("mumbling", "SAY(error, \"\\xff\\xfe\"); return FABRIC_FAILED;", ""), "its answer is not UTF-8"),
        (gateway("file", "*out_fd = open(\"/dev/null\", 0); return FABRIC_OK;", ""), "its descriptor cannot be used"),
        (gateway("missing", "return FABRIC_UNSUPPORTED;", ""), "it does not support this"),
    ];
    for (plugin, reason) in &bad_ones {
        for isolation in [false, true] {
            second_behind_bad(plugin.file(), isolation).stderr_has(format!("plugin {{plugin}}: {reason}")).run();
        }
    }
    // Temporary, and not the plugin's fault.
    let hanging = gateway("hanging", "for (;;) pause(); return FABRIC_OK;", "");
    let late = "{h2}: gateway bad://there: timed out after 1 s while connecting (setting timeout)";
    for isolation in [false, true] {
        second_behind_bad(hanging.file(), isolation).stderr_has(late).run();
    }
    // A socket for both ways, once.
    let spawn = "fds[0] = fds[1] = open(\"/dev/null\", 0); fds[3] = open(\"/dev/null\", 0); return FABRIC_OK;";
    for isolation in [false, true] {
        beside_bad(transport("twice", spawn).file(), isolation, "bad://web2", FINE)
            .stdout_has("[{h1}] out: fine\n")
            .stderr_has("plugin {plugin}: starting a process: it gave descriptor ")
            .stderr_has("twice: each must be one of its own (dup)")
            .status(1)
            .run();
    }
}

#[test]
fn what_was_named_and_cannot_be_loaded_ends_the_run_before_it_begins() {
    let table = |name: &str, statements: &str| gateway(name, "return FABRIC_FAILED;", statements);
    let (text, foreign) = (table("text", ""), table("foreign", ""));
    fs::write(text.file(), "no library").unwrap();
    let mut library = fs::read(foreign.file()).unwrap();
    // The machine of an ELF file: one that exists, but not here.
    library[18] ^= 0x55;
    fs::write(foreign.file(), library).unwrap();
    let bad_ones = [
        (text, "is not a library for this system"),
        (foreign, "is not a library for this system"),
        (BuiltPlugin::compile("no-plugin", "int x;"), "has no symbol fabric_plugin_entry (export_plugin!): it is not"),
        (table("null-table", "return 0;"), "its entry returned nothing"),
        (table("version", "t.abi_version = 0x00020000;"), "was built for ABI 2.0, this program has 1.0: rebuild it"),
        (table("small", "t.size = 16;"), "its table has 16 bytes, ABI 1.0 has"),
        (table("null-name", "t.name.ptr = 0;"), "its name is missing or not UTF-8"),
        (table("null-version", "t.version.ptr = 0;"), "its version is missing or not UTF-8"),
        (table("garbage", "t.describe = garbage;"), "its description is invalid"),
        (table("no-text", "t.describe = no_text;"), "its answer is not UTF-8"),
        (table("nothing", "t.describe = nothing;"), "its description is invalid"),
        (table("hanging", "t.describe = hang;"), "did not describe itself within 5 s"),
        (table("empty", "t.dial = 0;"), "has the kind gateway, but not its functions"),
        (table("ssh", "t.name.ptr = (const uint8_t *)\"ssh\";"), "its name `ssh` is that of a built-in transport"),
    ];
    for (plugin, reason) in &bad_ones {
        for isolation in [false, true] {
            refused(plugin.file(), isolation, &[]).stderr_has(format!("fab: plugin {{plugin}}: {reason}")).run();
        }
    }
    // By a setting too, and where nothing would be connected to.
    let (plugin, reason) = &bad_ones[0];
    for more in [&["--plan"][..], &["--dry-run"]] {
        refused(plugin.file(), false, more).stderr_has(format!("fab: plugin {{plugin}}: {reason}")).run();
    }
    let fabfile = "[env]\nplugins = [\"{plugin}\", \"/nowhere/x.so\"]\n";
    case!()
        .hosts(1)
        .value("plugin", plugin.file().display().to_string())
        .fabfile(fabfile)
        .args(["-H", "{h1}", "--", "echo fine"])
        .stderr_has(reason.to_owned())
        .stderr_has("plugin /nowhere/x.so: cannot be read")
        .status(2)
        .run();
}

/// A run on a host that needs no plugin, with one that cannot be loaded.
fn refused(plugin: &Path, isolation: bool, more: &[&str]) -> Case {
    case!()
        .hosts(1)
        .value("plugin", plugin.display().to_string())
        .fabfile(format!("[env]\nplugin_isolation = {isolation}\n"))
        .args(more)
        .args(["--plugin", "{plugin}", "-H", "{h1}", "--", "echo fine"])
        .status(2)
}

/// Panics, in every function of a plugin.
#[test]
fn a_panic_in_any_function_is_an_error_of_its_host_alone() {
    let dir = tempfile::tempdir().unwrap();
    let dials = GATEWAY.replace("DESCRIBE", "").replace("DIAL", r#"panic!("no way to {}", request.host)"#);
    let dials = built_by_cargo(dir.path(), "panics-dialling", &dials);
    let describes = GATEWAY.replace("DESCRIBE", r#"panic!("who am I");"#).replace("DIAL", "unreachable!()");
    let describes = built_by_cargo(dir.path(), "panics-describing", &describes);
    let transport = built_by_cargo(dir.path(), "panics-anywhere", TRANSPORT);
    for isolation in [false, true] {
        second_behind_bad(&dials, isolation)
            .stderr_has("plugin {plugin}: it panicked: no way to {address2} (src/lib.rs:")
            .run();
        refused(&describes, isolation, &[])
            .stderr_has("fab: plugin {plugin}: cannot describe itself: who am I (src/lib.rs:")
            .run();
        beside_bad(&transport, isolation, "bad://open,bad://spawn,bad://close", FINE)
            .stdout_has("[{h1}] out: fine\n")
            .stdout_has("[bad://close] out: fine\n")
            .stderr_has("plugin {plugin}: it panicked: in open (src/lib.rs:")
            .stderr_has("plugin {plugin}: starting a process: it panicked: in spawn")
            .stderr_has("2 ok, 2 failed")
            .status(1)
            .run();
        beside_bad(&transport, isolation, "bad://files", &["send"])
            .any_stdout()
            .stderr_has("plugin {plugin}: opening files: it panicked: in files")
            .stderr_has("1 ok, 1 failed")
            .status(1)
            .run();
    }
}

/// An abort would take `fab` with it: such a plugin is not even built.
#[test]
fn a_plugin_that_aborts_is_refused_by_the_compiler() {
    let dir = tempfile::tempdir().unwrap();
    let source = GATEWAY.replace("DESCRIBE", "").replace("DIAL", "unreachable!()");
    let built = cargo(dir.path(), "aborts", &source, "[profile.dev]\npanic = \"abort\"\n");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(!built.status.success() && said.contains("a plugin needs `panic = \"unwind\"`"), "{said}");
}

#[test]
fn nobody_waits_for_a_hanging_plugin_after_ctrl_c() {
    let plugin =
        gateway("hanging", "(void)!write(2, \"here for ever\\n\", 14); for (;;) pause(); return FABRIC_OK;", "");
    case!()
        .hosts(1)
        .value("plugin", plugin.file().display().to_string())
        .args(["--plugin", "{plugin}", "-g", "bad://there", "-H", "{h1}", "--", "echo fine"])
        .interrupt_at("here for ever")
        .any_stdout()
        .stderr_has("1 host: 0 ok, 1 failed")
        .status(130)
        .run();
}

#[test]
fn the_password_of_a_gateway_is_not_told_whatever_the_plugin_says() {
    // Prints all that it gets.
    let dial = "error->ptr = malloc(request.len); error->len = error->capacity = request.len; \
                memcpy(error->ptr, request.ptr, request.len); return FABRIC_FAILED;";
    let plugin = gateway("telling", dial, "");
    let case = |gateway: &str| {
        case!()
            .hosts(1)
            .value("plugin", plugin.file().display().to_string())
            .fabfile(format!("[env]\ngateway = {gateway:?}\n"))
            .args(["--plugin", "{plugin}", "-H", "{h1}", "--", "echo fine"])
            .any_stdout()
            .stdout_lacks("sesame")
            .stderr_lacks("sesame")
            .status(1)
    };
    case("bad://me:open sesame@there:1").stderr_has("\"password\":\"***\"").stderr_has("bad://me@there:1").run();
    case("bads://me:open sesame@there").stderr_has("no transport or gateway is called `bads`").run();
}

const GATEWAY: &str = r#"
use std::os::fd::OwnedFd;
use fabric_plugin_sdk::{Cancel, Description, DialRequest, GatewayPlugin, PluginError, export_plugin};
#[derive(Default)]
struct Bad;
impl GatewayPlugin for Bad {
    const NAME: &'static str = "bad";
    const VERSION: &'static str = "1";
    #[allow(unreachable_code)]
    fn describe(&self) -> Description { DESCRIBE Description::gateway("a bad one") }
    fn dial(&self, request: &DialRequest, _: &Cancel<'_>) -> Result<OwnedFd, PluginError> { let _ = request; DIAL }
}
export_plugin!(gateway Bad);
"#;

/// Panics in the function that the host's name is.
const TRANSPORT: &str = r#"
use std::os::fd::OwnedFd;
use fabric_plugin_sdk::{
    Cancel, Description, OpenRequest, PluginError, ProcessFds, SpawnRequest, TransportPlugin, TransportSession,
    export_plugin,
};
#[derive(Default)]
struct Bad;
struct Session(String);
impl Session {
    fn enter(&self, function: &str) { assert!(self.0 != function, "in {function}"); }
}
impl TransportPlugin for Bad {
    const NAME: &'static str = "bad";
    const VERSION: &'static str = "1";
    type Session = Session;
    fn describe(&self) -> Description { Description::transport("a bad one") }
    fn open(&self, request: &OpenRequest, _: &Cancel<'_>) -> Result<Session, PluginError> {
        let session = Session(request.host.clone());
        session.enter("open");
        Ok(session)
    }
}
impl TransportSession for Session {
    fn spawn(&self, request: &SpawnRequest, _: &Cancel<'_>) -> Result<ProcessFds, PluginError> {
        self.enter("spawn");
        let mut command = std::process::Command::new("sh");
        command.arg("-c").arg(String::from_utf8(request.command.clone().unwrap_or_default()).unwrap());
        ProcessFds::serve(command, None)
    }
    fn files(&self, _: &Cancel<'_>) -> Result<OwnedFd, PluginError> {
        self.enter("files");
        Err(PluginError::Unsupported)
    }
}
impl Drop for Session {
    fn drop(&mut self) { self.enter("close") }
}
export_plugin!(transport Bad);
"#;
