//! The decisions against hickory-proto, on random messages.

mod agreement;
mod answered;
mod asked;
mod inserted;
mod oracle;
mod walk;
