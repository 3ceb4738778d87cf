//! The macros of fabric-exec: `#[task]` and `#[derive(Choice)]`. Use them through that crate, where they are
//! documented.

mod choice;
mod root;
mod task;

use proc_macro::TokenStream;

#[allow(missing_docs, reason = "fabric-exec documents it, where its examples compile")]
#[proc_macro_attribute]
pub fn task(options: TokenStream, function: TokenStream) -> TokenStream {
    task::expand(options.into(), function.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}

#[allow(missing_docs, reason = "fabric-exec documents it, where its examples compile")]
#[proc_macro_derive(Choice, attributes(choice))]
pub fn choice(item: TokenStream) -> TokenStream {
    choice::expand(item.into()).unwrap_or_else(|error| error.to_compile_error()).into()
}
