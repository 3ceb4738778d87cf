//! Links, modes and colliding names in transfers.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use tests::{Case, Ran, case};

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn umask() -> u32 {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x"), "").unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    !mode(dir.path().join("d")) & 0o777
}

/// A task on one host with these steps.
fn one(steps: &str) -> Case {
    case!().hosts(1).fabfile(format!("[tasks.t]\nhosts = [\"{{h1}}\"]\nsteps = [{steps}]\n")).args(["t"])
}

/// A tree with links: to a file, to a directory beside it, out of it, to nothing, and back.
fn with_links(dir: &Path) {
    fs::create_dir_all(dir.join("app/real/deep")).unwrap();
    fs::create_dir_all(dir.join("outside")).unwrap();
    fs::write(dir.join("app/file"), "file").unwrap();
    fs::write(dir.join("app/real/deep/x"), "x").unwrap();
    fs::write(dir.join("outside/secret"), "secret").unwrap();
    symlink("file", dir.join("app/to_file")).unwrap();
    symlink("real", dir.join("app/to_dir")).unwrap();
    symlink("../outside", dir.join("app/out")).unwrap();
    symlink(dir.join("outside/secret"), dir.join("app/absolute")).unwrap();
}

fn content(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path.as_ref()).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

fn is_link(path: impl AsRef<Path>) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink())
}

#[test]
fn links_are_followed_both_ways() {
    let case = one(
        "{ put = \"tree/app\", to = \"{far}/new\" }, { get = \"{far}/app\", to = \"got\" }, { get = \"{far}/app\" }",
    );
    with_links(&case.dir().join("tree"));
    with_links(&case.far());
    let ran = case.any_stdout().any_stderr().run();
    let by_default = ran.case().dir().join(ran.case().fill("{address1}/app"));
    for root in [ran.case().far().join("new"), ran.case().dir().join("got"), by_default] {
        for (name, expected) in [
            ("to_file", "file"),
            ("to_dir/deep/x", "x"),
            ("out/secret", "secret"),
            ("absolute", "secret"),
            ("real/deep/x", "x"),
        ] {
            assert_eq!(content(root.join(name)), expected, "{name}");
            assert!(!is_link(root.join(name.split('/').next().unwrap())), "{name}");
        }
    }
}

#[test]
fn a_link_back_into_its_own_path_is_an_error_that_names_it() {
    for (step, place) in
        [("{ put = \"app\", to = \"{far}/new\" }", "{dir}"), ("{ get = \"{far}/app\", to = \"new\" }", "{far}")]
    {
        for (link, to) in [("app/here", "."), ("app/sub/up", ".."), ("app/sub/far", "../../app/sub")] {
            let case = one(step);
            let root = Path::new(&case.fill(place)).to_owned();
            fs::create_dir_all(root.join("app/sub")).unwrap();
            fs::write(root.join("app/sub/file"), "content").unwrap();
            symlink(to, root.join(link)).unwrap();
            let ran = case
                .any_stdout()
                .stderr_has(format!("{place}/{link}: the link leads back to a directory that it is in"))
                .status(1)
                .run();
            // The rest has arrived.
            let new = if place == "{dir}" { ran.case().far() } else { ran.case().dir() };
            assert_eq!(content(new.join("new/sub/file")), "content");
        }
    }
}

#[test]
fn links_are_kept_or_left_out_and_counted() {
    let case = one("{ put = \"tree/app\", to = \"{far}/kept\", links = \"keep\", save = \"a\" }, \
         { get = \"{far}/app\", to = \"kept\", links = \"keep\", save = \"b\" }, \
         { put = \"tree/app\", to = \"{far}/skipped\", links = \"skip\", save = \"c\" }, \
         { get = \"{far}/app\", to = \"skipped\", links = \"skip\", save = \"d\" }, \
         { local = \"echo {{ a.links | length }} {{ a.left_out | length }} {{ b.links | length }} \
         {{ b.left_out | length }} {{ c.left_out | length }} {{ d.left_out | length }}\" }");
    with_links(&case.dir().join("tree"));
    with_links(&case.far());
    // Out of the tree, whatever the names say.
    symlink("..", case.far().join("app/real/up")).unwrap();
    symlink("real/up/../outside", case.far().join("app/sly")).unwrap();
    symlink(case.far().join("app/real"), case.far().join("app/inside")).unwrap();
    let ran = case
        .stdout_has("out: 4 0 4 3 4 7\n")
        .stdout_has("put: 4 links left out: ")
        .stdout_has("put: 4 links copied as links")
        .stderr_has("get: 3 links left out, leading out of the tree: {far}/app/absolute, {far}/app/out, {far}/app/sly")
        .run();
    let (far, dir) = (ran.case().far(), ran.case().dir());
    for name in ["to_file", "to_dir", "out", "absolute"] {
        assert!(is_link(far.join("kept").join(name)), "{name}");
    }
    assert_eq!(fs::read_link(far.join("kept/out")).unwrap(), Path::new("../outside"));
    for (name, to) in [("to_file", "file"), ("to_dir", "real"), ("inside", "real"), ("real/up", "..")] {
        assert_eq!(fs::read_link(dir.join("kept").join(name)).unwrap(), Path::new(to), "{name}");
    }
    for name in ["out", "absolute", "sly"] {
        assert!(fs::symlink_metadata(dir.join("kept").join(name)).is_err(), "{name}");
    }
    for root in [far.join("skipped"), dir.join("skipped")] {
        assert_eq!(content(root.join("real/deep/x")), "x");
        for name in ["to_file", "to_dir", "out", "absolute", "inside", "real/up", "sly"] {
            assert!(fs::symlink_metadata(root.join(name)).is_err(), "{name}");
        }
    }
}

#[test]
fn kept_links_replace_files_and_links_but_no_directories() {
    let case = one("{ put = \"app\", to = \"{far}/new\", links = \"keep\" }");
    fs::create_dir_all(case.dir().join("app")).unwrap();
    fs::create_dir_all(case.far().join("new/app/dir")).unwrap();
    for name in ["file", "link", "dir"] {
        symlink("target", case.dir().join("app").join(name)).unwrap();
    }
    fs::write(case.far().join("new/app/file"), "old").unwrap();
    symlink("elsewhere", case.far().join("new/app/link")).unwrap();
    let ran =
        case.any_stdout().stderr_has("{far}/new/app/dir").stderr_has("a directory is in its place").status(1).run();
    for name in ["file", "link"] {
        assert_eq!(fs::read_link(ran.case().far().join("new/app").join(name)).unwrap(), Path::new("target"), "{name}");
    }
}

#[test]
fn what_is_new_gets_the_mode_of_its_source_and_what_is_there_keeps_its_own() {
    let case = one("{ put = \"site\", to = \"{far}/site\" }, { put = \"site/secret\", to = \"{far}/there\" }, \
         { put = \"site/secret\", to = \"{far}/rendered\", template = true }, \
         { get = \"{far}/src\", to = \"got\" }, { get = \"{far}/src\" }, { get = \"{far}/src/run\", to = \"there\" }")
    .file("site/secret", "s")
    .file("site/run", "r")
    .file("site/closed/x", "x")
    .file("there", "old");
    let (dir, far) = (case.dir(), case.far());
    for root in [dir.join("site"), far.join("src")] {
        fs::create_dir_all(root.join("closed")).unwrap();
        for name in ["secret", "run", "closed/x"] {
            fs::write(root.join(name), name).unwrap();
        }
        set_mode(root.join("secret"), 0o600);
        set_mode(root.join("run"), 0o6775);
        set_mode(root.join("closed"), 0o550);
    }
    fs::write(far.join("there"), "old").unwrap();
    set_mode(far.join("there"), 0o666);
    set_mode(dir.join("there"), 0o4622);
    let ran = case.any_stdout().any_stderr().run();
    let by_default = dir.join(ran.case().fill("{address1}/src"));
    for root in [far.join("site"), dir.join("got"), by_default] {
        assert_eq!(mode(root.join("secret")), 0o600, "{}", root.display());
        assert_eq!(mode(root.join("run")), 0o775 & !umask());
        assert_eq!(mode(root.join("closed")), 0o550 & !umask());
        assert!(root.join("closed/x").exists());
        // So that it can be removed.
        set_mode(root.join("closed"), 0o700);
    }
    assert_eq!(mode(far.join("rendered")), 0o600);
    assert_eq!(mode(far.join("there")), 0o666);
    // Replaced by a host's content, which must not run as the owner.
    assert_eq!(mode(dir.join("there")), 0o622);
    for root in [dir.join("site"), far.join("src")] {
        set_mode(root.join("closed"), 0o700);
    }
}

#[test]
fn a_mirrored_mode_is_exactly_that_of_the_source_on_what_is_there_too() {
    let case = one("{ put = \"site\", to = \"{far}\", mirror_local_mode = true }, \
         { get = \"{far}/src\", to = \"got\", mirror_local_mode = true }");
    let (dir, far) = (case.dir(), case.far());
    for root in [dir.join("site"), far.join("src"), far.join("site"), dir.join("got/src")] {
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(root.join("file"), "content").unwrap();
    }
    for root in [dir.join("site"), far.join("src")] {
        fs::write(root.join("sub/new"), "new").unwrap();
        set_mode(root.join("file"), 0o4757);
        set_mode(root.join("sub/new"), 0o666);
        set_mode(root.join("sub"), 0o577);
    }
    for root in [far.join("site"), dir.join("got/src")] {
        set_mode(root.join("sub"), 0o555);
    }
    let _ran = case.any_stdout().any_stderr().run();
    {
        for (root, bits) in [(far.join("site"), 0o7777), (dir.join("got/src"), 0o777)] {
            assert_eq!(mode(root.join("file")), 0o4757 & bits);
            assert_eq!(mode(root.join("sub/new")), 0o666);
            assert_eq!(mode(root.join("sub")), 0o577);
            set_mode(root.join("sub"), 0o700);
        }
        for root in [dir.join("site"), far.join("src")] {
            set_mode(root.join("sub"), 0o700);
        }
    }
}

#[test]
fn a_mode_that_is_not_mirrored_is_the_far_sides_business() {
    let case = one("{ put = \"x\", to = \"{far}/x\", mirror_local_mode = false }, \
         { get = \"{far}/y\", to = \"y\", mirror_local_mode = false }")
    .file("x", "x");
    let (dir, far) = (case.dir(), case.far());
    fs::write(far.join("y"), "y").unwrap();
    set_mode(dir.join("x"), 0o600);
    set_mode(far.join("y"), 0o711);
    let _ran = case.any_stdout().any_stderr().run();
    assert_eq!((mode(far.join("x")), mode(dir.join("y"))), (0o666 & !umask(), 0o666 & !umask()));
}

#[test]
fn a_get_cannot_ask_for_set_id_bits() {
    one("{ get = \"x\", to = \"y\", mode = \"4755\" }")
        .stderr_has("what comes from a host never gets these bits")
        .status(2)
        .run();
    one("{ put = \"x\", to = \"y\", links = \"never\" }")
        .stderr_has("expected \"follow\", \"keep\" or \"skip\"")
        .status(2)
        .run();
}

#[test]
fn two_sources_for_one_file_are_an_error_before_anything_is_moved() {
    for step in [
        "{ get = \"{far}/srv/*/x.log\", to = \"out/\" }",
        "{ get = \"{far}/srv/*/x.log\", to = \"out/{basename}\" }",
        "{ get = \"{far}/srv/*/x.log\" }",
        "{ get = \"{far}/srv/*/logs\", to = \"out\" }",
        "{ get = \"{far}/srv\", to = \"out/{basename}\" }",
        "{ put = \"srv/*/x.log\", to = \"{far}/out\" }",
        "{ put = \"srv/*/logs\", to = \"{far}/out/\" }",
    ] {
        let case = one(step);
        for root in [case.dir(), case.far()] {
            for name in ["srv/a/x.log", "srv/b/x.log", "srv/a/logs/y", "srv/b/logs/y"] {
                fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
                fs::write(root.join(name), name).unwrap();
            }
        }
        let ran =
            case.any_stdout().stderr_has("nothing was transferred").stderr_has("/a/").stderr_has("/b/").status(1).run();
        let address = ran.case().fill("{address1}");
        for made in [ran.case().dir().join("out"), ran.case().far().join("out"), ran.case().dir().join(address)] {
            assert!(!made.exists(), "{step}: {}", made.display());
        }
    }
    // Each has its own destination.
    let case = one("{ get = \"{far}/srv/*/x.log\", to = \"out/{dirname}/{basename}\" }");
    for name in ["srv/a/x.log", "srv/b/x.log"] {
        fs::create_dir_all(case.far().join(name).parent().unwrap()).unwrap();
        fs::write(case.far().join(name), name).unwrap();
    }
    let ran = case.any_stdout().any_stderr().run();
    assert_eq!(ran.read(&ran.case().fill("out/{far}/srv/b/x.log")), "srv/b/x.log");
}

#[test]
fn hosts_at_the_same_time_do_not_get_over_each_others_files() {
    for (step, options) in [
        ("{ get = \"{far}/x\", to = \"out/x\" }", "parallel = true"),
        ("{ get = \"{far}/x\", to = \"out/\" }", "parallel = true"),
        ("{ get = \"{far}/d\", to = \"out\" }", "parallel = true"),
        ("{ get = \"{far}/*\", to = \"out/\" }", "parallel = true\nbatch = 2"),
        (
            "{ get = \"{far}/x\", to = \"out/{{ name }}\" }",
            "parallel = true\nargs = [{ name = \"name\", default = \"n\" }]",
        ),
        ("{ run = \"echo x\", save = \"s\" }, { get = \"{far}/x\", to = \"out/{{ s.stdout }}\" }", "parallel = true"),
    ] {
        let saved = step.contains("save");
        let case = case!()
            .hosts(2)
            .fabfile(format!("[tasks.t]\nhosts = [\"{{h1}}\", \"{{h2}}\"]\n{options}\nsteps = [{step}]\n"))
            .args(["t"]);
        fs::create_dir(case.far().join("d")).unwrap();
        fs::write(case.far().join("d/y"), "y").unwrap();
        fs::write(case.far().join("x"), "x").unwrap();
        let ran = case.any_stdout().stderr_has("keeps hosts apart").status(1).run();
        // Only the hosts can tell: found when the second one gets there.
        assert!(saved || !ran.case().dir().join("out").exists(), "{step}");
    }
}

#[test]
fn two_names_of_one_address_have_one_place_by_default() {
    for (to, options, status) in
        [("", "parallel = true", 1), (", to = \"{user}-{basename}%(host)s\"", "parallel = true", 0), ("", "", 0)]
    {
        let case = case!()
            .hosts(1)
            .value("login", tests::current_user())
            .fabfile(format!(
                "[tasks.t]\nhosts = [\"{{h1}}\", \"{{login}}@{{h1}}\"]\n{options}\n\
                 steps = [{{ get = \"{{far}}/x\"{to} }}]\n"
            ))
            .args(["t"])
            .any_stdout()
            .any_stderr();
        fs::write(case.far().join("x"), "x").unwrap();
        let ran = case.status(status).run();
        assert_eq!(ran.stderr.contains("keeps hosts apart"), to.is_empty(), "{}", ran.stderr);
        assert_eq!(ran.case().dir().join(ran.case().fill("{address1}")).exists(), to.is_empty() && status == 0);
    }
}

#[test]
fn hosts_in_turn_get_over_each_others_files_with_one_warning() {
    let ran = case!()
        .hosts(3)
        .fabfile(
            "[tasks.t]\nhosts = [\"{h1}\", \"{h2}\", \"{h3}\"]\nsteps = [{ run = \"echo {{ env.host }} > {far}/x\" }, \
             { get = \"{far}/x\", to = \"x\" }, { local = \"cat x\" }]\n",
        )
        .args(["t"])
        .stdout_has("out: {address1}\n")
        .stdout_has("out: {address3}\n")
        .stderr_has("keeps hosts apart")
        .run();
    assert_eq!(ran.stderr.matches("keeps hosts apart").count(), 1, "{}", ran.stderr);
}

#[test]
fn links_lead_no_two_hosts_to_one_file() {
    // A directory, a file and what isn't there yet behind a link, and a link above a directory that is to be made.
    let tos = ["link/x", "link/new/x", "to-file", "dangling", "new/../link/x", "link/"];
    for (to, saved) in tos.into_iter().flat_map(|to| [(to, false), (to, true)]) {
        let real = match to {
            "to-file" | "dangling" => "real/made",
            to => &to.replace("new/../", "").replace("link", "real"),
        };
        let first = if saved { "{ run = 'echo x', save = 'name' }, " } else { "" };
        let name = if saved { "{{ name.stdout }}" } else { "x" };
        let case = case!()
            .hosts(2)
            .fabfile(format!(
                "[tasks.t]\nhosts = [\"{{h1}}\", \"{{h2}}\"]\nparallel = true\nsteps = [{first}{{ get = \"{{far}}/{name}\", \
                 to = \"{{{{ '{to}' if env.host_string == '{{h1}}' else '{real}' }}}}\" }}]\n"
            ))
            .args(["t"]);
        fs::create_dir_all(case.dir().join("real")).unwrap();
        std::os::unix::fs::symlink("real", case.dir().join("link")).unwrap();
        std::os::unix::fs::symlink("real/made", case.dir().join("dangling")).unwrap();
        std::os::unix::fs::symlink("real/made", case.dir().join("to-file")).unwrap();
        if to == "to-file" {
            fs::write(case.dir().join("real/made"), "").unwrap();
        }
        fs::write(case.far().join("x"), "x").unwrap();
        let ran = case.any_stdout().stderr_has("keeps hosts apart").status(1).run();
        assert!(saved || !ran.case().dir().join("real/x").exists(), "{to}");
    }
}

#[test]
fn trees_of_hosts_in_turn_are_not_mixed_without_a_warning() {
    for (step, place) in [
        ("{ get = '{far}/p', to = 'out' }", "out"),
        ("{ get = '{far}/p', to = 'out/' }", "out"),
        ("{ get = '{far}/p', to = \"{{ 'out' if env.host_string == '{h1}' else 'link' }}\" }", "link"),
        ("{ get = \"{far}/{{ 'p' if env.host_string == '{h1}' else 'x' }}\", to = 'out' }", "out"),
    ] {
        let case = case!()
            .hosts(2)
            .fabfile(format!("[tasks.t]\nhosts = [\"{{h1}}\", \"{{h2}}\"]\nsteps = [{step}]\n"))
            .args(["t"]);
        fs::create_dir(case.far().join("p")).unwrap();
        fs::write(case.far().join("p/y"), "y").unwrap();
        fs::write(case.far().join("x"), "x").unwrap();
        std::os::unix::fs::symlink("out", case.dir().join("link")).unwrap();
        let place = case.dir().join(place);
        let place = format!("{} gets over what {{h1}} sent", place.display());
        case.any_stdout().stderr_has(place).run();
    }
    // One that was there, and a place for each.
    for to in ["there/{host}", "there/{host}/"] {
        let case = case!()
            .hosts(2)
            .fabfile(format!(
                "[tasks.t]\nhosts = [\"{{h1}}\", \"{{h2}}\"]\nsteps = [{{ get = '{{far}}/p', to = '{to}' }}, \
                 {{ get = '{{far}}/p', to = '{to}' }}]\n"
            ))
            .args(["t"]);
        fs::create_dir(case.far().join("p")).unwrap();
        fs::write(case.far().join("p/y"), "y").unwrap();
        fs::create_dir(case.dir().join("there")).unwrap();
        case.any_stdout().any_stderr().stderr_lacks("gets over").run();
    }
}

#[test]
fn what_was_moved_away_is_not_got_over() {
    let case = case!()
        .hosts(3)
        .fabfile(
            "[tasks.t]\nhosts = [\"{h1}\", \"{h2}\", \"{h3}\"]\nsteps = [{ get = \"{far}/x\", to = \"sub/x\" }, \
             { get = \"{far}/p\", to = \"tree\" }, \
             { local = \"mv sub/x sub/{{ env.host }}; mv tree tree-{{ env.host }}\" }]\n",
        )
        .args(["t"]);
    fs::write(case.far().join("x"), "x").unwrap();
    fs::create_dir(case.far().join("p")).unwrap();
    case.any_stdout().stderr_lacks("gets over").run();
}

#[test]
fn devices_and_pipes_take_any_number() {
    let case = case!()
        .hosts(2)
        .fabfile(
            "[tasks.t]\nhosts = [\"{h1}\", \"{h2}\"]\nparallel = true\nsteps = [{ get = \"{far}/?\", to = \"/dev/null\" }, \
             { get = \"{far}/?\", to = \"/dev/stdout\" }, { get = \"{far}/a\", to = \"pipe\" }]\n",
        )
        .args(["t"])
        .any_stderr();
    fs::write(case.far().join("a"), "content of a\n").unwrap();
    fs::write(case.far().join("b"), "content of b\n").unwrap();
    let pipe = case.dir().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn(move || {
        // Open for writing too, so that the end of one host's file is not the end of all.
        let mut file = fs::OpenOptions::new().read(true).write(true).open(pipe).unwrap();
        let mut got = vec![0; 2 * "content of a\n".len()];
        std::io::Read::read_exact(&mut file, &mut got).unwrap();
        String::from_utf8(got).unwrap()
    });
    let ran: Ran = case.stdout_has("content of a\n").stdout_has("content of b\n").run();
    assert_eq!(reader.join().unwrap(), "content of a\ncontent of a\n");
    assert_eq!(ran.stdout.matches("content of b\n").count(), 2);
    assert_eq!(fs::metadata("/dev/null").unwrap().mode() & 0o170_000, 0o020_000);
}
