use crate::model::coded::coded;

coded! {
    /// Where events come from.
    SourceKind {
        /// Microsoft 365 by Graph.
        Microsoft365 = "microsoft365",
        /// Exchange on premises.
        Exchange = "exchange",
        /// A published iCalendar address.
        Icalendar = "icalendar",
        /// Handed in by the host.
        Feed = "feed",
    }
}
