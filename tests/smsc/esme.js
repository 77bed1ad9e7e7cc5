// An ESME on the npm package `smpp`, as an application of somebody else would be: it shows a menu, echoes texts with a
// receipt asked for, and prints what it sees, one JSON value a line. Arguments: the port of the SMSC.
'use strict';

const smpp = require('smpp');

const say = (value) => console.log(JSON.stringify(value));
const hex = (value) => (Buffer.isBuffer(value) ? value.toString('hex') : undefined);

const session = smpp.connect({ url: `smpp://127.0.0.1:${process.argv[2]}` }, () => {
  session.bind_transceiver({ system_id: 'keytone', password: 'sandbox' }, (pdu) => {
    say({ command: 'bound', status: pdu.command_status, system_id: pdu.system_id, version: pdu.sc_interface_version });
  });
});

const submit = (fields) =>
  session.submit_sm(fields, (pdu) => say({ command: pdu.command, status: pdu.command_status, id: pdu.message_id }));

session.on('deliver_sm', (pdu) => {
  session.send(pdu.response());
  const { message, udh } = pdu.short_message;
  say({
    command: pdu.command,
    from: pdu.source_addr,
    to: pdu.destination_addr,
    esm_class: pdu.esm_class,
    op: pdu.ussd_service_op,
    session: hex(pdu.its_session_info),
    udh: udh && hex(Buffer.isBuffer(udh) ? udh : udh[0]),
    text: Buffer.isBuffer(message) ? hex(message) : message,
    receipt_of: pdu.receipted_message_id,
    state: pdu.message_state,
  });
  if (pdu.esm_class & 0x3c) return;
  const back = { source_addr: pdu.destination_addr, destination_addr: pdu.source_addr };
  if (pdu.ussd_service_op === 1 || pdu.ussd_service_op === 18) {
    const begins = pdu.ussd_service_op === 1;
    const its = Buffer.from(pdu.its_session_info);
    if (!begins) its[1] |= 1;
    submit({
      ...back,
      service_type: 'USSD',
      ussd_service_op: begins ? 2 : 17,
      its_session_info: its,
      short_message: begins ? 'Amount?' : 'Thank you',
    });
  } else if (!udh) {
    // Without a coding the package writes GSM 03.38 and calls it ASCII.
    submit({ ...back, registered_delivery: 1, data_coding: 0, short_message: 'Echo 50€' });
    for (const [n, words] of [[1, 'first, '], [2, 'second']]) {
      submit({ ...back, short_message: { udh: Buffer.from([5, 0, 3, 9, 2, n]), message: words } });
    }
  }
});

session.on('enquire_link', (pdu) => session.send(pdu.response()));
session.on('unbind', (pdu) => {
  say({ command: 'unbind' });
  session.send(pdu.response());
});
session.on('error', (error) => say({ command: 'error', what: String(error.code || error) }));
session.on('close', () => {
  say({ command: 'close' });
  process.exit(0);
});
