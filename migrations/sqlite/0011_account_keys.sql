-- API keys of accounts: what agents and buyers of charges are known by over HTTP.

create table account_keys (
    account    blob    not null primary key check (length(account) = 16),
    key_hash   blob    not null check (length(key_hash) = 32),
    created_at integer not null,
    version    integer not null
) strict, without rowid;
