//! Reads the fields of an item. A field that is absent or has an unexpected type is read as `None`,
//! `false` or an empty value. Such fields are no error, because another version of the program may
//! not send the field.

use serde_json::Value;

/// The fields of a JSON object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a Value);

impl<'a> Fields<'a> {
    pub(crate) fn get(self, name: &str) -> Option<Fields<'a>> {
        self.0.get(name).filter(|value| !value.is_null()).map(Fields)
    }

    pub(crate) fn str(self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str()
    }

    pub(crate) fn text(self, name: &str) -> String {
        self.str(name).unwrap_or_default().to_owned()
    }

    pub(crate) fn some_text(self, name: &str) -> Option<String> {
        self.str(name).map(str::to_owned)
    }

    pub(crate) fn number(self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    pub(crate) fn is(self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(crate) fn list(self, name: &str) -> impl Iterator<Item = Fields<'a>> {
        self.0.get(name).and_then(Value::as_array).into_iter().flatten().map(Fields)
    }

    pub(crate) fn numbers(self, name: &str) -> Vec<u64> {
        self.list(name).filter_map(|value| value.0.as_u64()).collect()
    }

    pub(crate) fn texts(self, name: &str) -> Vec<String> {
        self.list(name).filter_map(|value| value.0.as_str()).map(str::to_owned).collect()
    }
}
