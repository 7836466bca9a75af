//! Tells the story: for people in steps, for programs in lines of JSON.

use serde_json::{Value, json};

use crate::output::{Output, Tone};
use crate::setup::Failure;

/// Counts the steps.
#[derive(Debug, Default)]
pub struct Teller {
    step: u32,
    seen: Vec<String>,
}

impl Teller {
    /// Begins a step.
    pub fn step(&mut self, output: &mut Output, title: &str) -> Result<(), Failure> {
        self.step = self.step.saturating_add(1);
        if output.is_json() {
            return output.json_line(&json!({"event": "step", "step": self.step, "title": title}));
        }
        let number = output.tone(format!("{:>2}", self.step), Tone::Accent);
        let title = output.tone(title, Tone::Heading);
        output.line("")?;
        output.line(format!("{number}  {title}"))?;
        Ok(output.flush()?)
    }

    /// Says one thing within the step.
    pub fn say(&self, output: &mut Output, text: &str) -> Result<(), Failure> {
        if output.is_json() {
            return output.json_line(&json!({"event": "note", "step": self.step, "text": text}));
        }
        output.line(format!("    {text}"))?;
        Ok(output.flush()?)
    }

    /// Gives a result: a text for people, a document for programs.
    pub fn give(&self, output: &mut Output, what: &str, text: &str, value: &Value) -> Result<(), Failure> {
        if output.is_json() {
            return output.json_line(&json!({"event": what, "step": self.step, "value": value}));
        }
        self.say(output, text)
    }

    /// Remembers something for the summary.
    pub fn keep(&mut self, text: impl Into<String>) {
        self.seen.push(text.into());
    }

    /// What was seen.
    pub fn summary(&mut self, output: &mut Output) -> Result<(), Failure> {
        if output.is_json() {
            return output.json_line(&json!({"event": "done", "seen": self.seen}));
        }
        output.line("")?;
        let title = output.tone("    What you saw", Tone::Heading);
        output.line(title)?;
        for text in &self.seen {
            let mark = output.tone("✓", Tone::Good);
            output.line(format!("    {mark} {text}"))?;
        }
        Ok(output.flush()?)
    }
}
