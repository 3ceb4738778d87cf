//! `%` tokens, `${VARIABLE}` and `~` in values.

use super::error::Fault;
use super::local::Local;
use super::system;

/// Where a `%` token's value comes from.
pub(super) trait Tokens {
    /// Appends the value of `%letter`; `false` if there is no such token here.
    fn push(&self, letter: char, out: &mut String) -> bool;
}

impl<F: Fn(char, &mut String) -> bool> Tokens for F {
    fn push(&self, letter: char, out: &mut String) -> bool {
        self(letter, out)
    }
}

/// Replaces `%` tokens; `%%` is a percent sign.
pub(super) fn percent(text: &str, tokens: &impl Tokens) -> Result<String, Fault> {
    expand(text, Some(tokens), None)
}

/// Replaces `${VARIABLE}`; one that isn't set is an error.
pub(super) fn variables(text: &str, local: &Local) -> Result<String, Fault> {
    expand(text, None::<&fn(char, &mut String) -> bool>, Some(local))
}

/// Replaces both, in one pass: the values of variables are not expanded again.
pub(super) fn percent_and_variables(text: &str, tokens: &impl Tokens, local: &Local) -> Result<String, Fault> {
    expand(text, Some(tokens), Some(local))
}

fn expand(text: &str, tokens: Option<&impl Tokens>, local: Option<&Local>) -> Result<String, Fault> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let (Some(local), Some(name)) = (local, rest.strip_prefix("${")) {
            let (name, after) = name.split_once('}').ok_or(Fault::OpenVariable)?;
            let value = local.env.get(name).ok_or_else(|| Fault::UnsetVariable { name: name.to_owned() })?;
            out.push_str(value);
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match (c, tokens) {
            ('%', Some(tokens)) => {
                let letter = rest.chars().next().ok_or(Fault::LonePercent)?;
                rest = &rest[letter.len_utf8()..];
                if letter == '%' {
                    out.push('%');
                } else if !tokens.push(letter, &mut out) {
                    return Err(Fault::UnknownToken { letter });
                }
            }
            _ => out.push(c),
        }
    }
    Ok(out)
}

/// Replaces a leading `~` or `~user` by the home directory.
pub(super) fn tilde(text: &str, local: &Local) -> Result<String, Fault> {
    let Some(rest) = text.strip_prefix('~') else { return Ok(text.to_owned()) };
    let (user, path) = rest.split_once('/').unwrap_or((rest, ""));
    let home = if user.is_empty() {
        local.home.clone()
    } else {
        system::home_of(user).ok_or_else(|| Fault::UnknownUser { user: user.to_owned() })?
    };
    let slash = if home.ends_with('/') { "" } else { "/" };
    Ok([&home, slash, path.trim_start_matches('/')].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(letter: char, out: &mut String) -> bool {
        match letter {
            'h' => out.push_str("web1.example.org"),
            'p' => out.push_str("22"),
            _ => return false,
        }
        true
    }

    #[test]
    fn expansions() {
        let mut local = Local::new("me", "/home/me", "here");
        local.env.insert("X".into(), "%h${X}".into());
        assert_eq!(percent("%h:%p %% ~", &tokens).unwrap(), "web1.example.org:22 % ~");
        assert_eq!(percent("${X}", &tokens).unwrap(), "${X}");
        assert!(matches!(percent("%z", &tokens), Err(Fault::UnknownToken { letter: 'z' })));
        assert!(matches!(percent("50%", &tokens), Err(Fault::LonePercent)));
        assert_eq!(percent_and_variables("%p${X}$Y", &tokens, &local).unwrap(), "22%h${X}$Y");
        assert_eq!(variables("a%h${X}", &local).unwrap(), "a%h%h${X}");
        assert!(matches!(variables("${NOPE}", &local), Err(Fault::UnsetVariable { .. })));
        assert!(matches!(variables("${X", &local), Err(Fault::OpenVariable)));
    }

    #[test]
    fn tilde_is_home() {
        let mut local = Local::new("me", "/home/me", "here");
        for (text, expected) in
            [("~", "/home/me/"), ("~/", "/home/me/"), ("~//a/b", "/home/me/a/b"), ("a~", "a~"), ("~root/x", "/root/x")]
        {
            assert_eq!(tilde(text, &local).unwrap(), expected, "{text}");
        }
        local.home = "/".into();
        assert_eq!(tilde("~/a", &local).unwrap(), "/a");
        assert!(matches!(tilde("~no-such-user/x", &local), Err(Fault::UnknownUser { .. })));
    }
}
