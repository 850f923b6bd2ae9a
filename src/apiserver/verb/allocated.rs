//! What the server gives to an object after it was settled who owns what, so that it is nobody's.

use serde_json::Value;

use crate::apiserver::builtin::ResourceDefinition;

/// A field in the spec or the status.
type Path = [&'static str; 2];

/// Fields that are given by the server, after all others, where the client left them out.
pub(super) struct Allocated(Vec<(Path, Option<Value>)>);

impl Allocated {
    /// What will be allocated for an object that was sent so.
    pub(super) fn of(definition: &ResourceDefinition, sent: &Value) -> Allocated {
        let fields: &[Path] = match (definition.builtin, definition.kind.as_str()) {
            (true, "Service") => &[
                ["spec", "clusterIP"],
                ["spec", "clusterIPs"],
                ["spec", "ipFamilies"],
                ["spec", "ipFamilyPolicy"],
            ],
            (true, "Namespace") => &[["spec", "finalizers"]],
            (true, "Node") => &[["spec", "taints"]],
            (true, "PersistentVolume") => &[["status", "lastPhaseTransitionTime"]],
            (true, "Pod") => {
                &[["spec", "preemptionPolicy"], ["spec", "priority"], ["spec", "tolerations"]]
            }
            _ => &[],
        };
        let left_out = |[part, field]: &&Path| {
            sent.get(part).and_then(|part| part.get(field)).is_none_or(Value::is_null)
        };
        Allocated(fields.iter().filter(left_out).map(|path| (*path, None)).collect())
    }

    /// Takes the fields away until it is settled who owns the others.
    pub(super) fn take_from(mut self, object: &mut Value) -> Allocated {
        for ([part, field], value) in &mut self.0 {
            if let Some(part) = object.get_mut(*part).and_then(Value::as_object_mut) {
                *value = part.remove(*field);
            }
        }
        self
    }

    /// Gives them back.
    pub(super) fn give_back(self, object: &mut Value) {
        for ([part, field], value) in self.0 {
            if let Some(part) = object.get_mut(part).and_then(Value::as_object_mut)
                && let Some(value) = value
            {
                part.insert(field.to_owned(), value);
            }
        }
    }
}
