-- Conversations that may be gone on with: saved at waits, one row each, gone when they end or their time is up.
-- `state` never holds a secret; the dialplan's state has no place for one.

create table sessions (
    id         blob    not null primary key check (length(id) = 16),
    caller     text    not null,
    channel    integer not null,
    flow       text    not null,
    version    text    not null,
    state      text    not null,
    account    blob             check (length(account) = 16),
    payment    blob             check (length(payment) = 16),
    revision   integer not null check (revision > 0),
    saved_at   integer not null,
    expires_at integer not null
) strict, without rowid;

create index sessions_caller on sessions (caller, flow);
create index sessions_expires_at on sessions (expires_at);
