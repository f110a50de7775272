//! The command line.

use crate::rows::{ROWS, Row, SYSTEMS};

pub(crate) struct Options {
    pub(crate) scale: f64,
    pub(crate) rounds: usize,
    rows: Vec<String>,
    systems: Vec<String>,
}

impl Options {
    /// # Errors
    ///
    /// A sentence that names the argument and says what is expected.
    pub(crate) fn parse(args: &[String]) -> Result<Options, String> {
        let mut options = Options { scale: 1.0, rounds: 3, rows: Vec::new(), systems: Vec::new() };
        let mut args = args.iter();
        while let Some(name) = args.next() {
            let value = args.next().ok_or(format!("`{name}` needs a value"))?;
            let bad = || format!("`{name} {value}` is no positive number");
            match name.as_str() {
                "--scale" => {
                    options.scale = value.parse().map_err(|_| bad())?;
                    if options.scale <= 0.0 {
                        return Err(bad());
                    }
                }
                "--rounds" => {
                    options.rounds = value.parse().map_err(|_| bad())?;
                    if options.rounds == 0 {
                        return Err(bad());
                    }
                }
                "--rows" => {
                    options.rows = words(value, &ROWS.iter().map(|r| r.key).collect::<Vec<_>>())?
                }
                "--systems" => options.systems = words(value, &SYSTEMS)?,
                _ => {
                    return Err(format!(
                        "`{name}` is unknown: use --scale, --rounds, --rows, --systems"
                    ));
                }
            }
        }
        Ok(options)
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = &'static Row> {
        let asked = |row: &&Row| self.rows.is_empty() || self.rows.iter().any(|key| key == row.key);
        ROWS.iter().filter(asked)
    }

    pub(crate) fn includes(&self, system: &str) -> bool {
        self.systems.is_empty() || self.systems.iter().any(|asked| asked == system)
    }
}

fn words(value: &str, known: &[&str]) -> Result<Vec<String>, String> {
    let words: Vec<String> = value.split(',').map(String::from).collect();
    match words.iter().find(|word| !known.contains(&word.as_str())) {
        Some(word) => Err(format!("`{word}` is unknown: use one of {}", known.join(", "))),
        None => Ok(words),
    }
}
