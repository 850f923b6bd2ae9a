//! The fields of the built-in kinds, read from the text files beside this one.
//!
//! The files say what `k8s.io/api` says in Go, in a line for each field:
//!
//! ```text
//! package core/v1                                    # then `GROUP` where it is not the core group
//! kind Secret | What the kind is for                 # `kind` is served; `type` is part of others; then `atomic`
//!   2 data {bytes} | What the field is for           # NUMBER NAME SHAPE FLAGS | DESCRIPTION
//! ```
//!
//! NUMBER is the field's number in protobuf (0: none) and NAME its name in JSON, or `-` where the fields of a part stand
//! among those around it. SHAPE is a scalar, a type, `[SHAPE]` for a list or `{SHAPE}` for a map from text; a `*` before
//! it means that zero differs from absent (a pointer in Go). FLAGS:
//!
//! - `!` must not be empty; `?` is documented as required, but empty is accepted;
//! - `+` is written even when it is empty (no `omitempty` in Go);
//! - `atomic`, `set`, `map(KEYS)` tell how server-side apply owns a list (or, `atomic` alone, a map); `granular`, that it
//!   owns the parts of an atomic type here;
//! - `merge`, `merge(KEY)`, `replace`, `retainKeys` tell how strategic merge patch treats the field;
//! - `= TEXT` is a default that the API documents; `enum(A,B)` are the texts that are allowed.

use std::{collections::BTreeMap, sync::LazyLock};

/// What is known of one type.
#[derive(Debug)]
pub(in crate::apiserver::builtin) struct Type {
    pub(in crate::apiserver::builtin) package: &'static str,
    pub(in crate::apiserver::builtin) group: &'static str,
    pub(in crate::apiserver::builtin) name: &'static str,
    /// Whether it is a kind, with `apiVersion` and `kind`.
    pub(in crate::apiserver::builtin) is_kind: bool,
    /// Whether server-side apply owns it as a whole.
    pub(in crate::apiserver::builtin) atomic: bool,
    pub(in crate::apiserver::builtin) about: &'static str,
    pub(in crate::apiserver::builtin) fields: Vec<Field>,
}

/// What is known of one field.
#[derive(Debug)]
pub(in crate::apiserver::builtin) struct Field {
    pub(in crate::apiserver::builtin) number: u32,
    /// `None` where the fields of the type stand among those around.
    pub(in crate::apiserver::builtin) name: Option<&'static str>,
    pub(in crate::apiserver::builtin) shape: Shape,
    /// Zero differs from absent.
    pub(in crate::apiserver::builtin) pointer: bool,
    pub(in crate::apiserver::builtin) required: Required,
    /// Written even when it is empty.
    pub(in crate::apiserver::builtin) always: bool,
    pub(in crate::apiserver::builtin) atomic: bool,
    /// Owned part by part although its type is atomic.
    pub(in crate::apiserver::builtin) granular: bool,
    pub(in crate::apiserver::builtin) set: bool,
    /// Keys of a list map; empty for other lists.
    pub(in crate::apiserver::builtin) map_keys: Vec<&'static str>,
    /// The patch strategies, as `x-kubernetes-patch-strategy` joins them.
    pub(in crate::apiserver::builtin) patch_strategy: String,
    pub(in crate::apiserver::builtin) patch_merge_key: Option<&'static str>,
    pub(in crate::apiserver::builtin) default: Option<&'static str>,
    pub(in crate::apiserver::builtin) allowed: Vec<&'static str>,
    pub(in crate::apiserver::builtin) about: &'static str,
}

/// Whether a field may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::apiserver::builtin) enum Required {
    No,
    /// Documented so, but what is absent is taken as empty.
    Documented,
    /// Refused when it is empty.
    Enforced,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::apiserver::builtin) enum Shape {
    String,
    Bytes,
    Bool,
    Int32,
    Int64,
    Double,
    Byte,
    Quantity,
    IntOrString,
    Time,
    MicroTime,
    Duration,
    /// An object of any kind.
    Raw,
    /// Any JSON.
    Json,
    /// `FieldsV1` of managed fields.
    Fields,
    /// A JSON schema, or a list of them.
    SchemaOrArray,
    /// A JSON schema, or a boolean.
    SchemaOrBool,
    /// A JSON schema, or a list of texts.
    SchemaOrStrings,
    /// Another type.
    Message(TypeId),
    List(Box<Shape>),
    Map(Box<Shape>),
}

/// A type's place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::apiserver::builtin) struct TypeId(usize);

/// All types.
#[derive(Debug)]
pub(in crate::apiserver::builtin) struct Types {
    list: Vec<Type>,
    /// By package and name.
    index: BTreeMap<(&'static str, &'static str), TypeId>,
}

const FILES: [&str; 16] = [
    include_str!("meta.txt"),
    include_str!("core.txt"),
    include_str!("pod.txt"),
    include_str!("workload.txt"),
    include_str!("node.txt"),
    include_str!("storage.txt"),
    include_str!("endpoint.txt"),
    include_str!("webhook.txt"),
    include_str!("access.txt"),
    include_str!("network.txt"),
    include_str!("coordination.txt"),
    include_str!("extension.txt"),
    include_str!("flow.txt"),
    include_str!("certificate.txt"),
    include_str!("device.txt"),
    include_str!("aggregation.txt"),
];

/// The types of every built-in kind.
pub(in crate::apiserver::builtin) static TYPES: LazyLock<Types> =
    LazyLock::new(|| Types::read(&FILES).0);

impl Types {
    /// The type with this id.
    pub(in crate::apiserver::builtin) fn get(&self, id: TypeId) -> &Type {
        // Ids come from reading this table only, so they are in it.
        &self.list[id.0]
    }

    /// The type `name` of `package`, such as `core/v1`.
    pub(in crate::apiserver::builtin) fn named(&self, package: &str, name: &str) -> Option<TypeId> {
        self.index.get(&(package, name)).copied()
    }

    /// The kind of this group and version.
    pub(in crate::apiserver::builtin) fn kind(
        &self,
        group: &str,
        version: &str,
        kind: &str,
    ) -> Option<TypeId> {
        self.ids().find(|id| {
            let of = self.get(*id);
            of.is_kind
                && of.name == kind
                && of.group == group
                && of.package.rsplit('/').next() == Some(version)
        })
    }

    /// Every type, in the order of the files.
    pub(in crate::apiserver::builtin) fn ids(&self) -> impl Iterator<Item = TypeId> + use<> {
        (0..self.list.len()).map(TypeId)
    }

    /// Reads the files. The second part are the lines that make no sense, of which a test says that there are none.
    fn read(files: &[&'static str]) -> (Types, Vec<String>) {
        let mut types = Types { list: Vec::new(), index: BTreeMap::new() };
        let mut wrong = Vec::new();
        // Names first, because types refer to later ones.
        let lines = || files.iter().flat_map(|file| file.lines()).filter(|l| is_data(l));
        let (mut package, mut group) = ("", "");
        for line in lines().filter(|line| !line.starts_with(' ')) {
            let (head, about) = split_about(line);
            let words: Vec<&str> = head.split_whitespace().collect();
            match words[..] {
                ["package", name] => (package, group) = (name, ""),
                ["package", name, of] => (package, group) = (name, of),
                [word @ ("kind" | "type"), name, ref flags @ ..] => {
                    types.index.insert((package, name), TypeId(types.list.len()));
                    types.list.push(Type {
                        package,
                        group,
                        name,
                        is_kind: word == "kind",
                        atomic: flags.contains(&"atomic"),
                        about,
                        fields: Vec::new(),
                    });
                }
                _ => wrong.push(line.to_owned()),
            }
        }
        let mut at = None;
        for line in lines() {
            if line.starts_with(' ') {
                let field = at.and_then(|at: usize| {
                    let package = types.list.get(at)?.package;
                    read_field(line, package, &types.index)
                });
                match (field, at.and_then(|at| types.list.get_mut(at))) {
                    (Some(field), Some(of)) => of.fields.push(field),
                    _ => wrong.push(line.to_owned()),
                }
            } else if !line.starts_with("package") {
                at = Some(at.map_or(0, |at| at + 1));
            }
        }
        (types, wrong)
    }
}

/// Whether a request that writes the status of a kind may write its metadata as well (what the status strategies of
/// kube-apiserver do not reset).
pub(in crate::apiserver::builtin) fn status_brings_metadata(id: TypeId) -> bool {
    !matches!(
        TYPES.get(id).name,
        "APIService"
            | "CustomResourceDefinition"
            | "FlowSchema"
            | "PriorityLevelConfiguration"
            | "ResourceClaim"
            | "ServiceCIDR"
            | "ValidatingAdmissionPolicy"
            | "VolumeAttachment"
    )
}

fn is_data(line: &str) -> bool {
    !line.trim().is_empty() && !line.starts_with('#')
}

fn split_about(line: &'static str) -> (&'static str, &'static str) {
    line.split_once(" | ").map_or((line, ""), |(head, about)| (head, about.trim()))
}

type Index = BTreeMap<(&'static str, &'static str), TypeId>;

fn read_field(line: &'static str, package: &'static str, index: &Index) -> Option<Field> {
    let (head, about) = split_about(line);
    let mut words = head.split_whitespace();
    let number = words.next()?.parse().ok()?;
    let name = Some(words.next()?).filter(|n| *n != "-");
    let text = words.next()?;
    let (pointer, text) = text.strip_prefix('*').map_or((false, text), |rest| (true, rest));
    let mut field = Field {
        number,
        name,
        shape: shape(text, package, index)?,
        pointer,
        required: Required::No,
        always: false,
        atomic: false,
        granular: false,
        set: false,
        map_keys: Vec::new(),
        patch_strategy: String::new(),
        patch_merge_key: None,
        default: None,
        allowed: Vec::new(),
        about,
    };
    while let Some(word) = words.next() {
        let (flag, argument) = match word.split_once('(') {
            Some((flag, rest)) => (flag, Some(rest.strip_suffix(')')?)),
            None => (word, None),
        };
        let mut strategy = |name: &str| {
            if !field.patch_strategy.is_empty() {
                field.patch_strategy.push(',');
            }
            field.patch_strategy.push_str(name);
        };
        match (flag, argument) {
            ("!", None) => field.required = Required::Enforced,
            ("?", None) => field.required = Required::Documented,
            ("+", None) => field.always = true,
            ("atomic", None) => field.atomic = true,
            ("granular", None) => field.granular = true,
            ("set", None) => field.set = true,
            ("map", Some(keys)) => field.map_keys = keys.split(',').collect(),
            ("merge" | "replace" | "retainKeys", None) => strategy(flag),
            ("merge", Some(key)) => {
                strategy(flag);
                field.patch_merge_key = Some(key);
            }
            ("=", None) => field.default = Some(words.next()?),
            ("enum", Some(values)) => field.allowed = values.split(',').collect(),
            _ => return None,
        }
    }
    Some(field)
}

fn shape(text: &'static str, package: &'static str, index: &Index) -> Option<Shape> {
    if let Some(of) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return Some(Shape::List(Box::new(shape(of, package, index)?)));
    }
    if let Some(of) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
        return Some(Shape::Map(Box::new(shape(of, package, index)?)));
    }
    Some(match text {
        "string" => Shape::String,
        "bytes" => Shape::Bytes,
        "bool" => Shape::Bool,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "double" => Shape::Double,
        "byte" => Shape::Byte,
        "quantity" => Shape::Quantity,
        "int-or-string" => Shape::IntOrString,
        "time" => Shape::Time,
        "micro-time" => Shape::MicroTime,
        "duration" => Shape::Duration,
        "raw" => Shape::Raw,
        "json" => Shape::Json,
        "fields" => Shape::Fields,
        "JSONSchemaPropsOrArray" => Shape::SchemaOrArray,
        "JSONSchemaPropsOrBool" => Shape::SchemaOrBool,
        "JSONSchemaPropsOrStringArray" => Shape::SchemaOrStrings,
        name => {
            let key = name.rsplit_once('.').unwrap_or((package, name));
            Shape::Message(*index.get(&key)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_makes_sense() {
        let (types, wrong) = Types::read(&FILES);
        assert_eq!(wrong, Vec::<String>::new());
        assert!(types.list.len() > 250, "{}", types.list.len());
        let fields: usize = types.list.iter().map(|t| t.fields.len()).sum();
        let lines = FILES.iter().flat_map(|f| f.lines()).filter(|l| l.starts_with("  ")).count();
        assert_eq!(fields, lines);
    }

    fn has_field(of: &Type, name: &str) -> bool {
        of.fields.iter().any(|field| match (field.name, &field.shape) {
            (None, Shape::Message(part)) => has_field(TYPES.get(*part), name),
            (own, _) => own == Some(name),
        })
    }

    #[test]
    fn list_maps_name_fields_of_their_items() {
        for of in &TYPES.list {
            for field in &of.fields {
                let keys = field.map_keys.iter().copied().chain(field.patch_merge_key);
                let Shape::List(item) = &field.shape else {
                    assert_eq!(keys.count(), 0, "{}.{:?}", of.name, field.name);
                    continue;
                };
                let Shape::Message(item) = **item else {
                    assert_eq!(keys.count(), 0, "{}.{:?}", of.name, field.name);
                    continue;
                };
                for key in keys {
                    let known = has_field(TYPES.get(item), key);
                    assert!(known, "{}.{:?} has no {key}", of.name, field.name);
                }
            }
        }
    }

    #[test]
    fn numbers_are_unique_within_a_type() {
        for of in &TYPES.list {
            let mut numbers: Vec<u32> =
                of.fields.iter().map(|f| f.number).filter(|n| *n > 0).collect();
            numbers.sort_unstable();
            assert!(numbers.windows(2).all(|w| w[0] != w[1]), "{}", of.name);
        }
    }
}
