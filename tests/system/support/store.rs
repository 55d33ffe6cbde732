//! An S3 server that nobody here wrote (`s3s-fs`); it checks signatures. It can be away.

use std::{net::SocketAddr, path::PathBuf};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime};
use voice_aws::{Credentials, S3Config, S3Encryption, S3Store};
use voice_s2s::config::{Bucket, Keep, ServerConfig};

/// The keys that it takes.
const KEYS: (&str, &str) = ("AKIDBUCKET", "a-secret-of-the-bucket");

/// The bucket.
const BUCKET: &str = "call-logs";

/// The server, on a thread of its own.
pub(crate) struct Store {
    root: TempDir,
    addr: SocketAddr,
    /// Absent while it is away.
    runtime: Option<Runtime>,
}

impl Store {
    /// With an empty bucket.
    pub(crate) fn start() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(root.path().join(BUCKET)).expect("a bucket");
        let mut store = Self { root, addr: ([127, 0, 0, 1], 0).into(), runtime: None };
        store.come_back();
        store
    }

    /// It does not answer any more; connections are cut.
    pub(crate) fn go_away(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// It answers, at the same address.
    pub(crate) fn come_back(&mut self) {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let listener = std::net::TcpListener::bind(self.addr).expect("its address");
        listener.set_nonblocking(true).expect("non-blocking");
        self.addr = listener.local_addr().expect("its address");
        let files = FileSystem::new(self.root.path()).expect("a file system");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(KEYS.0, KEYS.1));
        let service = service.build();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let http = Builder::new(TokioExecutor::new());
                    let _ = http.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        self.runtime = Some(runtime);
    }

    /// Has a server keep its logs here, below `logs/`.
    pub(crate) fn keep(&self, config: &mut ServerConfig) {
        config.archive.keep = Keep::S3(Bucket {
            name: BUCKET.into(),
            prefix: "logs/".into(),
            endpoint: Some(format!("http://{}", self.addr)),
            ..Bucket::default()
        });
        config.credentials = Self::keys(KEYS.1);
    }

    /// A client of it, as the server has one.
    pub(crate) async fn client(&self) -> S3Store {
        S3Store::new(self.config()).await
    }

    /// What a client of it is made of.
    pub(crate) fn config(&self) -> S3Config {
        S3Config {
            bucket: BUCKET.into(),
            prefix: "logs/".into(),
            region: "us-east-1".into(),
            endpoint: Some(format!("http://{}", self.addr)),
            credentials: Self::keys(KEYS.1),
            encryption: S3Encryption::Bucket,
        }
    }

    /// What an URL of this server stands for, as it is on its disk.
    pub(crate) fn at_url(&self, url: &str) -> Vec<u8> {
        let path = url.strip_prefix(&format!("http://{}/", self.addr));
        let path = path.unwrap_or_else(|| panic!("{url} is no URL of this store"));
        std::fs::read(self.root.path().join(path)).expect("the object")
    }

    /// Keys with this secret.
    pub(crate) fn keys(secret: &str) -> Credentials {
        Credentials::Keys {
            access_key_id: KEYS.0.into(),
            secret_access_key: secret.into(),
            session_token: None,
        }
    }

    /// Where an object is on this server's disk.
    pub(crate) fn file(&self, key: &str) -> PathBuf {
        self.root.path().join(BUCKET).join("logs").join(key)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.go_away();
    }
}
