//! APIServices, which are stored; no other server is asked.

use serde_json::{Value, json};

use super::{
    super::value::{fill, flag, number, set, text},
    Context,
    format::{self, all},
};
use crate::apiserver::{object, schema::FieldError};

/// Fills the defaults of an APIService. One that the server answers itself is available at once.
pub(super) fn prepare(service: &mut Value, is_new: bool, context: &Context<'_>) {
    let reference = service.pointer_mut("/spec/service").filter(|service| service.is_object());
    match reference {
        Some(reference) => fill(reference, "port", 443),
        None if is_new => {
            let status = json!({"conditions": [{
                "type": "Available", "status": "True", "reason": "Local",
                "message": "Local APIServices are always available",
                "lastTransitionTime": object::time(context.now),
            }]});
            set(service, "status", status);
        }
        None => {}
    }
}

/// Validates an APIService.
pub(super) fn validate(service: &Value, errors: &mut Vec<FieldError>) {
    let (group, version) = (text(service, "/spec/group"), text(service, "/spec/version"));
    let (name, wanted) = (text(service, "/metadata/name"), format!("{version}.{group}"));
    if !name.is_empty() && name != wanted {
        let said = format!("must be `spec.version+\".\"+spec.group`: \"{wanted}\"");
        errors.push(FieldError::invalid("metadata.name", &name.into(), &said));
    }
    if group.is_empty() && version != "v1" {
        let said = "only v1 may have an empty group and it better be legacy kube";
        errors.push(FieldError::required("spec.group", said));
    } else if !group.is_empty() {
        all(format::dns_subdomain(group), "spec.group", group, errors);
    }
    all(format::dns_1035_label(version), "spec.version", version, errors);
    for (field, most) in [("groupPriorityMinimum", 20000), ("versionPriority", 1000)] {
        let priority = number(service, &format!("/spec/{field}")).unwrap_or(0);
        if !(1..=most).contains(&priority) {
            let said = format!("must be positive and less than {most}");
            errors.push(FieldError::invalid(format!("spec.{field}"), &priority.into(), &said));
        }
    }
    let skips = flag(service, "/spec/insecureSkipTLSVerify");
    let has_bundle = !text(service, "/spec/caBundle").is_empty();
    let mut refuse_skip = |said: &str| {
        errors.push(FieldError::invalid("spec.insecureSkipTLSVerify", &true.into(), said));
    };
    let Some(reference) = service.pointer("/spec/service").filter(|service| service.is_object())
    else {
        if skips {
            refuse_skip("local APIServices may not have insecureSkipTLSVerify");
        }
        return;
    };
    if skips && has_bundle {
        refuse_skip("may not be true if caBundle is present");
    }
    for field in ["namespace", "name"] {
        if text(reference, &format!("/{field}")).is_empty() {
            errors.push(FieldError::required(format!("spec.service.{field}"), ""));
        }
    }
    let port = number(reference, "/port").unwrap_or(0);
    if !(1..=65535).contains(&port) {
        let said = "port is not valid: must be between 1 and 65535, inclusive";
        errors.push(FieldError::invalid("spec.service.port", &port.into(), said));
    }
}
