//! How a loop becomes a subprogram of its own.
//!
//! The verifier checks a global subprogram once, for any scalar arguments, and takes its result for an unknown scalar.
//! bpf-linker gives exported functions BTF linkage global, all others static; `#[inline(never)]` alone is not enough:
//! LLVM changes the arguments, and the BTF no longer fits. What comes back is one word: [`NONE`] for `None`.

/// What a subprogram returns for `None`.
pub(crate) const NONE: u64 = u64::MAX;

/// A result as a subprogram returns it.
#[inline(always)]
pub(crate) fn word(result: Option<u64>) -> u64 {
    match result {
        Some(word) => word,
        None => NONE,
    }
}

/// A result as a subprogram returned it.
#[inline(always)]
pub(crate) fn result(word: u64) -> Option<u64> {
    if word == NONE { None } else { Some(word) }
}

/// The subprograms that read a message and write an image, for one kind of context, and the traits that call them.
///
/// One set for each kind, since the context's type is in BTF.
macro_rules! subprograms {
    ($context:ty: $name:ident, $record:ident, $records:ident, $nsid:ident, $walk:ident, $image:ident) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name(context: $context, at: usize, compression: usize) -> u64 {
            let compression = if compression == 0 { Compression::Forbidden } else { Compression::Allowed };
            word(dns::skip_name(&Frame::new(context), at, compression).map(|at| at as u64))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $record(context: $context, at: usize) -> u64 {
            word(dns::skip_record(&Frame::new(context), at).map(Stop::pack))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $records(context: $context, at: usize, count: usize) -> u64 {
            word(dns::skip_records(&Frame::new(context), at, count).map(Stop::pack))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $nsid(context: $context, start: usize, end: usize) -> u64 {
            word(dns::find_nsid(&Frame::new(context), start, end).map(|at| at as u64))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $walk(context: $context, start: usize, end: usize) -> u64 {
            word(dns::walk(&Frame::new(context), start, end).map(Message::pack))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $image(context: $context, at: usize, index: usize) -> u64 {
            let copied = image(index as u32).and_then(|image| image.copy_to(&mut Frame::new(context), at));
            word(copied.map(|()| 0))
        }

        impl Walk for Frame<$context> {
            #[inline(always)]
            fn skip_name(&self, at: usize, compression: Compression) -> Option<usize> {
                result($name(self.context, at, compression as usize)).map(|at| at as usize)
            }

            #[inline(always)]
            fn skip_record(&self, at: usize) -> Option<Stop> {
                result($record(self.context, at)).map(Stop::unpack)
            }

            #[inline(always)]
            fn skip_records(&self, at: usize, count: usize) -> Option<Stop> {
                result($records(self.context, at, count)).map(Stop::unpack)
            }

            #[inline(always)]
            fn find_nsid(&self, start: usize, end: usize) -> Option<usize> {
                result($nsid(self.context, start, end)).map(|at| at as usize)
            }

            #[inline(always)]
            fn walk(&self, start: usize, end: usize) -> Option<Message> {
                result($walk(self.context, start, end)).map(Message::unpack)
            }
        }

        impl Hook for Frame<$context> {
            #[inline(always)]
            fn write_image(&mut self, at: usize, index: u32) -> Option<()> {
                result($image(self.context, at, index as usize)).map(|_| ())
            }

            #[inline(always)]
            fn client(&self, Address { high, low }: Address) -> u64 {
                maps::client(high, low)
            }

            #[inline(always)]
            fn spend(&self, Address { high, low }: Address) -> u64 {
                maps::spend(high, low)
            }
        }
    };
}
pub(crate) use subprograms;
