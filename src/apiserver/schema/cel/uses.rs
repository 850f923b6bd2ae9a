//! What a rule reads of `self` and `oldSelf`, so that nothing else has to be converted.

use std::collections::BTreeMap;

use kube_cel::cel::{
    common::ast::{EntryExpr, Expr},
    parser::Expression,
};

use super::field_name::unescape;
use crate::apiserver::schema::node::Node;

/// The part of a value that is read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// All of it.
    pub(super) whole: bool,
    /// These fields, under their names in CEL.
    pub(super) fields: BTreeMap<String, Part>,
}

impl Part {
    pub(super) fn is_used(&self) -> bool {
        self.whole || !self.fields.is_empty()
    }

    fn add(&mut self, path: &[&str]) {
        match path.split_first() {
            None => self.whole = true,
            Some((first, rest)) => self.fields.entry((*first).to_owned()).or_default().add(rest),
        }
    }

    /// The first field read that `node` does not declare. Only objects with declared fields are judged.
    pub(super) fn undeclared(&self, node: &Node) -> Option<String> {
        if node.properties.is_empty() || node.preserve_unknown || node.additional.is_some() {
            return None;
        }
        self.fields.iter().find_map(|(name, part)| match node.properties.get(&unescape(name)) {
            None => Some(name.clone()),
            Some(below) => part.undeclared(below),
        })
    }
}

/// Functions that make lists out of texts and numbers.
const LIST_MAKERS: [&str; 3] = ["range", "split", "findAll"];

/// What an expression reads, and how much work it can be.
#[derive(Debug, Default, Clone)]
pub(super) struct Uses {
    pub(super) self_: Part,
    pub(super) old_self: Part,
    /// How many nodes the expression has.
    pub(super) size: u64,
    /// How deep its comprehensions (`all`, `exists`, `map`, …) nest.
    pub(super) loops: u32,
    /// It calls functions that make lists out of texts and numbers, which can be longer than any list it reads.
    pub(super) makes_lists: bool,
}

impl Uses {
    pub(super) fn of(expression: &Expression) -> Uses {
        let mut uses = Uses::default();
        uses.add(expression);
        uses
    }

    pub(super) fn add(&mut self, expression: &Expression) {
        self.walk(&expression.expr, 0);
    }

    fn walk(&mut self, expr: &Expr, loops: u32) {
        self.size += 1;
        self.loops = self.loops.max(loops);
        match expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(_) | Expr::Select(_) => self.reference(expr, loops),
            Expr::Call(call) => {
                self.makes_lists |= LIST_MAKERS.iter().any(|f| call.func_name.ends_with(f));
                if let Some(target) = &call.target {
                    self.walk(&target.expr, loops);
                }
                call.args.iter().for_each(|arg| self.walk(&arg.expr, loops));
            }
            Expr::List(list) => list.elements.iter().for_each(|e| self.walk(&e.expr, loops)),
            Expr::Map(map) => map.entries.iter().for_each(|e| self.entry(&e.expr, loops)),
            Expr::Struct(of) => of.entries.iter().for_each(|e| self.entry(&e.expr, loops)),
            Expr::Comprehension(of) => {
                self.walk(&of.iter_range.expr, loops);
                self.walk(&of.accu_init.expr, loops);
                self.walk(&of.loop_cond.expr, loops + 1);
                self.walk(&of.loop_step.expr, loops + 1);
                self.walk(&of.result.expr, loops);
            }
        }
    }

    fn entry(&mut self, entry: &EntryExpr, loops: u32) {
        match entry {
            EntryExpr::StructField(field) => self.walk(&field.value.expr, loops),
            EntryExpr::MapEntry(entry) => {
                self.walk(&entry.key.expr, loops);
                self.walk(&entry.value.expr, loops);
            }
        }
    }

    /// A chain of selections, down to what it starts from.
    fn reference(&mut self, expr: &Expr, loops: u32) {
        let mut fields = Vec::new();
        let mut start = expr;
        while let Expr::Select(select) = start {
            fields.push(select.field.as_str());
            start = &select.operand.expr;
        }
        fields.reverse();
        match start {
            Expr::Ident(name) if name == "self" => self.self_.add(&fields),
            Expr::Ident(name) if name == "oldSelf" => self.old_self.add(&fields),
            Expr::Ident(_) => {}
            other => self.walk(other, loops),
        }
    }
}

#[cfg(test)]
mod tests {
    use kube_cel::cel::parser::Parser;

    use super::*;

    fn uses(source: &str) -> Uses {
        Uses::of(&Parser::new().parse(source).unwrap())
    }

    #[test]
    fn reads_only_named_fields() {
        let found = uses("size(self.metadata.name) < 64 && has(self.spec) && oldSelf.spec.a == 1");
        let names = |part: &Part| part.fields.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&found.self_), ["metadata", "spec"]);
        assert_eq!(names(&found.self_.fields["metadata"]), ["name"]);
        assert!(!found.self_.whole && found.self_.fields["spec"].whole);
        assert!(found.old_self.fields["spec"].fields["a"].whole);
    }

    #[test]
    fn a_bare_self_is_read_whole_and_loops_count() {
        assert!(uses("self == oldSelf").self_.whole);
        let nested = uses("self.a.all(x, self.b.exists(y, x == y))");
        assert_eq!(nested.loops, 2);
        assert!(nested.self_.fields["b"].whole && !nested.self_.whole);
        assert_eq!(uses("self.a[0].b == 1").loops, 0);
    }
}
