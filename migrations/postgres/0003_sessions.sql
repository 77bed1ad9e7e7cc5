-- Conversations that may be gone on with: saved at waits, one row each, gone when they end or their time is up.
-- `state` never holds a secret; the dialplan's state has no place for one.

create table sessions (
    id         bytea   not null primary key check (length(id) = 16),
    caller     text    not null,
    channel    bigint  not null,
    flow       text    not null,
    version    text    not null,
    state      text    not null,
    account    bytea            check (length(account) = 16),
    payment    bytea            check (length(payment) = 16),
    revision   bigint  not null check (revision > 0),
    saved_at   bigint  not null,
    expires_at bigint  not null
);

create index sessions_caller on sessions (caller, flow);
create index sessions_expires_at on sessions (expires_at);
