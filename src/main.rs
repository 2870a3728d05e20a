//! The `turnstone` program: the command line, and the server it starts.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use turnstone::app::{self, Settings};
use turnstone::cli;

// Fewer and shorter stalls under many small allocations than the system's.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::main(|request| {
        let generated_secret = request.generated_secret.clone();
        let settings = Settings {
            config: request.config,
            source: request.source,
            generated_secret,
        };
        app::run(settings, |_serving| {})
    })
}
