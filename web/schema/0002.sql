-- A list of wishes under way (step 5): kept so that nothing is lost, counts for nothing.
create table wish_draft (
    application text primary key references application,
    base integer not null,                 -- version of the application it grew from
    changed integer not null,
    schools text not null                  -- JSON list of codes, first choice first
) strict, without rowid;
