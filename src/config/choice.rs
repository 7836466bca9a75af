use crate::model::coded::coded;

coded! {
    /// A national cloud.
    Cloud {
        /// Everywhere else, and GCC.
        Global = "global",
        /// US government L4 (GCC High).
        UsGov = "us_gov",
        /// US government L5 (DoD).
        UsDod = "us_dod",
        /// China, run by 21Vianet.
        China = "china",
    }
    /// Who synchronizes a mailbox.
    Method {
        /// This engine, as the user who signed in.
        Client = "client",
        /// This engine on a server, as an application that an administrator lets into the mailboxes.
        Server = "server",
        /// Nobody.
        Off = "off",
    }
}
