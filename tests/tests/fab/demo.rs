//! `fab --demo`.

use tests::case;

#[test]
fn the_demo_rolls_a_release_out_and_leaves_nothing_behind() {
    let ran = case!()
        .env("TMPDIR", "{dir}")
        .args(["--demo"])
        .stdout_has("this fabfile in {dir}/")
        .stdout_has("[web1] out: ")
        .stderr_has("trying again")
        .stderr_has("ok (T s)")
        .run();
    // A host failed its check once, and the release is on all of them.
    assert!(ran.stdout.contains("web[1-4] (4 hosts)\n2.4\n"), "{}", ran.stdout);
    let left: Vec<_> = std::fs::read_dir(ran.case().dir()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!ran.case().home().join(".ssh/known_hosts").exists());
}
