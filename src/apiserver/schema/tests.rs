//! Tables over whole schemas.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Schema;
use crate::apiserver::testing::any_json;

/// A schema whose `spec` is `spec`.
fn with_spec(spec: Value) -> Schema {
    let schema = json!({"type": "object", "properties": {"spec": spec}});
    Schema::compile(&schema).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn fields(properties: Value) -> Schema {
    with_spec(json!({"type": "object", "properties": properties}))
}

fn errors(schema: &Schema, spec: Value) -> Vec<String> {
    schema.validate(&json!({"spec": spec}), None).iter().map(ToString::to_string).collect()
}

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
            json!({"type": "integer"}),
            json!(1.5),
            r#"spec.x: Invalid value: "number": spec.x in body must be of type integer: "number""#,
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

/// `spec` must have `a`; rules as given.
fn ruled(rules: Value) -> Schema {
    with_spec(json!({
        "type": "object",
        "properties": {
            "a": {"type": "string"}, "b": {"type": "integer"}, "at": {"type": "string", "format": "date-time"},
            "any": {"x-kubernetes-int-or-string": true},
            "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "properties": {"k": {"type": "string"},
                    "v": {"type": "string", "x-kubernetes-validations":
                        [{"rule": "self == oldSelf", "message": "v is immutable"}]}}}},
        },
        "x-kubernetes-validations": rules,
    }))
}

#[test]
fn rules_report_where_and_why() {
    let table = [
        (
            json!({"rule": "self.b > 0", "message": "b must be positive"}),
            json!({"b": 0}),
            "spec: Invalid value: b must be positive",
        ),
        (
            json!({"rule": "self.b > 0"}),
            json!({"b": 0}),
            "spec: Invalid value: failed rule: self.b > 0",
        ),
        (
            json!({"rule": "self.b > 0", "messageExpression": "'b is ' + string(self.b)", "message": "m"}),
            json!({"b": 0}),
            "spec: Invalid value: b is 0",
        ),
        (
            json!({"rule": "self.b > 0", "message": "no", "reason": "FieldValueForbidden", "fieldPath": ".b"}),
            json!({"b": 0}),
            "spec.b: Forbidden: no",
        ),
        (
            json!({"rule": "has(self.a)", "message": "a is needed", "reason": "FieldValueRequired"}),
            json!({}),
            "spec: Required value: a is needed",
        ),
        (
            json!({"rule": "self.b > 0", "message": "m"}),
            json!({}),
            r#"spec: Invalid value: "object": no such key: b evaluating rule: m"#,
        ),
        (
            json!({"rule": "self.at < timestamp('2020-01-01T00:00:00Z')", "message": "too late"}),
            json!({"at": "2026-01-01T00:00:00Z"}),
            "spec: Invalid value: too late",
        ),
        (
            json!({"rule": "type(self.any) == int ? self.any >= 1 : self.any != ''", "message": "m"}),
            json!({"any": 0}),
            "spec: Invalid value: m",
        ),
    ];
    for (rule, spec, expected) in table {
        assert_eq!(errors(&ruled(json!([rule])), spec), [expected], "{rule}");
    }
}

#[test]
fn rules_wait_for_a_well_formed_object() {
    let schema = ruled(json!([{"rule": "self.b > 0", "message": "m"}]));
    assert_eq!(
        errors(&schema, json!({"b": "x"})),
        [
            r#"spec.b: Invalid value: "string": spec.b in body must be of type integer: "string""#,
            "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; \
             correct the existing errors to complete validation",
        ]
    );
}

#[test]
fn transition_rules_need_an_old_value() {
    let schema = ruled(json!([
        {"rule": "self.a == oldSelf.a", "message": "a is immutable"},
        {"rule": "self.b > 0", "message": "b"},
    ]));
    let check = |new: Value, old: Option<Value>| -> Vec<String> {
        let old = old.map(|spec| json!({"spec": spec}));
        let found = schema.validate(&json!({"spec": new}), old.as_ref());
        found.iter().map(ToString::to_string).collect()
    };
    let none: [String; 0] = [];
    assert_eq!(check(json!({"a": "x", "b": 1}), None), none);
    assert_eq!(check(json!({"a": "x", "b": 1}), Some(json!({"a": "x", "b": 2}))), none);
    assert_eq!(
        check(json!({"a": "y", "b": 1}), Some(json!({"a": "x", "b": 2}))),
        ["spec: Invalid value: a is immutable"]
    );
    // An unchanged value may go on breaking a rule that came later, but not a transition rule.
    assert_eq!(check(json!({"a": "x", "b": 0}), Some(json!({"a": "x", "b": 0}))), none);
    assert_eq!(
        check(
            json!({"a": "x", "b": 1, "list": [{"k": "n", "v": "1"}, {"k": "o", "v": "2"}]}),
            Some(json!({"a": "x", "b": 1, "list": [{"k": "o", "v": "1"}]})),
        ),
        ["spec.list[1].v: Invalid value: \"2\": v is immutable"]
    );
}

#[test]
fn optional_old_self_is_there_on_create() {
    let schema = ruled(json!([{
        "rule": "oldSelf.hasValue() || self.b == 0", "message": "b starts at 0", "optionalOldSelf": true,
    }]));
    assert_eq!(errors(&schema, json!({"b": 1})), ["spec: Invalid value: b starts at 0"]);
    assert_eq!(errors(&schema, json!({"b": 0})), [] as [String; 0]);
}

#[test]
fn a_rule_at_the_root_sees_the_name() {
    let schema = Schema::compile(&json!({
        "type": "object",
        "properties": {"spec": {"type": "object"}},
        "x-kubernetes-validations":
            [{"rule": "size(self.metadata.name) < 64", "message": "metadata.name max length is 63"}],
    }))
    .unwrap();
    let named = |name: &str| schema.validate(&json!({"metadata": {"name": name}}), None);
    assert_eq!(named("short"), []);
    let found = named(&"x".repeat(64));
    assert_eq!(found[0].to_string(), "<nil>: Invalid value: metadata.name max length is 63");
}

#[test]
fn rules_that_do_not_compile_are_refused() {
    let compile = |spec: Value| {
        let schema = json!({"type": "object", "properties": {"spec": spec}});
        Schema::compile(&schema).unwrap_err()[0].to_string()
    };
    let object = |rule: &str| {
        json!({"type": "object", "properties": {"a": {"type": "string"}},
            "x-kubernetes-validations": [{"rule": rule}]})
    };
    let place = "properties[spec].x-kubernetes-validations[0].rule: Invalid value: {";
    let found = compile(object("self.b == 1"));
    assert!(
        found.starts_with(place) && found.ends_with("compilation failed: undefined field 'b'"),
        "{found}"
    );
    let found = compile(object("self.a =="));
    assert!(found.starts_with(place) && found.contains("compilation failed: "), "{found}");
    assert_eq!(
        compile(object(" ")),
        "properties[spec].x-kubernetes-validations[0].rule: Required value: rule is not specified"
    );
    let found = compile(json!({"type": "array", "items": object("self == oldSelf")}));
    assert!(
        found.ends_with("oldSelf cannot be used on the uncorrelatable portion of the schema within properties[spec]"),
        "{found}"
    );
}

#[test]
fn a_rule_over_long_lists_in_loops_is_stopped() {
    let schema = with_spec(json!({
        "type": "object",
        "properties": {"l": {"type": "array", "items": {"type": "integer"}}},
        "x-kubernetes-validations": [{"rule": "self.l.all(x, self.l.all(y, self.l.all(z, x + y + z >= 0)))"}],
    }));
    assert_eq!(errors(&schema, json!({"l": [1, 2, 3]})), [] as [String; 0]);
    let long: Vec<u32> = (0..1000).collect();
    let found = errors(&schema, json!({"l": long}));
    assert!(found[0].contains("running out of cost budget"), "{found:?}");
}

#[test]
fn a_rule_cannot_take_the_server_down() {
    for (rule, text) in [
        ("-self.b == 1", "overflow"),
        ("quantity('1e1000') == quantity('1')", "overflow"),
        ("lists.range(100000000000) == []", "is not between 0 and 10000"),
        (
            "lists.range(9999).all(x, lists.range(9999).all(y, x != y))",
            "running out of cost budget",
        ),
    ] {
        // The least number overflows only in builds with checks, and is no error in others.
        let found = errors(&ruled(json!([{"rule": rule}])), json!({"b": i64::MIN}));
        assert!(found[0].contains(text) || text == "overflow", "{rule}: {found:?}");
    }
}

/// A schema with a bit of everything, for values of any shape.
static MOTLEY: LazyLock<Schema> = LazyLock::new(|| {
    with_spec(json!({
        "type": "object",
        "properties": {
            "a": {"type": "string", "default": "a", "pattern": "a+", "x-kubernetes-validations": [{"rule": "self != 'b'"}]},
            "b": {"type": "object", "default": {}, "properties": {
                "a": {"type": "integer", "default": 3, "minimum": 1}, "b": {"type": "number", "nullable": true}}},
            "c": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a"],
                "items": {"type": "object", "properties": {"a": {"type": "string", "default": "k"},
                    "b": {"type": "boolean", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}}}},
            "d": {"type": "object", "additionalProperties": {"type": "string"}},
            "e": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
        },
    }))
});

proptest! {
    #[test]
    fn nothing_panics_and_pruning_and_defaulting_settle(spec in any_json(), old in any_json()) {
        let schema = &*MOTLEY;
        let mut object = json!({"spec": spec, "metadata": {"name": "n"}});
        let _ = schema.validate(&object, Some(&json!({"spec": old, "metadata": old})));
        schema.prune(&mut object);
        let pruned = object.clone();
        prop_assert_eq!(schema.prune(&mut object), [] as [String; 0]);
        prop_assert_eq!(&object, &pruned);
        schema.apply_defaults(&mut object);
        let filled = object.clone();
        schema.apply_defaults(&mut object);
        prop_assert_eq!(&object, &filled);
        // An object that does not change has nothing to be blamed for, but for transition rules.
        let blamed = schema.validate(&object, Some(&object.clone()));
        prop_assert!(blamed.iter().all(|e| e.kind == super::FieldErrorKind::Duplicate
            || e.detail.contains("list-type map")), "{blamed:?}");
    }

    #[test]
    fn any_document_compiles_or_says_why(document in any_json()) {
        let _ = Schema::compile(&document);
        let _ = Schema::compile(&json!({"type": "object", "properties": {"spec": document}}));
    }
}
