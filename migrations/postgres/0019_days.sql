-- The end of a day: what did not agree in statements, and the proof of closed days (src/payment/row/day.rs).

create table findings (
    statement    bytea not null check (length(statement) = 16),
    place        text not null,
    class        text not null,
    connector    text not null,
    payment      bytea check (length(payment) = 16),
    theirs_minor bigint,
    ours_minor   bigint,
    detail       text not null,
    request      bytea check (length(request) = 16),
    state        bigint not null check (state between 0 and 3),
    found_at     bigint not null,
    settled_at   bigint,
    version      bigint not null,
    primary key (statement, place)
);

create index findings_state on findings (state, found_at);
create index findings_request on findings (request) where request is not null;

create table day_proofs (
    day         bigint not null primary key,
    from_at     bigint not null,
    until_at    bigint not null,
    currency    text not null check (length(currency) = 3),
    owed_minor  bigint not null,
    trust_minor bigint not null,
    sweep       bytea check (length(sweep) = 16),
    transfers   bigint not null check (transfers >= 0),
    previous    bytea not null check (length(previous) = 32),
    hash        bytea not null check (length(hash) = 32)
);
