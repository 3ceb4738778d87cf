//! Transfers of files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::case;

#[test]
fn a_file_goes_to_every_host_and_comes_back_from_each() {
    let ran = case!()
        .hosts(2)
        .file("app/notes.txt", "grüße\n")
        .fabfile(
            "[tasks.ship]\nhosts = [\"{h1}\", \"{h2}\"]\nsteps = [\n  { run = \"mkdir -p '{far}/{{ env.host }}'\" },\n  \
             { put = \"app/notes.txt\", to = \"{far}/{{ env.host }}/notes.txt\" },\n  \
             { run = \"echo seen >> notes.txt\", cd = \"{far}/{{ env.host }}\" },\n  \
             { get = \"{far}/{{ env.host }}/notes.txt\", to = \"back/{{ env.host }}.txt\" },\n]\n",
        )
        .args(["ship"])
        .any_stdout()
        .any_stderr()
        .run();
    for host in ["{address1}", "{address2}"] {
        let host = ran.case().fill(host);
        assert_eq!(ran.read_far(&format!("{host}/notes.txt")), "grüße\nseen\n");
        assert_eq!(ran.read(&format!("back/{host}.txt")), "grüße\nseen\n");
    }
}

#[test]
fn a_tree_goes_to_a_fleet_again_and_again() {
    // The third host has an old one of one file, and what a transfer of an earlier version left of the other.
    let far = "{far}/{{ env.host }}/site";
    let case = case!()
        .hosts(8)
        .value("tree", far)
        .file("site/data", "0123456789")
        .file("site/sub/page", "new page")
        .fabfile(
            "[env]\nparallel = true\n\n[tasks.prepare]\nsteps = [{ run = \"mkdir -p '{tree}/sub'\" }]\n\n\
             [tasks.ship]\nsteps = [\n  \
             { put = \"site\", to = \"{far}/{{ env.host }}\", skip_same = true, resume = true, verify = true, save = \"put\" },\n  \
             { local = \"echo {{ env.host }}: {{ put.remote | length }} files, {{ put.bytes }} bytes\" },\n]\n",
        );
    let third = case.far().join(case.fill("{address3}/site"));
    fs::create_dir_all(third.join("sub")).unwrap();
    fs::write(third.join(".data.part"), "01234").unwrap();
    fs::write(third.join("sub/page"), "old page").unwrap();
    let (kept, file) = (third.join("kept"), third.join("sub/page"));
    fs::hard_link(&file, &kept).unwrap();
    let tasks = ["prepare", "ship", "ship"];
    let ran = case.args(["-H", "{hosts}"]).args(tasks).any_stdout().stderr_has("8 hosts: 8 ok").run();
    for host in 1..=8 {
        let address = ran.case().fill(&format!("{{address{host}}}"));
        assert_eq!(ran.read_far(&format!("{address}/site/data")), "0123456789");
        assert_eq!(ran.read_far(&format!("{address}/site/sub/page")), "new page");
        let told = |bytes: u32| format!("[localhost] out: {address}: 2 files, {bytes} bytes\n");
        // First what is missing, then nothing.
        assert!(ran.stdout.contains(&told(18)) && ran.stdout.contains(&told(0)), "{}", ran.stdout);
    }
    // Replaced in one step: a process that has the old file open still reads that.
    assert_eq!(fs::read_to_string(kept).unwrap(), "old page");
    // It may be of another file.
    assert_eq!(fs::read_to_string(third.join(".data.part")).unwrap(), "01234");
}

#[test]
fn directories_modes_and_empty_files_arrive() {
    let case = case!()
        .hosts(1)
        .file("site/index.html", "<p>")
        .file("site/empty", "")
        .file("site/bin/run", "#!/bin/sh\necho ran\n")
        .fabfile(
            "[tasks.ship]\nhosts = [\"{h1}\"]\nsteps = [\n  { put = \"site\", to = \"{far}/www\", mirror_local_mode = true },\n  \
             { run = \"{far}/www/bin/run\" },\n  { get = \"{far}/www\", to = \"copy\" },\n]\n",
        );
    fs::set_permissions(case.dir().join("site/bin/run"), fs::Permissions::from_mode(0o750)).unwrap();
    let ran = case.args(["ship"]).stdout_has("[{h1}] out: ran\n").any_stderr().run();
    assert_eq!(ran.read_far("www/index.html"), "<p>");
    assert_eq!(ran.read("copy/empty"), "");
    assert_eq!(ran.read("copy/bin/run"), "#!/bin/sh\necho ran\n");
}

#[test]
fn what_cannot_be_put_or_got_names_the_host_and_the_path() {
    for (task, path) in [("a", "{far}/no/such/dir"), ("b", "missing"), ("c", "{far}/missing")] {
        let ran = case!()
            .hosts(1)
            .file("file", "content")
            .fabfile(
                "[tasks.a]\nhosts = [\"{h1}\"]\nsteps = [{ put = \"file\", to = \"{far}/no/such/dir/file\" }]\n\n\
                 [tasks.b]\nhosts = [\"{h1}\"]\nsteps = [{ put = \"{{ 'missing' }}\", to = \"{far}/missing\" }]\n\n\
                 [tasks.c]\nhosts = [\"{h1}\"]\nsteps = [{ get = \"{far}/missing\", to = \"back\" }]\n",
            )
            .args([task])
            .any_stdout()
            .stderr_has("[{h1}] error: ")
            .stderr_has(path)
            .status(1)
            .run();
        assert!(!ran.case().dir().join("back").exists());
    }
}

#[test]
fn a_get_without_to_tells_where_the_file_goes() {
    let ran = case!()
        .hosts(1)
        .fabfile(
            "[tasks.fetch]\nhosts = [\"{h1}\"]\nsteps = [{ run = \"echo kept > '{far}/notes.txt'\" }, \
             { get = \"{far}/notes.txt\" }]\n",
        )
        .args(["fetch"])
        .stdout_has("[{h1}] download: {address1}/notes.txt <- {far}/notes.txt\n")
        .any_stderr()
        .run();
    assert_eq!(ran.read(&ran.case().fill("{address1}/notes.txt")), "kept\n");
}
