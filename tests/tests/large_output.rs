//! A command that prints far more than fits in memory.

use std::io::Read as _;

use tests::World;

/// The most memory this process has had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line of it");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

/// Only one test, since the limit is the process's memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_megabytes_are_captured_in_little_memory() {
    const SIZE: u64 = 300_000_000;
    let world = World::sshd().await;
    let connection = world.connection();
    connection.run("true").await.unwrap();
    let before = peak();
    let outcome = connection.run(format!("head -c {SIZE} /dev/zero | tr '\\0' x; echo; echo end")).await.unwrap();
    assert_eq!((outcome.stdout.len(), outcome.stdout.is_in_file()), (SIZE + 5, true));
    assert!(!outcome.truncated);
    assert_eq!(outcome.stdout.tail(1), "end");
    assert!(outcome.to_string().len() < 100_000, "an outcome is shown by its end");
    let mut reader = outcome.stdout.reader();
    let (mut piece, mut read) = (vec![0; 1 << 20], 0);
    loop {
        let count = reader.read(&mut piece).unwrap();
        if count == 0 {
            break;
        }
        assert!(read + count as u64 > SIZE || piece[..count].iter().all(|byte| *byte == b'x'), "from {read} on");
        read += count as u64;
    }
    assert_eq!(read, SIZE + 5);
    // What is buffered before it goes to the file, what is in flight, and this reader's buffer.
    let grown = peak().saturating_sub(before);
    assert!(grown < 80 << 20, "{grown} bytes more memory");
}
