//! A bucket as a store of session logs and recordings, on `aws-sdk-s3`.
//!
//! Keys, encryption and the sorting of faults; when to try again is the spool's business
//! (`voice-archive`), beyond the few quick attempts that the SDK makes by itself. Built by
//! `src/wiring.rs`.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart, ServerSideEncryption},
};
use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream};
use voice_archive::store::{FaultKind, Listing, Object, ObjectStore, StoreFault, Upload};

use crate::{
    config::{Credentials, shared_config},
    words::words_of,
};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest wait for one attempt. A part of a recording has 8 MiB.
const ATTEMPT: Duration = Duration::from_secs(50);

/// Which bucket, and how to use it.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// Its name.
    pub bucket: String,
    /// What keys begin with; empty or with a `/` at its end.
    pub prefix: String,
    /// Its region.
    pub region: String,
    /// Where S3 is, instead of the region's endpoint; addressed by path then.
    pub endpoint: Option<String>,
    /// Who signs.
    pub credentials: Credentials,
    /// Encryption.
    pub encryption: S3Encryption,
}

/// Server-side encryption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum S3Encryption {
    /// As the bucket does by itself.
    Bucket,
    /// SSE-S3.
    S3,
    /// SSE-KMS with this key, by a bucket key.
    Kms(String),
}

/// The bucket.
#[derive(Debug, Clone)]
pub struct S3Store {
    client: Client,
    config: S3Config,
}

impl S3Store {
    /// Builds the client; nobody on the network is asked yet.
    pub async fn new(config: S3Config) -> Self {
        let sdk = shared_config(&config.region, &config.credentials).await;
        let mut builder = aws_sdk_s3::config::Builder::from(&sdk)
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(config.region.clone()))
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .operation_attempt_timeout(ATTEMPT)
                    .build(),
            );
        if let Some(endpoint) = &config.endpoint {
            builder = builder.endpoint_url(endpoint);
        }
        // Whatever stands in for S3 has no host name for each bucket.
        let is_elsewhere = config.endpoint.is_some() || sdk.endpoint_url().is_some();
        let client = Client::from_conf(builder.force_path_style(is_elsewhere).build());
        Self { client, config }
    }

    /// Puts a small object in one go, from memory.
    ///
    /// # Errors
    /// [`StoreFault`] when the store does not take it.
    pub async fn put_bytes(
        &self,
        key: &str,
        content_type: &str,
        content: Bytes,
    ) -> Result<(), StoreFault> {
        let (encryption, key_id, bucket_key) = self.encryption();
        let put = self
            .client
            .put_object()
            .bucket(&self.config.bucket)
            .key(self.key(key))
            .content_type(content_type)
            .set_server_side_encryption(encryption)
            .set_ssekms_key_id(key_id)
            .set_bucket_key_enabled(bucket_key)
            .body(ByteStream::from(content));
        put.send().await.map(drop).map_err(|error| fault(&error))
    }

    /// The URL of an object, as other services of AWS take it: no query, no signature. `key` has
    /// to be of characters that need no escape.
    pub fn url(&self, key: &str) -> String {
        let S3Config { bucket, region, endpoint, .. } = &self.config;
        let key = self.key(key);
        match endpoint {
            Some(endpoint) => format!("{}/{bucket}/{key}", endpoint.trim_end_matches('/')),
            None => format!("https://{bucket}.s3.{region}.amazonaws.com/{key}"),
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.config.prefix)
    }

    fn encryption(&self) -> (Option<ServerSideEncryption>, Option<String>, Option<bool>) {
        match &self.config.encryption {
            S3Encryption::Bucket => (None, None, None),
            S3Encryption::S3 => (Some(ServerSideEncryption::Aes256), None, None),
            S3Encryption::Kms(key) => {
                (Some(ServerSideEncryption::AwsKms), Some(key.clone()), Some(true))
            }
        }
    }
}

impl ObjectStore for S3Store {
    fn put(
        &self,
        key: String,
        content_type: &'static str,
        file: PathBuf,
    ) -> BoxFuture<'_, Result<(), StoreFault>> {
        Box::pin(async move {
            let (encryption, key_id, bucket_key) = self.encryption();
            self.client
                .put_object()
                .bucket(&self.config.bucket)
                .key(self.key(&key))
                .content_type(content_type)
                .set_server_side_encryption(encryption)
                .set_ssekms_key_id(key_id)
                .set_bucket_key_enabled(bucket_key)
                .body(read(file).await?)
                .send()
                .await
                .map(|_| ())
                .map_err(|error| fault(&error))
        })
    }

    fn get(
        &self,
        key: String,
        range: Option<RangeInclusive<u64>>,
    ) -> BoxFuture<'_, Result<Option<Object>, StoreFault>> {
        Box::pin(async move {
            let range = range.map(|range| format!("bytes={}-{}", range.start(), range.end()));
            let answer = self
                .client
                .get_object()
                .bucket(&self.config.bucket)
                .key(self.key(&key))
                .set_range(range)
                .send()
                .await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) if error.code() == Some("NoSuchKey") => return Ok(None),
                Err(error) => return Err(fault(&error)),
            };
            // `bytes 0-9/100` says how large the whole is.
            let of_range = answer.content_range().and_then(|range| range.rsplit_once('/'));
            let whole = of_range.and_then(|(_, size)| size.parse().ok());
            let length = answer.content_length().and_then(|length| u64::try_from(length).ok());
            let size = whole.or(length).unwrap_or(0);
            let body = stream::unfold(answer.body, |mut body| async move {
                let chunk = body.next().await?.map_err(std::io::Error::other);
                Some((chunk, body))
            });
            Ok(Some(Object { size, body: body.boxed() }))
        })
    }

    fn list(&self, folder: String) -> BoxFuture<'_, Result<Listing, StoreFault>> {
        Box::pin(async move {
            let slash = if folder.is_empty() { "" } else { "/" };
            let prefix = self.key(&format!("{folder}{slash}"));
            let mut pages = self
                .client
                .list_objects_v2()
                .bucket(&self.config.bucket)
                .prefix(&prefix)
                .delimiter("/")
                .into_paginator()
                .send();
            let mut listing = Listing::default();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| fault(&error))?;
                let name = |key: &str| key.strip_prefix(&prefix).map(str::to_owned);
                let folders = page.common_prefixes().iter().filter_map(|folder| folder.prefix());
                listing.folders.extend(
                    folders.filter_map(name).map(|folder| folder.trim_end_matches('/').to_owned()),
                );
                let objects = page.contents().iter().filter_map(|object| object.key());
                listing.objects.extend(objects.filter_map(name).filter(|name| !name.is_empty()));
            }
            listing.folders.sort();
            listing.objects.sort();
            Ok(listing)
        })
    }

    fn delete(&self, key: String) -> BoxFuture<'_, Result<(), StoreFault>> {
        Box::pin(async move {
            let request = self.client.delete_object().bucket(&self.config.bucket);
            let deleted = request.key(self.key(&key)).send().await;
            deleted.map(|_| ()).map_err(|error| fault(&error))
        })
    }

    fn begin(
        &self,
        key: String,
        content_type: &'static str,
    ) -> BoxFuture<'_, Result<String, StoreFault>> {
        Box::pin(async move {
            let (encryption, key_id, bucket_key) = self.encryption();
            let begun = self
                .client
                .create_multipart_upload()
                .bucket(&self.config.bucket)
                .key(self.key(&key))
                .content_type(content_type)
                .set_server_side_encryption(encryption)
                .set_ssekms_key_id(key_id)
                .set_bucket_key_enabled(bucket_key)
                .send()
                .await
                .map_err(|error| fault(&error))?;
            begun.upload_id.ok_or_else(|| StoreFault::new(FaultKind::Other, "no upload id"))
        })
    }

    fn put_part(
        &self,
        upload: Upload,
        number: u32,
        file: PathBuf,
    ) -> BoxFuture<'_, Result<String, StoreFault>> {
        Box::pin(async move {
            let put = self
                .client
                .upload_part()
                .bucket(&self.config.bucket)
                .key(self.key(&upload.key))
                .upload_id(upload.id)
                .part_number(part_number(number))
                .body(read(file).await?)
                .send()
                .await
                .map_err(|error| fault(&error))?;
            put.e_tag.ok_or_else(|| StoreFault::new(FaultKind::Other, "a part without an ETag"))
        })
    }

    fn complete(
        &self,
        upload: Upload,
        parts: Vec<String>,
    ) -> BoxFuture<'_, Result<(), StoreFault>> {
        Box::pin(async move {
            let parts = (1..).zip(parts).map(|(number, tag)| {
                CompletedPart::builder().part_number(part_number(number)).e_tag(tag).build()
            });
            let parts =
                CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
            self.client
                .complete_multipart_upload()
                .bucket(&self.config.bucket)
                .key(self.key(&upload.key))
                .upload_id(upload.id)
                .multipart_upload(parts)
                .send()
                .await
                .map(|_| ())
                .map_err(|error| fault(&error))
        })
    }

    fn abort(&self, upload: Upload) -> BoxFuture<'_, Result<(), StoreFault>> {
        Box::pin(async move {
            let request = self.client.abort_multipart_upload().bucket(&self.config.bucket);
            let request = request.key(self.key(&upload.key)).upload_id(upload.id);
            match request.send().await.map_err(|error| fault(&error)) {
                Err(fault) if fault.kind == FaultKind::NoUpload => Ok(()),
                other => other.map(|_| ()),
            }
        })
    }

    fn describe(&self) -> String {
        format!("s3://{}/{}", self.config.bucket, self.config.prefix)
    }
}

/// Parts are few: a day of talk has a thousand.
fn part_number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

async fn read(file: PathBuf) -> Result<ByteStream, StoreFault> {
    // Read again for each attempt, and never as a whole.
    ByteStream::from_path(&file)
        .await
        .map_err(|error| StoreFault::new(FaultKind::Other, format!("{}: {error}", file.display())))
}

fn fault<E>(error: &SdkError<E>) -> StoreFault
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let kind = match (error, error.code(), status) {
        (SdkError::DispatchFailure(_) | SdkError::TimeoutError(_), _, _) => FaultKind::Unavailable,
        // Nobody gave us credentials.
        (SdkError::ConstructionFailure(_), _, _) => FaultKind::Denied,
        (_, Some("NoSuchBucket"), _) => FaultKind::Missing,
        (_, Some("NoSuchUpload"), _) => FaultKind::NoUpload,
        (_, _, Some(401 | 403)) => FaultKind::Denied,
        (_, _, Some(429 | 500..=599)) => FaultKind::Unavailable,
        (SdkError::ResponseError(_), _, _) => FaultKind::Unavailable,
        _ => FaultKind::Other,
    };
    StoreFault::new(kind, words_of(error))
}
