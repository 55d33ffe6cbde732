//! `StartBotSession`: a contact flow begins a call with the assistant.

fn main() -> anyhow::Result<()> {
    voice_lambdas::serve(voice_lambdas::Function::StartBotSession)
}
