//! The `turnstone` program: the command line, and the server it starts.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use turnstone::app::{self, Settings};
use turnstone::{cli, clock};

// Fewer and shorter stalls under many small allocations than the system's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::main(|request| {
        let settings = Settings {
            config: request.config,
            source: request.source,
            generated_secret: request.generated_secret,
        };
        app::run(settings, |serving| match &request.greeting {
            Some(greeting) => greeting.print(serving.announced, clock::unix_now()),
            None => Ok(()),
        })
    })
}
