//! The program `fab`.
fn main() {}
