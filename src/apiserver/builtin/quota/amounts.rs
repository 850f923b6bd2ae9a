//! Amounts by the name of what is counted.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::super::types::Quantity;

/// Amounts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Amounts(pub(super) BTreeMap<String, Quantity>);

impl Amounts {
    /// Reads an object of quantities.
    pub(super) fn read(value: Option<&Value>) -> Amounts {
        let entries = value.and_then(Value::as_object).into_iter().flatten();
        let amounts = entries.filter_map(|(name, amount)| {
            let text = amount.as_str().map_or_else(|| amount.to_string(), str::to_owned);
            Some((name.clone(), Quantity::read(&text)?))
        });
        Amounts(amounts.collect())
    }

    /// As an object of quantities.
    pub(super) fn write(&self) -> Value {
        let entries = self.0.iter().map(|(name, amount)| (name.clone(), amount.to_string().into()));
        Value::Object(entries.collect::<Map<String, Value>>())
    }

    /// Puts an amount in place of what was there.
    pub(super) fn put(&mut self, name: impl Into<String>, amount: Quantity) {
        self.0.insert(name.into(), amount);
    }

    /// Adds to what is there.
    pub(super) fn add(&mut self, other: &Amounts) {
        for (name, amount) in &other.0 {
            let slot = self.0.entry(name.clone()).or_insert_with(|| Quantity::of(0));
            *slot = slot.plus(*amount);
        }
    }

    /// Raises what is there to at least the other amounts.
    pub(super) fn raise(&mut self, other: &Amounts) {
        for (name, amount) in &other.0 {
            let slot = self.0.entry(name.clone()).or_insert(*amount);
            if slot.nano < amount.nano {
                *slot = *amount;
            }
        }
    }

    /// How much more there is than in the other one.
    pub(super) fn beyond(&self, other: &Amounts) -> Amounts {
        let more = self.0.iter().map(|(name, amount)| {
            let had = other.0.get(name).copied().unwrap_or_else(|| Quantity::of(0));
            (name.clone(), amount.minus(had))
        });
        Amounts(more.collect())
    }

    /// Only what another one has as well.
    pub(super) fn only(&self, names: &Amounts) -> Amounts {
        let kept = self.0.iter().filter(|(name, _)| names.0.contains_key(*name));
        Amounts(kept.map(|(name, amount)| (name.clone(), *amount)).collect())
    }

    /// Only what is more than nothing.
    pub(super) fn positive(&self) -> Amounts {
        let kept = self.0.iter().filter(|(_, amount)| amount.nano > 0);
        Amounts(kept.map(|(name, amount)| (name.clone(), *amount)).collect())
    }
}

/// `cpu=1,pods=2`.
impl std::fmt::Display for Amounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<String> =
            self.0.iter().map(|(name, amount)| format!("{name}={amount}")).collect();
        f.write_str(&parts.join(","))
    }
}
