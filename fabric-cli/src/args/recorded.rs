//! The command line as recorded in a journal: in long options, with host lists read, without secrets.

use fabric_config::{parse_set, shown};
use fabric_core::settings::Setting;
use fabric_core::{Gateway, Value};
use fabric_exec::Param;

use super::option::{Effect, GivenOption};
use super::options::Options;

impl Options {
    /// The arguments to record.
    pub(super) fn recorded(
        &self,
        given: &[GivenOption],
        params: &[Vec<Param>],
        remainder: Option<Vec<String>>,
    ) -> Vec<String> {
        let mut arguments = Vec::new();
        for (index, GivenOption { option, value }) in given.iter().enumerate() {
            let value = match (option.does, value) {
                (Effect::SetHosts(_), _) if given[..index].iter().any(|earlier| earlier.option.long == option.long) => {
                    continue;
                }
                (Effect::Set(setting), _) if is_secret(setting) => continue,
                (Effect::SetHosts(setting), _) => match self.setting(setting).and_then(Value::as_array) {
                    Some(hosts) => Some(hosts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")),
                    None => continue,
                },
                // Kept without its password: the hosts behind it can't be reached without a gateway.
                (Effect::Set("gateway"), Some(gateway)) => Some(Gateway::shown(gateway)),
                (Effect::Assign, Some(list)) => {
                    let (gateway, kept) = without_secrets(list);
                    arguments.extend(gateway.map(|gateway| format!("--gateway={gateway}")));
                    match kept {
                        Some(kept) => Some(kept),
                        None => continue,
                    }
                }
                (_, value) => value.clone(),
            };
            arguments.push(value.map_or_else(|| option.name(), |value| format!("{}={value}", option.name())));
        }
        arguments.extend(self.tasks.iter().zip(params).map(|(call, params)| call.shown(params)));
        arguments.extend(remainder.into_iter().flat_map(|words| std::iter::once("--".to_owned()).chain(words)));
        arguments
    }
}

/// Splits the assignments of `--set`: a gateway with a password, which is recorded without it, and what else is no secret.
fn without_secrets(list: &str) -> (Option<String>, Option<String>) {
    let keys = parse_set(list).unwrap_or_default();
    let secret =
        |(key, text): &(String, Option<String>)| is_secret(key) || text.as_ref().is_some_and(|text| masked(key, text));
    if !keys.iter().any(secret) {
        return (None, Some(list.to_owned()));
    }
    let gateway = keys.iter().rev().find(|(key, _)| key == "gateway").and_then(|(_, value)| value.as_deref());
    let kept = keys.iter().filter(|item| !secret(item) && item.0 != "gateway");
    let kept: Vec<String> = kept
        .map(|(key, text)| match text {
            Some(text) => format!("{key}={}", text.replace(',', "\\,")),
            None => key.clone(),
        })
        .collect();
    (gateway.map(Gateway::shown), (!kept.is_empty()).then(|| kept.join(",")))
}

fn is_secret(name: &str) -> bool {
    Setting::find_any(name).is_some_and(|setting| setting.kind.is_secret())
}

/// Whether a value is masked when it is shown.
fn masked(name: &str, text: &str) -> bool {
    let typed = Setting::find_any(name).and_then(|setting| setting.kind.parse(text).ok());
    let value = typed.or_else(|| serde_json::from_str(text).ok()).unwrap_or_else(|| text.into());
    shown(name, &value) != value
}
