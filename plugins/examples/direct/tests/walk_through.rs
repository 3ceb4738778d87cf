//! The walk-through of docs/plugins.md shows this very crate.

#[test]
fn the_page_shows_this_code() {
    let page = include_str!("../../../../docs/plugins.md");
    let code = page.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of Rust");
    assert_eq!(code, include_str!("../src/lib.rs"), "copy plugins/examples/direct/src/lib.rs into docs/plugins.md");
}
