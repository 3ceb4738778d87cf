//! `#[derive(Choice)]`: an enum whose variants are the words of an argument.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Path, Result};

use crate::root::root;

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(item)?;
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(&input, "Choice is for enums"));
    };
    if let Some(variant) = data.variants.iter().find(|variant| !matches!(variant.fields, Fields::Unit)) {
        return Err(Error::new_spanned(variant, "a word of the command line has no fields"));
    }
    let root = root(crate_of(&input.attrs)?);
    let name = &input.ident;
    let variants: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    let words: Vec<String> = variants.iter().map(|variant| word(&variant.to_string())).collect();
    Ok(quote! {
        #[automatically_derived]
        impl #root::Argument for #name {
            fn param(name: &str) -> #root::Param {
                let words = ::std::vec![#(::std::string::String::from(#words)),*];
                #root::Param::required(name).kind(#root::ParamKind::Choice(words))
            }

            fn from_value(value: &#root::Value) -> ::std::result::Result<Self, #root::Expected> {
                match value.as_str() {
                    #(::std::option::Option::Some(#words) => ::std::result::Result::Ok(Self::#variants),)*
                    _ => ::std::result::Result::Err(#root::Expected::new(::std::format!("one of {}", [#(#words),*].join(", ")))),
                }
            }

            fn to_value(&self) -> #root::Value {
                match self {
                    #(Self::#variants => #root::Value::from(#words),)*
                }
            }
        }
    })
}

/// `#[choice(crate = path)]`.
fn crate_of(attrs: &[Attribute]) -> Result<Option<TokenStream>> {
    let mut root = None;
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("choice")) {
        attr.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("the only option is `crate = path`"));
            }
            let path: Path = meta.value()?.parse()?;
            root = Some(quote! { #path });
            Ok(())
        })?;
    }
    Ok(root)
}

/// `BlueGreen` is `blue-green`.
fn word(variant: &str) -> String {
    let mut word = String::new();
    for (at, letter) in variant.char_indices() {
        if letter.is_uppercase() && at > 0 {
            word.push('-');
        }
        word.extend(letter.to_lowercase());
    }
    word
}
