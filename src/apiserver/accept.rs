//! What form of answer a client wants.

use super::failure::Failure;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    /// The object or list itself.
    #[default]
    Object,
    /// `meta.k8s.io` Table of that version.
    Table,
    /// Only metadata, of one object.
    Metadata,
    /// Only metadata, of a list.
    MetadataList,
}

/// The text format of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Text {
    /// JSON.
    #[default]
    Json,
    /// YAML.
    Yaml,
}

/// What a client accepts, chosen among what the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Accept {
    /// The form.
    pub form: Form,
    /// The text format.
    pub text: Text,
}

impl Accept {
    /// Chooses the best offer of an `Accept` header that the server has.
    ///
    /// # Errors
    /// 406 when there is none.
    pub(super) fn choose(header: &str) -> Result<Accept, Failure> {
        if header.trim().is_empty() {
            return Ok(Accept::default());
        }
        by_preference(header).into_iter().find_map(offer).ok_or_else(Failure::not_acceptable)
    }

    /// Whether `header` offers the aggregated form of discovery in its final version.
    pub(super) fn takes_aggregated_discovery(header: &str) -> bool {
        header.split(',').any(|offer| {
            let has = |piece: &str| offer.split(';').any(|p| p.trim() == piece);
            has("g=apidiscovery.k8s.io") && has("v=v2") && has("as=APIGroupDiscoveryList")
        })
    }
}

/// The offers of a header, the best first: by weight, then what is not any type, then as they come (RFC 9110 §12.5.1).
fn by_preference(header: &str) -> Vec<&str> {
    let mut offers: Vec<&str> = header.split(',').collect();
    let is_any = |offer: &str| {
        let kind = offer.split(';').next().unwrap_or_default().trim();
        (kind.starts_with("*/"), kind.ends_with("/*"))
    };
    offers.sort_by(|a, b| weight(b).total_cmp(&weight(a)).then_with(|| is_any(a).cmp(&is_any(b))));
    offers
}

/// How much an offer is liked, from 0 to 1; 1 where it does not say.
fn weight(offer: &str) -> f64 {
    let said = offer.split(';').find_map(|piece| piece.trim().strip_prefix("q="));
    said.and_then(|text| text.parse().ok()).unwrap_or(1.0)
}

fn offer(offer: &str) -> Option<Accept> {
    let mut pieces = offer.split(';').map(str::trim);
    let text = match pieces.next()? {
        "application/json" | "*/*" | "application/*" => Text::Json,
        "application/yaml" => Text::Yaml,
        _ => return None,
    };
    let (mut form, mut group, mut version) = (None, None, None);
    for piece in pieces {
        match piece.split_once('=') {
            Some(("as", name)) => form = Some(name),
            Some(("g", name)) => group = Some(name),
            Some(("v", name)) => version = Some(name),
            _ => {}
        }
    }
    let known = group == Some("meta.k8s.io") && matches!(version, Some("v1" | "v1beta1"));
    let form = match form {
        None => Form::Object,
        Some("Table") if known => Form::Table,
        Some("PartialObjectMetadata") if known => Form::Metadata,
        Some("PartialObjectMetadataList") if known => Form::MetadataList,
        Some(_) => return None,
    };
    Some(Accept { form, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_offer_that_is_had_is_taken() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        let cases = [
            ("", Some((Form::Object, Text::Json))),
            ("application/json", Some((Form::Object, Text::Json))),
            ("application/json, */*", Some((Form::Object, Text::Json))),
            (table, Some((Form::Table, Text::Json))),
            (
                "application/json;as=Table;v=v9;g=meta.k8s.io,application/json",
                Some((Form::Object, Text::Json)),
            ),
            (
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
                Some((Form::MetadataList, Text::Json)),
            ),
            (
                "application/vnd.kubernetes.protobuf,application/json",
                Some((Form::Object, Text::Json)),
            ),
            ("application/vnd.kubernetes.protobuf", None),
            ("application/yaml", Some((Form::Object, Text::Yaml))),
            ("application/json;q=0.5,application/yaml", Some((Form::Object, Text::Yaml))),
            ("application/*,application/yaml", Some((Form::Object, Text::Yaml))),
            ("*/*,application/json;as=Table;v=v1;g=meta.k8s.io", Some((Form::Table, Text::Json))),
            ("application/json;q=text,application/yaml", Some((Form::Object, Text::Json))),
        ];
        for (header, expected) in cases {
            let chosen = Accept::choose(header).ok().map(|a| (a.form, a.text));
            assert_eq!(chosen, expected, "{header}");
        }
    }
}
