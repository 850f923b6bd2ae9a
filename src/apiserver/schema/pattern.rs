//! Patterns of schemas. The same few come again and again: in every version of a definition, when it is checked and when it is
//! served, and in definition after definition of one author. Each is compiled once.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use regex::{Error, Regex, RegexBuilder};

/// So many patterns are remembered.
const MAX_REMEMBERED: usize = 1_000;

/// Bounds what one hostile definition can make us hold.
const MAX_SIZE: usize = 1 << 20;

static REMEMBERED: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);

/// Compiles a pattern. Kubernetes' are Go's RE2, whose syntax the `regex` crate shares; `\Z`-like rarities aside.
pub(super) fn compile(text: &str) -> Result<Regex, Error> {
    let remembered = || REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = remembered().get(text) {
        return Ok(found.clone());
    }
    let made = RegexBuilder::new(text).unicode(true).size_limit(MAX_SIZE).build()?;
    let mut all = remembered();
    if all.len() >= MAX_REMEMBERED {
        all.clear();
    }
    all.insert(text.to_owned(), made.clone());
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_remembered_but_not_without_end() {
        for number in 0..=2 * MAX_REMEMBERED {
            assert!(compile(&format!("^a{number}$")).unwrap().is_match(&format!("a{number}")));
        }
        assert!(REMEMBERED.lock().unwrap().len() <= MAX_REMEMBERED);
        assert!(compile("(").is_err());
        assert!(compile("(").is_err(), "again");
    }
}
