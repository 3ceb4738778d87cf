//! Hosts of inventories: named as in the inventory, and reached by its variables.

use tests::{Case, case};

/// Which address a host was reached at.
const WHERE: &str = "echo on $(echo $SSH_CONNECTION | cut -d' ' -f3)";

/// Two hosts with addresses of their own, and a role for each group of `hosts`.
fn fleet(inventory: &str) -> Case {
    case!().hosts(2).file("hosts", inventory).fabfile(format!(
        "[roledefs]\nweb = {{ inventory = 'hosts' }}\ndb = {{ inventory = 'hosts' }}\n\
             [tasks]\nwhere = \"{WHERE}\"\n"
    ))
}

const NAMED: &str =
    "[web]\nweb1 ansible_host={address1} ansible_port={port}\nweb2:{port} ansible_host={address2}\n[db]\ndb1\n";

#[test]
fn a_host_is_called_by_its_name_and_reached_at_its_address() {
    fleet(NAMED)
        .args(["-R", "web", "where"])
        .stdout_has("[web1] out: on {address1}\n")
        .stdout_has("[web2:{port}] out: on {address2}\n")
        .any_stderr()
        .run();
}

#[test]
fn names_exclude_and_choose_hosts() {
    fleet(NAMED)
        .args(["-R", "web", "-x", "web1", "where"])
        .stdout_lacks("web1")
        .stdout_has("[web2:{port}] out: on {address2}")
        .any_stderr()
        .run();
    fleet(NAMED)
        .args(["-R", "web", "--only", "web1", "where"])
        .stdout_has("[web1] out: on {address1}")
        .stdout_lacks("web2")
        .any_stderr()
        .run();
}

#[test]
fn what_an_inventory_says_stands_below_the_command_line_and_sections_of_hosts() {
    let inventory = "[web]\nweb1 ansible_host={address1} ansible_port={port} ansible_user=nosuchuser\n";
    let user = tests::current_user();
    fleet(inventory)
        .args(["-R", "web", "-u", &user, "where"])
        .stdout_has("[web1] out: on {address1}")
        .any_stderr()
        .run();
    fleet(inventory)
        .fabfile(format!(
            "[roledefs]\nweb = {{ inventory = 'hosts' }}\n[hosts.web1]\nuser = '{user}'\nhostname = '{{address2}}'\n\
             [tasks]\nwhere = \"{WHERE}\"\n"
        ))
        .args(["-R", "web", "where"])
        .stdout_has("[web1] out: on {address2}")
        .any_stderr()
        .run();
    fleet(inventory).args(["-R", "web", "where"]).stdout_lacks("out:").stderr_has("nosuchuser").status(1).run();
}

#[test]
fn known_hosts_goes_by_the_address_and_ssh_config_by_the_name() {
    let ran = fleet("[web]\nweb1 ansible_host={address1}\n")
        .known_hosts("")
        .home_file(
            ".ssh/config",
            "Host web1\n  Port {port}\n  HostName 127.0.0.1\n  HashKnownHosts no\nHost {address1}\n  Port 1\n",
        )
        .args(["-R", "web", "where"])
        .stdout_has("[web1] out: on {address1}")
        .any_stderr()
        .run();
    let known = ran.read("../home/.ssh/known_hosts");
    assert!(known.starts_with(&ran.case().fill("[{address1}]:{port} ")) && !known.contains("web1"), "{known}");
}

#[test]
fn a_comment_is_no_host_and_a_range_meets_its_hosts() {
    fleet("[web]\nw[1:2] ansible_host={address1}\n; w3 ansible_host={address2}\n[db]\nw2 ansible_host={address2}\n[all:vars]\nansible_port={port}\n")
        .args(["-R", "web,db", "where"])
        .stdout_has("[w1] out: on {address1}\n")
        .stdout_has("[w2] out: on {address2}\n")
        .stdout_lacks("w3")
        .stderr_has("2 hosts: 2 ok")
        .run();
}

#[test]
fn variables_in_files_beside_an_inventory_count() {
    fleet("[web]\nw1\nw2\n")
        .file("group_vars/web.yml", "ansible_port: {port}\nansible_host: '{{ base }}'\n")
        .file("group_vars/all/base.yml", "base: {address1}\n")
        .file("host_vars/w2", "base: {address2}\n")
        .args(["-R", "web", "where"])
        .stdout_has("[w1] out: on {address1}\n")
        .stdout_has("[w2] out: on {address2}\n")
        .any_stderr()
        .run();
}

#[test]
fn two_machines_of_one_name_are_an_error_that_names_both_inventories() {
    fleet(NAMED)
        .file("other", "[web]\nweb1 ansible_host={address2} ansible_port={port}\n")
        .fabfile("[roledefs]\na = { inventory = 'hosts', group = 'web' }\nb = { inventory = 'other', group = 'web' }\n[tasks]\nid = 'id'\n")
        .args(["-R", "a,b", "id"])
        .stdout_lacks("out:")
        .stderr_has("host `web1` is in inventory {dir}/hosts and in inventory {dir}/other, with other settings")
        .status(2)
        .run();
}

#[test]
fn a_host_of_a_role_is_no_other_machine_by_another_role() {
    let fabfile = "[roledefs]\nplain = ['web1']\nweb = { inventory = 'hosts' }\nuser = { hosts = ['web1'], user = 'bob' }\n\
                   both = { roles = ['web', 'plain'] }\nwithin = { roles = ['plain & web'] }\n[tasks]\nid = 'id'\n";
    let fleet = || fleet(NAMED).fabfile(fabfile);
    let error = |bare: &str| {
        format!(
            "host `web1` of role `web` is what inventory {{dir}}/hosts says, and role `{bare}` names it without that"
        )
    };
    for (roles, bare) in [("plain,web", "plain"), ("web,plain", "plain"), ("user,web", "user"), ("both", "plain")] {
        fleet().args(["-R", roles, "id"]).stderr_has(error(bare)).status(2).run();
    }
    // By itself it is the bare host, with a warning.
    let warned = "what inventory {dir}/hosts says about web1 is not used, as hosts are named without a role of it: \
                  `-R web --only web1` uses them";
    for roles in ["plain", "user"] {
        fleet().args(["--plan", "-R", roles, "id"]).stdout_has(warned).run();
    }
    // If one only selects among the other's hosts, they keep the inventory's settings, in any order.
    for roles in ["plain & web", "web & plain", "web ! plain", "within"] {
        fleet().args(["--plan", "-R", roles, "id"]).stdout_has("web").stdout_lacks("is not used").run();
        if roles != "web ! plain" {
            let id = "echo on $(echo $SSH_CONNECTION | cut -d' ' -f3)";
            fleet().args(["-R", roles, "--", id]).stdout_has("[web1] out: on {address1}\n").any_stderr().run();
        }
    }
}

#[test]
fn a_host_that_is_named_by_itself_is_told_of_its_inventory() {
    let warned = "warning: what inventory {dir}/hosts says about web1 is not used, as hosts are named without a role of it: \
                  `-R web --only web1` uses them\n";
    fleet(NAMED).args(["--plan", "-H", "web1,db1", "where"]).stdout_has(warned).run();
    fleet(NAMED).args(["--plan", "-R", "web", "where"]).stdout_has("web1").stdout_lacks("is not used").run();
    fleet(NAMED).args(["--plan", "-H", "db1", "where"]).stdout_has("db1").stdout_lacks("is not used").run();
    fleet(NAMED).args(["--dry-run", "-H", "web1", "where"]).any_stdout().stderr_has(warned).run();
}

#[test]
fn settings_go_with_the_host_into_health_checks_and_nested_tasks() {
    fleet(NAMED)
        .fabfile(format!(
            "[roledefs]\nweb = {{ inventory = 'hosts' }}\n[tasks]\nwhere = \"{WHERE}\"\n\
             [tasks.deploy]\nroles = ['web']\nhealth = 'where'\nsteps = [{{ execute = 'where' }}]\n"
        ))
        .args(["--only", "web1", "deploy"])
        .stdout_has("[web1] out: on {address1}\n[web1] Executing task 'where'")
        .any_stderr()
        .run();
    fleet(NAMED)
        .file("printed", r#"{"hosts": {"hosts": ["web1"]}, "_meta": {"hostvars": {"web1": {"ansible_host": "{address2}", "ansible_port": {port}}}}}"#)
        .fabfile(format!(
            "[tasks]\nwhere = \"{WHERE}\"\n[tasks.pick]\nsteps = [{{ set = {{ hosts = {{ command = 'cat printed' }} }} }}]\n"
        ))
        .args(["pick", "where"])
        .stdout_has("[web1] out: on {address2}\n")
        .any_stderr()
        .run();
}

#[test]
fn connections_and_arguments_of_ssh_are_taken_over_and_others_warned_of_once() {
    fleet("[web]\nhere ansible_connection=local\n")
        .fabfile(
            "[roledefs]\nweb = { inventory = 'hosts' }\n[tasks]\nwhere = 'echo on ${SSH_CONNECTION:-this machine}'\n",
        )
        .args(["-R", "web", "where"])
        .stdout_has("[here] out: on this machine\n")
        .any_stderr()
        .run();
    fleet(
        "[web]\nw1 ansible_ssh_common_args='-F there -o Port={port}' ansible_ssh_pipelining=1 ansible_ssh_retries=3\n",
    )
    .file("there", "Host w1\n  HostName {address2}\n  Port 1\n")
    .args(["-R", "web", "where", "where"])
    .stdout_has("[w1] out: on {address2}\n")
    .stderr_has("warning: inventory {dir}/hosts: not taken over: ansible_ssh_pipelining, ansible_ssh_retries\n")
    .run();
    fleet("[web]\nw1 ansible_connection=winrm\n")
        .args(["-R", "web", "where"])
        .stdout_lacks("out:")
        .stderr_has("winrm")
        .status(1)
        .run();
}

#[test]
fn what_ansible_refuses_is_refused_with_file_and_line() {
    for (text, wrong) in [
        ("[web]\nw1 w2 w3\n", "hosts:2: `w2` behind a host"),
        ("[web]\nw1 ansible_host = {address1}\n", "hosts:2: `ansible_host` behind a host"),
        ("[web]\nw1\n[web:children]\nnone\n", "hosts:4: `web` has the child `none`"),
    ] {
        fleet(text).args(["-R", "web", "where"]).stdout_lacks("out:").stderr_has(wrong).status(2).run();
    }
}
