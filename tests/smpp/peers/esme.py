"""An ESME of PyPI's smpplib 2.2.4, led by a test: commands come on stdin and what happens goes to stdout, one JSON object a
line. It ends when its stdin does."""

import json
import logging
import select
import sys

import smpplib.client
import smpplib.command
import smpplib.consts
import smpplib.exceptions

logging.disable(logging.CRITICAL)

# smpplib 2.2.4 knows ussd_service_op only in submit_sm and fails on it in deliver_sm with a KeyError.
smpplib.command.DeliverSM.params['ussd_service_op'] = smpplib.command.Param(type=int, size=1)
smpplib.command.DeliverSM.params_order += ('ussd_service_op',)


def tell(event, **what):
    print(json.dumps(dict(what, event=event)), flush=True)


def text(octets):
    return octets.decode('latin1') if isinstance(octets, bytes) else octets


def came(pdu):
    tell('deliver', sequence=pdu.sequence, source=text(pdu.source_addr), text=text(pdu.short_message),
         esm_class=pdu.esm_class, op=pdu.ussd_service_op, its=pdu.its_session_info,
         receipted=text(pdu.receipted_message_id), state=pdu.message_state)
    return smpplib.consts.SMPP_ESME_ROK


def sent(pdu):
    tell('submitted', sequence=pdu.sequence, status=pdu.status, id=text(pdu.message_id))


def failed(pdu):
    tell('failed', sequence=pdu.sequence, status=pdu.status, command=pdu.command)


client = smpplib.client.Client('127.0.0.1', int(sys.argv[1]), timeout=10, allow_unknown_opt_params=True)
client.set_message_received_handler(came)
client.set_message_sent_handler(sent)
client.set_error_pdu_handler(failed)
client.connect()
try:
    bind = getattr(client, 'bind_' + sys.argv[2])
    bind(system_id='shop', password=sys.argv[3])
    # Whether a role may do something is what the test asks of the SMSC, not of this library.
    client.state = smpplib.consts.SMPP_CLIENT_STATE_BOUND_TRX
    tell('bound')
except smpplib.exceptions.PDUError as error:
    tell('refused', status=error.args[1])
    sys.exit(0)

while True:
    ready, _, _ = select.select([client._socket, sys.stdin], [], [])
    if client._socket in ready:
        try:
            client.read_once()
        except (smpplib.exceptions.ConnectionError, smpplib.exceptions.UnknownCommandError, OSError) as error:
            tell('closed', why=str(error))
            sys.exit(0)
    if sys.stdin in ready:
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        command = json.loads(line)
        if command.pop('do') == 'unbind':
            client.unbind()
            tell('unbound')
            client.disconnect()
            sys.exit(0)
        command['short_message'] = command['short_message'].encode('latin1')
        client.send_message(**command)
