//! The BEAM: an Erlang module is compiled when the program starts, and run for each figure.

use std::path::PathBuf;
use std::process::Command;

const SOURCE: &str = include_str!("peers.erl");

/// A compiled module.
pub(crate) struct Beam(PathBuf);

/// Compiles the module, if `erlc` is installed.
pub(crate) fn compile() -> Option<Beam> {
    let folder = std::env::temp_dir().join(format!("regrow-peers-{}", std::process::id()));
    std::fs::create_dir_all(&folder).ok()?;
    std::fs::write(folder.join("peers.erl"), SOURCE).ok()?;
    let compiled = Command::new("erlc").arg("peers.erl").current_dir(&folder).status();
    match compiled {
        Ok(status) if status.success() => Some(Beam(folder)),
        Ok(status) => {
            eprintln!("erlc failed ({status}); the BEAM is left out");
            None
        }
        Err(error) => {
            eprintln!("erlc can't be started ({error}); the BEAM is left out");
            None
        }
    }
}

impl Beam {
    /// The command that prints the figures of a row.
    pub(crate) fn command(&self, row: &str, size: usize) -> Command {
        let mut command = Command::new("erl");
        command.args(["-noshell", "+S", "2:2", "+P", "5000000", "-pa"]).arg(&self.0);
        command.args(["-run", "peers", "main", row, &size.to_string()]);
        command
    }
}

impl Drop for Beam {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
