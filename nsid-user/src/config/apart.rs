//! What no two services of one agent may share, nor give otherwise.

use std::path::Path;

use super::{ConfigError, Service};
use crate::store::Quorum;

/// That they get along.
pub(super) fn check(services: &[Service], file: &Path) -> Result<(), ConfigError> {
    for (service, second) in services.iter().zip(1..) {
        for (other, first) in services.iter().zip(1..second) {
            let file = || file.to_owned();
            if let Some(listen) = service.listen.iter().find(|listen| other.listen.contains(listen)) {
                return Err(ConfigError::SameListen { file: file(), first, second, listen: *listen });
            }
            let [Some(own), Some(others)] = [service, other].map(quorum) else { continue };
            if own.list != others.list {
                let shared =
                    own.list.witnesses().iter().find(|witness| others.list.place(**witness).is_some());
                if let Some(witness) = shared {
                    return Err(ConfigError::OtherWitnesses {
                        file: file(),
                        first,
                        second,
                        witness: *witness,
                    });
                }
            } else if own.key != others.key {
                return Err(ConfigError::OtherClusterKey { file: file(), first, second });
            }
        }
    }
    Ok(())
}

fn quorum(service: &Service) -> Option<&Quorum> {
    service.store.pool()?.place.quorum()
}
