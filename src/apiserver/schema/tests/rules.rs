//! Rules in CEL: what they say, when they are asked, and that they cannot do harm.

use serde_json::{Value, json};

use super::{Schema, errors, with_spec};

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
