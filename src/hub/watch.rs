//! Watches of the metadata of all objects of a kind, for those who only need to know that something changed.

use futures::{StreamExt as _, TryStreamExt as _};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, PartialObjectMeta},
    core::ObjectMeta,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};

use super::Hub;

/// What a watch tells.
#[derive(Debug)]
pub enum Told<'a> {
    /// Everything is listed anew: at the beginning, and after a break that lost history.
    Listing,
    /// The list has this object.
    Listed(&'a ObjectMeta),
    /// The list is over. What it did not have is not there.
    ListEnd,
    /// An object came or changed.
    Changed(&'a ObjectMeta),
    /// An object went.
    Gone(&'a ObjectMeta),
    /// The watch broke; it is taken up again.
    Broke(&'a watcher::Error),
}

impl Hub {
    /// Watches the metadata of every object of a kind, in one namespace or everywhere, and takes the watch up again
    /// whenever it breaks. Ends only when it is dropped.
    pub async fn watch_metadata(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        mut tell: impl FnMut(Told<'_>),
    ) {
        let client = self.client().clone();
        let api: Api<PartialObjectMeta<DynamicObject>> = match namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, resource),
            None => Api::all_with(client, resource),
        };
        let mut events =
            watcher::watcher(api, watcher::Config::default()).default_backoff().boxed();
        loop {
            match events.try_next().await {
                Ok(Some(Event::Init)) => tell(Told::Listing),
                Ok(Some(Event::InitApply(object))) => tell(Told::Listed(&object.metadata)),
                Ok(Some(Event::InitDone)) => tell(Told::ListEnd),
                Ok(Some(Event::Apply(object))) => tell(Told::Changed(&object.metadata)),
                Ok(Some(Event::Delete(object))) => tell(Told::Gone(&object.metadata)),
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(kind = resource.kind, %error, "watch broke; it is taken up again");
                    tell(Told::Broke(&error));
                }
            }
        }
    }
}
