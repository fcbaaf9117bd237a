-- The first shape of the database. Times are whole milliseconds since 1970 (UTC).
-- What identifies a person (national ID, birthday, what is mailed) is sealed: see vault.

-- One year's round; the newest year is the one that the site works on.
create table round (
    year integer primary key,              -- ROC year
    organiser text not null,               -- 主辦單位
    notices_version integer not null,      -- raised when the text of step 1 changes
    notices text not null default '',      -- one item a line; empty: the usual text
    notices_en text not null default '',
    max_counties integer not null,
    max_subjects integer not null,
    max_choices integer not null,          -- 0 = no limit
    schools_revision integer not null default 1  -- raised by each correction of schools
) strict;

-- 作業日程: when something may be done. A time of closing is already closed.
create table window (
    year integer not null references round,
    level text not null,
    kind text not null check (kind in ('fill', 'review', 'result')),
    opens integer not null,
    closes integer,
    primary key (year, level, kind)
) strict;

create table county (
    code text primary key,
    name text not null,
    name_en text not null
) strict;

create table subject (
    code text primary key,
    name text not null,
    name_en text not null,
    level text not null,
    place integer not null                 -- order in the list
) strict;

-- 教師證任教地區限制; tags: where such a certificate may teach, empty = everywhere
create table area (
    code text primary key,
    name text not null,
    name_en text not null,
    tags text not null,
    place integer not null
) strict;

create table school (
    code text primary key,
    name text not null,
    short_name text not null,
    county text not null references county,
    township text not null,
    level text not null,
    tags text not null default '',         -- |-list: remote, special-remote, …
    address text not null default '',
    notice text not null default '',       -- what the school wants applicants to know
    open integer not null default 1        -- 0: corrected away by its county
) strict;
create index school_of_county on school (county, level, township);

-- Which subjects a school teaches at all; a school without rows is not known.
create table school_subject (
    school text not null references school,
    subject text not null references subject,
    primary key (school, subject)
) strict, without rowid;

-- Who may sign in for the first time: the county's list of its teachers.
create table roster (
    year integer not null,
    level text not null,
    lookup blob not null,                  -- HMAC of year, level and national ID
    county text not null references county,
    school text references school,
    primary key (year, level, lookup)
) strict, without rowid;

create table account (
    id text primary key,
    year integer not null,
    level text not null,
    lookup blob not null,
    county text not null references county,
    national_id blob not null,             -- sealed
    birth_date blob not null,              -- sealed
    sex text not null,
    card_name text not null,
    card_name_certain integer not null,
    password text,                         -- argon2id; null until step 2
    hint blob,                             -- sealed; goes out with the reset mail alone
    created integer not null,
    last_sign_in integer,
    unique (year, level, lookup)
) strict;

create table device (                      -- computers an account has signed in from
    account text not null references account,
    device blob not null,
    first_seen integer not null,
    confirmed integer,                     -- when the code mailed for it came back
    primary key (account, device)
) strict, without rowid;

create table session (
    token blob primary key,                -- SHA-256 of the cookie
    account text references account,       -- null before sign-in
    created integer not null,
    seen integer not null,
    device blob
) strict, without rowid;
create index session_of_account on session (account);

create table challenge (                   -- one per session: a new one replaces it
    session blob primary key,
    nonce text not null,                   -- counts once: its answer deletes the row
    raw blob not null,
    signature blob not null,
    expires integer not null
) strict, without rowid;

create table throttle (
    key text primary key,                  -- of an account or of an address
    failures integer not null,
    since integer not null,
    until integer not null                 -- refused before
) strict, without rowid;

create table mail_code (                   -- codes mailed to show that an address is one's own
    account text not null references account,
    device blob not null,                  -- the computer to confirm; empty: a new address
    email text not null,
    code blob not null,                    -- SHA-256
    created integer not null,
    expires integer not null,
    tries integer not null default 0,
    primary key (account, device)
) strict, without rowid;

create table reset (                       -- one-time links for a new password
    token blob primary key,                -- SHA-256
    account text not null references account,
    created integer not null,
    expires integer not null,
    used integer
) strict, without rowid;

create table application (
    id text primary key,
    account text not null unique references account,
    year integer not null,
    level text not null,
    county text not null references county,
    version integer not null default 1,    -- of the whole application
    step integer not null default 1,       -- furthest of the six steps reached
    state text not null default 'filling'
        check (state in ('filling', 'filed', 'returned', 'rejected', 'approved')),
    saved integer not null,
    digest text not null default '',
    notices_version integer,
    notices_at integer,
    name text not null default '',
    phone1 text not null default '',
    phone2 text not null default '',
    email text not null default '',
    email_confirmed integer,
    indigenous integer,                    -- null: not chosen, which waives it
    area text references area,
    service_years integer,
    school text references school,
    subject1 text references subject,
    subject2 text references subject,
    subject3 text references subject,
    county1 text references county,        -- 甲
    county2 text references county,        -- 乙
    wishes_saved integer,
    filed integer,
    number text,                           -- 電腦編號, given at review
    reason text not null default ''        -- of a rejection or a return
) strict;
create index application_of_county on application (county, level, state);

create table wish (
    application text not null references application,
    place integer not null,                -- 1 is the first choice
    school text not null references school,
    primary key (application, place),
    unique (application, school)
) strict, without rowid;

-- Every save as it was; what a receipt, the sheet and a reviewer refer to.
create table application_version (
    application text not null references application,
    version integer not null,
    saved integer not null,
    event text not null,
    digest text not null,                  -- SHA-256 of content
    content text not null,                 -- canonical JSON
    primary key (application, version)
) strict, without rowid;
create trigger application_version_kept before update on application_version
begin select raise(abort, 'versions are never changed'); end;

-- 積分 by item, hundredths, typed in by the county at review.
create table points (
    application text not null references application,
    item text not null check (item in (
        'reason1', 'reason2', 'appraisal', 'service', 'awards', 'special', 'studies')),
    value integer not null,
    primary key (application, item)
) strict, without rowid;

create table result (                      -- shown only after publication
    application text primary key references application,
    stage text not null,                   -- empty: not placed
    school text references school,
    subject text references subject,
    choice integer
) strict, without rowid;

create table line_link (                   -- where LINE notices of an application go
    application text primary key references application,
    user blob not null,                    -- sealed LINE user id
    linked integer not null
) strict, without rowid;

create table notify_choice (               -- which mails are wanted; no row = wanted
    application text not null references application,
    channel text not null check (channel in ('mail', 'line')),
    event text not null,
    wanted integer not null,
    primary key (application, channel, event)
) strict, without rowid;

create table outbox (
    id integer primary key,
    key text not null unique,              -- event, application, version, channel
    channel text not null check (channel in ('mail', 'line')),
    event text not null,
    application text not null references application,
    county text not null,
    payload blob,                          -- sealed; emptied once it is sent
    created integer not null,
    state text not null default 'waiting'
        check (state in ('waiting', 'claimed', 'done', 'failed')),
    next_try integer not null,
    tries integer not null default 0,
    finished integer,
    error text not null default ''
) strict;
create index outbox_due on outbox (state, next_try);

-- What happened, in a chain: each digest covers the row and the digest before it.
create table audit (
    id integer primary key,
    at integer not null,
    actor text not null,                   -- account, staff or 'system'
    action text not null,
    object text not null,                  -- account or application; '' = none
    county text not null default '',
    detail text not null default '',       -- canonical JSON, without personal data
    digest blob not null
) strict;
create index audit_of_object on audit (object, id);
create trigger audit_not_changed before update on audit
begin select raise(abort, 'the audit is never changed'); end;
create trigger audit_not_deleted before delete on audit
begin select raise(abort, 'the audit is never changed'); end;

-- An application with everything that is shown beside it, so that one query does.
create view application_whole as
select
    application.*,
    account.sex, account.card_name, account.card_name_certain,
    account.password is not null as has_password,
    fill.opens as fill_opens, fill.closes as fill_closes,
    shown.opens as result_opens,
    own.name as county_name, own.name_en as county_name_en,
    coalesce(school.name, '') as school_name,
    coalesce(school.township, '') as school_township,
    (select json_group_array(school) from
        (select school from wish where application = application.id order by place)
    ) as wishes
from application
join account on account.id = application.account
join county as own on own.code = application.county
left join school on school.code = application.school
left join window as fill on fill.year = application.year
    and fill.level = application.level and fill.kind = 'fill'
left join window as shown on shown.year = application.year
    and shown.level = application.level and shown.kind = 'result';

insert into county (code, name, name_en) values
    ('01', '新北市', 'New Taipei City'), ('02', '宜蘭縣', 'Yilan County'),
    ('03', '桃園市', 'Taoyuan City'), ('04', '新竹縣', 'Hsinchu County'),
    ('05', '苗栗縣', 'Miaoli County'), ('06', '臺中市', 'Taichung City'),
    ('07', '彰化縣', 'Changhua County'), ('08', '南投縣', 'Nantou County'),
    ('09', '雲林縣', 'Yunlin County'), ('10', '嘉義縣', 'Chiayi County'),
    ('11', '臺南市', 'Tainan City'), ('12', '高雄市', 'Kaohsiung City'),
    ('13', '屏東縣', 'Pingtung County'), ('14', '臺東縣', 'Taitung County'),
    ('15', '花蓮縣', 'Hualien County'), ('16', '澎湖縣', 'Penghu County'),
    ('17', '基隆市', 'Keelung City'), ('18', '新竹市', 'Hsinchu City'),
    ('20', '嘉義市', 'Chiayi City'), ('30', '臺北市', 'Taipei City'),
    ('71', '金門縣', 'Kinmen County'), ('72', '連江縣', 'Lienchiang County');

insert into area (code, name, name_en, tags, place) values
    ('general', '一般地區(無限制)', 'general area (no restriction)', '', 1),
    ('remote', '偏遠或特殊地區', 'remote or special areas',
        'remote|special-remote|extreme-remote', 2),
    ('indigenous', '原住民地區', 'indigenous areas', 'indigenous', 3);

insert into subject (code, name, name_en, level, place) values
    ('E01', '普通', 'general', 'elementary', 1),
    ('E02', '加註英語專長', 'English', 'elementary', 2),
    ('E03', '身心障礙類', 'special needs', 'elementary', 3),
    ('E04', '視覺障礙類', 'visual impairment', 'elementary', 4),
    ('E05', '聽覺障礙類', 'hearing impairment', 'elementary', 5),
    ('E06', '肢體障礙類', 'physical disability', 'elementary', 6),
    ('E07', '智能障礙類', 'intellectual disability', 'elementary', 7),
    ('E08', '語言障礙類', 'language disorder', 'elementary', 8),
    ('E09', '學習障礙類', 'learning disability', 'elementary', 9),
    ('E10', '性格或行為異常類(嚴重情緒障礙)', 'emotional or behavioural disorder',
        'elementary', 10),
    ('E11', '自閉症類', 'autism', 'elementary', 11),
    ('E12', '多重障礙類', 'multiple disabilities', 'elementary', 12),
    ('E13', '身體病弱類', 'chronic illness', 'elementary', 13),
    ('E14', '一般資賦優異類', 'gifted, general', 'elementary', 14),
    ('E15', '音樂藝術才能資賦優異類', 'gifted in music', 'elementary', 15),
    ('E16', '美術藝術才能資賦優異類', 'gifted in fine arts', 'elementary', 16),
    ('E17', '舞蹈藝術才能資賦優異類', 'gifted in dance', 'elementary', 17),
    ('E18', '專任輔導教師', 'full-time counsellor', 'elementary', 18),
    ('J01', '國文', 'Chinese', 'junior-high', 1),
    ('J02', '英語', 'English', 'junior-high', 2),
    ('J03', '數學', 'mathematics', 'junior-high', 3),
    ('J04', '自然領域(理化)', 'physics and chemistry', 'junior-high', 4),
    ('J05', '自然領域(生物)', 'biology', 'junior-high', 5),
    ('J06', '自然領域(地球科學)', 'earth science', 'junior-high', 6),
    ('J07', '歷史', 'history', 'junior-high', 7),
    ('J08', '地理', 'geography', 'junior-high', 8),
    ('J09', '公民', 'civics', 'junior-high', 9),
    ('J10', '體育', 'physical education', 'junior-high', 10),
    ('J11', '健康教育', 'health education', 'junior-high', 11),
    ('J12', '音樂', 'music', 'junior-high', 12),
    ('J13', '視覺藝術', 'visual arts', 'junior-high', 13),
    ('J14', '表演藝術', 'performing arts', 'junior-high', 14),
    ('J15', '童軍', 'scouting', 'junior-high', 15),
    ('J16', '輔導', 'guidance', 'junior-high', 16),
    ('J17', '家政', 'home economics', 'junior-high', 17),
    ('J18', '資訊科技', 'information technology', 'junior-high', 18),
    ('J19', '生活科技', 'technology', 'junior-high', 19),
    ('J20', '身心障礙類', 'special needs', 'junior-high', 20),
    ('J21', '一般資賦優異類', 'gifted, general', 'junior-high', 21),
    ('J22', '專任輔導教師', 'full-time counsellor', 'junior-high', 22),
    ('K01', '幼兒園普通', 'kindergarten, general', 'kindergarten', 1),
    ('K02', '學前身心障礙類', 'preschool special needs', 'kindergarten', 2),
    ('K03', '學前聽覺障礙類', 'preschool hearing impairment', 'kindergarten', 3);
