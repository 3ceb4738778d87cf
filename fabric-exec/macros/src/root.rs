//! Where fabric-exec is, seen from the crate that uses a macro.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

/// The path of fabric-exec: the option `crate`, else what that crate's manifest calls it, or fabric-cli, which has it.
pub(crate) fn root(option: Option<TokenStream>) -> TokenStream {
    let named = |package: &str, own: &str| {
        let name = match crate_name(package).ok()? {
            // In its own tests and examples.
            FoundCrate::Itself => format_ident!("{own}"),
            FoundCrate::Name(name) => format_ident!("{name}"),
        };
        Some(quote! { ::#name })
    };
    let by_cli = || named("fabric-cli", "fabric_cli").map(|cli| quote! { #cli::fabric_exec });
    option.or_else(|| named("fabric-exec", "fabric_exec")).or_else(by_cli).unwrap_or_else(|| quote! { ::fabric_exec })
}
