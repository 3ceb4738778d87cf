//! What holds for any settings: they are printed and read again unchanged, and no text makes a reader panic.

use fabric_config::{Config, ConfigBuilder, Environment, Format};
use fabric_core::Resolve;
use fabric_core::settings::{Kind, Layer, Map, Setting, TABLE, Value};
use proptest::prelude::*;
use serde_json::json;

/// Any value of a setting's type.
fn any_value(setting: &Setting) -> BoxedStrategy<Value> {
    let text = || "[a-zA-Z0-9 .,:;=@/_'\"#%{}\\[\\]äß-]{0,12}";
    let key = || "[a-zA-Z][a-zA-Z0-9_.-]{0,6}";
    match setting.kind {
        Kind::Bool | Kind::Maybe => any::<bool>().prop_map(|on| json!(on)).boxed(),
        Kind::Integer => any::<u32>().prop_map(|number| json!(number)).boxed(),
        Kind::Size => (0..=i64::MAX).prop_map(|number| json!(number)).boxed(),
        Kind::Port => (1..=u16::MAX).prop_map(|number| json!(number)).boxed(),
        Kind::Seconds => (0_u32..400_000).prop_map(|quarters| number(f64::from(quarters) / 4.0)).boxed(),
        // A gateway of nothing is off.
        Kind::Switch => {
            "[a-z][a-z0-9.]{1,8}".prop_filter("off", |text| text != "none").prop_map(|text| json!(text)).boxed()
        }
        Kind::Text | Kind::Secret => text().prop_map(|text| json!(text)).boxed(),
        Kind::Amount => "[1-9][0-9]{0,1}%?".prop_map(|amount| json!(amount)).boxed(),
        Kind::List => prop::collection::vec(text(), 0..4).prop_map(|list| json!(list)).boxed(),
        Kind::Integers => prop::collection::vec(any::<u32>(), 0..4).prop_map(|list| json!(list)).boxed(),
        Kind::TextMap | Kind::SecretMap => {
            prop::collection::hash_map(key(), text(), 0..4).prop_map(|map| json!(map)).boxed()
        }
        Kind::BoolMap => prop::collection::hash_map(key(), any::<bool>(), 0..3).prop_map(|map| json!(map)).boxed(),
        Kind::Map => prop::collection::hash_map(key(), prop::collection::vec(text(), 0..3), 0..3)
            .prop_map(|map| json!(map))
            .boxed(),
        Kind::Choice(words) => prop::sample::select(words).prop_map(|word| json!(word)).boxed(),
    }
}

fn number(seconds: f64) -> Value {
    if seconds.fract() == 0.0 { json!(seconds as u64) } else { json!(seconds) }
}

/// Any settings, by classic name.
fn any_settings() -> impl Strategy<Value = Map> {
    let settable: Vec<&'static Setting> = TABLE.iter().filter(|setting| !setting.is_information()).collect();
    prop::sample::subsequence(settable, 0..12).prop_flat_map(|settings| {
        let values: Vec<_> =
            settings.iter().map(|setting| (Just(setting.name.to_owned()), any_value(setting))).collect();
        values.prop_map(|values| values.into_iter().collect::<Map>())
    })
}

fn builder() -> ConfigBuilder {
    Config::builder().environment(Environment::new("me", "/home/me"))
}

fn read(builder: ConfigBuilder, names: &Map) -> Map {
    let config = builder.build().unwrap_or_else(|problems| panic!("{problems}"));
    let settings = config.settings(None, &[]).unwrap();
    names.keys().map(|name| (name.clone(), settings.get(name).unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn printed_and_read_again(settings in any_settings()) {
        let value = Value::Object(settings.clone());
        let texts = [
            (Format::Json, value.to_string()),
            (Format::Json, format!("{value:#}")),
            (Format::Yaml, value.to_string()),
            (Format::Yaml, serde_saphyr::to_string(&value).unwrap()),
            (Format::Toml, toml::to_string(&value).unwrap()),
        ];
        for (format, text) in texts {
            let back = read(builder().text(Layer::User, "file", format, text.clone()), &settings);
            prop_assert_eq!(&back, &settings, "{:?}\n{}", format, text);
        }
    }

    #[test]
    fn what_is_in_force_can_be_read_again(settings in any_settings()) {
        let first = builder().text(Layer::User, "file", Format::Json, Value::Object(settings).to_string()).build().unwrap();
        let in_force = first.settings(None, &[]).unwrap();
        let names = TABLE.iter().filter(|setting| !setting.is_information()).map(|setting| setting.name);
        let all: Map = names.map(|name| (name.to_owned(), in_force.get(name).unwrap())).collect();
        let second = read(builder().text(Layer::User, "again", Format::Json, Value::Object(all.clone()).to_string()), &all);
        prop_assert_eq!(second, all);
    }

    #[test]
    fn no_text_makes_a_reader_panic(
        text in "[a-z_.\\[\\]{}:,=\"'#\\\\ \t\n0-9é-]{0,80}",
        bytes in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        for format in [Format::Toml, Format::Yaml, Format::Json] {
            let _ = builder().text(Layer::User, "f", format, text.clone()).text(Layer::User, "g", format, bytes.clone()).build();
        }
        let _ = builder().rc_text("rc", text.clone()).rc_text("rc", bytes).set(text).build();
    }

    #[test]
    fn no_variable_makes_a_reader_panic(name in "[A-Z_]{0,20}", nested in "[a-zA-Z_é]{0,8}", text in ".{0,20}") {
        let mut environment = Environment::new("me", "/").variable(format!("FABRIC_{name}"), &text);
        for setting in TABLE {
            environment = environment.variable(format!("{}__{nested}", setting.variable()), &text);
        }
        let _ = Config::builder().environment(environment).build();
    }
}
