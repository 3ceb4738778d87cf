//! A link on which everything takes its time.

use std::time::Duration;

use tests::{Host, Link, Sshd, case};

/// Half a round trip: long beside what a busy machine does in between.
const DELAY: Duration = Duration::from_millis(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_and_a_command_take_seven_round_trips_after_tcp() {
    let sshd = tokio::task::spawn_blocking(Sshd::shared).await.unwrap();
    let server = sshd.hosts()[0].host_string().parse().unwrap();
    let mut fewest = usize::MAX;
    // A machine that stalls in between can only make them more, so the fewest of some tries counts.
    for _ in 0..3 {
        let link = Link::to(server, DELAY).await;
        let host = Host { address: link.address().ip(), port: link.address().port() };
        let known = format!("[{}]:{} {}\n", host.address, host.port, sshd.host_key());
        let run = tokio::task::spawn_blocking(move || {
            let case = case!().reach(vec![host], &sshd.key()).known_hosts(known);
            case.args(["-H", "{h1}", "--", "true"]).any_stdout().any_stderr().run();
        });
        run.await.unwrap();
        fewest = fewest.min(link.round_trips());
    }
    // Algorithms, key exchange, service, user, signature, channel, command. None at all would be a link that is not used.
    assert!((1..=7).contains(&fewest), "{fewest} round trips");
}
