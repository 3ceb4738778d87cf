//! `#[task]`: the function stays as it is, and a type of its name gets a function that makes the task. A type and not a
//! module: it sees what is around it inside a function too.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, Ident, ItemFn, Lit, LitStr, Meta, Pat, Result, ReturnType, Token, Type,
};

use crate::root::root;

/// An option of `#[task(..)]`: `name` or `name = value`.
struct Opt {
    name: Ident,
    value: Option<Expr>,
}

impl Parse for Opt {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.call(syn::ext::IdentExt::parse_any)?;
        let value = if input.parse::<Option<Token![=]>>()?.is_some() { Some(input.parse()?) } else { None };
        Ok(Self { name, value })
    }
}

const OPTIONS: [&str; 19] = [
    "name",
    "aliases",
    "alias",
    "hosts",
    "roles",
    "runs_once",
    "parallel",
    "serial",
    "pool_size",
    "batch",
    "canary",
    "health",
    "pause",
    "rollback",
    "pre",
    "post",
    "default",
    "with",
    "crate",
];

pub(crate) fn expand(options: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let options = Punctuated::<Opt, Token![,]>::parse_terminated.parse2(options)?;
    let mut function: ItemFn = syn::parse2(function)?;
    if let Some(generics) = function.sig.generics.params.first() {
        return Err(Error::new_spanned(generics, "a task is called by name and cannot be generic"));
    }
    let mut task_name = function.sig.ident.to_string();
    let (mut calls, mut path_of_crate) = (TokenStream::new(), None);
    for option in &options {
        if let (true, Some(path)) = (option.name == "crate", &option.value) {
            path_of_crate = Some(quote! { #path });
        }
        let call = builder(option)?;
        if option.name == "name" {
            task_name = text(option)?.value();
        }
        calls.extend(call);
    }
    if let Some(help) = doc(&function.attrs) {
        calls.extend(quote! { .help(#help) });
    }

    let root = root(path_of_crate);
    let mut context = None;
    let (mut reads, mut names) = (TokenStream::new(), Vec::new());
    for (at, input) in function.sig.inputs.iter_mut().enumerate() {
        let FnArg::Typed(input) = input else {
            return Err(Error::new_spanned(input, "a task is a function, not a method"));
        };
        let Pat::Ident(pattern) = input.pat.as_ref() else {
            return Err(Error::new_spanned(&input.pat, "a parameter of a task needs a name"));
        };
        if at == 0 && is_context(&input.ty) {
            context = Some(());
            continue;
        }
        let param = pattern.ident.to_string();
        let param = param.trim_start_matches("r#").trim_start_matches('_').to_owned();
        let variable = format_ident!("argument_{at}");
        let ty = &input.ty;
        let settings = settings_of(&input.attrs)?;
        let help = doc(&input.attrs).or(settings.help.clone());
        calls.extend(with_param(&root, ty, &param, &settings, help));
        reads.extend(quote! { let #variable: #ty = context.argument(#param)?; });
        names.push(variable);
        input.attrs.retain(|attr| !attr.path().is_ident("doc") && !attr.path().is_ident("arg"));
    }

    let (ident, vis) = (&function.sig.ident, &function.vis);
    let context = context.map(|()| quote! { context.clone(), });
    let call = quote! { #ident(#context #(#names),*) };
    let call = if function.sig.asyncness.is_some() {
        quote! { #call.await }
    } else {
        call
    };
    let result = match function.sig.output {
        ReturnType::Default => quote! { { #call; ::std::result::Result::Ok(()) } },
        ReturnType::Type(..) => quote! { #call.map_err(::std::convert::Into::into) },
    };
    let about = format!("The task `{task_name}`, made of the function of this name.");
    Ok(quote! {
        #function

        #[doc = #about]
        #[allow(non_camel_case_types, dead_code)]
        #vis enum #ident {}

        #[allow(dead_code)]
        impl #ident {
            #[doc = #about]
            #[must_use]
            #vis fn task() -> #root::Task {
                #root::Task::from_fn(#task_name, |context: #root::Context| async move {
                    #reads
                    #result
                })
                #calls
            }
        }
    })
}

/// One call of the task's builder.
fn builder(option: &Opt) -> Result<TokenStream> {
    let name = option.name.to_string();
    let none = || match &option.value {
        None => Ok(()),
        Some(value) => Err(Error::new_spanned(value, format!("`{name}` takes no value"))),
    };
    let value =
        || option.value.as_ref().ok_or_else(|| Error::new(option.name.span(), format!("`{name}` needs a value")));
    Ok(match name.as_str() {
        "name" => TokenStream::new(),
        "crate" => value().map(|_| TokenStream::new())?,
        "pause" => none().map(|()| quote! { .pause() })?,
        "runs_once" => none().map(|()| quote! { .runs_once() })?,
        "parallel" => none().map(|()| quote! { .parallel() })?,
        "serial" => none().map(|()| quote! { .serial() })?,
        "default" => none().map(|()| quote! { .default() })?,
        // An explicit empty list is the same as none, and has no type by itself.
        "hosts" | "roles" if matches!(&option.value, Some(Expr::Array(list)) if list.elems.is_empty()) => {
            TokenStream::new()
        }
        "hosts" => value().map(|list| quote! { .hosts(#list) })?,
        "roles" => value().map(|list| quote! { .roles(#list) })?,
        "alias" => value().map(|alias| quote! { .alias(#alias) })?,
        "aliases" => items(value()?)?.into_iter().map(|alias| quote! { .alias(#alias) }).collect(),
        "pool_size" => value().map(|size| quote! { .pool_size(#size) })?,
        "batch" | "canary" => {
            let call = format_ident!("{name}");
            let share = match value()? {
                Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => LitStr::new(number.base10_digits(), number.span()),
                _ => text(option)?,
            };
            quote! { .#call(#share.parse().expect("a number of hosts, or a share such as \"25%\"")) }
        }
        "health" | "rollback" => {
            let call = format_ident!("{name}");
            let task = text(option)?;
            quote! { .#call(#task.parse().expect("a task's name, with arguments if it has some")) }
        }
        "pre" | "post" => {
            let call = format_ident!("{name}");
            let with =
                |item: Expr| quote! { .#call(#item.parse().expect("a task's name, with arguments if it has some")) };
            items(value()?)?.into_iter().map(with).collect()
        }
        "with" => value().map(|map| quote! { .with(#map) })?,
        _ => {
            let known = OPTIONS.join(", ");
            return Err(Error::new(option.name.span(), format!("`{name}` is none of {known}")));
        }
    })
}

fn items(list: &Expr) -> Result<Vec<Expr>> {
    match list {
        Expr::Array(array) => Ok(array.elems.iter().cloned().collect()),
        other => Err(Error::new_spanned(other, "expected a list: [\"one\", \"two\"]")),
    }
}

fn text(option: &Opt) -> Result<LitStr> {
    match &option.value {
        Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => Ok(text.clone()),
        Some(other) => Err(Error::new_spanned(other, "expected a text")),
        None => Err(Error::new(option.name.span(), "expected a text")),
    }
}

fn with_param(
    root: &TokenStream,
    ty: &Type,
    name: &str,
    settings: &ParamSettings,
    help: Option<String>,
) -> TokenStream {
    let default = settings.default.as_ref().map(|value| {
        // A number is of the parameter's type by itself; a text has to become one.
        let is_number = match value {
            Expr::Unary(_) => true,
            Expr::Lit(literal) => !matches!(literal.lit, Lit::Str(_)),
            _ => false,
        };
        let value = if is_number {
            quote! { #value }
        } else {
            quote! { <#ty>::from(#value) }
        };
        quote! { .default_value({ let value: #ty = #value; #root::Argument::to_value(&value) }) }
    });
    let short = settings.short.as_ref().map(|letter| quote! { .short(#letter) });
    let help = help.map(|help| quote! { .help(#help) });
    quote! { .param(<#ty as #root::Argument>::param(#name) #default #short #help) }
}

/// `#[arg(default = 3, short = 'n', help = "..")]` of a parameter.
#[derive(Default)]
struct ParamSettings {
    default: Option<Expr>,
    short: Option<Expr>,
    help: Option<String>,
}

fn settings_of(attrs: &[Attribute]) -> Result<ParamSettings> {
    let mut settings = ParamSettings::default();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("arg")) {
        for option in attr.parse_args_with(Punctuated::<Opt, Token![,]>::parse_terminated)? {
            let value = option.value.clone().ok_or_else(|| Error::new(option.name.span(), "expected a value"));
            match option.name.to_string().as_str() {
                "default" => settings.default = Some(value?),
                "short" => settings.short = Some(value?),
                "help" => settings.help = Some(text(&option)?.value()),
                other => {
                    let message = format!("`{other}` is none of default, short, help");
                    return Err(Error::new(option.name.span(), message));
                }
            }
        }
    }
    Ok(settings)
}

/// The doc comment, without its indentation.
fn doc(attrs: &[Attribute]) -> Option<String> {
    let lines: Vec<String> = attrs
        .iter()
        .filter(|attr| attr.path().is_ident("doc"))
        .filter_map(|attr| match &attr.meta {
            Meta::NameValue(meta) => match &meta.value {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        })
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).to_owned())
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n").trim().to_owned())
}

fn is_context(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|segment| segment.ident == "Context"))
}

#[cfg(test)]
mod tests {
    use super::OPTIONS;

    #[test]
    fn the_documentation_has_every_option() {
        let documentation = include_str!("../../src/macros.md");
        for option in OPTIONS.iter().chain(&["default", "short", "help"]) {
            let row = |line: &str| line.starts_with(&format!("| `{option}")) || line.contains(&format!(", `{option}"));
            assert!(documentation.lines().any(row), "{option}");
        }
    }
}
