//! `ProcessBotTurn`: a contact flow asks what comes next.

fn main() -> anyhow::Result<()> {
    voice_lambdas::serve(voice_lambdas::Function::ProcessBotTurn)
}
