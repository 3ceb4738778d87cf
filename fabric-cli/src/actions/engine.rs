//! `fab --engine`: the work of a program in Python.

use std::sync::Arc;

use fabric_exec::Run;
use fabric_python::Told;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::process::{ignore_interrupts, room_for_hosts, shared_runtime, take_socket};
use crate::request::Request;

/// Does what the program at the other end of standard input asks for, until it has gone.
pub(super) fn run(request: &Request) -> Result<Exit, Failure> {
    let socket = take_socket().map_err(|source| Failure::System { what: "taking the socket", source })?;
    let process = request.process.as_ref();
    let (config, settings) = (request.config()?.clone(), request.settings()?);
    let told = Told::default();
    let connector = super::run::connector(request, &settings, Arc::new(told.clone()))?;
    let open_at_most = room_for_hosts(process)?;
    let runtime = shared_runtime(process)?;
    let report = runtime.block_on(async {
        // Ctrl-C reaches this program too: the one that started it says what is to end.
        let _ignored = ignore_interrupts();
        let run = |collection| {
            Run::new(collection, Arc::new(config))
                .connector(connector)
                .events(Arc::new(told.clone()))
                .prompter(Arc::new(told.clone()))
                .open_at_most(open_at_most)
                .interrupt(request.interrupt.clone())
        };
        fabric_python::serve(socket, told.clone(), run).await
    });
    runtime.shutdown_background();
    Ok(Exit::of(&report?))
}
