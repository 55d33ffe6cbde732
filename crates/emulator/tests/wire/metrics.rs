//! `PutMetricData` by the unmodified SDK.

use aws_sdk_cloudwatch::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region, SharedHttpClient, retry::RetryConfig},
    error::ProvideErrorMetadata,
    types::{MetricDatum, StandardUnit},
};
use voice_emulator::{ACCESS_KEY_ID, Emulator, EmulatorConfig};

use crate::support::{known_credentials, start, trusting};

fn client(endpoint: String, keys: Credentials, http: Option<SharedHttpClient>) -> Client {
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(keys)
        .endpoint_url(endpoint)
        .retry_config(RetryConfig::disabled());
    config.set_http_client(http);
    Client::from_conf(config.build())
}

fn plain(emulator: &Emulator) -> Client {
    client(emulator.endpoint(), known_credentials(), None)
}

fn datum(value: f64) -> MetricDatum {
    MetricDatum::builder()
        .metric_name("ActiveWebSocketConnections")
        .value(value)
        .unit(StandardUnit::Count)
        .build()
}

/// The code of the error that a request gets.
async fn code(client: &Client, namespace: &str, data: Vec<MetricDatum>) -> Option<String> {
    let request = client.put_metric_data().namespace(namespace).set_metric_data(Some(data));
    let error = request.send().await.expect_err("an error");
    error.code().map(str::to_owned)
}

#[tokio::test]
async fn a_datum_of_the_contract_is_taken() {
    let emulator = start(EmulatorConfig::default());
    let put = plain(&emulator).put_metric_data().namespace("VoiceS2S").metric_data(datum(3.0));
    put.send().await.expect("it is taken");
    let taken = &emulator.observer().metrics().of("ActiveWebSocketConnections")[0];
    assert_eq!((taken.namespace.as_str(), taken.unit.as_str()), ("VoiceS2S", "Count"));
    assert_eq!((&taken.values[..], taken.many), (&[(3.0, 1.0)][..], false));
}

#[tokio::test]
async fn a_large_request_comes_compressed_over_tls() {
    let emulator = start(EmulatorConfig {
        tls_listen: Some(([127, 0, 0, 1], 0).into()),
        ..EmulatorConfig::default()
    });
    let http = trusting(emulator.ca_pem());
    let endpoint = emulator.tls_endpoint().expect("TLS");
    let client = client(endpoint, known_credentials(), Some(http));
    let data = (0..1000).map(|n| datum(f64::from(n))).collect();
    let put = client.put_metric_data().namespace("VoiceS2S").set_metric_data(Some(data));
    put.send().await.expect("it is taken");
    let requests = emulator.observer().metrics().requests();
    assert_eq!((requests[0].taken, requests[0].gzip, requests[0].status), (1000, true, Some(200)));
}

#[tokio::test]
async fn the_sdk_understands_every_refusal() {
    let emulator = start(EmulatorConfig::default());
    let client = plain(&emulator);
    let cases = [
        ("AWS/EC2", vec![datum(1.0)], "InvalidParameterValue"),
        ("VoiceS2S", vec![datum(f64::NAN)], "InvalidParameterValue"),
        ("VoiceS2S", vec![datum(1.0); 1001], "InvalidParameterValue"),
        ("VoiceS2S", vec![], "MissingParameter"),
        (
            "VoiceS2S",
            vec![MetricDatum::builder().metric_name("m").value(1.0).values(1.0).build()],
            "InvalidParameterCombination",
        ),
    ];
    for (namespace, data, expected) in cases {
        assert_eq!(code(&client, namespace, data).await.as_deref(), Some(expected));
    }
    let metrics = emulator.observer().metrics();
    assert!(metrics.data().is_empty(), "all or nothing");
    assert!(metrics.requests().iter().all(|request| request.status == Some(400)));
}

#[tokio::test]
async fn a_signature_of_another_key_or_another_body_is_refused() {
    let emulator = start(EmulatorConfig::default());
    let wrong = Credentials::new(ACCESS_KEY_ID, "wrong", None, None, "test");
    let client_of = |keys| client(emulator.endpoint(), keys, None);
    let refused = code(&client_of(wrong), "VoiceS2S", vec![datum(1.0)]).await;
    assert_eq!(refused.as_deref(), Some("SignatureDoesNotMatch"));
    let unknown = Credentials::new("AKIAUNKNOWN", "x", None, None, "test");
    let refused = code(&client_of(unknown), "VoiceS2S", vec![datum(1.0)]).await;
    assert_eq!(refused.as_deref(), Some("InvalidClientTokenId"));

    // The same request, changed after it was signed.
    let put = plain(&emulator).put_metric_data().namespace("VoiceS2S").metric_data(datum(1.0));
    let tampered = put.customize().interceptor(Tamper).send().await;
    let error = tampered.expect_err("an error");
    assert_eq!(error.code(), Some("SignatureDoesNotMatch"));
    assert!(emulator.observer().metrics().data().is_empty());
}

/// Changes the body on its way out.
#[derive(Debug)]
struct Tamper;

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl aws_sdk_cloudwatch::config::Intercept for Tamper {
    fn name(&self) -> &'static str {
        "tamper"
    }

    fn modify_before_transmit(
        &self,
        context: &mut aws_sdk_cloudwatch::config::interceptors::BeforeTransmitInterceptorContextMut<
            '_,
        >,
        _: &aws_sdk_cloudwatch::config::RuntimeComponents,
        _: &mut aws_sdk_cloudwatch::config::ConfigBag,
    ) -> Result<(), aws_sdk_cloudwatch::error::BoxError> {
        let body = context.request().body().bytes().expect("a body in memory");
        let mut changed = body.to_vec();
        // A letter of the unit; two ends of structures follow it.
        let last = changed.len() - 3;
        changed[last] ^= 1;
        *context.request_mut().body_mut() = changed.into();
        Ok(())
    }
}
