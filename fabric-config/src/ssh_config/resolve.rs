//! From files and a host to the values in force.
//!
//! The files are walked once, and a second time with the canonical host name if `Match final` or
//! canonicalisation asks for it. In the walk the first line that names a directive takes its slot; only what
//! has to be known early (the host name, user and port that `Match` compares) is looked at on the way.

use std::net::IpAddr;
use std::sync::Arc;

use super::canonical::{self, Mode, Rules};
use super::directives::{Directive, Keep, Kind};
use super::error::{BadLine, Fault, SshConfigError};
use super::facts::Facts;
use super::finish;
use super::forward::{Direction, ForwardSpec};
use super::include::{Loaded, MAX_DEPTH};
use super::jump::JumpSpec;
use super::local::Local;
use super::lookup::Lookup;
use super::matcher::{MatchLine, Test};
use super::origin::LineOrigin;
use super::parse::{self, Parsed};
use super::pattern::{Pattern, PatternList};
use super::resolved::Resolved;
use super::tokens;
use super::value::{Block, Head, Item, Value, What};
use super::winners::{At, COMMAND_LINE, DEFAULT_PORT, Winners};

/// How many key files and certificates OpenSSH keeps.
const MAX_KEY_FILES: usize = 100;
/// How many known_hosts files, domains and alias rules it keeps.
const MAX_WORDS: usize = 32;
/// How the host name of the second pass is found.
const CANONICALISATION: [Directive; 3] =
    [Directive::CanonicalizeHostname, Directive::CanonicalizeMaxDots, Directive::CanonicalizeFallbackLocal];
/// What `Match version` compares: the newest OpenSSH whose ssh_config(5) is known here.
const VERSION: &str = "OpenSSH_10.2p1";
/// Why a walk ended early.
enum Stop {
    Problems(Vec<BadLine>),
    Unusable(Fault, Option<LineOrigin>),
}

/// What is passed from the enclosing files to an included one.
#[derive(Clone, Copy)]
struct Within {
    depth: usize,
    /// An `Include` in a block that doesn't apply: nothing in it ever does.
    never: bool,
}

struct Walk<'a> {
    lookup: &'a Lookup<'a>,
    state: Winners,
    /// The name that `Host` is compared with.
    host: String,
    final_pass: bool,
    wants_final_pass: bool,
    problems: Vec<BadLine>,
}

/// Answers a lookup.
pub(super) fn resolve(loaded: &Arc<Loaded>, lookup: &Lookup<'_>) -> Result<Resolved, SshConfigError> {
    let unusable = |(fault, origin)| SshConfigError::Unusable { host: lookup.host.to_owned(), fault, origin };
    if !valid_host(lookup.host) {
        return Err(unusable((Fault::BadHostname, None)));
    }
    let state = Winners::new(loaded);
    let host = lookup.host.to_owned();
    let mut walk = Walk { lookup, state, host, final_pass: false, wants_final_pass: false, problems: Vec::new() };
    let end = |stop| match stop {
        Stop::Problems(problems) => SshConfigError::Bad(problems),
        Stop::Unusable(fault, origin) => unusable((fault, origin)),
    };
    walk.command_line().map_err(end)?;
    if walk.state.text(Directive::User).is_some_and(|user| !valid_user(user)) {
        return Err(unusable((Fault::BadUsername, None)));
    }
    walk.files().map_err(end)?;
    let hostname = walk.hostname(lookup.host).map_err(end)?;
    let host_origin = || walk.state.at(Directive::HostName).map(|at| walk.state.origin(at));
    walk.host = canonical::canonicalize(&hostname, &rules(&walk.state), lookup.resolver)
        .map_err(|fault| unusable((fault, host_origin())))?;
    if walk.wants_final_pass || walk.state.canonicalize_mode() != Mode::No {
        walk.final_pass = true;
        walk.files().map_err(end)?;
    }
    finish::finish(walk.state, lookup, walk.host).map_err(unusable)
}

/// Whether a host from the command line is safe in a command: nothing that a shell would act on, no option.
fn valid_host(host: &str) -> bool {
    let bad = |c: char| "'`\"$\\;&<>|(){},".contains(c) || c == ' ' || c.is_ascii_control();
    !host.starts_with('-') && !host.contains(bad)
}

/// The same for a user from the command line; a configuration may name others.
fn valid_user(user: &str) -> bool {
    let mut after_space = false;
    for c in user.chars() {
        if c.is_ascii_control() || "'`\";&<>|(){}".contains(c) || (after_space && c == '-') {
            return false;
        }
        after_space = c == ' ';
    }
    !user.starts_with('-') && !user.ends_with('\\')
}

fn rules(state: &Winners) -> Rules<'_> {
    let cnames = match state.value(Directive::CanonicalizePermittedCnames) {
        Some(Value::Cnames(rules)) => &**rules,
        _ => &[],
    };
    let jumps = state.at(Directive::ProxyJump).is_some();
    Rules {
        mode: state.canonicalize_mode(),
        domains: state.words(Directive::CanonicalDomains).unwrap_or_default(),
        max_dots: state.number(Directive::CanonicalizeMaxDots).unwrap_or(1),
        fall_back: state.number(Directive::CanonicalizeFallbackLocal) != Some(0),
        cnames,
        direct: !jumps && state.text_or_none(Directive::ProxyCommand).is_none(),
        family: state.address_family(),
    }
}

impl Walk<'_> {
    /// Adds what the lookup has decided.
    fn command_line(&mut self) -> Result<(), Stop> {
        let number = |directive, port: u16| What::Set(directive, Value::Number(i64::from(port)));
        let mut found = Vec::new();
        found.extend(self.lookup.user.map(|user| What::Set(Directive::User, Value::Text(user.into()))));
        found.extend(self.lookup.port.map(|port| number(Directive::Port, port)));
        for line in &self.lookup.options {
            match parse::statement(line) {
                None => {}
                Some(Parsed::Items(items)) => found.extend(items),
                Some(Parsed::Head(_)) => {
                    found.push(What::Wrong { fault: Fault::NotOnCommandLine, text: (*line).into() });
                }
            }
        }
        for what in found {
            let at = At { file: COMMAND_LINE, block: 0, item: self.state.command_line.len() as u32 };
            let item = Item { line: 0, what };
            self.state.command_line.push(item.clone());
            match &item.what {
                What::Include(_) => return Err(self.stop_at(at, Fault::NotOnCommandLine)),
                // Unlike a file's, these hops must not hold what a shell could mistake.
                What::Set(_, Value::Jump(JumpSpec::Hops(jump)))
                    if !jump
                        .hops
                        .iter()
                        .all(|hop| valid_host(&hop.host) && hop.user.as_deref().is_none_or(valid_user)) =>
                {
                    return Err(self.stop_at(at, Fault::BadJump));
                }
                _ => {}
            }
            self.item(&item, at, true, true, Within { depth: 0, never: false })?;
        }
        self.end_on_problems()
    }

    /// Walks all files, in their order. A file with errors is the last.
    fn files(&mut self) -> Result<(), Stop> {
        let loaded = Arc::clone(&self.state.loaded);
        for root in &loaded.roots {
            if root.checks_permissions && loaded.files[root.file].insecure {
                let path = loaded.files[root.file].path.to_path_buf();
                return Err(Stop::Unusable(Fault::Insecure { path }, None));
            }
            if let Some(reason) = loaded.files[root.file].unreadable.clone() {
                let path = loaded.files[root.file].path.to_path_buf();
                return Err(Stop::Unusable(Fault::IncludeUnreadable { path, reason }, None));
            }
            self.file(&loaded, root.file, true, Within { depth: 0, never: false })?;
            self.end_on_problems()?;
        }
        Ok(())
    }

    fn end_on_problems(&mut self) -> Result<(), Stop> {
        match self.problems.len() {
            0 => Ok(()),
            _ => Err(Stop::Problems(std::mem::take(&mut self.problems))),
        }
    }

    fn file(&mut self, loaded: &Loaded, file: usize, active: bool, within: Within) -> Result<(), Stop> {
        let mut active = active;
        let source = &loaded.files[file];
        for (number, block) in source.blocks.iter().enumerate() {
            let here = At { file: file as u32, block: number as u32, item: 0 };
            active = match &block.head {
                Head::Top => active,
                Head::Host(patterns) => self.host_applies(patterns, here, block, within),
                Head::Match(line) => self.match_applies(line, here, block)? && !within.never,
            };
            if active {
                for (item, number) in block.items.iter().zip(0..) {
                    self.item(item, At { item: number, ..here }, true, source.of_user, within)?;
                }
            } else {
                for number in &block.always {
                    let at = At { item: *number, ..here };
                    self.item(&block.items[*number as usize], at, false, source.of_user, within)?;
                }
            }
        }
        Ok(())
    }

    fn host_applies(&mut self, patterns: &[Option<(bool, Pattern)>], here: At, block: &Block, within: Within) -> bool {
        let mut applies = false;
        for pattern in patterns {
            let Some((negated, pattern)) = pattern else {
                let problem = self.head_problem(here, block, Fault::MissingArgument);
                self.problems.push(problem);
                return false;
            };
            if within.never {
                return false;
            }
            if pattern.matches(&self.host) {
                if *negated {
                    return false;
                }
                applies = true;
            }
        }
        applies
    }

    fn match_applies(&mut self, line: &MatchLine, here: At, block: &Block) -> Result<bool, Stop> {
        let mut result = true;
        for criterion in &line.criteria {
            let list = |list: &PatternList, text: &str| list.matches(text);
            let met = match &criterion.test {
                Test::SecondPass { asks } => {
                    self.wants_final_pass |= *asks;
                    self.final_pass
                }
                Test::Host(patterns) => list(patterns, &self.match_host()?.to_ascii_lowercase()),
                Test::OriginalHost(patterns) => list(patterns, &self.lookup.host.to_ascii_lowercase()),
                Test::User(patterns) => list(patterns, self.user()),
                Test::LocalUser(patterns) => list(patterns, &self.lookup.local.user),
                Test::Exec(command) => {
                    let command = tokens::percent(command, &self.exec_facts(&self.match_host()?))
                        .map_err(|fault| self.stop_at_head(here, block, fault))?;
                    if !result || !self.problems.is_empty() {
                        continue;
                    }
                    self.run(&command).map_err(|fault| self.stop_at_head(here, block, fault))?
                }
                Test::Tagged(patterns) => list(patterns, self.state.text(Directive::Tag).map_or("", |tag| tag)),
                Test::LocalNetwork(networks) => {
                    let has = |address: &IpAddr| networks.iter().any(|network| network.has(*address));
                    self.lookup.addresses().iter().any(has)
                }
                Test::Version(patterns) => list(patterns, VERSION),
                Test::SessionType(patterns) => list(patterns, self.lookup.session_type()),
                Test::Command(patterns) => list(patterns, self.lookup.command.unwrap_or_default()),
            };
            result &= met != criterion.negated;
        }
        Ok(match line.all {
            Some(negated) => result && !negated,
            None => result,
        })
    }

    fn run(&self, command: &str) -> Result<bool, Fault> {
        let exec = self.lookup.exec.ok_or(Fault::ExecForbidden)?;
        exec.succeeds(command, &self.lookup.local.env).map_err(|error| Fault::ExecFailed { reason: error.to_string() })
    }

    /// The host name as far as it is known at this point.
    fn match_host(&self) -> Result<String, Stop> {
        if self.final_pass { Ok(self.host.clone()) } else { self.hostname(self.lookup.host) }
    }

    /// `HostName` with `%h` replaced, else the host.
    fn hostname(&self, host: &str) -> Result<String, Stop> {
        let Some(text) = self.state.text(Directive::HostName) else { return Ok(host.to_owned()) };
        let tokens = |letter: char, out: &mut String| {
            if letter == 'h' {
                out.push_str(host);
            }
            letter == 'h'
        };
        let origin = self.state.origin_of(Directive::HostName);
        tokens::percent(text, &tokens).map_err(|fault| Stop::Unusable(fault, Some(origin)))
    }

    fn user(&self) -> &str {
        self.state.text(Directive::User).map_or(&self.lookup.local.user, |user| user)
    }

    /// The values of the tokens of `Match exec`.
    fn exec_facts(&self, host: &str) -> Facts {
        Facts {
            hostname: host.to_owned(),
            host: self.lookup.host.to_owned(),
            user: self.user().to_owned(),
            port: self.state.number(Directive::Port).map_or(DEFAULT_PORT, |port| port as u16),
            key_alias: self
                .state
                .text(Directive::HostKeyAlias)
                .map_or_else(|| host.to_owned(), std::string::ToString::to_string),
            local: Arc::clone(&self.lookup.local),
        }
    }

    fn item(&mut self, item: &Item, at: At, active: bool, of_user: bool, within: Within) -> Result<(), Stop> {
        match &item.what {
            What::Set(directive, value) => {
                if let Err(fault) = self.set(*directive, value, at, active, of_user) {
                    self.wrong(at, fault, &written(*directive, value));
                }
            }
            What::Include(patterns) => return self.include(patterns, at, active, within),
            What::Unknown { keyword, text } => {
                let ignored = self.state.text(Directive::IgnoreUnknown);
                if !ignored.is_some_and(|ignored| PatternList::new(ignored, true).matches(keyword)) {
                    let nearest = Directive::nearest(keyword);
                    self.wrong(at, Fault::UnknownDirective { keyword: keyword.to_string(), nearest }, text);
                }
            }
            What::Wrong { fault, text } => self.wrong(at, fault.clone(), text),
        }
        Ok(())
    }

    fn wrong(&mut self, at: At, fault: Fault, text: &str) {
        self.problems.push(BadLine { origin: self.state.origin(at), text: text.into(), fault });
    }

    fn head_problem(&self, here: At, block: &Block, fault: Fault) -> BadLine {
        let path = Arc::clone(&self.state.loaded.files[here.file as usize].path);
        BadLine { origin: LineOrigin::File { path, line: block.line }, text: Arc::clone(&block.text), fault }
    }

    fn stop_at_head(&self, here: At, block: &Block, fault: Fault) -> Stop {
        Stop::Problems(vec![self.head_problem(here, block, fault)])
    }

    fn stop_at(&self, at: At, fault: Fault) -> Stop {
        Stop::Unusable(fault, Some(self.state.origin(at)))
    }

    fn include(&mut self, patterns: &[Arc<str>], at: At, active: bool, within: Within) -> Result<(), Stop> {
        let loaded = Arc::clone(&self.state.loaded);
        let never = within.never || !active;
        for pattern in patterns {
            match loaded.files[at.file as usize].includes.get(pattern) {
                None => {}
                Some(Err(fault)) => self.wrong(at, fault.clone(), pattern),
                Some(Ok(files)) => {
                    for file in files {
                        if within.depth >= MAX_DEPTH {
                            return Err(self.stop_at(at, Fault::TooDeep));
                        }
                        let source = &loaded.files[*file];
                        if let Some(reason) = &source.unreadable {
                            let path = source.path.to_path_buf();
                            self.wrong(at, Fault::IncludeUnreadable { path, reason: reason.clone() }, pattern);
                            continue;
                        }
                        if source.insecure {
                            let path = source.path.to_path_buf();
                            return Err(self.stop_at(at, Fault::Insecure { path }));
                        }
                        self.file(&loaded, *file, active, Within { depth: within.depth + 1, never })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets a line take its directive's slot, or a place in its list.
    fn set(&mut self, directive: Directive, value: &Value, at: At, active: bool, of_user: bool) -> Result<(), Fault> {
        let lookup = self.lookup;
        let local = &lookup.local;
        match (directive.row().keep, value) {
            (_, Value::Forward(spec)) => {
                let forward = spec.get(local)?;
                if active {
                    let remote = directive.row().kind == Kind::Forward(Direction::Remote);
                    let list = if remote { &mut self.state.remote_forwards } else { &mut self.state.local_forwards };
                    if !list.iter().any(|(known, _)| *known == forward) {
                        list.push((forward, at));
                    }
                }
                return Ok(());
            }
            (Keep::Every, Value::Text(path)) if active => {
                let certificates = directive == Directive::CertificateFile;
                let list =
                    if certificates { &mut self.state.certificate_files } else { &mut self.state.identity_files };
                if list.len() >= MAX_KEY_FILES {
                    return Err(Fault::TooMany { max: MAX_KEY_FILES });
                }
                if !list.iter().any(|(known, by_user, _)| known == path && *by_user == of_user) {
                    list.push((Arc::clone(path), of_user, at));
                }
                return Ok(());
            }
            (Keep::Every, Value::Words(words)) if active => {
                for word in words.iter() {
                    match word.strip_prefix('-') {
                        Some(pattern) => {
                            let pattern = Pattern::new(pattern);
                            self.state.send_env.retain(|(name, _)| !pattern.matches(name));
                        }
                        None => self.state.send_env.push((Arc::clone(word), at)),
                    }
                }
                return Ok(());
            }
            (Keep::Every, _) => return Ok(()),
            (Keep::LastAnywhere, _) => {
                self.state.slots[directive as usize] = Some(at);
                return Ok(());
            }
            (Keep::FirstAnywhere, _) => {
                self.state.slots[directive as usize].get_or_insert(at);
                return Ok(());
            }
            (Keep::First, _) => {}
        }
        check_variables(directive, value, local)?;
        if active { self.take_slot(directive, value, at) } else { Ok(()) }
    }

    fn take_slot(&mut self, directive: Directive, value: &Value, at: At) -> Result<(), Fault> {
        let taken = |state: &Winners, directive: Directive| state.at(directive).is_some();
        match value {
            // Decided by the first pass, even without a line.
            _ if self.final_pass && CANONICALISATION.contains(&directive) => return Ok(()),
            Value::Jump(JumpSpec::Hops(_)) if taken(&self.state, Directive::ProxyCommand) => return Ok(()),
            // A command after hops has no effect; after `ProxyJump none` it has.
            _ if directive == Directive::ProxyCommand && self.state.jump().is_some() => return Ok(()),
            Value::Socket(_) => {
                self.state.slots[Directive::ForwardAgentSocket as usize].get_or_insert(at);
            }
            Value::Rekey(_, Some(_)) => {
                self.state.slots[Directive::RekeyInterval as usize].get_or_insert(at);
            }
            Value::Words(words) if !taken(&self.state, directive) && words.len() > MAX_WORDS => {
                let limited =
                    [Directive::GlobalKnownHostsFile, Directive::UserKnownHostsFile, Directive::CanonicalDomains];
                if limited.contains(&directive) {
                    return Err(Fault::TooMany { max: MAX_WORDS });
                }
            }
            Value::Cnames(rules) if !taken(&self.state, directive) && rules.len() > MAX_WORDS => {
                return Err(Fault::TooMany { max: MAX_WORDS });
            }
            _ => {}
        }
        self.state.slots[directive as usize].get_or_insert(at);
        Ok(())
    }
}

/// An agent's socket must not name unset variables, even where it isn't used.
fn check_variables(directive: Directive, value: &Value, local: &Local) -> Result<(), Fault> {
    match value {
        Value::Socket(text) => tokens::variables(text, local).map(drop),
        Value::Text(text) if directive == Directive::IdentityAgent => tokens::variables(text, local).map(drop),
        _ => Ok(()),
    }
}

/// A line for a message, as far as its text is known.
fn written(directive: Directive, value: &Value) -> String {
    let argument = match value {
        Value::Text(text) | Value::Socket(text) => text.to_string(),
        Value::Words(words) => words.join(" "),
        Value::Forward(ForwardSpec::Waiting { text, .. }) => text.clone(),
        _ => "..".into(),
    };
    format!("{} {argument}", directive.name())
}
