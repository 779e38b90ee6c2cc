//! What line rate takes: from nanoseconds a frame to CPUs for a link that is full of such frames.

use serde::{Deserialize, Serialize};

/// What is done to a frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Path {
    pub(crate) name: String,
    /// Bytes of the frame that leaves, as a program sees it.
    pub(crate) frame: u32,
    /// Of one CPU.
    pub(crate) ns: f64,
}

/// Links, in Gbit/s.
pub(crate) const LINKS: [u32; 3] = [10, 25, 100];

/// Bytes that a frame takes on the wire beside those that a program sees: preamble, start of frame, frame check sequence
/// and the gap behind it (IEEE 802.3, 3.1.1 and 4.4.2).
const AROUND: u32 = 7 + 1 + 4 + 12;

/// The shortest frame of Ethernet without its check sequence.
const SHORTEST: u32 = 60;

impl Path {
    /// Frames a second that a CPU manages.
    pub(crate) fn per_cpu(&self) -> f64 {
        1e9 / self.ns
    }

    /// Frames a second that fill a link.
    pub(crate) fn line_rate(&self, gigabits: u32) -> f64 {
        let bits = 8 * (self.frame.max(SHORTEST) + AROUND);
        1e9 * f64::from(gigabits) / f64::from(bits)
    }

    /// CPUs that fill a link.
    pub(crate) fn cpus(&self, gigabits: u32) -> f64 {
        self.line_rate(gigabits) / self.per_cpu()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_frames_fill_10_gigabits_at_14_88_million_a_second() {
        let path = Path { name: String::new(), frame: 42, ns: 67.2 };
        assert!((path.line_rate(10) - 14_880_952.0).abs() < 1.0);
        assert!((path.cpus(10) - 1.0).abs() < 1e-3);
    }
}
