//! Which lease the claimant's ticket is with, as far as the claimant knows.

/// The number that etcd knows a lease by.
pub(super) type LeaseId = i64;

/// How the ticket is to be put: with another lease, or again with the same. That is done if it is with the first of them:
/// so whatever was to be done to it there and is carried out later, if only by a member that was frozen, comes to nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) from: LeaseId,
    /// A lease that the ticket never was with, or `from`.
    pub(super) to: LeaseId,
}

/// Where the ticket is.
#[derive(Debug, Default)]
pub(super) struct TicketAt {
    /// The lease that it was last seen with, or put; none: no ticket is known of.
    lease: Option<LeaseId>,
    /// Leases that it was to be put with since, by requests that were not answered.
    others: Vec<LeaseId>,
    /// Such a request may be carried out at any time while the ticket is with that lease.
    is_moving: bool,
}

impl TicketAt {
    /// The lease that it was last seen with, or put.
    pub(super) fn lease(&self) -> Option<LeaseId> {
        self.lease
    }

    /// Whether it is with that lease, and stays so.
    pub(super) fn stays_with(&self, lease: LeaseId) -> bool {
        self.lease == Some(lease) && !self.is_moving
    }

    /// Whether a request may put it with another lease than it was seen with.
    pub(super) fn is_moving(&self) -> bool {
        self.is_moving
    }

    /// Whether it was to be put with that lease, by a request that was not answered.
    pub(super) fn may_be_with(&self, lease: LeaseId) -> bool {
        self.others.contains(&lease)
    }

    /// It is to be put with that lease, which is new, or the one that it is with. Until there is an answer, it may have been,
    /// and may still be.
    pub(super) fn moving_to(&mut self, to: LeaseId) -> Move {
        self.is_moving = true;
        self.or_with(to);
        // No lease has the number 0: it is etcd's for none.
        Move { from: self.lease.unwrap_or(0), to }
    }

    /// It may be with that lease as well.
    pub(super) fn or_with(&mut self, lease: LeaseId) {
        if !self.others.contains(&lease) {
            self.others.push(lease);
        }
    }

    /// It was. What was to be done to it before never will be.
    pub(super) fn moved(&mut self, lease: LeaseId) {
        *self = Self { lease: Some(lease), ..Self::default() };
    }

    /// It was found with that lease. What was to be done to it where it was before never will be.
    pub(super) fn seen_with(&mut self, lease: LeaseId) {
        if self.lease != Some(lease) {
            (self.lease, self.is_moving) = (Some(lease), false);
        }
    }

    /// That lease is over.
    pub(super) fn not_with(&mut self, lease: LeaseId) {
        self.others.retain(|other| *other != lease);
    }

    /// Each lease that it is with, or may be put with.
    pub(super) fn leases(&self) -> Vec<LeaseId> {
        let others = self.others.iter().copied().filter(|other| self.lease != Some(*other));
        self.lease.into_iter().chain(others).collect()
    }
}
