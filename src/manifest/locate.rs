//! Where in a file a field stands: a second look, taken only when there is something to say about it.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

use super::{
    Limits, Place,
    decode::{options, text},
};

/// A value whose parts know their places.
struct Located {
    line: u64,
    column: u64,
    parts: Vec<(String, Located)>,
}

struct Parts(Vec<(String, Located)>);

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Parts>::deserialize(deserializer)?;
        let (line, column) = (spanned.referenced.line(), spanned.referenced.column());
        Ok(Self { line, column, parts: spanned.value.0 })
    }
}

impl<'de> Deserialize<'de> for Parts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        macro_rules! leaf {
            ($($method:ident: $type:ty),*) => {$(
                fn $method<E>(self, _: $type) -> Result<Parts, E> { Ok(Parts(Vec::new())) }
            )*};
        }
        impl<'de> Visitor<'de> for Any {
            type Value = Parts;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("anything")
            }

            leaf!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_i128: i128,
                visit_u128: u128, visit_f64: f64, visit_str: &str);

            fn visit_unit<E>(self) -> Result<Parts, E> {
                Ok(Parts(Vec::new()))
            }

            fn visit_none<E>(self) -> Result<Parts, E> {
                Ok(Parts(Vec::new()))
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Parts, D::Error> {
                inner.deserialize_any(self)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parts, A::Error> {
                let mut parts = Vec::new();
                // A field is pointed at by its key: that is what a person looks for.
                while let Some(key) = map.next_key::<Spanned<String>>()? {
                    let mut part = map.next_value::<Located>()?;
                    (part.line, part.column) = (key.referenced.line(), key.referenced.column());
                    parts.push((key.value, part));
                }
                Ok(Parts(parts))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Parts, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = list.next_element::<Located>()? {
                    parts.push((parts.len().to_string(), part));
                }
                Ok(Parts(parts))
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                inner: D,
            ) -> Result<Parts, D::Error> {
                inner.deserialize_any(self)
            }

            fn visit_bytes<E>(self, _: &[u8]) -> Result<Parts, E> {
                Ok(Parts(Vec::new()))
            }

            fn visit_enum<A: serde::de::EnumAccess<'de>>(self, data: A) -> Result<Parts, A::Error> {
                let _ = data.variant::<IgnoredAny>()?;
                Ok(Parts(Vec::new()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Returns the place of the field at `pointer` (RFC 6901) in document `number` of a file: of its key, or, when it is
/// not there, of the nearest field around it.
///
/// `start` is where the document begins: what is returned when the file cannot be read twice.
pub fn locate(start: &Place, bytes: &[u8], number: usize, pointer: &str) -> Place {
    let limits = Limits::default();
    let Some(documents) = text(&start.path, bytes).ok().and_then(|text| {
        serde_yaml::from_multiple_with_options::<Located>(text, options(&limits)).ok()
    }) else {
        return start.clone();
    };
    let Some(mut at) = documents.get(number) else { return start.clone() };
    let (mut line, mut column) = (at.line, at.column);
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let Some((_, part)) = at.parts.iter().find(|(name, _)| *name == step) else { break };
        at = part;
        (line, column) = (at.line, at.column);
    }
    if line == 0 { start.clone() } else { Place::new(start.path.clone(), line, column) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_pointer() {
        let file =
            "a: 1\n---\nkind: X\nspec:\n  stages:\n  - name: one\n  - name: Two\n    x/y: 2\n";
        let start = Place::new("f.yaml", 3, 1);
        for (pointer, want) in [
            ("/kind", "f.yaml:3:1"),
            ("/spec/stages/0/name", "f.yaml:6:5"),
            ("/spec/stages/1/name", "f.yaml:7:5"),
            ("/spec/stages/1/x~1y", "f.yaml:8:5"),
            ("/spec/stages/7/name", "f.yaml:5:3"),
            ("/nothing", "f.yaml:3:1"),
            ("", "f.yaml:3:1"),
        ] {
            assert_eq!(locate(&start, file.as_bytes(), 1, pointer).to_string(), want, "{pointer}");
        }
        assert_eq!(locate(&start, b"a: [", 0, "/a"), start);
        assert_eq!(locate(&start, b"a: 1", 4, "/a"), start);
    }
}
