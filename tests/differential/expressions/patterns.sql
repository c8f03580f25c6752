-- like
t LIKE 'a%'
t LIKE '%e'
t LIKE '%an%'
t LIKE '_____'
t LIKE 'Apple'
t LIKE ''
t LIKE '%'
t LIKE '%%'
t LIKE '_%'
t LIKE '% %'
t LIKE '%\%%'
t LIKE '%\_%'
t LIKE '%#_%' ESCAPE '#'
t LIKE '%!%' ESCAPE '!'
t LIKE '%\\%'
t LIKE '%\%' ESCAPE ''
t LIKE 'ä'
t LIKE '_ smile'
t NOT LIKE '%a%'
t LIKE vc
vc LIKE t
vc LIKE '_'
c LIKE 'ab'
c LIKE 'ab%'
c LIKE 'ab   '
c LIKE '_____'
c LIKE '%b'
t LIKE NULL
NULL LIKE t
'a%c' LIKE 'a\%c'
'abc' LIKE 'a\%c'
'a\c' LIKE 'a\\c'
'a\c' LIKE 'a\c'
'a\c' LIKE 'a\c' ESCAPE ''
'a_c' LIKE 'a#_c' ESCAPE '#'
'a#c' LIKE 'a##c' ESCAPE '#'
'abc' LIKE 'abc\'
'abc' LIKE 'a_%_c'
E'a\nb' LIKE 'a_b'
E'a\nb' LIKE '%b'
'😀' LIKE '_'
E'e\u0301' LIKE '_'
'abc' LIKE '%' || 'c'
'a' LIKE 'aa' ESCAPE 'a'
'abc' LIKE 'x' ESCAPE 'xy'
(t LIKE 'a%') = (t ~~ 'a%')
t ~~ '%a'
t !~~ '%a'
i::text LIKE '1%'
d::text LIKE '2024-%'
n::text LIKE '%.5_'
t LIKE 'a%' OR t LIKE 'b%'
t LIKE ANY (ARRAY['a%', 'b%'])
t LIKE ALL (ARRAY['%a%', '%e%'])
t NOT LIKE ALL (ARRAY['a%', 'b%'])
t ILIKE ANY (ARRAY['a%', NULL])
-- ilike
t ILIKE 'a%'
t ILIKE 'APPLE'
t ILIKE '%ICE%'
t NOT ILIKE '%e%'
t ILIKE 'Ä'
t ILIKE 'straSSe'
t ILIKE '%σ'
vc ILIKE '%b'
c ILIKE 'ab%'
'ÄÖ' ILIKE 'äö'
'aBc' ILIKE 'AB_'
'a%' ILIKE 'A\%'
'İ' ILIKE 'i'
t ~~* 'A%'
t !~~* 'A%'
-- similar to
t SIMILAR TO '(a|b)%'
t SIMILAR TO 'a%e'
t SIMILAR TO '%[0-9]+%'
t SIMILAR TO '[A-Z]%'
t SIMILAR TO '_{5}'
t NOT SIMILAR TO '%a%'
'abc' SIMILAR TO 'abc'
'abc' SIMILAR TO 'a'
'abc' SIMILAR TO '%(b|d)%'
'abc' SIMILAR TO '(b|c)%'
'abc' SIMILAR TO 'a(b|x)c'
'aaa' SIMILAR TO 'a{2,3}'
'aaa' SIMILAR TO 'a*'
'ab' SIMILAR TO 'ab?'
'a.c' SIMILAR TO 'a.c'
'abc' SIMILAR TO 'a.c'
'a%c' SIMILAR TO 'a\%c'
'a%c' SIMILAR TO 'a#%c' ESCAPE '#'
'a^c' SIMILAR TO 'a^c'
'a$' SIMILAR TO 'a$'
'a|b' SIMILAR TO 'a\|b'
'' SIMILAR TO ''
'a]' SIMILAR TO 'a[]]'
'xay' SIMILAR TO '%[[:alpha:]]%'
t SIMILAR TO NULL
-- regular expressions: operators
t ~ 'a'
t ~ '^a'
t ~ 'e$'
t ~ '^[A-Z]'
t ~ '\d'
t ~ '\s'
t ~ '^\w+$'
t ~ '[[:punct:]]'
t ~ '^.{5}$'
t ~ ''
t ~* 'APPLE'
t ~* '^[a-c]'
t ~* 'ä'
t !~ 'a'
t !~* 'A'
vc ~ '^[+-]?\d+$'
c ~ 'b$'
c ~ '^ab *$'
t ~ NULL
'abc' ~ 'b.'
'abc' ~ '^a.c$'
'ABC' ~* 'b'
'abc' !~ 'x'
'a.c' ~ 'a\.c'
E'a\nb' ~ 'a.b'
E'a\nb' ~ '^b'
E'a\nb' ~ '(?n)^b'
E'a\nb' ~ '(?p)^b'
'Abc' ~ '(?i)abc'
'abc' ~ '(?x) a b c # all'
'a.c' ~ '***=a.c'
'foo bar' ~ '\mbar\M'
'foobar' ~ '\mbar'
'foo bar' ~ '\ybar\y'
'foo bar' ~ 'o\Y'
'foobar' ~ '\Afoo'
'foobar' ~ 'bar\Z'
'aa' ~ '(a)\1'
'ab' ~ '(a)\1'
'foobar' ~ 'foo(?=bar)'
'foobaz' ~ 'foo(?!bar)'
'foobar' ~ '(?<=foo)bar'
'foobar' ~ '(?<!x)bar'
'abc' ~ '(?:a|b)c'
'a' ~ '\u0061'
'ä' ~ '\w'
'ä' ~ '[a-z]'
'Ä' ~ '[[:upper:]]'
'٣' ~ '\d'
'٣' ~ '[[:alpha:]]'
'½' ~ '\w'
'Ⅻ' ~ '[[:upper:]]'
'ª' ~ '[[:lower:]]'
'²' ~ '[[:punct:]]'
regexp_like('日', '[[:upper:]]', 'i')
'abc' ~ 'a{2'
'abc' ~ '('
'abc' ~ '[a'
'abc' ~ '*a'
'a]b' ~ '[]]'
'a-b' ~ '[a\-]b'
'a\b' ~ '[\\]'
'a\b' ~ 'a\\b'
'ab' ~ 'a|'
'x' ~ 'a{0}x'
'a{,2}' ~ 'a{,2}'
'tab	x' ~ '\t'
'x_y' ~ '\W'
'x y' ~ '\S\s\S'
'a1b2' ~ '^(\w\d)+$'
-- which alternative, how greedy
substring('abcabc' FROM 'a.*c')
substring('abcabc' FROM 'a.*?c')
substring('XY1234Z' FROM 'Y*([0-9]{1,3})')
substring('XY1234Z' FROM 'Y*?([0-9]{1,3})')
substring('abc' FROM '(a|ab)(c|bcd)?')
substring('foobar' FROM 'o+')
substring('foobar' FROM 'o(.)b')
substring('foobar' FROM '(?:o)(.)')
substring('foobar' FROM 'x')
substring(t FROM '[aeiou]+')
substring(t FROM '^(\w+) (\w+)')
substring(t, '[0-9]+')
substring('foobar' SIMILAR '%#"o_b#"%' ESCAPE '#')
substring('foobar' FROM '%#"o_b#"%' FOR '#')
substring('abcdefg' SIMILAR 'a#"%#"g' ESCAPE '#')
-- regexp_replace
regexp_replace(t, 'a', 'b')
regexp_replace(t, 'a', 'b', 'g')
regexp_replace(t, '[aeiou]', '', 'g')
regexp_replace(t, '(\w)(\w)', '\2\1', 'g')
regexp_replace(t, '^', '>')
regexp_replace(t, '$', '<')
regexp_replace(t, '\s+', ' ', 'g')
regexp_replace(t, 'A', 'x', 'gi')
regexp_replace(vc, '[^0-9]', '', 'g')
regexp_replace('aaa', 'a', 'b', 1, 2)
regexp_replace('aaa', 'a', 'b', 2)
regexp_replace('aaa', 'a', 'b', 1, 0)
regexp_replace('aaa', 'a', 'b', 1, 5)
regexp_replace('aaa', 'A', 'b', 1, 0, 'i')
regexp_replace('abc', 'b', '[\&]')
regexp_replace('abc', 'b', '\\')
regexp_replace('abc', 'b', '\0')
regexp_replace('abc', '(b)', '<\1\1>')
regexp_replace('abc', 'b', '$0')
regexp_replace('abc', '', '-', 'g')
regexp_replace('abc', 'x*', '-', 'g')
regexp_replace('baac', 'a*', '-', 'g')
regexp_replace('abc', '.', '\3', 'g')
regexp_replace('ABC', 'b', 'x')
regexp_replace('äöü', '.', '_', 'g')
regexp_replace(E'a\nb', '.', '_', 'g')
regexp_replace('foobarbaz', 'b(..)', 'X\1Y', 'g')
regexp_replace(NULL, 'a', 'b')
regexp_replace('abc', NULL, 'b')
regexp_replace('abc', 'b', 'x', 'z')
regexp_replace('banana', 'a', '<\&>', 2, 2)
regexp_replace('banana', 'a', 'x', 0)
regexp_replace('banana', 'a', 'x', 1, -1)
regexp_replace('banana', '$', '!', 'g')
-- regexp_match and the rest
regexp_match('foobar', 'o+')
regexp_match('foobarbequebaz', '(bar)(beque)')
regexp_match('foo', 'x')
regexp_match('foo', '(x)?o')
regexp_match(t, '[A-Z]')
regexp_match(t, '(\w+)\W+(\w+)')
regexp_match('abc', 'B', 'i')
(regexp_match('a1b22', '\d+'))[1]
regexp_split_to_array(t, '\s+')
regexp_split_to_array('a1b2c', '\d')
regexp_split_to_array('abc', '')
regexp_split_to_array('aXbxc', 'x', 'i')
regexp_split_to_array('', ',')
regexp_split_to_array(',a,', ',')
regexp_count('banana', 'a')
regexp_count('banana', 'an', 3)
regexp_count('banana', 'A', 1, 'i')
regexp_count('aaa', 'aa')
regexp_count('abc', '')
regexp_count(t, '[aeiou]')
regexp_instr('banana', 'a')
regexp_instr('banana', 'n(a)', 1, 2, 0, 'i', 1)
regexp_instr('banana', 'a', 1, 2)
regexp_instr('banana', 'an', 1, 1, 1)
regexp_instr(t, 'x')
regexp_like(t, '^A', 'i')
regexp_like('abc', 'b')
regexp_substr('foobar', 'o+')
regexp_substr('foobar', '.', 1, 3)
regexp_substr('foobar', '(.)(b)', 1, 1, 'i', 2)
regexp_substr(t, '[0-9]+')
regexp_match('abc', 'b', 'g')
regexp_match(t, '^')
regexp_split_to_array(t, '[aeiou]')
regexp_split_to_array('abc', 'b', 'g')
regexp_split_to_array('baac', 'a*')
regexp_count('abc', '$')
regexp_count('abc', 'b', 0)
regexp_count('abc', 'b', 10)
regexp_instr('abc', 'b', 1, 1, 2)
regexp_instr('äbc', 'c')
regexp_instr('abc', 'b', 1, 1, 0, '', 1)
regexp_substr('abc', 'b', 1, 1, '', 1)
regexp_substr('abc', 'b', 1, 0)
regexp_like(t, 'a', 'g')
regexp_substr(t, '(.)(.)', 2, 1, '', 2)
t NOT LIKE ANY (ARRAY['a%', '%e%'])
t NOT ILIKE ANY (ARRAY['A%'])
t ~~ ta[1]
t LIKE ALL (ta)
t NOT LIKE ANY (ta)
t NOT LIKE ALL (ta)
t ILIKE ANY (ta)
t LIKE ANY ('{}'::text[])
