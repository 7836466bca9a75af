use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Arguments;
use crate::output::Output;
use crate::setup::Failure;

/// Print a completion script for a shell
///
/// For bash: `calmirror completions bash > ~/.local/share/bash-completion/completions/calmirror`
#[derive(Debug, Args)]
pub struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    pub fn run(self, output: &mut Output) -> Result<u8, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "calmirror", &mut script);
        output.raw(&script)?;
        Ok(0)
    }
}
