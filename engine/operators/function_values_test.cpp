// What functions, operators and casts compute, value by value. A line reads
//     name | argument ; argument | result
// with an argument's type in front (f boolean, i integer, b bigint, d double precision, t text,
// s timestamp), NULL for null, and !reason where the row fails. `name` is a function of the
// catalogue or ::TYPE for a cast. Results are PostgreSQL 15's (its text output) except in
// kDepartures, whose lines say what docs/sql.md says.
#include <arrow/array.h>
#include <arrow/builder.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "engine/operators/evaluator.h"
#include "engine/plan/functions.h"

namespace millrace {
namespace {

constexpr std::string_view kArithmetic = R"(
+ | i 2147483646 ; i 1 | 2147483647
+ | i 2147483647 ; i 1 | !numeric_out_of_range
- | i -2147483648 ; i 1 | !numeric_out_of_range
* | i 65536 ; i 32768 | !numeric_out_of_range
* | i -65536 ; i 32768 | -2147483648
/ | i 7 ; i 2 | 3
/ | i -7 ; i 2 | -3
/ | i 1 ; i 0 | !division_by_zero
/ | i -2147483648 ; i -1 | !numeric_out_of_range
% | i -2147483648 ; i -1 | 0
% | i -7 ; i 3 | -1
% | i 7 ; i -3 | 1
% | i 7 ; i 0 | !division_by_zero
mod | i 7 ; i 4 | 3
- | i -2147483648 | !numeric_out_of_range
- | i 5 | -5
+ | i 5 | 5
abs | i -2147483648 | !numeric_out_of_range
abs | i -3 | 3
+ | i 1 ; i NULL | NULL
/ | i 1 ; i NULL | NULL
/ | i NULL ; i 0 | NULL
+ | b 9223372036854775807 ; b 1 | !numeric_out_of_range
- | b -9223372036854775808 ; b 1 | !numeric_out_of_range
* | b 4294967296 ; b 2147483648 | !numeric_out_of_range
* | b -4294967296 ; b 2147483648 | -9223372036854775808
/ | b -9223372036854775808 ; b -1 | !numeric_out_of_range
% | b -9223372036854775808 ; b -1 | 0
/ | b 9223372036854775807 ; b 2 | 4611686018427387903
abs | b -9223372036854775808 | !numeric_out_of_range
- | b -9223372036854775808 | !numeric_out_of_range
+ | d 0.1 ; d 0.2 | 0.30000000000000004
+ | d 1.7e308 ; d 1.7e308 | !numeric_out_of_range
+ | d Infinity ; d 1 | Infinity
- | d Infinity ; d Infinity | NaN
* | d 1e200 ; d 1e200 | !numeric_out_of_range
* | d 1e-200 ; d 1e-200 | !numeric_out_of_range
* | d 0 ; d 1e-200 | 0
* | d -1 ; d 0 | -0
* | d Infinity ; d 0 | NaN
/ | d 1 ; d 0 | !division_by_zero
/ | d NaN ; d 0 | NaN
/ | d Infinity ; d 0 | !division_by_zero
/ | d 1 ; d Infinity | 0
/ | d 1e-300 ; d 1e300 | !numeric_out_of_range
/ | d 1e300 ; d 1e-300 | !numeric_out_of_range
/ | d 7 ; d 2 | 3.5
- | d 0 | -0
abs | d -Infinity | Infinity
abs | d -0 | 0
)";

constexpr std::string_view kComparisons = R"(
= | d NaN ; d NaN | true
< | d Infinity ; d NaN | true
> | d NaN ; d 1e308 | true
>= | d NaN ; d NaN | true
<= | d NaN ; d 1 | false
< | d NaN ; d NaN | false
<> | d NaN ; d 1 | true
= | d 0 ; d -0 | true
= | i 1 ; i NULL | NULL
< | f false ; f true | true
= | t  ; t  | true
< | t  ; t a | true
< | t a ; t B | false
< | t abc ; t abd | true
< | t ab ; t abc | true
<= | s 2022-06-13 14:14:45+00 ; s 2022-06-13 16:14:45+02 | true
< | b -9223372036854775808 ; b 9223372036854775807 | true
not | f true | false
not | f NULL | NULL
greatest | i 1 ; i NULL ; i 3 | 3
least | i 1 ; i NULL ; i 3 | 1
greatest | i NULL ; i NULL | NULL
greatest | d 1 ; d NaN ; d Infinity | NaN
least | d NaN ; d Infinity | Infinity
least | t b ; t a ; t c | a
greatest | f false ; f true | true
nullif | i 1 ; i 1 | NULL
nullif | i 1 ; i 2 | 1
nullif | i 1 ; i NULL | 1
nullif | i NULL ; i 1 | NULL
nullif | d NaN ; d NaN | NULL
nullif | t a ; t a | NULL
)";

constexpr std::string_view kMathematics = R"(
ceil | d 1.2 | 2
ceil | d -0.5 | -0
ceiling | d -1.5 | -1
floor | d -1.5 | -2
floor | d NaN | NaN
round | d 0.5 | 0
round | d 1.5 | 2
round | d 2.5 | 2
round | d -2.5 | -2
round | d 1e300 | 1e+300
trunc | d -1.7 | -1
trunc | d 1.7 | 1
sign | d -8.4 | -1
sign | d 0 | 0
sqrt | d 2 | 1.4142135623730951
sqrt | d -1 | !invalid_argument
sqrt | d Infinity | Infinity
sqrt | d -0 | -0
cbrt | d -8 | -2
power | d 9 ; d 3 | 729
pow | d 2 ; d 0.5 | 1.4142135623730951
^ | d 2 ; d 10 | 1024
power | d 0 ; d -1 | !invalid_argument
power | d -8 ; d 0.5 | !invalid_argument
power | d NaN ; d 0 | 1
power | d 1 ; d NaN | 1
power | d 2 ; d NaN | NaN
power | d 10 ; d 309 | !numeric_out_of_range
power | d 10 ; d -400 | !numeric_out_of_range
power | d 2 ; d Infinity | Infinity
power | d 0.5 ; d Infinity | 0
power | d -Infinity ; d 3 | -Infinity
power | d -1 ; d Infinity | 1
exp | d 1 | 2.718281828459045
exp | d 710 | !numeric_out_of_range
exp | d -746 | !numeric_out_of_range
exp | d -Infinity | 0
exp | d NaN | NaN
ln | d 2 | 0.6931471805599453
ln | d 0 | !invalid_argument
ln | d -1 | !invalid_argument
ln | d Infinity | Infinity
log | d 100 | 2
log10 | d 1000 | 3
log | d 0 | !invalid_argument
sin | d 1 | 0.8414709848078965
sin | d Infinity | !numeric_out_of_range
cos | d 0 | 1
tan | d 0 | 0
asin | d 1 | 1.5707963267948966
asin | d 1.1 | !numeric_out_of_range
acos | d 1 | 0
acos | d NaN | NaN
acos | d -1.1 | !numeric_out_of_range
atan | d 1 | 0.7853981633974483
atan2 | d 1 ; d 0 | 1.5707963267948966
radians | d 180 | 3.141592653589793
radians | d -0 | -0
radians | d 5e-324 | !numeric_out_of_range
radians | d -Infinity | -Infinity
degrees | d 0.5 | 28.64788975654116
degrees | d 1e308 | !numeric_out_of_range
pi | | 3.141592653589793
)";

constexpr std::string_view kText = R"(
|| | t ab ; t cd | abcd
|| | t ab ; t NULL | NULL
|| | t ab ; t  | ab
lower | t ÀÉ TOM Ω Я | àé tom ω я
upper | t éß tom ω я | Éß TOM Ω Я
initcap | t hi THOMAS 3d o'neil éa | Hi Thomas 3d O'Neil Éa
length | t jose | 4
length | t naïve 🙂 | 7
char_length | t  | 0
octet_length | t naïve | 6
substr | t alphabet ; i 3 | phabet
substr | t alphabet ; i 3 ; i 2 | ph
substring | t Thomas ; i 2 ; i 3 | hom
substr | t abc ; i 0 ; i 2 | a
substr | t abc ; i -1 ; i 3 | a
substr | t abc ; i 2 ; i 2147483647 | bc
substr | t abc ; i 10 |
substr | t abc ; i -5 | abc
substr | t abc ; i 2 ; i -1 | !invalid_argument
substr | t äöü ; i 2 ; i 1 | ö
left | t abcde ; i 2 | ab
left | t abcde ; i -2 | abc
left | t abcde ; i -9 |
left | t äöü ; i 2 | äö
right | t abcde ; i 2 | de
right | t abcde ; i -2 | cde
right | t abcde ; i 9 | abcde
right | t abcde ; i 0 |
btrim | t yxTomxx ; t xyz | Tom
ltrim | t zzzytest ; t xyz | test
rtrim | t testxxzx ; t xyz | test
btrim | t ääbää ; t ä | b
btrim | t abc ; t  | abc
replace | t abcdefabcdef ; t cd ; t XX | abXXefabXXef
replace | t abc ; t  ; t x | abc
replace | t aaa ; t aa ; t b | ba
replace | t abc ; t b ; t  | ac
strpos | t high ; t ig | 2
strpos | t häh ; t h | 1
strpos | t ähb ; t b | 3
strpos | t abc ; t  | 1
strpos | t abc ; t z | 0
starts_with | t alphabet ; t alph | true
starts_with | t alphabet ; t beta | false
concat | t abcde ; t NULL ; t 22 | abcde22
concat | t NULL |
concat_ws | t , ; t abcde ; t NULL ; t 22 | abcde,22
concat_ws | t NULL ; t a | NULL
concat_ws | t , ; t NULL |
lpad | t hi ; i 5 ; t xy | xyxhi
lpad | t hello ; i 2 ; t x | he
lpad | t hi ; i -1 ; t x |
lpad | t hi ; i 5 ; t  | hi
rpad | t hi ; i 5 ; t xy | hixyx
rpad | t hi ; i 4 ; t äö | hiäö
repeat | t Pg ; i 4 | PgPgPgPg
repeat | t Pg ; i 0 |
repeat | t Pg ; i -3 |
reverse | t abcde | edcba
reverse | t äb🙂 | 🙂bä
split_part | t abc~@~def~@~ghi ; t ~@~ ; i 2 | def
split_part | t abc,def,ghi,jkl ; t , ; i -2 | ghi
split_part | t abc,def ; t , ; i 3 |
split_part | t abc,def ; t , ; i -3 |
split_part | t abc,def ; t  ; i 1 | abc,def
split_part | t abc,def ; t  ; i -1 | abc,def
split_part | t abc,def ; t  ; i 2 |
split_part | t abc ; t , ; i 0 | !invalid_argument
)";

constexpr std::string_view kLike = R"(
~~ | t abc ; t abc | true
~~ | t abc ; t a% | true
~~ | t abc ; t _b_ | true
~~ | t abc ; t c | false
~~ | t  ; t % | true
~~ | t  ; t  | true
~~ | t  ; t _ | false
~~ | t abc ; t %%c | true
~~ | t abc ; t %b% | true
~~ | t aXbXc ; t a%b%c | true
~~ | t aab ; t %ab | true
~~ | t ab ; t ab%ab | false
~~ | t abab ; t ab%ab | true
~~ | t aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ; t %a%a%a%a%a%a%a%b | false
~~ | t a%c ; t a\%c | true
~~ | t abc ; t a\%c | false
~~ | t a\c ; t a\\c | true
~~ | t a_c ; t a\_c | true
~~ | t abc ; t a\bc | true
~~ | t äöü ; t ä_ü | true
~~ | t äöü ; t ___ | true
~~ | t äöü ; t ____ | false
~~ | t 🙂b ; t %_b | true
~~ | t xaybz ; t %a_b% | true
~~ | t Abc ; t a% | false
!~~ | t abc ; t a% | false
!~~ | t abc ; t NULL | NULL
~~* | t ABC ; t a%C | true
~~* | t ÄB ; t ä_ | true
!~~* | t ABC ; t a% | false
)";

constexpr std::string_view kTime = R"(
date_trunc | t hour ; s 2022-06-13 14:14:45.5+00 | 2022-06-13 14:00:00+00
date_trunc | t minute ; s 1969-12-31 23:59:59.999999+00 | 1969-12-31 23:59:00+00
date_trunc | t second ; s 1969-12-31 23:59:59.999999+00 | 1969-12-31 23:59:59+00
date_trunc | t milliseconds ; s 2022-06-13 14:14:45.123987+00 | 2022-06-13 14:14:45.123+00
date_trunc | t day ; s 2022-06-13 14:14:45+00 | 2022-06-13 00:00:00+00
date_trunc | t week ; s 2022-06-19 14:14:45+00 | 2022-06-13 00:00:00+00
date_trunc | t week ; s 1970-01-01 00:00:00+00 | 1969-12-29 00:00:00+00
date_trunc | t MONTH ; s 2022-06-13 14:14:45+00 | 2022-06-01 00:00:00+00
date_trunc | t quarter ; s 2022-06-13 14:14:45+00 | 2022-04-01 00:00:00+00
date_trunc | t year ; s 2022-06-13 14:14:45+00 | 2022-01-01 00:00:00+00
date_trunc | t decade ; s 2022-06-13 14:14:45+00 | 2020-01-01 00:00:00+00
date_trunc | t century ; s 2000-06-13 14:14:45+00 | 1901-01-01 00:00:00+00
date_trunc | t millennium ; s 2022-06-13 14:14:45+00 | 2001-01-01 00:00:00+00
date_trunc | t fortnight ; s 2022-06-13 14:14:45+00 | !invalid_argument
date_trunc | t dow ; s 2022-06-13 14:14:45+00 | !invalid_argument
date_part | t epoch ; s 2022-06-13 14:14:45.25+00 | 1655129685.25
date_part | t second ; s 2022-06-13 14:14:45.25+00 | 45.25
date_part | t milliseconds ; s 2022-06-13 14:14:45.25+00 | 45250
date_part | t microseconds ; s 2022-06-13 14:14:45.25+00 | 45250000
date_part | t minute ; s 2022-06-13 14:15:45+00 | 15
date_part | t hour ; s 2022-06-13 14:15:45+00 | 14
date_part | t day ; s 2022-06-13 14:15:45+00 | 13
date_part | t dow ; s 2022-06-19 14:15:45+00 | 0
date_part | t isodow ; s 2022-06-19 14:15:45+00 | 7
date_part | t doy ; s 2024-12-31 14:15:45+00 | 366
date_part | t week ; s 2005-01-01 00:00:00+00 | 53
date_part | t isoyear ; s 2005-01-01 00:00:00+00 | 2004
date_part | t week ; s 2012-12-31 00:00:00+00 | 1
date_part | t month ; s 2022-06-13 14:15:45+00 | 6
date_part | t quarter ; s 2022-06-13 14:15:45+00 | 2
date_part | t year ; s 2022-06-13 14:15:45+00 | 2022
date_part | t decade ; s 2022-06-13 14:15:45+00 | 202
date_part | t century ; s 2000-12-16 12:21:13+00 | 20
date_part | t century ; s 2001-02-16 20:38:40+00 | 21
date_part | t millennium ; s 2001-02-16 20:38:40+00 | 3
date_part | t julian ; s 2006-01-01 12:00:00+00 | 2453737.5
date_part | t timezone ; s 2006-01-01 12:00:00+00 | 0
date_part | t nothing ; s 2006-01-01 12:00:00+00 | !invalid_argument
to_timestamp | d 1284352323.5 | 2010-09-13 04:32:03.5+00
to_timestamp | d -0.000001 | 1969-12-31 23:59:59.999999+00
to_timestamp | d 0.5714285714285714 | 1970-01-01 00:00:00.571428+00
to_timestamp | d 1655129685.123456 | 2022-06-13 14:14:45.123456+00
to_timestamp | d 9.3e12 | !timestamp_out_of_range
to_timestamp | d NaN | !timestamp_out_of_range
)";

constexpr std::string_view kTimeTexts = R"(
to_date | t 2024-02-29 02:30 +05:30 ; t YYYY-MM-DD HH24:MI TZH:TZM | 2024-02-29
to_date | t 2024-02-29 23:30 -05 ; t YYYY-MM-DD HH24:MI TZH | 2024-02-29
to_date | t 2024-02-29 23:59:59.96 ; t YYYY-MM-DD HH24:MI:SS.FF1 | 2024-02-29
to_timestamp | t 2024-02-29 02:30 +05:30 ; t YYYY-MM-DD HH24:MI TZH:TZM | 2024-02-28 21:00:00+00
to_timestamp | t  2026:01 ; t FX YYYY:MM | 2026-01-01 00:00:00+00
to_timestamp | t 2026:01 ; t FX YYYY:MM | 0026-01-01 00:00:00+00
to_timestamp | t   T ; t FX  DD | !invalid_argument
to_timestamp | t  T ; t FX  DD | 0001-01-01 00:00:00+00 BC
to_timestamp | t 2024 0507 ; t YYYY FF3 | 2024-01-01 00:00:00.051+00
to_timestamp | t 2024 990 ; t YYYY FF1 | 2024-01-01 00:00:01+00
to_timestamp | t 2024 507 ; t YYYY FF2 | 2024-01-01 00:00:00.51+00
to_timestamp | t 1969 95 ; t YYYY FF1 | 1969-01-01 00:00:00.9+00
to_timestamp | t 1969 55 ; t YYYY FF1 | 1969-01-01 00:00:00.5+00
to_timestamp | t 2024 024 ; t YYYY YYY | !invalid_argument
to_timestamp | t 024 24 ; t YYY YY | !invalid_argument
to_timestamp | t 2024 024 2024 ; t YYYY MM YYYY | !timestamp_out_of_range
to_timestamp | t 2024 50 50 ; t YYYY FF3 FF3 | !invalid_argument
to_timestamp | t 2024 Tue Wed ; t YYYY Dy Dy | 2024-01-01 00:00:00+00
to_timestamp | t 2024 Tue Tue ; t YYYY Dy Dy | !invalid_argument
to_timestamp | t 2024 2 Tue ; t YYYY D Dy | 2024-01-01 00:00:00+00
to_timestamp | t PM 3 AM ; t AM HH PM | !invalid_argument
to_timestamp | t 2024 BC AD ; t YYYY AD BC | !invalid_argument
to_timestamp | t 2024 07 07 ; t YYYY MM MM | 2024-07-01 00:00:00+00
to_timestamp | t 2024 07 08 ; t YYYY MM MM | !invalid_argument
to_date | t   2024 ; t DDDYYYY | 0004-07-20
to_char | s 2024-02-29 10:00:00+00 ; t TMRM/TMrm/FMRM/TMMonth/TMDay/TMDD/TMHH/TMDDD | II  /ii  /II/February/Thursday/29/10/060
make_timestamp | i 2024 ; i 1 ; i 1 ; i 0 ; i 0 ; d 60.00000000000001 | 2024-01-01 00:01:00+00
make_timestamp | i 2024 ; i 1 ; i 1 ; i 0 ; i 0 ; d -1e-17 | 2024-01-01 00:00:00+00
make_timestamp | i 2024 ; i 1 ; i 1 ; i 24 ; i 0 ; d 1e-9 | 2024-01-02 00:00:00+00
make_timestamp | i 2024 ; i 1 ; i 1 ; i 0 ; i 0 ; d 60.0000006 | !timestamp_out_of_range
make_timestamp | i 2024 ; i 1 ; i 1 ; i 0 ; i 0 ; d -0.0000006 | !timestamp_out_of_range
make_timestamp | i 2024 ; i 1 ; i 1 ; i 0 ; i 0 ; d NaN | !timestamp_out_of_range
::timestamp | t 2024-02-29 10:00:00,5 | !invalid_cast
::date | t 2024-02-29 10:00:00,5 | !invalid_cast
date_trunc | t year ; s 2024-02-29 10:00:00+00 ; t Asia/Tokyo | 2023-12-31 15:00:00+00
)";

constexpr std::string_view kCasts = R"(
::integer | d 0.5 | 0
::integer | d 1.5 | 2
::integer | d 2.5 | 2
::integer | d -2.5 | -2
::integer | d 2147483647.4 | 2147483647
::integer | d 2147483647.5 | !numeric_out_of_range
::integer | d -2147483648.5 | -2147483648
::integer | d NaN | !numeric_out_of_range
::integer | d Infinity | !numeric_out_of_range
::bigint | d 9223372036854774784 | 9223372036854774784
::bigint | d 9223372036854775807 | !numeric_out_of_range
::bigint | d -9223372036854775808 | -9223372036854775808
::integer | b 2147483648 | !numeric_out_of_range
::integer | b -2147483648 | -2147483648
::double | b 9007199254740993 | 9.007199254740992e+15
::double | i -7 | -7
::bigint | i -7 | -7
::integer | f true | 1
::boolean | i 0 | false
::boolean | i -3 | true
::integer | t  42  | 42
::integer | t +7 | 7
::integer | t -2147483648 | -2147483648
::integer | t 2147483648 | !numeric_out_of_range
::integer | t 1.5 | !invalid_cast
::integer | t 1e2 | !invalid_cast
::integer | t  | !invalid_cast
::integer | t - | !invalid_cast
::integer | t 4 2 | !invalid_cast
::bigint | t 9223372036854775807 | 9223372036854775807
::bigint | t 9223372036854775808 | !numeric_out_of_range
::bigint | t abc | !invalid_cast
::double | t  1.5e3  | 1500
::double | t .5 | 0.5
::double | t 5. | 5
::double | t NaN | NaN
::double | t -infinity | -Infinity
::double | t inf | Infinity
::double | t 1,5 | !invalid_cast
::double | t  | !invalid_cast
::double | t 1e | !invalid_cast
::boolean | t t | true
::boolean | t  TRUE  | true
::boolean | t y | true
::boolean | t on | true
::boolean | t 1 | true
::boolean | t off | false
::boolean | t of | false
::boolean | t no | false
::boolean | t o | !invalid_cast
::boolean | t truely | !invalid_cast
::boolean | t 2 | !invalid_cast
::timestamp | t 2022-06-13 14:14:45.000001+00 | 2022-06-13 14:14:45.000001+00
::timestamp | t  2022-06-13T14:14:45Z  | 2022-06-13 14:14:45+00
::timestamp | t 2022-06-13 14:14:45.12+02:00 | 2022-06-13 12:14:45.12+00
::timestamp | t 2022-06-13 | 2022-06-13 00:00:00+00
::timestamp | t 0001-01-01 00:00:00+00 | 0001-01-01 00:00:00+00
::timestamp | t yesterday-ish | !invalid_cast
::timestamp | t 2022-02-30 | !invalid_cast
::text | f true | true
::text | i -2147483648 | -2147483648
::text | b -9223372036854775808 | -9223372036854775808
::text | d 0.1 | 0.1
::text | d 100 | 100
::text | d -0 | -0
::text | d 0.0001 | 0.0001
::text | d 0.00001 | 1e-05
::text | d 123456789012345 | 123456789012345
::text | d 1234567890123456 | 1.234567890123456e+15
::text | d 1e15 | 1e+15
::text | d 1e14 | 100000000000000
::text | d 1.5e300 | 1.5e+300
::text | d 5e-324 | 5e-324
::text | d 1.7976931348623157e308 | 1.7976931348623157e+308
::text | d -Infinity | -Infinity
::text | s 2022-06-13 14:14:45.100000+00 | 2022-06-13 14:14:45.1+00
::integer | t NULL | NULL
)";

// round and trunc to places are numeric's in PostgreSQL, % of doubles too; numeric keeps trailing
// zeros and can hold what a double cannot. PostgreSQL tells of a trailing escape in a LIKE pattern
// only when it gets there.
constexpr std::string_view kDepartures = R"(
round | d 2.675 ; i 2 | 2.68
round | d 1.005 ; i 2 | 1.01
round | d -2.5 ; i 0 | -3
round | d 0.5 ; i 0 | 1
round | d 0.4 ; i 0 | 0
round | d 9.995 ; i 2 | 10
round | d 99.99 ; i 1 | 100
round | d 1234.5678 ; i -2 | 1200
round | d 1250 ; i -2 | 1300
round | d 49 ; i -2 | 0
round | d 50 ; i -2 | 100
round | d 42.4382 ; i 2 | 42.44
round | d 42.4382 ; i 20 | 42.4382
round | d 1e-300 ; i 2147483647 | 1e-300
round | d 1e300 ; i -2147483648 | 0
round | d 1.7e308 ; i -308 | !numeric_out_of_range
round | d NaN ; i 2 | NaN
round | d -Infinity ; i 2 | -Infinity
trunc | d 42.4382 ; i 2 | 42.43
trunc | d -42.4382 ; i 1 | -42.4
trunc | d 1299 ; i -2 | 1200
trunc | d 0.29 ; i 2 | 0.29
% | d 5.5 ; d 2 | 1.5
% | d -5.5 ; d 2 | -1.5
% | d 5 ; d 0 | !division_by_zero
mod | d NaN ; d 0 | NaN
log | d 2 ; d 64 | 6
log | d 10 ; d 1000 | 3
log | d 1 ; d 5 | !division_by_zero
log | d 0 ; d 5 | !invalid_argument
is_distinct_from | i 1 ; i NULL | true
is_distinct_from | i NULL ; i NULL | false
is_distinct_from | d NaN ; d NaN | false
is_distinct_from | t a ; t b | true
~~ | t abc ; t abc\ | !invalid_escape_sequence
to_timestamp | d Infinity | !timestamp_out_of_range
repeat | t abcd ; i 262145 | !text_too_long
lpad | t a ; i 2000000 ; t x | !text_too_long
)";

Type TypeOf(char letter) {
  static const std::map<char, Type> types = {{'f', Type::kBoolean}, {'i', Type::kInteger},
                                             {'b', Type::kBigint},  {'d', Type::kDouble},
                                             {'t', Type::kText},    {'s', Type::kTimestamp}};
  return types.at(letter);
}

std::vector<std::string> Split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  size_t start = 0;
  for (size_t at; (at = text.find(separator, start)) != std::string::npos;) {
    parts.push_back(text.substr(start, at - start));
    start = at + separator.size();
  }
  parts.push_back(text.substr(start));
  return parts;
}

Expr CastOf(Expr arg, Type type) {
  if (arg.type == type) return arg;
  Expr cast;
  cast.kind = Expr::Kind::kCast;
  cast.type = type;
  cast.args = {std::move(arg)};
  return cast;
}

// The result as text, NULL or !reason. Arguments come as text columns and are cast; `rows` copies
// of the line are evaluated at once and must agree.
std::string Computed(const std::string& name, const std::vector<std::string>& args, int64_t rows) {
  Schema schema;
  std::vector<Expr> exprs;
  std::vector<Type> types;
  arrow::ArrayVector columns;
  for (const std::string& arg : args) {
    const std::string value = arg.substr(2);
    arrow::StringBuilder builder;
    for (int64_t row = 0; row < rows; ++row) {
      EXPECT_TRUE((value == "NULL" ? builder.AppendNull() : builder.Append(value)).ok());
    }
    Expr column;
    column.kind = Expr::Kind::kColumn;
    column.type = Type::kText;
    column.column = int(columns.size());
    schema.fields.push_back({"c" + std::to_string(column.column), Type::kText, "", false});
    columns.push_back(builder.Finish().ValueOrDie());
    types.push_back(TypeOf(arg[0]));
    exprs.push_back(CastOf(column, types.back()));
  }
  Expr call;
  if (name.starts_with("::")) {
    call = CastOf(exprs[0], *TypeFromName(name.substr(2)));
  } else {
    call.kind = Expr::Kind::kCall;
    call.function = ResolveFunction(name, types, std::vector<bool>(types.size(), false));
    if (call.function < 0) return "no such function";
    call.type = FunctionCatalog()[size_t(call.function)].result;
    call.args = exprs;
  }
  const auto evaluator = Evaluator::Make(CastOf(call, Type::kText), schema).ValueOrDie();
  const auto batch = arrow::RecordBatch::Make(schema.ToArrow(), rows, columns);
  const Evaluated result = evaluator->Evaluate(*batch).ValueOrDie();
  EXPECT_TRUE(result.errors.empty() || int64_t(result.errors.size()) == rows);
  if (!result.errors.empty()) return "!" + result.errors[0].reason;
  const auto& values = static_cast<const arrow::StringArray&>(*result.values);
  for (int64_t row = 1; row < rows; ++row) {
    EXPECT_TRUE(values.RangeEquals(0, 1, row, values)) << "row " << row;
  }
  return values.IsNull(0) ? "NULL" : values.GetString(0);
}

void Check(std::string_view table) {
  std::istringstream lines{std::string(table)};
  int checked = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    const size_t first = line.find(" | ", 1);
    const size_t last = line.rfind(" |");
    ASSERT_NE(first, std::string::npos) << line;
    const std::string name = line.substr(0, first);
    const std::string arguments = last > first + 2 ? line.substr(first + 3, last - first - 3) : "";
    const std::string expected = last + 3 <= line.size() ? line.substr(last + 3) : "";
    const std::vector<std::string> args =
        arguments.empty() ? std::vector<std::string>() : Split(arguments, " ; ");
    EXPECT_EQ(Computed(name, args, 1), expected) << line;
    EXPECT_EQ(Computed(name, args, 131), expected) << line;
    ++checked;
  }
  EXPECT_GT(checked, 10);
}

TEST(FunctionValuesTest, Arithmetic) { Check(kArithmetic); }
TEST(FunctionValuesTest, Comparisons) { Check(kComparisons); }
TEST(FunctionValuesTest, Mathematics) { Check(kMathematics); }
TEST(FunctionValuesTest, Text) { Check(kText); }
TEST(FunctionValuesTest, Like) { Check(kLike); }
TEST(FunctionValuesTest, Time) { Check(kTime); }
TEST(FunctionValuesTest, TimeTexts) { Check(kTimeTexts); }
TEST(FunctionValuesTest, Casts) { Check(kCasts); }
TEST(FunctionValuesTest, Departures) { Check(kDepartures); }

}  // namespace
}  // namespace millrace
