-- Which days of a carrier or biller a statement that was read covers, each whole.

create table statement_days (
    connector          text not null,
    day                integer not null,
    statement          blob not null check (length(statement) = 16),
    read_by            text not null,
    read_at            integer not null,
    primary key (connector, day)
) strict, without rowid;
