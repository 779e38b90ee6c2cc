//! DNS messages, built byte by byte: also those that nobody should send.

/// A message that grows.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    id: u16,
    flags: u16,
    counts: [u16; 4],
    body: Vec<u8>,
}

/// The id of every message that is not told another.
pub const ID: u16 = 0x1234;
/// Owner: a pointer to the question.
const POINTER: [u8; 2] = [0xc0, 12];
const ROOT: [u8; 1] = [0];

pub(crate) const TYPE_A: u16 = 1;
const TYPE_TXT: u16 = 16;
const TYPE_SIG: u16 = 24;
pub(crate) const TYPE_OPT: u16 = 41;
const TYPE_TSIG: u16 = 250;
const CLASS_IN: u16 = 1;
pub(crate) const CLASS_CH: u16 = 3;
const CLASS_ANY: u16 = 255;

/// An option of OPT.
pub(crate) fn option(code: u16, data: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), &length(data), data].concat()
}

pub(crate) fn nsid(data: &[u8]) -> Vec<u8> {
    option(3, data)
}

pub(crate) fn cookie() -> Vec<u8> {
    option(10, &[1, 2, 3, 4, 5, 6, 7, 8])
}

/// A name from its labels.
pub(crate) fn name(labels: &[&[u8]]) -> Vec<u8> {
    let mut name: Vec<u8> =
        labels.iter().flat_map(|label| [&[u8::try_from(label.len()).unwrap()], *label].concat()).collect();
    name.push(0);
    name
}

pub(crate) fn question(name: &[u8], qtype: u16, class: u16) -> Vec<u8> {
    [name, &qtype.to_be_bytes(), &class.to_be_bytes()].concat()
}

/// A question for the address of a name.
pub(crate) fn question_of_labels(labels: &[&[u8]]) -> Vec<u8> {
    question(&name(labels), TYPE_A, CLASS_IN)
}

/// `www.example. IN A`.
pub(crate) fn www() -> Vec<u8> {
    question(&name(&[b"www", b"example"]), TYPE_A, CLASS_IN)
}

/// `id.server. CH TXT`.
pub(crate) fn id_server() -> Vec<u8> {
    question(&name(&[b"id", b"server"]), TYPE_TXT, CLASS_CH)
}

/// `hostname.bind. CH TXT`.
pub(crate) fn hostname_bind() -> Vec<u8> {
    question(&name(&[b"hostname", b"bind"]), TYPE_TXT, CLASS_CH)
}

/// A query with RD.
pub(crate) fn query(question: &[u8]) -> Message {
    Message { id: ID, flags: 0x0100, counts: [1, 0, 0, 0], body: question.to_vec() }
}

/// A query that asks for NSID.
pub(crate) fn asking() -> Message {
    query(&www()).opt(1232, &nsid(b""))
}

/// A response without records, QR and RD and RA.
pub(crate) fn response() -> Message {
    Message { id: ID, flags: 0x8180, counts: [1, 0, 0, 0], body: www() }
}

/// The kernel's answer to a query for its name: QR, AA, RD.
pub(crate) fn answer(question: &[u8], said: &[u8]) -> Message {
    let text = [&[u8::try_from(said.len()).unwrap()], said].concat();
    let answer = Message { id: ID, flags: 0x8500, counts: [1, 1, 0, 0], body: question.to_vec() };
    answer.record(&POINTER, TYPE_TXT, CLASS_CH, 0, &text)
}

/// An A record of that owner.
pub(crate) fn a_record_of(owner: &[u8]) -> Vec<u8> {
    [owner, &[0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]].concat()
}

impl Message {
    pub(crate) fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    pub(crate) fn flags(mut self, flags: u16) -> Self {
        self.flags = flags;
        self
    }

    /// The counts of the four sections, whatever is in them.
    pub(crate) fn counts(mut self, counts: [u16; 4]) -> Self {
        self.counts = counts;
        self
    }

    /// Bytes that no count tells of.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.body.extend(bytes);
        self
    }

    fn record(self, owner: &[u8], rtype: u16, class: u16, ttl: u32, rdata: &[u8]) -> Self {
        self.raw(owner)
            .raw(&rtype.to_be_bytes())
            .raw(&class.to_be_bytes())
            .raw(&ttl.to_be_bytes())
            .raw(&length(rdata))
            .raw(rdata)
    }

    fn counted(mut self, section: usize) -> Self {
        self.counts[section] += 1;
        self
    }

    /// An A record in the answer section.
    pub(crate) fn a(self) -> Self {
        self.record(&POINTER, TYPE_A, CLASS_IN, 60, &[192, 0, 2, 1]).counted(1)
    }

    /// An A record in the additional section.
    pub(crate) fn additional(self) -> Self {
        self.record(&name(&[b"ns"]), TYPE_A, CLASS_IN, 60, &[192, 0, 2, 2]).counted(3)
    }

    /// A TXT record of so many bytes in the answer section.
    pub(crate) fn filler(self, bytes: usize) -> Self {
        const FIXED: usize = 12;
        let rdata = vec![b'f'; bytes.checked_sub(FIXED).expect("no shorter than a record without data")];
        self.record(&POINTER, TYPE_TXT, CLASS_IN, 60, &rdata).counted(1)
    }

    /// OPT with these options, of version 0.
    pub(crate) fn opt(self, udp_size: u16, options: &[u8]) -> Self {
        self.opt_with(udp_size, 0, options)
    }

    /// OPT with an extended RCODE, version and flags.
    pub(crate) fn opt_with(self, udp_size: u16, ttl: u32, options: &[u8]) -> Self {
        self.record(&ROOT, TYPE_OPT, udp_size, ttl, options).counted(3)
    }

    /// OPT of another owner.
    pub(crate) fn opt_of(self, owner: &[u8], options: &[u8]) -> Self {
        self.record(owner, TYPE_OPT, 1232, 0, options).counted(3)
    }

    /// OPT whose RDLENGTH is what it is told to be.
    pub(crate) fn opt_lying(self, rdlength: u16, options: &[u8]) -> Self {
        self.raw(&[0, 0, 41, 4, 208, 0, 0, 0, 0]).raw(&rdlength.to_be_bytes()).raw(options).counted(3)
    }

    pub(crate) fn tsig(self) -> Self {
        self.record(&name(&[b"key"]), TYPE_TSIG, CLASS_ANY, 0, &[7; 50]).counted(3)
    }

    /// SIG(0): it covers no type (RFC 2931 3).
    pub(crate) fn sig0(self) -> Self {
        self.record(&ROOT, TYPE_SIG, CLASS_ANY, 0, &[&[0, 0][..], &[7; 40]].concat()).counted(3)
    }

    /// SIG over a type (RFC 2535 4.1).
    pub(crate) fn ordinary_sig(self) -> Self {
        self.record(&POINTER, TYPE_SIG, CLASS_IN, 60, &[&[0, 1][..], &[7; 40]].concat()).counted(1)
    }

    pub(crate) fn len(&self) -> usize {
        12 + self.body.len()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let header = [self.id, self.flags].into_iter().chain(self.counts).flat_map(u16::to_be_bytes);
        header.chain(self.body.iter().copied()).collect()
    }
}

fn length(data: &[u8]) -> [u8; 2] {
    u16::try_from(data.len()).expect("shorter than 64 KiB").to_be_bytes()
}

/// A query that asks, and is so many bytes long.
pub(crate) fn a_question_that_fills(bytes: usize) -> Message {
    let empty = query(&www()).opt(4096, &[option(12, b""), nsid(b"")].concat());
    let padding = vec![0; bytes - empty.len()];
    query(&www()).opt(4096, &[option(12, &padding), nsid(b"")].concat())
}
