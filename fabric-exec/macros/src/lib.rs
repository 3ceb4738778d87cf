//! The macros of fabric-exec: `#[task]` and `#[derive(Choice)]`. Use them through that crate, where they are
//! documented.

mod choice;
mod task;

use proc_macro::TokenStream;

/// Makes a task of a function; see `fabric_exec::task`.
#[proc_macro_attribute]
pub fn task(options: TokenStream, function: TokenStream) -> TokenStream {
    task::expand(options.into(), function.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes an argument of an enum; see `fabric_exec::Choice`.
#[proc_macro_derive(Choice)]
pub fn choice(item: TokenStream) -> TokenStream {
    choice::expand(item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}
