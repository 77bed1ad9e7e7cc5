-- Files that were taken in, why things are shut, windows of maintenance (src/payment/row/dayone.rs).

create table imports (
    id           bytea not null primary key check (length(id) = 16),
    kind         text not null,
    file         text not null,
    lines        bigint not null,
    done         bigint not null,
    faults       bigint not null,
    booked_minor bigint not null,
    who          text not null,
    began_at     bigint not null,
    ended_at     bigint
);

create table suspension_notes (
    scope  text not null,
    key    text not null,
    reason text not null,
    who    text not null,
    at     bigint not null,
    primary key (scope, key)
);

create table maintenance (
    id       bytea not null primary key check (length(id) = 16),
    scope    text not null,
    key      text not null,
    from_at  bigint not null,
    until_at bigint not null,
    reason   text not null,
    who      text not null
);

create index maintenance_until on maintenance (until_at);
