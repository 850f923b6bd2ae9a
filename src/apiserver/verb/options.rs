//! Query parameters of writes.

use serde_json::Value;

use super::Call;
use crate::apiserver::{failure::Failure, schema::FieldError};

/// What to do about fields that nobody knows (`fieldValidation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldValidation {
    /// Drop them silently.
    Ignore,
    /// Drop them and tell.
    Warn,
    /// Refuse.
    Strict,
}

/// How a write is to be done.
#[derive(Debug, Clone)]
pub(super) struct WriteOptions {
    /// Do everything but store.
    pub dry_run: bool,
    /// Who owns what the write changes.
    pub manager: String,
    /// What to do about unknown fields.
    pub validation: FieldValidation,
}

/// Whether these words ask for a dry run.
pub(super) fn is_dry(words: &[Value], errors: &mut Vec<FieldError>) -> bool {
    if words.iter().any(|word| word != "All") {
        let words = Value::from(words);
        errors.push(FieldError::not_supported("dryRun", &words, &["All".to_owned()]));
    }
    !words.is_empty()
}

/// Bytes of a manager's name at most (`metav1/validation.FieldManagerMaxLength`).
const MAX_MANAGER: usize = 128;

impl Call {
    /// Reads the options of a create, update or patch. `kind` names them in errors (`CreateOptions`).
    pub(super) fn write_options(&self, kind: &str) -> Result<WriteOptions, Failure> {
        let mut errors = Vec::new();
        let validation = match self.query.get("fieldValidation") {
            Some("Ignore") => FieldValidation::Ignore,
            Some("Warn") | None => FieldValidation::Warn,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                let supported = ["", "Ignore", "Strict", "Warn"].map(str::to_owned);
                errors.push(FieldError::not_supported(
                    "fieldValidation",
                    &other.into(),
                    &supported,
                ));
                FieldValidation::Warn
            }
        };
        let named = self.query.get("fieldManager");
        if let Some(name) = named {
            if name.len() > MAX_MANAGER {
                errors.push(FieldError::too_long("fieldManager", MAX_MANAGER as u64));
            }
            let control = name.char_indices().find(|(_, c)| c.is_control());
            if let Some((at, c)) = control {
                let text = format!("invalid character U+{:04X} (at position {at})", u32::from(c));
                errors.push(FieldError::invalid("fieldManager", &name.into(), &text));
            }
        }
        let dry_run = self.dry_run(&mut errors);
        if !errors.is_empty() {
            return Err(Failure::invalid_options(kind, &errors));
        }
        let manager = named.map_or_else(|| self.manager_of_user_agent(), str::to_owned);
        Ok(WriteOptions { dry_run, manager, validation })
    }

    /// Whether `dryRun=All` was asked for.
    pub(super) fn dry_run(&self, errors: &mut Vec<FieldError>) -> bool {
        let words: Vec<Value> =
            self.query.all("dryRun").filter(|word| !word.is_empty()).map(Value::from).collect();
        is_dry(&words, errors)
    }

    /// The program's name in `User-Agent`, which owns fields when no manager is named.
    fn manager_of_user_agent(&self) -> String {
        let program = self.user_agent.split('/').next().unwrap_or_default();
        let mut name: String = program.chars().filter(|c| !c.is_control()).collect();
        while name.len() > MAX_MANAGER {
            name.pop();
        }
        if name.is_empty() { "unknown".to_owned() } else { name }
    }
}
