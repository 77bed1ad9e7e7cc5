-- Files that were taken in, why things are shut, windows of maintenance (src/payment/row/dayone.rs).

create table imports (
    id           blob not null primary key check (length(id) = 16),
    kind         text not null,
    file         text not null,
    lines        integer not null,
    done         integer not null,
    faults       integer not null,
    booked_minor integer not null,
    who          text not null,
    began_at     integer not null,
    ended_at     integer
) strict, without rowid;

create table suspension_notes (
    scope  text not null,
    key    text not null,
    reason text not null,
    who    text not null,
    at     integer not null,
    primary key (scope, key)
) strict, without rowid;

create table maintenance (
    id       blob not null primary key check (length(id) = 16),
    scope    text not null,
    key      text not null,
    from_at  integer not null,
    until_at integer not null,
    reason   text not null,
    who      text not null
) strict, without rowid;

create index maintenance_until on maintenance (until_at);
