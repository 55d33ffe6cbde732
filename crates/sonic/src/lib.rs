//! Nova Sonic as a machine without I/O.

pub mod event;
pub mod history;
pub mod input;
pub mod model;
pub mod order;
pub mod output;
pub mod session;
pub mod settings;
pub mod tool;
pub mod transcript;
pub mod usage;
pub mod voices;

pub use event::{Line, LineState, PushRefused, SessionEvent, Speaker, Transmit};
pub use model::ModelFamily;
pub use session::{Phase, Session, SessionOptions, Turn};
pub use settings::{
    HistoryMessage, Inference, Sensitivity, SessionSettings, SettingFault, ToolSpec,
};
pub use usage::{TokenCounts, Usage, to_service_json};
pub use voices::{Voice, find_voice, voices};
