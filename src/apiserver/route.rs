//! Paths: what a request is about.

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route<'p> {
    /// `/api`, `/apis`: what there is.
    Groups {
        /// `/api` rather than `/apis`.
        legacy: bool,
    },
    /// `/apis/<group>`.
    Group(&'p str),
    /// `/api/v1`, `/apis/<group>/<version>`.
    Version {
        /// Empty for the core group.
        group: &'p str,
        /// Its version.
        version: &'p str,
    },
    /// Objects.
    Resource(ResourcePath<'p>),
    /// `/openapi/v3`.
    OpenApiIndex,
    /// `/openapi/v3/<path>`: the document of `api/v1` or `apis/<group>/<version>`.
    OpenApi(&'p str),
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/version`.
    Version2,
    /// `/healthz`, `/livez`, `/readyz` and the checks below them.
    Health {
        /// Which of them.
        endpoint: &'p str,
        /// One check; all of them when absent.
        check: Option<&'p str>,
    },
    /// `/metrics`.
    Metrics,
    /// `/.well-known/openid-configuration`: who signs tokens of service accounts.
    Issuer,
    /// `/openid/v1/jwks`: what they are signed with.
    IssuerKeys,
    /// `/`.
    Root,
}

/// A path to a collection, an object or a part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ResourcePath<'p> {
    pub group: &'p str,
    pub version: &'p str,
    pub namespace: Option<&'p str>,
    pub plural: &'p str,
    pub name: Option<&'p str>,
    pub subresource: Option<&'p str>,
    /// Below `/watch/`, as clients of old ask for a watch.
    pub watch: bool,
}

/// Reads a path. None leads nowhere.
pub(super) fn parse(path: &str) -> Option<Route<'_>> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    Some(match parts.as_slice() {
        [] => Route::Root,
        ["api"] => Route::Groups { legacy: true },
        ["apis"] => Route::Groups { legacy: false },
        ["apis", group] => Route::Group(group),
        ["api", version] => Route::Version { group: "", version },
        ["apis", group, version] => Route::Version { group, version },
        ["api", version, rest @ ..] => Route::Resource(resource("", version, rest)?),
        ["apis", group, version, rest @ ..] => Route::Resource(resource(group, version, rest)?),
        ["openapi", "v3"] => Route::OpenApiIndex,
        ["openapi", "v3", ..] => Route::OpenApi(
            path.trim_start_matches('/').strip_prefix("openapi/v3/")?.trim_end_matches('/'),
        ),
        ["openapi", "v2"] => Route::OpenApiV2,
        ["version"] => Route::Version2,
        ["metrics"] => Route::Metrics,
        [".well-known", "openid-configuration"] => Route::Issuer,
        ["openid", "v1", "jwks"] => Route::IssuerKeys,
        [endpoint @ ("healthz" | "livez" | "readyz")] => Route::Health { endpoint, check: None },
        [endpoint @ ("healthz" | "livez" | "readyz"), check] => {
            Route::Health { endpoint, check: Some(check) }
        }
        _ => return None,
    })
}

fn resource<'p>(group: &'p str, version: &'p str, parts: &[&'p str]) -> Option<ResourcePath<'p>> {
    let (watch, parts) = match parts {
        ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
        _ => (false, parts),
    };
    // `namespaces/<name>/status` and `/finalize` are parts of a namespace; anything else there is inside it.
    let (namespace, parts) = match parts {
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, parts),
        ["namespaces", namespace, rest @ ..] => (Some(*namespace), rest),
        _ => (None, parts),
    };
    let (plural, name, subresource) = match parts {
        [plural] => (*plural, None, None),
        [plural, name] => (*plural, Some(*name), None),
        [plural, name, subresource] => (*plural, Some(*name), Some(*subresource)),
        _ => return None,
    };
    Some(ResourcePath { group, version, namespace, plural, name, subresource, watch })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        let cases = [
            ("/api/v1/namespaces", "", None, "namespaces", None, None),
            ("/api/v1/namespaces/a", "", None, "namespaces", Some("a"), None),
            ("/api/v1/namespaces/a/status", "", None, "namespaces", Some("a"), Some("status")),
            ("/api/v1/namespaces/a/finalize", "", None, "namespaces", Some("a"), Some("finalize")),
            ("/api/v1/namespaces/a/configmaps", "", Some("a"), "configmaps", None, None),
            ("/api/v1/namespaces/a/configmaps/b", "", Some("a"), "configmaps", Some("b"), None),
            ("/api/v1/configmaps", "", None, "configmaps", None, None),
            (
                "/apis/x.io/v1/namespaces/a/ws/b/status/",
                "x.io",
                Some("a"),
                "ws",
                Some("b"),
                Some("status"),
            ),
            ("/apis/x.io/v1/ws/b/scale", "x.io", None, "ws", Some("b"), Some("scale")),
        ];
        for (path, group, namespace, plural, name, subresource) in cases {
            let expected = ResourcePath {
                group,
                version: "v1",
                namespace,
                plural,
                name,
                subresource,
                watch: false,
            };
            assert_eq!(parse(path), Some(Route::Resource(expected)), "{path}");
        }
    }

    #[test]
    fn old_watch_paths_are_watches() {
        let Some(Route::Resource(path)) = parse("/api/v1/watch/namespaces/a/configmaps/b") else {
            panic!()
        };
        assert!(path.watch);
        assert_eq!((path.namespace, path.plural, path.name), (Some("a"), "configmaps", Some("b")));
    }

    #[test]
    fn other_paths() {
        assert_eq!(parse("/apis/a.io/v1"), Some(Route::Version { group: "a.io", version: "v1" }));
        assert_eq!(parse("/openapi/v3/apis/a.io/v1"), Some(Route::OpenApi("apis/a.io/v1")));
        let check = Some("etcd");
        assert_eq!(parse("/readyz/etcd"), Some(Route::Health { endpoint: "readyz", check }));
        assert_eq!(parse("/metrics"), Some(Route::Metrics));
        assert_eq!(parse("/metrics/slis"), None);
        assert_eq!(parse("/.well-known/openid-configuration"), Some(Route::Issuer));
        assert_eq!(parse("/api/v1/a/b/c/d/e"), None);
    }
}
