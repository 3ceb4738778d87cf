//! Parts left by killed transfers: resumed, or removed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tests::{Case, case};

/// Large enough not to be complete when its part is first seen.
const LARGE: u64 = 200 * 1024 * 1024;

/// Starts the program in the background, again if it was too fast, until it has a part that isn't empty: `$part`.
fn begun(dir: &str, name: &str) -> String {
    format!(
        "begin() {{ rm -f {{home}}/done; {{ sh -c 'echo $$ > {{home}}/pid; exec \"$0\" \"$@\"' \"$@\" >/dev/null 2>&1; \
         : > {{home}}/done; }} & job=$!; }}; begin \"$0\" \"$@\"; \
         until part=$(find {dir} -name '.{name}.*.part' -size +0 | grep .); do \
         if [ -e {{home}}/done ]; then begin \"$0\" \"$@\"; fi; sleep 0.01; done; "
    )
}

/// The same, and kills it.
fn killed(dir: &str, name: &str, then: &str) -> String {
    format!("{} kill -9 $(cat {{home}}/pid); wait $job; {then}", begun(dir, name))
}

/// A file of zeros, with something at its end.
fn large(path: &Path, end: &str) {
    let file = fs::OpenOptions::new().create(true).write(true).truncate(true).open(path).unwrap();
    file.set_len(LARGE).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, end.as_bytes(), LARGE).unwrap();
}

fn ends_with(path: &Path, end: &str) -> bool {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = fs::File::open(path).unwrap();
    let mut text = String::new();
    file.seek(SeekFrom::Start(LARGE)).unwrap();
    file.read_to_string(&mut text).unwrap();
    text == end
}

fn parts(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut parts: Vec<_> = names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "part")).collect();
    parts.sort();
    parts
}

/// A task on one host with this step, and how many bytes it moved.
fn one(step: &str) -> Case {
    case!()
        .hosts(1)
        .fabfile(format!(
            "[tasks.t]\nhosts = [\"{{h1}}\"]\nsteps = [{step}, {{ local = \"echo {{{{ t.bytes < {LARGE} }}}}\" }}]\n"
        ))
        .args(["t"])
        .any_stderr()
}

const PUT: &str = "{ put = \"big\", to = \"{far}/big\", resume = true, save = \"t\"";
const GET: &str = "{ get = \"{far}/big\", to = \"big\", resume = true, save = \"t\"";

#[test]
fn what_was_killed_goes_on_where_it_was() {
    for (step, side) in [(PUT, "{far}"), (GET, "{dir}")] {
        let case = one(&format!("{step}, verify = true }}")).within(killed(side, "big", "true"));
        let (from, to) = if step == PUT { (case.dir(), case.far()) } else { (case.far(), case.dir()) };
        large(&from.join("big"), "end");
        let _ran = case.stdout_has("out: true\n").run();
        assert!(ends_with(&to.join("big"), "end"));
        assert_eq!(parts(&to), [""; 0]);
    }
}

#[test]
fn a_part_of_another_file_is_not_gone_on_with() {
    for (step, side, other) in [(PUT, "{far}", "{dir}"), (GET, "{dir}", "{far}")] {
        for (change, whole) in [
            // As long as it was, but another one.
            (
                format!("printf NEW | dd of={other}/big conv=notrunc 2>/dev/null; touch -d '2001-02-03' {other}/big"),
                "new",
            ),
            // Shorter than what is there.
            (format!("printf NEW > {other}/big"), "short"),
        ] {
            let verify = if whole == "new" { "true" } else { "false" };
            let case = one(&format!("{step}, verify = {verify} }}")).within(killed(side, "big", &change));
            let (from, to) = if step == PUT { (case.dir(), case.far()) } else { (case.far(), case.dir()) };
            large(&from.join("big"), "end");
            let _ran = case.any_stdout().run();
            let mut begin = [0; 3];
            std::io::Read::read_exact(&mut fs::File::open(to.join("big")).unwrap(), &mut begin).unwrap();
            assert_eq!(&begin, b"NEW");
            assert_eq!(fs::metadata(to.join("big")).unwrap().len(), fs::metadata(from.join("big")).unwrap().len());
        }
    }
}

#[test]
fn a_part_with_another_content_does_not_wedge_what_is_verified() {
    for (step, side) in [(PUT, "{far}"), (GET, "{dir}")] {
        let garble = "printf garbled | dd of=$part conv=notrunc 2>/dev/null";
        let case = one(&format!("{step}, verify = true }}")).within(killed(side, "big", garble));
        let (from, to) = if step == PUT { (case.dir(), case.far()) } else { (case.far(), case.dir()) };
        large(&from.join("big"), "end");
        // The difference is detected, and the whole file sent again.
        let _ran = case.stdout_has("out: false\n").run();
        assert!(ends_with(&to.join("big"), "end"));
        assert!(fs::read(to.join("big")).unwrap()[..16].iter().all(|byte| *byte == 0));
        assert_eq!(parts(&to), [""; 0]);
    }
}

#[test]
fn a_planted_link_is_not_followed() {
    for (step, side) in [(PUT, "{far}"), (GET, "{dir}")] {
        let plant = "printf 'not ours' > {home}/victim; rm -f $part; ln -s {home}/victim $part";
        let case = one(&format!("{step} }}")).within(killed(side, "big", plant));
        let (from, to) = if step == PUT { (case.dir(), case.far()) } else { (case.far(), case.dir()) };
        large(&from.join("big"), "end");
        // The name that it used to have.
        symlink(case.home().join("victim"), to.join(".big.part")).unwrap();
        let ran = case.any_stdout().run();
        assert_eq!(fs::read_to_string(ran.case().home().join("victim")).unwrap(), "not ours");
        assert!(ends_with(&to.join("big"), "end") && !to.join("big").is_symlink());
    }
}

#[test]
fn the_next_put_removes_what_a_killed_one_left_and_nothing_that_may_live() {
    // By name, into a directory, with a template, and as a part of a tree.
    for (step, dir) in [
        ("{ put = \"src/big\", to = \"{far}/big\", save = \"t\" }", "{far}"),
        ("{ put = \"src/b*g\", to = \"{far}/\", save = \"t\" }", "{far}"),
        ("{ put = \"src\", to = \"{far}\", save = \"t\" }", "{far}/src"),
        ("{ put = \"src/big\", to = \"{far}/big\", temp_dir = \"{far}/tmp\", save = \"t\" }", "{far}/tmp"),
    ] {
        let then = format!(
            "printf small > src/big; for n in .big.00112233445566778899aabbccddeeff.part .big.0011223344556677.part; do \
             : > {dir}/old$n; touch -d '2001-02-03' {dir}/old$n; mv {dir}/old$n {dir}/$n; done; \
             : > {dir}/.big.ffeeddccbbaa99887766554433221100.part; \
             : > {dir}/.other.ffeeddccbbaa99887766554433221100.part; \
             touch -d '2001-02-03' {dir}/.other.ffeeddccbbaa99887766554433221100.part"
        );
        let case = one(step).within(killed(dir, "big", &then));
        for made in [case.dir().join("src"), case.far().join("tmp")] {
            fs::create_dir(made).unwrap();
        }
        large(&case.dir().join("src/big"), "end");
        let ran = case.any_stdout().run();
        let dir = ran.case().fill(dir);
        let left = [".big.ffeeddccbbaa99887766554433221100.part", ".other.ffeeddccbbaa99887766554433221100.part"];
        assert_eq!(parts(Path::new(&dir)), left, "{step}");
    }
}

#[test]
fn a_get_removes_what_a_killed_one_left_here() {
    let case = one("{ get = \"{far}/big\", to = \"got/\", save = \"t\" }")
        .within(format!("mkdir got; {}", killed("got", "big", "printf small > {far}/big")));
    large(&case.far().join("big"), "end");
    let ran = case.any_stdout().run();
    assert_eq!(ran.read("got/big"), "small");
    assert_eq!(parts(&ran.case().dir().join("got")), [""; 0]);
}

#[test]
fn a_run_leaves_alone_what_another_one_is_writing() {
    let script = format!(
        "{} mkdir small; printf small > small/big; cp fabfile.toml small; (cd small; \"$0\" \"$@\"); wait $job; exit 0",
        begun("{far}", "big")
    );
    let case = one("{ put = \"big\", to = \"{far}/big\", save = \"t\" }").within(script);
    large(&case.dir().join("big"), "end");
    let ran = case.any_stdout().run();
    // The slower one came last.
    assert!(ends_with(&ran.case().far().join("big"), "end"));
    assert_eq!(parts(&ran.case().far()), [""; 0]);
}
