-- The end of a day: what did not agree in statements, and the proof of closed days (src/payment/row/day.rs).

create table findings (
    statement    blob not null check (length(statement) = 16),
    place        text not null,
    class        text not null,
    connector    text not null,
    payment      blob check (length(payment) = 16),
    theirs_minor integer,
    ours_minor   integer,
    detail       text not null,
    request      blob check (length(request) = 16),
    state        integer not null check (state between 0 and 3),
    found_at     integer not null,
    settled_at   integer,
    version      integer not null,
    primary key (statement, place)
) strict, without rowid;

create index findings_state on findings (state, found_at);
create index findings_request on findings (request) where request is not null;

create table day_proofs (
    day         integer not null primary key,
    from_at     integer not null,
    until_at    integer not null,
    currency    text not null check (length(currency) = 3),
    owed_minor  integer not null,
    trust_minor integer not null,
    sweep       blob check (length(sweep) = 16),
    transfers   integer not null check (transfers >= 0),
    previous    blob not null check (length(previous) = 32),
    hash        blob not null check (length(hash) = 32)
) strict, without rowid;
