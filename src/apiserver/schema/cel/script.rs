//! Expressions apart from schemas, over values that have names.

use std::{collections::HashMap, sync::Arc};

use kube_cel::cel::{
    Value as CelValue,
    objects::{Key, Map as CelMap},
    parser::Expression,
};
use serde_json::Value;

use super::{
    evaluate::{BUDGET, FUNCTIONS, describe, resolve, said},
    rule::parse,
    types,
    uses::Uses,
    value::Converter,
};

/// A parsed expression.
#[derive(Debug)]
pub(crate) struct Script {
    expression: Expression,
    uses: Uses,
}

impl Script {
    /// Parses.
    ///
    /// # Errors
    /// What the parser says.
    pub(crate) fn parse(source: &str) -> Result<Script, String> {
        let expression = parse(source)?;
        let uses = Uses::of(&expression);
        Ok(Script { expression, uses })
    }
}

/// What expressions may name.
#[derive(Default)]
pub(crate) struct Scope {
    values: HashMap<String, CelValue>,
    /// What could not be made, and why.
    unmade: HashMap<String, String>,
    longest: u64,
    longest_text: u64,
}

impl Scope {
    /// Gives a value a name.
    pub(crate) fn set(&mut self, name: &str, value: &Value) {
        let mut converter = Converter { context: &FUNCTIONS, longest: 1, longest_text: 0 };
        let converted = converter.any(value);
        self.longest = self.longest.max(converter.longest);
        self.longest_text = self.longest_text.max(converter.longest_text);
        self.values.insert(name.to_owned(), converted);
    }

    /// Gives what expressions make of the others names within `name`, in their order. One that cannot be evaluated is
    /// not there.
    pub(crate) fn set_made(&mut self, name: &str, scripts: &[(String, Result<Script, String>)]) {
        let mut made: HashMap<Key, CelValue> = HashMap::new();
        for (field, script) in scripts {
            let map = CelValue::Map(CelMap { map: Arc::new(made.clone()) });
            self.values.insert(name.to_owned(), map);
            match script.as_ref().map_err(String::clone).and_then(|s| self.value(s)) {
                Ok(value) => {
                    made.insert(Key::String(Arc::new(field.clone())), value);
                }
                Err(why) => {
                    let why = format!("composited variable \"{field}\" fails to evaluate: {why}");
                    self.unmade.insert(format!("no such key: {field}"), why);
                }
            }
        }
        self.values.insert(name.to_owned(), CelValue::Map(CelMap { map: Arc::new(made) }));
    }

    /// Whether an expression holds.
    ///
    /// # Errors
    /// Why that cannot be said.
    pub(crate) fn holds(&self, script: &Script) -> Result<bool, String> {
        match self.value(script)? {
            CelValue::Bool(holds) => Ok(holds),
            _ => Err("must evaluate to bool".to_owned()),
        }
    }

    /// What an expression says, when it says something fit to print.
    pub(crate) fn says(&self, script: &Script) -> Option<String> {
        said(self.value(script).ok()?)
    }

    fn value(&self, script: &Script) -> Result<CelValue, String> {
        let mut longest = self.longest.max(1);
        if script.uses.makes_lists {
            longest = longest.max(self.longest_text).max(types::MAX_RANGE.unsigned_abs());
        }
        let steps = longest.saturating_pow(script.uses.loops).saturating_mul(script.uses.size);
        if steps > BUDGET {
            return Err("operation cancelled: actual cost limit exceeded".to_owned());
        }
        let mut scope = FUNCTIONS.new_inner_scope();
        for (name, value) in &self.values {
            scope.add_variable_from_value(name.as_str(), value.clone());
        }
        resolve(&script.expression, &scope).map_err(|error| {
            let why = describe(&error);
            self.unmade.get(&why).cloned().unwrap_or(why)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_name_values_and_each_other() {
        let mut scope = Scope::default();
        scope.set("object", &json!({"spec": {"replicas": 3}}));
        let parsed = |name: &str, source: &str| (name.to_owned(), Script::parse(source));
        scope.set_made(
            "variables",
            &[
                parsed("replicas", "object.spec.replicas"),
                parsed("odd", "variables.replicas % 2 == 1"),
                parsed("none", "object.spec.nothing"),
            ],
        );
        let holds = |source: &str| scope.holds(&Script::parse(source).unwrap());
        assert_eq!(holds("variables.odd && variables.replicas > 1"), Ok(true));
        assert_eq!(holds("object.spec.replicas > 5"), Ok(false));
        let why = "composited variable \"none\" fails to evaluate: no such key: nothing";
        assert_eq!(holds("variables.none > 1"), Err(why.to_owned()));
        assert!(holds("object.spec.replicas").is_err());
        let says = |source: &str| scope.says(&Script::parse(source).unwrap());
        assert_eq!(says("'got ' + string(object.spec.replicas)").as_deref(), Some("got 3"));
        assert_eq!(says("'got ' + object.spec.replicas"), None);
        assert!(Script::parse("object.").is_err());
    }
}
