//! What a namespace bounds: LimitRanges and ResourceQuotas, asked before an object is stored.

use serde_json::Value;

use super::Call;
use crate::apiserver::{
    builtin::{admission, quota},
    failure::Failure,
    field, object,
    registry::Resource,
    store::{CommitError, Range, Write},
};

/// Who owns what is written into the status of a quota here.
const MANAGER: &str = "kube-apiserver";

impl Call {
    /// The LimitRanges of the namespace, for kinds that they are about.
    pub(super) fn limit_ranges(&self) -> Vec<Value> {
        if self.resource.is("", "Pod") || self.resource.is("", "PersistentVolumeClaim") {
            let of = self.beside("limitranges");
            of.into_iter().map(|(_, value)| value).collect()
        } else {
            Vec::new()
        }
    }

    /// The objects of a kind of the core group in this namespace, with their revisions.
    fn beside(&self, plural: &str) -> Vec<(u64, Value)> {
        let served = self.server.registry.served();
        let Some(resource) = served.find("", "v1", plural) else { return Vec::new() };
        let range = Range { namespace: Some(self.namespace().to_owned()), ..Range::default() };
        let page = self.server.store.list(&resource.id, &range);
        let objects = page.map(|page| page.objects).unwrap_or_default();
        objects.iter().map(|stored| (stored.revision, stored.value())).collect()
    }

    /// Asks LimitRanges and quotas whether an object may be stored as it is, and writes down what of each quota it will
    /// use. `resizes`: a pod asks for another size.
    ///
    /// # Errors
    /// 403 with what is exceeded.
    pub(super) async fn charge(
        &self,
        new: &Value,
        old: Option<&Value>,
        resizes: bool,
        dry_run: bool,
    ) -> Result<Charged, Failure> {
        let definition = self.definition();
        let mut charged = Charged { quotas: false };
        if !definition.namespaced {
            return Ok(charged);
        }
        let forbidden = |why: &str| Failure::forbidden(definition, object::name(new), why);
        let is_pod = self.resource.is("", "Pod");
        if (old.is_none() || resizes || !is_pod)
            && let Some(why) = admission::exceeds(definition, new, &self.limit_ranges())
        {
            return Err(forbidden(&why));
        }
        if !quota::is_counted(definition) {
            return Ok(charged);
        }
        for (_, quota) in self.beside("resourcequotas") {
            let name = object::name(&quota).to_owned();
            let written = self.charge_one(&name, new, old, resizes, dry_run).await;
            match written {
                Ok(written) => charged.quotas |= written,
                Err(why) => {
                    self.settle(charged);
                    return Err(why);
                }
            }
        }
        Ok(charged)
    }

    /// Asks one quota, until nobody comes in between. Answers whether it was written.
    async fn charge_one(
        &self,
        name: &str,
        new: &Value,
        old: Option<&Value>,
        resizes: bool,
        dry_run: bool,
    ) -> Result<bool, Failure> {
        let definition = self.definition();
        let served = self.server.registry.served();
        let Some(quotas) = served.find("", "v1", "resourcequotas") else { return Ok(false) };
        let key = crate::apiserver::store::Key::new(&quotas.id, self.namespace(), name);
        loop {
            let Some(stored) = self.server.store.get(&key) else { return Ok(false) };
            let before = stored.value();
            let mut quota = before.clone();
            if quota.pointer("/status/hard") != Some(&quota::hard_of(&quota)) {
                // It is new, or was changed, and nobody has counted yet.
                quota["status"] =
                    crate::apiserver::lifecycle::count(&self.server, self.namespace(), &quota);
            }
            let status = quota::charge(definition, &quota, new, old, resizes)
                .map_err(|why| Failure::forbidden(definition, object::name(new), &why))?;
            let Some(status) = status.filter(|_| !dry_run) else { return Ok(false) };
            quota["status"] = status;
            write_status(self, quotas, &before, &mut quota);
            let from = Some(stored.revision);
            let write =
                Write { key: key.clone(), from, object: quota, delete: false, relies_on: None };
            match self.server.store.commit(write).await {
                Ok(_) => return Ok(true),
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Has quotas counted again that were charged for what was not stored after all.
    pub(super) fn settle(&self, charged: Charged) {
        if charged.quotas {
            self.server.recount(self.namespace());
        }
    }
}

/// What was charged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Charged {
    quotas: bool,
}

fn write_status(call: &Call, quotas: &Resource, before: &Value, quota: &mut Value) {
    let schema = quotas.definition.schema();
    let now = call.server.now();
    field::track_update(Some(before), quota, MANAGER, Some("status"), schema, now);
}
