use crate::edit::Merged;
use crate::flow::push::step::{Absence, Ruling, judge_absence, rule_deletion, rule_fields};
use crate::flow::push::{Push, Stop};
use crate::mirror::{NewConflict, Settled};
use crate::model::{ConflictKind, EventRecord, Fault, Fields, Keep, OpenEdit};

impl Push<'_> {
    /// Both sides changed the same field: both versions are kept, and the policy says which one counts for now.
    pub(super) async fn clash_fields(
        &mut self,
        edit: OpenEdit,
        theirs: EventRecord,
        merged: &Merged,
        (fault, round): (Option<Fault>, u32),
    ) -> Result<(), Stop> {
        let Ruling { kind, resolution, remaining } = rule_fields(self.order.policy, merged);
        let clashes = merged.clashes.clone();
        let new = NewConflict { kind, theirs: Some(Box::new(theirs)), clashes, resolution };
        self.record(&edit, &new, remaining.as_ref())?;
        let is_left = remaining.is_some_and(|fields| !fields.is_empty());
        if resolution.is_some() && is_left { self.again(edit, fault, round).await } else { Ok(()) }
    }

    /// It was to be deleted here, and others changed it.
    pub(super) async fn clash_deletion(
        &mut self,
        edit: OpenEdit,
        theirs: EventRecord,
        (fault, round): (Option<Fault>, u32),
    ) -> Result<(), Stop> {
        let Ruling { kind, resolution, remaining } = rule_deletion(self.order.policy);
        let new = NewConflict { kind, theirs: Some(Box::new(theirs)), clashes: Vec::new(), resolution };
        self.record(&edit, &new, remaining.as_ref())?;
        if resolution == Some(Keep::Mine) { self.again(edit, fault, round).await } else { Ok(()) }
    }

    /// The event is not there.
    pub(super) fn absent(&mut self, edit: OpenEdit) -> Result<(), Stop> {
        let resolution = match judge_absence(&edit.intent) {
            Absence::Done => return self.settle(&edit, Settled::Gone),
            Absence::NoCalendar => return self.park_as(&edit, "not_found"),
            // Whatever the policy: nothing that was typed here vanishes, and nobody is invited anew unasked.
            Absence::Conflict => None,
            Absence::Moot => Some(Keep::Theirs),
        };
        let new =
            NewConflict { kind: ConflictKind::DeletedThere, theirs: None, clashes: Vec::new(), resolution };
        self.record(&edit, &new, None)
    }

    fn record(&mut self, edit: &OpenEdit, new: &NewConflict, remaining: Option<&Fields>) -> Result<(), Stop> {
        self.mirror.clash(edit.n, new, remaining, self.now_ms())?;
        self.report.conflicts += 1;
        self.failures = 0;
        Ok(())
    }
}
