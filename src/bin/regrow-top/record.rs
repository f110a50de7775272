//! Recordings: files with all items and errors that arrived from a program.
//!
//! The first line is a header. Each further line is an object with `at_ms`, the milliseconds since
//! the start of the recording, and one of these fields:
//! * `item`: the item, as the program sent it
//! * `gone`: the pid of a process that had ended when its details were requested
//! * `connected`: `true`
//! * `lost`: why the connection was lost

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::clock::time_of_day_ms;
use crate::source::News;

/// The version of the file format.
const VERSION: u64 = 1;

/// A recording that is written.
#[derive(Debug)]
pub(crate) struct Recorder {
    file: File,
    path: PathBuf,
    begin: Instant,
}

impl Recorder {
    /// Begins a recording in a new file. Returns an error if the file exists, because the file may
    /// be another recording.
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

    /// Adds a line for this report of the source.
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
    /// The offset of the line in the file.
    begin: u64,
    length: usize,
}

/// A recording that is read. The lines stay in the file, because a recording may be larger than the
/// memory: only the offset and the length of each line are kept.
#[derive(Debug)]
pub(crate) struct Recording {
    file: File,
    pub(crate) moments: Vec<Moment>,
    pub(crate) url: String,
    /// The time of the first line, in milliseconds since 1970.
    pub(crate) time_ms: u64,
    /// Describes the damaged lines: the number of the first one, the reason, and how many more
    /// there are. `None` if all lines can be read.
    pub(crate) damage: Option<String>,
}

impl Recording {
    /// Opens a recording. Damaged lines are left out, and described in `damage`.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("can't read {}: {error}", path.display());
        let file = File::open(path).map_err(failed)?;
        let mut lines = Lines::new(&file);
        let no_recording = |why: String| format!("{}: {why}", path.display());
        let first = lines.next().transpose().map_err(failed)?.map(|(_, line)| line);
        let header = header(first.as_deref().unwrap_or_default()).map_err(no_recording)?;
        let (mut moments, mut damaged) = (Vec::new(), Vec::new());
        for (line, number) in lines.zip(2..) {
            let (begin, line) = line.map_err(failed)?;
            match moment(&line) {
                _ if line.trim_ascii().is_empty() => {}
                Ok((at_ms, _)) => moments.push(Moment { at_ms, begin, length: line.len() }),
                Err(why) => damaged.push((number, why)),
            }
        }
        if moments.is_empty() {
            return Err(no_recording(match damaged.first() {
                Some((line, why)) => {
                    format!("no further line can be read: line {line} is damaged ({why})")
                }
                None => "the recording has no items".into(),
            }));
        }
        let url = header["url"].as_str().unwrap_or_default().to_owned();
        let time_ms = header["time_ms"].as_u64().unwrap_or(0);
        Ok(Recording { moments, url, time_ms, damage: describe(&damaged), file })
    }

    /// Reads the report of a moment. Returns `None` if the file has changed since the recording was
    /// opened.
    pub(crate) fn news(&self, at: usize) -> Option<News> {
        let Moment { begin, length, .. } = self.moments.get(at)?;
        let (mut file, mut line) = (&self.file, vec![0; *length]);
        file.seek(SeekFrom::Start(*begin)).and_then(|_| file.read_exact(&mut line)).ok()?;
        moment(&line).ok().map(|(_, news)| news)
    }

    pub(crate) fn length_ms(&self) -> u64 {
        self.moments.last().map_or(0, |last| last.at_ms)
    }
}

/// The lines of a file, each with its offset.
struct Lines<'a> {
    reader: BufReader<&'a File>,
    at: u64,
}

impl<'a> Lines<'a> {
    fn new(file: &'a File) -> Self {
        Lines { reader: BufReader::with_capacity(1 << 16, file), at: 0 }
    }
}

impl Iterator for Lines<'_> {
    type Item = io::Result<(u64, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let (begin, mut line) = (self.at, Vec::new());
        match self.reader.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(length) => {
                self.at += length as u64;
                Some(Ok((begin, line)))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// Reads the first line.
fn header(line: &[u8]) -> Result<Value, String> {
    let header: Value = serde_json::from_slice(line).unwrap_or_default();
    match header["regrow_top"].as_u64() {
        Some(VERSION) => Ok(header),
        Some(version) => Err(format!("line 1: the recording has version {version}, not {VERSION}")),
        None => Err("line 1 is not the header of a recording of regrow-top".into()),
    }
}

/// Reads a line.
fn moment(line: &[u8]) -> Result<(u64, News), String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
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
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Opens a recording of this text.
    fn read(text: &[u8]) -> Result<Recording, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("regrow-top-read-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        let recording = Recording::open(&path);
        std::fs::remove_file(&path).unwrap();
        recording
    }

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
        let text = format!("{HEADER}{good}{good}{{\"at_ms\":2,\"it");
        let recording = read(text.as_bytes()).unwrap();
        assert_eq!(recording.moments.len(), 2);
        let damage = recording.damage.unwrap();
        assert!(damage.starts_with("line 4 of the recording is damaged: EOF"), "{damage}");
        // A line that is not UTF-8 does not affect the other lines.
        let text = [HEADER.as_bytes(), b"\xff\n", good.as_bytes(), b"{}\n"].concat();
        let recording = read(&text).unwrap();
        let damage = recording.damage.as_deref().unwrap();
        assert!(damage.starts_with("line 2 of the recording and 1 more are damaged"), "{damage}");
        assert_eq!(recording.news(0), Some(News::Item("{}".into())));
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
            let error = read(text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
