use clap::{Args, CommandFactory};

use crate::args::Arguments;
use crate::output::Output;
use crate::setup::Failure;

/// Print the manual page (roff): `calmirror man | man -l -`
#[derive(Debug, Args)]
pub struct Man {}

impl Man {
    pub fn run(self, output: &mut Output) -> Result<u8, Failure> {
        let mut command = Arguments::command();
        command.build();
        let mut page = Vec::new();
        clap_mangen::Man::new(command.clone()).render(&mut page)?;
        for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help") {
            let title = subcommand.get_name().to_uppercase();
            let text = subcommand.get_long_about().or_else(|| subcommand.get_about());
            page.extend_from_slice(format!(".SH \"CALMIRROR {title}\"\n").as_bytes());
            if let Some(text) = text {
                page.extend_from_slice(roff_line(&text.to_string()).as_bytes());
            }
            let usage = subcommand.clone().render_usage().to_string();
            page.extend_from_slice(b".PP\n.nf\n");
            page.extend_from_slice(roff_line(&usage).as_bytes());
            page.extend_from_slice(b".fi\n");
            let own = |argument: &&clap::Arg| !argument.is_global_set() && argument.get_id() != "help";
            for argument in subcommand.get_arguments().filter(own) {
                let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
                let (name, help) = (roff_line(&argument.to_string()), roff_line(&help));
                page.extend_from_slice(format!(".TP\n{name}{help}").as_bytes());
            }
        }
        output.raw(&page)?;
        Ok(0)
    }
}

/// Lines that roff takes as text.
fn roff_line(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        if line.starts_with(['.', '\'']) {
            lines.push_str("\\&");
        }
        lines.push_str(&line.replace('\\', "\\e").replace('-', "\\-"));
        lines.push('\n');
    }
    lines
}
