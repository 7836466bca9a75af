//! The commands of a program that always runs.

use crate::model::Window;
use crate::presence::channel::{Answer, ChannelState, Input};
use crate::presence::command::{Command, Value};
use crate::presence::{Channel, Scene, Timeline};

/// One command of a preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewCommand {
    /// When it would be issued.
    pub at_ms: i64,
    /// It.
    pub command: Command,
}

/// The commands of a program that starts idle at the begin of `range`, with `in_force` forwarded, and always runs;
/// ordered by time, then channel.
pub fn preview(
    scene: &Scene<'_>,
    timeline: &Timeline,
    range: Window,
    in_force: Option<&Value>,
) -> Vec<PreviewCommand> {
    let base = &scene.policy.base;
    let text = base.generic.as_deref().map(ToOwned::to_owned);
    let idle = [
        (
            Channel::Presence,
            Some(Value::Presence { profile: base.name.to_string(), availability: base.availability }),
        ),
        (Channel::Forwarding, in_force.cloned()),
        (Channel::Text, Some(Value::Text { text })),
    ];
    let mut commands = Vec::new();
    for (channel, in_force) in idle {
        let mut state = ChannelState { in_force, ..ChannelState::new(channel) };
        for wanted in timeline.stretches(channel) {
            let from_ms = wanted.from_ms.unwrap_or(i64::MIN).max(range.from_ms);
            let until_ms = wanted.until_ms.unwrap_or(i64::MAX).min(range.to_ms);
            if from_ms >= until_ms {
                continue;
            }
            state = state.step("", from_ms, Input::Evaluate(&wanted)).state;
            let Some(command) = state.due(from_ms).cloned() else { continue };
            let answered = Input::Answered { id: &command.id, answer: Answer::Applied, roll: 0 };
            state = state.step("", from_ms, Input::Sending).state.step("", from_ms, answered).state;
            commands.push(PreviewCommand { at_ms: from_ms, command });
        }
    }
    commands.sort_by_key(|preview| (preview.at_ms, preview.command.channel));
    commands
}
