//! Which versions of etcd keep to what is built on here.

/// The first versions whose leader, woken up after others have elected another one, no longer has that one revoke the
/// leases that it thinks are over (etcd-io/etcd issue 15247): per minor version of etcd 3, the patch.
const LEASES_ARE_KEPT: [(u32, u32); 2] = [(4, 31), (5, 13)];

/// Why a cluster of that version should not be relied on; nothing if it can be.
pub(super) fn caveat(version: &str) -> Option<String> {
    let mut numbers = version.split(['.', '-', '+']).map(str::parse::<u32>);
    let (Some(Ok(3)), Some(Ok(minor)), Some(Ok(patch))) = (numbers.next(), numbers.next(), numbers.next())
    else {
        return None;
    };
    let (oldest, _) = LEASES_ARE_KEPT[0];
    let kept = LEASES_ARE_KEPT.iter().find(|(of, _)| *of == minor).is_none_or(|(_, from)| patch >= *from);
    (!kept || minor < oldest).then(|| {
        format!(
            "etcd {version} can give a name away that is still being said, when a leader that was frozen wakes up \
             (etcd-io/etcd#15247); use 3.4.31, 3.5.13 or later, or a single member"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_whose_woken_leader_revokes_leases_are_named() {
        for version in ["3.3.25", "3.4.23", "3.4.30", "3.5.0", "3.5.12", "3.5.0-rc.1"] {
            assert!(caveat(version).is_some_and(|caveat| caveat.contains(version)), "{version}");
        }
        for version in ["3.4.31", "3.4.40", "3.5.13", "3.6.0", "3.10.1", "4.0.0", "", "unknown"] {
            assert_eq!(caveat(version), None, "{version}");
        }
    }
}
