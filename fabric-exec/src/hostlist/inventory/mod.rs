//! Inventories: what commands and files say about which hosts there are, and how each is reached.
//!
//! A text is read as the program that it is made for reads it, or refused: [`Inventory`] knows the formats.

mod beside;
mod clush;
mod ini;
mod model;
mod pattern;
mod scalar;
mod script;
mod vars;
mod words;
mod yaml;

use std::path::Path;
use std::sync::Arc;

use fabric_core::settings::{Layer, Map, Origin, Overlay};
use fabric_core::{HostString, HostStringError};
use indexmap::IndexSet;
use serde_json::Value;
use thiserror::Error;

use self::model::{FileLine, Model};
use super::Listed;

/// A text that names no hosts.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum InventoryError {
    /// JSON of another shape.
    #[error("it is neither a list of host strings, nor an object with `hosts`, nor one with a member per group")]
    Shape,
    /// There are groups, but not this one.
    #[error("it has no group `{group}`, only {}", .known.join(", "))]
    NoGroup {
        /// The group.
        group: String,
        /// The groups that there are.
        known: Vec<String>,
    },
    /// A line or item is no host.
    #[error(transparent)]
    Host(#[from] HostStringError),
    /// What is in it is not as its format has it, or can't be taken over.
    #[error("{place}: {reason}")]
    Refused {
        /// The file, and the line where it is known.
        place: String,
        /// What is wrong.
        reason: String,
    },
}

impl InventoryError {
    /// What is wrong with an inventory, with its name.
    pub(crate) fn of_inventory(&self, name: &str) -> String {
        match self {
            Self::Refused { .. } => format!("inventory {self}"),
            _ => format!("inventory {name}: {self}"),
        }
    }
}

/// What a file or a command says about which hosts there are.
///
/// The text decides on the format:
///
/// * JSON: a list of host strings; an object with `hosts`; or one with a member per group, as the scripts
///   of Ansible print it (`--list`), with their `_meta.hostvars`;
/// * an inventory of Ansible in INI (`[group]`, `[group:children]`, `[group:vars]`, `name key=value`) or YAML
///   (`group:` with `hosts:`, `children:`, `vars:`). What `ansible-inventory` refuses is refused; a range that is
///   empty, too;
/// * groups as clush has them: `group: web[1-3],@other`, a line each;
/// * else one host string a line, `#` and `;` comments and blank lines left out.
///
/// In Ansible's formats a host string is the name as the inventory writes it, with the port where it is written
/// behind the name (`web1`, `web1:2222`). Ranges are Ansible's there (`web[01:10:2]`); in the others, ranges and
/// braces as everywhere. Where there are no groups, the group that is asked for doesn't matter.
///
/// A host's variables are settings that go with it: `ansible_host` is `hostname`, and `ansible_port`, `ansible_user`,
/// `ansible_private_key_file`, `ansible_password`, `ansible_become_user`, `ansible_become_password`,
/// `ansible_connection` (as `transport`), and of `ansible_ssh_common_args` and `ansible_ssh_extra_args` the options of
/// `ssh` (`-o`, `-J`, `-F`). They come from the host itself, from its groups, and from `group_vars` and `host_vars`
/// beside the file, and count in Ansible's order. Templates (`{{ .. }}`) may use other variables of the host.
#[derive(Debug)]
pub struct Inventory {
    name: String,
    origin: Origin,
    format: Format,
}

#[derive(Debug)]
enum Format {
    /// No groups.
    List(Vec<String>),
    Clush(clush::Clush),
    Ansible {
        model: Box<Model>,
        /// Whether its text has groups.
        grouped: bool,
    },
}

/// The hosts of a group, and what is odd about them.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Members {
    /// The hosts, in the inventory's order, each with its settings.
    pub hosts: Vec<Listed>,
    /// Whether the format has settings of hosts at all.
    pub has_settings: bool,
    /// What is not taken over, and what else a person should know.
    pub warnings: Vec<String>,
}

/// What a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Command,
    File,
    /// A file that is YAML by its name.
    Yaml,
}

impl Source {
    fn of(path: &Path) -> Self {
        let is_yaml = path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml");
        if is_yaml { Self::Yaml } else { Self::File }
    }
}

/// Names of files in a directory of inventories that are not inventories.
const NO_INVENTORY: [&str; 12] =
    [".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry"];

impl Inventory {
    /// Reads a text, such as what a command printed. `name` is what errors call it.
    ///
    /// ```
    /// use fabric_exec::hostlist::Inventory;
    ///
    /// let text = "[web]\nw[1:2] ansible_user=deploy\n[db]\ndb1 ansible_host=10.0.0.5\n";
    /// let inventory = Inventory::read(text, "hosts")?;
    /// let db = inventory.group("db")?.hosts;
    /// assert_eq!(db[0].host.as_str(), "db1");
    /// assert_eq!(db[0].settings[0].values["hostname"], "10.0.0.5");
    /// assert_eq!(inventory.group("all")?.hosts.len(), 3);
    /// # Ok::<(), fabric_exec::hostlist::InventoryError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A text that the program whose format it has would refuse.
    pub fn read(text: &str, name: &str) -> Result<Self, InventoryError> {
        Self::finished(read_text(text, &FileLine::file(name), Source::Command)?, name, None)
    }

    /// Reads a file with what is in `group_vars` and `host_vars` beside it, or a directory of inventories.
    ///
    /// # Errors
    ///
    /// A file that can't be read, and all of [`read`](Self::read).
    pub fn open(path: &Path) -> Result<Self, InventoryError> {
        let name = path.to_string_lossy();
        if path.is_dir() {
            let mut model = Model::new();
            directory(path, &mut model)?;
            return Self::finished(Format::Ansible { model: Box::new(model), grouped: true }, &name, Some(path));
        }
        let mut format = read_file(path)?;
        // Beside the path as it is written: a link to a file elsewhere brings nothing with it (Ansible).
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let has_vars = || dir.join("group_vars").is_dir() || dir.join("host_vars").is_dir();
        if matches!(format, Format::List(_)) && has_vars() {
            // A list of hosts for Ansible.
            let text =
                std::fs::read_to_string(path).map_err(|error| FileLine::file(&name).refused(error.to_string()))?;
            let mut model = Model::new();
            ansible(&text, &FileLine::file(&name), Source::of(path), &mut model)?;
            format = Format::Ansible { model: Box::new(model), grouped: false };
        }
        Self::finished(format, &name, Some(dir))
    }

    fn finished(mut format: Format, name: &str, dir: Option<&Path>) -> Result<Self, InventoryError> {
        if let Format::Ansible { model, .. } = &mut format {
            model.finish(&FileLine::file(name))?;
            if let Some(dir) = dir {
                beside::read(dir, model)?;
            }
        }
        let origin = match dir {
            Some(_) => Origin::file(Layer::Role, name, None),
            None => Origin::place(Layer::Role, name),
        };
        Ok(Self { name: name.to_owned(), origin, format })
    }

    /// The names of the groups; none where the text has none.
    pub fn groups(&self) -> Vec<&str> {
        match &self.format {
            Format::List(_) => Vec::new(),
            Format::Clush(groups) => groups.keys().map(String::as_str).collect(),
            Format::Ansible { model, .. } => model.groups.keys().map(String::as_str).collect(),
        }
    }

    /// The hosts of a group; all where the text has no groups.
    ///
    /// # Errors
    ///
    /// An unknown group, and hosts or variables of them that can't be taken over.
    pub fn group(&self, group: &str) -> Result<Members, InventoryError> {
        let place = FileLine::file(&self.name);
        let hosts = match &self.format {
            Format::List(hosts) => hosts.clone(),
            Format::Clush(groups) if groups.contains_key(group) => clush::hosts(groups, group, &place)?,
            Format::Clush(groups) => return Err(no_group(group, groups.keys())),
            Format::Ansible { model, grouped } => return self.of_model(model, if *grouped { group } else { "all" }),
        };
        let listed = hosts.iter().map(|host| Ok(Listed::new(HostString::parse(host)?)));
        let hosts = listed.collect::<Result<_, HostStringError>>()?;
        Ok(Members { hosts, has_settings: false, warnings: Vec::new() })
    }

    fn of_model(&self, model: &Model, group: &str) -> Result<Members, InventoryError> {
        let group = model.groups.get_index_of(group).ok_or_else(|| no_group(group, model.groups.keys()))?;
        let members = model.members(group);
        let mut warnings: IndexSet<String> = model.warnings.clone();
        let not_taken = vars::not_taken(model.relevant(&members));
        if !not_taken.is_empty() {
            let names: Vec<&str> = not_taken.into_iter().collect();
            warnings.insert(format!("inventory {}: not taken over: {}", self.name, names.join(", ")));
        }
        let mut hosts = Vec::with_capacity(members.len());
        // Hosts that have the same settings share them.
        let mut last: Option<(Arc<Map>, Arc<[Overlay]>)> = None;
        let name: Arc<str> = self.name.as_str().into();
        for member in members {
            let of_host = vars::of_host(model, member)?;
            warnings.extend(of_host.notes);
            let mut listed = Listed::new(HostString::parse(&of_host.host)?);
            if !of_host.settings.is_empty() {
                let settings = match &last {
                    Some((map, settings)) if **map == of_host.settings => settings.clone(),
                    _ => {
                        let map = Arc::new(of_host.settings);
                        let settings: Arc<[Overlay]> = Arc::from([Overlay::new(self.origin.clone(), map.clone())]);
                        last = Some((map, settings.clone()));
                        settings
                    }
                };
                listed.settings = settings;
                listed.inventory = Some(name.clone());
            }
            hosts.push(listed);
        }
        Ok(Members { hosts, has_settings: true, warnings: warnings.into_iter().collect() })
    }
}

fn no_group<'a>(group: &str, known: impl Iterator<Item = &'a String>) -> InventoryError {
    let (own, always): (Vec<String>, _) = known.cloned().partition(|name| name != "all" && name != "ungrouped");
    InventoryError::NoGroup { group: group.to_owned(), known: if own.is_empty() { always } else { own } }
}

fn read_file(path: &Path) -> Result<Format, InventoryError> {
    let place = FileLine::file(&path.to_string_lossy());
    let text = std::fs::read(path).map_err(|error| place.refused(format!("cannot be read: {error}")))?;
    let text = String::from_utf8(text).map_err(|_| place.refused("it is not UTF-8"))?;
    if text.starts_with("#!") {
        return Err(
            place.refused("it is a program: name it as the role's `command`, with `--list` if it is made for Ansible")
        );
    }
    if path.extension().is_some_and(|ending| ending == "toml") {
        return Err(place.refused("inventories of Ansible in TOML are not read: INI, YAML and JSON are"));
    }
    read_text(&text, &place, Source::of(path))
}

/// Reads the inventories in a directory and those below into one, in the order of their names.
fn directory(dir: &Path, model: &mut Model) -> Result<(), InventoryError> {
    for name in beside::names(dir)? {
        let text = name.to_string_lossy();
        let path = dir.join(&name);
        let ignored = text.starts_with('.')
            || matches!(text.as_ref(), "host_vars" | "group_vars" | "vars_plugins")
            || NO_INVENTORY.iter().any(|ending| text.ends_with(ending));
        if ignored {
            continue;
        }
        if path.is_dir() {
            directory(&path, model)?;
            continue;
        }
        let place = FileLine::file(&path.to_string_lossy());
        let text = std::fs::read_to_string(&path).map_err(|error| place.refused(format!("cannot be read: {error}")))?;
        if text.starts_with("#!") {
            return Err(place.refused("it is a program, which is not run here: name it as a role's `command`"));
        }
        ansible(&text, &place, Source::of(&path), model)?;
    }
    Ok(())
}

fn read_text(text: &str, place: &FileLine, source: Source) -> Result<Format, InventoryError> {
    // What some editors begin a file with.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Ok(value @ (Value::Array(_) | Value::Object(_))) = serde_json::from_str::<Value>(text.trim()) {
        match &value {
            Value::Object(map) if map.contains_key("_meta") || !map.contains_key("hosts") => {}
            Value::Object(map) if map.values().any(|group| group.get("hosts").is_some()) => {}
            Value::Object(map) => return Ok(Format::List(expanded(&script::hosts(&map["hosts"])?)?)),
            list => return Ok(Format::List(expanded(&script::hosts(list)?)?)),
        }
    } else if source != Source::Yaml && !ini::is_like(text) && clush::is_like(text) {
        return Ok(Format::Clush(clush::read(text, place)?));
    } else if source != Source::Yaml && !ini::is_like(text) && !looks_like_yaml(text) {
        let lines: Vec<String> = lines(text).map(|(_, line)| line.to_owned()).collect();
        return Ok(Format::List(expanded(&lines)?));
    }
    let mut model = Model::new();
    let grouped = ansible(text, place, source, &mut model)?;
    Ok(Format::Ansible { model: Box::new(model), grouped })
}

/// Reads what can only be one of Ansible's formats; whether the text has groups.
fn ansible(text: &str, place: &FileLine, source: Source, model: &mut Model) -> Result<bool, InventoryError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    match serde_json::from_str::<Value>(text.trim()) {
        Ok(Value::Object(map)) if script::is_like(&map, source != Source::Command) => script::read(&map, place, model)?,
        Ok(Value::Object(_)) => yaml::read(&text, place, model)?,
        Ok(Value::Array(_)) => return Err(InventoryError::Shape),
        _ if ini::has_sections(&text) => ini::read(&text, place, model)?,
        _ if source == Source::Yaml || looks_like_yaml(&text) => yaml::read(&text, place, model)?,
        _ => {
            ini::read(&text, place, model)?;
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the first line that says something is a key of a table, or the beginning of a document.
fn looks_like_yaml(text: &str) -> bool {
    let first = lines(text).next().map(|(_, line)| line).unwrap_or_default();
    let key = first
        .split_once(':')
        .filter(|(name, after)| !name.is_empty() && !after.contains(':') && !name.starts_with('['));
    first == "---" || key.is_some_and(|(_, after)| after.is_empty() || after.starts_with(' '))
}

/// Ranges and braces of host strings written out.
fn expanded(items: &[String]) -> Result<Vec<String>, InventoryError> {
    let mut hosts = Vec::new();
    for item in items {
        hosts.extend(fabric_core::host::expand(item)?);
    }
    Ok(hosts)
}

/// Reads the hosts of a group out of what an inventory command printed, or an inventory file has: the host strings
/// alone, without the settings that [`Inventory`] gives them.
///
/// ```
/// use fabric_exec::hostlist::read_inventory;
/// assert_eq!(read_inventory("web[1-2]\n# off\ndb1\n", "any")?, ["web1", "web2", "db1"]);
/// assert_eq!(read_inventory(r#"{"web": {"hosts": ["a"]}, "db": ["b"]}"#, "db")?, ["b"]);
/// assert_eq!(read_inventory("[web]\nw[1:2]:2222\n[all:children]\nweb\n", "all")?, ["w1:2222", "w2:2222"]);
/// assert_eq!(read_inventory("web: w[1-2]\nall: x,@web\n", "all")?, ["x", "w1", "w2"]);
/// # Ok::<(), fabric_exec::hostlist::InventoryError>(())
/// ```
///
/// # Errors
///
/// Those of [`Inventory::read`] and [`Inventory::group`].
pub fn read_inventory(text: &str, group: &str) -> Result<Vec<String>, InventoryError> {
    let members = Inventory::read(text, "inventory")?.group(group)?;
    Ok(members.hosts.iter().map(|listed| listed.host.as_str().to_owned()).collect())
}

/// One host string a line; what follows `#` at the start or after white space is a comment, as is a line that begins
/// with `;`. With the lines' numbers.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    // What some editors begin a file with.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    (1..).zip(text.lines().map(uncommented)).filter(|(_, line)| !line.is_empty() && !line.starts_with(';'))
}

fn uncommented(line: &str) -> &str {
    match line.find('#') {
        Some(at) if at == 0 || line[..at].ends_with(char::is_whitespace) => line[..at].trim(),
        _ => line.trim(),
    }
}
