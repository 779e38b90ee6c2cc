//! The decisions against hickory-proto, on random messages.

mod answered;
mod asked;
mod inserted;
mod oracle;
mod walk;
