//! CloudWatch: what is put arrives as it was meant, and every fault is known for what it is.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

use std::time::{Duration, SystemTime};

use voice_aws::{CloudWatch, CloudWatchConfig, CloudWatchFaultKind as Kind, Credentials};
use voice_call::Spectrum;
use voice_emulator::{
    CloudWatchFault, CloudWatchFaultKind as Fault, Emulator, EmulatorConfig, FaultScope,
};
use voice_metrics::{Datum, Figure, Unit};

fn emulator(faults: &[Fault]) -> Emulator {
    let mut config = EmulatorConfig::default();
    let fault = |(n, kind): (usize, &Fault)| CloudWatchFault {
        kind: *kind,
        scope: FaultScope::Nth(u32::try_from(n).unwrap() + 1),
    };
    config.cloudwatch.faults = faults.iter().enumerate().map(fault).collect();
    Emulator::start(config).unwrap()
}

async fn cloudwatch(endpoint: String, secret: &str) -> CloudWatch {
    let credentials = Credentials::Keys {
        access_key_id: voice_emulator::ACCESS_KEY_ID.into(),
        secret_access_key: secret.into(),
        session_token: None,
    };
    let (region, namespace) = ("eu-west-1".into(), "VoiceS2S".into());
    let config = CloudWatchConfig { region, endpoint: Some(endpoint), credentials, namespace };
    CloudWatch::new(config).await.unwrap()
}

fn datum(figure: Figure) -> Datum {
    Datum {
        name: "TurnFirstAudio",
        dimensions: vec![("Environment", "test".into())],
        at: SystemTime::now(),
        figure,
        unit: Unit::Seconds,
        high_resolution: false,
    }
}

async fn put(emulator: &Emulator, data: &[Datum]) -> Result<(), Kind> {
    let cloudwatch = cloudwatch(emulator.endpoint(), voice_emulator::SECRET_ACCESS_KEY).await;
    cloudwatch.put(data).await.map_err(|fault| fault.kind)
}

#[tokio::test]
async fn a_full_request_of_wide_distributions_arrives_compressed_and_whole() {
    let emulator = emulator(&[]);
    let mut waits = Spectrum::default();
    (0..200_000).for_each(|ms| waits.observe(f64::from(ms) / 1000.0));
    let data = vec![datum(Figure::Waits(waits.clone())); 500];
    assert_eq!(put(&emulator, &data).await, Ok(()));
    let metrics = emulator.observer().metrics();
    let requests = metrics.requests();
    assert_eq!((requests.len(), requests[0].taken, requests[0].gzip), (1, 500, true));
    let taken = &metrics.data()[0];
    let expected: Vec<(f64, f64)> = waits.values().map(|(value, n)| (value, n as f64)).collect();
    assert_eq!(taken.values, expected);
    assert_eq!(taken.sample_count(), 200_000.0);
    assert_eq!(taken.dimensions["Environment"], "test");
    let age = jiff::Timestamp::now().duration_since(taken.at);
    assert!(age.abs() < jiff::SignedDuration::from_secs(60), "its time is its own: {age:?}");
}

#[tokio::test]
async fn what_is_no_number_is_never_sent() {
    let emulator = emulator(&[]);
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|odd| datum(Figure::Gauge(odd)));
    let data: Vec<Datum> = odd.into_iter().chain([datum(Figure::Added(2.0))]).collect();
    assert_eq!(put(&emulator, &data).await, Ok(()));
    assert_eq!(emulator.observer().metrics().data().len(), 1);
}

#[tokio::test]
async fn every_fault_is_known_for_what_it_is() {
    let kinds = [
        (Fault::Throttling, Kind::Throttled),
        (Fault::InternalService, Kind::Unavailable),
        (Fault::AccessDenied, Kind::Denied),
        (Fault::Cut, Kind::Unanswered),
        (Fault::TakeAndCut, Kind::Unanswered),
    ];
    let emulator = emulator(&kinds.map(|(fault, _)| fault));
    for (fault, kind) in kinds {
        assert_eq!(put(&emulator, &[datum(Figure::Gauge(1.0))]).await, Err(kind), "{fault:?}");
    }
    assert_eq!(put(&emulator, &[datum(Figure::Gauge(1.0))]).await, Ok(()));
    assert_eq!(put(&emulator, &[]).await, Err(Kind::Invalid));
    let long_ago = SystemTime::now() - Duration::from_secs(15 * 86_400);
    let late = Datum { at: long_ago, ..datum(Figure::Gauge(1.0)) };
    assert_eq!(put(&emulator, &[late]).await, Err(Kind::Invalid));
}

#[tokio::test]
async fn a_wrong_secret_is_denied_and_a_closed_port_is_unreachable() {
    let emulator = emulator(&[]);
    let put = async |cloudwatch: CloudWatch| {
        cloudwatch.put(&[datum(Figure::Gauge(1.0))]).await.unwrap_err()
    };
    let wrong = put(cloudwatch(emulator.endpoint(), "wrong").await).await;
    assert_eq!(wrong.kind, Kind::Denied);
    assert!(wrong.message.starts_with("SignatureDoesNotMatch"), "{wrong}");
    let endpoint = emulator.endpoint();
    emulator.shutdown();
    let gone = put(cloudwatch(endpoint, voice_emulator::SECRET_ACCESS_KEY).await).await;
    assert_eq!(gone.kind, Kind::Unreachable, "{gone}");
}
