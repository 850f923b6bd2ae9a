//! Validation, pruning, defaulting, and what is no structural schema.

use serde_json::{Value, json};

use super::{Schema, errors, fields, with_spec};

#[test]
fn validation_speaks_like_kube_apiserver() {
    let table = [
        (
            json!({"type": "integer"}),
            json!("x"),
            r#"spec.x: Invalid value: "string": spec.x in body must be of type integer: "string""#,
        ),
        (
            json!({"type": "string"}),
            json!(1),
            r#"spec.x: Invalid value: "integer": spec.x in body must be of type string: "integer""#,
        ),
        (
            json!({"x-kubernetes-int-or-string": true}),
            json!(true),
            r#"spec.x: Invalid value: "boolean": spec.x in body must be of type integer,string: "boolean""#,
        ),
        (
            json!({"type": "string", "enum": ["A", "B"]}),
            json!("C"),
            r#"spec.x: Unsupported value: "C": supported values: "A", "B""#,
        ),
        (
            json!({"type": "string", "maxLength": 3}),
            json!("abcd"),
            "spec.x: Too long: may not be more than 3 bytes",
        ),
        (
            json!({"type": "string", "minLength": 1}),
            json!(""),
            r#"spec.x: Invalid value: "": spec.x in body should be at least 1 chars long"#,
        ),
        (
            json!({"type": "string", "pattern": "^(100|[1-9][0-9]?)%$"}),
            json!("0%"),
            r#"spec.x: Invalid value: "0%": spec.x in body should match '^(100|[1-9][0-9]?)%$'"#,
        ),
        (
            json!({"type": "array", "maxItems": 2, "items": {"type": "integer"}}),
            json!([1, 2, 3]),
            "spec.x: Too many: 3: must have at most 2 items",
        ),
        (
            json!({"type": "array", "maxItems": 1, "items": {"type": "integer"}}),
            json!([1, 2, 3]),
            "spec.x: Too many: 3: must have at most 1 item",
        ),
        (
            json!({"type": "array", "minItems": 1, "items": {"type": "integer"}}),
            json!([]),
            "spec.x: Invalid value: 0: spec.x in body should have at least 1 items",
        ),
        (
            json!({"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string"}}),
            json!({"a": "", "b": ""}),
            "spec.x: Too many: 2: must have at most 1 item",
        ),
        (
            json!({"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}),
            json!({}),
            "spec.x: Invalid value: 0: spec.x in body should have at least 1 properties",
        ),
        (
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}),
            json!({}),
            "spec.x.a: Required value",
        ),
        (
            json!({"type": "integer", "minimum": 1}),
            json!(0),
            "spec.x: Invalid value: 0: spec.x in body should be greater than or equal to 1",
        ),
        (
            json!({"type": "integer", "maximum": 9, "exclusiveMaximum": true}),
            json!(9),
            "spec.x: Invalid value: 9: spec.x in body should be less than 9",
        ),
        (
            json!({"type": "number", "multipleOf": 0.5}),
            json!(0.7),
            "spec.x: Invalid value: 0.7: spec.x in body should be a multiple of 0.5",
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            json!("now"),
            r#"spec.x: Invalid value: "now": spec.x in body must be of type date-time: "now""#,
        ),
        (
            json!({"type": "integer", "format": "int32"}),
            json!(1_u64 << 40),
            r#"<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.x"#,
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}),
            json!(["a", "b", "a", "a"]),
            r#"spec.x[2]: Duplicate value: "a""#,
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "properties": {"name": {"type": "string"}}}}),
            json!([{"name": "a"}, {"name": "a"}]),
            r#"spec.x[1]: Duplicate value: {"name":"a"}"#,
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "integer"}}),
            json!({"k": "v"}),
            r#"spec.x.k: Invalid value: "string": spec.x.k in body must be of type integer: "string""#,
        ),
        (
            json!({"type": "string", "nullable": true, "enum": ["A"]}),
            json!(null),
            r#"spec.x: Unsupported value: null: supported values: "A""#,
        ),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            json!(["a", null]),
            r#"spec.x[1]: Invalid value: "null": spec.x[1] in body must be of type string: "null""#,
        ),
    ];
    for (schema, value, expected) in table {
        let found = errors(&fields(json!({"x": schema})), json!({"x": value}));
        assert_eq!(found, [expected], "{schema}");
    }
    let found = errors(&fields(json!({"x": {"type": "integer"}})), json!({"x": 1.5}));
    assert_eq!(
        found,
        [
            r#"<nil>: Invalid value: "": Checked value must be of type integer (default format) in spec.x"#,
            r#"spec.x: Invalid value: "number": spec.x in body must be of type integer: "number""#,
        ]
    );
}

#[test]
fn what_is_valid_passes() {
    for (schema, value) in [
        (json!({"type": "integer"}), json!(2.0)),
        (json!({"type": "number"}), json!(2)),
        (json!({"type": "string", "nullable": true}), json!(null)),
        (json!({"x-kubernetes-int-or-string": true}), json!("50%")),
        (json!({"type": "string", "format": "unknown"}), json!("x")),
        (json!({"type": "string", "maxLength": 2}), json!("ää")),
        (
            json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
            json!({"a": [1]}),
        ),
        (
            json!({"x-kubernetes-int-or-string": true,
                "anyOf": [{"type": "integer"}, {"type": "string"}], "pattern": "^[0-9]+%$"}),
            json!("5%"),
        ),
    ] {
        let found = errors(&fields(json!({"x": schema})), json!({"x": value}));
        assert_eq!(found, [] as [String; 0], "{schema}");
    }
}

#[test]
fn junctions_explain_themselves() {
    let any = fields(json!({"x": {"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 1}]}}));
    assert_eq!(
        errors(&any, json!({"x": 3})),
        [
            r#"<nil>: Invalid value: "": "spec.x" must validate at least one schema (anyOf)"#,
            "spec.x: Invalid value: 3: spec.x in body should be greater than or equal to 5",
        ]
    );
    let one = fields(json!({"x": {"type": "integer", "oneOf": [{"minimum": 2}, {"maximum": 5}]}}));
    assert_eq!(
        errors(&one, json!({"x": 3})),
        [
            r#"<nil>: Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found 2 valid alternatives"#
        ]
    );
    let not = fields(json!({"x": {"type": "integer", "not": {"minimum": 2}}}));
    assert_eq!(
        errors(&not, json!({"x": 3})),
        [r#"<nil>: Invalid value: "": "spec.x" must not validate the schema (not)"#]
    );
    let required = with_spec(json!({"type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}));
    assert_eq!(errors(&required, json!({"a": ""})), [] as [String; 0]);
    assert_eq!(errors(&required, json!({})).len(), 2);
}

#[test]
fn what_was_wrong_and_did_not_change_is_forgiven() {
    let schema = fields(json!({
        "name": {"type": "string", "maxLength": 1},
        "other": {"type": "string"},
        "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "properties": {"k": {"type": "string"},
                "v": {"type": "integer", "maximum": 1}}}},
        "list": {"type": "array", "items": {"type": "integer", "maximum": 1}},
    }));
    let old = json!({"spec": {"name": "long", "map": [{"k": "a", "v": 5}], "list": [5]}});
    let check = |spec: Value| -> Vec<String> {
        let new = json!({"spec": spec});
        schema.validate(&new, Some(&old)).into_iter().map(|e| e.path).collect()
    };
    assert_eq!(
        check(
            json!({"name": "long", "other": "x", "map": [{"k": "b"}, {"k": "a", "v": 5}], "list": [5]})
        ),
        [] as [String; 0]
    );
    assert_eq!(check(json!({"name": "longer"})), ["spec.name"]);
    assert_eq!(check(json!({"map": [{"k": "b", "v": 5}]})), ["spec.map[0].v"]);
    // Items of a plain list cannot be told apart: changing one looks at all.
    assert_eq!(check(json!({"list": [5, 1]})), ["spec.list[0]"]);
}

#[test]
fn pruning_drops_the_unknown_and_names_it() {
    let schema = fields(json!({
        "known": {"type": "string"},
        "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": {"closed": {"type": "object", "properties": {"a": {"type": "string"}}}}},
        "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}},
        "embedded": {"type": "object", "x-kubernetes-embedded-resource": true,
            "properties": {"spec": {"type": "object"}}},
    }));
    let mut object = json!({
        "apiVersion": "v1", "kind": "K", "extra": 1,
        "metadata": {"name": "n", "labels": {"a": "b"}, "odd": 1},
        "spec": {
            "known": "k", "unknown": 1,
            "open": {"any": {"deep": 1}, "closed": {"a": "x", "b": 1}},
            "list": [{"a": "x"}, {"b": 1}],
            "map": {"k": {"a": "x", "z": 1}},
            "embedded": {"apiVersion": "v1", "kind": "P", "metadata": {"name": "n"}, "spec": {"x": 1}, "y": 1},
        },
    });
    let dropped = schema.prune(&mut object);
    assert_eq!(
        dropped,
        [
            "extra",
            "metadata.odd",
            "spec.embedded.spec.x",
            "spec.embedded.y",
            "spec.list[1].b",
            "spec.map.k.z",
            "spec.open.closed.b",
            "spec.unknown"
        ]
    );
    assert_eq!(object["spec"]["open"]["any"], json!({"deep": 1}));
    assert_eq!(object["spec"]["embedded"]["metadata"]["name"], "n");
    assert_eq!(object["spec"]["list"], json!([{"a": "x"}, {}]));
}

#[test]
fn defaults_fill_what_is_absent() {
    let schema = fields(json!({
        "replicas": {"type": "integer", "default": 1},
        "strategy": {"type": "object", "default": {}, "properties": {
            "type": {"type": "string", "default": "RollingUpdate"}}},
        "absent": {"type": "object", "properties": {"x": {"type": "string", "default": "x"}}},
        "list": {"type": "array", "items": {"type": "object", "properties": {
            "scope": {"type": "string", "default": "Cluster"}}}},
        "nullable": {"type": "string", "nullable": true, "default": "d"},
        "plain": {"type": "string"},
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {
            "y": {"type": "string", "default": "y"}}}},
    }));
    let mut object = json!({"spec": {
        "replicas": null, "list": [{}, {"scope": "N"}], "nullable": null, "plain": null, "map": {"k": {}},
    }});
    schema.apply_defaults(&mut object);
    assert_eq!(
        object["spec"],
        json!({
            "replicas": 1, "strategy": {"type": "RollingUpdate"},
            "list": [{"scope": "Cluster"}, {"scope": "N"}], "nullable": null, "map": {"k": {"y": "y"}},
        })
    );
}

#[test]
fn what_is_not_structural_is_refused() {
    let table = [
        (json!({}), "type: Required value: must not be empty at the root"),
        (json!({"type": "string"}), r#"type: Invalid value: "string": must be object at the root"#),
        (
            json!({"type": "object", "properties": {"a": {}}}),
            "properties[a].type: Required value: must not be empty for specified object fields",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array"}}}),
            "properties[a].items: Required value: must be specified",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {}}}}),
            "properties[a].items.type: Required value: must not be empty for specified array items",
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            "additionalProperties: Forbidden: must not be used at the root",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}),
            "properties[a].pattern: Invalid value: \"(\": must be a valid regular expression, but isn't: ",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "integer",
                "anyOf": [{"type": "integer"}]}}}),
            "properties[a].anyOf[0].type: Forbidden: must be empty to be structural",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array",
                "x-kubernetes-list-type": "map", "items": {"type": "object"}}}}),
            "properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}}),
            r#"properties[a].default: Invalid value: "string": "#,
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "text"}}}),
            r#"properties[a].type: Unsupported value: "text": supported values: "array", "boolean""#,
        ),
    ];
    for (schema, expected) in table {
        let found = Schema::compile(&schema).expect_err(expected);
        assert!(found[0].to_string().starts_with(expected), "{} != {expected}", found[0]);
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
