//! Every way out of the programs, by name.

macro_rules! outcomes {
    ($($(#[doc = $meaning:literal])* $variant:ident = $name:literal,)*) => {
        /// Why a frame left as it did.
        ///
        /// The same names index the per-CPU counters, stand in `nsid status` and name the tests.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Outcome { $($(#[doc = $meaning])* $variant,)* }

        impl Outcome {
            /// All of them, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in `nsid status`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means, as it is documented; `docs/outcomes.md` is made of this.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($meaning),*).trim_ascii(),)* }
            }

            /// The outcome with that code; a code that none has gives [`NotOurs`](Self::NotOurs).
            #[inline(always)]
            pub const fn from_code(code: u64) -> Self {
                $(if code == Self::$variant as u64 { return Self::$variant; })*
                Self::NotOurs
            }
        }
    };
}

outcomes! {
    /// Not UDP to or from a served address and port.
    NotOurs = "not_ours",
    /// UDP in an IPv4 header with options: passed, since ports are not where they usually are.
    Ipv4Options = "ipv4_options",
    /// A fragment of a UDP datagram over IPv4: passed.
    Fragment = "fragment",
    /// IPv6 extension headers: passed, whatever is behind them.
    Ipv6Extension = "ipv6_extension",
    /// To a served port, and not a query (QR=1).
    QueryNot = "query_not",
    /// A query that cannot be read, or with QDCOUNT other than 1: passed.
    QueryMalformed = "query_malformed",
    /// A query of which a part is where the program cannot reach it (a frame of several buffers): passed.
    QueryTooLarge = "query_too_large",
    /// A query with TSIG or SIG(0): passed, since the response is signed, too.
    QuerySigned = "query_signed",
    /// A query that does not ask for NSID: passed.
    QueryPlain = "query_plain",
    /// A query with an NSID option: noted, passed.
    QueryNoted = "query_noted",
    /// A query with an NSID option from who may not see the name (`--allow`, `--deny`): passed.
    QueryClient = "query_client",
    /// `id.server.` or `hostname.bind.` CH TXT, answered.
    Answered = "answered",
    /// Not answered: the requestor is not one of those whom the kernel answers (`--answer`), or may not see the name.
    AnswerClient = "answer_client",
    /// Not answered: the requestor's network had its answers of this second (`--answer-rate`).
    AnswerRate = "answer_rate",
    /// Not answered: not from a single address on the link to the interface's own, from port 0, with a TTL of 0 or a bad
    /// IPv4 header checksum, or where a VLAN's tags are taken off.
    AnswerFrame = "answer_frame",
    /// Not answered: an EDNS version above 0.
    AnswerVersion = "answer_version",
    /// Not answered: the answer would be longer than the requestor or the interface takes, or the frame could not be made
    /// so long.
    AnswerNoRoom = "answer_no_room",
    /// Not answered: the name may no longer be said, or there is none yet.
    AnswerLapsed = "answer_lapsed",
    /// Not answered: switched off.
    AnswerOff = "answer_off",
    /// From a served port, and not a response (QR=0).
    ResponseNot = "response_not",
    /// A response to a query that was not noted: passed.
    ResponseNotNoted = "response_not_noted",
    /// NSID inserted.
    Inserted = "inserted",
    /// The server's own NSID replaced.
    Replaced = "replaced",
    /// Not named: the server's own NSID stays (`--own-nsid keep`).
    ResponseKept = "response_kept",
    /// Not named: the response cannot be read, or has more records or options than are looked through.
    ResponseMalformed = "response_malformed",
    /// Not named: longer than can be reached, or with more NSID options of the server's own than are taken out.
    ResponseTooLarge = "response_too_large",
    /// Not named: a packet of several segments (GSO).
    ResponseSegmented = "response_segmented",
    /// Not named: TSIG or SIG(0).
    ResponseSigned = "response_signed",
    /// Not named: no OPT.
    ResponseNoOpt = "response_no_opt",
    /// Not named: OPT is not the last record.
    ResponseOptNotLast = "response_opt_not_last",
    /// Not named: it would be longer than the requestor, the interface or `--max-udp-size` takes.
    ResponseNoRoom = "response_no_room",
    /// Not named: the kernel could not resize the packet.
    ResponseResize = "response_resize",
    /// Not named: the name may no longer be said, or there is none yet.
    ResponseLapsed = "response_lapsed",
    /// Not named: switched off.
    ResponseOff = "response_off",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_one_to_one() {
        for (code, outcome) in Outcome::ALL.iter().enumerate() {
            assert_eq!(*outcome as usize, code);
            assert_eq!(Outcome::from_code(code as u64), *outcome);
            assert_eq!(Outcome::ALL.iter().filter(|other| other.name() == outcome.name()).count(), 1);
        }
        assert_eq!(Outcome::from_code(u64::MAX), Outcome::NotOurs);
    }
}
