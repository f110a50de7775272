//! Recordings: what has arrived, in a file.
//!
//! The first line is a header. Each further line is an object with `at_ms`, the milliseconds since
//! the begin of the recording, and one of `item`, as it came, `gone`, the pid of a process that had
//! ended when its details were asked for, `connected`, and `lost`, why the program was not reached
//! any more.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::clock::time_of_day_ms;
use crate::source::News;

/// The version of the form of recordings.
const VERSION: u64 = 1;

/// A recording that is written.
#[derive(Debug)]
pub(crate) struct Recorder {
    file: File,
    path: PathBuf,
    begin: Instant,
}

impl Recorder {
    /// Begins a recording in a new file. An existing file is an error: it may be another recording.
    pub(crate) fn create(path: &Path, url: &str) -> Result<Self, String> {
        let failed = |error: io::Error| format!("can't record to {}: {error}", path.display());
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
        let mut recorder = Recorder { file, path: path.to_owned(), begin: Instant::now() };
        let header = json!({
            "regrow_top": VERSION, "time_ms": time_of_day_ms(), "url": url,
            "by": env!("CARGO_PKG_VERSION"),
        });
        recorder.file.write_all(format!("{header}\n").as_bytes()).map_err(failed)?;
        Ok(recorder)
    }

    /// Adds what has arrived.
    pub(crate) fn add(&mut self, news: &News) -> Result<(), String> {
        let at_ms = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (name, value) = match news {
            News::Item(item) => ("item", item.replace(['\n', '\r'], " ")),
            News::Gone(pid) => ("gone", pid.to_string()),
            News::Connected => ("connected", "true".to_owned()),
            News::Lost(why) => ("lost", json!(why).to_string()),
        };
        let line = format!("{{\"at_ms\":{at_ms},\"{name}\":{value}}}\n");
        let written = self.file.write_all(line.as_bytes());
        written.map_err(|error| format!("recording to {} ended: {error}", self.path.display()))
    }
}

/// A line of a recording.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) at_ms: u64,
    line: std::ops::Range<usize>,
}

/// A recording that was read.
#[derive(Debug)]
pub(crate) struct Recording {
    text: String,
    pub(crate) moments: Vec<Moment>,
    pub(crate) url: String,
    /// When it was made.
    pub(crate) time_ms: u64,
    /// Which lines can't be read, and why, if there are any.
    pub(crate) damage: Option<String>,
}

impl Recording {
    /// Reads a recording. Lines that are damaged are left out, and named in `damage`.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
        read.map_err(|error| format!("can't read {}: {error}", path.display()))?;
        // A damaged line may be no UTF-8. The others are kept as they are.
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        Recording::read(text).map_err(|why| format!("{}: {why}", path.display()))
    }

    fn read(text: String) -> Result<Self, String> {
        let header: Value = text
            .lines()
            .next()
            .and_then(|line| serde_json::from_str(line).ok())
            .ok_or("line 1 is not the header of a recording of regrow-top")?;
        match header["regrow_top"].as_u64() {
            Some(VERSION) => {}
            Some(version) => {
                return Err(format!("line 1: the recording has version {version}, not {VERSION}"));
            }
            None => return Err("line 1 is not the header of a recording of regrow-top".into()),
        }
        let (mut moments, mut damaged, mut at) = (Vec::new(), Vec::new(), 0);
        for (number, line) in text.split_inclusive('\n').enumerate() {
            let range = at..at + line.trim_end().len();
            at += line.len();
            match moment(line) {
                _ if number == 0 || line.trim().is_empty() => {}
                Ok((at_ms, _)) => moments.push(Moment { at_ms, line: range }),
                Err(why) => damaged.push((number + 1, why)),
            }
        }
        if moments.is_empty() {
            return Err(match damaged.first() {
                Some((line, why)) => {
                    format!("line {line} is damaged ({why}), and no other is there")
                }
                None => "the recording has no items".into(),
            });
        }
        let url = header["url"].as_str().unwrap_or_default().to_owned();
        let time_ms = header["time_ms"].as_u64().unwrap_or(0);
        Ok(Recording { moments, url, time_ms, damage: describe(&damaged), text })
    }

    /// Returns what arrived at a moment.
    pub(crate) fn news(&self, at: usize) -> Option<News> {
        let line = self.text.get(self.moments.get(at)?.line.clone())?;
        moment(line).ok().map(|(_, news)| news)
    }

    pub(crate) fn length_ms(&self) -> u64 {
        self.moments.last().map_or(0, |last| last.at_ms)
    }
}

/// Reads a line.
fn moment(line: &str) -> Result<(u64, News), String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let at_ms = value["at_ms"].as_u64().ok_or("it has no at_ms")?;
    let news = if value["item"].is_object() {
        News::Item(value["item"].to_string())
    } else if let Some(pid) = value["gone"].as_u64() {
        News::Gone(pid)
    } else if let Some(why) = value["lost"].as_str() {
        News::Lost(why.to_owned())
    } else if value["connected"].as_bool() == Some(true) {
        News::Connected
    } else {
        return Err("it has no item".into());
    };
    Ok((at_ms, news))
}

fn describe(damaged: &[(usize, String)]) -> Option<String> {
    let (line, why) = damaged.first()?;
    Some(match damaged.len() {
        1 => format!("line {line} of the recording is damaged: {why}"),
        more => format!("line {line} of the recording and {} more are damaged: {why}", more - 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "{\"regrow_top\":1,\"time_ms\":5,\"url\":\"http://h\"}\n";

    #[test]
    fn what_is_recorded_is_read_again() {
        let path = std::env::temp_dir().join(format!("regrow-top-record-{}", std::process::id()));
        let all = [
            News::Connected,
            News::Item("{\"a\":1}".into()),
            News::Gone(7),
            News::Lost("a \"reason\"\nof two lines".into()),
        ];
        let mut recorder = Recorder::create(&path, "http://h:1").unwrap();
        for news in &all {
            recorder.add(news).unwrap();
        }
        let again = Recorder::create(&path, "http://h:1").unwrap_err();
        let read = Recording::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(again.contains("can't record"), "{again}");
        let news: Vec<_> = (0..read.moments.len()).filter_map(|at| read.news(at)).collect();
        assert_eq!(news, all);
        assert_eq!((&*read.url, read.damage), ("http://h:1", None));
    }

    #[test]
    fn a_truncated_line_is_named_and_the_others_are_there() {
        let good = "{\"at_ms\":1,\"item\":{}}\n";
        let read = Recording::read(format!("{HEADER}{good}{good}{{\"at_ms\":2,\"it")).unwrap();
        assert_eq!(read.moments.len(), 2);
        assert!(
            read.damage.as_ref().unwrap().starts_with("line 4 of the recording is damaged: EOF")
        );
        let read = Recording::read(format!("{HEADER}x\n{good}{{}}\n")).unwrap();
        assert!(read.damage.unwrap().starts_with("line 2 of the recording and 1 more are damaged"));
    }

    #[test]
    fn a_file_that_is_no_recording_is_refused() {
        for (text, why) in [
            ("", "line 1 is not the header"),
            ("{}\n", "line 1 is not the header"),
            ("{\"regrow_top\":2}\n", "version 2"),
            (HEADER, "no items"),
            (&format!("{HEADER}x"), "line 2 is damaged"),
        ] {
            let error = Recording::read(text.to_owned()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
