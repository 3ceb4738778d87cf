//! Templates and conditions: Jinja expressions in `{{ }}`, nothing else.

use std::collections::HashSet;
use std::fmt::Write as _;

use fabric_core::Value;
use fabric_core::command::quote;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

use crate::task::TaskError;

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
pub(crate) fn check(text: &str) -> Result<(), String> {
    if !is_template(text) {
        return Ok(());
    }
    environment().template_from_str(text).map(drop).map_err(|error| message(&error))
}

/// What is wrong with a condition's syntax.
pub(crate) fn check_expression(text: &str) -> Result<(), String> {
    environment().compile_expression(text).map(drop).map_err(|error| message(&error))
}

/// Renders a template.
pub(crate) fn render(environment: &Environment<'_>, text: &str, scope: &minijinja::Value) -> Result<String, TaskError> {
    if !is_template(text) {
        return Ok(text.to_owned());
    }
    let error = |error: Error, names: Vec<String>| TaskError::Template {
        text: text.to_owned(),
        message: explain(&error, &names, scope),
    };
    let template = environment.template_from_str(text).map_err(|e| error(e, Vec::new()))?;
    template.render(scope).map_err(|e| error(e, template.undeclared_variables(true).into_iter().collect()))
}

/// Renders every text in a value.
pub(crate) fn render_value(
    value: &Value,
    render: &impl Fn(&str) -> Result<String, TaskError>,
) -> Result<Value, TaskError> {
    Ok(match value {
        Value::String(text) => Value::String(render(text)?),
        Value::Array(items) => {
            items.iter().map(|item| render_value(item, render)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, item)| Ok((key.clone(), render_value(item, render)?)))
                .collect::<Result<_, TaskError>>()?,
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

/// What a name stands for.
pub(crate) fn look_up(scope: &minijinja::Value, name: &str) -> Option<minijinja::Value> {
    name.split('.')
        .try_fold(scope.clone(), |value, part| value.get_attr(part).ok().filter(|value| !value.is_undefined()))
}

/// Evaluates a condition.
pub(crate) fn holds(environment: &Environment<'_>, text: &str, scope: &minijinja::Value) -> Result<bool, TaskError> {
    let error = |error: Error, names: Vec<String>| TaskError::Template {
        text: text.to_owned(),
        message: explain(&error, &names, scope),
    };
    let expression = environment.compile_expression(text).map_err(|e| error(e, Vec::new()))?;
    let value =
        expression.eval(scope).map_err(|e| error(e, expression.undeclared_variables(true).into_iter().collect()))?;
    if value.is_undefined() {
        let names = expression.undeclared_variables(true).into_iter().collect();
        return Err(error(Error::from(ErrorKind::UndefinedError), names));
    }
    Ok(value.is_true())
}

fn message(error: &Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

/// Names what is not defined, and the nearest name that is.
fn explain(error: &Error, names: &[String], scope: &minijinja::Value) -> String {
    if error.kind() != ErrorKind::UndefinedError {
        return message(error);
    }
    let mut missing: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| look_up(scope, name).is_none()).collect();
    missing.sort_unstable();
    let Some(first) = missing.first() else { return "something in it is not defined".to_owned() };
    let mut text = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
    text.push_str(if missing.len() == 1 { " is not defined" } else { " are not defined" });
    let known: Vec<String> = scope.try_iter().map(|keys| keys.map(|key| key.to_string()).collect()).unwrap_or_default();
    if let Some(near) = fabric_core::settings::nearest(first, known.iter().map(String::as_str)) {
        _ = write!(text, " (did you mean `{near}`?)");
    }
    text
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
    }

    #[test]
    fn conditions_are_expressions() {
        let scope = value(&json!({"a": {"stdout": "1"}, "v": "1", "no": false}));
        let holds = |text: &str| holds(&environment(), text, &scope);
        assert!(holds("a.stdout == v").unwrap());
        assert!(!holds("no").unwrap());
        assert!(holds("not no and v in ['1', '2']").unwrap());
        assert!(holds("w").is_err() && holds("a.b").is_err());
        assert!(check_expression("a ==").is_err() && check("{{ a").is_err());
    }
}
