//! A slow link.

use std::time::Duration;

use tests::{Host, Link, Sshd, World, case};

/// Half a round trip: long compared with the delays of a busy machine.
const DELAY: Duration = Duration::from_millis(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_and_a_command_take_seven_round_trips_after_tcp() {
    let sshd = tokio::task::spawn_blocking(Sshd::shared).await.unwrap();
    let server = sshd.hosts()[0].host_string().parse().unwrap();
    let mut fewest = usize::MAX;
    // A busy machine can only make them more, so the minimum of several tries counts.
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
    // Algorithms, key exchange, service, key, login, channel, command. None would mean that the link isn't used.
    assert!((1..=7).contains(&fewest), "{fewest} round trips");
}

/// How often sshd has started an SFTP server.
fn sftp_channels(sshd: &Sshd) -> usize {
    sshd.log().matches("Starting session: subsystem 'sftp'").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_goes_over_as_many_channels_as_the_host_allows() {
    let content: Vec<u8> = (0..32_u32 << 20).map(|n| (n % 251) as u8).collect();
    for (sessions, expected) in [(10, 6), (3, 3), (1, 1)] {
        let config = move || Sshd::builder().max_sessions(sessions).config("LogLevel VERBOSE").start();
        let sshd = tokio::task::spawn_blocking(config).await.unwrap();
        let link = Link::to(sshd.hosts()[0].host_string().parse().unwrap(), DELAY).await;
        let world = World::far_sshd(&sshd, &link).await;
        let (here, connection) = (world.far().join("here"), world.connection());
        std::fs::write(&here, &content).unwrap();
        let there = world.far().join("there");
        connection.put(&*here, there.to_str().unwrap()).await.unwrap();
        assert!(std::fs::read(&there).unwrap() == content, "{sessions} sessions");
        assert_eq!(sftp_channels(&sshd), expected, "{sessions} sessions: {}", sshd.log());
        let left: Vec<_> = std::fs::read_dir(world.far()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        // The channels are closed.
        connection.get(there.to_str().unwrap(), world.far().join("back")).await.unwrap();
        assert!(std::fs::read(world.far().join("back")).unwrap() == content);
        if sessions > 1 {
            connection.run("true").await.unwrap();
        }
    }
}
