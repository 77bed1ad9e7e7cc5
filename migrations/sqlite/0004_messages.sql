-- Messages by SMS and USSD: what came in, what goes out, conversations that are found by their channel.

-- What must leave after the commit. States (src/payment/row/messages.rs): 0 waiting, 1 accepted, 2 failed, 3 sending,
-- 4 unknown, 5 delivered, 6 undelivered. What waited before this step is good for a day from its creation.
create table outbox_new (
    id         blob    not null primary key check (length(id) = 16),
    kind       text    not null,
    recipient  text    not null,
    body       text    not null,
    payment    blob             check (length(payment) = 16),
    state      integer not null check (state between 0 and 6),
    due_at     integer not null,
    created_at integer not null,
    route      text,
    sender     text,
    attempts   integer not null check (attempts >= 0),
    segments   integer not null check (segments >= 0),
    message_id text,
    code       text,
    owner      blob             check (length(owner) = 16),
    updated_at integer not null,
    expires_at integer not null
) strict, without rowid;

insert into outbox_new (id, kind, recipient, body, payment, state, due_at, created_at, attempts, segments, updated_at,
                        expires_at)
select id, kind, recipient, body, payment, state, due_at, created_at, 0, 0, created_at, created_at + 86400000000
from outbox;

drop table outbox;
alter table outbox_new rename to outbox;

create index outbox_due on outbox (due_at) where state = 0;
create index outbox_expiry on outbox (expires_at) where state = 0;
create index outbox_message on outbox (route, message_id) where message_id is not null;
create index outbox_payment on outbox (payment) where payment is not null;
-- Leases that ran out (few rows are in state 3), lists and counts. Without what waits: whoever looks for due messages
-- must not be led through all that wait. Queries that mean this index say `state <> 0`.
create index outbox_state on outbox (state, created_at) where state <> 0;

-- Keys of the messages that came in, so that one that comes again is known. `key` is a MAC: no content is kept.
create table inbox (
    key         blob    not null primary key check (length(key) = 16),
    route       text    not null,
    link        blob    not null check (length(link) = 16),
    caller      text    not null,
    channel     integer not null,
    received_at integer not null
) strict, without rowid;

create index inbox_received on inbox (received_at);

-- Segments of a long text that wait for the others, encrypted: a text may hold a PIN.
create table parts (
    message     blob    not null check (length(message) = 16),
    number      integer not null check (number > 0),
    total       integer not null check (total >= number),
    sealed      blob    not null,
    received_at integer not null,
    primary key (message, number)
) strict, without rowid;

create index parts_received on parts (received_at);

-- Where a channel finds the conversation of a dialogue or thread, the network's name of it, and the way to the caller.
alter table sessions add column key text;
alter table sessions add column dialogue text;
alter table sessions add column route text;

create unique index sessions_keyed on sessions (key) where key is not null;
