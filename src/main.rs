//! The binary: one TLS provider for the process, then the command line.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Two providers can be in the tree; the first use of TLS would panic unless one is named.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let code = runtime.block_on(keytone::cli::run());
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code.unwrap_or_else(|error| fail(&error))
}

#[expect(clippy::print_stderr, reason = "the one place that tells a person why the command failed")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("keytone: {error:#}");
    ExitCode::FAILURE
}
