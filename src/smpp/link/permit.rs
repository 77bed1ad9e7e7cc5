//! Who may send what: the table of SMPP 3.4 §2.3, by the role of the bind and the end that sends.

use crate::smpp::pdu::Role;
use crate::smpp::pdu::command;

/// Whether the ESME of a bind with this role may send this request.
pub(super) const fn esme_may_send(role: Role, command_id: u32) -> bool {
    match command_id {
        command::SUBMIT_SM
        | command::SUBMIT_MULTI
        | command::DATA_SM
        | command::QUERY_SM
        | command::CANCEL_SM
        | command::REPLACE_SM
        | command::BROADCAST_SM
        | command::QUERY_BROADCAST_SM
        | command::CANCEL_BROADCAST_SM => !matches!(role, Role::Receiver),
        _ => false,
    }
}

/// Whether the SMSC of a bind with this role may send this request.
pub(super) const fn smsc_may_send(role: Role, command_id: u32) -> bool {
    match command_id {
        command::DELIVER_SM | command::DATA_SM | command::ALERT_NOTIFICATION => {
            !matches!(role, Role::Transmitter)
        }
        _ => false,
    }
}

/// The role that a bind request asks for.
pub(super) const fn role_of(command_id: u32) -> Option<Role> {
    match command_id {
        command::BIND_RECEIVER => Some(Role::Receiver),
        command::BIND_TRANSMITTER => Some(Role::Transmitter),
        command::BIND_TRANSCEIVER => Some(Role::Transceiver),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_restrict_what_each_end_sends() {
        let table = [
            // role, submit_sm by the ESME, data_sm by the ESME, deliver_sm by the SMSC, data_sm by the SMSC
            (Role::Receiver, false, false, true, true),
            (Role::Transmitter, true, true, false, false),
            (Role::Transceiver, true, true, true, true),
        ];
        for (role, submit, data, deliver, data_down) in table {
            assert_eq!(esme_may_send(role, command::SUBMIT_SM), submit, "{role:?}");
            assert_eq!(esme_may_send(role, command::DATA_SM), data, "{role:?}");
            assert_eq!(smsc_may_send(role, command::DELIVER_SM), deliver, "{role:?}");
            assert_eq!(smsc_may_send(role, command::DATA_SM), data_down, "{role:?}");
            assert!(!esme_may_send(role, command::DELIVER_SM), "{role:?}");
            assert!(!smsc_may_send(role, command::SUBMIT_SM), "{role:?}");
            assert!(!smsc_may_send(role, command::SUBMIT_SM | command::RESPONSE), "{role:?}");
        }
    }
}
