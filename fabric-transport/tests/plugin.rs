//! Plugins, mostly bad ones: each is an error with the name of its file, never a crash.
#![cfg(feature = "plugins")]

use std::mem::offset_of;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use fabric_core::{Emitter, Target};
use fabric_plugin_sdk::abi::Table;
use fabric_transport::connector::Connector;
use fabric_transport::plugin::Plugin;

/// A library from C source, in a directory of its own that no other user may write.
struct Built {
    _dir: tempfile::TempDir,
    file: PathBuf,
}

fn header() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/sdk/include")
}

fn build(source: &str) -> Built {
    let dir = tempfile::tempdir().unwrap();
    let (code, file) = (dir.path().join("plugin.c"), dir.path().join("plugin.so"));
    std::fs::write(&code, format!("#include \"fabric_plugin.h\"\n#include <unistd.h>\n{source}")).unwrap();
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-I"]).arg(header()).arg("-o").arg(&file).arg(&code);
    let output = cc.output().expect("a C compiler (cc) is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    Built { _dir: dir, file }
}

/// A transport with this body of `open`; everything else is correct.
fn transport(open: &str) -> Built {
    let describe = r#"static char text[] = "{\"kind\":\"transport\",\"summary\":\"s\",\"options\":{\"depth\":{\"type\":\"integer\",\"doc\":\"how deep\"}}}";
    out->ptr = (uint8_t *)text; out->len = sizeof text - 1; out->capacity = 0; return FABRIC_OK;"#;
    transport_by(describe, open)
}

/// A plugin with this `describe`.
fn described(describe: &str) -> Built {
    transport_by(describe, "return FABRIC_OK;")
}

fn transport_by(describe: &str, open: &str) -> Built {
    build(&format!(
        r#"
static int32_t describe(fabric_buf *out) {{ {describe} }}
static int32_t open_(fabric_str request, int32_t cancel_fd, uint64_t *session, fabric_buf *error) {{ {open} }}
static int32_t spawn_(uint64_t s, fabric_str r, int32_t c, int32_t fds[4], fabric_buf *e) {{ return FABRIC_OK; }}
static void free_(fabric_buf buf) {{ (void)buf; }}
const fabric_plugin *fabric_plugin_entry(void) {{
    static fabric_plugin t;
    t.abi_version = FABRIC_ABI_VERSION; t.size = sizeof t;
    t.name.ptr = (const uint8_t *)"bad"; t.name.len = 3; t.version.ptr = (const uint8_t *)"1"; t.version.len = 1;
    t.describe = describe; t.open = open_; t.spawn = spawn_; t.free = free_;
    return &t;
}}
"#
    ))
}

fn refused(built: &Built) -> String {
    let error = Plugin::load(&built.file).unwrap_err();
    assert!(error.file.ends_with("plugin.so"), "{error}");
    error.to_string()
}

/// A table that these statements change before it is returned.
fn entry(statements: &str) -> Built {
    build(&format!(
        r#"
static int32_t describe(fabric_buf *out) {{
    static char text[] = "{{\"kind\":\"gateway\",\"summary\":\"s\"}}";
    out->ptr = (uint8_t *)text; out->len = sizeof text - 1; return FABRIC_OK;
}}
static int32_t garbage(fabric_buf *out) {{ out->ptr = (uint8_t *)"{{\xff"; out->len = 2; return FABRIC_OK; }}
static int32_t nonsense(fabric_buf *out) {{ out->ptr = (uint8_t *)"[1]"; out->len = 3; return FABRIC_OK; }}
static int32_t huge(fabric_buf *out) {{ out->ptr = (uint8_t *)"x"; out->len = (size_t)1 << 40; return FABRIC_OK; }}
static int32_t hang(fabric_buf *out) {{ for (;;) pause(); }}
const fabric_plugin *fabric_plugin_entry(void) {{
    static fabric_plugin t;
    t.abi_version = FABRIC_ABI_VERSION; t.size = sizeof t;
    t.name.ptr = (const uint8_t *)"bad"; t.name.len = 3; t.version.ptr = (const uint8_t *)"1"; t.version.len = 1;
    t.describe = describe;
    (void)hang; (void)garbage; (void)nonsense; (void)huge;
    {statements}
    return &t;
}}
"#
    ))
}

#[test]
fn what_is_no_plugin_is_refused_with_its_reason() {
    let expect = [
        (entry("return 0;"), "returned nothing"),
        (entry("t.abi_version = 0x00020000;"), "was built for ABI 2.0, this program has 1.0"),
        (entry("t.size = 16;"), "its table has 16 bytes"),
        (entry("t.name.ptr = 0;"), "its name is missing"),
        (entry("t.name.ptr = (const uint8_t *)\"\\xff\\xfe\\xfd\";"), "its name is missing or not UTF-8"),
        (entry("t.name.ptr = (const uint8_t *)\"a b\";"), "is not a scheme"),
        (entry("t.describe = 0;"), "no function `describe`"),
        (entry("t.describe = garbage;"), "not UTF-8"),
        (entry("t.describe = nonsense;"), "its description is invalid"),
        (entry("t.describe = huge;"), "bytes long"),
        (entry("t.describe = hang;"), "did not describe itself within 5 s"),
        (entry(""), "has the kind gateway, but not its functions"),
        (build("int x;"), "has no symbol fabric_plugin_entry"),
    ];
    for (built, reason) in &expect {
        let text = refused(built);
        assert!(text.contains(reason), "{text} lacks {reason}");
    }
}

#[test]
fn what_is_no_library_for_this_machine_is_refused() {
    let built = transport("return FABRIC_OK;");
    let mut bytes = std::fs::read(&built.file).unwrap();
    // An ELF machine that exists, but isn't this one.
    bytes[18] ^= 0x55;
    std::fs::write(&built.file, &bytes).unwrap();
    assert!(refused(&built).contains("is not a library for this system"));
    // Mapping a truncated file would crash.
    bytes[18] ^= 0x55;
    for length in [bytes.len() / 2, 1024, 63, 20] {
        std::fs::write(&built.file, &bytes[..length]).unwrap();
        let text = refused(&built);
        assert!(text.contains(&format!("is truncated: it has {length} bytes")), "{text}");
    }
    std::fs::write(&built.file, "not a library").unwrap();
    assert!(refused(&built).contains("is not a library for this system"));
    let missing = Plugin::load(&built.file.with_file_name("missing.so")).unwrap_err();
    assert!(missing.to_string().contains("missing.so: cannot be read"));
}

#[test]
fn what_a_library_lacks_is_told() {
    let built = build("int nobody_has_this(void);\nint (*const wanted)(void) = nobody_has_this;");
    let text = refused(&built);
    assert!(text.contains("cannot be loaded: ") && text.contains("nobody_has_this"), "{text}");
    assert!(!text.contains("not a library"), "{text}");
}

/// Colours, titles and the like would change the user's terminal.
#[tokio::test]
async fn what_a_plugin_says_does_not_reach_the_terminal_as_it_is() {
    let said = r#"static char t[] = "red\033[2J\nline"; error->ptr = (uint8_t *)t; error->len = sizeof t - 1;
                  return FABRIC_FAILED;"#;
    let text = open(&transport(said), serde_json::json!({})).await;
    assert!(text.ends_with("red\u{fffd}[2J line"), "{text:?}");
    let source = r#"static char t[] = "{\"kind\":\"transport\",\"summary\":\"\\u001b[2J\",\"options\":{\"\\u009bx\":{\"type\":\"text\",\"doc\":\"\\u202e\"}}}";
                    out->ptr = (uint8_t *)t; out->len = sizeof t - 1; return FABRIC_OK;"#;
    let built = described(source);
    let plugin = Plugin::load(&built.file).unwrap();
    let text = format!("{:?}", plugin.description());
    assert!(!text.contains("\\u{") && text.matches('\u{fffd}').count() == 3, "{text}");
    let text = refused(&described("return FABRIC_FAILED;"));
    assert!(text.ends_with("cannot describe itself: it gives no reason"), "{text}");
}

#[test]
fn what_others_may_write_is_refused() {
    let built = transport("return FABRIC_OK;");
    let dir = built.file.parent().unwrap();
    let mode = |path: &Path, mode: u32| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    mode(&built.file, 0o777);
    assert!(refused(&built).contains("others may write it"));
    mode(&built.file, 0o755);
    mode(dir, 0o777);
    assert!(refused(&built).contains("others may write its directory"));
    // Where others may put another link.
    mode(dir, 0o755);
    let theirs = tempfile::tempdir().unwrap();
    mode(theirs.path(), 0o777);
    let link = theirs.path().join("plugin.so");
    std::os::unix::fs::symlink(&built.file, &link).unwrap();
    let error = Plugin::load(&link).unwrap_err().to_string();
    assert!(error.contains(&format!("its directory: chmod go-w {}", theirs.path().display())), "{error}");
    mode(dir, 0o1777);
    let plugin = Plugin::load(&built.file).unwrap();
    assert_eq!((plugin.name(), plugin.version(), plugin.abi().as_str()), ("bad", "1", "1.0"));
}

#[test]
#[ignore = "needs root"]
fn what_belongs_to_another_user_is_refused() {
    let built = transport("return FABRIC_OK;");
    std::os::unix::fs::chown(&built.file, Some(1), None).expect("this test needs root");
    assert!(refused(&built).contains("it belongs to another user (uid 1): chown 0 "));
    std::os::unix::fs::chown(&built.file, Some(0), None).unwrap();
    Plugin::load(&built.file).unwrap();
}

async fn open(built: &Built, options: serde_json::Value) -> String {
    let plugin = Plugin::load(&built.file).unwrap();
    let mut target = Target::new("bad://web1".parse().unwrap());
    target.timeouts.connect = Some(Duration::from_millis(50));
    target.timeouts.banner = Some(Duration::from_millis(50));
    target.options.insert("bad".to_owned(), options);
    let connector = plugin.register(Connector::new());
    match connector.open(&target, &Emitter::none()).await {
        Ok(session) => {
            let error = session.spawn(&fabric_core::transport::SpawnRequest::default()).await.unwrap_err();
            error.to_string()
        }
        Err(error) => {
            assert_eq!(error.host, "bad://web1");
            error.to_string()
        }
    }
}

#[tokio::test]
async fn bad_answers_are_errors_of_that_host() {
    let none = serde_json::json!({});
    let text = open(&transport("return FABRIC_FAILED;"), none.clone()).await;
    assert!(text.contains("plugin.so: it failed and gave no reason"), "{text}");
    let text = open(&transport("return 77;"), none.clone()).await;
    assert!(text.contains("unknown status 77"), "{text}");
    let said =
        r#"static char t[] = "the moon is full"; error->ptr = (uint8_t *)t; error->len = 16; return FABRIC_FAILED;"#;
    let text = open(&transport(said), none.clone()).await;
    assert!(text.contains("the moon is full"), "{text}");
    // Opens, but its processes have descriptors that are not open, or that it doesn't own.
    let text = open(&transport("return FABRIC_OK;"), none.clone()).await;
    assert!(text.contains("it gave descriptor -1, which is not its to give"), "{text}");
}

#[tokio::test]
async fn a_hanging_plugin_is_given_up() {
    let text = open(&transport("for (;;) pause();"), serde_json::json!({})).await;
    assert!(text.contains("gave no answer within 0.1 s"), "{text}");
}

#[tokio::test]
async fn a_polite_plugin_is_asked_to_stop() {
    let source = "char c; (void)!read(cancel_fd, &c, 1); return FABRIC_CANCELLED;";
    let text = open(&transport(source), serde_json::json!({})).await;
    assert!(text.contains("gave no answer within 0.1 s"), "{text}");
}

#[tokio::test]
async fn options_are_checked_before_the_plugin_sees_them() {
    let built = transport("return FABRIC_OK;");
    let text = open(&built, serde_json::json!({"dept": 1})).await;
    assert!(text.contains("unknown option `dept`: did you mean `depth`?"), "{text}");
    let text = open(&built, serde_json::json!({"depth": "sesame"})).await;
    assert!(text.contains("option `depth` is a text, expected a whole number: how deep"), "{text}");
    // It may be a secret.
    assert!(!text.contains("sesame"), "{text}");
    let text = open(&built, serde_json::json!("sesame")).await;
    assert!(text.contains("its options are a text, expected a table") && !text.contains("sesame"), "{text}");
}

#[test]
fn the_header_and_the_table_agree() {
    let offsets =
        ["abi_version", "size", "name", "version", "describe", "dial", "open", "spawn", "files", "close", "free"];
    let dir = tempfile::tempdir().unwrap();
    let code = dir.path().join("offsets.c");
    let prints: Vec<String> =
        offsets.iter().map(|field| format!("printf(\"%zu \", offsetof(fabric_plugin, {field}));")).collect();
    let prints = prints.concat();
    let source = format!(
        "#include \"fabric_plugin.h\"\n#include <stdio.h>\nint main(void) {{ {prints} printf(\"%zu\", sizeof(fabric_plugin)); return 0; }}"
    );
    std::fs::write(&code, source).unwrap();
    let program = dir.path().join("offsets");
    assert!(Command::new("cc").arg("-I").arg(header()).arg("-o").arg(&program).arg(&code).status().unwrap().success());
    let output = Command::new(program).output().unwrap();

    let ours = [
        offset_of!(Table, abi_version),
        offset_of!(Table, size),
        offset_of!(Table, name),
        offset_of!(Table, version),
        offset_of!(Table, describe),
        offset_of!(Table, dial),
        offset_of!(Table, open),
        offset_of!(Table, spawn),
        offset_of!(Table, files),
        offset_of!(Table, close),
        offset_of!(Table, free),
        size_of::<Table>(),
    ];
    let ours: Vec<String> = ours.iter().map(ToString::to_string).collect();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), ours.join(" "));
}
