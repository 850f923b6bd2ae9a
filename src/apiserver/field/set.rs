//! Sets of fields, as tries (`FieldsV1`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::element::Element;

/// How deep a stored set may nest: as deep as JSON that was parsed.
const MAX_DEPTH: usize = 128;

/// A set of field paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Set {
    entries: BTreeMap<Element, Entry>,
}

/// Never without a purpose: a member, or with something below.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Entry {
    member: bool,
    below: Set,
}

impl Set {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds one path. The empty path, the whole object, is no member of any set.
    pub(crate) fn insert(&mut self, path: &[Element]) {
        let Some((last, above)) = path.split_last() else { return };
        let mut at = self;
        for element in above {
            at = &mut at.entries.entry(element.clone()).or_default().below;
        }
        at.entries.entry(last.clone()).or_default().member = true;
    }

    /// Whether the path of this one element is a member.
    pub(crate) fn has(&self, element: &Element) -> bool {
        self.entries.get(element).is_some_and(|e| e.member)
    }

    /// Whether `path` is a member.
    pub(crate) fn has_path(&self, path: &[Element]) -> bool {
        match path {
            [] => false,
            [last] => self.has(last),
            [first, rest @ ..] => self.below(first).is_some_and(|below| below.has_path(rest)),
        }
    }

    /// The set below an element, when there is anything.
    pub(crate) fn below(&self, element: &Element) -> Option<&Set> {
        self.entries.get(element).map(|e| &e.below).filter(|below| !below.is_empty())
    }

    /// The members of both together.
    pub(crate) fn union(&self, other: &Set) -> Set {
        let mut out = self.clone();
        out.add(other);
        out
    }

    /// Adds the members of `other`.
    pub(crate) fn add(&mut self, other: &Set) {
        for (element, entry) in &other.entries {
            match self.entries.get_mut(element) {
                None => {
                    self.entries.insert(element.clone(), entry.clone());
                }
                Some(own) => {
                    own.member |= entry.member;
                    own.below.add(&entry.below);
                }
            }
        }
    }

    /// The members that are in both.
    pub(crate) fn intersection(&self, other: &Set) -> Set {
        self.filtered(|element, entry| {
            let theirs = other.entries.get(element)?;
            Some(Entry {
                member: entry.member && theirs.member,
                below: entry.below.intersection(&theirs.below),
            })
        })
    }

    /// The members that are not in `other`.
    pub(crate) fn difference(&self, other: &Set) -> Set {
        self.filtered(|element, entry| match other.entries.get(element) {
            None => Some(entry.clone()),
            Some(theirs) => Some(Entry {
                member: entry.member && !theirs.member,
                below: entry.below.difference(&theirs.below),
            }),
        })
    }

    /// The members whose first element is one that `keep` wants.
    pub(crate) fn only(&self, keep: impl Fn(&Element) -> bool) -> Set {
        self.filtered(|element, entry| keep(element).then(|| entry.clone()))
    }

    fn filtered(&self, map: impl Fn(&Element, &Entry) -> Option<Entry>) -> Set {
        let entries = self
            .entries
            .iter()
            .filter_map(|(element, entry)| Some((element, map(element, entry)?)))
            .filter(|(_, entry)| entry.member || !entry.below.is_empty())
            .map(|(element, entry)| (element.clone(), entry))
            .collect();
        Set { entries }
    }

    /// The elements at the top with what is below them, and whether they are members.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Element, bool, &Set)> {
        self.entries.iter().map(|(element, entry)| (element, entry.member, &entry.below))
    }

    /// Puts together a set from what [`Set::iter`] gives.
    pub(crate) fn from_entries(entries: impl Iterator<Item = (Element, bool, Set)>) -> Set {
        let entries = entries
            .filter(|(_, member, below)| *member || !below.is_empty())
            .map(|(element, member, below)| (element, Entry { member, below }))
            .collect();
        Set { entries }
    }

    /// All members, each as a full path: at each place first those that end there, then what is below, as upstream
    /// lists them.
    pub(crate) fn paths(&self) -> Vec<Vec<Element>> {
        fn walk(set: &Set, path: &mut Vec<Element>, out: &mut Vec<Vec<Element>>) {
            for (element, _) in set.entries.iter().filter(|(_, entry)| entry.member) {
                out.push(path.iter().chain([element]).cloned().collect());
            }
            for (element, entry) in &set.entries {
                path.push(element.clone());
                walk(&entry.below, path, out);
                path.pop();
            }
        }
        let mut out = Vec::new();
        walk(self, &mut Vec::new(), &mut out);
        out
    }

    /// The `FieldsV1` form.
    pub(crate) fn to_json(&self) -> Value {
        let fields = self.entries.iter().map(|(element, entry)| {
            let mut below = entry.below.to_json();
            if let (Value::Object(map), true, false) =
                (&mut below, entry.member, entry.below.is_empty())
            {
                map.insert(".".to_owned(), Value::Object(Map::new()));
            }
            (element.serialize(), below)
        });
        Value::Object(fields.collect())
    }

    /// Reads the `FieldsV1` form. None when it is malformed.
    pub(crate) fn from_json(fields: &Value) -> Option<Set> {
        Self::read(fields, 0)
    }

    fn read(fields: &Value, depth: usize) -> Option<Set> {
        if depth > MAX_DEPTH {
            return None;
        }
        let mut set = Set::default();
        for (key, below) in fields.as_object()? {
            if key == "." {
                continue;
            }
            let element = Element::parse(key)?;
            let entry = Entry {
                member: below.get(".").is_some() || below.as_object()?.is_empty(),
                below: Self::read(below, depth + 1)?,
            };
            // Two spellings of one element, such as `v:1` and `v:1.0`, are one.
            let own = set.entries.entry(element).or_default();
            own.member |= entry.member;
            own.below.add(&entry.below);
        }
        set.entries.retain(|_, entry| entry.member || !entry.below.is_empty());
        Some(set)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::apiserver::testing::any_json;

    fn set(fields: Value) -> Set {
        Set::from_json(&fields).unwrap()
    }

    pub(crate) fn any_set() -> impl Strategy<Value = Set> {
        let element = prop_oneof![
            "[ab]".prop_map(Element::Field),
            "[ab]".prop_map(|v| Element::Value(super::super::element::Scalar::String(v))),
            (0_i64..2).prop_map(|n| Element::Key(vec![(
                "k".to_owned(),
                super::super::element::Scalar::Number(n.into())
            )])),
        ];
        prop::collection::vec(prop::collection::vec(element, 1..4), 0..6).prop_map(|paths| {
            let mut set = Set::default();
            paths.iter().for_each(|path| set.insert(path));
            set
        })
    }

    #[test]
    fn sets_have_their_operations() {
        let a = set(json!({"f:a": {".": {}, "f:b": {}}, "f:c": {"k:{\"n\":1}": {}}}));
        let b = set(json!({"f:a": {"f:b": {}}, "f:c": {}}));
        assert_eq!(a.intersection(&b), set(json!({"f:a": {"f:b": {}}})));
        assert_eq!(a.difference(&b), set(json!({"f:a": {}, "f:c": {"k:{\"n\":1}": {}}})));
        assert_eq!(
            a.union(&b).to_json(),
            json!({"f:a": {".": {}, "f:b": {}}, "f:c": {".": {}, "k:{\"n\":1}": {}}})
        );
        let paths: Vec<String> =
            a.paths().iter().map(|p| p.iter().map(ToString::to_string).collect()).collect();
        assert_eq!(paths, [".a", ".a.b", ".c[n=1]"]);
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for fields in
            [json!([]), json!({"x": {}}), json!({"f:a": 1}), json!({"k:1": {}}), json!({"v:": {}})]
        {
            assert_eq!(Set::from_json(&fields), None, "{fields}");
        }
    }

    proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn sets_come_back_from_json(set in any_set()) {
            prop_assert_eq!(Set::from_json(&set.to_json()), Some(set));
        }

        #[test]
        fn sets_obey_the_laws(a in any_set(), b in any_set()) {
            prop_assert_eq!(a.difference(&b).union(&a.intersection(&b)), a.clone());
            prop_assert_eq!(a.union(&b), b.union(&a));
            prop_assert!(a.difference(&b).intersection(&b).is_empty());
            for path in a.paths() {
                prop_assert!(a.has_path(&path) && a.union(&b).has_path(&path));
                prop_assert_eq!(a.intersection(&b).has_path(&path), b.has_path(&path));
            }
        }

        #[test]
        fn nothing_panics(fields in any_json()) {
            let _ = Set::from_json(&fields);
        }
    }
}
