//! `sideband completions`

use super::options::{CompletionsArguments, Options};
use super::{Done, print_as_it_is};
use clap::CommandFactory;

pub(super) fn completions(arguments: &CompletionsArguments) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Options::command(),
        "sideband",
        &mut script,
    );
    print_as_it_is(String::from_utf8_lossy(&script).trim_end())
}
