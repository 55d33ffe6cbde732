//! Nova Sonic as a machine without I/O.

pub mod event;
pub mod model;
pub mod session;
pub mod settings;
pub mod usage;

pub use event::{Line, LineState, PushRefused, SessionEvent, Speaker, Transmit};
pub use model::ModelFamily;
pub use session::{Phase, Session, Turn};
pub use settings::{
    HistoryMessage, Inference, Sensitivity, SessionSettings, SettingFault, ToolSpec,
};
pub use usage::{TokenCounts, Usage, to_service_json};
