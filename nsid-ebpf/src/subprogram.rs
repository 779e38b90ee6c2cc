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
    ($context:ty: $name:ident, $record:ident, $records:ident, $nsid:ident, $asked:ident, $walk:ident, $image:ident) => {
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
        extern "C" fn $asked(context: $context, start: usize, end: usize) -> u64 {
            word(asked::asked(&Frame::new(context), start, end).map(Asked::pack))
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
            fn asked(&self, start: usize, end: usize) -> Option<Asked> {
                result($asked(self.context, start, end)).map(Asked::unpack)
            }

            #[inline(always)]
            fn walk(&self, start: usize, end: usize) -> Option<Message> {
                result($walk(self.context, start, end)).map(Message::unpack)
            }
        }

        impl Hook for Frame<$context> {
            #[inline(always)]
            fn whole(&self) -> bool {
                self.reachable() >= all_bytes(self.context)
            }

            #[inline(always)]
            fn write_image(&mut self, at: usize, index: u32) -> Option<()> {
                if image(index)?.copy_at_once(self, at)? {
                    return Some(());
                }
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

/// The subprograms of [`Answer`](nsid_common::hook::Answer)'s decisions for one kind of context.
macro_rules! decisions_on_queries {
    ($context:ty: $query4:ident, $query6:ident, $answer4:ident, $answer6:ident, $hidden:ident) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $query4(context: $context, tags: usize) -> u64 {
            query::called::<V4, _>(readable(context), tags) as u64
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $query6(context: $context, tags: usize) -> u64 {
            query::called::<V6, _>(readable(context), tags) as u64
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $answer4(
            context: $context,
            tags: usize,
            service: usize,
            identity: u64,
            exchange: u64,
        ) -> u64 {
            let (identity, exchange) = (Identity::from_word(identity), Exchange::from_word(exchange));
            answer::decide::<V4, _>(Frame::new(context), tags, service as u32, identity, exchange) as u64
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $answer6(
            context: $context,
            tags: usize,
            service: usize,
            identity: u64,
            exchange: u64,
        ) -> u64 {
            let (identity, exchange) = (Identity::from_word(identity), Exchange::from_word(exchange));
            answer::decide::<V6, _>(Frame::new(context), tags, service as u32, identity, exchange) as u64
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $hidden(context: $context, tags: usize, version: usize, exchange: u64) -> u64 {
            let exchange = Exchange::from_word(exchange);
            clients::forget_hidden(&Frame::new(context), tags, version, exchange).into()
        }

        /// The methods of that trait which call them.
        macro_rules! call_decisions_on_queries {
            () => {
                #[inline(always)]
                fn query<V: Ip>(self, tags: usize) -> Outcome {
                    Outcome::from_code(match V::VERSION {
                        4 => $query4(self.context, tags),
                        _ => $query6(self.context, tags),
                    })
                }

                #[inline(always)]
                fn answer<V: Ip>(
                    self,
                    tags: usize,
                    service: u32,
                    identity: Identity,
                    exchange: Exchange,
                ) -> Outcome {
                    let (service, identity, exchange) = (service as usize, identity.word(), exchange.word());
                    Outcome::from_code(match V::VERSION {
                        4 => $answer4(self.context, tags, service, identity, exchange),
                        _ => $answer6(self.context, tags, service, identity, exchange),
                    })
                }

                #[inline(always)]
                fn forget_hidden(&self, tags: usize, version: usize, exchange: Exchange) -> bool {
                    $hidden(self.context, tags, version, exchange.word()) != 0
                }
            };
        }
    };
}
pub(crate) use decisions_on_queries;

/// The subprograms of [`Edit`](nsid_common::hook::Edit) for one kind of context.
macro_rules! edits {
    ($context:ty: $sum:ident, $move:ident, $opt:ident, $own:ident, $take:ident,
     $response4:ident, $response6:ident, $noted:ident) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $sum(context: $context, at: usize, length: usize) -> u64 {
            word(checksum::of_frame(&Frame::new(context), at, length).map(u64::from))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $move(context: $context, from: usize, to: usize, length: usize) -> u64 {
            word(memory::move_back(&mut Frame::new(context), from, to, length).map(|()| 0))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $opt(context: $context, start: usize, end: usize) -> u64 {
            insert::opt(&Frame::new(context), start, end)
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $own(context: $context, first: usize, end: usize) -> u64 {
            word(insert::own_nsid(&Frame::new(context), first, end).map(|bytes| bytes as u64))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $take(context: $context, first: usize, end: usize) -> u64 {
            word(insert::take_out_nsid(&mut Frame::new(context), first, end).map(|()| 0))
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $response4(context: $context, tags: usize) -> u64 {
            response::decide::<V4, _>(Frame::new(context), tags) as u64
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $response6(context: $context, tags: usize) -> u64 {
            response::decide::<V6, _>(Frame::new(context), tags) as u64
        }

        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $noted(
            context: $context,
            tags: usize,
            version: usize,
            service: usize,
            udp_size: usize,
        ) -> u64 {
            response::noted(Frame::new(context), tags, version, service as u32, udp_size as u16) as u64
        }

        /// The methods of that trait which call them.
        macro_rules! call_edits {
            () => {
                #[inline(always)]
                fn sum(&self, at: usize, length: usize) -> Option<u16> {
                    result($sum(self.context, at, length)).map(|sum| sum as u16)
                }

                #[inline(always)]
                fn move_back(&mut self, from: usize, to: usize, length: usize) -> Option<()> {
                    result($move(self.context, from, to, length)).map(|_| ())
                }

                #[inline(always)]
                fn opt(&self, start: usize, end: usize) -> u64 {
                    $opt(self.context, start, end)
                }

                #[inline(always)]
                fn own_nsid(&self, first: usize, end: usize) -> Option<usize> {
                    result($own(self.context, first, end)).map(|bytes| bytes as usize)
                }

                #[inline(always)]
                fn take_out_nsid(&mut self, first: usize, end: usize) -> Option<()> {
                    result($take(self.context, first, end)).map(|_| ())
                }

                #[inline(always)]
                fn response<V: Ip>(self, tags: usize) -> Outcome {
                    Outcome::from_code(match V::VERSION {
                        4 => $response4(self.context, tags),
                        _ => $response6(self.context, tags),
                    })
                }

                #[inline(always)]
                fn noted(self, tags: usize, version: usize, service: u32, udp_size: u16) -> Outcome {
                    let (service, udp_size) = (service as usize, usize::from(udp_size));
                    Outcome::from_code($noted(self.context, tags, version, service, udp_size))
                }
            };
        }
    };
}
pub(crate) use edits;
pub(crate) use subprograms;
