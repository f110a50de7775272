//! Decodes server-sent events from the bytes of a response.

/// The longest event that is accepted, in bytes. A picture of some hundred thousand processes fits.
const LONGEST: usize = 256 << 20;

/// Collects the parts of a response until an event is complete.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The bytes of a line whose end has not arrived.
    line: Vec<u8>,
    data: String,
}

impl Decoder {
    /// Adds the next bytes. Returns the data of the events that these bytes complete. Returns an
    /// error if an event is too long.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut events = Vec::new();
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            self.take(line.trim_end_matches('\r'), &mut events);
        }
        self.line.extend_from_slice(bytes);
        match self.line.len() + self.data.len() <= LONGEST {
            true => Ok(events),
            false => Err(format!("an event is longer than {} MiB", LONGEST >> 20)),
        }
    }

    fn take(&mut self, line: &str, events: &mut Vec<String>) {
        if line.is_empty() {
            if !self.data.is_empty() {
                events.push(std::mem::take(&mut self.data));
            }
        } else if let Some(data) = line.strip_prefix("data:") {
            if !self.data.is_empty() {
                self.data.push(' '); // a line break within JSON is a space
            }
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_complete_wherever_the_bytes_are_split() {
        let text =
            ": a comment\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nid: 3\ndata:{\"é\":2}\n\ndata: {";
        for size in 1..text.len() {
            let mut decoder = Decoder::default();
            let parts = text.as_bytes().chunks(size);
            let events: Vec<_> = parts.flat_map(|part| decoder.push(part).unwrap()).collect();
            assert_eq!(events, ["{\"a\": 1}", "{\"é\":2}"], "in parts of {size}");
        }
    }
}
