//! What of an object a request may change: the part that it is about.

use serde_json::Value;

use super::{Call, Part};
use crate::apiserver::{
    builtin::{admission, admission::Decision},
    object,
};

impl Call {
    /// Keeps what the request is not about.
    pub(super) fn isolate(&self, old: &Value, mut new: Value, part: Part) -> Value {
        let keep = |into: &mut Value, from: &Value, field: &str| {
            if let (Some(fields), value) = (into.as_object_mut(), from.get(field)) {
                match value {
                    Some(value) => fields.insert(field.to_owned(), value.clone()),
                    None => fields.remove(field),
                };
            }
        };
        match part {
            Part::Main | Part::Scale => {
                if self.definition().status {
                    keep(&mut new, old, "status");
                }
                if self.resource.is("", "Namespace")
                    || self.resource.is("certificates.k8s.io", "CertificateSigningRequest")
                {
                    keep(&mut new, old, "spec");
                }
                new
            }
            Part::Status => {
                let mut kept = old.clone();
                match self.resource.is("certificates.k8s.io", "CertificateSigningRequest") {
                    true => admission::take_decision(&mut kept, &new, Decision::Status),
                    false => keep(&mut kept, &new, "status"),
                }
                object::copy(&mut kept, &new, "managedFields");
                for field in self.metadata_beside_status() {
                    object::copy(&mut kept, &new, field);
                }
                kept
            }
            Part::Finalize => {
                keep(&mut new, old, "status");
                new
            }
            Part::Approval => {
                let mut kept = old.clone();
                object::copy(&mut kept, &new, "managedFields");
                for field in self.metadata_beside_status() {
                    object::copy(&mut kept, &new, field);
                }
                admission::take_decision(&mut kept, &new, Decision::Approval);
                kept
            }
            Part::EphemeralContainers | Part::Resize => {
                let mut kept = old.clone();
                object::copy(&mut kept, &new, "managedFields");
                if part == Part::Resize {
                    admission::take_sizes(&mut kept, &new);
                } else if kept["spec"].is_object() {
                    keep(&mut kept["spec"], &new["spec"], "ephemeralContainers");
                }
                kept
            }
        }
    }

    /// The metadata that may be written together with a status (what the status strategies of kinds do not reset).
    fn metadata_beside_status(&self) -> &'static [&'static str] {
        match self.definition().kind.as_str() {
            _ if !self.definition().schema().has_metadata_beside_status() => &[],
            "Deployment" => &["annotations", "finalizers", "ownerReferences"],
            "Pod" => &["annotations", "finalizers", "labels"],
            _ => &["annotations", "finalizers", "labels", "ownerReferences"],
        }
    }
}
