//! `env` as shared state, and settings for a part of a run.

use tests::case;

#[test]
fn what_a_task_sets_is_seen_by_those_that_follow() {
    case!()
        .hosts(1)
        .fabfile(
            "[env]\nhosts = [\"{h1}\"]\nrelease = \"1\"\n\n[tasks]\nshow = \"echo {{ env.release }} in $PWD\"\n\n\
             [tasks.change]\nsteps = [{ set = { release = \"{{ env.release }}.2\", cwd = \"/usr\" } }]\n",
        )
        .args(["show", "change", "show"])
        .stdout_has("out: 1 in ")
        .stdout_has("out: 1.2 in /usr\n")
        .any_stderr()
        .run();
}

#[test]
fn settings_of_a_task_or_a_step_end_with_it_even_if_it_fails() {
    case!()
        .hosts(1)
        .fabfile(
            "[env]\nhosts = [\"{h1}\"]\nwarn_only = true\n\n[tasks]\nshow = \"case $PWD:$A in /usr*) echo changed;; *:) echo as before;; esac\"\n\n[tasks.changed]\n\
             with = { cwd = \"/usr\", shell_env = { A = \"task\" } }\nsteps = [\n  { run = \"echo $PWD:$A:\" },\n  \
             { run = \"echo $PWD:$A:; false\", cd = \"lib\", env = { A = \"step\" } },\n  { run = \"echo $PWD:$A:\" },\n]\n",
        )
        .args(["changed", "show"])
        .stdout_has("out: /usr:task:\n[{h1}] run: echo $PWD:$A:; false\n[{h1}] out: /usr/lib:step:\n")
        .stdout_has("[{h1}] run: echo $PWD:$A:\n[{h1}] out: /usr:task:\n[{h1}] Executing task 'show'\n")
        .stdout_has("out: as before\n")
        .any_stderr()
        .run();
}

#[test]
fn every_context_manager_is_in_force_inside_and_over_after() {
    case!(tasks)
        .hosts(1)
        .args(["-H", "{h1}", "blocks"])
        .stdout_lacks("out: hidden out")
        .stdout_lacks("quiet")
        .stdout_has("[{h1}] out: shown out\n")
        .stderr_lacks("hidden err")
        .stderr_has("[{h1}] err: shown err\n")
        .stderr_has("[{h1}] warning: `exit 6` ended with exit status 6")
        .run();
}
