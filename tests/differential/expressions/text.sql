-- lengths
length(t)
length(vc)
length(c)
char_length(t)
character_length(c)
octet_length(t)
octet_length(c)
bit_length(t)
length('😀')
length(E'e\u0301')
octet_length('ä😀')
length('')
length('ab   ')
length('ab   '::char(5))
octet_length('ab'::char(5))
-- case
lower(t)
upper(t)
initcap(t)
lower(vc)
upper(vc)
upper(c)
lower('ÄÖÜ ẞ')
upper('straße')
upper('ﬁ')
lower('İ')
upper('ı')
lower('ΣΊΣΥΦΟΣ')
upper('ǆ')
initcap('hello world-foo bar_baz')
initcap('o''neil MACDONALD')
initcap('ünï 3rd x2y ÄB')
initcap('ǆ abc')
-- joining
t || vc
t || c
c || c
c || '-' || vc
t || i
t || n
t || f
t || bo
t || d
t || ts
t || tz
s || t
b || ':' || i
r || ''
w || 'x'
'a' || 1
1 || 'a'
1.50 || ''
true || ''
t || NULL
NULL || t
t || NULL || vc
'a' || NULL::text
t || interval '1 day'
concat(t, vc)
concat(t, NULL, i)
concat(NULL)
concat(NULL, NULL)
concat('a', NULL, 'b')
concat(bo, '/', n, '/', f)
concat(d, ts)
concat(c, '|')
concat(ia, ta)
concat(tz, by)
concat_ws('-', t, vc, c)
concat_ws(', ', 'a', NULL, 'b')
concat_ws(NULL, 'a', 'b')
concat_ws('-', NULL, NULL)
concat_ws('', i, n, bo)
concat_ws(vc, 'x', 'y')
-- parts by position
substr(t, 2)
substr(t, 2, 3)
substr('hello', 0, 3)
substr('hello', -1, 3)
substr('hello', -1)
substr('hello', 6)
substr('hello', 2, 0)
substr('hello', 2, -1)
substr('hello', 2, 2147483647)
substr('hello', 1, 100)
substr(t, NULL)
substr('a😀ä', 2, 1)
substring(t, 1, 4)
substring(t FROM 3)
substring(t FROM 2 FOR 2)
substring(t FOR 3)
substring('hello' FROM -2 FOR 5)
substring('hello' FOR 0)
substring(vc FROM 2)
substring(c FROM 1 FOR 4) || '|'
left(t, 3)
left(t, -2)
left(t, 0)
left('ab', 10)
left('ab', -10)
left('😀ä', 1)
right(t, 3)
right(t, -2)
right('ab', -10)
right('a😀', 1)
right(c, 2) || '|'
left(c, 4) || '|'
left(t, i)
-- padding and repeating
lpad(t, 10)
lpad(t, 10, '.')
lpad('abc', 2)
lpad('abc', 0)
lpad('abc', -1)
lpad('7', 3, '0')
lpad('abc', 8, 'xy')
lpad('abc', 8, '')
lpad('ä', 3, '😀')
lpad(vc, 8, '*')
lpad(i::text, 6, '0')
rpad(t, 8)
rpad(t, 8, '-=')
rpad('abc', 2)
rpad('abc', 5, 'xy')
rpad('abc', 5, '')
rpad(c, 8, 'x')
repeat('ab', 3)
repeat(t, 2)
repeat('ab', 0)
repeat('ab', -1)
repeat('', 5)
repeat('-', s % 5)
-- trimming
trim(t)
trim(c)
trim('  x  ') || '|'
trim(E'\t x \n') || '|'
trim(both 'x' from 'xaxx')
trim(leading 'xy' from 'yxabyx')
trim(trailing 'ab' from 'xbaab')
trim(both from '  a ')
trim(leading from t) || '|'
trim(trailing from t) || '|'
trim('x' from t)
trim(t, 'ae')
trim(both 'ä' from 'äaä')
btrim(t)
btrim('yxay', 'xy')
btrim(t, '')
btrim('aaa', 'a')
ltrim(t)
ltrim('xxa', 'x')
ltrim(t, 'abcdefg')
ltrim(vc, '0+-')
rtrim(t) || '|'
rtrim('axx', 'x')
rtrim(n::text, '0')
rtrim(c) || '|'
-- searching and replacing
strpos(t, 'a')
strpos('hello', 'l')
strpos('hello', '')
strpos('', 'a')
strpos('a😀b', 'b')
strpos(t, vc)
position('e' in t)
position('lo' in 'hello')
position('' in t)
position('x' in c)
replace(t, 'a', 'b')
replace('aaa', 'a', 'bb')
replace('aaa', 'aa', 'b')
replace('abc', '', 'x')
replace('abc', 'b', '')
replace(t, ' ', '_')
replace(t, NULL, 'x')
replace('äöä', 'ä', 'ae')
translate('12345', '143', 'ax')
translate(t, 'aeiou', 'AEIOU')
translate('abc', '', 'x')
translate('abcb', 'abb', 'xyz')
translate('äbc', 'äc', '😀')
overlay('abcdef' placing 'XX' from 2 for 3)
overlay('abcdef' placing 'XX' from 2)
overlay('abcdef' placing '' from 2 for 2)
overlay('abc' placing 'X' from 10)
overlay('abc' placing 'X' from 0)
overlay(t placing '**' from 2 for 1)
reverse(t)
reverse('a😀ä')
reverse(c) || '|'
reverse('')
starts_with(t, 'a')
starts_with('abc', '')
starts_with(t, NULL)
t ^@ 'ba'
split_part(t, ' ', 1)
split_part('a,b,c', ',', 2)
split_part('a,b,c', ',', -1)
split_part('a,b,c', ',', -3)
split_part('a,b,c', ',', -4)
split_part('a,b', ',', 5)
split_part('a,b', ',', 0)
split_part('a,b', '', 1)
split_part('a,b', '', 2)
split_part('', ',', 1)
split_part('a,,b', ',', 2)
split_part('a--b--c', '--', 3)
split_part(n::text, '.', 2)
split_part(t, 'e', -1)
-- characters and codes
ascii(t)
ascii('ä')
ascii('😀')
ascii('')
chr(65)
chr(8364)
chr(128512)
chr(0)
chr(-1)
chr(1114112)
chr(abs(s) % 26 + 97)
md5(t)
md5('')
md5(c)
encode(sha256('abc'), 'hex')
encode(convert_to(t, 'UTF8'), 'hex')
normalize(t)
normalize(t, NFD)
normalize('ﬁ', NFKC)
t IS NORMALIZED
'a' IS NFC NORMALIZED
unistr('\0441\+01F600')
-- quoting and formatting
quote_ident(t)
quote_ident('abc')
quote_ident('Abc')
quote_ident('select')
quote_ident('a"b')
quote_literal(t)
quote_literal(i)
quote_literal(NULL)
quote_literal(E'a\\b')
quote_literal('it''s')
quote_nullable(t)
quote_nullable(NULL)
quote_nullable(n)
format('hello')
format('%s-%s', t, i)
format('%s', NULL)
format('%s %s', 'a')
format('%%')
format('%I', t)
format('%L', t)
format('%L', NULL)
format('%L', n)
format('%2$s %1$s', 'a', 'b')
format('%10s|', 'ab')
format('%-10s|', 'ab')
format('%*s|', 5, 'x')
format('%-*s|', 5, 'x')
format('%1$s %1$s', t)
format('%s %s %s', bo, d, n)
format('%s', ia)
format('%s', f)
format('%d', 1)
format('%')
format('%s', c) || '|'
format(t)
format('%3$s', 'a', 'b')
quote_ident('_x1')
quote_ident('')
quote_literal(bo)
quote_literal(d)
quote_nullable(ia)
format('%-3s|%3s|', t, i)
format('%2$*1$s', 4, 'x')
format('%s', bo)
format('%1$L %2$I', t, 'Name')
format(NULL, 1)
format('%0$s', 1)
unistr('\0061\\')
unistr('\d83d\de00')
unistr('\12')
-- escapes in literals
E'a\nb'
E'\x41\u00e4\U0001F600\101'
E'\\'
'a\nb'
'it''s'
U&'\00e4\+01F600'
U&'d!0061t!0061' UESCAPE '!'
$$dollar 'quoted'$$
$tag$a $$ b$tag$
B'101'::text
X'1F'::text
-- string to array and back
string_to_array(t, ' ')
string_to_array('a,b,,c', ',')
string_to_array('a,b,,c', ',', '')
string_to_array('abc', NULL)
string_to_array('abc', '')
string_to_array('', ',')
string_to_array(NULL, ',')
array_to_string(string_to_array(t, 'e'), '3')
parse_ident('Some."Thing".x')
-- text of other types in functions
length(i::text)
length(n::text)
upper(bo::text)
left(d::text, 4)
reverse(i::text)
lpad(n::text, 12, ' ')
replace(ts::text, ' ', 'T')
md5(i::text)
repeat(bo::text, 2)
-- cases of NULL
upper(NULL)
length(NULL)
lpad(NULL, 3)
left(t, NULL)
replace(NULL, 'a', 'b')
-- order of text
t < vc
t > 'a'
greatest(t, vc)
least(t, 'm')
'a' < 'B'
'a' < 'ä'
'Z' < 'a'
'ä' < 'b'
'' < ' '
'10' < '9'
'a' < 'a '
t COLLATE "C" < 'b'
lower(t) = lower('APPLE')
