//! Knot Resolver, of Debian's package `knot-resolver`.
//!
//! It refuses queries without RD, and knows that there is no `.test`, unless it is told otherwise.

use std::process::Command;

use super::{Setting, Software, upstream};
use crate::link::Addresses;

pub(super) fn command(setting: &Setting<'_>) -> Command {
    let Addresses { v4, v6 } = setting.addresses;
    let nsid = setting.own_nsid(|nsid| format!("modules.load('nsid')\nnsid.name('{nsid}')"));
    let (ip, port) = (upstream::ADDRESS.ip(), upstream::ADDRESS.port());
    let text = format!(
        r"
net.listen('{v4}', 53, {{ kind = 'dns' }})
net.listen('{v6}', 53, {{ kind = 'dns' }})
trust_anchors.remove('.')
for _, module in ipairs({{ 'ta_update', 'ta_signal_query', 'priming', 'detect_time_skew', 'detect_time_jump' }}) do
  modules.unload(module)
end
-- Answers are compared byte by byte.
reorder_RR(false)
{nsid}
policy.add(policy.suffix(policy.REFUSE, {{ todname('refused.test.') }}))
policy.add(policy.suffix(policy.FORWARD({{ '{ip}@{port}' }}), {{ todname('test.') }}))
"
    );
    let file = setting.write("kresd.conf", &text);
    let mut command = setting.program(Software::KnotResolver);
    command.args(["-n", "-c"]).arg(file).arg(setting.directory);
    command
}
