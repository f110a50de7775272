//! Pids in JSON, which readers of JavaScript hold as floats: exact up to 2<sup>53</sup>.

use serde::ser::{Serialize, Serializer};

use crate::base::pid::Pid;

/// A pid that may belong to another node. One of this node is a number, below 2<sup>48</sup>; one of
/// another node is a text, as in logs without the `#`: `"3.17"`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PidValue(pub(crate) Pid);

impl Serialize for PidValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_foreign() {
            serializer.serialize_str(self.0.to_string().trim_start_matches('#'))
        } else {
            serializer.serialize_u64(self.0.raw())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PidValue;
    use crate::base::pid::Pid;

    #[test]
    fn a_pid_of_another_node_is_a_text_and_so_exact() {
        let json = |raw| serde_json::to_string(&PidValue(Pid::from_raw(raw))).unwrap();
        assert_eq!(json(17), "17");
        assert_eq!(json((1 << 48) - 1), "281474976710655");
        assert_eq!(json(3 << 48 | 17), "\"3.17\"");
        assert_eq!(json(u64::MAX), "\"65535.281474976710655\"");
    }
}
