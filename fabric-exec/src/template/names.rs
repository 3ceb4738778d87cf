//! The names that a template or a condition uses, with their places in it: read from its text, so that they can be
//! checked and named in messages without their values.

use std::ops::Range;

/// Something that a text uses by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Use<'t> {
    /// What it names.
    pub(crate) what: Named,
    /// The name, then its attributes: `env`, `release`.
    pub(crate) path: Vec<&'t str>,
    /// Where in the text it is.
    pub(crate) at: Range<usize>,
    /// Whether the text is meant to do without it: it is tested, or has a `default`.
    pub(crate) optional: bool,
}

/// The value of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// A value.
    Value,
    /// A function.
    Function,
    /// A filter, behind `|`.
    Filter,
    /// A test, behind `is`.
    Test,
}

impl Named {
    /// Its word in messages.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Value => "name",
            Self::Function => "function",
            Self::Filter => "filter",
            Self::Test => "test",
        }
    }
}

impl Use<'_> {
    /// The name with its attributes, as it is written in templates.
    pub(crate) fn name(&self) -> String {
        self.path.join(".")
    }

    /// Whether this is the same name as `path`, or an attribute of it.
    pub(crate) fn is_of<T: AsRef<str>>(&self, path: &[T]) -> bool {
        self.what == Named::Value
            && self.path.len() >= path.len()
            && path.iter().zip(&self.path).all(|(a, b)| a.as_ref() == *b)
    }
}

/// What a template uses, in the order in which it is written.
pub(crate) fn of_template(text: &str) -> Vec<Use<'_>> {
    optional_ones(placeholders(text).iter().flat_map(|tokens| uses(tokens)).collect())
}

/// What a condition uses.
pub(crate) fn of_condition(text: &str) -> Vec<Use<'_>> {
    optional_ones(uses(&tokens(text, 0, false).0))
}

/// The two sides of each comparison in a condition.
pub(crate) fn comparisons(text: &str) -> Vec<(&str, &str)> {
    let tokens = tokens(text, 0, false).0;
    let compares = |token: &Token<'_>| COMPARISONS.iter().any(|sign| token.is(sign));
    let ends = |token: &Token<'_>| {
        compares(token) || [",", "=", ":"].iter().any(|sign| token.is(sign)) || is_logic(token) || token.is("in")
    };
    let mut found = Vec::new();
    for (index, _) in tokens.iter().enumerate().filter(|(_, token)| compares(token)) {
        // How far a side goes: to what binds less, or closes what it is in.
        let mut depth = 0;
        let before = tokens[..index].iter().rev().take_while(|token| {
            depth += i32::from(is_close(token)) - i32::from(is_open(token));
            depth >= 0 && (depth > 0 || is_open(token) || !ends(token))
        });
        let first = index - before.count();
        let mut depth = 0;
        let after = tokens[index + 1..].iter().take_while(|token| {
            depth += i32::from(is_open(token)) - i32::from(is_close(token));
            depth >= 0 && (depth > 0 || is_close(token) || !ends(token))
        });
        let last = index + after.count();
        if first < index && last > index {
            found.push((
                &text[tokens[first].at..tokens[index - 1].end()],
                &text[tokens[index + 1].at..tokens[last].end()],
            ));
        }
    }
    found
}

/// The parts of a condition that are true or false by themselves: what `and`, `or` and `not` are between.
pub(crate) fn conditions(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    leaves(text, &tokens(text, 0, false).0, &mut found);
    found
}

fn leaves<'t>(text: &'t str, tokens: &[Token<'t>], found: &mut Vec<&'t str>) {
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return };
    if first.is("not") {
        return leaves(text, &tokens[1..], found);
    }
    let mut depth = 0;
    let mut closes_at = None;
    let mut split = None;
    for (index, token) in tokens.iter().enumerate() {
        depth += i32::from(is_open(token)) - i32::from(is_close(token));
        if depth == 0 && closes_at.is_none() && is_close(token) {
            closes_at = Some(index);
        }
        // What is chosen by `if` is a value of its own.
        if depth == 0 && (token.is("if") || token.is("else")) {
            return;
        }
        if depth == 0 && (token.is("and") || token.is("or")) {
            split.get_or_insert(index);
        }
    }
    match split {
        Some(index) => {
            leaves(text, &tokens[..index], found);
            leaves(text, &tokens[index + 1..], found);
        }
        None if first.is("(") && closes_at == Some(tokens.len() - 1) => {
            leaves(text, &tokens[1..tokens.len() - 1], found);
        }
        None => found.push(&text[first.at..last.end()]),
    }
}

const COMPARISONS: [&str; 6] = ["==", "!=", "<=", ">=", "<", ">"];

fn is_logic(token: &Token<'_>) -> bool {
    ["and", "or", "not", "if", "else"].iter().any(|word| token.is(word))
}

fn is_open(token: &Token<'_>) -> bool {
    ["(", "[", "{"].iter().any(|sign| token.is(sign))
}

fn is_close(token: &Token<'_>) -> bool {
    [")", "]", "}"].iter().any(|sign| token.is(sign))
}

/// The values of a template that reach a shell as they are: those without the filter `sh` at the end, with their
/// places. Texts and numbers that are written out are the author's.
pub(crate) fn unquoted(text: &str) -> Vec<(String, Range<usize>)> {
    let bare = |tokens: &Vec<Token<'_>>| {
        let is_quoted = matches!(tokens.as_slice(), [.., bar, filter] if bar.is("|") && filter.is("sh"));
        let (first, last) = (tokens.first()?, tokens.last()?);
        let range = first.at..last.end();
        (!is_quoted && tokens.iter().any(|token| token.kind == Kind::Word))
            .then(|| (text[range.clone()].to_owned(), range))
    };
    placeholders(text).iter().filter_map(bare).collect()
}

/// A name that is tested or has a default anywhere in a text is optional in all of it: `x if x is defined else y`.
fn optional_ones(mut uses: Vec<Use<'_>>) -> Vec<Use<'_>> {
    let optional: Vec<Vec<&str>> = uses.iter().filter(|one| one.optional).map(|one| one.path.clone()).collect();
    for one in &mut uses {
        one.optional |= optional.iter().any(|path| one.is_of(path));
    }
    uses
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    /// A text in quotes.
    Text,
    Number,
    /// An operator, or what else there is.
    Sign,
}

#[derive(Debug, Clone, Copy)]
struct Token<'t> {
    kind: Kind,
    text: &'t str,
    at: usize,
}

impl Token<'_> {
    fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text == text
    }

    fn end(&self) -> usize {
        self.at + self.text.len()
    }
}

/// Words that are no names.
const KEYWORDS: [&str; 13] =
    ["and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None"];

/// The expressions in `{{ }}`.
fn placeholders(text: &str) -> Vec<Vec<Token<'_>>> {
    let (mut found, mut from) = (Vec::new(), 0);
    while let Some(open) = text[from..].find("{{") {
        let (tokens, end) = tokens(text, from + open + 2, true);
        found.push(tokens);
        from = end;
    }
    found
}

/// The tokens from there on, up to `}}` if that closes them, and where they end.
fn tokens(text: &str, from: usize, closed: bool) -> (Vec<Token<'_>>, usize) {
    let (mut tokens, mut at, mut open) = (Vec::new(), from, 0_usize);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if closed && open == 0 && rest.starts_with("}}") {
            return (tokens, at + 2);
        }
        let run = |of: &dyn Fn(char) -> bool| rest.find(|c| !of(c)).unwrap_or(rest.len());
        let (kind, len) = match c {
            _ if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '\'' | '"' => (Kind::Text, quoted(rest, c)),
            '_' => (Kind::Word, run(&is_of_word)),
            _ if c.is_alphabetic() => (Kind::Word, run(&is_of_word)),
            _ if c.is_ascii_digit() => (Kind::Number, run(&|c| is_of_word(c) || c == '.')),
            _ => {
                let double = ["==", "!=", "<=", ">=", "//", "**"].iter().any(|sign| rest.starts_with(sign));
                (Kind::Sign, if double { 2 } else { c.len_utf8() })
            }
        };
        match c {
            '{' => open += 1,
            '}' => open = open.saturating_sub(1),
            _ => {}
        }
        tokens.push(Token { kind, text: &rest[..len], at });
        at += len;
    }
    (tokens, at)
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// How long a text in quotes is, quotes included.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What an expression uses.
fn uses<'t>(tokens: &[Token<'t>]) -> Vec<Use<'t>> {
    let mut uses: Vec<Use<'t>> = Vec::new();
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        let before = |back: usize| index.checked_sub(back).map(|index| tokens[index]);
        let after_sign = |sign: &str| before(1).is_some_and(|token| token.is(sign));
        let after_is = after_sign("is") || (after_sign("not") && before(2).is_some_and(|token| token.is("is")));
        let is_argument = || {
            before(1).is_some_and(|token| token.is("(") || token.is(","))
                && tokens.get(index + 1).is_some_and(|token| token.is("="))
        };
        let single = |what| Use { what, path: vec![token.text], at: token.at..token.end(), optional: false };
        match token.kind {
            Kind::Word if after_sign("|") => {
                if matches!(token.text, "default" | "d") {
                    make_optional(tokens, index - 1, &mut uses);
                }
                uses.push(single(Named::Filter));
            }
            Kind::Word if after_is && token.text != "not" => {
                let is = if after_sign("is") { index - 1 } else { index - 2 };
                make_optional(tokens, is, &mut uses);
                uses.push(single(Named::Test));
            }
            Kind::Word if KEYWORDS.contains(&token.text) || after_sign(".") || is_argument() => {}
            Kind::Word => {
                let one = value(tokens, index);
                index += 1;
                // Its attributes are read; what is in brackets or behind them is not.
                while tokens.get(index).is_some_and(|token| token.at < one.at.end) {
                    index += 1;
                }
                uses.push(one);
                continue;
            }
            _ => {}
        }
        index += 1;
    }
    uses
}

/// The value, or the function, that begins with this word.
fn value<'t>(tokens: &[Token<'t>], first: usize) -> Use<'t> {
    let is = |index: usize, sign: &str| tokens.get(index).is_some_and(|token| token.is(sign));
    let word = tokens[first];
    let mut one = Use { what: Named::Value, path: vec![word.text], at: word.at..word.end(), optional: false };
    let mut next = first + 1;
    if is(next, "(") {
        one.what = Named::Function;
        return one;
    }
    loop {
        let (attribute, end) = match tokens.get(next + 1) {
            Some(token) if is(next, ".") && token.kind == Kind::Word => (token.text, next + 2),
            Some(token) if is(next, "[") && token.kind == Kind::Text && is(next + 2, "]") => {
                (token.text.trim_matches(['\'', '"']), next + 3)
            }
            _ => return one,
        };
        // A method is the value's own.
        if is(end, "(") {
            return one;
        }
        one.path.push(attribute);
        one.at.end = tokens[end - 1].end();
        next = end;
    }
}

/// What precedes this token may be missing: a name with its attributes, or all that is in parentheses.
fn make_optional(tokens: &[Token<'_>], index: usize, uses: &mut [Use<'_>]) {
    let Some(last) = index.checked_sub(1).and_then(|last| tokens.get(last)) else { return };
    let mut from = last.at;
    if last.is(")") {
        let mut open = 0;
        for token in tokens[..index].iter().rev() {
            open += i32::from(token.is(")")) - i32::from(token.is("("));
            from = token.at;
            if open == 0 {
                break;
            }
        }
    }
    for one in uses.iter_mut().filter(|one| one.at.end > from && one.at.start < last.end()) {
        one.optional = one.what == Named::Value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(uses: Vec<Use<'_>>) -> Vec<String> {
        let show = |one: Use<'_>| {
            let mark = if one.optional { "?" } else { "" };
            match one.what {
                Named::Value => one.name() + mark,
                what => format!("{}:{}", what.word(), one.name()),
            }
        };
        uses.into_iter().map(show).collect()
    }

    #[test]
    fn names_and_their_attributes_are_found() {
        for (text, want) in [
            ("plain }} text", vec![]),
            ("{{ a }} and {{ b.c.d }}", vec!["a", "b.c.d"]),
            ("{{ '{{' }} {{ \"a }} b\" }} {{ x }}", vec!["x"]),
            ("{{ env['release'] ~ env[name] }}", vec!["env.release", "env", "name"]),
            ("{{ a | sh }}", vec!["a", "filter:sh"]),
            ("{{ a | join(sep=b) }}", vec!["a", "filter:join", "b"]),
            ("{{ range(n) }}", vec!["function:range", "n"]),
            ("{{ seen.stdout.strip(x) }}", vec!["seen.stdout", "x"]),
            ("{{ x if y and not z in w else none }}", vec!["x", "y", "z", "w"]),
            ("{{ {'a': b}['a'] }}", vec!["b"]),
            ("{{ 1.5 + 2 }}", vec![]),
            ("{{ größe }}", vec!["größe"]),
            ("${#a} {{a}}", vec!["a"]),
            ("{{ unfinished", vec!["unfinished"]),
            ("{{ 'unfinished", vec![]),
        ] {
            assert_eq!(shown(of_template(text)), want, "{text}");
        }
        assert_eq!(shown(of_condition("seen.stdout != version")), ["seen.stdout", "version"]);
    }

    #[test]
    fn comparisons_have_two_sides_and_logic_has_leaves() {
        for (text, want) in [
            ("a.b > 90", vec![("a.b", "90")]),
            ("a | int > 90 and not b == 'x'", vec![("a | int", "90"), ("b", "'x'")]),
            ("f(a, b < 2) or [x >= y][0]", vec![("b", "2"), ("x", "y")]),
            ("a + 1 == (b - 2) * 3", vec![("a + 1", "(b - 2) * 3")]),
            ("x if a < 1 else y", vec![("a", "1")]),
            ("'a < b' in c", vec![]),
            ("a <", vec![]),
        ] {
            assert_eq!(comparisons(text), want, "{text}");
        }
        for (text, want) in [
            ("a", vec!["a"]),
            ("not a and (b or c.d | f(1)) and x == 1", vec!["a", "b", "c.d | f(1)", "x == 1"]),
            ("(a) == (b)", vec!["(a) == (b)"]),
            ("x if a else y", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(conditions(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_tested_or_has_a_default_is_optional() {
        for (text, want) in [
            ("{{ a | default('x') }}", vec!["a?", "filter:default"]),
            ("{{ env.a.b | d(env.c) }}", vec!["env.a.b?", "filter:d", "env.c"]),
            ("{{ a if a is defined else b }}", vec!["a?", "a?", "test:defined", "b"]),
            ("{{ a is not defined }} {{ a.b }}", vec!["a?", "test:defined", "a.b?"]),
            ("{{ (a ~ b) | default(c) }}", vec!["a?", "b?", "filter:default", "c"]),
            ("{{ a ~ b | default('x') }}", vec!["a", "b?", "filter:default"]),
            ("{{ a.b is defined and a.c }}", vec!["a.b?", "test:defined", "a.c"]),
        ] {
            assert_eq!(shown(of_template(text)), want, "{text}");
        }
    }

    #[test]
    fn a_name_knows_its_place() {
        let text = "ü {{ a }} {{ env . release | sh }}";
        let places: Vec<&str> = of_template(text).iter().map(|one| &text[one.at.clone()]).collect();
        assert_eq!(places, ["a", "env . release", "sh"]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "[{}a-c'\"|.()\\[\\]=,ü\\\\1 -]{0,40}|(\\{\\{|\\}\\}|is |default|[a-c.|'\"(){} ]){0,20}") {
            for one in of_template(&text).iter().chain(&of_condition(&text)) {
                proptest::prop_assert!(text[one.at.clone()].starts_with(one.path[0]));
            }
            let _ = (comparisons(&text), conditions(&text));
            for (expression, at) in unquoted(&text) {
                proptest::prop_assert_eq!(&text[at], expression);
            }
        }
    }

    #[test]
    fn values_without_the_filter_are_unquoted() {
        let found = |text| unquoted(text).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(found("cp {{ a | sh }} {{ b }} {{ c | upper }} {{ 'x' }} {{ 3 }}"), ["b", "c | upper"]);
        assert_eq!(found("{{ a|sh }}"), Vec::<String>::new());
    }
}
