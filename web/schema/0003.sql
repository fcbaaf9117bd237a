-- The county's and the host's ends: staff, review, seats, snapshots, runs, publication.

-- Who acts for a county or for the host. A person is found by HMAC, as teachers are.
create table staff (
    id text primary key,
    kind text not null check (kind in ('county', 'host')),
    county text references county,         -- null at the host's end
    levels text not null,                  -- |-list
    role text not null check (role in ('clerk', 'reviewer', 'head')),
    name text not null,
    email text not null default '',
    lookup blob not null,                  -- HMAC of the kind and the national ID
    masked text not null,                  -- A12****789
    password text,                         -- argon2id; null until the first sign-in
    totp blob,                             -- sealed secret of the second factor
    totp_step integer not null default 0,  -- the last step that was used: none twice
    device blob,                           -- the computer of the last sign-in
    enrol blob,                            -- SHA-256 of the code for the first sign-in
    enrol_expires integer,
    version integer not null default 1,
    created integer not null,
    created_by text not null,              -- staff, or 'command line'
    disabled integer,
    last_sign_in integer,
    unique (kind, lookup)
) strict;

create table staff_session (
    token blob primary key,                -- SHA-256 of the cookie
    staff text not null references staff,
    level text not null default '',        -- chosen at the door; '': all of his
    created integer not null,
    seen integer not null
) strict, without rowid;

-- Who has shown card and code for the first sign-in, till the second factor is proven.
create table staff_enrolment (
    staff text primary key references staff,
    token blob not null unique,            -- SHA-256 of the cookie
    password text not null,
    totp blob not null,                    -- sealed
    device blob not null,
    expires integer not null
) strict, without rowid;

-- Seats that a county opens to teachers of other counties.
create table vacancy (
    school text not null references school,
    subject text not null references subject,
    total integer,                         -- all seats that are free, if told
    seats integer not null check (seats >= 0),
    primary key (school, subject)
) strict, without rowid;

alter table school add column version integer not null default 1;

-- A table that was tried and waits to be put in; sealed, gone after half an hour.
create table upload (
    token text primary key,                -- SHA-256 of what the address holds
    staff text not null references staff,
    kind text not null,
    content blob not null,                 -- sealed
    expires integer not null
) strict, without rowid;

-- Which counties take part in a year; none listed: all of them.
create table round_county (
    year integer not null references round,
    county text not null references county,
    primary key (year, county)
) strict, without rowid;

-- The most points that an item may give in a year, hundredths.
create table points_limit (
    year integer not null references round,
    item text not null,
    most integer not null,
    primary key (year, item)
) strict, without rowid;

alter table round add column rules text not null default '';  -- TOML; '': the usual
alter table round add column levels text not null
    default 'junior-high|elementary|kindergarten';
alter table round add column version integer not null default 1;
alter table round add column frozen integer;    -- since when nobody may edit
alter table round add column purged integer;    -- personal data removed
alter table round add column retention_days integer not null default 365;

alter table points add column note text not null default '';

alter table application add column language text not null default 'zh-Hant';
alter table application add column review_version integer not null default 0;
alter table application add column reviewed integer;       -- version last reviewed
alter table application add column sheet_checked integer;  -- version whose sheet was
alter table application add column review_note text not null default '';
alter table application add column correcting integer;     -- opened after the freeze
create unique index application_number on application (year, number)
    where number is not null;

-- Eligibility as the reviewer found it: one row per check of the regulation.
create table review_check (
    application text not null references application,
    item text not null,
    answer text not null check (answer in ('yes', 'no', 'not-applicable')),
    note text not null default '',
    primary key (application, item)
) strict, without rowid;

-- Who has a record open, so that two reviewers see each other.
create table review_open (
    application text not null references application,
    staff text not null references staff,
    since integer not null,
    primary key (application, staff)
) strict, without rowid;

-- What staff decided or did about an application, and the reason they gave for it.
create table review_event (
    id integer primary key,
    application text not null references application,
    at integer not null,
    staff text not null references staff,
    event text not null,                   -- as the audit calls it
    version integer not null,              -- of the application
    reason text not null default ''
) strict;
create index review_event_of_application on review_event (application, id);

create index audit_of_county on audit (county, id);

-- §11: who did not take up a place may not apply for ten years.
create table bar (
    lookup blob not null,                  -- HMAC of the national ID, of every year
    since integer not null,
    until integer not null,
    year integer not null,
    application text not null,
    primary key (lookup, year)
) strict, without rowid;

drop view application_whole;

create table schedule (
    year integer not null references round,
    level text not null,
    kind text not null check (kind in
        ('fill', 'review', 'notice', 'freeze', 'run', 'result')),
    opens integer not null,
    closes integer,
    primary key (year, level, kind)
) strict;
insert into schedule select * from window;
drop table window;
alter table schedule rename to window;

-- How the schedule was changed, and why where it was under way already.
create table window_change (
    id integer primary key,
    year integer not null,
    level text not null,
    kind text not null,
    opens_before integer,                  -- null: there was none
    closes_before integer,
    opens integer,                         -- null: it was taken out
    closes integer,
    reason text not null default '',
    at integer not null,
    by text not null references staff
) strict;

-- A frozen round: a folder with its digests, signed; nobody changes it.
create table snapshot (
    id integer primary key,
    year integer not null references round,
    kind text not null check (kind in ('freeze', 'correction')),
    made integer not null,
    made_by text not null references staff,
    reason text not null default '',
    rules text not null,                   -- TOML
    folder text not null,                  -- below the data folder
    manifest text not null,                -- canonical JSON: files and their SHA-256
    digest text not null,                  -- SHA-256 of the manifest
    signature blob not null,               -- Ed25519, of the site
    seed blob not null,                    -- sealed until the result is public
    commitment text not null,              -- SHA-256 of seed and nonce, public at once
    teachers integer not null,
    left_out integer not null,             -- applications filed but never reviewed
    withdrawn integer,                     -- taken back
    withdrawn_reason text not null default ''
) strict;

-- Who is behind a teacher number of a snapshot.
create table snapshot_teacher (
    snapshot integer not null references snapshot,
    number text not null,
    application text not null references application,
    primary key (snapshot, number)
) strict, without rowid;

create table run (
    id integer primary key,
    snapshot integer not null references snapshot,
    asked integer not null,
    asked_by text not null references staff,
    state text not null check (state in
        ('waiting', 'running', 'done', 'failed', 'cancelled')),
    phase text not null default '',        -- solve, verify, report
    started integer,
    finished integer,
    log text not null default '',
    folder text not null default '',       -- of the result, below the data folder
    summary text not null default '',      -- summary.json
    digest text not null default '',       -- SHA-256 of assignments.csv
    lawful integer,                        -- what jiepin verify said; null: not yet
    version text not null default ''
) strict;

create table run_move (                    -- where everybody is after a run
    run integer not null references run,
    number text not null,
    stage text not null,                   -- empty: not moved
    exchange integer,
    school text not null,
    subject text not null,
    choice integer,
    primary key (run, number)
) strict, without rowid;

create table approval (
    run integer not null references run,
    staff text not null references staff,
    role text not null,
    at integer not null,
    primary key (run, staff)
) strict, without rowid;

create table publication (
    id integer primary key,
    year integer not null references round,
    run integer not null references run,
    publish_at integer not null,
    set_by text not null references staff,
    set_at integer not null,
    told integer,                          -- when the notices went into the outbox
    retracted integer,
    reason text not null default ''        -- of the retraction
) strict;

-- §11: somebody dropped out; what depends on it is void, or a seat is opened instead.
create table dropout (
    id integer primary key,
    year integer not null references round,
    run integer not null references run,
    number text not null,
    application text not null references application,
    kind text not null check (kind in ('gave-up', 'no-show', 'refused')),
    reason text not null,
    at integer not null,
    by text not null references staff,
    decide_by integer not null,            -- the home county may open a seat till then
    decided integer,                       -- when it answered
    opened integer not null default 0,     -- 1: an extra seat keeps the others' moves
    opened_by text references staff,       -- whoever of the home county answered
    applied integer,                       -- since when the results say so
    final integer,                         -- no undoing any more
    undone integer,
    undone_reason text not null default ''
) strict;

-- §14: what the host opened for correction after the freeze: an application, or the
-- schools and seats of a county.
create table correction (
    id integer primary key,
    year integer not null references round,
    county text not null references county,
    application text references application,  -- null: schools and seats
    reason text not null,
    opened integer not null,
    opened_by text not null references staff,
    closed integer,
    closed_by text references staff
) strict;

-- Where an application ends by a run, as long as what dropped out left it standing.
-- Shown is that of the run whose publication is in force.
drop table result;
create table result (
    application text not null references application,
    run integer not null references run,
    stage text not null,                   -- empty: not placed
    school text references school,
    subject text references subject,
    choice integer,                        -- place in the applicant's own list
    note text not null default '',         -- dropped-out, void, kept
    primary key (application, run)
) strict, without rowid;
create index result_of_run on result (run, school);

create view application_whole as
select
    application.*,
    account.sex, account.card_name, account.card_name_certain,
    account.password is not null as has_password,
    fill.opens as fill_opens, fill.closes as fill_closes,
    review.opens as review_opens, review.closes as review_closes,
    notice.opens as notice_opens, notice.closes as notice_closes,
    round.frozen,
    own.name as county_name, own.name_en as county_name_en,
    coalesce(school.name, '') as school_name,
    coalesce(school.township, '') as school_township,
    (select json_group_array(school) from
        (select school from wish where application = application.id order by place)
    ) as wishes
from application
join account on account.id = application.account
join county as own on own.code = application.county
left join round on round.year = application.year
left join school on school.code = application.school
left join window as fill on fill.year = application.year
    and fill.level = application.level and fill.kind = 'fill'
left join window as review on review.year = application.year
    and review.level = application.level and review.kind = 'review'
left join window as notice on notice.year = application.year
    and notice.level = application.level and notice.kind = 'notice';
