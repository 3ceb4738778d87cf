//! Host lists against a plain reference of the rules, and the rules one by one.

use fabric_exec::hostlist::{
    Directive, Emptied, EnvLists, FabfileLists, HostList, HostListError, Level, ListSources, Listed, Role, Roles,
    RuntimeLists, Selection, Shard, Share, build,
};
use indexmap::IndexMap;
use proptest::prelude::*;

/// Everything that goes into a host list.
#[derive(Debug, Clone, Default)]
struct World {
    arguments: Selection,
    own: Selection,
    current: Option<String>,
    settings: Selection,
    extend: Vec<String>,
    replace: Option<Vec<String>>,
    command_line: Selection,
    set_by_task: Option<Vec<String>>,
    only: Vec<String>,
    dedupe: bool,
    limit: Option<usize>,
    shard: Option<(usize, usize)>,
}

const ROLES: [(&str, &[&str]); 4] =
    [("web", &["a", "b"]), ("db", &["c", "a"]), ("none", &[]), ("all", &["a", "b", "c", "d"])];

fn roles() -> Roles {
    ROLES.iter().map(|(name, hosts)| ((*name).to_owned(), Role::hosts(hosts.iter().copied()))).collect()
}

fn listed(host: &str) -> Listed {
    Listed::new(host.parse().unwrap())
}

impl World {
    fn build(&self) -> Result<HostList, HostListError> {
        let mut fabfile = FabfileLists::default();
        fabfile.hosts = match &self.replace {
            Some(list) => Some(Directive::Replace(list.clone())),
            None => (!self.extend.is_empty()).then(|| Directive::Extend(self.extend.clone())),
        };
        let mut runtime = RuntimeLists::default();
        runtime.hosts.clone_from(&self.set_by_task);
        let mut env = EnvLists::new(&self.settings, &self.command_line);
        (env.fabfile, env.runtime) = (&fabfile, &runtime);
        let env = env.merge();
        let current = self.current.as_deref().map(listed);
        let mut sources = ListSources::new("t");
        (sources.arguments, sources.own, sources.current) = (&self.arguments, &self.own, current.as_ref());
        (sources.env, sources.command_line, sources.only) = (&env, &self.command_line, &self.only);
        sources.rules.dedupe = self.dedupe;
        sources.rules.limit = self.limit.map(Share::Count);
        sources.rules.shard = self.shard.and_then(|(index, count)| Shard::new(index, count));
        let roles = roles();
        let mut looked_up = IndexMap::new();
        for name in sources.roles(&roles)? {
            let hosts = ROLES.iter().find(|(role, _)| *role == name).unwrap().1;
            looked_up.insert(name, hosts.iter().map(|host| listed(host)).collect());
        }
        build(&sources, &looked_up)
    }
}

/// The reference: the rules of the documentation, written down as plainly as possible. `None` is a local
/// run; `Err` has the unknown roles.
fn reference(world: &World) -> Result<Option<Vec<String>>, Vec<String>> {
    // The global lists: the command line sets plain lists aside, a fabfile extends or replaces, a task sets.
    let given = !world.command_line.hosts.is_empty() || !world.command_line.roles.is_empty();
    let plain = if given { &world.command_line } else { &world.settings };
    let mut env_hosts = plain.hosts.clone();
    env_hosts.extend(world.extend.iter().filter(|_| world.replace.is_none()).cloned());
    if let Some(list) = &world.replace {
        env_hosts.clone_from(list);
    }
    if let Some(list) = &world.set_by_task {
        env_hosts.clone_from(list);
    }
    let env_exclude = [world.settings.exclude.clone(), world.command_line.exclude.clone()].concat();

    // The first level that gives anything wins; no union across levels.
    let some = |hosts: &[String], roles: &[String]| !hosts.is_empty() || !roles.is_empty();
    let (hosts, role_names, exclude) = if some(&world.arguments.hosts, &world.arguments.roles) {
        (world.arguments.hosts.clone(), world.arguments.roles.clone(), world.arguments.exclude.clone())
    } else if some(&world.own.hosts, &world.own.roles) {
        (world.own.hosts.clone(), world.own.roles.clone(), world.arguments.exclude.clone())
    } else if let Some(host) = &world.current {
        return Ok(Some(if world.arguments.exclude.contains(host) { Vec::new() } else { vec![host.clone()] }));
    } else if some(&env_hosts, &plain.roles) {
        (env_hosts, plain.roles.clone(), env_exclude)
    } else {
        return Ok(None);
    };

    // What stands between operators is a role's name; nothing before the first one means all roles before it.
    let parts = |item: &String| -> Vec<(char, String)> {
        let mut parts = vec![('+', String::new())];
        for c in item.chars() {
            if "&!^".contains(c) { parts.push((c, String::new())) } else { parts.last_mut().unwrap().1.push(c) }
        }
        if parts[0].1.is_empty() {
            parts.remove(0);
        }
        parts
    };
    let mut unknown: Vec<String> = Vec::new();
    for (_, role) in role_names.iter().flat_map(parts) {
        if ROLES.iter().all(|(name, _)| *name != role) && !unknown.contains(&role) {
            unknown.push(role);
        }
    }
    if !unknown.is_empty() {
        return Err(unknown);
    }

    // Hosts before the hosts of roles; then repeats go, then what is excluded, then limit and shard.
    let mut list = hosts;
    let mut of_roles: Vec<String> = Vec::new();
    for item in &role_names {
        let parts = parts(item);
        let before = if parts[0].0 == '+' { std::mem::take(&mut of_roles) } else { Vec::new() };
        for (operator, role) in parts {
            let named: Vec<String> =
                ROLES.iter().find(|(name, _)| *name == role).unwrap().1.iter().map(|h| (*h).to_owned()).collect();
            of_roles = match operator {
                '+' => named,
                '&' => of_roles.into_iter().filter(|host| named.contains(host)).collect(),
                '!' => of_roles.into_iter().filter(|host| !named.contains(host)).collect(),
                _ => {
                    let new: Vec<String> = named.iter().filter(|host| !of_roles.contains(host)).cloned().collect();
                    of_roles.into_iter().filter(|host| !named.contains(host)).chain(new).collect()
                }
            };
        }
        of_roles = [before, of_roles].concat();
    }
    list.extend(of_roles);
    if world.dedupe {
        let mut seen = Vec::new();
        list.retain(|host| {
            let new = !seen.contains(host);
            seen.push(host.clone());
            new
        });
    }
    list.retain(|host| !exclude.contains(host));
    list.retain(|host| world.only.is_empty() || world.only.contains(host));
    if let Some(limit) = world.limit {
        list.truncate(limit);
    }
    if let (Some((index, count)), None) = (world.shard, &world.current) {
        list = list.into_iter().enumerate().filter(|(at, _)| at % count == index).map(|(_, host)| host).collect();
    }
    Ok(Some(list))
}

fn host() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c", "d", "root@a", "a:22"]).prop_map(str::to_owned)
}

fn role() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "web",
        "web",
        "db",
        "none",
        "all",
        "wbe",
        "all&web",
        "all!db",
        "web^db",
        "&db",
        "!web",
        "all&web!db",
        "web&dbb",
    ])
    .prop_map(str::to_owned)
}

fn selection() -> impl Strategy<Value = Selection> {
    let hosts = || prop::collection::vec(host(), 0..4);
    (hosts(), prop::collection::vec(role(), 0..2), prop::collection::vec(host(), 0..3)).prop_flat_map(|(h, r, e)| {
        // Most levels give nothing, or all is decided at the first.
        (Just(h), Just(r), Just(e), 0..4_u8).prop_map(|(hosts, roles, exclude, which)| match which {
            0 => Selection::default(),
            1 => Selection::default().hosts(hosts).exclude_hosts(exclude),
            2 => Selection::default().roles(roles).exclude_hosts(exclude),
            _ => Selection::default().hosts(hosts).roles(roles).exclude_hosts(exclude),
        })
    })
}

prop_compose! {
    fn world()(
        arguments in selection(),
        own in selection(),
        current in prop::option::weighted(0.2, host()),
        settings in selection(),
        extend in prop::collection::vec(host(), 0..2),
        replace in prop::option::weighted(0.2, prop::collection::vec(host(), 0..3)),
        command_line in selection(),
        set_by_task in prop::option::weighted(0.2, prop::collection::vec(host(), 0..3)),
        only in prop::option::weighted(0.2, prop::collection::vec(host(), 1..4)),
        dedupe in prop::bool::weighted(0.7),
        limit in prop::option::weighted(0.2, 0_usize..4),
        shard in prop::option::weighted(0.2, (0_usize..3).prop_map(|index| (index, 3))),
    ) -> World {
        let own = own.exclude_hosts::<String>([]);
        let only = only.unwrap_or_default();
        World { arguments, own, current, settings, extend, replace, command_line, set_by_task, only, dedupe, limit, shard }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_list_is_the_references(world in world()) {
        match (world.build(), reference(&world)) {
            (Ok(list), Ok(None)) => {
                prop_assert!(list.is_local());
                prop_assert_eq!(list.emptied, None);
            }
            (Ok(list), Ok(Some(hosts))) => {
                prop_assert!(!list.is_local());
                prop_assert_eq!(list.names().collect::<Vec<_>>(), hosts.iter().map(String::as_str).collect::<Vec<_>>());
                prop_assert_eq!(list.emptied.is_some(), hosts.is_empty());
            }
            (Err(HostListError::UnknownRoles { roles, .. }), Err(unknown)) => {
                prop_assert_eq!(roles.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), unknown);
            }
            (ours, theirs) => prop_assert!(false, "{:?} is not {:?}", ours, theirs),
        }
    }
}

fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn hosts(texts: &[&str]) -> Selection {
    Selection::default().hosts(list(texts))
}

fn names(world: &World) -> Vec<String> {
    world.build().unwrap().names().map(str::to_owned).collect()
}

#[test]
fn exclusion_works_without_deduplication() {
    let command_line = hosts(&["a", "b", "a"]).exclude_hosts(["b"]);
    assert_eq!(names(&World { command_line, ..World::default() }), ["a", "a"]);
}

#[test]
fn the_exception_of_the_classic_documentation() {
    // `@hosts('host1', 'host2')` with `fab task:exclude_hosts=host2`.
    let arguments = Selection::default().exclude_hosts(["host2"]);
    let world = World { own: hosts(&["host1", "host2"]), arguments, dedupe: true, ..World::default() };
    assert_eq!(names(&world), ["host1"]);
    let global = World { own: Selection::default(), settings: hosts(&["host1", "host2"]), ..world };
    assert_eq!(names(&global), ["host1", "host2"]);
    assert!(global.build().unwrap().warnings[0].contains("exclude_hosts=.."));
}

#[test]
fn a_tasks_own_hosts_beat_the_command_line_with_a_warning() {
    let command_line = hosts(&["x"]).roles(["web"]);
    let world = World { own: hosts(&["y"]), command_line, dedupe: true, ..World::default() };
    let built = world.build().unwrap();
    assert_eq!((built.level, names(&world)), (Level::Task, list(&["y"])));
    assert_eq!(
        built.warnings,
        ["task `t` has hosts or roles of its own: -H and -R are not used for it; it runs on y (`--only x` leaves all \
          other hosts out, `t:hosts=..` replaces the list)"]
    );
}

#[test]
fn emptied_is_not_never_given() {
    let exclude = hosts(&["a"]).exclude_hosts(["a"]);
    let emptied = |world: World| world.build().unwrap().emptied;
    assert_eq!(emptied(World { command_line: exclude, ..World::default() }), Some(Emptied::Exclusion));
    let role = Selection::default().roles(["none"]);
    assert_eq!(emptied(World { own: role, ..World::default() }), Some(Emptied::Roles));
    let shard = World { command_line: hosts(&["a"]), shard: Some((1, 2)), ..World::default() };
    assert_eq!(emptied(shard), Some(Emptied::Share));
    let only = World { command_line: hosts(&["a"]), only: list(&["b"]), ..World::default() };
    assert_eq!(emptied(only), Some(Emptied::Only));
    assert!(World::default().build().unwrap().is_local());
}

#[test]
fn the_first_role_that_names_a_host_counts() {
    let own = hosts(&["c", "x"]).roles(["web", "db"]);
    let built = World { own, dedupe: true, ..World::default() }.build().unwrap();
    let roles: Vec<_> = built.hosts.iter().map(|l| (l.host.as_str(), l.role.as_deref())).collect();
    assert_eq!(roles, [("c", Some("db")), ("x", None), ("a", Some("web")), ("b", Some("web"))]);
}

#[test]
fn every_step_is_explained() {
    let arguments = hosts(&["a", "w3"]).roles(["all"]).exclude_hosts(["b"]);
    let built = World { arguments, dedupe: true, limit: Some(2), ..World::default() }.build().unwrap();
    assert_eq!(
        built.steps,
        [
            "from the call's own arguments: 2 hosts and roles all",
            "role `all`: 4 hosts",
            "repeated: a",
            "excluded: b",
            "beyond --limit 2: c,d",
        ]
    );
}

#[test]
fn set_operations_on_roles_are_explained_too() {
    let command_line = Selection::default().roles(["all&web", "db", "!none", "^web"]);
    let only = list(&["c", "x"]);
    let built = World { command_line, only, dedupe: true, ..World::default() }.build().unwrap();
    assert_eq!(
        built.steps,
        [
            "from the global host list: roles all&web, db, !none, ^web",
            "role `all`: 4 hosts",
            "also in role `web` (2 hosts): 2 hosts left",
            "role `db`: 2 hosts",
            "not in role `none` (0 hosts): 4 hosts left",
            "or only in role `web` (2 hosts): 1 host left",
        ]
    );
    assert_eq!(built.names().collect::<Vec<_>>(), ["c"]);
}

#[test]
fn an_exclusion_that_excludes_nothing_is_known() {
    let list = |excluded: &[&str], hosts: &[&str]| {
        let texts = |list: &[&str]| list.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let command_line = Selection::default().hosts(texts(hosts)).exclude_hosts(texts(excluded));
        World { command_line, dedupe: true, ..World::default() }.build().unwrap().unmatched
    };
    assert_eq!(list(&["typo1", "typo2"], &["a"]), ["typo1", "typo2"]);
    assert_eq!(list(&["typo", "a"], &["a", "b"]), ["typo"]);
    assert!(list(&["typo"], &[]).is_empty());
}
