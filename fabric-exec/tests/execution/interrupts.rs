//! Runs that are stopped from outside.

use super::*;

/// A run of one task over two hosts that is stopped while the first is at work.
async fn interrupted(task: Task, stops: usize) -> (World, fabric_exec::Report) {
    let world = World::new().hosts(&["h1", "h2"]);
    world.fleet.host("h1").on("hang", Reply::ok().hang());
    let interrupt = Interrupt::new();
    let run = world.run(collection([task, running("after")])).interrupt(interrupt.clone());
    let events = world.events.clone();
    let stopper = async move {
        while events.story().is_empty() {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        for _ in 0..stops {
            interrupt.stop();
        }
    };
    let (report, ()) = tokio::join!(run.start(calls(&["hang", "after"])), stopper);
    (world, report.unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_ends_the_command_and_starts_nothing_new() {
    let (world, report) = interrupted(running("hang"), 1).await;
    assert_eq!((report.exit_code(), report.ending), (130, Ending::Interrupted));
    assert_eq!(world.events.story(), ["hang@h1", "hang@h1 failed", "hang@h2 skipped"]);
    assert!(report.hosts["h1"].error.as_ref().unwrap().contains("interrupted"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_listen_is_given_up() {
    for stops in [1, 2] {
        let deaf = Task::from_fn("hang", |_: Context| std::future::pending::<Result<(), TaskError>>());
        let began = tokio::time::Instant::now();
        let (_, report) = interrupted(deaf, stops).await;
        assert_eq!(report.exit_code(), 130);
        let took = began.elapsed().as_secs();
        assert_eq!(took, if stops == 1 { 11 } else { 1 }, "politely after a while, at once at the second");
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_between_tries_ends_the_trying() {
    let mut world = World::new().hosts(&["h1"]).set("retries", 9);
    world.fleet.host("h1").on("hang", Reply::status(1));
    world.settings.retries = 9;
    let interrupt = Interrupt::new();
    let run = world.run(collection([running("hang")])).interrupt(interrupt.clone());
    let stopper = async {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        interrupt.stop();
    };
    let (report, ()) = tokio::join!(run.start(calls(&["hang"])), stopper);
    let report = report.unwrap();
    assert_eq!((report.exit_code(), report.tasks[0].results[0].attempts), (130, 2));
}
