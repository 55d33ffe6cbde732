//! The faults that the stand-in for Amazon CloudWatch can be told to have.

use super::FaultScope;

/// How the stand-in for CloudWatch behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CloudWatchConfig {
    /// Faults to inject.
    pub faults: Vec<CloudWatchFault>,
}

/// One fault of `PutMetricData`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudWatchFault {
    /// What happens.
    pub kind: CloudWatchFaultKind,
    /// Which requests it strikes, counted from 1; those that were refused for their signature
    /// count too.
    pub scope: FaultScope,
}

/// What a fault of `PutMetricData` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudWatchFaultKind {
    /// 400 `Throttling`: more requests than the account may make.
    Throttling,
    /// 500 `InternalServiceFault`.
    InternalService,
    /// 403 `AccessDenied`.
    AccessDenied,
    /// The connection is cut before anything was taken.
    Cut,
    /// The data are taken, and the connection is cut instead of an answer.
    TakeAndCut,
}
