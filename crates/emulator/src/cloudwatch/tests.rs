//! What CloudWatch takes and what it refuses, request by request.

use ciborium::cbor;

use super::*;

/// A moment in 2026.
fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).expect("a time")
}

fn seconds(since_now: i64) -> Value {
    Value::Tag(1, Box::new(Value::from(1_790_000_000 + since_now)))
}

fn judge(body: Value) -> Result<Vec<TakenDatum>, Fault> {
    take(body, now())
}

/// A request with one datum, changed by what is given.
fn with(changes: &[(&str, Value)]) -> Result<Vec<TakenDatum>, Fault> {
    let mut datum = vec![("MetricName", Value::from("Calls")), ("Value", Value::from(1.5))];
    for (name, held) in changes {
        datum.retain(|(member, _)| member != name);
        datum.push((name, held.clone()));
    }
    let datum = datum.into_iter().filter(|(_, held)| !held.is_null());
    let datum = Value::Map(datum.map(|(name, held)| (Value::from(name), held)).collect());
    judge(Value::Map(vec![
        (Value::from("Namespace"), Value::from("VoiceS2S")),
        (Value::from("MetricData"), Value::Array(vec![datum])),
    ]))
}

fn kind(changes: &[(&str, Value)]) -> FaultKind {
    with(changes).expect_err("a fault").kind
}

fn numbers(numbers: impl IntoIterator<Item = f64>) -> Value {
    Value::Array(numbers.into_iter().map(Value::from).collect())
}

#[test]
fn a_datum_is_taken_with_what_it_says_and_what_it_leaves_out() {
    let plain = &with(&[]).expect("taken")[0];
    assert_eq!((plain.unit.as_str(), plain.storage_resolution, plain.many), ("None", 60, false));
    assert_eq!((plain.at, plain.sum(), plain.sample_count()), (now(), 1.5, 1.0));
    let dimension = cbor!({"Name" => "Service", "Value" => "voice"}).expect("CBOR");
    let full = with(&[
        ("Value", Value::Null),
        ("Values", numbers([0.5, 2.0])),
        ("Counts", numbers([3.0, 1.0])),
        ("Timestamp", seconds(-60)),
        ("Dimensions", Value::Array(vec![dimension])),
        ("Unit", Value::from("Seconds")),
        ("StorageResolution", Value::from(1)),
    ]);
    let full = &full.expect("taken")[0];
    assert_eq!(full.values, [(0.5, 3.0), (2.0, 1.0)]);
    assert_eq!((full.sum(), full.sample_count(), full.storage_resolution), (3.5, 4.0, 1));
    assert_eq!(now().duration_since(full.at), SignedDuration::from_secs(60));
    assert_eq!(full.dimensions["Service"], "voice");
}

#[test]
fn the_limits_of_the_api_hold() {
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e109] {
        assert_eq!(kind(&[("Value", Value::from(wrong))]), FaultKind::Value, "{wrong}");
    }
    assert!(with(&[("Value", Value::Null), ("Values", numbers([1.0; 150]))]).is_ok());
    let too_many = [("Value", Value::Null), ("Values", numbers([1.0; 151]))];
    assert_eq!(kind(&too_many), FaultKind::Value);
    let dimensions = |n: usize| {
        let one = |n| cbor!({"Name" => format!("d{n}"), "Value" => "x"}).expect("CBOR");
        Value::Array((0..n).map(one).collect())
    };
    assert!(with(&[("Dimensions", dimensions(30))]).is_ok());
    assert_eq!(kind(&[("Dimensions", dimensions(31))]), FaultKind::Value);
    for empty in ["", " "] {
        let blank = cbor!([{"Name" => "d", "Value" => empty}]).expect("CBOR");
        assert_eq!(kind(&[("Dimensions", blank)]), FaultKind::Value);
    }
    let data = |n: usize| {
        let one = cbor!({"MetricName" => "m", "Value" => 1.0}).expect("CBOR");
        let data = Value::Array(vec![one; n]);
        judge(cbor!({"Namespace" => "N", "MetricData" => data}).expect("CBOR"))
    };
    assert_eq!(data(1000).expect("taken").len(), 1000);
    assert_eq!(data(1001).expect_err("too many").kind, FaultKind::Value);
    assert_eq!(data(0).expect_err("nothing").kind, FaultKind::Missing);
}

#[test]
fn times_are_from_two_weeks_ago_to_two_hours_ahead() {
    let (two_weeks, two_hours) = (14 * 86_400, 2 * 3600);
    for taken in [-two_weeks, 0, two_hours] {
        assert!(with(&[("Timestamp", seconds(taken))]).is_ok(), "{taken}");
    }
    for refused in [-two_weeks - 1, two_hours + 1] {
        assert_eq!(kind(&[("Timestamp", seconds(refused))]), FaultKind::Value, "{refused}");
    }
    assert_eq!(kind(&[("Timestamp", Value::from(1))]), FaultKind::Serialization, "no tag");
}

#[test]
fn one_value_or_many_but_not_both_and_not_neither() {
    assert_eq!(kind(&[("Values", numbers([1.0]))]), FaultKind::Combination);
    assert_eq!(kind(&[("Counts", numbers([1.0]))]), FaultKind::Combination);
    assert_eq!(kind(&[("Value", Value::Null)]), FaultKind::Missing);
    let uneven =
        [("Value", Value::Null), ("Values", numbers([1.0])), ("Counts", numbers([1.0, 1.0]))];
    assert_eq!(kind(&uneven), FaultKind::Value);
    let none = [("Value", Value::Null), ("Values", numbers([]))];
    assert_eq!(kind(&none), FaultKind::Missing);
    let never = [("Value", Value::Null), ("Values", numbers([1.0])), ("Counts", numbers([0.0]))];
    assert_eq!(kind(&never), FaultKind::Value);
}

#[test]
fn names_and_words_are_those_of_the_api() {
    let put = |namespace: &str| {
        let data = cbor!([{"MetricName" => "m", "Value" => 1.0}]).expect("CBOR");
        judge(cbor!({"Namespace" => namespace, "MetricData" => data}).expect("CBOR"))
    };
    assert!(put("VoiceS2S").is_ok() && put("a/b-c.d_e#f: g").is_ok());
    for wrong in ["", ":x", "AWS/EC2", "ümlaut"] {
        assert_eq!(put(wrong).expect_err(wrong).kind, FaultKind::Value, "{wrong}");
    }
    assert_eq!(kind(&[("Unit", Value::from("count"))]), FaultKind::Value);
    assert_eq!(kind(&[("StorageResolution", Value::from(10))]), FaultKind::Value);
    assert_eq!(kind(&[("MetricName", Value::Null)]), FaultKind::Missing);
    assert_eq!(kind(&[("Vaule", Value::from(1.0))]), FaultKind::Serialization);
    for junk in [Value::Null, Value::from(1), Value::from("{}"), Value::Array(vec![])] {
        assert_eq!(judge(junk).expect_err("junk").kind, FaultKind::Serialization);
    }
}
