//! Variables of Ansible as settings.

use fabric_core::HostString;
use fabric_core::settings::Map;
use indexmap::IndexSet;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Value, json};

use super::model::{Model, Var, Vars};
use super::{InventoryError, words};

/// Variables of one meaning: of several the last one counts.
const ADDRESS: &[&str] = &["ansible_host", "ansible_ssh_host"];
const PORT: &[&str] = &["ansible_port", "ansible_ssh_port"];
const USER: &[&str] = &["ansible_user", "ansible_ssh_user"];
const KEY_FILE: &[&str] = &["ansible_private_key_file", "ansible_ssh_private_key_file"];
const PASSWORD: &[&str] = &["ansible_password", "ansible_ssh_pass", "ansible_ssh_password"];
const SUDO_USER: &[&str] = &["ansible_become_user", "ansible_sudo_user"];
const SUDO_PASSWORD: &[&str] = &["ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"];
const CONNECTION: &[&str] = &["ansible_connection"];
const COMMON_ARGS: &[&str] = &["ansible_ssh_common_args"];
const EXTRA_ARGS: &[&str] = &["ansible_ssh_extra_args"];

const TAKEN: [&[&str]; 10] =
    [ADDRESS, PORT, USER, KEY_FILE, PASSWORD, SUDO_USER, SUDO_PASSWORD, CONNECTION, COMMON_ARGS, EXTRA_ARGS];

/// Names for `ssh` among Ansible's connections. `smart` is left to the other layers.
const SSH: [&str; 4] = ["ssh", "paramiko", "paramiko_ssh", "libssh"];

/// The deepest that templates in what templates yield are followed.
const DEEPEST: usize = 16;

/// Those of the variables that say how a host is reached, but are not taken over.
pub(super) fn not_taken<'a>(vars: impl Iterator<Item = &'a Vars>) -> IndexSet<&'a str> {
    let says_how =
        |name: &str| name.starts_with("ansible_ssh_") || (name.starts_with("ansible_") && name.contains("connection"));
    let names = vars.flat_map(|vars| vars.keys()).map(String::as_str);
    names.filter(|name| says_how(name) && !TAKEN.iter().any(|taken| taken.contains(name))).collect()
}

/// What a host's variables come to.
pub(super) struct OfHost {
    /// The host string.
    pub(super) host: String,
    pub(super) settings: Map,
    /// What is not taken over, and why.
    pub(super) notes: Vec<String>,
}

/// The host string and settings of a host.
pub(super) fn of_host(model: &Model, index: usize) -> Result<OfHost, InventoryError> {
    let (name, host) = model.hosts.get_index(index).expect("a host of this model");
    let mut reader = Reader { model, index, name, ladder: model.ladder(index), notes: Vec::new() };
    let mut settings = Map::new();
    let port = reader.port()?;
    // A port that another variable overrides would beat that one in the host string.
    let mut host = host.written.clone();
    if HostString::parse(&host).ok().and_then(|host| host.port()).is_some_and(|written| Some(written) != port) {
        name.clone_into(&mut host);
    }
    let mut user = reader.text(USER)?;
    if let Some((address, var)) = reader.said(ADDRESS)? {
        let address = HostString::parse(&address).ok().filter(|host| host.port().is_none() && host.scheme().is_none());
        let address =
            address.ok_or_else(|| reader.refused(var, "the name or address of a host is expected, without a port"))?;
        if address.host() != HostString::parse(&host).map(|host| host.host().to_owned()).unwrap_or_default() {
            settings.insert("hostname".to_owned(), json!(address.host()));
        }
        user = user.or(address.user().map(str::to_owned));
    }
    if let Some(port) = port.filter(|_| !host.ends_with(&format!(":{}", port.unwrap_or_default()))) {
        settings.insert("port".to_owned(), json!(port));
    }
    for (key, value) in [("user", user), ("sudo_user", reader.text(SUDO_USER)?)] {
        settings.extend(value.filter(|text| !text.is_empty()).map(|text| (key.to_owned(), json!(text))));
    }
    if let Some(file) = reader.text(KEY_FILE)?.filter(|file| !file.is_empty()) {
        settings.insert("key_filename".to_owned(), json!([file]));
    }
    for (key, names) in [("password", PASSWORD), ("sudo_password", SUDO_PASSWORD)] {
        settings.extend(reader.secret(names).map(|secret| (key.to_owned(), json!(secret))));
    }
    if let Some(connection) = reader.text(CONNECTION)? {
        let connection = connection.rsplit('.').next().unwrap_or_default();
        let transport = if SSH.contains(&connection) { "ssh" } else { connection };
        if !matches!(transport, "smart" | "") {
            settings.insert("transport".to_owned(), json!(transport));
        }
    }
    reader.ssh_options(&mut settings)?;
    Ok(OfHost { host, settings, notes: reader.notes })
}

struct Reader<'a> {
    model: &'a Model,
    index: usize,
    name: &'a str,
    ladder: Vec<&'a Vars>,
    notes: Vec<String>,
}

impl<'a> Reader<'a> {
    /// The value that counts of a variable that has several names.
    fn find(&self, names: &[&str]) -> Option<&'a Var> {
        let find = |name: &&str| self.ladder.iter().find_map(|vars| vars.get(*name)).filter(|var| !var.value.is_null());
        names.iter().rev().find_map(find)
    }

    fn refused(&self, var: &Var, reason: &str) -> InventoryError {
        let name = self.ladder.iter().flat_map(|vars| vars.iter()).find(|(_, known)| std::ptr::eq(*known, var));
        let name = name.map(|(name, _)| name.as_str()).unwrap_or_default();
        var.place.refused(format!("`{name}` of host `{}`: {reason}", self.name))
    }

    fn said(&self, names: &[&str]) -> Result<Option<(String, &'a Var)>, InventoryError> {
        self.find(names).map(|var| Ok((self.rendered(var)?, var))).transpose()
    }

    fn text(&self, names: &[&str]) -> Result<Option<String>, InventoryError> {
        Ok(self.said(names)?.map(|(text, _)| text))
    }

    fn port(&self) -> Result<Option<u16>, InventoryError> {
        let Some((text, var)) = self.said(PORT)? else { return Ok(None) };
        match text.trim().parse() {
            Ok(port @ 1..) => Ok(Some(port)),
            _ => Err(self.refused(var, "a number from 1 to 65535 is expected")),
        }
    }

    /// A secret that isn't known here is asked for when it is needed: that reaches no wrong host.
    fn secret(&mut self, names: &[&str]) -> Option<String> {
        let var = self.find(names)?;
        match self.rendered(var) {
            Ok(secret) => Some(secret).filter(|secret| !secret.is_empty()),
            Err(error) => {
                self.notes.push(error.to_string());
                None
            }
        }
    }

    fn rendered(&self, var: &Var) -> Result<String, InventoryError> {
        let mut text = match &var.value {
            Value::Array(_) | Value::Object(_) => return Err(self.refused(var, "a text is expected")),
            value => words::plain(value),
        };
        for _ in 0..DEEPEST {
            if text.trim_start().starts_with("$ANSIBLE_VAULT;") {
                return Err(self.refused(var, "it is encrypted (ansible-vault)"));
            }
            if !text.contains("{{") && !text.contains("{%") {
                return Ok(text);
            }
            let mut environment = Environment::new();
            environment.set_undefined_behavior(UndefinedBehavior::Strict);
            // The error says what is wrong, not the text, which may hold a secret.
            text = environment
                .render_str(&text, minijinja::Value::from(minijinja::value::Serde(self.context())))
                .map_err(|error| {
                    let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
                    self.refused(var, &format!("a template that can't be rendered here: {why}"))
                })?;
        }
        Err(self.refused(var, "a template that yields templates without end"))
    }

    /// All variables of the host, and what Ansible adds to them before it connects.
    fn context(&self) -> Value {
        let mut context = Map::new();
        for (name, var) in self.ladder.iter().rev().flat_map(|vars| vars.iter()) {
            context.insert(name.clone(), var.value.clone());
        }
        context.insert("inventory_hostname".to_owned(), json!(self.name));
        context.insert("inventory_hostname_short".to_owned(), json!(self.name.split('.').next()));
        context.insert("group_names".to_owned(), json!(self.model.group_names(self.index)));
        context.into()
    }

    /// Arguments of `ssh`.
    fn ssh_options(&mut self, settings: &mut Map) -> Result<(), InventoryError> {
        let mut options: Vec<String> = Vec::new();
        for names in [COMMON_ARGS, EXTRA_ARGS] {
            let Some((text, var)) = self.said(names)? else { continue };
            let words = words::split(&text, false).map_err(|why| self.refused(var, why))?;
            let mut words = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty());
            while let Some(word) = words.next() {
                let Some(flag) = word.strip_prefix('-').and_then(|rest| rest.chars().next()).filter(char::is_ascii)
                else {
                    return Err(self.refused(var, &format!("`{word}` is no option of ssh")));
                };
                let attached = &word[2..];
                let mut argument = || match attached {
                    "" => words.next().map(str::to_owned),
                    attached => Some(attached.to_owned()),
                };
                let directive = match flag {
                    'o' | 'J' | 'F' => "",
                    'i' => "IdentityFile=",
                    'l' => "User=",
                    'p' => "Port=",
                    'b' => "BindAddress=",
                    'c' => "Ciphers=",
                    'm' => "MACs=",
                    // Several switches may be behind one `-`.
                    _ if word[1..].chars().all(|flag| switch(flag).is_some()) => {
                        let switches = word[1..].chars().filter_map(switch).filter(|line| !line.is_empty());
                        options.extend(switches.map(str::to_owned));
                        continue;
                    }
                    _ => {
                        if "BDEILOPQRSWew".contains(flag) {
                            argument();
                        }
                        self.notes
                            .push(self.refused(var, &format!("the option -{flag} is not taken over")).to_string());
                        continue;
                    }
                };
                let missing = || self.refused(var, &format!("the option -{flag} needs an argument"));
                let value = argument().ok_or_else(missing)?;
                match flag {
                    'J' => drop(settings.insert("gateway".to_owned(), json!(value))),
                    'F' if value == "none" => drop(settings.insert("use_ssh_config".to_owned(), json!(false))),
                    'F' => drop(settings.insert("ssh_config_path".to_owned(), json!(value))),
                    _ => options.push(format!("{directive}{value}")),
                }
            }
        }
        if !options.is_empty() {
            settings.insert("ssh_options".to_owned(), json!(options));
        }
        Ok(())
    }
}

/// A switch of `ssh` as a line of ssh_config; nothing of those that don't matter here.
fn switch(flag: char) -> Option<&'static str> {
    Some(match flag {
        'A' => "ForwardAgent=yes",
        'a' => "ForwardAgent=no",
        'C' => "Compression=yes",
        '4' => "AddressFamily=inet",
        '6' => "AddressFamily=inet6",
        'q' | 'v' | 'T' | 'x' | 'n' => "",
        _ => return None,
    })
}
