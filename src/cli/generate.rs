//! `sentinel-edge completions` and `sentinel-edge man`: for packages, from the same definitions as the help.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::exit::Exit;
use super::{Cli, complain, print};
use crate::config::{DEFAULT_PATH, source};

/// Arguments of `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionArguments {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Clone, Args)]
pub struct ManArguments {
    /// Directory for the pages; it is created if it is missing
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// Prints a completion script.
pub fn completions(arguments: &CompletionArguments) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "sentinel-edge", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Writes one page for the whole and one for each command.
pub fn man(arguments: &ManArguments) -> Exit {
    let directory = &arguments.directory;
    match write_pages(directory) {
        Ok(()) => Exit::Ok,
        Err(e) => {
            complain(format_args!("sentinel-edge: cannot write man pages to {}: {e}", directory.display()));
            Exit::Runtime
        }
    }
}

fn write_pages(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    // clap writes a page for the command `help` otherwise.
    let mut whole = Cli::command().disable_help_subcommand(true);
    whole.build();
    for command in whole.get_subcommands().cloned() {
        Man::new(command).generate_to(directory)?;
    }
    let page = Man::new(whole);
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    page.render_subcommands_section(&mut out)?;
    section(
        &mut out,
        "EXIT STATUS",
        Exit::ALL.iter().map(|e| (e.code().to_string(), e.meaning().to_owned())),
    );
    section(&mut out, "ENVIRONMENT", source::described().map(|(name, sets)| (name.to_owned(), sets)));
    let files = [(DEFAULT_PATH, "Configuration; it need not exist.")];
    section(&mut out, "FILES", files.map(|(path, what)| (path.to_owned(), what.to_owned())));
    page.render_version_section(&mut out)?;
    fs::write(directory.join(page.get_filename()), out)
}

/// A section of terms with their explanations, in roff.
fn section(out: &mut Vec<u8>, title: &str, entries: impl IntoIterator<Item = (String, String)>) {
    let plain = |text: &str| text.replace('\\', "\\e").replace('-', "\\-");
    out.extend_from_slice(format!(".SH \"{title}\"\n").as_bytes());
    for (term, explanation) in entries {
        out.extend_from_slice(format!(".TP\n{}\n{}\n", plain(&term), plain(&explanation)).as_bytes());
    }
}
