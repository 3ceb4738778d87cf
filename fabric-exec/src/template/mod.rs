//! Templates and conditions: Jinja expressions in `{{ }}`, nothing else.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use fabric_core::Value;
use fabric_core::command::quote;
use fabric_core::settings::{Setting, Settings};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

pub(crate) mod names;

use names::{Named, Use};

/// A template or condition that cannot be evaluated: what is wrong with it, but neither its text nor a value, which may
/// be secrets.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TemplateError(pub(crate) String);

/// What no text holds: block and comment tags are off, so that a shell's `${#a}` stays as it is.
const NEVER: [&str; 4] = ["\u{1}\u{2}{%", "%}\u{2}\u{1}", "\u{1}\u{2}{#", "#}\u{2}\u{1}"];

/// An environment with our syntax, strict about undefined names, with the filter `sh`.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .block_delimiters(NEVER[0], NEVER[1])
        .comment_delimiters(NEVER[2], NEVER[3])
        .keep_trailing_newline(true)
        .build();
    // The delimiters are distinct and not empty, which is all that is asked of them.
    if let Ok(syntax) = syntax {
        environment.set_syntax(syntax);
    }
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_formatter(|out, state, value| match word(value) {
        Some(word) => out.write_str(word).map_err(Error::from),
        None => minijinja::escape_formatter(out, state, value),
    });
    environment.add_filter("sh", shell_words);
    environment
}

/// Switches and nothing, as fabfiles and shells spell them rather than as Python does.
fn word(value: &minijinja::Value) -> Option<&'static str> {
    if value.is_none() {
        return Some("none");
    }
    match bool::try_from(value.clone()) {
        Ok(truth) if value.kind() == minijinja::value::ValueKind::Bool => Some(if truth { "true" } else { "false" }),
        _ => None,
    }
}

/// A value as words for a Bourne shell: a list becomes one word an item.
fn shell_words(value: &minijinja::Value) -> Result<String, Error> {
    let quoted = |value: &minijinja::Value| -> Result<String, Error> {
        let text = word(value).map_or_else(|| value.to_string(), str::to_owned);
        let quoted = quote(text.as_bytes())
            .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("`sh`: {error}")))?;
        Ok(String::from_utf8_lossy(&quoted).into_owned())
    };
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    if value.kind() == minijinja::value::ValueKind::Seq {
        let words: Result<Vec<String>, Error> = value.try_iter()?.map(|item| quoted(&item)).collect();
        return Ok(words?.join(" "));
    }
    quoted(value)
}

/// A value as templates see it.
pub(crate) fn value(value: &Value) -> minijinja::Value {
    minijinja::Value::from(minijinja::value::Serde(value))
}

/// Whether a text is a template at all.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// What is wrong with a template's syntax.
pub(crate) fn check(text: &str) -> Result<(), TemplateError> {
    if !is_template(text) {
        return Ok(());
    }
    environment().template_from_str(text).map(drop).map_err(|error| TemplateError(message(&error)))
}

/// What is wrong with a file's syntax, and in which line.
pub(crate) fn check_file(text: &str) -> Result<(), (usize, String)> {
    let wrong = |error: Error| {
        let fault = Fault::of(&error);
        (fault.line, fault.message)
    };
    environment().template_from_str(text).map(drop).map_err(wrong)
}

/// What is wrong with a condition's syntax.
pub(crate) fn check_expression(text: &str) -> Result<(), TemplateError> {
    environment().compile_expression(text).map(drop).map_err(|error| TemplateError(message(&error)))
}

/// Renders a template. An error names what is wrong, and never the text or a value.
pub(crate) fn render(
    environment: &Environment<'_>,
    text: &str,
    scope: &minijinja::Value,
) -> Result<String, TemplateError> {
    if !is_template(text) {
        return Ok(text.to_owned());
    }
    render_any(environment, text, scope).map_err(|faults| {
        let messages: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
        TemplateError(messages.join("; "))
    })
}

/// Renders a file's text. An error names the file and the line besides.
pub(crate) fn render_file(
    environment: &Environment<'_>,
    path: &Path,
    text: &str,
    scope: &minijinja::Value,
) -> Result<String, TemplateError> {
    render_any(environment, text, scope).map_err(|faults| {
        let at = |fault: Fault| format!("{}:{}: {}", path.display(), fault.line, fault.message);
        let messages: Vec<String> = faults.into_iter().map(at).collect();
        TemplateError(messages.join("; "))
    })
}

fn render_any(environment: &Environment<'_>, text: &str, scope: &minijinja::Value) -> Result<String, Vec<Fault>> {
    let template = environment.template_from_str(text).map_err(|error| vec![Fault::of(&error)])?;
    template.render(scope).map_err(|error| faults(text, &names::of_template(text), &error, scope))
}

/// Renders every text in a value.
pub(crate) fn render_value<E>(value: &Value, render: &impl Fn(&str) -> Result<String, E>) -> Result<Value, E> {
    Ok(match value {
        Value::String(text) => Value::String(render(text)?),
        Value::Array(items) => {
            items.iter().map(|item| render_value(item, render)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Value::Object(map) => Value::Object(
            map.iter().map(|(key, item)| Ok((key.clone(), render_value(item, render)?))).collect::<Result<_, E>>()?,
        ),
        other => other.clone(),
    })
}

/// The names that a template uses, as `name.of.attribute`; none if there is something wrong with it.
pub(crate) fn names(environment: &Environment<'_>, text: &str) -> HashSet<String> {
    let template = is_template(text).then(|| environment.template_from_str(text).ok()).flatten();
    template.map(|template| template.undeclared_variables(true)).unwrap_or_default()
}

/// The names that a condition uses.
pub(crate) fn names_in_condition(environment: &Environment<'_>, text: &str) -> HashSet<String> {
    let expression = environment.compile_expression(text).ok();
    expression.map(|expression| expression.undeclared_variables(true)).unwrap_or_default()
}

/// The value of a name.
pub(crate) fn look_up(scope: &minijinja::Value, name: &str) -> Option<minijinja::Value> {
    name.split('.')
        .try_fold(scope.clone(), |value, part| value.get_attr(part).ok().filter(|value| !value.is_undefined()))
}

/// Evaluates a condition.
pub(crate) fn holds(
    environment: &Environment<'_>,
    text: &str,
    scope: &minijinja::Value,
) -> Result<bool, TemplateError> {
    let error = |faults: Vec<Fault>| {
        let messages: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
        TemplateError(messages.join("; "))
    };
    let uses = names::of_condition(text);
    let expression = environment.compile_expression(text).map_err(|e| error(vec![Fault::of(&e)]))?;
    let value = expression.eval(scope).map_err(|e| error(faults(text, &uses, &e, scope)))?;
    if value.is_undefined() {
        return Err(error(faults(text, &uses, &Error::from(ErrorKind::UndefinedError), scope)));
    }
    match mistaken(environment, text, scope) {
        Some(message) => Err(TemplateError(message)),
        None => Ok(value.is_true()),
    }
}

/// What a condition means that has a text where a number or a truth is meant: comparing them is never what it looks like.
fn mistaken(environment: &Environment<'_>, text: &str, scope: &minijinja::Value) -> Option<String> {
    use minijinja::value::ValueKind;
    // What can't be evaluated alone is behind something that decides whether it is.
    let kind = |part: &str| Some(environment.compile_expression(part).ok()?.eval(scope).ok()?.kind());
    // Texts that are written out may be secrets.
    let shown = |part: &str| if part.contains(['\'', '"']) { "..".to_owned() } else { part.to_owned() };
    for (left, right) in names::comparisons(text) {
        let (text, number) = match (kind(left), kind(right)) {
            (Some(ValueKind::String), Some(ValueKind::Number)) => (left, right),
            (Some(ValueKind::Number), Some(ValueKind::String)) => (right, left),
            _ => continue,
        };
        let (text, number) = (shown(text), shown(number));
        return Some(format!(
            "a text is compared with a number: `{text}` with `{number}`; write `{text} | int` to compare it as a number"
        ));
    }
    let bare = names::conditions(text).into_iter().find(|part| kind(part) == Some(ValueKind::String))?;
    let bare = shown(bare);
    Some(format!(
        "`{bare}` is a text and no condition: write `{bare} == '..'`, or `{bare} != ''` for any text but an empty one"
    ))
}

/// What is wrong with a text, and in which of its lines.
struct Fault {
    line: usize,
    message: String,
}

impl Fault {
    fn of(error: &Error) -> Self {
        Self { line: error.line().unwrap_or(1), message: message(error) }
    }
}

/// An error in words of our own: its `Display` and its details can hold the text and the values.
fn message(error: &Error) -> String {
    use ErrorKind::{
        BadEscape, MissingArgument, SyntaxError, TooManyArguments, UnknownFilter, UnknownFunction, UnknownMethod,
        UnknownTest,
    };
    /// Details of operations that name types only.
    const OF_TYPES: [&str; 3] = ["tried to use ", "cannot convert ", "`sh`: "];
    let kind = error.kind();
    let is_harmless = match kind {
        BadEscape | MissingArgument | SyntaxError | TooManyArguments | UnknownFilter | UnknownFunction
        | UnknownMethod | UnknownTest => true,
        _ => error.detail().is_some_and(|detail| OF_TYPES.iter().any(|start| detail.starts_with(start))),
    };
    error.detail().filter(|_| is_harmless).map_or_else(|| kind.to_string(), str::to_owned)
}

/// Names what is not defined, and the nearest name that is.
fn faults(text: &str, uses: &[Use<'_>], error: &Error, scope: &minijinja::Value) -> Vec<Fault> {
    if error.kind() != ErrorKind::UndefinedError {
        return vec![Fault::of(error)];
    }
    let known: Vec<String> = scope.try_iter().map(|keys| keys.map(|key| key.to_string()).collect()).unwrap_or_default();
    let mut faults: Vec<Fault> = Vec::new();
    for one in uses.iter().filter(|one| one.what == Named::Value && !one.optional) {
        let name = one.name();
        if look_up(scope, &name).is_some() {
            continue;
        }
        let near = fabric_core::settings::nearest(one.path[0], known.iter().map(String::as_str));
        let near = near.filter(|near| *near != one.path[0]).map(|near| format!(" (did you mean `{near}`?)"));
        let message = format!("`{name}` is not defined{}", near.unwrap_or_default());
        if faults.iter().all(|fault| fault.message != message) {
            faults.push(Fault { line: text[..one.at.start].matches('\n').count() + 1, message });
        }
    }
    if faults.is_empty() {
        let message = "something in it is not defined".to_owned();
        faults.push(Fault { line: error.line().unwrap_or(1), message });
    }
    faults
}

/// Whether this is the name of a filter, a test or a function, as far as that matters: values are looked up.
pub(crate) fn is_known(environment: &Environment<'_>, what: Named, name: &str) -> bool {
    let (expression, unknown) = match what {
        Named::Value => return true,
        Named::Function => (format!("{name}()"), ErrorKind::UnknownFunction),
        Named::Filter => (format!("0|{name}"), ErrorKind::UnknownFilter),
        Named::Test => (format!("0 is {name}"), ErrorKind::UnknownTest),
    };
    let tried = environment.compile_expression(&expression).and_then(|tried| tried.eval(()));
    !tried.is_err_and(|error| error.kind() == unknown)
}

/// `env` in a template outside of any task: settings and shared state.
pub(crate) fn env_of(settings: Arc<Settings>) -> minijinja::Value {
    #[derive(Debug)]
    struct Env(Arc<Settings>);
    impl minijinja::value::Object for Env {
        fn get_value(self: &Arc<Self>, key: &minijinja::Value) -> Option<minijinja::Value> {
            let name = key.as_str()?;
            let is_secret = Setting::find(name).is_some_and(|setting| setting.kind.is_secret());
            self.0.get(name).filter(|_| !is_secret).map(|found| value(&found))
        }
    }
    minijinja::Value::from_pairs([("env".to_owned(), minijinja::Value::from_object(Env(settings)))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rendered(text: &str) -> Result<String, String> {
        let scope = value(&json!({
            "version": "1.2", "name": "it's", "list": ["a b", "c"], "seen": {"stdout": "x"}, "none": null, "yes": true,
        }));
        render(&environment(), text, &scope).map_err(|error| error.to_string())
    }

    #[test]
    fn only_double_braces_are_templates() {
        for plain in ["${#a}", "{% if x %}", "{# no #}", "awk '{print $1}'", "a }} b", "%}", "{ { x } }"] {
            assert_eq!(rendered(plain).unwrap(), plain);
            assert_eq!(rendered(&format!("{plain} {{{{ version }}}}")).unwrap(), format!("{plain} 1.2"), "{plain}");
        }
        assert_eq!(rendered("{{ '{{' }}").unwrap(), "{{");
        assert_eq!(rendered("{{ version }}\n").unwrap(), "1.2\n");
        assert_eq!(rendered("{{ yes }} {{ none }} {{ not yes | sh }}").unwrap(), "true none false");
    }

    #[test]
    fn the_filter_quotes_for_a_shell() {
        assert_eq!(rendered("{{ name | sh }}").unwrap(), "\"it's\"");
        assert_eq!(rendered("{{ list | sh }}").unwrap(), "'a b' c");
        assert_eq!(rendered("{{ '' | sh }}").unwrap(), "''");
    }

    #[test]
    fn undefined_names_are_errors_that_name_them() {
        let text = rendered("{{ versoin }}").unwrap_err();
        assert!(text.contains("`versoin` is not defined (did you mean `version`?)"), "{text}");
        assert!(rendered("{{ seen.stdot }}").unwrap_err().contains("`seen.stdot` is not defined"));
        assert!(rendered("{{ versoin | sh }}").is_err());
        let two = rendered("secret words {{ a }} {{ b }} {{ a }} {{ c | default('') }}").unwrap_err();
        assert_eq!(two, "`a` is not defined; `b` is not defined");
    }

    #[test]
    fn errors_hold_neither_the_text_nor_a_value() {
        let scope = value(&json!({"password": "s3cret", "n": 31337, "huge": 99_999_999_999_i64}));
        let environment = environment();
        for text in [
            "s3cret {{ password | int }}",
            "s3cret {{ password + n }}",
            "s3cret {{ n ** huge }}",
            "s3cret {{ nope }}",
            "s3cret {{ password | nope }}",
            "s3cret {{ password.nope }}",
            "s3cret {{ password() }}",
            "s3cret {{ -password }}",
            "s3cret {{ password | round }}",
            "s3cret {{ nope(password) }}",
            "s3cret {{ n[password] }}",
            "s3cret {{ x y }}",
            "s3cret {{ range(huge) }}",
            "s3cret {{ password | dictsort }}",
            "s3cret {{ n / 0 }}",
        ] {
            let Err(error) = render(&environment, text, &scope) else { panic!("{text} is rendered") };
            for shown in [error.to_string(), format!("{error:#}"), format!("{error:?}"), format!("{error:#?}")] {
                for held in ["s3cret", "31337", "99999999999"] {
                    assert!(!shown.contains(held), "{text}: {shown}");
                }
            }
        }
    }

    #[test]
    fn an_error_of_a_file_names_its_line() {
        let scope = value(&json!({"port": 1}));
        let text = "listen {{ port }}\n# s3cret\nname {{ naem }}\nuser {{ user }}\n";
        let error = render_file(&environment(), Path::new("a.conf"), text, &scope).unwrap_err().to_string();
        assert_eq!(error, "a.conf:3: `naem` is not defined; a.conf:4: `user` is not defined");
        let error = render_file(&environment(), Path::new("a.conf"), "x\n{{ port | shh }}\n", &scope).unwrap_err();
        assert_eq!(error.to_string(), "a.conf:2: filter shh is unknown");
        let error = render_file(&environment(), Path::new("a.conf"), "x\n\n{{ port port }}\n", &scope).unwrap_err();
        assert!(error.to_string().starts_with("a.conf:3: "), "{error}");
    }

    #[test]
    fn filters_tests_and_functions_are_known() {
        let environment = environment();
        for (what, name, known) in [
            (Named::Filter, "sh", true),
            (Named::Filter, "join", true),
            (Named::Filter, "shh", false),
            (Named::Test, "defined", true),
            (Named::Test, "divisibleby", true),
            (Named::Test, "defiend", false),
            (Named::Function, "range", true),
            (Named::Function, "rnage", false),
        ] {
            assert_eq!(is_known(&environment, what, name), known, "{name}");
        }
    }

    #[test]
    fn conditions_are_expressions() {
        let scope = value(&json!({"a": {"stdout": "1"}, "v": "1", "no": false}));
        let holds = |text: &str| holds(&environment(), text, &scope);
        assert!(holds("a.stdout == v").unwrap());
        assert!(!holds("no").unwrap());
        assert!(holds("not no and v in ['1', '2']").unwrap());
        assert!(holds("w").is_err() && holds("a.b").is_err());
        let wrong = |text: &str| holds(text).unwrap_err().to_string();
        for text in ["a.stdout > 0", "1 == v", "not no and v < 2", "(v) != 3"] {
            assert!(wrong(text).contains("a text is compared with a number"), "{text}: {}", wrong(text));
        }
        assert!(wrong("a.stdout > 0").contains("write `a.stdout | int`"));
        for text in ["v", "not a.stdout", "no or v", "'yes'"] {
            assert!(wrong(text).contains("is a text and no condition"), "{text}: {}", wrong(text));
        }
        assert!(holds("a.stdout | int > 0 and v | float == 1.0").unwrap());
        assert!(!holds("no and w > 1").unwrap(), "what is not looked at is not wrong");
        assert!(check_expression("a ==").is_err() && check("{{ a").is_err());
    }
}
