//! Whether a dashboard is what Grafana takes: `grafana/schema.json` is derived from the types that Grafana publishes,
//! and `grafana/units.txt` from its units (`grafana/derive.sh`). The checker knows the words of JSON Schema that occur
//! there, and refuses others.

use serde_json::Value;

const SCHEMA: &str = include_str!("grafana/schema.json");
const UNITS: &str = include_str!("grafana/units.txt");

/// Words that say nothing about validity.
const SILENT: &[&str] = &["$comment", "deprecated", "default"];

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        other => panic!("the schema has a type {other}"),
    }
}

/// What is wrong with `value`, with the place in front.
fn check(schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
    let rules = schema.as_object().expect("a schema is an object");
    for (word, rule) in rules {
        match word.as_str() {
            "type" => {
                let kinds = match rule {
                    Value::Array(kinds) => kinds.as_slice(),
                    kind => std::slice::from_ref(kind),
                };
                if !kinds.iter().any(|kind| is_of(value, kind.as_str().expect("a type's name"))) {
                    faults.push(format!("{place}: no {rule}: {value}"));
                }
            }
            "enum" => {
                let values = rule.as_array().expect("a list of values");
                if !values.contains(value) {
                    faults.push(format!("{place}: none of {rule}: {value}"));
                }
            }
            "const" => {
                if rule != value {
                    faults.push(format!("{place}: not {rule}: {value}"));
                }
            }
            "anyOf" => any_of(rule.as_array().expect("a list of schemas"), value, place, faults),
            "items" => {
                for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(rule, item, &format!("{place}/{at}"), faults);
                }
            }
            "required" => {
                let missing =
                    rule.as_array().expect("a list of names").iter().filter(|name| {
                        value.is_object() && value.get(name.as_str().expect("a name")).is_none()
                    });
                faults.extend(missing.map(|name| format!("{place}: lacks {name}")));
            }
            "properties" | "additionalProperties" => {}
            other => assert!(SILENT.contains(&other), "the schema has a word {other} at {place}"),
        }
    }
    let known = rules.get("properties").and_then(Value::as_object);
    for (name, member) in value.as_object().into_iter().flatten() {
        let below = format!("{place}/{name}");
        match (known.and_then(|known| known.get(name)), rules.get("additionalProperties")) {
            (Some(schema), _) => check(schema, member, &below, faults),
            (None, Some(Value::Bool(false))) => faults.push(format!("{below}: Grafana has no such field")),
            (None, Some(schema @ Value::Object(_))) => check(schema, member, &below, faults),
            (None, _) => {}
        }
    }
}

/// One of the schemas must fit. If none does, the faults are those of the one that fits best.
fn any_of(schemas: &[Value], value: &Value, place: &str, faults: &mut Vec<String>) {
    let tried = schemas.iter().map(|schema| {
        let mut faults = Vec::new();
        check(schema, value, place, &mut faults);
        faults
    });
    faults.extend(tried.min_by_key(Vec::len).into_iter().flatten());
}

/// What Grafana would not take, or silently leave out.
pub fn faults(dashboard: &Value) -> Vec<String> {
    let schema: Value = serde_json::from_str(SCHEMA).expect("the schema is JSON");
    let mut faults = Vec::new();
    check(&schema, dashboard, "", &mut faults);
    for panel in dashboard["panels"].as_array().into_iter().flatten() {
        let unit = panel["fieldConfig"]["defaults"]["unit"].as_str();
        let strange = unit.filter(|unit| !UNITS.lines().any(|known| known == *unit));
        faults.extend(strange.map(|unit| format!("{}: Grafana has no unit {unit}", panel["title"])));
    }
    faults
}

#[test]
fn faults_are_found() {
    let good: Value =
        serde_json::from_str(&crate::delivered("grafana/dashboards/sentineledge.json")).unwrap();
    let spoilt = |place: &str, value: Value| {
        let mut dashboard = good.clone();
        *dashboard.pointer_mut(place).unwrap_or_else(|| panic!("no {place}")) = value;
        faults(&dashboard)
    };
    let lines = good["panels"].as_array().unwrap().iter().position(|p| p["type"] == "timeseries").unwrap();
    let at = |rest: &str| format!("/panels/{lines}/{rest}");
    assert_eq!(spoilt(&at("type"), "timeserie".into()).len(), 1);
    assert_eq!(spoilt(&at("fieldConfig/defaults/unit"), "byte".into()).len(), 1);
    assert_eq!(spoilt(&at("fieldConfig/defaults/custom"), serde_json::json!({ "lineWith": 1 })).len(), 1);
    assert_eq!(spoilt(&at("options/legend/placement"), "left".into()).len(), 1);
    assert_eq!(spoilt(&at("targets/0"), serde_json::json!({ "refId": "A" })).len(), 2);
    assert_eq!(spoilt("/schemaVersion", "42".into()).len(), 1);
    assert_eq!(spoilt("/templating/list/0/type", "source".into()).len(), 1);
}
