-- Tries of callers whose number is not believed, apart from those of an account's own numbers, and the language that a
-- customer chose.

create table paths (
    subject      text    not null primary key,
    tries        integer not null check (tries >= 0),
    wait_until   integer not null,
    locked_until integer not null,
    version      integer not null check (version > 0)
) strict, without rowid;

create table account_languages (
    account  blob    not null primary key check (length(account) = 16),
    language text    not null,
    at       integer not null
) strict, without rowid;
