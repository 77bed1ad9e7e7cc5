// An SMSC of npm's `smpp` 0.5.1, led by a test: commands come on stdin and what happens goes to stdout, one JSON object a
// line. It ends when its stdin does. Whatever is about TLVs and quirks is the library's own reading, not ours.
'use strict';
const smpp = require('smpp');
const readline = require('readline');

const tell = (what) => process.stdout.write(JSON.stringify(what) + '\n');
let session = null; // the bound one
let held = []; // submits that wait for `release`
let hold = false;
let throttle = 0; // how many submits are throttled from now on
let issued = 0x1a2b;

const text = (pdu) => {
  const said = pdu.short_message && pdu.short_message.message !== undefined ? pdu.short_message.message : pdu.short_message;
  return Buffer.isBuffer(said) ? said.toString('latin1') : String(said);
};
const hex = (value) => (Buffer.isBuffer(value) ? value.toString('hex') : value);

function take(bound, pdu) {
  const id = (issued++).toString(16);
  bound.send(pdu.response({ message_id: id }));
  if (pdu.registered_delivery & 1) {
    // Hex in the response, decimal in the receipt's text, as many do.
    const said = `id:${parseInt(id, 16)} sub:001 dlvrd:001 submit date:2611220900 done date:2611220901 stat:DELIVRD err:000 text:`;
    bound.deliver_sm({
      source_addr: pdu.destination_addr,
      destination_addr: pdu.source_addr,
      esm_class: 4,
      short_message: said,
      receipted_message_id: id,
      message_state: 2,
    }, (answer) => tell({ event: 'receipt_answered', status: answer.command_status }));
  }
}

const server = smpp.createServer((one) => {
  one.on('error', () => {});
  for (const kind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    one.on(kind, (pdu) => {
      const good = pdu.system_id === 'shop' && pdu.password === 'secret';
      one.send(pdu.response({
        command_status: good ? 0 : smpp.ESME_RINVPASWD,
        system_id: 'node',
        sc_interface_version: 0x34,
      }));
      if (good) session = one;
      tell({ event: 'bind', kind, good, version: pdu.interface_version });
    });
  }
  one.on('enquire_link', (pdu) => {
    tell({ event: 'enquire_link' });
    one.send(pdu.response());
  });
  one.on('unbind', (pdu) => {
    tell({ event: 'unbind' });
    one.send(pdu.response());
  });
  one.on('submit_sm', (pdu) => {
    tell({
      event: 'submit',
      sequence: pdu.sequence_number,
      from: pdu.source_addr,
      to: pdu.destination_addr,
      text: text(pdu),
      registered: pdu.registered_delivery,
      op: hex(pdu.ussd_service_op),
      its: hex(pdu.its_session_info),
    });
    if (throttle > 0) {
      throttle -= 1;
      one.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    } else if (hold) {
      held.push([one, pdu]);
    } else {
      take(one, pdu);
    }
  });
  one.on('close', () => tell({ event: 'close' }));
});
server.listen(0, '127.0.0.1', () => tell({ event: 'listening', port: server.address().port }));

const commands = {
  deliver: ({ pdu }) => {
    if (pdu.its_session_info) pdu.its_session_info = Buffer.from(pdu.its_session_info, 'hex');
    session.deliver_sm(pdu, (answer) => tell({ event: 'answered', status: answer.command_status }));
  },
  enquire: () => session.enquire_link({}, (answer) => tell({ event: 'enquired', status: answer.command_status })),
  unbind: () => session.unbind({}, (answer) => tell({ event: 'unbound', status: answer.command_status })),
  kill: () => server.sessions.slice().forEach((one) => one.destroy()),
  throttle: ({ count }) => { throttle = count; },
  hold: () => { hold = true; },
  // The last one first when asked so.
  release: ({ count, last }) => {
    for (let n = 0; n < count && held.length > 0; n += 1) take(...(last ? held.pop() : held.shift()));
  },
  flow: () => { hold = false; },
};
readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
    tell({ event: 'did', what: command.do });
  })
  .on('close', () => process.exit(0));
