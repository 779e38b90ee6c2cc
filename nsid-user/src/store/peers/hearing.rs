//! Which witnesses answer a holder: its name stays without some of them, and somebody has to know that one more is too many.

use std::net::SocketAddr;
use std::time::Duration;

use super::List;
use crate::clock::BootTime;

/// When each witness answered last.
#[derive(Debug)]
pub(super) struct Hearing {
    heard: Vec<BootTime>,
    /// Those of which it was said that they do not answer.
    told: Vec<SocketAddr>,
}

/// What is new since it was last said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// These have not answered for long.
    pub(super) missing: Vec<SocketAddr>,
    /// These answer again.
    pub(super) back: Vec<SocketAddr>,
}

impl Hearing {
    /// Of so many, as if all had answered now.
    pub(super) fn of(list: &List) -> Self {
        Self { heard: vec![BootTime::now(); list.witnesses().len()], told: Vec::new() }
    }

    /// The witness at that place in the list has answered.
    pub(super) fn hears(&mut self, witness: usize) {
        if let Some(heard) = self.heard.get_mut(witness) {
            *heard = BootTime::now();
        }
    }

    /// Who has not answered for so long, and who of those does again.
    pub(super) fn news(&mut self, list: &List, patience: Duration) -> News {
        let mut news = News::default();
        for (witness, heard) in list.witnesses().iter().zip(&self.heard) {
            let is_missing = heard.saturating_add(patience).passed();
            match (is_missing, self.told.contains(witness)) {
                (true, false) => news.missing.push(*witness),
                (false, true) => news.back.push(*witness),
                _ => {}
            }
        }
        self.told.retain(|witness| !news.back.contains(witness));
        self.told.extend(&news.missing);
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_told_once_and_once_that_it_does_again() {
        let [first, second] = [1, 2].map(|host| SocketAddr::from(([10, 0, 0, host], 7400)));
        let list = List::new(vec![first, second, SocketAddr::from(([10, 0, 0, 3], 7400))]).unwrap();
        let mut hearing = Hearing::of(&list);
        let (long, none) = (Duration::from_secs(5), News::default());
        assert_eq!(hearing.news(&list, long), none);
        let long_ago = BootTime::now().saturating_sub(long);
        hearing.heard[0] = long_ago;
        assert_eq!(hearing.news(&list, long), News { missing: vec![first], back: vec![] });
        hearing.heard[1] = long_ago;
        assert_eq!(hearing.news(&list, long), News { missing: vec![second], back: vec![] });
        hearing.hears(0);
        assert_eq!(hearing.news(&list, long), News { missing: vec![], back: vec![first] });
        assert_eq!(hearing.news(&list, long), none);
    }
}
