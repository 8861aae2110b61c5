//! Keys that nothing reads.
//!
//! serde refuses unknown fields of a struct, but not beside the variants of an enumeration that have none
//! (`kind = "halved-each-epoch"` with a `warmup`). So what was read is written again, and every key of the file must come back.

use toml::{Table, Value};

/// The first key of `given` that does not occur in `understood`, with its path: `schedule.warmup`.
pub(crate) fn unknown_key(given: &str, understood: &str) -> Option<String> {
    let (given, understood) = (toml::from_str(given).ok()?, toml::from_str(understood).ok()?);
    missing(&given, &understood, "")
}

fn missing(given: &Table, understood: &Table, path: &str) -> Option<String> {
    given.iter().find_map(|(key, value)| {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        match (value, understood.get(key)) {
            (_, None) => Some(path),
            (Value::Table(given), Some(Value::Table(understood))) => missing(given, understood, &path),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_key_and_its_path() {
        let understood = "a = 1\n[b]\nkind = 'x'\n";
        assert_eq!(unknown_key("a = 2\n", understood), None);
        assert_eq!(unknown_key("c = 2\n", understood).as_deref(), Some("c"));
        let inner = unknown_key("[b]\nkind = 'y'\nwarmup = 0.1\n", understood);
        assert_eq!(inner.as_deref(), Some("b.warmup"));
    }
}
