//! The walk-through of docs/plugins.md shows this very crate.

#[test]
fn the_page_shows_this_code() {
    let page = include_str!("../../../../docs/plugins.md");
    let code = page.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of Rust");
    assert_eq!(code, include_str!("../src/lib.rs"), "copy plugins/examples/direct/src/lib.rs into docs/plugins.md");
}

/// The one line by which an author tests a plugin, as the page has it.
#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_by_it() {
    let (plugin, sshd) = (tests::BuiltPlugin::new("direct"), tests::Sshd::shared());
    let host = &sshd.hosts()[0];
    let mut target = plugin.behind("direct://", sshd, host);
    fabric_transport_conformance::run_plugin(plugin.file(), &target, &[]).await;

    // Its option leads elsewhere, where nobody is.
    target.options.insert("direct".to_owned(), serde_json::json!({"port": 1}));
    let text = plugin.open(&target).await.err().expect("nobody is there").to_string();
    assert!(text.contains("Connection refused"), "{text}");
}

/// The same in C, compiled with every warning an error.
#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_by_the_one_in_c() {
    let plugin = tests::BuiltPlugin::compile("direct-c", include_str!("../../direct.c"));
    let sshd = tests::Sshd::shared();
    let target = plugin.behind("direct-c://", sshd, &sshd.hosts()[0]);
    fabric_transport_conformance::run(plugin.open(&target).await.expect("a session"), &[]).await;
}
